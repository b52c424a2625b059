//! Incidents: what is broken, whom it touches, what becomes of answers that it contradicts, and who hears of it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, ToSpan};
use serde_json::{Value, json};
use yingda::bot::now;

use crate::harness::{Plan, TestApp, with};
use crate::outbox::subscriber;
use crate::stand_in::{Answer, StandIn};

fn storm(more: Value) -> Value {
    with(json!({"cause": "华东暴雨", "effect": "包裹晚到两天"}), more)
}

#[tokio::test]
async fn an_incident_mutes_what_its_type_contradicts_and_nothing_else() {
    let app = TestApp::start().await;
    let opened = app.open_incident("storm", storm(json!({"type": "courier_overload"}))).await;
    assert_eq!((opened.status, &opened.json()["type"]), (200, &json!("courier_overload")), "{}", opened.body);
    for (conversation, text) in [("dispatch", "什么时候发货"), ("logistics", "几天能到")] {
        assert_eq!(app.say(conversation, text).await.action(), "incident", "{text}");
        let muted = app.say(conversation, text).await;
        assert_eq!((muted.action(), muted.reason()), ("handoff", "incident_contradicts"), "{text}");
    }
    app.say("refund", "怎么退款").await;
    assert_eq!(app.say("refund", "怎么退款").await.action(), "answer", "no storm keeps money from coming back");
}

#[tokio::test]
async fn an_incident_contradicts_the_topics_that_it_names() {
    let app = TestApp::start_shop().await;
    for (topics, action) in [(json!(["goods"]), "handoff"), (json!(["weather"]), "answer"), (json!([]), "answer")] {
        app.open_incident("storm", storm(json!({ "topics": topics }))).await;
        let conversation = topics.to_string();
        assert_eq!(app.say(&conversation, "什么时候发货").await.action(), "incident");
        assert_eq!(app.say(&conversation, "什么时候发货").await.action(), action, "{topics}");
    }
}

#[tokio::test]
async fn an_incident_may_be_told_with_the_answer_instead() {
    let app = TestApp::start_shop().await;
    app.open_incident("storm", storm(json!({"topics": ["goods"], "contradicted": "annotate"}))).await;
    assert_eq!(app.say("c", "什么时候发货").await.action(), "incident");
    let annotated = app.say("c", "什么时候发货").await;
    assert_eq!(annotated.action(), "answer");
    assert_eq!(annotated.text(), "付款后两天内发出。节假日顺延。\n因华东暴雨，包裹晚到两天，抱歉。");
}

#[tokio::test]
async fn an_incident_touches_the_orders_of_its_days_only() {
    let app = TestApp::start_shop().await;
    let scope = json!({"ordered_from": "2026-11-10T00:00:00+08:00", "ordered_until": "2026-11-12T00:00:00+08:00"});
    app.open_incident("storm", storm(json!({ "scope": scope }))).await;
    for (ordered_at, action) in [
        (json!("2026-11-09T23:59:59+08:00"), "answer"),
        (json!("2026-11-10T00:00:00+08:00"), "incident"),
        (json!("2026-11-11T23:59:59+08:00"), "incident"),
        (json!("2026-11-12T00:00:00+08:00"), "answer"),
        (Value::Null, "answer"),
    ] {
        let context = json!({"context": {"ordered_at": ordered_at}});
        let said = app.say_with(&ordered_at.to_string(), "什么时候发货", context).await;
        assert_eq!(said.action(), action, "{ordered_at}");
    }
}

#[tokio::test]
async fn customers_are_told_in_words_when_it_is_expected_to_be_over() {
    let app = Plan::editable_shop().start().await;
    let script = app.read_faq("scripts.toml").replace(
        "wordings = [\"因{{ cause }}，{{ effect }}，抱歉。\"]",
        "wordings = [\"因{{ cause }}，{{ effect }}，预计{{ expected_end }}恢复。\"]\nfallback = \"因{{ cause }}，{{ effect }}。\"",
    );
    app.write_faq("scripts.toml", script);
    assert_eq!(app.reload().await.status, 200);
    let local = now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
    let end = local.date().checked_add(1.day()).unwrap().at(18, 30, 0, 0).to_zoned(local.time_zone().clone()).unwrap();
    let passed = now() - SignedDuration::from_hours(1);
    for (expected_end, text) in [
        (json!(end.timestamp().to_string()), "因华东暴雨，包裹晚到两天，预计明天 18:30恢复。"),
        (Value::Null, "因华东暴雨，包裹晚到两天。"),
        (json!(passed.to_string()), "因华东暴雨，包裹晚到两天。"),
    ] {
        app.open_incident("storm", storm(json!({ "expected_end": expected_end }))).await;
        let told = app.say(&expected_end.to_string(), "什么时候发货").await;
        assert_eq!(told.text(), text, "{expected_end}");
    }
}

#[tokio::test]
async fn a_change_keeps_the_moment_of_opening() {
    let app = TestApp::start_shop().await;
    let opened = app.open_incident("storm", storm(json!({"owner": "amy", "approver": "ben"}))).await.json();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let changed = app.open_incident("storm", storm(json!({"effect": "包裹晚到三天"}))).await.json();
    assert_eq!(changed["opened_at"], opened["opened_at"]);
    assert_eq!((&changed["effect"], &changed["owner"]), (&json!("包裹晚到三天"), &Value::Null), "as a whole");
    assert_eq!(app.get("/v1/incidents").await.json()["incidents"], json!([changed]));
    assert_eq!((&opened["owner"], &opened["approver"]), (&json!("amy"), &json!("ben")));
    app.close_incident("storm").await;
    let again = app.open_incident("storm", storm(json!({}))).await.json();
    assert_ne!(again["opened_at"], opened["opened_at"], "closed and opened is another one");
}

#[tokio::test]
async fn who_was_told_is_known_after_it_is_closed() {
    let app = TestApp::start_shop().await;
    app.open_incident("storm", storm(json!({}))).await;
    app.say("b", "什么时候发货").await;
    app.say("a", "什么时候发货").await;
    app.say("a", "会员日是哪天").await;
    let closed = app.close_incident("storm").await.json();
    app.say("late", "什么时候发货").await;
    let told = app.get("/v1/incidents/storm/told").await.json();
    assert_eq!(told, closed);
    let told = told["told"].as_array().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["conversation_id"], &told[0]["customer_id"]), (&json!("a"), &json!("customer of a")));
    assert_eq!((&told[1]["shop"], &told[1]["channel"]), (&json!("demo"), &json!("web")));
    assert!(told[0]["at"].is_string());
    assert_eq!(app.get("/v1/incidents/never/told").await.json()["told"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_an_incident_is_named() {
    let app = TestApp::start_shop().await;
    for more in [
        json!({"type": "earthquake"}),
        json!({"contradicted": "shout"}),
        json!({"topics": "goods"}),
        json!({"scope": {"shop": "demo"}}),
        json!({"scope": {"ordered_from": "yesterday"}}),
        json!({"expected_end": "soon"}),
        json!({"expires_at": 7}),
        json!({"closed_at": "2026-11-22T00:00:00Z"}),
        json!({"id": "other"}),
    ] {
        app.open_incident("storm", storm(more.clone())).await.problem(422, &more.to_string());
    }
    assert_eq!(app.get("/v1/incidents").await.json()["incidents"], json!([]));
}

#[tokio::test]
async fn subscribers_hear_of_an_incident_when_it_is_opened_changed_and_closed() {
    let receiver = StandIn::that(Answer::status("204 No Content")).await;
    let config = subscriber(&receiver, "duty", &["incident"], "shops = [\"demo\"]");
    let app = Plan::shop().with_config(&config).start().await;
    app.open_incident("theirs", storm(json!({"scope": {"shop": ["other"]}}))).await;
    app.open_incident("storm", storm(json!({}))).await;
    app.open_incident("storm", storm(json!({"effect": "包裹晚到三天"}))).await;
    app.close_incident("storm").await;
    app.close_incident("theirs").await;
    let mut pushes: Vec<Value> = receiver.after(3).await.iter().map(crate::stand_in::Request::json).collect();
    pushes.sort_by_key(|push| push["timestamp"].as_str().unwrap().to_owned());
    let data = |number: usize| &pushes[number]["data"];
    assert!(pushes.iter().all(|push| push["type"] == "incident" && push["data"]["incident"]["id"] == "storm"));
    assert_eq!([&data(0)["state"], &data(1)["state"], &data(2)["state"]], ["open", "open", "closed"]);
    assert_eq!(data(1)["incident"]["effect"], "包裹晚到三天");
    assert_eq!(data(1)["incident"]["closed_at"], Value::Null);
    assert!(data(2)["incident"]["closed_at"].is_string(), "{}", data(2));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.requests().len(), 3, "nothing of another shop");
}

#[tokio::test]
async fn an_incident_expires_by_itself() {
    let receiver = StandIn::that(Answer::status("204 No Content")).await;
    let config = subscriber(&receiver, "duty", &["incident"], "");
    let app = Plan::shop().with_config(&config).start().await;
    let soon = now() + SignedDuration::from_millis(200);
    app.open_incident("storm", storm(json!({ "expires_at": soon.to_string() }))).await;
    assert_eq!(app.say("during", "什么时候发货").await.action(), "incident");
    tokio::time::sleep(Duration::from_millis(220)).await;
    assert_eq!(app.say("after", "什么时候发货").await.action(), "answer");
    assert_eq!(app.get("/v1/incidents").await.json()["incidents"], json!([]), "it is not open any more");
    // What is not urgent is seen to once a minute, and when a service starts.
    let next = Plan::shop().with_config(&config).beside(&app).start().await;
    let started = Instant::now();
    while next.bot.store().incidents(true).await.unwrap()[0].closed_at.is_none() {
        assert!(started.elapsed() < Duration::from_secs(10), "it is not closed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pushes = receiver.after(2).await;
    assert_eq!(pushes[1].json()["data"]["state"], "closed");
    app.close_incident("storm").await.problem(404, "it is closed");
    let told = app.get("/v1/incidents/storm/told").await.json();
    assert_eq!(told["told"][0]["conversation_id"], "during");
}
