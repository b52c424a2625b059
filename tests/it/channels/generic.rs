//! The generic channel: documented events by Standard Webhooks, in both directions.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use yingda::bot::now;
use yingda::outbound::webhook::{Secret, sign};

use super::every::{Proof, Spoken};
use super::{history, platform, settled, start};
use crate::harness::{Answer, TestApp};
use crate::stand_in::{Request, SECRET, StandIn};

pub const SPOKEN: Spoken = Spoken {
    name: "generic",
    account: |url| format!("name = \"generic\"\ntype = \"generic\"\nsecret = \"{SECRET}\"\nurl = \"{url}\""),
    body: |_, conversation, text| message_in(conversation, text).to_string(),
    proof,
    prefix: "",
    taken: "{}",
};

fn proof(body: &str, id: &str, at: Timestamp) -> Proof {
    let (secret, time): (Secret, i64) = (SECRET.parse().unwrap(), at.as_second());
    let signed = sign(&secret, id, time, body.as_bytes());
    let headers =
        [("webhook-id", id.to_owned()), ("webhook-timestamp", time.to_string()), ("webhook-signature", signed)];
    Proof { query: String::new(), headers: headers.to_vec() }
}

async fn with_url(receiver: &StandIn, more: &str) -> TestApp {
    let url = receiver.url();
    start(&format!("name = \"own\"\ntype = \"generic\"\nsecret = \"{SECRET}\"\nurl = \"{url}\"\n{more}"), "").await
}

async fn without_url() -> TestApp {
    start(&format!("name = \"own\"\ntype = \"generic\"\nsecret = \"{SECRET}\""), "").await
}

fn message(text: &str) -> Value {
    message_in("c", text)
}

fn message_in(conversation: &str, text: &str) -> Value {
    let data = json!({ "conversation_id": conversation, "customer_id": "u", "text": text });
    json!({ "type": "message", "timestamp": now(), "data": data })
}

async fn post_at(app: &TestApp, id: &str, body: &[u8], at: Timestamp) -> Answer {
    let secret: Secret = SECRET.parse().unwrap();
    let signature = sign(&secret, id, at.as_second(), body);
    let time = at.as_second().to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
    app.hook("own", &headers, body.to_vec()).await
}

#[tokio::test]
async fn the_headers_of_svix_are_as_good_and_no_mixture_of_both() {
    let app = without_url().await;
    let (body, time) = (message("什么时候发货").to_string(), now().as_second());
    let signature = sign(&SECRET.parse().unwrap(), "msg_1", time, body.as_bytes());
    let post = async |names: [&'static str; 3]| {
        let values = ["msg_1", &time.to_string(), &signature];
        let headers: Vec<(&str, &str)> = names.into_iter().zip(values).collect();
        app.hook("own", &headers, body.clone()).await
    };
    for mixed in [
        ["svix-id", "webhook-timestamp", "webhook-signature"],
        ["webhook-id", "svix-timestamp", "webhook-signature"],
        ["webhook-id", "webhook-timestamp", "svix-signature"],
    ] {
        assert_eq!(post(mixed).await.status, 401, "{mixed:?}");
    }
    let answer = post(["svix-id", "svix-timestamp", "svix-signature"]).await;
    assert!(answer.json()["reply"].as_str().unwrap().contains('发'), "{}", answer.body);
}

async fn post(app: &TestApp, id: &str, body: &Value) -> Answer {
    post_at(app, id, body.to_string().as_bytes(), now()).await
}

#[tokio::test]
async fn an_integrators_message_is_answered_by_a_signed_push() {
    let receiver = platform().await;
    let app = with_url(&receiver, "").await;
    let answer = post(&app, "msg_1", &message("什么时候发货")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let [push] = &receiver.after(1).await[..] else { panic!("one push") };
    assert!(push.is_signed(now(), std::time::Duration::from_secs(60)), "{}", push.head);
    let body = push.json();
    assert_eq!((&body["type"], &body["data"]["conversation_id"]), (&json!("reply"), &json!("c")));
    assert!(body["data"]["text"].as_str().unwrap().contains("发"), "{body}");
}

#[tokio::test]
async fn without_an_address_the_reply_is_in_the_answer() {
    let app = without_url().await;
    let answer = post(&app, "msg_1", &message("什么时候发货")).await;
    let body = answer.json();
    assert!(body["reply"].as_str().unwrap().contains("发"), "{body}");
    assert_eq!((&body["handoff"], &body["duplicate"]), (&json!(false), &json!(false)));
    let again = post(&app, "msg_1", &message("什么时候发货")).await.json();
    assert_eq!((&again["reply"], &again["duplicate"]), (&body["reply"], &json!(true)));
}

#[tokio::test]
async fn all_documented_kinds_of_events_are_taken() {
    let app = without_url().await;
    for (number, kind) in [
        "media",
        "agent_joined",
        "agent_left",
        "takeover",
        "hand_back",
        "order_unpaid",
        "order_paid",
        "order_shipped",
        "order_refunded",
        "closed",
        "recalled",
        "system",
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "type": kind, "data": { "conversation_id": "c", "customer_id": "u", "agent_id": "amy",
            "context": { "order_id": "1" } } });
        let answer = post(&app, &format!("msg_{number}"), &body).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
    }
    let agent = json!({ "type": "agent_message", "data": { "conversation_id": "c", "customer_id": "u", "text": "在的",
        "agent_id": "amy" } });
    assert_eq!(post(&app, "msg_a", &agent).await.status, 200);
    assert_eq!(history(&app, "own", "c").await.len(), 13);
    let presence = json!({ "type": "presence", "data": { "agent_id": "amy", "presence": "online", "capacity": 3 } });
    assert_eq!(post(&app, "msg_p", &presence).await.status, 200);
    assert_eq!(app.get("/v1/agents?shop=demo").await.json()["agents"][0]["id"], "amy");
}

#[tokio::test]
async fn what_is_not_signed_rightly_is_refused_without_a_word_and_leaves_nothing() {
    let app = without_url().await;
    let body = message("什么时候发货").to_string();
    let time = now().as_second().to_string();
    let (other, own): (Secret, Secret) =
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap(), SECRET.parse().unwrap());
    let forged = sign(&other, "m", now().as_second(), body.as_bytes());
    let right = sign(&own, "m", now().as_second(), body.as_bytes());
    let reserialised = serde_json::to_string_pretty(&message("什么时候发货")).unwrap();
    for (what, body, signature) in [
        ("forged", body.clone(), forged.as_str()),
        ("truncated", body[..body.len() - 1].to_owned(), right.as_str()),
        ("re-serialised", reserialised, right.as_str()),
        ("another version", body.clone(), right.replace("v1,", "v2,").leak()),
        ("empty", body.clone(), ""),
    ] {
        let headers = [("webhook-id", "m"), ("webhook-timestamp", time.as_str()), ("webhook-signature", signature)];
        let answer = app.hook("own", &headers, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{what}");
    }
    assert_eq!(app.hook("own", &[], body.clone()).await.status, 401);
    for minutes in [-6, 6] {
        let at = now() + jiff::SignedDuration::from_mins(minutes);
        assert_eq!(post_at(&app, "m", body.as_bytes(), at).await.status, 401, "{minutes} minutes");
    }
    assert_eq!(history(&app, "own", "c").await, Vec::<Value>::new());
    assert_eq!(app.hook("nobody", &[], body).await.status, 404);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_told_what_is_wrong() {
    let app = without_url().await;
    for (body, status, says) in [
        ("{".to_owned(), 400, "\"type\""),
        (json!({ "type": "poke", "data": {} }).to_string(), 400, "type"),
        (json!({ "type": "timer", "data": { "conversation_id": "c", "customer_id": "u" } }).to_string(), 422, "timer"),
        (json!({ "type": "message", "data": { "text": "x" } }).to_string(), 400, "conversation_id"),
        (
            json!({ "type": "message", "data": { "conversation_id": "", "customer_id": "u", "text": "x" } })
                .to_string(),
            422,
            "conversation_id",
        ),
        (json!({ "type": "presence", "data": {} }).to_string(), 400, "agent_id"),
        (
            json!({ "type": "message", "data": { "conversation_id": "c", "customer_id": "u" } }).to_string(),
            400,
            "`text`",
        ),
        (
            json!({ "type": "message", "data": { "conversation_id": "c", "customer_id": "u", "txt": "x" } })
                .to_string(),
            400,
            "`txt`",
        ),
    ] {
        let answer = post_at(&app, "m", body.as_bytes(), now()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body.contains(says), "{body}: {}", answer.body);
    }
    assert_eq!(post(&app, "msg_1", &message("在吗")).await.status, 200);
    assert_eq!(post(&app, "msg_1", &message("别的话")).await.status, 409);
}

#[tokio::test]
async fn platforms_come_under_a_public_name() {
    let app = without_url().await;
    let (body, secret): (String, Secret) = (message("在吗").to_string(), SECRET.parse().unwrap());
    let time = now().as_second();
    let signature = sign(&secret, "m", time, body.as_bytes());
    let time = time.to_string();
    let headers = [
        ("host", "shop.example.com"),
        ("webhook-id", "m"),
        ("webhook-timestamp", &time),
        ("webhook-signature", &signature),
    ];
    assert_eq!(app.hook("own", &headers, body).await.status, 200);
}

#[tokio::test]
async fn a_long_answer_is_pushed_in_parts_that_fit_in_order() {
    let receiver = platform().await;
    let app = with_url(&receiver, "text_chars = 16").await;
    post(&app, "msg_1", &message("什么时候发货")).await;
    settled(&app).await;
    let pushes = receiver.requests();
    let part = |push: &Request| push.json()["data"]["text"].as_str().unwrap().to_owned();
    let parts: Vec<String> = pushes.iter().map(part).collect();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.chars().count() <= 16), "{parts:?}");
    let whole = without_url().await;
    let reply = post(&whole, "msg_1", &message("什么时候发货")).await.json()["reply"].as_str().unwrap().to_owned();
    assert_eq!(parts.concat(), reply.replace('\n', ""), "nothing is lost, and the first comes first");
    let ids: BTreeSet<&str> = pushes.iter().map(|push| push.header("webhook-id")).collect();
    assert_eq!(ids.len(), parts.len(), "each has an id of its own");
}

#[tokio::test]
async fn a_presence_that_is_sent_again_later_does_not_bring_the_agent_back() {
    let app = without_url().await;
    let presence = |presence: &str, at: jiff::Timestamp| {
        let data = json!({ "agent_id": "amy", "presence": presence });
        json!({ "type": "presence", "timestamp": at, "data": data }).to_string()
    };
    let (earlier, later) = (now() - jiff::SignedDuration::from_secs(20), now() - jiff::SignedDuration::from_secs(10));
    let states = async || {
        let desk = app.get("/v1/agents?shop=demo").await.json();
        desk["agents"][0]["presence"].as_str().unwrap().to_owned()
    };
    let online = presence("online", earlier);
    assert_eq!(post_at(&app, "msg_1", online.as_bytes(), now()).await.status, 200);
    assert_eq!(states().await, "online");
    assert_eq!(post_at(&app, "msg_2", presence("away", later).as_bytes(), now()).await.status, 200);
    assert_eq!(post_at(&app, "msg_1", online.as_bytes(), now()).await.status, 200, "nothing is wrong with it");
    assert_eq!(states().await, "away");
    let there = presence("online", later);
    assert_eq!(post_at(&app, "msg_4", there.as_bytes(), now()).await.status, 200);
    assert_eq!(post_at(&app, "msg_5", presence("away", later).as_bytes(), now()).await.status, 200);
    assert_eq!(post_at(&app, "msg_4", there.as_bytes(), now()).await.status, 200);
    assert_eq!(states().await, "away", "of one moment the one that came last counts");
    let tomorrow = now() + jiff::SignedDuration::from_hours(24);
    assert_eq!(post_at(&app, "msg_6", presence("online", tomorrow).as_bytes(), now()).await.status, 200);
    let crowd = (0..20).map(|n| {
        let (app, body) = (&app, presence("away", now()));
        async move { post_at(app, &format!("msg_c{n}"), body.as_bytes(), now()).await.status }
    });
    assert_eq!(futures_util::future::join_all(crowd).await, [200; 20]);
    assert_eq!(states().await, "away", "a clock that is ahead shuts nobody out");
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(post_at(&app, "msg_3", presence("busy", now()).as_bytes(), now()).await.status, 200);
    assert_eq!(states().await, "busy");
}
