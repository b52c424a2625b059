//! Web chat: a visitor's own conversation, its history and its stream, and the pages in a real browser.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use yingda::bot::{moment, now};
use yingda::channel::hook::Request;

use crate::clients::{node, plays};
use crate::harness::{Answer, Plan, TestApp, client};

const QUICK: &str = "[[channels]]\nname = \"chat\"\nshop = \"demo\"\ntype = \"web\"\ndebounce_ms = 0\n";

async fn app() -> TestApp {
    Plan::shop().with_config(QUICK).start().await
}

async fn session(app: &TestApp) -> String {
    let answer = app.send(Method::POST, "/chat/chat/sessions", "{}").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["session"].as_str().unwrap().to_owned()
}

async fn say(app: &TestApp, session: &str, id: &str, text: &str) -> Answer {
    let body = json!({ "message_id": id, "text": text }).to_string();
    app.send_as(Some(session), Method::POST, "/chat/chat/messages", body).await
}

async fn read(app: &TestApp, session: &str, query: &str) -> Vec<Value> {
    let answer = app.send_as(Some(session), Method::GET, &format!("/chat/chat/messages{query}"), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["messages"].as_array().unwrap().clone()
}

fn said(messages: &[Value]) -> Vec<(&str, &str)> {
    messages.iter().map(|message| (message["from"].as_str().unwrap(), message["id"].as_str().unwrap())).collect()
}

/// A stream of messages.
struct Ear(Response, String);

impl Ear {
    async fn open(app: &TestApp, session: &str, query: &str) -> Self {
        let url = format!("{}/chat/chat/events{query}", app.base);
        let response = client().get(url).bearer_auth(session).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response, String::new())
    }

    /// The next message, within five seconds.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                self.1 = rest.to_owned();
                let Some(data) = data else { continue };
                return serde_json::from_str(&data).unwrap();
            }
            let more = tokio::time::timeout(Duration::from_secs(5), self.0.chunk()).await.expect("a message in time");
            self.1.push_str(&String::from_utf8_lossy(&more.unwrap().expect("the stream goes on")));
        }
    }
}

#[tokio::test]
async fn a_visitor_reads_the_own_message_and_its_answer() {
    let app = app().await;
    let visitor = session(&app).await;
    assert_eq!(say(&app, &visitor, "m-1", "什么时候发货").await.status, 202);
    let messages = read(&app, &visitor, "").await;
    let [asked, answered] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(
        (&asked["from"], &asked["id"], &asked["text"]),
        (&json!("customer"), &json!("m-1"), &json!("什么时候发货"))
    );
    assert_eq!((&answered["from"], &answered["seq"]), (&json!("bot"), &asked["seq"]));
    assert!(answered["text"].as_str().unwrap().contains("发"));
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_there_once() {
    let app = app().await;
    let visitor = session(&app).await;
    let write = || say(&app, &visitor, "m-1", "什么时候发货");
    let (one, two, three) = tokio::join!(write(), write(), write());
    assert_eq!([one.status, two.status, three.status], [202; 3]);
    let body = json!({ "message_id": "m-1", "text": "什么时候发货" }).to_string();
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {visitor}").parse().unwrap());
    let request = Request { is_post: true, query: "", headers: &headers, body: body.as_bytes() };
    let a_day_later = moment(now() + jiff::SignedDuration::from_hours(25));
    let account = app.bot.account("chat").unwrap();
    assert_eq!(app.bot.hear(account, &request, a_day_later, 5_000).await.unwrap().status, 200);
    assert_eq!(read(&app, &visitor, "").await.len(), 2);
    assert_eq!(say(&app, &visitor, "m-1", "别的话").await.status, 409);
}

#[tokio::test]
async fn what_is_said_is_heard_at_once_and_an_agent_is_told_from_the_bot() {
    let app = app().await;
    let visitor = session(&app).await;
    let mut ear = Ear::open(&app, &visitor, "?after=0").await;
    say(&app, &visitor, "m-1", "什么时候发货").await;
    assert_eq!([ear.next().await["from"].clone(), ear.next().await["from"].clone()], ["customer", "bot"]);
    let conversations = app.get("/v1/conversations?shop=demo").await.json();
    let id = conversations["conversations"][0]["conversation_id"].as_str().unwrap().to_owned();
    assert!(!id.contains(&visitor), "who reads conversations cannot speak for a visitor");
    let agent = json!({ "shop": "demo", "channel": "chat", "conversation_id": id, "customer_id": id, "message_id": "a-1",
        "type": "agent_message", "text": "我来帮您查", "agent_id": "amy" });
    assert_eq!(app.post(&agent).await.status, 200);
    let heard = ear.next().await;
    assert_eq!((&heard["from"], &heard["text"]), (&json!("agent"), &json!("我来帮您查")));
}

#[tokio::test]
async fn a_stream_goes_on_where_the_last_one_ended_on_another_node_too() {
    let app = app().await;
    let visitor = session(&app).await;
    say(&app, &visitor, "m-1", "什么时候发货").await;
    let other = Plan::shop().with_config(QUICK).beside(&app).start().await;
    let mut ear = Ear::open(&other, &visitor, "?after=1").await;
    say(&app, &visitor, "m-2", "可以退货吗").await;
    assert_eq!(ear.next().await["id"], "m-2");
    assert_eq!(said(&read(&other, &visitor, "?after=1").await)[0], ("customer", "m-2"));
    assert!(!read(&other, &visitor, &format!("?after={}", u64::MAX)).await.is_empty(), "counted anew");
}

#[tokio::test]
async fn a_menu_has_its_lines_as_options_and_one_of_them_is_answered() {
    let app = Plan::starter().with_config(QUICK).start().await;
    let visitor = session(&app).await;
    say(&app, &visitor, "m-1", "会员").await;
    let messages = read(&app, &visitor, "").await;
    let options = messages[1]["options"].as_array().unwrap();
    assert!(options.len() >= 2, "{messages:?}");
    say(&app, &visitor, "m-2", options[0].as_str().unwrap()).await;
    let messages = read(&app, &visitor, "?after=1").await;
    assert_eq!(messages[1]["options"], json!([]), "{messages:?}");
}

#[tokio::test]
async fn without_a_session_nothing_is_told() {
    let app = app().await;
    let visitor = session(&app).await;
    say(&app, &visitor, "m-1", "什么时候发货").await;
    let other = session(&app).await;
    assert!(read(&app, &other, "").await.is_empty());
    let made_up = "A".repeat(43);
    for shown in [None, Some("nonsense"), Some(&visitor[1..]), Some(&made_up[..])] {
        for (method, path) in [(Method::GET, "messages"), (Method::GET, "events"), (Method::POST, "messages")] {
            let answer = app.send_as(shown, method, &format!("/chat/chat/{path}"), "{}").await;
            answer.problem(401, path);
        }
    }
    app.send(Method::POST, "/chat/nobody/sessions", "{}").await.problem(404, "no such account");
}

#[tokio::test]
async fn a_message_that_cannot_be_is_told_why() {
    let app = app().await;
    let visitor = session(&app).await;
    for (body, says) in [
        (json!({ "text": "x" }), "message_id"),
        (json!({ "message_id": "m", "text": " " }), "empty"),
        (json!({ "message_id": "a b", "text": "x" }), "message_id"),
        (json!({ "message_id": "m", "text": "货".repeat(5_001) }), "5000"),
    ] {
        let answer = app.send_as(Some(&visitor), Method::POST, "/chat/chat/messages", body.to_string()).await;
        let problem = answer.problem(422, says);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    assert_eq!(say(&app, &visitor, "m", &"货".repeat(5_000)).await.status, 202);
    let large = format!("{{\"message_id\":\"n\",\"text\":\"{}\"}}", "货".repeat(30_000));
    let answer = app.send_as(Some(&visitor), Method::POST, "/chat/chat/messages", large).await;
    answer.problem(413, "more than a body may be");
    assert!(said(&read(&app, &visitor, "").await).iter().all(|(_, id)| *id != "n"));
}

#[tokio::test]
async fn a_visitor_who_writes_too_much_is_slowed_and_others_are_not() {
    let config = format!("{QUICK}messages_per_minute = 5\n");
    let app = Plan::shop().with_config(&config).start().await;
    let (loud, other) = (session(&app).await, session(&app).await);
    let mut answers = Vec::new();
    for number in 0..7 {
        answers.push(say(&app, &loud, &format!("m-{number}"), "在吗").await.status);
    }
    assert_eq!(answers, [202, 202, 202, 202, 202, 429, 429]);
    assert_eq!(say(&app, &other, "m-0", "在吗").await.status, 202);
    let body = json!({ "message_id": "m-9", "text": "在吗" }).to_string();
    let answer = app.send_as(Some(&loud), Method::POST, "/channels/chat", body).await;
    assert_eq!(answer.status, 404, "there is no second door");
}

#[tokio::test]
async fn an_erased_visitor_is_heard_again_by_the_stream_that_is_open() {
    let app = app().await;
    let visitor = session(&app).await;
    for number in 0..3 {
        say(&app, &visitor, &format!("m-{number}"), "什么时候发货").await;
    }
    let mut ear = Ear::open(&app, &visitor, "?after=3").await;
    let conversations = app.get("/v1/conversations?shop=demo").await.json();
    let id = conversations["conversations"][0]["customer_id"].as_str().unwrap().to_owned();
    let erased = app.send(Method::DELETE, &format!("/v1/customers/{id}?shop=demo&channel=chat"), "").await;
    assert_eq!(erased.status, 200, "{}", erased.body);
    say(&app, &visitor, "m-new", "可以退货吗").await;
    assert_eq!(ear.next().await["id"], "m-new");
    assert_eq!(said(&read(&app, &visitor, "?after=3").await)[0], ("customer", "m-new"));
}

#[tokio::test]
async fn only_so_many_chats_listen_at_once() {
    let app = Plan::shop().with_config(&format!("{QUICK}[limits]\nstreams = 2\n")).start().await;
    let visitor = session(&app).await;
    let (one, two) = (Ear::open(&app, &visitor, "").await, Ear::open(&app, &visitor, "").await);
    let events = || app.send_as(Some(&visitor), Method::GET, "/chat/chat/events", "");
    events().await.problem(503, "a third");
    drop((one, two));
    for _ in 0..100 {
        let url = format!("{}/chat/chat/events", app.base);
        if client().get(url).bearer_auth(&visitor).send().await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a place is free again");
}

#[tokio::test]
async fn one_visitor_does_not_take_all_places() {
    let app = app().await;
    let visitor = session(&app).await;
    let mut tabs = Vec::new();
    for _ in 0..10 {
        tabs.push(Ear::open(&app, &visitor, "").await);
    }
    app.send_as(Some(&visitor), Method::GET, "/chat/chat/events", "").await.problem(429, "an eleventh tab");
    drop(Ear::open(&app, &session(&app).await, "").await);
}

#[tokio::test]
async fn the_page_runs_nothing_but_its_own_files_and_only_named_sites_may_frame_it() {
    let config = format!("{QUICK}title = \"<b>小店</b>\"\norigins = [\"https://shop.example.com\"]\n");
    let app = Plan::shop().with_config(&config).start().await;
    let page = app.get("/chat/chat?embed=1").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.body.contains("&lt;b&gt;小店&lt;/b&gt;") && !page.body.contains("<b>"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert!(policy.ends_with("frame-ancestors 'self' https://shop.example.com"), "{policy}");
    assert!(!page.body.contains("{{") && !page.body.contains("<style") && !page.body.contains("style="));
    for file in ["chat.css", "chat.js", "view.js", "widget.js"] {
        let answer = app.get(&format!("/chat/chat/{file}")).await;
        assert_eq!((answer.status, answer.header("x-content-type-options")), (200, "nosniff"), "{file}");
    }
    app.get("/chat/chat/secret.js").await.problem(404, "no such file");
    assert!(app.get("/chat").await.body.contains("</html>"), "the first chat is found");
}

#[tokio::test]
async fn a_service_without_configuration_has_a_chat_and_one_with_shops_has_the_configured_ones() {
    let app = Plan::shop().start().await;
    assert_eq!(app.get("/chat").await.status, 200);
    let app = Plan::shop().with_config("[shops.a]\n").start().await;
    app.get("/chat").await.problem(404, "none is configured");
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn people_chat_in_a_real_browser() {
    let app = Plan::starter().start().await;
    let seen = plays(node("chat.mjs"), json!({ "base": format!("{}/chat/chat", app.base) })).await;
    assert_eq!(seen["failed"], json!({}), "{seen}");
    assert!(seen["passed"].as_array().unwrap().len() >= 14, "{seen}");
}
