//! Calls to others: signed, to public addresses only, and over in time whatever the other side does.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use yingda::outbound::facts::{Facts, FactsConfig, FactsHook, FactsRequest};
use yingda::outbound::guard::Client;
use yingda::outbound::webhook::{Delivery, deliver};

use crate::stand_in::{Answer, Request, SECRET, StandIn};

const NOW: Timestamp = Timestamp::constant(1_795_300_000, 0);

fn is_signed(request: &Request) -> bool {
    request.is_signed(NOW, Duration::ZERO)
}

fn any() -> Client {
    Client::new(true, Duration::from_millis(500)).unwrap()
}

fn public() -> Client {
    Client::new(false, Duration::from_millis(500)).unwrap()
}

async fn deliver_to(client: &Client, url: &str) -> Delivery {
    deliver(client, url, &SECRET.parse().unwrap(), "msg_1", NOW, br#"{"type":"test"}"#).await
}

async fn delivery_of(answer: Answer) -> Delivery {
    deliver_to(&any(), &StandIn::that(answer).await.url()).await
}

#[tokio::test]
async fn a_message_arrives_once_signed_and_whole() {
    let receiver = StandIn::that(Answer::status("204 No Content")).await;
    assert_eq!(deliver_to(&any(), &receiver.url()).await, Delivery::Delivered);
    let [request] = &receiver.requests()[..] else { panic!("one request") };
    assert!(request.head.starts_with("POST /hook?token=in-the-url HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("webhook-id"), "msg_1");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("user-agent"), concat!("yingda/", env!("CARGO_PKG_VERSION")));
    assert_eq!(request.body, r#"{"type":"test"}"#);
    assert!(is_signed(request));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_gone() {
    assert_eq!(delivery_of(Answer::status("410 Gone")).await, Delivery::Gone);
}

#[tokio::test]
async fn a_receiver_may_say_when_to_come_again() {
    let date = (NOW + SignedDuration::from_mins(10)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (status, seconds) in [
        ("429 Too Many Requests\r\nretry-after: 7", Some(7)),
        (&*format!("503 Service Unavailable\r\nretry-after: {date}"), Some(600)),
        ("503 Service Unavailable\r\nretry-after: 999999", Some(3600)),
        ("503 Service Unavailable\r\nretry-after: whenever", None),
        ("400 Bad Request", None),
        ("500 Internal Server Error", None),
    ] {
        let Delivery::Retry { after, why } = delivery_of(Answer::status(status)).await else { panic!("{status}") };
        assert_eq!(after, seconds.map(Duration::from_secs), "{status}");
        assert!(why.contains(&status[..3]), "{why}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let inner = StandIn::that(Answer::status("200 OK")).await;
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let answer = Answer::status(&format!("{status}\r\nlocation: {}", inner.url()));
        let delivery = delivery_of(answer).await;
        assert!(matches!(&delivery, Delivery::Retry { after: None, why } if why.contains("redirects")), "{delivery:?}");
    }
    assert!(inner.requests().is_empty());
}

#[tokio::test]
async fn whatever_a_receiver_does_a_try_ends_in_time_and_says_why() {
    let huge = Answer::Says("500 Internal Server Error".to_owned(), format!("\u{1b}[2J\r\n{}", "坏".repeat(100_000)));
    let claims = Answer::Raw(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nbut".to_vec());
    let garbage = [b"\x16\x03\x01garbage".to_vec(), b"".to_vec(), b"HTTP/1.1 ".to_vec()].map(Answer::Raw);
    for answer in [huge, claims, Answer::Hangs].into_iter().chain(garbage) {
        let started = Instant::now();
        let delivery = delivery_of(answer).await;
        let Delivery::Retry { after: None, why } = &delivery else { panic!("{delivery:?}") };
        assert!(started.elapsed() < Duration::from_millis(1500), "{why}");
        assert!(!why.is_empty() && why.chars().count() < 220 && !why.contains(char::is_control), "{why}");
        assert!(!why.contains("in-the-url") && !why.contains("MfKQ"), "{why}");
    }
    let nobody = deliver_to(&any(), "http://127.0.0.1:1/?token=in-the-url").await;
    assert!(matches!(&nobody, Delivery::Retry { why, .. } if !why.contains("in-the-url")), "{nobody:?}");
}

#[tokio::test]
async fn what_comes_after_a_success_does_not_matter() {
    assert_eq!(delivery_of(Answer::Drips).await, Delivery::Delivered);
}

#[tokio::test]
async fn no_address_of_this_machine_or_its_network_is_called() {
    let inner = StandIn::that(Answer::status("200 OK")).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "169.254.169.254",
        "localhost",
        "LOCALHOST",
        "me@localhost",
    ] {
        let delivery = deliver_to(&public(), &format!("http://{host}:{}/?token=in-the-url", inner.port)).await;
        let Delivery::Refused { why } = &delivery else { panic!("{host}: {delivery:?}") };
        assert!(!why.contains("in-the-url") && !why.contains("127."), "{why}");
    }
    for url in ["", "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)", "//example.com"] {
        assert!(matches!(deliver_to(&any(), url).await, Delivery::Refused { .. }), "{url}");
    }
    assert!(inner.requests().is_empty());
    let by_name = deliver_to(&any(), &format!("http://localhost:{}/", inner.port)).await;
    assert_eq!(by_name, Delivery::Delivered, "where private addresses are allowed");
}

#[tokio::test]
async fn a_name_that_nobody_has_may_have_somebody_later() {
    let delivery = deliver_to(&public(), "http://nobody.invalid/").await;
    assert!(matches!(delivery, Delivery::Retry { .. }), "{delivery:?}");
}

fn hook(url: &str) -> FactsHook {
    let config = FactsConfig { allow_private: true, timeout_ms: 200, ..FactsConfig::new(url, SECRET) };
    FactsHook::new(config).unwrap()
}

fn about<'a>(customer_id: &'a str, order_id: Option<&'a str>) -> FactsRequest<'a> {
    FactsRequest { shop: "demo", channel: "web", customer_id, conversation_id: "c-1", order_id }
}

#[tokio::test]
async fn the_shop_is_asked_by_a_signed_question() {
    let known = json!({
        "customer_name": "王小姐", "tier": "gold", "order_id": "A-1", "order_state": "shipped", "carrier": "顺丰",
        "tracking_no": "SF1", "ship_time": "今天", "ordered_at": "2026-11-20T08:00:00+08:00", "region": "上海",
        "product": "羽绒服", "category": "外套", "something_else": { "is": "ignored" },
    });
    let shop = StandIn::that(Answer::json(known)).await;
    let hook = hook(&shop.url());
    let facts = hook.ask(&about("u-1", Some("A-1")), NOW).await.unwrap();
    assert_eq!(facts.order_state.as_deref(), Some("shipped"));
    assert_eq!(facts.ordered_at, "2026-11-20T00:00:00Z".parse().ok());
    hook.ask(&about("u-2", None), NOW).await.unwrap();
    let [first, second] = &shop.requests()[..] else { panic!("two requests") };
    assert!(is_signed(first) && is_signed(second));
    assert_ne!(first.header("webhook-id"), second.header("webhook-id"));
    let question = |request: &Request| serde_json::from_str::<Value>(&request.body).unwrap();
    assert_eq!(
        question(first),
        json!({
            "type": "facts",
            "timestamp": NOW.to_string(),
            "data": { "shop": "demo", "channel": "web", "customer_id": "u-1", "conversation_id": "c-1", "order_id": "A-1" },
        })
    );
    assert!(question(second)["data"].get("order_id").is_none());
}

#[tokio::test]
async fn an_answer_is_kept_for_half_a_minute() {
    let shop = StandIn::start(|number| Answer::json(json!({ "tier": number.to_string() }))).await;
    let hook = hook(&shop.url());
    let tier = async |customer, order, seconds| {
        hook.ask(&about(customer, order), NOW + SignedDuration::from_secs(seconds)).await.unwrap().tier.unwrap()
    };
    assert_eq!(tier("u-1", None, 0).await, "0");
    assert_eq!(tier("u-1", None, 29).await, "0");
    assert_eq!(tier("u-2", None, 29).await, "1", "somebody else");
    assert_eq!(tier("u-1", Some("A-1"), 29).await, "2", "about something else");
    assert_eq!(tier("u-1", None, 30).await, "3");
}

#[tokio::test]
async fn an_answer_without_facts_in_time_is_none() {
    let inner = StandIn::that(Answer::json(json!({ "tier": "inner" }))).await;
    let padding = " ".repeat(70_000);
    for answer in [
        Answer::Hangs,
        Answer::Drips,
        Answer::Raw(Vec::new()),
        Answer::Raw(b"\x00\xff\x00".to_vec()),
        Answer::json("<html>"),
        Answer::json("null"),
        Answer::json(r#"{"tier":3}"#),
        Answer::json(r#"{"ordered_at":"yesterday"}"#),
        Answer::json(format!(r#"{{"tier":"gold"{padding}}}"#)),
        Answer::Says("500 Internal Server Error".to_owned(), "{}".to_owned()),
        Answer::Says(format!("302 Found\r\nlocation: {}", inner.url()), "{}".to_owned()),
    ] {
        let shop = StandIn::that(answer).await;
        let started = Instant::now();
        assert_eq!(hook(&shop.url()).ask(&about("u", None), NOW).await, None);
        assert!(started.elapsed() < Duration::from_millis(1000), "{:?}", started.elapsed());
        assert_eq!(shop.requests().len(), 1);
    }
    assert!(inner.requests().is_empty());
}

#[tokio::test]
async fn a_shop_that_keeps_failing_is_left_alone_but_what_it_said_is_kept() {
    let shop = StandIn::start(
        |number| {
            if number == 0 { Answer::json("{}") } else { Answer::status("503 Service Unavailable") }
        },
    )
    .await;
    let hook = hook(&shop.url());
    assert_eq!(hook.ask(&about("known", None), NOW).await, Some(Facts::default()));
    for _ in 0..20 {
        assert_eq!(hook.ask(&about("u", None), NOW).await, None);
    }
    assert_eq!(shop.requests().len(), 1 + 5, "one that knew, then five that fail");
    assert_eq!(hook.ask(&about("known", None), NOW).await, Some(Facts::default()));
}

#[tokio::test]
async fn a_name_of_this_machine_is_not_asked_for_facts_unless_allowed() {
    let shop = StandIn::that(Answer::json("{}")).await;
    let url = format!("http://localhost:{}/", shop.port);
    let guarded = FactsHook::new(FactsConfig::new(&url, SECRET)).unwrap();
    assert_eq!(guarded.ask(&about("u", None), NOW).await, None);
    assert!(shop.requests().is_empty());
    assert!(hook(&url).ask(&about("u", None), NOW).await.is_some());
}
