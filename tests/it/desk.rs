//! Agents and the queue: who is there decides what customers hear, and who waits longest stands first.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Decision, Plan, TestApp, with};

/// What a known customer hears to a question that no entry answers.
async fn hears(app: &TestApp, conversation: &str) -> Decision {
    hears_with(app, conversation, json!({})).await
}

async fn hears_with(app: &TestApp, conversation: &str, context: Value) -> Decision {
    let more = json!({ "context": context });
    app.say_with(conversation, "在吗", more.clone()).await;
    app.say_with(conversation, "我有点事想商量", more).await
}

async fn desk(app: &TestApp) -> Value {
    app.get("/v1/agents?shop=demo").await.json()
}

#[tokio::test]
async fn presence_decides_whether_customers_hear_that_agents_are_free_busy_or_gone() {
    let app = TestApp::start_shop().await;
    assert_eq!(hears(&app, "nobody-known").await.summary(), "silent queued -");
    assert_eq!(desk(&app).await["state"], Value::Null);
    for (presence, state, summary) in [
        ("busy", "busy", "wait agents_busy waiting"),
        ("away", "off_hours", "off_hours outside_hours off-hours"),
        ("online", "free", "silent queued -"),
    ] {
        let answer = app.agent("amy", presence, json!({})).await;
        assert_eq!((answer.status, &answer.json()["presence"]), (200, &json!(presence)), "{}", answer.body);
        assert_eq!(hears(&app, presence).await.summary(), summary, "{presence}");
        assert_eq!(desk(&app).await["state"], state, "{presence}");
    }
}

#[tokio::test]
async fn an_agent_who_holds_as_much_as_they_can_is_busy() {
    let app = TestApp::start_shop().await;
    app.agent("amy", "online", json!({"capacity": 1})).await;
    app.say("held", "在吗").await;
    app.moved("held", "takeover", "amy").await;
    assert_eq!(desk(&app).await["agents"][0]["load"], 1);
    assert_eq!(desk(&app).await["state"], "busy");
    let waits = hears(&app, "next").await;
    assert_eq!(waits.text(), "前面还有1位，请稍候。", "the place is known from the queue");
    let all = desk(&app).await["desks"].clone();
    let shares: Vec<&str> = all.as_array().unwrap().iter().map(|desk| desk["audience"].as_str().unwrap()).collect();
    assert_eq!(shares, ["pre-sale", "after-sale", "assist"]);
    let share = json!({"audience": "pre-sale", "state": "busy", "agents": 1, "load": 1, "room": 0, "queued": 0});
    assert_eq!(all[0], share, "amy sits at every desk; who waits has named none");
    app.moved("held", "hand-back", "amy").await;
    assert_eq!(desk(&app).await["agents"][0]["load"], 0);
    assert_eq!(hears(&app, "after").await.summary(), "silent queued -");
    app.agent("amy", "online", json!({"capacity": 0})).await;
    assert_eq!(hears(&app, "none").await.reason(), "agents_busy", "an agent who takes nobody");
}

#[tokio::test]
async fn agents_of_other_desks_help_out_where_the_shop_lets_them() {
    for (overflow, reason) in [(true, "queued"), (false, "agents_busy")] {
        let app = Plan::shop().with_config(&format!("[defaults]\noverflow = {overflow}\n")).start().await;
        app.agent("amy", "busy", json!({"audiences": ["pre-sale"]})).await;
        app.agent("ben", "online", json!({"audiences": ["after-sale"]})).await;
        let before = hears_with(&app, "before", json!({"audience": "pre-sale"})).await;
        assert_eq!(before.reason(), reason, "overflow = {overflow}");
        let after = hears_with(&app, "after", json!({"audience": "after-sale"})).await;
        assert_eq!(after.reason(), "queued", "overflow = {overflow}");
    }
}

#[tokio::test]
async fn what_the_channel_says_of_the_agents_stands_above_their_presence() {
    let app = TestApp::start_shop().await;
    app.agent("amy", "online", json!({})).await;
    assert_eq!(hears_with(&app, "c", json!({"agents": "busy"})).await.reason(), "agents_busy");
}

#[tokio::test]
async fn outside_the_hours_and_off_duty_nobody_is_there_whatever_they_say() {
    for (config, state, reason) in [
        ("hours = { daily = [] }", "off_hours", "outside_hours"),
        ("rosters = { amy = { daily = [] } }", "off_hours", "outside_hours"),
        ("busy_hours = { daily = [\"00:00-24:00\"] }", "busy", "agents_busy"),
    ] {
        let app = Plan::shop().with_config(&format!("[defaults]\n{config}\n")).start().await;
        app.agent("amy", "online", json!({})).await;
        assert_eq!(hears(&app, "c").await.reason(), reason, "{config}");
        assert_eq!(desk(&app).await["state"], state, "as a message would find it now: {config}");
    }
}

#[tokio::test]
async fn agents_are_added_changed_listed_and_taken_off() {
    let app = TestApp::start_shop().await;
    app.agent("ben", "online", json!({"capacity": 2, "audiences": ["assist"]})).await;
    app.agent("amy", "busy", json!({})).await;
    app.agent("amy", "away", json!({})).await;
    app.agent("zoe", "online", json!({"shop": "other"})).await;
    let agents = desk(&app).await["agents"].as_array().unwrap().clone();
    let names: Vec<&str> = agents.iter().map(|agent| agent["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["amy", "ben"]);
    assert_eq!((&agents[0]["presence"], &agents[0]["capacity"]), (&json!("away"), &json!(5)));
    assert_eq!((&agents[1]["audiences"], &agents[1]["capacity"]), (&json!(["assist"]), &json!(2)));
    assert!(agents[0]["updated_at"].is_string());
    let remove = |path: &'static str| app.send(Method::DELETE, path, "");
    assert_eq!(remove("/v1/agents/amy?shop=demo").await.status, 204);
    remove("/v1/agents/amy?shop=demo").await.problem(404, "an agent who is gone");
    remove("/v1/agents/ben?shop=other").await.problem(404, "an agent of another shop");
    remove("/v1/agents/ben").await.problem(422, "of which shop?");
    assert_eq!(remove("/v1/agents/ben?shop=demo").await.status, 204);
    assert_eq!(hears(&app, "c").await.reason(), "queued", "the shop has no agents that are known, as before");
}

#[tokio::test]
async fn what_is_said_of_an_agent_is_checked() {
    let app = TestApp::start_shop().await;
    for capacity in [0, 1, 1_000] {
        assert_eq!(app.agent("amy", "online", json!({"capacity": capacity})).await.status, 200, "{capacity}");
    }
    for more in [
        json!({"capacity": 1_001}),
        json!({"capacity": -1}),
        json!({"capacity": 1.5}),
        json!({"capacity": "many"}),
        json!({"presence": "asleep"}),
        json!({"audiences": ["everybody"]}),
        json!({"audiences": "assist"}),
        json!({"mood": "good"}),
        json!({"shop": " "}),
        json!({"shop": null}),
    ] {
        app.agent("amy", "online", more.clone()).await.problem(422, &more.to_string());
    }
    app.send(Method::PUT, "/v1/agents/amy", "online").await.problem(400, "no JSON");
    app.agent("%20", "online", json!({})).await.problem(422, "an id of white space");
    app.agent(&"a".repeat(129), "online", json!({})).await.problem(422, "an id that is too long");
    assert_eq!(desk(&app).await["agents"][0]["capacity"], 1_000, "the last good word holds");
}

#[tokio::test]
async fn an_unknown_shop_has_no_desk() {
    let app = Plan::shop().with_config("[shops.demo]\n").start().await;
    for path in ["/v1/agents?shop=stranger", "/v1/queue?shop=stranger", "/v1/ledger?shop=stranger"] {
        let problem = app.get(path).await.problem(404, path);
        assert!(problem["detail"].as_str().unwrap().contains("stranger"), "{problem}");
    }
    app.agent("amy", "online", json!({"shop": "stranger"})).await.problem(404, "an agent of an unknown shop");
    for path in ["/v1/agents", "/v1/queue", "/v1/ledger"] {
        app.get(path).await.problem(422, path);
    }
}

#[tokio::test]
async fn who_has_the_least_time_left_stands_first_in_the_queue() {
    let app = TestApp::start_shop().await;
    for conversation in ["first", "second", "third"] {
        app.say(conversation, if conversation == "second" { "转人工" } else { "我有点事想商量" }).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    app.say_with("elsewhere", "转人工", json!({"shop": "other"})).await;
    app.say("answered", "什么时候发货").await;
    app.say("first", "有人吗").await;
    let queue = app.get("/v1/queue?shop=demo").await.json()["queue"].as_array().unwrap().clone();
    let waiting: Vec<&str> = queue.iter().map(|waiting| waiting["conversation_id"].as_str().unwrap()).collect();
    assert_eq!(waiting, ["first", "second", "third"], "by what is left, not by who wrote last");
    assert_eq!(queue.iter().map(|waiting| &waiting["handed_over"]).collect::<Vec<_>>(), [false, true, false]);
    for waiting in &queue {
        let seconds = waiting["seconds_left"].as_i64().unwrap();
        assert!((295..=300).contains(&seconds), "five minutes: {waiting}");
        for field in ["deadline", "queued_since", "waiting_for_human_since"] {
            assert!(waiting[field].is_string(), "{field}: {waiting}");
        }
    }
    app.say_with("first", "我来了", json!({"type": "agent_message", "agent_id": "amy"})).await;
    app.happens("second", "closed").await;
    let queue = app.get("/v1/queue?shop=demo").await.json()["queue"].clone();
    assert_eq!(queue.as_array().unwrap().len(), 1, "who was answered or has gone does not wait: {queue}");
}

#[tokio::test]
async fn a_queue_of_more_than_a_page_shows_those_who_have_waited_longest() {
    let app = TestApp::start_shop().await;
    for number in 0..505 {
        let more = json!({"customer_id": format!("u-{number}")});
        app.say_with(&format!("c-{number:03}"), "转人工", with(more, json!({"message_id": format!("q-{number}")})))
            .await;
    }
    let queue = app.get("/v1/queue?shop=demo").await.json()["queue"].as_array().unwrap().clone();
    assert_eq!(queue.len(), 500);
    assert_eq!(queue[0]["conversation_id"], "c-000", "nobody is overlooked for being patient");
}
