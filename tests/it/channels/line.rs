//! LINE: signed by the channel secret, answered by reply token, later by pushes.

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::sign::hmac_base64;
use super::{EVERYTHING_IS_UNSURE, with_answer};
use super::{history, platform, pushes, settled, start};
use crate::clients::{converses, free_port, node, python};
use crate::harness::{Answer as HttpAnswer, Plan, TestApp, with};
use crate::stand_in::{Answer, Request, StandIn};

pub const SPOKEN: Spoken = Spoken {
    name: "line",
    account,
    body: |id, customer, words| {
        let mut event = text(id, words);
        event["source"]["userId"] = json!(customer);
        json!({ "destination": "Ubot", "events": [event] }).to_string()
    },
    proof: |body, _, _| Proof::header("x-line-signature", signature(body)),
    prefix: "",
    taken: "{}",
};

fn account(url: &str) -> String {
    format!(
        "name = \"line\"\ntype = \"line\"\nchannel_secret = \"channel_secret\"\nchannel_access_token = \"token\"\n\
         api_url = \"{url}\""
    )
}

async fn app(api: &StandIn) -> TestApp {
    start(&account(&api.base()), "").await
}

fn text(id: &str, text: &str) -> Value {
    json!({ "type": "message", "mode": "active", "timestamp": now().as_millisecond(),
        "source": { "type": "user", "userId": "U1" }, "webhookEventId": format!("E{id}"),
        "deliveryContext": { "isRedelivery": false }, "replyToken": format!("reply-{id}"),
        "message": { "id": id, "type": "text", "text": text, "quoteToken": "q" } })
}

fn signature(body: &str) -> String {
    hmac_base64("channel_secret", body)
}

async fn post(app: &TestApp, events: &[Value]) -> HttpAnswer {
    let body = json!({ "destination": "Ubot", "events": events }).to_string();
    app.hook("line", &[("x-line-signature", &signature(&body))], body).await
}

#[tokio::test]
async fn a_message_is_answered_by_its_reply_token() {
    let api = platform().await;
    let app = app(&api).await;
    let answer = post(&app, &[text("1", "什么时候发货")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let [call] = &api.after(1).await[..] else { panic!("one call") };
    assert_eq!((call.path(), call.header("authorization")), ("/v2/bot/message/reply", "Bearer token"));
    let body = call.json();
    assert_eq!((&body["replyToken"], &body["messages"][0]["type"]), (&json!("reply-1"), &json!("text")));
    assert!(body["messages"][0]["text"].as_str().unwrap().contains("发"), "{body}");
}

#[tokio::test]
async fn a_used_up_reply_token_gives_way_to_a_push_with_a_retry_key() {
    let api = StandIn::judging(|_, request| match request.path() {
        "/v2/bot/message/reply" => {
            Answer::Says("400 Bad Request".to_owned(), "{\"message\":\"Invalid reply token\"}".to_owned())
        }
        _ => Answer::json("{}"),
    })
    .await;
    let app = app(&api).await;
    post(&app, &[text("1", "什么时候发货")]).await;
    let calls = api.after(2).await;
    assert_eq!((calls[1].path(), calls[1].json()["to"].clone()), ("/v2/bot/message/push", json!("U1")));
    assert_eq!(calls[1].header("x-line-retry-key").len(), 36);
    assert_eq!(pushes(&app, "sent", 1).await.len(), 1);
}

#[tokio::test]
async fn the_months_quota_is_told_and_not_tried_again() {
    let api = StandIn::that(Answer::Says(
        "429 Too Many Requests".to_owned(),
        "{\"message\":\"You have reached your monthly limit.\"}".to_owned(),
    ))
    .await;
    let app = app(&api).await;
    post(&app, &[text("1", "什么时候发货")]).await;
    let dead = pushes(&app, "dead", 1).await;
    assert_eq!((&dead[0]["failure"], &dead[0]["endpoint"]), (&json!("quota"), &json!("channel:line")));
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn only_what_a_customer_says_in_a_chat_of_their_own_is_answered() {
    let api = platform().await;
    let app = app(&api).await;
    assert_eq!(post(&app, &[]).await.status, 200, "the console's check");
    let mut standby = text("1", "什么时候发货");
    standby["mode"] = json!("standby");
    let mut group = text("2", "什么时候发货");
    group["source"] = json!({ "type": "group", "groupId": "G", "userId": "U1" });
    let follow =
        json!({ "type": "follow", "mode": "active", "timestamp": 1, "source": { "type": "user", "userId": "U1" } });
    assert_eq!(post(&app, &[standby, group, follow]).await.status, 200);
    assert!(history(&app, "line", "U1").await.is_empty());
    let mut sticker = text("3", "");
    sticker["message"] = json!({ "id": "3", "type": "sticker", "packageId": "1", "stickerId": "1" });
    let unsend = json!({ "type": "unsend", "mode": "active", "timestamp": 1, "source": { "type": "user", "userId": "U1" },
        "webhookEventId": "E4", "unsend": { "messageId": "2" } });
    post(&app, &[sticker, unsend]).await;
    let kinds: Vec<Value> =
        history(&app, "line", "U1").await.iter().map(|event| event["event"]["kind"].clone()).collect();
    assert_eq!(kinds, ["media", "recalled"]);
}

#[tokio::test]
async fn a_hundred_events_at_once_are_taken_and_each_is_answered_once() {
    let api = platform().await;
    let app = app(&api).await;
    let events: Vec<Value> = (0..100)
        .map(|number| {
            let mut event = text(&format!("m{number}"), "什么时候发货");
            event["source"]["userId"] = json!(format!("U{number}"));
            event
        })
        .collect();
    assert_eq!(post(&app, &events).await.status, 200);
    assert_eq!(post(&app, &events).await.status, 200);
    settled(&app).await;
    let mut told: Vec<Value> = api.requests().iter().map(|call| call.json()["replyToken"].clone()).collect();
    told.sort_unstable_by_key(ToString::to_string);
    let mut wanted: Vec<Value> = (0..100).map(|number| json!(format!("reply-m{number}"))).collect();
    wanted.sort_unstable_by_key(ToString::to_string);
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_hundred_messages_of_one_customer_at_once_are_kept_in_their_order() {
    let api = platform().await;
    let app = app(&api).await;
    let events: Vec<Value> = (0..100).map(|number| text(&format!("m{number}"), "什么时候发货")).collect();
    assert_eq!(post(&app, &events).await.status, 200);
    let page = app.get("/v1/conversations/U1/events?shop=demo&channel=line&limit=500").await.json();
    let stored: Vec<&str> =
        page["events"].as_array().unwrap().iter().map(|event| event["event"]["message_id"].as_str().unwrap()).collect();
    assert!(stored.iter().copied().eq((0..100).map(|number| format!("m{number}"))), "{stored:?}");
    settled(&app).await;
    let tokens: Vec<Value> = api.requests().iter().map(|call| call.json()["replyToken"].clone()).collect();
    let place = |token: &Value| token.as_str().unwrap()["reply-m".len()..].parse::<u32>().unwrap();
    assert!(!tokens.is_empty() && tokens.iter().map(place).is_sorted(), "answers come in order: {tokens:?}");
}

#[tokio::test]
async fn a_long_answer_is_a_reply_and_pushes_that_fit() {
    let api = platform().await;
    let long = "付款后两天内发出，节假日顺延📦。".repeat(700);
    let app = with_answer(&account(&api.base()), &long).await;
    post(&app, &[text("1", "什么时候发货")]).await;
    settled(&app).await;
    let calls = api.requests();
    let paths: Vec<&str> = calls.iter().map(|call| call.path().rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["reply", "push", "push"], "the reply token is good once");
    let part = |call: &Request| call.json()["messages"][0]["text"].as_str().unwrap().to_owned();
    let parts: Vec<String> = calls.iter().map(part).collect();
    assert!(parts.iter().all(|part| part.encode_utf16().count() <= 5_000 && part.ends_with('。')));
    assert!(parts.concat().ends_with(&long), "nothing is lost, and the first comes first");
    assert_ne!(calls[1].header("x-line-retry-key"), calls[2].header("x-line-retry-key"));
}

#[tokio::test]
async fn a_forged_or_changed_body_is_refused() {
    let api = platform().await;
    let app = app(&api).await;
    let body = json!({ "destination": "U", "events": [text("1", "什么时候发货")] }).to_string();
    let right = signature(&body);
    let escaped = body.replace('什', "\\u4ec0");
    for (what, body, signature) in [
        ("none", body.as_str(), ""),
        ("another's", body.as_str(), "t7Hn4ZDHqs6e+wdvI5TyQIvzie0DmMUmuXEBqyyE/tM="),
        ("truncated", &body[..body.len() - 1], right.as_str()),
        ("re-serialised", escaped.as_str(), right.as_str()),
    ] {
        let answer = app.hook("line", &[("x-line-signature", signature)], body.to_owned()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{what}");
    }
    assert!(history(&app, "line", "U1").await.is_empty());
}

#[tokio::test]
async fn half_an_emoji_keeps_no_question_from_its_answer() {
    let api = platform().await;
    let app = app(&api).await;
    let body = json!({ "destination": "U", "events": [text("1", "什么时候发货HALF")] }).to_string();
    let body = body.replace("HALF", "\\ud83d");
    let answer = app.hook("line", &[("x-line-signature", &signature(&body))], body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(api.after(1).await[0].body.contains("付款后两天内发出"));
}

#[tokio::test]
async fn an_event_that_is_not_as_documented_keeps_no_other_back() {
    let api = platform().await;
    let app = app(&api).await;
    let user = |more: Value| with(text("1", "什么时候发货"), more);
    let odd = [
        json!(null),
        json!(7),
        json!({ "type": "of next year" }),
        json!({ "type": "module", "mode": "active", "timestamp": null, "source": null }),
        user(json!({ "source": { "type": "user" } })),
        user(json!({ "source": { "type": "user", "userId": null } })),
        user(json!({ "message": { "type": "text" } })),
        user(json!({ "message": null })),
        user(json!({ "type": "postback", "postback": { "data": null } })),
    ];
    assert_eq!(post(&app, &odd).await.status, 200);
    assert!(history(&app, "line", "U1").await.is_empty());
    let question = user(json!({ "mode": null, "timestamp": null, "deliveryContext": null }));
    assert_eq!(post(&app, &[&odd[..], &[question]].concat()).await.status, 200);
    assert_eq!(history(&app, "line", "U1").await.len(), 1);
    assert_eq!(api.after(1).await[0].json()["replyToken"], "reply-1");
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn lines_own_libraries_play_line_and_would_send_what_we_send() {
    for (command, refused, ignored) in [(python("line.py"), 5, 18), (node("line.mjs"), 4, 2)] {
        let port = free_port();
        let app = start(&account(&format!("http://127.0.0.1:{port}")), EVERYTHING_IS_UNSURE).await;
        let secrets = json!({ "secret": "channel_secret", "token": "token" });
        let told = converses(command, &app, "line", port, secrets).await;
        assert_eq!(told, json!({ "answered": 3, "refused": refused, "ignored": ignored, "compared": 4 }));
        assert_eq!(pushes(&app, "sent", 3).await.len(), 3);
    }
}

#[tokio::test]
async fn two_accounts_of_two_shops_do_not_know_of_each_other() {
    let api = platform().await;
    let account = |name: &str, secret: &str| {
        format!(
            "[[channels]]\nname = \"{name}\"\nshop = \"{name}\"\ntype = \"line\"\nallow_private = true\ndebounce_ms = 0\n\
             channel_secret = \"{secret}\"\nchannel_access_token = \"token of {name}\"\napi_url = \"{}\"\n",
            api.base()
        )
    };
    let shops = "[shops.a]\n[shops.b]\n";
    let config = format!("{}{}{shops}", account("a", "channel_secret"), account("b", "another_secret"));
    let app = Plan::shop().with_config(&config).start().await;
    let body = json!({ "destination": "U", "events": [text("1", "什么时候发货")] }).to_string();
    let post = async |account: &str, key: &str| {
        let signed = hmac_base64(key, &body);
        app.hook(account, &[("x-line-signature", &signed)], body.clone()).await.status
    };
    assert_eq!(post("b", "channel_secret").await, 401, "signed for the other");
    assert_eq!((post("a", "channel_secret").await, post("b", "another_secret").await), (200, 200));
    let mut tokens: Vec<String> =
        api.after(2).await.iter().map(|call| call.header("authorization").to_owned()).collect();
    tokens.sort();
    assert_eq!(tokens, ["Bearer token of a", "Bearer token of b"], "one message id, two accounts, two answers");
    for shop in ["a", "b"] {
        let path = format!("/v1/conversations/U1/events?shop={shop}&channel={shop}");
        assert_eq!(app.get(&path).await.json()["events"].as_array().unwrap().len(), 1);
    }
}
