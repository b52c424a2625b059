//! Whatever comes in, the answer is a clear problem document, nothing is stored, and the service goes on.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Answer, Plan, TestApp, message, with};

/// A body that is refused.
struct Bad {
    what: &'static str,
    body: Vec<u8>,
    status: u16,
}

fn bad(what: &'static str, status: u16, body: impl Into<Vec<u8>>) -> Bad {
    Bad { what, body: body.into(), status }
}

/// The event under test: its id is the same in every bad body, and must stay free.
fn good() -> Value {
    with(message("c", "什么时候发货"), json!({"message_id": "under-test"}))
}

fn changed(field: &str, value: Value) -> String {
    with(good(), json!({ field: value })).to_string()
}

fn without(field: &str) -> String {
    let mut event = good();
    event.as_object_mut().unwrap().remove(field);
    event.to_string()
}

/// The good event with the text replaced by raw JSON or raw bytes.
fn raw_text(literal: &[u8]) -> Vec<u8> {
    let body = changed("text", json!("@@")).into_bytes();
    let at = body.windows(4).position(|part| part == b"\"@@\"").unwrap();
    [&body[..at], literal, &body[at + 4..]].concat()
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn no_json() -> Vec<Bad> {
    let half = good().to_string();
    vec![
        bad("nothing at all", 400, ""),
        bad("not JSON", 400, "什么时候发货"),
        bad("half a body", 400, &half[..half.len() / 2]),
        bad("two bodies", 400, format!("{half}{half}")),
        bad("a form", 400, "shop=demo&text=hi"),
        bad("a trailing comma", 400, half.replacen('}', ",}", 1)),
        bad("invalid UTF-8", 400, raw_text(b"\"\xff\xfe\"")),
        bad("a cut character", 400, raw_text(b"\"\xe5\x8f\"")),
        bad("a lone leading surrogate", 400, raw_text(br#""\ud83d""#)),
        bad("a lone trailing surrogate", 400, raw_text(br#""\udc00""#)),
        bad("two leading surrogates", 400, raw_text(br#""\ud83d\ud83d""#)),
        bad("a raw control character", 400, raw_text(b"\"a\x00b\"")),
    ]
}

fn wrong_shapes() -> Vec<Bad> {
    let mut all = vec![
        bad("null", 422, "null"),
        bad("a text", 422, "\"hi\""),
        bad("a number", 422, "7"),
        bad("a list", 422, "[]"),
        bad("an empty object", 422, "{}"),
        bad("a nested list", 422, nested(10_000)),
        bad("an unclosed nest", 422, "[".repeat(10_000)),
        bad(
            "a nest in a known field",
            422,
            changed("context", json!("@@")).replace("\"@@\"", &"{\"a\":".repeat(10_000)),
        ),
        bad("a nested text", 422, raw_text(nested(10_000).as_bytes())),
        bad("the same field twice", 422, good().to_string().replacen('{', "{\"shop\":\"demo\",", 1)),
        bad("an unknown type", 422, changed("type", json!("telepathy"))),
        bad("a flag that is a text", 422, changed("sender_is_bot", json!("no"))),
        bad("a context that is a text", 422, changed("context", json!("busy"))),
        bad("a context with an unknown key", 422, changed("context", json!({"mood": "good"}))),
        bad("a negative queue position", 422, changed("context", json!({"queue_position": -1}))),
        bad("an unknown state of the agents", 422, changed("context", json!({"agents": "asleep"}))),
    ];
    for field in ["shop", "channel", "conversation_id", "customer_id", "message_id", "text"] {
        for value in [json!(7), json!(null), json!(["a"]), json!({"a": 1}), json!(true)] {
            all.push(bad("a field of the wrong type", 422, changed(field, value)));
        }
        all.push(bad("a missing field", 422, without(field)));
    }
    all
}

fn bad_values() -> Vec<Bad> {
    let mut all = vec![
        bad("an empty text", 422, changed("text", json!(""))),
        bad("a text of white space", 422, changed("text", json!(" \u{3000}\n\t"))),
        bad("a text beyond the limit", 422, changed("text", json!("发".repeat(5_001)))),
        bad("a megabyte of text", 413, changed("text", json!("发".repeat(350_000)))),
        bad("a megabyte of blanks", 413, format!("{}{}", good(), " ".repeat(1 << 20))),
    ];
    for field in ["shop", "channel", "conversation_id", "customer_id", "message_id"] {
        for value in ["", "   ", "a\nb", "a\u{0}b", "\u{85}"] {
            all.push(bad("an id that is none", 422, changed(field, json!(value))));
        }
        all.push(bad("an id that is too long", 422, changed(field, json!("x".repeat(129)))));
        all.push(bad("a megabyte of id", 413, changed(field, json!("x".repeat(1 << 20)))));
    }
    for time in [
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "-009999-01-02T00:00:00Z",
        "2999-01-01T00:00:00Z",
        "9999-12-30T00:00:00Z",
    ] {
        all.push(bad("a time that nobody believes", 422, changed("sent_at", json!(time))));
    }
    for no_time in [
        json!("99999-01-01T00:00:00Z"),
        json!("2026-13-45T99:99:99Z"),
        json!("yesterday"),
        json!("2026-11-22"),
        json!(""),
        json!(1_763_800_000),
        json!(-1),
        json!(1.5e300),
    ] {
        all.push(bad("a time that is none", 422, changed("sent_at", no_time.clone())));
        all.push(bad("an order time that is none", 422, changed("context", json!({"ordered_at": no_time}))));
    }
    all
}

#[tokio::test]
async fn a_bad_event_is_refused_with_a_problem_document_and_leaves_no_trace() {
    let app = TestApp::start_shop().await;
    let mut wrong = Vec::new();
    for bad in no_json().into_iter().chain(wrong_shapes()).chain(bad_values()) {
        let shown: String = String::from_utf8_lossy(&bad.body).chars().take(150).collect();
        let answer = app.post_bytes(bad.body).await;
        if answer.status == bad.status {
            answer.problem(bad.status, bad.what);
        } else {
            let said: String = answer.body.chars().take(150).collect();
            wrong.push(format!("{}: {} instead of {}\n  {shown}\n  {said}", bad.what, answer.status, bad.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let first = app.post(&good()).await;
    assert!(!first.is_duplicate(), "a refused event had been stored");
    assert_eq!(first.decision().script(), "greeting", "a refused event had opened the conversation");
}

#[tokio::test]
async fn a_list_of_values_is_no_event() {
    let app = TestApp::start_shop().await;
    let list = json!(["demo", "web", "c", "u", "m", "hi", "message", false, null, {}]);
    app.post(&list).await.problem(422, "the fields of an event in their order");
}

#[tokio::test]
async fn an_unknown_shop_is_refused_when_shops_are_configured() {
    let app = Plan::shop().with_config("[shops.demo]\n").start().await;
    let stranger = with(good(), json!({"shop": "stranger"}));
    let problem = app.post(&stranger).await.problem(404, "an unknown shop");
    assert!(problem["detail"].as_str().unwrap().contains("stranger"), "{problem}");
    app.suggestions(&[("q", "发货"), ("shop", "stranger")]).await.problem(404, "suggestions of an unknown shop");
    assert!(!app.post(&good()).await.is_duplicate());
}

#[tokio::test]
async fn odd_texts_are_taken_and_met_with_the_greeting() {
    let app = TestApp::start_shop().await;
    for (place, text) in [
        "😀",
        "👨‍👩‍👧‍👦🇨🇳",
        "？？？",
        "。。。……",
        "\u{0}",
        "\u{0}\u{1}\u{7f}\u{85}",
        "\u{200b}\u{feff}\u{200f}",
        "\u{202e}\u{2066}",
        "\u{e0001}\u{fe0f}",
        "\u{10ffff}\u{fdd0}",
        "𠮷𩸽",
        "e\u{301}\u{301}\u{301}",
        "{{ promo }} {% raw %}",
        "'; DROP TABLE events; --",
        "<script>alert(1)</script>",
        "\u{fffd}",
    ]
    .into_iter()
    .enumerate()
    {
        let conversation = format!("odd-{place}");
        let decision = app.say(&conversation, text).await;
        assert_eq!(decision.action(), "greet", "{text:?}: {decision:?}");
        let event = with(message(&conversation, text), json!({"message_id": format!("again-{place}")}));
        app.post(&event).await.decision();
        assert!(app.post(&event).await.is_duplicate(), "{text:?}: a redelivery is recognised");
    }
}

#[tokio::test]
async fn control_characters_do_not_hide_the_question() {
    let app = TestApp::start_shop().await;
    for (place, text) in
        ["\u{0}什么时候发货", "什么\u{0}时候\u{7}发货\u{0}", "什\u{200b}么时候\u{feff}发货", "  什么时候\r\n发货  "]
            .into_iter()
            .enumerate()
    {
        assert_eq!(app.say(&format!("hidden-{place}"), text).await.entry(), "ship", "{text:?}");
    }
}

#[tokio::test]
async fn a_text_at_the_limit_is_taken() {
    let app = TestApp::start_shop().await;
    let longest = "我有点事想商量".repeat(800).chars().take(5_000).collect::<String>();
    assert_eq!(app.say("c", &longest).await.action(), "greet");
    let long_question = format!("什么时候发货{}", "呀".repeat(4_000));
    assert_eq!(app.say("d", &long_question).await.0["replies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ids_may_be_any_text_of_128_bytes() {
    let app = TestApp::start_shop().await;
    for id in ["x".repeat(128), "会话 七 / ../ %2e".to_owned(), "'\"{}".to_owned()] {
        let event = with(message("c", "在吗"), json!({"conversation_id": id, "message_id": id, "customer_id": id}));
        assert_eq!(app.post(&event).await.decision().action(), "greet", "{id}");
    }
}

#[tokio::test]
async fn fields_that_nobody_knows_are_passed_over() {
    let app = TestApp::start_shop().await;
    let deep = changed("extra", json!("@@")).replace("\"@@\"", &nested(10_000));
    let answer = app.post_bytes(deep.into_bytes()).await;
    assert!([200, 400, 422].contains(&answer.status), "{}", answer.body);
    assert_eq!(app.get("/healthz").await.body, "ok");
}

#[tokio::test]
async fn a_body_that_is_far_too_large_gets_its_answer_every_time() {
    let app = TestApp::start_shop().await;
    for _ in 0..20 {
        app.post_bytes(vec![b'x'; 1 << 20]).await.problem(413, "a megabyte");
    }
}

#[tokio::test]
async fn a_wrong_method_or_path_is_a_problem_document() {
    let app = TestApp::start_shop().await;
    for (method, path, status) in [
        (Method::GET, "/v1/messages", 405),
        (Method::PUT, "/v1/messages", 405),
        (Method::DELETE, "/v1/messages", 405),
        (Method::PATCH, "/v1/messages", 405),
        (Method::POST, "/v1/suggestions", 405),
        (Method::GET, "/v1/reload", 405),
        (Method::POST, "/v1/entries/ship", 405),
        (Method::POST, "/healthz", 405),
        (Method::POST, "/v1/conversations", 405),
        (Method::DELETE, "/v1/conversations/c", 405),
        (Method::GET, "/v1/conversations/c/takeover", 405),
        (Method::POST, "/v1/agents/amy", 405),
        (Method::GET, "/v1/customers/u", 405),
        (Method::DELETE, "/v1/outbox", 405),
        (Method::GET, "/v1/conversations/c/messages", 404),
        (Method::DELETE, "/v1/customers/", 404),
        (Method::GET, "/", 404),
        (Method::GET, "/v2/messages", 404),
        (Method::GET, "/v1", 404),
        (Method::GET, "/v1/messages/", 404),
        (Method::GET, "/v1/entries/", 404),
        (Method::GET, "/v1/entries/a/b", 404),
        (Method::GET, "/v1/%E4%BD%A0", 404),
        (Method::GET, "/%00", 404),
        (Method::GET, "/..%2f..%2fetc%2fpasswd", 404),
        (Method::POST, "/V1/MESSAGES", 404),
    ] {
        let what = format!("{method} {path}");
        app.send(method, path, "").await.problem(status, &what);
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start_shop().await;
    assert_eq!(app.get("/v1/messages").await.header("allow"), "POST");
}

#[tokio::test]
async fn ids_in_paths_that_are_no_text_are_problem_documents() {
    let app = TestApp::start_shop().await;
    for path in ["/v1/entries/%FF", "/v1/entries/%C3%28"] {
        let answer = app.get(path).await;
        assert!([400, 404, 422].contains(&answer.status), "{path}: {}", answer.status);
        answer.problem(answer.status, path);
    }
    for path in ["/v1/incidents/%FF", "/v1/incidents/%C3%28"] {
        let answer = app.send(Method::PUT, path, json!({"cause": "暴雨", "effect": "晚到"}).to_string()).await;
        answer.problem(answer.status.clamp(400, 422), path);
    }
}

#[tokio::test]
async fn ids_in_paths_that_name_nothing_are_not_found() {
    let app = TestApp::start_shop().await;
    for path in ["/v1/entries/%00", "/v1/entries/%20", "/v1/entries/%E4%BD%A0", "/v1/entries/..%2f", "/v1/entries/%25"]
    {
        app.get(path).await.problem(404, path);
    }
}

#[tokio::test]
async fn odd_names_of_conversations_agents_and_customers_name_nothing() {
    let sqlite = TestApp::start_shop().await;
    let postgres = Plan::shop().with_database(&crate::postgres::database_url().await).start().await;
    for app in [sqlite, postgres] {
        odd_names_name_nothing(&app).await;
        assert_eq!(app.post(&good()).await.decision().entry(), "ship");
    }
}

async fn odd_names_name_nothing(app: &TestApp) {
    let long = "x".repeat(4_000);
    for id in ["%00", "%20", "%FF", "%E4%BD%A0", "..%2f..", "%25", "'%20OR%201=1--", "{id}", &long] {
        for (method, path, statuses) in [
            (Method::GET, format!("/v1/conversations/{id}?shop=demo&channel=web"), [404, 404, 422]),
            (Method::GET, format!("/v1/conversations/{id}/events?shop=demo&channel=web"), [404, 404, 422]),
            (Method::DELETE, format!("/v1/agents/{id}?shop=demo"), [404, 404, 422]),
            (Method::POST, format!("/v1/endpoints/{id}/enable"), [404, 404, 422]),
            (Method::DELETE, format!("/v1/customers/{id}?shop=demo&channel=web"), [200, 404, 422]),
            (Method::GET, format!("/v1/incidents/{id}/told"), [200, 404, 422]),
            (Method::GET, format!("/v1/conversations?customer_id={id}"), [200, 200, 422]),
            (Method::GET, format!("/v1/queue?shop={id}"), [200, 200, 422]),
        ] {
            let answer = app.send(method.clone(), &path, "").await;
            assert!(statuses.contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        }
    }
}

#[tokio::test]
async fn bad_search_parameters_are_refused() {
    let app = TestApp::start_shop().await;
    for query in [
        "",
        "?k=5",
        "?q=a&k=0",
        "?q=a&k=51",
        "?q=a&k=-1",
        "?q=a&k=many",
        "?q=a&k=",
        "?q=a&k=1.5",
        "?q=a&k=99999999999999999999",
        "?q=a&q=b",
    ] {
        app.get(&format!("/v1/suggestions{query}")).await.problem(422, query);
    }
}

#[tokio::test]
async fn odd_searches_are_answered() {
    let app = TestApp::start_shop().await;
    for query in
        ["?q=", "?q=%", "?q=%FF%FE", "?q=%00", "?q=%F0%9F%98%80", "?q=a&shop=%FF", "?q=%ZZ", "?q=a&&&", "?q=+++"]
    {
        let answer = app.get(&format!("/v1/suggestions{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    }
    let long = format!("/v1/suggestions?q={}", "%E5%8F%91".repeat(2_000));
    assert_eq!(app.get(&long).await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_request_do_not_stop_the_service() {
    let app = TestApp::start_shop().await;
    let address = app.base.trim_start_matches("http://").to_owned();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GARBAGE\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    let answer: Answer = app.post(&good()).await;
    assert_eq!(answer.decision().entry(), "ship");
}
