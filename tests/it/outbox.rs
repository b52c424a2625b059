//! Pushes: what goes out by itself, to whom, signed, once, and what becomes of what could not be brought.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use yingda::bot::now;
use yingda::conversation::outgoing::FailureClass;
use yingda::conversation::store::Settled;
use yingda::outbound::webhook::ATTEMPTS;

use crate::harness::{Answer as HttpAnswer, Plan, TestApp};
use crate::postgres::database_url;
use crate::stand_in::{Answer, Request, SECRET, StandIn};

/// `[[webhooks]]` for a stand-in, with further lines.
pub fn subscriber(receiver: &StandIn, name: &str, events: &[&str], more: &str) -> String {
    let url = receiver.url();
    format!(
        "[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = {events:?}\n\
         allow_private = true\n{more}\n"
    )
}

/// The channel `web` gets its replies by push, each at once.
const PUSHED: &str = "[defaults.channels.web]\nreplies = \"push\"\ndebounce_ms = 0\n";

async fn receiver() -> StandIn {
    StandIn::that(Answer::status("204 No Content")).await
}

/// Long enough for whatever was on its way.
async fn quiet() {
    tokio::time::sleep(Duration::from_millis(600)).await;
}

fn is_signed(request: &Request) -> bool {
    request.is_signed(now(), Duration::from_secs(60))
}

async fn listed(app: &TestApp, state: &str) -> Vec<Value> {
    let answer = app.get(&format!("/v1/outbox?state={state}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["pushes"].as_array().unwrap().clone()
}

/// Waits until there are pushes in this state.
async fn settled(app: &TestApp, state: &str, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let pushes = listed(app, state).await;
        if pushes.len() >= count {
            return pushes;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} pushes never were {state}");
}

async fn replay(app: &TestApp, body: Value) -> HttpAnswer {
    app.send(Method::POST, "/v1/outbox/replay", body.to_string()).await
}

#[tokio::test]
async fn a_reply_is_pushed_signed_with_all_that_a_channel_needs() {
    let line = receiver().await;
    let app = Plan::shop().with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    let decision = app.say("c", "什么时候发货").await;
    assert_eq!(decision.0["delivery"], "push");
    let [request] = &line.after(1).await[..] else { panic!("one push") };
    assert!(is_signed(request), "{}", request.head);
    assert_eq!(request.header("content-type"), "application/json");
    let body = request.json();
    assert_eq!(body["type"], "reply");
    assert!(body["timestamp"].is_string());
    let data = &body["data"];
    for (field, value) in [
        ("shop", json!("demo")),
        ("channel", json!("web")),
        ("conversation_id", json!("c")),
        ("customer_id", json!("customer of c")),
        ("text", json!(decision.text())),
        ("language", json!("zh-Hans")),
        ("action", json!("answer")),
        ("entry_id", json!("ship")),
        ("script_id", json!("greeting")),
        ("menu", json!([])),
        ("reply_id", decision.0["replies"][0]["id"].clone()),
    ] {
        assert_eq!(data[field], value, "{field}: {body}");
    }
    assert!(data["message_id"].is_string());
    let sent = settled(&app, "sent", 1).await;
    assert_eq!(sent[0]["id"], request.header("webhook-id"));
    assert_eq!((&sent[0]["endpoint"], &sent[0]["type"]), (&json!("line"), &json!("reply")));
    assert_eq!((&sent[0]["attempts"], &sent[0]["error"]), (&json!(1), &Value::Null));
    assert_eq!(sent[0]["conversation"]["conversation_id"], "c");
}

#[tokio::test]
async fn a_redelivered_message_pushes_nothing_again() {
    let line = receiver().await;
    let app = Plan::shop().with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    let event = crate::harness::message("c", "什么时候发货");
    for _ in 0..3 {
        app.post(&event).await;
    }
    line.after(1).await;
    quiet().await;
    assert_eq!(line.requests().len(), 1);
}

#[tokio::test]
async fn a_push_that_failed_comes_again_with_the_same_id_and_body() {
    let line = StandIn::start(|number| Answer::status(if number == 0 { "503 Busy" } else { "200 OK" })).await;
    let app = Plan::shop().with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    app.say("c", "什么时候发货").await;
    line.after(1).await;
    let pending = settled(&app, "pending", 1).await;
    assert!(pending[0]["due_at"].is_string(), "{pending:?}");
    let requests = line.after(2).await;
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
    assert!(requests.iter().all(is_signed));
    let sent = settled(&app, "sent", 1).await;
    assert_eq!(sent[0]["attempts"], 2);
}

#[tokio::test]
async fn the_replies_of_a_conversation_come_in_order() {
    let line = StandIn::start(|number| Answer::status(if number == 0 { "503 Busy" } else { "200 OK" })).await;
    let app = Plan::shop().with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    for text in ["在吗", "会员日是哪天", "什么时候发货"] {
        app.say("c", text).await;
    }
    let texts: Vec<Value> = line.after(4).await[1..].iter().map(|push| push.json()["data"]["text"].clone()).collect();
    assert!(texts[0].as_str().unwrap().starts_with("欢迎光临"), "{texts:?}");
    assert_eq!((&texts[1], &texts[2]), (&json!("每月八号。"), &json!("付款后两天内发出。节假日顺延。")));
}

#[tokio::test]
async fn a_channel_that_gets_its_replies_in_the_response_gets_none_by_push() {
    let line = receiver().await;
    let app = Plan::shop().with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    let said = app.say_with("c", "什么时候发货", json!({"channel": "app"})).await;
    assert_eq!((said.action(), &said.0["delivery"]), ("answer", &json!("response")));
    quiet().await;
    assert!(line.requests().is_empty() && listed(&app, "pending").await.is_empty());
}

#[tokio::test]
async fn messages_in_a_row_are_answered_together_on_a_channel_that_is_pushed_to() {
    let line = receiver().await;
    let config = "[defaults.channels.web]\nreplies = \"push\"\ndebounce_ms = 300\n".to_owned();
    let app = Plan::shop().with_config(&(config + &subscriber(&line, "line", &["reply"], ""))).start().await;
    for text in ["在吗", "什么时候", "发货"] {
        assert_eq!(app.say("c", text).await.summary(), "silent gathering -", "{text}");
    }
    line.after(1).await;
    quiet().await;
    let [request] = &line.requests()[..] else { panic!("one reply to all three: {:?}", line.requests()) };
    assert!(request.json()["data"]["text"].as_str().unwrap().starts_with("欢迎"), "{}", request.body);
}

#[tokio::test]
async fn a_reply_that_a_human_has_overtaken_is_not_sent() {
    let line = StandIn::start(|number| Answer::status(if number == 0 { "503 Busy" } else { "200 OK" })).await;
    let app = Plan::shop().with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    app.say("c", "什么时候发货").await;
    line.after(1).await;
    app.say_with("c", "我来回答", json!({"type": "agent_message", "agent_id": "amy"})).await;
    let dropped = settled(&app, "dropped", 1).await;
    assert!(dropped[0]["error"].as_str().unwrap().contains("human"), "{dropped:?}");
    assert_eq!(line.requests().len(), 1);
}

#[tokio::test]
async fn subscribers_hear_of_handoffs_complaints_and_questions_without_an_answer() {
    let desk = receiver().await;
    let config = subscriber(&desk, "desk", &["handoff", "complaint", "unanswered"], "");
    let app = Plan::shop().with_config(&config).start().await;
    app.say("fine", "什么时候发货").await;
    app.say("human", "转人工").await;
    app.say("angry", "我要投诉你们").await;
    app.say("odd", "我有点事想商量").await;
    let pushes: Vec<Value> = desk.after(4).await.iter().map(Request::json).collect();
    quiet().await;
    assert_eq!(desk.requests().len(), 4);
    let kinds: BTreeSet<(&str, &str)> = pushes
        .iter()
        .map(|push| (push["data"]["conversation_id"].as_str().unwrap(), push["type"].as_str().unwrap()))
        .collect();
    let expected = [("angry", "complaint"), ("angry", "handoff"), ("human", "handoff"), ("odd", "unanswered")];
    assert_eq!(kinds, BTreeSet::from(expected));
    let ids: BTreeSet<String> = desk.requests().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
    let angry = pushes.iter().find(|push| push["type"] == "complaint").unwrap();
    assert_eq!(angry["data"]["text"], "我要投诉你们");
    assert_eq!(angry["data"]["reason"], "complaint");
    assert_eq!(angry["data"]["customer_id"], "customer of angry");
    assert!(angry["data"]["considered"].is_array() && angry["data"]["message_id"].is_string(), "{angry}");
}

#[tokio::test]
async fn a_subscriber_hears_of_its_shops_and_channels_only() {
    let (mine, app_desk, all) = (receiver().await, receiver().await, receiver().await);
    let config = subscriber(&mine, "mine", &["handoff"], "shops = [\"demo\"]")
        + &subscriber(&app_desk, "app", &["handoff"], "channels = [\"app\"]")
        + &subscriber(&all, "all", &["handoff"], "");
    let app = Plan::shop().with_config(&config).start().await;
    app.say_with("a", "转人工", json!({"shop": "demo", "channel": "web"})).await;
    app.say_with("b", "转人工", json!({"shop": "other", "channel": "app"})).await;
    app.say_with("c", "转人工", json!({"shop": "other", "channel": "web"})).await;
    all.after(3).await;
    quiet().await;
    let who = |receiver: &StandIn| -> Vec<Value> {
        receiver.requests().iter().map(|request| request.json()["data"]["conversation_id"].clone()).collect()
    };
    assert_eq!((who(&mine), who(&app_desk)), (vec![json!("a")], vec![json!("b")]));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_switched_off_and_its_dead_letters_are_replayed() {
    let desk = StandIn::start(|number| Answer::status(if number == 0 { "410 Gone" } else { "200 OK" })).await;
    let app = Plan::shop().with_config(&subscriber(&desk, "desk", &["handoff"], "shops = [\"demo\"]")).start().await;
    app.say("a", "转人工").await;
    let dead = settled(&app, "dead", 1).await;
    assert!(dead[0]["error"].as_str().unwrap().contains("410"), "{dead:?}");
    let endpoint = app.get("/v1/endpoints").await.json()["endpoints"][0].clone();
    assert_eq!((&endpoint["name"], &endpoint["events"]), (&json!("desk"), &json!(["handoff"])));
    assert_eq!((&endpoint["shops"], &endpoint["channels"]), (&json!(["demo"]), &json!([])));
    assert!(endpoint["disabled"]["reason"].as_str().unwrap().contains("410"), "{endpoint}");
    app.say("b", "转人工").await;
    let dead = settled(&app, "dead", 2).await;
    assert!(dead[0]["error"].as_str().unwrap().contains("switched off"), "{dead:?}");
    assert_eq!(desk.requests().len(), 1, "it is left alone");

    let enable = |path: &'static str| app.send(Method::POST, path, "");
    enable("/v1/endpoints/nobody/enable").await.problem(404, "an endpoint that nobody configured");
    assert_eq!(enable("/v1/endpoints/desk/enable").await.json()["endpoints"][0]["disabled"], Value::Null);
    assert_eq!(replay(&app, json!({"endpoint": "other"})).await.json()["replayed"], 0);
    assert_eq!(replay(&app, json!({"id": "nothing"})).await.json()["replayed"], 0);
    assert_eq!(replay(&app, json!({"id": dead[1]["id"]})).await.json()["replayed"], 1);
    let requests = desk.after(2).await;
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"), "the same push");
    assert_eq!(replay(&app, json!({"endpoint": "desk"})).await.json()["replayed"], 1);
    desk.after(3).await;
    settled(&app, "sent", 2).await;
    assert_eq!(replay(&app, json!({})).await.json()["replayed"], 0, "nothing is dead any more");
    assert_eq!(app.send(Method::POST, "/v1/outbox/replay", "").await.json()["replayed"], 0, "all, without a body");
    app.send(Method::POST, "/v1/outbox/replay", "{").await.problem(400, "no JSON");
}

/// Makes the only push due at once, and waits until so many attempts have failed; the push as it is listed then.
async fn attempted(app: &TestApp, line: &StandIn, requests: usize, state: &str) -> Value {
    let id = listed(app, "pending").await[0]["id"].as_str().unwrap().to_owned();
    app.bot
        .store()
        .settle(
            &[(id, Settled::Retry { at: now(), error: "brought forward".to_owned(), class: FailureClass::Retry })],
            now(),
        )
        .await
        .unwrap();
    line.after(requests).await;
    let started = Instant::now();
    loop {
        let found = listed(app, state).await.into_iter().find(|push| push["error"] != "brought forward");
        if let Some(push) = found {
            return push;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "it never was {state} after attempt {requests}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Attempts of a courier whose clock is hours ahead, and who dies before each is over: they count.
async fn lose_attempts(app: &TestApp, count: u32) {
    let later = now() + SignedDuration::from_hours(3);
    for _ in 0..count {
        assert_eq!(app.bot.store().claim(later, later.into(), 10, &[]).await.unwrap().len(), 1);
    }
}

async fn is_given_up_after_its_last_attempt(plan: Plan) {
    let busy = "503 Busy\r\nretry-after: 3600";
    let line = StandIn::start(move |number| Answer::status(if number < 3 { busy } else { "200 OK" })).await;
    let app = plan.with_config(&(PUSHED.to_owned() + &subscriber(&line, "line", &["reply"], ""))).start().await;
    app.say("c", "什么时候发货").await;
    line.after(1).await;
    let first = settled(&app, "pending", 1).await;
    while listed(&app, "pending").await[0]["error"].is_null() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lose_attempts(&app, ATTEMPTS - 3).await;
    let last_but_one = attempted(&app, &line, 2, "pending").await;
    assert_eq!((&last_but_one["attempts"], &last_but_one["state"]), (&json!(ATTEMPTS - 1), &json!("pending")));
    assert!(listed(&app, "dead").await.is_empty(), "one attempt is left");
    let dead = attempted(&app, &line, 3, "dead").await;
    assert_eq!((&dead["attempts"], &dead["id"]), (&json!(ATTEMPTS), &first[0]["id"]));
    assert!(dead["error"].as_str().unwrap().contains("503"), "{dead}");
    assert!(listed(&app, "pending").await.is_empty());
    quiet().await;
    assert_eq!(line.requests().len(), 3, "it is not tried again by itself");
    assert_eq!(replay(&app, json!({"id": dead["id"]})).await.json()["replayed"], 1);
    let sent = settled(&app, "sent", 1).await;
    assert_eq!((&sent[0]["id"], &sent[0]["attempts"]), (&dead["id"], &json!(1)), "counted anew");
    let requests = line.requests();
    let same = |push: &Request| push.header("webhook-id") == dead["id"] && push.body == requests[0].body;
    assert!(requests.len() == 4 && requests.iter().all(same), "the same push each time");
}

#[tokio::test]
async fn a_push_is_given_up_after_its_last_attempt_and_replayed_as_it_was_on_sqlite() {
    is_given_up_after_its_last_attempt(Plan::shop()).await;
}

#[tokio::test]
async fn a_push_is_given_up_after_its_last_attempt_and_replayed_as_it_was_on_postgres() {
    is_given_up_after_its_last_attempt(Plan::shop().with_database(&database_url().await)).await;
}

#[tokio::test]
async fn dead_letters_are_listed_newest_first_page_by_page() {
    let desk = StandIn::that(Answer::status("410 Gone")).await;
    let app = Plan::shop().with_config(&subscriber(&desk, "desk", &["handoff"], "")).start().await;
    for conversation in ["a", "b", "c"] {
        app.say(conversation, "转人工").await;
    }
    settled(&app, "dead", 3).await;
    let page = async |query: &str| -> Vec<(i64, String)> {
        let pushes = app.get(&format!("/v1/outbox{query}")).await.json()["pushes"].as_array().unwrap().clone();
        let row = |push: &Value| {
            let conversation = push["conversation"]["conversation_id"].as_str().unwrap().to_owned();
            (push["seq"].as_i64().unwrap(), conversation)
        };
        pushes.iter().map(row).collect()
    };
    let names = |rows: &[(i64, String)]| rows.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&page("").await), ["c", "b", "a"], "dead letters, when nothing is said");
    let first = page("?limit=2").await;
    assert_eq!(names(&first), ["c", "b"]);
    assert_eq!(names(&page(&format!("?limit=2&before={}", first[1].0)).await), ["a"]);
    assert!(page("?state=sent").await.is_empty());
}

#[tokio::test]
async fn wrong_requests_about_pushes_are_refused() {
    let app = TestApp::start_shop().await;
    for query in ["?state=lost", "?limit=0", "?limit=501", "?limit=many", "?before=yesterday"] {
        app.get(&format!("/v1/outbox{query}")).await.problem(422, query);
    }
    for body in [json!({"all": true}), json!({"id": 7}), json!([])] {
        replay(&app, body.clone()).await.problem(422, &body.to_string());
    }
    app.send(Method::POST, "/v1/outbox/replay", "all").await.problem(400, "no JSON");
    assert_eq!(app.get("/v1/endpoints").await.json()["endpoints"][0]["name"], "channel:chat");
    assert_eq!(listed(&app, "dead").await, Vec::<Value>::new());
}

#[tokio::test]
async fn neither_the_list_of_endpoints_nor_that_of_pushes_shows_an_address_or_a_secret() {
    let desk = StandIn::start(|_| Answer::status("410 Gone")).await;
    let app = Plan::shop().with_config(&subscriber(&desk, "desk", &["handoff"], "")).start().await;
    app.say("a", "转人工").await;
    settled(&app, "dead", 1).await;
    for path in ["/v1/endpoints", "/v1/outbox", "/metrics"] {
        let body = app.get(path).await.body;
        assert!(!body.contains("in-the-url") && !body.contains(&SECRET[6..]), "{path}: {body}");
    }
}
