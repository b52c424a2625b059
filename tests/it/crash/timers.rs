//! Timers live in the store: what falls due while no process lives happens at the next start, once, or is dropped as too late.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use yingda::bot::now;

use super::node::{Caller, Home, within};
use crate::harness::{message, with};
use crate::outbox::subscriber;
use crate::postgres::{database_url, sql};
use crate::stand_in::{Answer, StandIn};

/// Assessed and awake around the clock, so that the hour of the test does not matter.
const SHOPS: &str = "[defaults]\nwindow = { daily = [\"00:00-24:00\"] }\nquiet_hours = { daily = [] }\n\
                     [shops.demo]\n[shops.closing]\nidle_minutes = 20\n[shops.stale]\nguard_minutes = 1\n\
                     [shops.minute]\nunpaid_minutes = 1\n";

/// How long nobody lives: all timers of the test fall due meanwhile, and the guard of the shop `stale` is 31 minutes late.
const DOWN: SignedDuration = SignedDuration::from_mins(32);

/// Shop and conversation, the timer that runs there, what becomes of it, and whether it speaks.
const TIMERS: [(&str, &str, &str, &str, bool); 5] = [
    ("demo", "guarded", "guard", "reply_guard", true),
    ("demo", "unpaid", "unpaid", "unpaid_order", true),
    ("demo", "held", "hand_back", "agent_silent", false),
    ("closing", "quiet", "idle", "idle", true),
    ("stale", "forgotten", "guard", "stale_timer", false),
];

/// Where every moment stands in the store: columns of milliseconds, and JSON with moments in it.
const MOMENTS: [(&str, &[&str]); 5] = [
    ("conversations", &["updated_at", "queued_at", "human_at", "due_at"]),
    ("events", &["received_at"]),
    ("rounds", &["started_at", "replied_at"]),
    ("incidents", &["closed_at"]),
    ("outbox", &["created_at", "due_at"]),
];
const TEXTS: [(&str, &str); 2] = [("conversations", "facts"), ("incidents", "incident")];

/// The store of a node that is dead.
enum Place<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
}

impl Place<'_> {
    /// Runs a statement; the first column of what it answers.
    async fn run(&self, statement: &str) -> Vec<String> {
        match self {
            Self::Sqlite(file) => {
                let mut store = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
                let rows = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut store).await.unwrap();
                store.close().await.unwrap();
                rows
            }
            Self::Postgres(url) => sql(url, statement).lines().map(str::to_owned).collect(),
        }
    }

    /// Sets everything back by so long, as if nobody had lived since then.
    async fn age(&self, by: SignedDuration) {
        for (table, columns) in MOMENTS {
            let set: Vec<String> = columns.iter().map(|name| format!("{name} = {name} - {}", by.as_millis())).collect();
            self.run(&format!("UPDATE {table} SET {}", set.join(", "))).await;
        }
        for (table, column) in TEXTS {
            for text in self.run(&format!("SELECT {column} FROM {table}")).await {
                let (old, new) = (text.replace('\'', "''"), earlier(&text, by).replace('\'', "''"));
                self.run(&format!("UPDATE {table} SET {column} = '{new}' WHERE {column} = '{old}'")).await;
            }
        }
    }
}

/// The text with every moment in it set back.
fn earlier(text: &str, by: SignedDuration) -> String {
    static MOMENT: OnceLock<Regex> = OnceLock::new();
    let moment = MOMENT.get_or_init(|| Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z").unwrap());
    let back = |found: &regex::Captures<'_>| (found[0].parse::<Timestamp>().unwrap() - by).to_string();
    moment.replace_all(text, back).into_owned()
}

async fn post(caller: &Caller, shop: &str, conversation: &str, text: &str, more: Value) {
    let event = with(with(message(conversation, text), json!({ "shop": shop })), more);
    let answer = caller.post(&event).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

async fn send(caller: &Caller, method: Method, path: &str, body: Value) {
    let answer = caller.send(method, path, body.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
}

/// Begins every wait, and an incident that ends.
async fn begin(caller: &Caller) {
    for (shop, conversation) in [("demo", "guarded"), ("stale", "forgotten")] {
        post(caller, shop, conversation, "在吗", json!({})).await;
        post(caller, shop, conversation, "我有点事想商量", json!({})).await;
    }
    post(caller, "demo", "unpaid", "", json!({ "type": "order_unpaid", "context": { "order_id": "A-1" } })).await;
    post(caller, "demo", "held", "在吗", json!({})).await;
    let amy = json!({ "shop": "demo", "channel": "web", "agent_id": "amy" });
    send(caller, Method::POST, "/v1/conversations/held/takeover", amy).await;
    post(caller, "demo", "held", "我来帮您", json!({ "type": "agent_message", "agent_id": "amy" })).await;
    post(caller, "closing", "quiet", "在吗", json!({})).await;
    open_incident(caller, SignedDuration::from_mins(10)).await;
}

async fn open_incident(caller: &Caller, ends_in: SignedDuration) {
    let end = (now() + ends_in).to_string();
    let storm = json!({ "cause": "华东暴雨", "effect": "包裹晚到两天", "expires_at": end });
    send(caller, Method::PUT, "/v1/incidents/storm", storm).await;
}

/// Reasons of the timers that fired in a conversation.
async fn fired(caller: &Caller, shop: &str, conversation: &str) -> Vec<String> {
    let page = caller.get(&format!("/v1/conversations/{conversation}/events?shop={shop}&channel=web")).await;
    let events = page["events"].as_array().unwrap().iter().filter(|event| event["event"]["kind"] == "timer");
    events.map(|event| event["decision"]["reason"].as_str().unwrap().to_owned()).collect()
}

async fn sent(caller: &Caller, count: usize) {
    within(10, async || match caller.pushes("sent").await.len() {
        found if found >= count => Ok(()),
        found => Err(format!("{found} of {count} pushes are sent")),
    })
    .await;
}

/// Each timer has had its one consequence, and whoever subscribes has heard each thing once.
async fn each_happened_once(caller: &Caller, desk: &StandIn) {
    let mut heard: Vec<String> = desk.requests().iter().map(|push| subject(&push.json())).collect();
    heard.sort_unstable();
    assert_eq!(
        heard,
        [
            "guarded 消息收到了，客服稍后回复。",
            "incident closed",
            "incident open",
            "quiet 感谢光临，再见。",
            "unpaid 订单还没付款，需要帮忙吗？"
        ]
    );
    for (shop, conversation, _, reason, _) in TIMERS {
        assert_eq!(fired(caller, shop, conversation).await, [reason], "{conversation}");
    }
    assert_eq!(caller.get("/v1/conversations/held?shop=demo&channel=web").await["phase"]["name"], "bot");
    assert_eq!(caller.get("/v1/conversations/quiet?shop=closing&channel=web").await["phase"]["name"], "closed");
    assert_eq!(caller.get("/v1/incidents").await["incidents"], json!([]));
    assert_eq!(caller.pushes("pending").await, Vec::<Value>::new());
}

fn subject(push: &Value) -> String {
    let data = &push["data"];
    let part = |value: &Value| value.as_str().unwrap().to_owned();
    match push["type"].as_str() {
        Some("incident") => format!("incident {}", part(&data["state"])),
        _ => format!("{} {}", part(&data["conversation_id"]), part(&data["text"])),
    }
}

async fn fires_once_after_a_kill(home: Home) {
    let desk = StandIn::that(Answer::ok()).await;
    let home = home.with_config(&format!("{SHOPS}{}", subscriber(&desk, "desk", &["reply", "incident"], "")));
    let mut first = home.start();
    begin(&first.caller()).await;
    for (shop, conversation, kind, ..) in TIMERS {
        let timers = first.caller().get(&format!("/v1/timers?shop={shop}")).await["timers"].as_array().unwrap().clone();
        let running = timers.iter().find(|timer| timer["conversation_id"] == conversation).expect("it runs");
        assert_eq!(running["kind"], kind);
        assert!(running["seconds_left"].as_i64().unwrap() > 30, "{running}");
    }
    sent(&first.caller(), 1).await;
    first.kill();
    let file = home.data().join("yingda.db");
    home.database().map_or(Place::Sqlite(&file), Place::Postgres).age(DOWN).await;
    let mut second = home.start();
    sent(&second.caller(), 2 + TIMERS.iter().filter(|(.., speaks)| *speaks).count()).await;
    within(10, async || match fired(&second.caller(), "stale", "forgotten").await.len() {
        0 => Err("the stale timer is neither fired nor dropped".to_owned()),
        _ => Ok(()),
    })
    .await;
    each_happened_once(&second.caller(), &desk).await;
    second.kill();
    let third = home.start();
    // Long enough for whatever would happen again.
    tokio::time::sleep(Duration::from_millis(700)).await;
    each_happened_once(&third.caller(), &desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_timer_that_fell_due_while_the_process_was_dead_fires_once_or_is_dropped_on_sqlite() {
    fires_once_after_a_kill(Home::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_timer_that_fell_due_while_the_process_was_dead_fires_once_or_is_dropped_on_postgres() {
    fires_once_after_a_kill(Home::postgres(&database_url().await)).await;
}

/// The same by the clock on the wall, for what may be due in seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reminder_and_the_end_of_an_incident_come_after_a_kill_and_not_before_their_time() {
    const SOON: SignedDuration = SignedDuration::from_millis(2_500);
    let desk = StandIn::that(Answer::ok()).await;
    let home = Home::sqlite().with_config(&format!("{SHOPS}{}", subscriber(&desk, "desk", &["reply", "incident"], "")));
    let mut first = home.start();
    let ordered_at = now() + SOON - SignedDuration::from_mins(1);
    let context = json!({ "order_id": "A-1", "ordered_at": ordered_at.to_string() });
    post(&first.caller(), "minute", "unpaid", "", json!({ "type": "order_unpaid", "context": context })).await;
    open_incident(&first.caller(), SOON).await;
    let due = now() + SOON;
    sent(&first.caller(), 1).await;
    first.kill();
    assert!(now() < due - SignedDuration::from_millis(500), "it was killed in time");
    let heard = || -> Vec<String> { desk.requests().iter().map(|push| subject(&push.json())).collect() };
    assert_eq!(heard(), ["incident open"]);
    tokio::time::sleep(Duration::try_from(due.duration_since(now())).unwrap()).await;
    let second = home.start();
    sent(&second.caller(), 3).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut heard = heard();
    heard.sort_unstable();
    assert_eq!(heard, ["incident closed", "incident open", "unpaid 订单还没付款，需要帮忙吗？"]);
    assert_eq!(fired(&second.caller(), "minute", "unpaid").await, ["unpaid_order"]);
}
