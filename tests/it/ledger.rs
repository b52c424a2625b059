//! The reply-rate ledger over HTTP: both clocks, up to when they are complete, and who is about to wait too long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use yingda::bot::now;

use crate::harness::{Plan, TestApp};

/// A shop that is assessed around the clock.
async fn assessed(more: &str) -> TestApp {
    let config = format!("[defaults]\nwindow = {{ daily = [\"00:00-24:00\"] }}\n{more}\n");
    Plan::shop().with_config(&config).start().await
}

async fn ledger(app: &TestApp) -> Value {
    let answer = app.get("/v1/ledger?shop=demo").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// `[rounds, in_time, late, open]`.
fn figures(rate: &Value) -> [u64; 4] {
    ["rounds", "in_time", "late", "open"].map(|name| rate[name].as_u64().unwrap())
}

fn breaching(ledger: &Value) -> Vec<String> {
    let waiting = ledger["breaching"].as_array().unwrap();
    waiting.iter().map(|waiting| waiting["conversation_id"].as_str().unwrap().to_owned()).collect()
}

async fn moment() {
    tokio::time::sleep(Duration::from_millis(3)).await;
}

/// A bot's answer at once; a greeting, a human's reply; a greeting, then a question that waits.
async fn a_few_rounds(app: &TestApp) {
    app.say("answered", "什么时候发货").await;
    moment().await;
    app.say("helped", "在吗").await;
    app.say_with("helped", "我来帮您", json!({"type": "agent_message", "agent_id": "amy"})).await;
    moment().await;
    app.say("waits", "在吗").await;
    moment().await;
    app.say("waits", "我有点事想商量").await;
}

#[tokio::test]
async fn both_clocks_are_told_with_the_moment_up_to_which_they_are_complete() {
    let app = assessed("").await;
    a_few_rounds(&app).await;
    let before = now();
    let ledger = ledger(&app).await;
    assert_eq!((&ledger["shop"], &ledger["counted"]), (&json!("demo"), &json!("human")));
    assert_eq!(ledger["limit_minutes"], 5.0);
    assert_eq!(figures(&ledger["any"]), [4, 3, 0, 1], "{ledger}");
    assert_eq!(figures(&ledger["first_any"]), [3, 3, 0, 0], "{ledger}");
    assert_eq!(figures(&ledger["human"]), [3, 1, 0, 2], "{ledger}");
    assert_eq!((&ledger["any"]["rate"], &ledger["human"]["rate"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(ledger["any"]["median_seconds"], 0);
    let complete: Timestamp = ledger["any"]["complete_up_to"].as_str().unwrap().parse().unwrap();
    let apart = before.duration_since(complete);
    let midnight = before.to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()).start_of_day().unwrap();
    let most = SignedDuration::from_mins(5).min(before.duration_since(midnight.timestamp()));
    assert!((apart - most).abs() < SignedDuration::from_secs(5), "five minutes ago, or the day's start: {apart}");
    assert_eq!(ledger["any"]["projection"], Value::Null, "too early to tell");
}

#[tokio::test]
async fn who_waits_for_the_counted_reply_is_listed_least_time_left_first() {
    let app = assessed("").await;
    a_few_rounds(&app).await;
    let told = ledger(&app).await;
    assert_eq!(breaching(&told), ["answered", "waits"]);
    let first = &told["breaching"][0];
    assert_eq!((&first["shop"], &first["channel"]), (&json!("demo"), &json!("web")));
    assert!((290..=300).contains(&first["seconds_left"].as_i64().unwrap()), "{first}");
    assert!(first["deadline"].is_string() && first["waiting_since"].is_string());
    app.happens("answered", "closed").await;
    assert_eq!(breaching(&ledger(&app).await), ["waits"], "nobody waits in a closed conversation");
    app.say_with("waits", "我来了", json!({"type": "agent_message", "agent_id": "amy"})).await;
    assert_eq!(breaching(&ledger(&app).await), Vec::<String>::new());
}

#[tokio::test]
async fn who_comes_back_to_a_closed_conversation_waits_once() {
    let app = assessed("").await;
    app.say("c", "我有点事想商量").await;
    let before = ledger(&app).await["breaching"][0]["waiting_since"].clone();
    app.happens("c", "closed").await;
    moment().await;
    app.say("c", "我又来了").await;
    let told = ledger(&app).await;
    assert_eq!(breaching(&told), ["c"], "{told}");
    assert_ne!(told["breaching"][0]["waiting_since"], before, "since the customer came back");
    assert_eq!(figures(&told["human"]), [2, 0, 0, 2], "both are counted");
}

#[tokio::test]
async fn a_wait_beyond_the_limit_is_late_and_overdue() {
    let app = assessed("counted = \"any\"").await;
    a_few_rounds(&app).await;
    let today = now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()).date();
    let later = app.bot.ledger("demo", today, now() + SignedDuration::from_mins(6)).await.unwrap();
    assert_eq!((later.any.in_time, later.any.late, later.any.open), (3, 1, 0));
    let [waits] = &later.breaching[..] else { panic!("{later:?}") };
    assert!(waits.conversation_id == "waits" && (-61..=-50).contains(&waits.seconds_left), "{waits:?}");
    assert_eq!(breaching(&ledger(&app).await), ["waits"], "by the clock that this platform counts");
}

#[tokio::test]
async fn a_day_is_asked_for_by_its_date() {
    let app = assessed("").await;
    a_few_rounds(&app).await;
    let past = app.get("/v1/ledger?shop=demo&day=2026-01-31").await.json();
    assert_eq!((&past["day"], figures(&past["any"])), (&json!("2026-01-31"), [0, 0, 0, 0]));
    assert_eq!(past["any"]["rate"], Value::Null);
    for day in ["2026-13-01", "2026-02-30", "yesterday", "", "31.01.2026", "1763800000", "2026-1-1", "99999-01-01"] {
        let problem = app.get(&format!("/v1/ledger?shop=demo&day={day}")).await.problem(422, day);
        assert!(problem["detail"].as_str().unwrap().contains("day"), "{day}: {problem}");
    }
    for day in ["-009999-01-01", "9999-12-31"] {
        assert_eq!(app.get(&format!("/v1/ledger?shop=demo&day={day}")).await.status, 200, "{day}");
    }
}
