//! Messenger and Instagram: one protocol, two products.

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::meta::{
    account, account_at, error, only_what_is_signed_is_heard, post, signature, the_challenge_is_answered,
    what_becomes_of, written,
};
use super::{EVERYTHING_IS_UNSURE, UNSURE, with_answer};
use super::{history, platform, settled, start};
use crate::harness::TestApp;
use crate::stand_in::{Answer, Request, StandIn};

const PRODUCTS: [(&str, &str); 2] = [("messenger", "page"), ("instagram", "instagram")];
const OURS: &str = "app_id = \"1517776481860111\"\naccount_id = \"100\"";
const PAGE: &str = "100";
const CUSTOMER: &str = "1254477777772919";

pub const MESSENGER: Spoken = Spoken {
    name: "messenger",
    account: |url| account_at("messenger", url, OURS),
    body: |id, customer, words| written(&notification("page", &[said_by(customer, id, words)])),
    proof: |body, _, _| Proof::header("x-hub-signature-256", signature(body)),
    prefix: "",
    taken: "{}",
};

pub const INSTAGRAM: Spoken = Spoken {
    name: "instagram",
    account: |url| account_at("instagram", url, OURS),
    body: |id, customer, words| written(&notification("instagram", &[said_by(customer, id, words)])),
    ..MESSENGER
};

async fn app(kind: &str, api: &StandIn) -> TestApp {
    start(&account(kind, api, OURS), "").await
}

fn from_customer(what: Value) -> Value {
    let mut happened = json!({ "sender": { "id": CUSTOMER }, "recipient": { "id": PAGE },
        "timestamp": now().as_millisecond() });
    happened.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    happened
}

fn from_page(message: Value) -> Value {
    let mut happened = from_customer(json!({ "message": message }));
    happened["sender"]["id"] = json!(PAGE);
    happened["recipient"]["id"] = json!(CUSTOMER);
    happened
}

fn text(id: &str, text: &str) -> Value {
    from_customer(json!({ "message": { "mid": id, "text": text } }))
}

fn said_by(customer: &str, id: &str, words: &str) -> Value {
    let mut message = text(id, words);
    message["sender"]["id"] = json!(customer);
    message
}

fn notification(object: &str, messaging: &[Value]) -> Value {
    json!({ "object": object, "entry": [{ "id": PAGE, "time": now().as_millisecond(), "messaging": messaging }] })
}

fn question(object: &str) -> Value {
    notification(object, &[text("m_1", "什么时候发货")])
}

async fn kinds(app: &TestApp, kind: &str) -> Vec<String> {
    let events = history(app, kind, CUSTOMER).await;
    events.iter().map(|event| event["event"]["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_answered_as_a_response() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        let answer = post(&app, kind, &question(object)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{kind}");
        let [call] = &api.after(1).await[..] else { panic!("one call") };
        assert_eq!((call.path(), call.header("authorization")), ("/v25.0/me/messages", "Bearer EAAG"), "{kind}");
        let body = call.json();
        assert_eq!(
            (&body["recipient"]["id"], &body["messaging_type"]),
            (&json!(CUSTOMER), &json!("RESPONSE")),
            "{kind}"
        );
        assert!(body["message"]["text"].as_str().unwrap().contains("付款后两天内发出"), "{body}");
    }
}

#[tokio::test]
async fn only_meta_is_heard_and_answered_its_challenge() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        the_challenge_is_answered(&app, kind).await;
        only_what_is_signed_is_heard(&app, kind, &question(object)).await;
        assert_eq!(kinds(&app, kind).await, ["message"], "what was refused left nothing");
        settled(&app).await;
        assert_eq!(api.requests().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_hundred_messages_in_several_entries_are_taken_and_each_customer_is_answered_once() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        let customers: Vec<String> = (0..100).map(|number| format!("99{number:04}")).collect();
        let messages: Vec<Value> =
            customers.iter().map(|customer| said_by(customer, &format!("m_{customer}"), "什么时候发货")).collect();
        let mut body = notification(object, &[]);
        let entries = messages.chunks(7).map(|some| notification(object, some)["entry"][0].clone());
        body["entry"] = entries.collect();
        assert_eq!(post(&app, kind, &body).await.status, 200);
        assert_eq!(post(&app, kind, &body).await.status, 200);
        settled(&app).await;
        let calls = api.requests();
        let told = |call: &Request| call.json()["recipient"]["id"].as_str().unwrap().to_owned();
        let mut told: Vec<String> = calls.iter().map(told).collect();
        told.sort_unstable();
        assert_eq!(told, customers, "{kind}");
    }
}

#[tokio::test]
async fn a_sticker_is_media_as_it_was_and_as_it_is_since_2026() {
    // Both attachments until August 2026, then the new one alone (Messenger Platform, changelog of 1 June 2026).
    let old = json!({ "type": "image", "payload": { "url": "https://example.com/1.png", "sticker_id": 369_239_263_222_822_u64 } });
    let new = json!({ "type": "sticker", "payload": { "sticker_id": 369_239_263_222_822_u64 } });
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        post(&app, kind, &notification(object, &[text("m_0", "在吗")])).await;
        let stickers = [json!([old]), json!([old, new]), json!([new])].into_iter().enumerate();
        let stickers = stickers.map(|(place, attachments)| {
            from_customer(json!({ "message": { "mid": format!("m_s{place}"), "attachments": attachments } }))
        });
        assert_eq!(post(&app, kind, &notification(object, &stickers.collect::<Vec<_>>())).await.status, 200);
        assert_eq!(kinds(&app, kind).await, ["message", "media", "media", "media"], "{kind}");
        settled(&app).await;
        assert_eq!(api.requests().len(), 1, "{kind}: a greeting, and no answer to stickers");
    }
}

#[tokio::test]
async fn media_postbacks_and_unsent_messages_are_understood() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        let picture = json!([{ "type": "image", "payload": { "url": "https://example.com/1.jpg" } }]);
        let happened = [
            from_customer(json!({ "message": { "mid": "m_1", "attachments": picture } })),
            from_customer(json!({ "message": { "mid": "m_2", "is_unsupported": true } })),
            from_customer(json!({ "postback": { "mid": "m_3", "title": "什么时候发货", "payload": "SHIP" } })),
            from_customer(json!({ "message": { "mid": "m_1", "is_deleted": true } })),
        ];
        assert_eq!(post(&app, kind, &notification(object, &happened)).await.status, 200);
        assert_eq!(kinds(&app, kind).await, ["media", "media", "message", "recalled"], "{kind}");
        let said: Vec<String> = api.after(2).await.iter().map(|call| call.body.clone()).collect();
        assert!(said.iter().any(|body| body.contains("付款后两天内发出")), "{said:?}");
    }
}

#[tokio::test]
async fn what_nobody_needs_to_answer_is_acknowledged_and_left_alone() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        let happened = [
            from_customer(json!({ "read": { "watermark": 1 } })),
            from_customer(json!({ "delivery": { "mids": ["m_9"], "watermark": 1 } })),
            from_customer(json!({ "reaction": { "mid": "m_9", "action": "react", "reaction": "love" } })),
            from_customer(json!({ "message_edit": { "mid": "m_9", "text": "什么时候发货", "num_edit": 1 } })),
            from_customer(json!({ "referral": { "ref": "ad", "source": "SHORTLINK" } })),
            from_customer(json!({ "never_heard_of": {} })),
            from_customer(json!({ "message": "not as documented" })),
            from_page(json!({ "mid": "m_8", "is_echo": true, "is_deleted": true })),
            from_customer(json!({ "pass_thread_control": { "new_owner_app_id": "7" } })),
            json!({ "sender": {}, "message": { "mid": "m_7", "text": "什么时候发货" } }),
            json!(7),
        ];
        let mut standby = question(object);
        standby["entry"][0]["standby"] = standby["entry"][0]["messaging"].take();
        standby["entry"][0]["messaging"] = json!([]);
        let mut another_page = question(object);
        another_page["entry"][0]["id"] = json!("200");
        let comments = json!({ "object": object, "entry": [{ "id": PAGE, "changes": [{ "field": "feed" }] }] });
        for body in [notification(object, &happened), standby, another_page, comments, question("user")] {
            let answer = post(&app, kind, &body).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{kind}: {body}");
        }
        assert!(history(&app, kind, CUSTOMER).await.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn our_own_echoes_are_known_and_a_humans_words_keep_the_bot_silent() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = app(kind, &api).await;
        post(&app, kind, &question(object)).await;
        let said = api.after(1).await[0].json()["message"]["text"].as_str().unwrap().to_owned();
        let by_app =
            from_page(json!({ "mid": "m_2", "is_echo": true, "app_id": 1_517_776_481_860_111_u64, "text": said }));
        let by_words = from_page(json!({ "mid": "m_3", "is_echo": true, "text": said }));
        post(&app, kind, &notification(object, &[by_app, by_words, text("m_4", "书包有几种颜色")])).await;
        assert_eq!(kinds(&app, kind).await, ["message", "agent_message", "message"], "{kind}");
        let next = api.after(2).await[1].body.clone();
        assert!(next.contains("三种颜色"), "{kind}: its own echo silences nobody: {next}");
        let human =
            from_page(json!({ "mid": "m_5", "is_echo": true, "app_id": 263_902_037_430_900_u64, "text": "我来处理" }));
        post(&app, kind, &notification(object, &[human, text("m_6", "会员日是哪天")])).await;
        settled(&app).await;
        assert_eq!(api.requests().len(), 2, "{kind}: a human has it");
    }
}

#[tokio::test]
async fn a_menu_is_quick_replies_and_pressing_one_answers_it() {
    for (kind, object) in PRODUCTS {
        let api = platform().await;
        let app = start(&account(kind, &api, OURS), EVERYTHING_IS_UNSURE).await;
        post(&app, kind, &notification(object, &[text("m_1", UNSURE)])).await;
        let menu = api.after(1).await[0].json();
        let replies = menu["message"]["quick_replies"].as_array().unwrap_or_else(|| panic!("{kind}: {menu}")).clone();
        assert!(replies.iter().all(|reply| reply["content_type"] == "text"), "{menu}");
        let ship = replies.iter().find(|reply| reply["payload"] == "什么时候发货").expect("it offers that");
        let pressed = json!({ "mid": "m_2", "text": ship["title"], "quick_reply": { "payload": ship["payload"] } });
        post(&app, kind, &notification(object, &[from_customer(json!({ "message": pressed }))])).await;
        let answer = api.after(2).await[1].body.clone();
        assert!(answer.contains("付款后两天内发出"), "{kind}: {answer}");
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_by_the_products_own_measure() {
    let long = "付款后两天内发出，节假日顺延。".repeat(160);
    let units = |part: &str| part.encode_utf16().count();
    for (kind, object, size, longest, parts) in
        [("messenger", "page", units as fn(&str) -> usize, 2_000, 2), ("instagram", "instagram", str::len, 1_000, 5)]
    {
        let api = platform().await;
        let app = with_answer(&account(kind, &api, OURS), &long).await;
        post(&app, kind, &question(object)).await;
        let said = |call: &Request| call.json()["message"]["text"].as_str().unwrap().to_owned();
        let said: Vec<String> = api.after(parts).await.iter().map(said).collect();
        assert!(said.iter().all(|part| size(part) <= longest), "{kind}: {said:?}");
        assert_eq!(said.concat().ends_with(&long), kind == "messenger", "{kind}: nothing is lost, or it is told");
        assert!(kind == "messenger" || said[4].ends_with('…'), "{said:?}");
    }
}

#[tokio::test]
async fn a_handover_passes_the_thread_to_the_inbox_after_the_last_words() {
    for (kind, object, more, target) in [
        ("messenger", "page", "", 263_902_037_430_900_u64),
        ("instagram", "instagram", "", 1_217_981_644_879_628),
        ("messenger", "page", "\nhand_over_to = \"42\"", 42),
    ] {
        let api = platform().await;
        let app = start(&account(kind, &api, &format!("{OURS}\nhand_over = true{more}")), "").await;
        post(&app, kind, &notification(object, &[text("m_1", "气死我了，什么破客服")])).await;
        let calls = api.after(2).await;
        assert_eq!(
            (calls[0].path(), calls[1].path()),
            ("/v25.0/me/messages", "/v25.0/me/pass_thread_control"),
            "{kind}"
        );
        assert_eq!(calls[1].json(), json!({ "recipient": { "id": CUSTOMER }, "target_app_id": target }));
        assert_eq!(calls[1].header("authorization"), "Bearer EAAG");
        let back =
            json!({ "pass_thread_control": { "new_owner_app_id": "1517776481860111", "previous_owner_app_id": "2" } });
        post(&app, kind, &notification(object, &[from_customer(back), text("m_2", "什么时候发货")])).await;
        let answer = api.after(3).await[2].body.clone();
        assert!(answer.contains("两天内"), "{kind}: the inbox gave it back: {answer}");
    }
}

#[tokio::test]
async fn without_being_told_to_it_keeps_the_thread() {
    let api = platform().await;
    let app = app("messenger", &api).await;
    post(&app, "messenger", &notification("page", &[text("m_1", "气死我了，什么破客服")])).await;
    api.after(1).await;
    settled(&app).await;
    assert!(api.requests().iter().all(|call| call.path() == "/v25.0/me/messages"));
}

#[tokio::test]
async fn every_way_to_fail_is_told_in_the_outbox() {
    for (answer, state, failure) in [
        (error("400 Bad Request", 10, 2_018_278), "dead", "window_closed"),
        (error("400 Bad Request", 551, 1_545_041), "dead", "given_up"),
        (error("400 Bad Request", 613, 0), "pending", "quota"),
        (error("400 Bad Request", 190, 463), "pending", "retry"),
        (error("500 Internal Server Error", 1_200, 0), "pending", "retry"),
        (Answer::status("503 Service Unavailable"), "pending", "retry"),
    ] {
        let became = what_becomes_of("messenger", OURS, &question("page"), answer, state).await;
        assert_eq!(became, failure);
    }
    let outside = error("400 Bad Request", 10, 2_534_022);
    assert_eq!(what_becomes_of("instagram", OURS, &question("instagram"), outside, "dead").await, "window_closed");
}
