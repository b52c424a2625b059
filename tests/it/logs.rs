//! What a log says: each fault once, with its cause; and nothing that customers wrote or are.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use yingda::bot::now;
use yingda::conversation::outgoing::{FailureClass, PushState};
use yingda::conversation::store::{Settled, SqliteStore, Store};
use yingda::outbound::webhook::ATTEMPTS;

use crate::cli::Served;
use crate::harness::{message, with};
use crate::outbox::subscriber;
use crate::stand_in::{Answer, SECRET, StandIn};

/// What tells who somebody is: a telephone number, an address, an identity card, an e-mail address, a name.
const PERSONAL: [&str; 5] =
    ["13812345678", "浦东新区世纪大道100号", "11010519491231002X", "wang.xiaojie@example.com", "王小姐"];

fn store_of(home: &Path) -> std::path::PathBuf {
    home.join("data/yingda.db")
}

async fn until(what: &str, mut wish: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !wish().await {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An event whose every field that a channel chooses tells of the customer.
fn telling(text: &str, more: Value) -> Value {
    let [telephone, address, card, mail, name] = PERSONAL;
    let event = message(mail, text);
    let id = format!("{card} {}", event["message_id"].as_str().unwrap());
    let event = with(event, json!({ "customer_id": telephone, "message_id": id }));
    let context = json!({ "customer_name": name, "region": address, "order_id": card, "tracking_no": telephone });
    with(with(event, json!({ "context": context })), more)
}

/// Everything that is posted of the customer, taken and refused.
async fn customers_write(served: &Served) {
    let said = format!("我是{}，要投诉，转人工", PERSONAL.join("，"));
    let asked = telling(&said, json!({}));
    assert_eq!(served.post(&asked).await.status, 200);
    served.post(&with(asked.clone(), json!({ "text": "别的话" }))).await.problem(409, "the id is taken");
    for (more, status) in [
        (json!({ "type": "agent_message", "agent_id": PERSONAL[4] }), 200),
        (json!({ "type": "order_unpaid" }), 200),
        (json!({ "shop": "x".repeat(999) }), 422),
        (json!({ "sender_is_bot": PERSONAL[0] }), 422),
        (json!({ "type": PERSONAL[3] }), 422),
        (json!({ "text": said.repeat(90) }), 422),
        (json!({ "text": said.repeat(900) }), 413),
    ] {
        let answer = served.post(&telling(&format!("{said} {more}"), more.clone())).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.body);
    }
}

async fn agents_read(served: &Served) {
    let [telephone, address, card, mail, _] = PERSONAL;
    for (path, status) in [
        (format!("/v1/conversations/{mail}?shop=demo&channel=web"), 200),
        (format!("/v1/conversations/{mail}/events?shop=demo&channel=web"), 200),
        (format!("/v1/conversations/{telephone}?shop=demo&channel=web"), 404),
        (format!("/v1/conversations?customer_id={telephone}"), 200),
        (format!("/v1/suggestions?shop=demo&q={address}"), 200),
        (format!("/v1/suggestions?shop=demo&q=x&k={card}"), 422),
        (format!("/{mail}/{telephone}"), 404),
    ] {
        let answer = served.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
}

/// A push that fails to its last attempt; the receiver says why in the words that it was sent.
async fn the_push_is_given_up(home: &Path) {
    let store = SqliteStore::open(&store_of(home)).await.unwrap();
    let pending = async || store.pushes(PushState::Pending, None, 500).await.unwrap();
    until("it is tried once", async || pending().await.iter().any(|push| push.error.is_some())).await;
    let [push] = &pending().await[..] else { panic!("one push") };
    let later = now() + SignedDuration::from_hours(3);
    for _ in 0..ATTEMPTS - 2 {
        assert_eq!(store.claim(later, later.into(), 500, &[]).await.unwrap().len(), 1);
    }
    let soon = Settled::Retry { at: now(), error: "brought forward".to_owned(), class: FailureClass::Retry };
    store.settle(&[(push.outgoing.id.clone(), soon)], now()).await.unwrap();
    until("it is given up", async || pending().await.is_empty()).await;
}

#[tokio::test]
async fn nothing_that_tells_who_a_customer_is_stands_in_a_log() {
    let home = tempfile::tempdir().unwrap();
    let echo = format!("cannot take {}", PERSONAL.join(" "));
    let refusal = Answer::Says("500 Oh\r\nretry-after: 3600".to_owned(), echo.clone());
    let (desk, shop) = (StandIn::that(refusal).await, StandIn::that(Answer::json(json!({ "tier": [echo] }))).await);
    let facts = format!("[defaults.facts]\nurl = \"{}\"\nsecret = \"{SECRET}\"\nallow_private = true\n", shop.url());
    let config = subscriber(&desk, "desk", &["handoff"], "") + &facts;
    std::fs::write(home.path().join("yingda.toml"), config).unwrap();
    let served = Served::start_logging(home.path(), "debug");
    customers_write(&served).await;
    agents_read(&served).await;
    the_push_is_given_up(home.path()).await;
    break_a_record(home.path(), PERSONAL[3], &json!({ "events": PERSONAL[0], "phase": PERSONAL[1] })).await;
    assert_eq!(served.post(&telling("什么时候发货", json!({}))).await.status, 500);
    until("it tells of every fault", async || {
        ["given up after 36 attempts", "cannot be read", "without the shop's facts"]
            .iter()
            .all(|fault| served.log().contains(fault))
    })
    .await;
    let log = served.log();
    assert!(log.contains("DEBUG"), "it tells much");
    for personal in PERSONAL {
        let told: Vec<&str> = log.lines().filter(|line| line.contains(personal)).collect();
        assert!(told.is_empty(), "{personal}: {told:#?}");
    }
}

/// As a fault of the disk, or a version from the future, would leave it.
async fn break_a_record(home: &Path, conversation: &str, facts: &Value) {
    let mut store = SqliteConnection::connect(store_of(home).to_str().unwrap()).await.unwrap();
    let update = format!("UPDATE conversations SET facts = '{facts}' WHERE id = '{conversation}'");
    let broken = sqlx::query(AssertSqlSafe(update)).execute(&mut store).await.unwrap().rows_affected();
    assert_eq!(broken, 1);
    store.close().await.unwrap();
}

fn errors(served: &Served) -> Vec<Value> {
    let lines = served.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    lines.into_iter().filter(|line| line["level"] == "ERROR").collect()
}

#[tokio::test]
async fn a_fault_of_the_store_is_logged_once_with_its_cause() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path());
    served.post(&message("c", "在吗")).await;
    break_a_record(home.path(), "c", &json!({ "events": "many" })).await;
    served.get("/v1/conversations/c?shop=demo&channel=web").await.problem(500, "a record that cannot be read");
    served.post(&message("c", "在吗")).await.problem(500, "a conversation that cannot be read");
    until("both are told", async || errors(&served).len() >= 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let errors = errors(&served);
    assert_eq!(errors.len(), 2, "{errors:#?}");
    for (error, path) in errors.iter().zip(["/v1/conversations/{id}", "/v1/messages"]) {
        assert!(error["fields"]["cause"].as_str().unwrap().contains("cannot be read"), "{error}");
        assert_eq!(error["span"]["path"], path, "{error}");
    }
}
