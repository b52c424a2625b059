//! What is kept of customers: erased when they ask, deleted when it is old, and told once a day in numbers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan};
use reqwest::Method;
use serde_json::{Value, json};
use yingda::bot::now;
use yingda::conversation::store::ConversationFilter;

use crate::harness::{Answer, Plan, TestApp, message, with};
use crate::outbox::subscriber;
use crate::stand_in::{Answer as Reply, StandIn};

async fn erase(app: &TestApp, customer: &str) -> Answer {
    app.send(Method::DELETE, &format!("/v1/customers/{customer}?shop=demo&channel=web"), "").await
}

#[tokio::test]
async fn an_erased_customer_leaves_nothing_but_that_a_message_came() {
    let app = TestApp::start_shop().await;
    let known = json!({"customer_id": "u-1"});
    let event = with(message("c", "我的手机13812345678，什么时候发货"), known.clone());
    app.post(&event).await;
    app.say_with("d", "在吗", known.clone()).await;
    app.say("other", "在吗").await;
    let erased = erase(&app, "u-1").await;
    assert_eq!((erased.status, erased.json()), (200, json!({"conversations": 2, "events": 2, "pushes": 0})));
    for path in ["/v1/conversations/c?shop=demo&channel=web", "/v1/conversations/c/events?shop=demo&channel=web"] {
        app.get(path).await.problem(404, path);
    }
    let list = app.get("/v1/conversations").await.body;
    assert!(list.contains("other") && !list.contains("u-1"), "{list}");
    let again = app.post(&event).await;
    assert_eq!((again.status, again.is_duplicate()), (200, true), "a redelivery stays one: {}", again.body);
    assert!(!again.body.contains("13812345678"), "{}", again.body);
    app.get("/v1/conversations/c?shop=demo&channel=web").await.problem(404, "a redelivery opens nothing");
    assert_eq!(erase(&app, "u-1").await.json(), json!({"conversations": 0, "events": 0, "pushes": 0}));
}

#[tokio::test]
async fn an_erased_customer_who_writes_again_is_new_and_only_that_is_exported() {
    let app = TestApp::start_shop().await;
    let known = json!({"customer_id": "u-1"});
    for text in ["在吗", "什么时候发货", "会员日是哪天"] {
        app.say_with("c", text, known.clone()).await;
    }
    erase(&app, "u-1").await;
    let said = app.say_with("c", "在吗", known).await;
    assert_eq!(said.script(), "greeting", "nobody is known");
    let export = app.get("/v1/conversations/c/events?shop=demo&channel=web").await.json();
    let events = export["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{export}");
    assert_eq!((&events[0]["seq"], &events[0]["event"]["text"]), (&json!(1), &json!("在吗")));
}

#[tokio::test]
async fn an_erasure_touches_one_customer_of_one_shop_and_channel() {
    let app = TestApp::start_shop().await;
    let known = json!({"customer_id": "u-1"});
    app.say_with("a", "在吗", known.clone()).await;
    app.say_with("b", "在吗", with(known.clone(), json!({"shop": "other"}))).await;
    app.say_with("c", "在吗", with(known, json!({"channel": "app"}))).await;
    assert_eq!(erase(&app, "u-1").await.json()["conversations"], 1);
    let list = app.get("/v1/conversations").await.json();
    assert_eq!(list["conversations"].as_array().unwrap().len(), 2, "{list}");
    for path in ["/v1/customers/u-1", "/v1/customers/u-1?shop=demo", "/v1/customers/u-1?channel=web"] {
        app.send(Method::DELETE, path, "").await.problem(422, path);
    }
}

async fn kept(app: &TestApp, shop: &str) -> usize {
    let filter = ConversationFilter { shop: Some(shop.to_owned()), limit: 100, ..ConversationFilter::default() };
    app.bot.store().conversations(&filter).await.unwrap().len()
}

#[tokio::test]
async fn what_is_older_than_the_shop_keeps_is_deleted_by_itself() {
    let config = "[shops.demo]\nretention_days = 30\n[shops.other]\nregreet_hours = 6\n";
    let app = Plan::shop().with_config(config).start().await;
    let event = message("c", "什么时候发货");
    app.post(&event).await;
    app.say_with("d", "在吗", json!({"shop": "other"})).await;
    let in_days = |days: i64| now() + SignedDuration::from_hours(24 * days);
    app.bot.see_to_the_rest(in_days(29)).await.unwrap();
    assert_eq!(kept(&app, "demo").await, 1);
    app.bot.see_to_the_rest(in_days(31)).await.unwrap();
    assert_eq!((kept(&app, "demo").await, kept(&app, "other").await), (0, 1), "the other shop keeps everything");
    app.get("/v1/conversations/c/events?shop=demo&channel=web").await.problem(404, "it is gone");
    assert!(!app.post(&event).await.is_duplicate(), "after a month nothing is known of it");
}

/// Ten o'clock in Shanghai on the day after `now`.
fn tomorrow_at_ten() -> Timestamp {
    let local = now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
    let day = local.date().checked_add(1.day()).unwrap();
    day.at(10, 0, 0, 0).to_zoned(local.time_zone().clone()).unwrap().timestamp()
}

#[tokio::test]
async fn each_shop_s_day_is_told_once_in_numbers() {
    let duty = StandIn::that(Reply::status("204 No Content")).await;
    let config =
        subscriber(&duty, "duty", &["daily_digest"], "") + "[defaults]\nwindow = { daily = [\"00:00-24:00\"] }\n";
    let app = Plan::shop().with_config(&config).start().await;
    for (conversation, text) in [("a", "什么时候发货"), ("b", "什么时候发货"), ("c", "转人工"), ("c", "在吗")]
    {
        app.say(conversation, text).await;
    }
    app.say_with("d", "在吗", json!({"shop": "other"})).await;
    let today = now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()).date();
    // The service that runs may have made yesterday's by its own clock.
    let of_today = async |at: Timestamp| -> Vec<Value> {
        let pushes = app.bot.store().claim(at, at.into(), 100, &[]).await.unwrap();
        let bodies = pushes.iter().map(|push| serde_json::from_str::<Value>(&push.outgoing.body).unwrap());
        bodies.filter(|body| body["data"]["day"] == today.to_string()).collect()
    };
    let ten = tomorrow_at_ten();
    app.bot.see_to_the_rest(ten - SignedDuration::from_secs(3_601)).await.unwrap();
    assert!(of_today(ten).await.is_empty(), "nine o'clock is not yet");
    for _ in 0..2 {
        app.bot.see_to_the_rest(ten).await.unwrap();
    }
    let bodies = of_today(ten).await;
    assert_eq!(bodies.len(), 2, "one for each shop");
    let digest = &bodies.iter().find(|body| body["data"]["shop"] == "demo").unwrap()["data"];
    assert_eq!(digest["decisions"], json!({"exact_phrasing": 2, "asked_for_human": 1, "human_active": 1}));
    assert_eq!(digest["ledger"]["any"]["in_time"], 3, "{digest}");
    assert_eq!(digest["ledger"]["human"]["late"], 3, "the day is over: {digest}");
    assert_eq!(bodies[0]["type"], "daily_digest");
}

#[tokio::test]
async fn the_digest_of_yesterday_comes_once_however_often_the_service_starts() {
    let duty = StandIn::that(Reply::status("204 No Content")).await;
    let config = subscriber(&duty, "duty", &["daily_digest"], "") + "[defaults]\ndigest_at = \"00:00\"\n";
    let app = Plan::shop().with_config(&config).start().await;
    app.say("a", "什么时候发货").await;
    for _ in 0..2 {
        let _next = Plan::shop().with_config(&config).beside(&app).start().await;
        duty.after(1).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let [request] = &duty.requests()[..] else { panic!("one digest: {:?}", duty.requests()) };
    assert!(request.is_signed(now(), Duration::from_secs(60)));
    let digest = &request.json()["data"];
    assert_eq!((&digest["shop"], &digest["decisions"]), (&json!("demo"), &json!({})), "yesterday nobody wrote");
}
