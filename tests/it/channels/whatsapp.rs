//! WhatsApp: signed by the app's secret, answered through the Graph API.

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::meta::{
    account, account_at, error, only_what_is_signed_is_heard, post, signature, the_challenge_is_answered,
    what_becomes_of, written,
};
use super::{EVERYTHING_IS_UNSURE, UNSURE, edited, with_answer};
use super::{history, platform, pushes, settled, start};
use crate::clients::{converses, free_port, python};
use crate::harness::TestApp;
use crate::stand_in::{Answer, StandIn};

const NUMBER: &str = "phone_number_id = \"106540352242922\"";
const CUSTOMER: &str = "8613800138000";

pub const SPOKEN: Spoken = Spoken {
    name: "whatsapp",
    account: |url| account_at("whatsapp", url, NUMBER),
    body: |id, customer, words| written(&notification(&[change(&[text(id, customer, words)])])),
    proof: |body, _, _| Proof::header("x-hub-signature-256", signature(body)),
    prefix: "",
    taken: "{}",
};

async fn app(api: &StandIn) -> TestApp {
    start(&account("whatsapp", api, NUMBER), "").await
}

fn text(id: &str, from: &str, text: &str) -> Value {
    message(id, from, "text", json!({ "body": text }))
}

fn message(id: &str, from: &str, kind: &str, content: Value) -> Value {
    json!({ "from": from, "id": id, "timestamp": now().as_second().to_string(), "type": kind, kind: content })
}

fn change(messages: &[Value]) -> Value {
    json!({ "field": "messages", "value": { "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": "106540352242922" },
        "contacts": [{ "profile": { "name": "小王" }, "wa_id": CUSTOMER, "user_id": "CN.13491208655302741918" }],
        "messages": messages } })
}

fn notification(changes: &[Value]) -> Value {
    let entry = json!({ "id": "102290129340398", "changes": changes });
    json!({ "object": "whatsapp_business_account", "entry": [entry] })
}

fn question(id: &str) -> Value {
    notification(&[change(&[text(id, CUSTOMER, "什么时候发货")])])
}

async fn kinds(app: &TestApp) -> Vec<String> {
    let events = history(app, "whatsapp", CUSTOMER).await;
    events.iter().map(|event| event["event"]["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_answered_through_the_graph_api() {
    let api = platform().await;
    let app = app(&api).await;
    let answer = post(&app, "whatsapp", &question("wamid.1")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let [call] = &api.after(1).await[..] else { panic!("one call") };
    assert_eq!((call.path(), call.header("authorization")), ("/v25.0/106540352242922/messages", "Bearer EAAG"));
    assert!(call.head.starts_with("POST ") && call.header("content-type").starts_with("application/json"));
    let body = call.json();
    assert_eq!(
        (&body["messaging_product"], &body["to"], &body["type"]),
        (&json!("whatsapp"), &json!(CUSTOMER), &json!("text"))
    );
    assert_eq!(body["text"]["preview_url"], false);
    assert!(body["text"]["body"].as_str().unwrap().contains("付款后两天内发出"), "{body}");
    assert_eq!(pushes(&app, "sent", 1).await.len(), 1);
    let events = history(&app, "whatsapp", CUSTOMER).await;
    assert_eq!(events[0]["event"]["context"]["customer_name"], "小王");
}

#[tokio::test]
async fn the_address_proves_itself_to_meta_only() {
    let api = platform().await;
    the_challenge_is_answered(&app(&api).await, "whatsapp").await;
}

#[tokio::test]
async fn a_forged_truncated_or_reserialised_body_is_refused() {
    let api = platform().await;
    let app = app(&api).await;
    only_what_is_signed_is_heard(&app, "whatsapp", &question("wamid.1")).await;
    assert_eq!(kinds(&app).await, ["message"], "what was refused left nothing");
    settled(&app).await;
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn a_hundred_messages_in_entries_and_changes_are_taken_and_each_customer_is_answered_once() {
    let api = platform().await;
    let app = app(&api).await;
    let numbers: Vec<String> = (0..100).map(|number| format!("861380013{number:04}")).collect();
    let messages: Vec<Value> =
        numbers.iter().map(|from| text(&format!("wamid.{from}"), from, "什么时候发货")).collect();
    // Entries of one, two, three ... changes, with five messages in each.
    let mut changes: Vec<Value> = messages.chunks(5).map(change).collect();
    let mut body = json!({ "object": "whatsapp_business_account", "entry": [] });
    for most in 1.. {
        let rest = changes.split_off(most.min(changes.len()));
        body["entry"].as_array_mut().unwrap().push(notification(&changes)["entry"][0].clone());
        changes = rest;
        if changes.is_empty() {
            break;
        }
    }
    assert!(body["entry"].as_array().unwrap().len() > 4);
    assert_eq!(post(&app, "whatsapp", &body).await.status, 200);
    assert_eq!(post(&app, "whatsapp", &body).await.status, 200);
    settled(&app).await;
    let calls = api.requests();
    let mut to: Vec<String> = calls.iter().map(|call| call.json()["to"].as_str().unwrap().to_owned()).collect();
    to.sort_unstable();
    assert_eq!(to, numbers);
}

#[tokio::test]
async fn media_and_recalls_are_recorded_as_such() {
    let api = platform().await;
    let app = app(&api).await;
    let media = json!({ "id": "1013859600285441", "mime_type": "image/webp", "sha256": "x", "caption": "就是这个" });
    let place = json!({ "latitude": 31.2, "longitude": 121.5 });
    let messages: Vec<Value> = ["image", "sticker", "audio", "video", "document"]
        .into_iter()
        .map(|kind| message(&format!("wamid.{kind}"), CUSTOMER, kind, media.clone()))
        .chain([
            message("wamid.location", CUSTOMER, "location", place),
            message("wamid.contacts", CUSTOMER, "contacts", json!([{ "name": { "formatted_name": "小李" } }])),
            message("wamid.revoke", CUSTOMER, "revoke", json!({ "original_message_id": "wamid.image" })),
        ])
        .collect();
    assert_eq!(post(&app, "whatsapp", &notification(&[change(&messages)])).await.status, 200);
    assert_eq!(kinds(&app).await, [vec!["media"; 7], vec!["recalled"]].concat());
    assert_eq!(history(&app, "whatsapp", CUSTOMER).await[0]["event"]["text"], "就是这个");
}

#[tokio::test]
async fn what_nobody_needs_to_answer_is_acknowledged_and_left_alone() {
    let api = platform().await;
    let app = app(&api).await;
    let mut status = change(&[]);
    status["value"]["statuses"] = json!([{ "id": "wamid.X", "status": "failed", "timestamp": "1", "recipient_id": CUSTOMER,
        "errors": [{ "code": 131_047, "title": "Re-engagement message" }] }]);
    let mut other_number = change(&[text("wamid.1", CUSTOMER, "什么时候发货")]);
    other_number["value"]["metadata"]["phone_number_id"] = json!("555");
    let mut group = text("wamid.2", CUSTOMER, "什么时候发货");
    group["group_id"] = json!("Y2FwaV9ncm91cDo");
    let odd = change(&[
        message("wamid.3", CUSTOMER, "reaction", json!({ "message_id": "wamid.X", "emoji": "👍" })),
        message("wamid.4", CUSTOMER, "unsupported", json!({ "type": "poll" })),
        message("wamid.5", CUSTOMER, "system", json!({ "body": "changed" })),
        message("wamid.6", CUSTOMER, "edit", json!({ "original_message_id": "wamid.X" })),
        message("wamid.7", CUSTOMER, "text", json!("not as documented")),
        message("wamid.8", CUSTOMER, "never_heard_of", json!({})),
        json!("no object"),
        group,
    ]);
    let template = json!({ "field": "message_template_status_update", "value": { "event": "APPROVED" } });
    let strange = json!({ "field": "messages", "value": 7 });
    let empty = json!({ "object": "whatsapp_business_account", "entry": [] });
    for body in [notification(&[status, other_number, odd, template, strange]), empty, json!({ "object": "page" })] {
        let answer = post(&app, "whatsapp", &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{body}");
    }
    assert!(history(&app, "whatsapp", CUSTOMER).await.is_empty());
    assert_eq!(post(&app, "whatsapp", &json!([])).await.status, 400);
}

#[tokio::test]
async fn what_a_human_writes_in_the_app_keeps_the_bot_silent() {
    let api = platform().await;
    let app = app(&api).await;
    let echo = json!({ "from": "15550783881", "to": CUSTOMER, "id": "wamid.E", "timestamp": now().as_second().to_string(),
        "type": "text", "text": { "body": "亲，我来处理" } });
    let revoked = json!({ "from": "15550783881", "to": CUSTOMER, "id": "wamid.R", "timestamp": "1750000000",
        "type": "revoke", "revoke": { "original_message_id": "wamid.E" } });
    let mut change = change(&[]);
    change["field"] = json!("smb_message_echoes");
    change["value"]["message_echoes"] = json!([echo, revoked]);
    assert_eq!(post(&app, "whatsapp", &notification(&[change])).await.status, 200);
    assert_eq!(post(&app, "whatsapp", &question("wamid.1")).await.status, 200);
    assert_eq!(kinds(&app).await, ["agent_message", "message"]);
    settled(&app).await;
    assert!(api.requests().is_empty(), "a human has it");
}

#[tokio::test]
async fn a_customer_without_a_telephone_number_is_answered_by_their_id() {
    let api = platform().await;
    let app = app(&api).await;
    let mut message = text("wamid.1", "", "什么时候发货");
    message.as_object_mut().unwrap().remove("from");
    message["from_user_id"] = json!("CN.13491208655302741918");
    let mut change = change(&[message]);
    change["value"]["contacts"][0].as_object_mut().unwrap().remove("wa_id");
    assert_eq!(post(&app, "whatsapp", &notification(&[change])).await.status, 200);
    let body = api.after(1).await[0].json();
    assert_eq!((&body["recipient"], body.get("to")), (&json!("CN.13491208655302741918"), None));
}

#[tokio::test]
async fn a_menu_is_buttons_and_pressing_one_answers_it() {
    let api = platform().await;
    let app = start(&account("whatsapp", &api, NUMBER), EVERYTHING_IS_UNSURE).await;
    post(&app, "whatsapp", &notification(&[change(&[text("wamid.1", CUSTOMER, UNSURE)])])).await;
    let menu = api.after(1).await[0].json();
    assert_eq!((&menu["type"], &menu["interactive"]["type"]), (&json!("interactive"), &json!("button")), "{menu}");
    assert!(menu["interactive"]["body"]["text"].as_str().unwrap().contains("\n1. "), "{menu}");
    let buttons = menu["interactive"]["action"]["buttons"].as_array().unwrap().clone();
    let ship = buttons.iter().find(|button| button["reply"]["title"] == "什么时候发货").expect("it offers that");
    let pressed = json!({ "type": "button_reply", "button_reply": ship["reply"] });
    post(&app, "whatsapp", &notification(&[change(&[message("wamid.2", CUSTOMER, "interactive", pressed)])])).await;
    let answer = api.after(2).await[1].json();
    assert!(answer["text"]["body"].as_str().unwrap().contains("付款后两天内发出"), "{answer}");
}

#[tokio::test]
async fn a_chosen_row_and_a_templates_button_are_what_they_say() {
    let api = platform().await;
    let app = app(&api).await;
    let row = json!({ "type": "list_reply", "list_reply": { "id": "什么时候发货", "title": "什么时…" } });
    let button = json!({ "text": "书包有几种颜色", "payload": "COLOURS" });
    let messages = [message("wamid.1", CUSTOMER, "interactive", row), message("wamid.2", CUSTOMER, "button", button)];
    post(&app, "whatsapp", &notification(&[change(&messages)])).await;
    let said: Vec<String> = api.after(2).await.iter().map(|call| call.json()["text"]["body"].to_string()).collect();
    assert!(said[0].contains("付款后两天内发出") && said[1].contains("三种颜色"), "{said:?}");
}

#[tokio::test]
async fn a_long_answer_becomes_several_messages_in_order() {
    let api = platform().await;
    let long = "付款后两天内发出，节假日顺延。".repeat(400);
    let app = with_answer(&account("whatsapp", &api, NUMBER), &long).await;
    post(&app, "whatsapp", &question("wamid.1")).await;
    let calls = api.after(2).await;
    let parts: Vec<String> =
        calls.iter().map(|call| call.json()["text"]["body"].as_str().unwrap().to_owned()).collect();
    assert!(parts.iter().all(|part| part.encode_utf16().count() <= 4_096 && part.ends_with('。')));
    assert!(parts.concat().ends_with(&long), "nothing is lost");
}

#[tokio::test]
async fn every_way_to_fail_is_told_in_the_outbox() {
    for (answer, state, failure) in [
        (error("400 Bad Request", 131_047, 0), "dead", "window_closed"),
        (error("400 Bad Request", 131_026, 0), "dead", "given_up"),
        (error("400 Bad Request", 100, 0), "dead", "given_up"),
        (error("429 Too Many Requests", 130_429, 0), "pending", "quota"),
        (error("401 Unauthorized", 190, 463), "pending", "retry"),
        (error("500 Internal Server Error", 131_000, 0), "pending", "retry"),
        (Answer::status("502 Bad Gateway"), "pending", "retry"),
    ] {
        let told = format!("{failure}: {}", matches!(answer, Answer::Says(..)));
        let became = what_becomes_of("whatsapp", NUMBER, &question("wamid.1"), answer, state).await;
        assert_eq!(became, failure, "{told}");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn pywa_plays_whatsapp_and_would_send_what_we_send() {
    // A question that is too long for a button makes the menu a list.
    for question in ["书包有几种颜色", "书包一共有几种颜色可以挑选呢，请问有没有黑色的"] {
        let port = free_port();
        let account = account_at("whatsapp", &format!("http://127.0.0.1:{port}"), NUMBER);
        let app = edited(&account, EVERYTHING_IS_UNSURE, "书包有几种颜色", question).await;
        let secrets =
            json!({ "secret": super::meta::SECRET, "verify": "a token", "token": "EAAG", "number": "106540352242922" });
        let told = converses(python("whatsapp.py"), &app, "whatsapp", port, secrets).await;
        assert_eq!(told, json!({ "answered": 3, "refused": 18, "ignored": 6, "compared": 4 }));
        assert_eq!(history(&app, "whatsapp", CUSTOMER).await[0]["event"]["context"]["customer_name"], "小王");
        assert!(pushes(&app, "sent", 4).await.len() >= 4);
    }
}

#[tokio::test]
async fn what_was_taken_and_did_not_arrive_is_seen_in_the_outbox() {
    let api = platform().await;
    let app = app(&api).await;
    post(&app, "whatsapp", &question("wamid.1")).await;
    let call = api.after(1).await[0].json();
    let sent = pushes(&app, "sent", 1).await[0]["id"].clone();
    assert_eq!(call["biz_opaque_callback_data"], sent);
    let report = |status: &str, id: &Value, code: i64| {
        json!({ "field": "messages", "value": { "metadata": { "phone_number_id": "106540352242922" }, "statuses": [{
            "id": "wamid.out", "status": status, "timestamp": "1750000000", "recipient_id": CUSTOMER,
            "errors": [{ "code": code, "title": "to +8613800138000", "message": "Re-engagement message" }],
            "biz_opaque_callback_data": id }] } })
    };
    for notice in [report("delivered", &sent, 0), report("failed", &json!("msg_unknown"), 131_047)] {
        assert_eq!(post(&app, "whatsapp", &notification(&[notice])).await.status, 200);
    }
    assert_eq!(pushes(&app, "sent", 1).await.len(), 1);
    // A report and a question in one notification: both are heard.
    let both =
        notification(&[report("failed", &sent, 131_047), change(&[text("wamid.2", "8613900139000", "什么时候发货")])]);
    assert_eq!(post(&app, "whatsapp", &both).await.status, 200);
    let failed = &pushes(&app, "dead", 1).await[0];
    assert_eq!((&failed["id"], &failed["failure"]), (&sent, &json!("window_closed")));
    let why = failed["error"].as_str().unwrap();
    assert!(why.contains("told later, code 131047") && !why.contains("138"), "{why}");
    assert_eq!(api.after(2).await.len(), 2);
    // Sent again by hand, it is not what that report was about.
    app.send(http::Method::POST, "/v1/outbox/replay", "").await;
    api.after(3).await;
    settled(&app).await;
    assert_eq!(pushes(&app, "sent", 2).await.len(), 2);
    let odd = notification(&[
        report("failed", &json!("a\u{0}b"), 131_047),
        change(&[text("wamid.3", "8613900139001", "在吗")]),
    ]);
    assert_eq!(post(&app, "whatsapp", &odd).await.status, 200);
    api.after(4).await;
}
