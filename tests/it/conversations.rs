//! Conversations as agents and auditors see them: listed, read, exported, taken over and handed back.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Plan, TestApp, message, with};

/// Ids of the conversations of a list.
fn ids(list: &Answer) -> Vec<String> {
    assert_eq!(list.status, 200, "{}", list.body);
    let conversations = list.json()["conversations"].as_array().unwrap().clone();
    conversations.iter().map(|listed| listed["conversation_id"].as_str().unwrap().to_owned()).collect()
}

/// Says something in each conversation, a moment apart.
async fn say_in(app: &TestApp, conversations: &[&str], text: &str) {
    for conversation in conversations {
        app.say(conversation, text).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

#[tokio::test]
async fn conversations_are_listed_last_changed_first() {
    let app = TestApp::start_shop().await;
    say_in(&app, &["a", "b", "c", "a"], "什么时候发货").await;
    let list = app.get("/v1/conversations").await;
    assert_eq!(ids(&list), ["a", "c", "b"]);
    let first = &list.json()["conversations"][0];
    assert_eq!(first["shop"], "demo");
    assert_eq!(first["channel"], "web");
    assert_eq!(first["customer_id"], "customer of a");
    assert_eq!(first["phase"]["name"], "bot");
    assert_eq!(first["events"], 2);
    assert_eq!(first["waiting_since"], Value::Null, "a reply has gone out");
    assert!(first["waiting_for_human_since"].is_string());
}

#[tokio::test]
async fn a_list_is_narrowed_by_shop_phase_and_customer() {
    let app = TestApp::start_shop().await;
    say_in(&app, &["asks"], "什么时候发货").await;
    say_in(&app, &["queued"], "转人工").await;
    app.say_with("elsewhere", "在吗", json!({"shop": "other"})).await;
    app.happens("over", "closed").await;
    assert_eq!(app.moved("asks", "takeover", "amy").await.status, 200);
    for (query, found) in [
        ("shop=other", vec!["elsewhere"]),
        ("shop=demo&phase=queued", vec!["queued"]),
        ("phase=assigned", vec!["asks"]),
        ("phase=closed", vec!["over"]),
        ("phase=new", vec![]),
        ("customer_id=customer%20of%20queued", vec!["queued"]),
        ("customer_id=nobody", vec![]),
        ("shop=nowhere", vec![]),
    ] {
        assert_eq!(ids(&app.get(&format!("/v1/conversations?{query}")).await), found, "{query}");
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let app = TestApp::start_shop().await;
    say_in(&app, &["1", "2", "3", "4", "5"], "在吗").await;
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = app.get(&format!("/v1/conversations?{query}")).await;
        let found = ids(&page);
        let Some(last) = page.json()["conversations"].as_array().unwrap().last().cloned() else { break };
        assert!(found.len() <= 2);
        seen.extend(found);
        query = format!("limit=2&before={}", last["updated_at"].as_str().unwrap());
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn wrong_parameters_of_a_list_are_named() {
    let app = TestApp::start_shop().await;
    for (query, told) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("phase=lost", "phase"),
        ("before=yesterday", "before"),
    ] {
        let problem = app.get(&format!("/v1/conversations?{query}")).await.problem(422, query);
        assert!(problem["detail"].as_str().unwrap().contains(told), "{query}: {problem}");
    }
    assert_eq!(app.get("/v1/conversations?limit=500").await.status, 200);
}

#[tokio::test]
async fn a_conversation_is_read_with_its_timers() {
    let app = TestApp::start_shop().await;
    app.say("c", "什么时候发货").await;
    let path = "/v1/conversations/c?shop=demo&channel=web";
    assert_eq!(app.get(path).await.json()["timers"], json!([]));
    app.moved("c", "takeover", "amy").await;
    let read = app.get(path).await.json();
    assert_eq!((&read["phase"]["name"], &read["phase"]["agent"]), (&json!("assigned"), &json!("amy")));
    let [timer] = &read["timers"].as_array().unwrap()[..] else { panic!("one timer: {read}") };
    assert_eq!(timer["kind"], "hand_back");
    assert!(timer["due"].is_string());
    let listed = app.get("/v1/timers?shop=demo").await.json();
    let [running] = &listed["timers"].as_array().unwrap()[..] else { panic!("one timer: {listed}") };
    assert_eq!((&running["kind"], &running["due"]), (&timer["kind"], &timer["due"]));
    assert_eq!((&running["conversation_id"], &running["channel"]), (&json!("c"), &json!("web")));
    assert!((29 * 60..=30 * 60).contains(&running["seconds_left"].as_i64().unwrap()), "{running}");
    assert_eq!(app.get("/v1/timers?shop=demo&minutes=29").await.json()["timers"], json!([]));
    assert_eq!(app.get("/v1/timers?shop=other").await.json()["timers"], json!([]));
}

#[tokio::test]
async fn an_unpaid_order_s_reminder_is_among_what_will_happen() {
    let config = "[defaults]\nquiet_hours = { daily = [] }\n[[webhooks]]\nname = \"line\"\nurl = \"http://127.0.0.1:9/\"\n\
                  allow_private = true\nevents = [\"reply\"]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let app = Plan::shop().with_config(config).start().await;
    app.happens("c", "order_unpaid").await;
    let timers = app.get("/v1/timers?shop=demo").await.json();
    assert_eq!(timers["timers"][0]["kind"], "unpaid", "{timers}");
    app.happens("c", "order_paid").await;
    assert_eq!(app.get("/v1/timers?shop=demo").await.json()["timers"], json!([]), "the payment came");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    for path in [
        "/v1/conversations/d?shop=demo&channel=web",
        "/v1/conversations/c?shop=other&channel=web",
        "/v1/conversations/c?shop=demo&channel=app",
        "/v1/conversations/d/events?shop=demo&channel=web",
        "/v1/conversations/c/events?shop=demo&channel=app",
    ] {
        app.get(path).await.problem(404, path);
    }
    for path in [
        "/v1/conversations/c",
        "/v1/conversations/c?shop=demo",
        "/v1/conversations/c/events?channel=web",
        "/v1/conversations/c/events?shop=demo&channel=web&masked=perhaps",
        "/v1/conversations/c/events?shop=demo&channel=web&limit=0",
        "/v1/conversations/c/events?shop=demo&channel=web&from=-1",
        "/v1/timers",
        "/v1/timers?shop=demo&minutes=soon",
        "/v1/timers?shop=demo&limit=501",
    ] {
        app.get(path).await.problem(422, path);
    }
}

/// The export of a conversation.
async fn exported(app: &TestApp, conversation: &str, more: &str) -> Value {
    let answer = app.get(&format!("/v1/conversations/{conversation}/events?shop=demo&channel=web{more}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn an_export_holds_every_event_and_every_decision_as_they_were() {
    let app = TestApp::start_shop().await;
    let event = with(message("c", "什么时候发货"), json!({"context": {"carrier": "顺丰"}, "agent_id": null}));
    let first = app.post(&event).await;
    app.happens("c", "order_paid").await;
    let export = exported(&app, "c", "").await;
    assert_eq!(export["customer_id"], "customer of c");
    assert_eq!(export["next"], Value::Null);
    let events = export["events"].as_array().unwrap();
    assert_eq!(events.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(events[0]["decision"], first.json());
    assert_eq!(events[0]["event"]["text"], "什么时候发货");
    assert_eq!(events[0]["event"]["context"]["carrier"], "顺丰");
    assert_eq!(events[1]["event"]["kind"], "order_paid");
    assert!(events[0]["received_at"].is_string());
}

#[tokio::test]
async fn an_export_is_read_page_by_page() {
    let app = TestApp::start_shop().await;
    for _ in 0..5 {
        app.say("c", "在吗").await;
    }
    let (mut seen, mut from) = (Vec::new(), Some(0));
    while let Some(start) = from {
        let page = exported(&app, "c", &format!("&limit=2&from={start}")).await;
        let events = page["events"].as_array().unwrap();
        assert!((1..=2).contains(&events.len()), "no page is empty: {page}");
        seen.extend(events.iter().map(|event| event["seq"].as_u64().unwrap()));
        from = page["next"].as_u64();
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let all = exported(&app, "c", "&limit=5").await;
    assert_eq!(all["next"], Value::Null, "the last page says that it is");
}

#[tokio::test]
async fn an_export_tells_the_version_of_each_wording_that_was_sent() {
    let app = Plan::editable_shop().start().await;
    let versions = |decision: &Value| (decision["entry_version"].clone(), decision["script_version"].clone());
    let (entry, script) = versions(&app.say("a", "什么时候发货").await.0);
    for version in [&entry, &script] {
        let text = version.as_str().expect("a version");
        assert!(text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    }
    let silent = app.say("a", "谢谢").await.0;
    assert_eq!(versions(&silent), (Value::Null, Value::Null), "nothing was sent");

    let restarted = Plan::editable_shop().beside(&app).start().await;
    assert_eq!(exported(&restarted, "a", "").await, exported(&app, "a", "").await);
    assert_eq!(versions(&restarted.say("b", "什么时候发货").await.0), (entry.clone(), script.clone()));

    app.write_faq("goods.toml", app.read_faq("goods.toml").replace("付款后两天内发出", "付款后三天内发出"));
    assert_eq!(app.reload().await.status, 200);
    let (newer, same) = versions(&app.say("d", "什么时候发货").await.0);
    assert_ne!(newer, entry, "the answer was changed");
    assert_eq!(same, script, "the greeting was not");
    app.write_faq("scripts.toml", app.read_faq("scripts.toml").replace("欢迎，现在", "您好，现在"));
    assert_eq!(app.reload().await.status, 200);
    assert_ne!(versions(&app.say("e", "什么时候发货").await.0).1, script, "the greeting was changed");
    let kept = exported(&app, "a", "").await["events"][0]["decision"].clone();
    assert_eq!(versions(&kept), (entry, script), "what was sent stays what was sent");
}

#[tokio::test]
async fn a_masked_export_hides_personal_data_in_texts_and_decisions_and_nothing_else() {
    let app = TestApp::start_shop().await;
    let number = "13812345678";
    let context = json!({"context": {"tracking_no": number, "carrier": "顺丰"}, "customer_id": number});
    let said = app.say_with("c", "我的包裹到哪里了", context.clone()).await;
    assert!(said.text().contains(number), "{}", said.text());
    app.say_with("c", &format!("我的手机是{number}，会员日是哪天"), context).await;
    let plain = exported(&app, "c", "").await;
    assert_eq!(plain.to_string().matches(number).count(), 7, "{plain}");
    let masked = exported(&app, "c", "&masked=true").await;
    assert!(!masked.to_string().contains(number), "{masked}");
    let events = masked["events"].as_array().unwrap();
    assert!(events[0]["decision"]["replies"][0]["text"].as_str().unwrap().contains("〔手机〕"), "{masked}");
    assert!(events[1]["event"]["text"].as_str().unwrap().starts_with("我的手机是〔手机〕"), "{masked}");
    assert_eq!(events[0]["event"]["context"]["carrier"], "顺丰");
    for field in ["entry_version", "script_version", "generation", "reason", "deadlines", "candidates", "phase"] {
        assert_eq!(events[0]["decision"][field], plain["events"][0]["decision"][field], "{field}");
    }
    assert_eq!(events[0]["decision"]["replies"][0]["id"], plain["events"][0]["decision"]["replies"][0]["id"]);
}

#[tokio::test]
async fn who_takes_a_conversation_over_silences_the_bot_until_it_is_handed_back() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let taken = app.moved("c", "takeover", "amy").await.decision();
    assert_eq!(taken.summary(), "silent human_moved -");
    assert_eq!(taken.0["phase"], "assigned");
    assert_eq!(app.say("c", "什么时候发货").await.summary(), "silent human_active -");
    let over = app.moved("c", "takeover", "ben").await.decision();
    assert_eq!(over.0["phase"], "assigned");
    let read = app.get("/v1/conversations/c?shop=demo&channel=web").await.json();
    assert_eq!(read["phase"]["agent"], "ben", "another agent has it now");
    let back = app.moved("c", "hand-back", "ben").await.decision();
    assert_eq!((back.reason(), &back.0["phase"]), ("human_moved", &json!("bot")));
    assert_eq!(app.say("c", "什么时候发货").await.action(), "answer");
    let kinds: Vec<Value> = exported(&app, "c", "").await["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["event"]["kind"].clone())
        .collect();
    assert_eq!(kinds, ["message", "takeover", "message", "takeover", "hand_back", "message"]);
}

#[tokio::test]
async fn what_cannot_be_taken_or_handed_back_is_said() {
    let app = TestApp::start_shop().await;
    app.moved("c", "takeover", "amy").await.problem(404, "a conversation that nobody began");
    app.moved("c", "hand-back", "amy").await.problem(404, "a conversation that nobody began");
    app.say("c", "在吗").await;
    let problem = app.moved("c", "hand-back", "amy").await.problem(409, "nobody has it");
    assert_eq!(problem["type"], "urn:yingda:conflict");
    let good = json!({"shop": "demo", "channel": "web", "agent_id": "amy"});
    for body in [
        json!({"shop": "demo", "channel": "web"}),
        json!({"agent_id": "amy"}),
        with(good.clone(), json!({"agent_id": " "})),
        with(good.clone(), json!({"agent_id": "a\nb"})),
        with(good.clone(), json!({"agent_id": "a".repeat(129)})),
        with(good.clone(), json!({"agent_id": 7})),
        with(good.clone(), json!({"until": "tomorrow"})),
        json!([good]),
    ] {
        for path in ["/v1/conversations/c/takeover", "/v1/conversations/c/hand-back"] {
            app.send(Method::POST, path, body.to_string()).await.problem(422, &body.to_string());
        }
    }
    app.send(Method::POST, "/v1/conversations/c/takeover", "amy").await.problem(400, "no JSON");
    let read = app.get("/v1/conversations/c?shop=demo&channel=web").await.json();
    assert_eq!(read["phase"]["name"], "bot", "nobody has taken it");
}
