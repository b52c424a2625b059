//! Chatwoot: an agent bot's signed webhooks, answered in pending conversations, handed over by the status open.

use serde_json::{Value, json};
use yingda::bot::now;
use yingda::channel::account::Account;

use super::every::{Proof, Spoken};
use super::failed;
use super::sign::hmac_hex;
use super::{history, platform, settled, start};
use crate::clients::{plays, python};
use crate::harness::{Answer as HttpAnswer, TestApp, with};
use crate::stand_in::{Answer, StandIn};

const SECRET: &str = "the-agent-bots-secret";

pub const SPOKEN: Spoken = Spoken {
    name: "chatwoot",
    account: |url| at(url, &format!("secret = \"{SECRET}\"")).replace("\"cw\"", "\"chatwoot\""),
    body: |id, conversation, text| {
        let mut body = message(id.parse().unwrap(), text);
        body["conversation"]["id"] = conversation.parse().unwrap();
        body.to_string()
    },
    proof: |body, _, at| {
        let time = at.as_second().to_string();
        let signed = signature(&time, body);
        let headers = vec![("x-chatwoot-timestamp", time), ("x-chatwoot-signature", signed)];
        Proof { query: String::new(), headers }
    },
    prefix: "1-",
    taken: "{}",
};

fn account(api: &StandIn, more: &str) -> String {
    at(&api.base(), more)
}

fn at(url: &str, more: &str) -> String {
    format!(
        "name = \"cw\"\ntype = \"chatwoot\"\naccess_token = \"bot-token\"\nbase_url = \"{url}/\"\naccount_id = 1\n{more}"
    )
}

async fn app(api: &StandIn) -> TestApp {
    start(&account(api, &format!("secret = \"{SECRET}\"")), "").await
}

/// The conversation 42 of account 1, as Chatwoot tells it.
fn conversation(status: &str, updated_at: f64) -> Value {
    json!({ "id": 42, "inbox_id": 5, "status": status, "can_reply": true, "channel": "Channel::WebWidget",
        "contact_inbox": { "id": 9, "contact_id": 7, "source_id": "x" }, "labels": [], "timestamp": 1_700_000_000,
        "messages": [{ "id": 3, "account_id": 1, "message_type": 0 }], "updated_at": updated_at,
        "meta": { "sender": { "id": 7, "name": "王小明", "type": "contact" }, "assignee": null } })
}

fn message(id: u64, text: &str) -> Value {
    json!({ "event": "message_created", "id": id, "content": text, "content_type": "text", "content_attributes": {},
        "message_type": "incoming", "private": false, "created_at": now(), "source_id": null,
        "sender": { "id": 7, "name": "王小明", "account": { "id": 1, "name": "Shop" } },
        "inbox": { "id": 5, "name": "Site" }, "account": { "id": 1, "name": "Shop" },
        "conversation": conversation("pending", 1.0) })
}

fn sent_by(id: u64, sender: Value, more: Value) -> Value {
    let outgoing = json!({ "message_type": "outgoing", "sender": sender });
    with(with(message(id, "我来帮您看看"), outgoing), more)
}

fn status(event: &str, status: &str, updated_at: f64) -> Value {
    let changed = json!([{ "status": { "previous_value": "pending", "current_value": status } }]);
    with(conversation(status, updated_at), json!({ "event": event, "changed_attributes": changed }))
}

fn signature(time: &str, body: &str) -> String {
    format!("sha256={}", hmac_hex(SECRET, &format!("{time}.{body}")))
}

async fn post_at(app: &TestApp, body: &str, seconds: i64) -> HttpAnswer {
    let time = (now().as_second() + seconds).to_string();
    let headers = [
        ("x-chatwoot-timestamp", time.as_str()),
        ("x-chatwoot-signature", &signature(&time, body)),
        ("x-chatwoot-delivery", "6f0e7a4c-4a2c-4d63-9f5b-0d8f3f2a6c11"),
    ];
    app.hook("cw", &headers, body.to_owned()).await
}

async fn post(app: &TestApp, body: &Value) {
    let answer = post_at(app, &body.to_string(), 0).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{body}");
}

/// Kinds and texts of what was recorded.
async fn recorded(app: &TestApp) -> Vec<(String, String)> {
    let field = |event: &Value, name: &str| event["event"][name].as_str().unwrap_or_default().to_owned();
    let events = history(app, "cw", "1-42").await;
    events.iter().map(|event| (field(event, "kind"), field(event, "text"))).collect()
}

async fn kinds(app: &TestApp) -> Vec<String> {
    recorded(app).await.into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test]
async fn a_message_in_a_pending_conversation_is_answered_through_the_api() {
    let api = platform().await;
    let app = app(&api).await;
    post(&app, &message(3, "什么时候发货")).await;
    let [call] = &api.after(1).await[..] else { panic!("one call") };
    assert!(call.head.starts_with("POST /api/v1/accounts/1/conversations/42/messages "), "{}", call.head);
    assert_eq!(call.header("api_access_token"), "bot-token");
    assert!(call.header("content-type").starts_with("application/json"));
    let body = call.json();
    assert!(body["content"].as_str().unwrap().contains("付款后两天内发出"), "{body}");
    assert_eq!((&body["message_type"], &body["private"]), (&json!("outgoing"), &json!(false)));
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    let event = &history(&app, "cw", "1-42").await[0]["event"];
    assert_eq!((&event["customer_id"], &event["context"]["customer_name"]), (&json!("7"), &json!("王小明")));
}

#[tokio::test]
async fn a_forged_changed_or_old_webhook_is_refused_without_a_word() {
    let api = platform().await;
    let app = app(&api).await;
    let body = message(3, "什么时候发货").to_string();
    let time = now().as_second().to_string();
    let right = signature(&time, &body);
    let escaped = body.replace('什', "\\u4ec0");
    let other = (now().as_second() + 1).to_string();
    for (what, time, signature, body) in [
        ("no signature", time.as_str(), "", body.as_str()),
        ("no scheme", &time, right.trim_start_matches("sha256="), &body),
        ("another body's", &time, &signature(&time, "{}"), &body),
        ("truncated", &time, &right, &body[..body.len() - 1]),
        ("re-serialised", &time, &right, &escaped),
        ("another time", &other, &right, &body),
        ("no time", "soon", &signature("soon", &body), &body),
    ] {
        let headers = [("x-chatwoot-timestamp", time), ("x-chatwoot-signature", signature)];
        let answer = app.hook("cw", &headers, body.to_owned()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{what}");
    }
    for seconds in [-310, 310] {
        assert_eq!(post_at(&app, &body, seconds).await.status, 401, "{seconds} seconds");
    }
    assert_eq!(kinds(&app).await, Vec::<String>::new());
    assert_eq!(post_at(&app, &body, -290).await.status, 200);
}

#[tokio::test]
async fn an_unsigned_install_is_known_by_the_secret_in_its_address() {
    let api = platform().await;
    let app = start(&account(&api, "url_secret = \"0123456789abcdef\""), "").await;
    let body = message(3, "什么时候发货").to_string();
    for address in ["cw", "cw?key=", "cw?key=0123456789abcdeF", "cw?key=0123456789abcdef&key=0123456789abcdef"] {
        assert_eq!(app.hook(address, &[], body.clone()).await.status, 401, "{address}");
    }
    assert_eq!(app.hook("cw?key=0123456789abcdef", &[], body).await.status, 200);
    assert_eq!(api.after(1).await.len(), 1);
}

#[tokio::test]
async fn another_account_is_refused_and_what_nobody_needs_is_acknowledged() {
    let api = platform().await;
    let app = app(&api).await;
    let strange = with(message(3, "什么时候发货"), json!({ "account": { "id": 2 } }));
    assert_eq!(post_at(&app, &strange.to_string(), 0).await.status, 403);
    for body in [
        json!({ "event": "webwidget_triggered", "id": 9, "contact": {}, "event_info": {} }),
        json!({ "event": "contact_created", "id": 7, "account": { "id": 1 } }),
        json!({ "event": "conversation_updated", "id": 42, "status": "open", "changed_attributes": null }),
        json!({ "event": "something_new" }),
        json!({ "event": "message_created", "id": null, "conversation": 5, "sender": "x", "content": {} }),
        status("conversation_status_changed", "dreaming", 3.0),
    ] {
        post(&app, &body).await;
    }
    for body in ["", "[]", "{}", "{\"event\": 1}", "\u{0}"] {
        assert_eq!(post_at(&app, body, 0).await.status, 400, "{body}");
    }
    assert_eq!(kinds(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_a_customers_message_is_not_answered_and_what_a_human_wrote_is_recorded() {
    let api = platform().await;
    let app = app(&api).await;
    let (amy, bot) = (json!({ "id": 4, "name": "Amy", "type": "user" }), json!({ "id": 1, "type": "agent_bot" }));
    for body in [
        sent_by(10, bot, json!({})),
        sent_by(11, Value::Null, json!({ "message_type": "template" })),
        sent_by(12, Value::Null, json!({ "message_type": "activity" })),
        sent_by(13, amy.clone(), json!({ "private": true })),
        sent_by(14, amy.clone(), json!({ "content_attributes": { "automation_rule_id": 3 } })),
        sent_by(15, amy.clone(), json!({ "additional_attributes": { "campaign_id": 3 } })),
        sent_by(16, Value::Null, json!({})),
    ] {
        post(&app, &body).await;
    }
    assert_eq!(kinds(&app).await, Vec::<String>::new());
    post(&app, &sent_by(17, amy, json!({}))).await;
    post(&app, &sent_by(18, Value::Null, json!({ "content_attributes": { "external_echo": true } }))).await;
    post(&app, &message(19, "什么时候发货")).await;
    settled(&app).await;
    assert_eq!(kinds(&app).await, ["agent_message", "agent_message", "message"]);
    assert_eq!(history(&app, "cw", "1-42").await[0]["event"]["agent_id"], "4");
    assert_eq!(api.requests().len(), 0, "a human is there");
}

#[tokio::test]
async fn what_is_asked_in_an_open_conversation_waits_for_its_agent() {
    let api = platform().await;
    let app = app(&api).await;
    let mut open = message(3, "什么时候发货");
    open["conversation"]["status"] = json!("open");
    open["conversation"]["meta"]["assignee"] = json!({ "id": 4, "name": "Amy", "type": "user" });
    post(&app, &open).await;
    let mut muted = message(4, "在吗");
    muted["conversation"]["status"] = json!("resolved");
    post(&app, &muted).await;
    settled(&app).await;
    assert_eq!(kinds(&app).await, ["takeover", "message"]);
    let told = app.get("/v1/conversations/1-42?shop=demo&channel=cw").await.json();
    assert_eq!((&told["phase"]["name"], &told["phase"]["agent"]), (&json!("assigned"), &json!("4")), "{told}");
    assert!(told["waiting_for_human_since"].is_string(), "the agent's clock runs: {told}");
    assert_eq!(api.requests().len(), 0);
    post(&app, &sent_by(5, json!({ "id": 4, "type": "user" }), json!({}))).await;
    let told = app.get("/v1/conversations/1-42?shop=demo&channel=cw").await.json();
    assert!(told["waiting_for_human_since"].is_null(), "and stops: {told}");
}

#[tokio::test]
async fn the_status_of_a_conversation_says_whose_it_is() {
    let api = platform().await;
    let app = app(&api).await;
    post(&app, &message(3, "什么时候发货")).await;
    api.after(1).await;
    post(&app, &status("conversation_status_changed", "open", 2.25)).await;
    post(&app, &message(4, "书包有几种颜色")).await;
    settled(&app).await;
    assert_eq!(api.requests().len(), 1, "a human has it");
    post(&app, &status("conversation_status_changed", "pending", 3.5)).await;
    post(&app, &message(5, "鼠标的软件怎么安装")).await;
    api.after(2).await;
    post(&app, &status("conversation_resolved", "resolved", 4.5)).await;
    // The same moment once more, by the newer event and once more by the older.
    post(&app, &status("conversation_status_changed", "resolved", 4.5)).await;
    post(&app, &status("conversation_updated", "open", 5.5)).await;
    let told = ["message", "takeover", "message", "hand_back", "message", "closed", "takeover"];
    assert_eq!(kinds(&app).await, told);
}

#[tokio::test]
async fn attachments_are_media_and_deleted_messages_are_recalled() {
    let api = platform().await;
    let app = app(&api).await;
    let picture =
        json!({ "content": null, "attachments": [{ "id": 1, "file_type": "image", "data_url": "https://x" }] });
    post(&app, &with(message(3, ""), picture)).await;
    let deleted = json!({ "event": "message_updated", "content": "This message was deleted",
        "content_attributes": { "deleted": true } });
    post(&app, &with(message(3, ""), deleted)).await;
    post(&app, &with(message(3, "x"), json!({ "event": "message_updated" }))).await;
    assert_eq!(kinds(&app).await, ["media", "recalled"]);
}

#[tokio::test]
async fn a_menu_has_buttons_and_what_is_chosen_is_answered() {
    let api = platform().await;
    let unsure = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";
    let app = start(&account(&api, &format!("secret = \"{SECRET}\"")), unsure).await;
    post(&app, &message(3, "书包的颜色，还有什么时候能够发货呢")).await;
    let menu = api.after(1).await[0].json();
    assert_eq!(menu["content_type"], "input_select");
    let items = menu["content_attributes"]["items"].as_array().unwrap().clone();
    assert!(items.len() >= 2, "{menu}");
    assert!(menu["content"].as_str().unwrap().contains("\n1. "), "inboxes without buttons show the text: {menu}");
    let chosen = json!({ "event": "message_updated", "content_type": "input_select",
        "content_attributes": { "items": items, "submitted_values": [items[0]] } });
    let update = with(sent_by(20, json!({ "id": 1, "type": "agent_bot" }), json!({})), chosen);
    post(&app, &update).await;
    post(&app, &update).await;
    api.after(2).await;
    settled(&app).await;
    assert_eq!(api.requests().len(), 2, "told twice, answered once");
    let said = recorded(&app).await;
    assert_eq!(said[1], ("message".to_owned(), items[0]["value"].as_str().unwrap().to_owned()));
    let survey = json!({ "event": "message_updated", "content_type": "input_csat", "message_type": "template",
        "content_attributes": { "submitted_values": { "csat_survey_response": { "rating": 5 } } } });
    post(&app, &with(message(21, "x"), survey)).await;
    assert_eq!(recorded(&app).await.len(), 2);
}

#[tokio::test]
async fn the_bot_hands_over_after_its_last_word() {
    let api = StandIn::judging(|number, _| match number {
        0 => Answer::status("503 Service Unavailable"),
        _ => Answer::json("{}"),
    })
    .await;
    let app = app(&api).await;
    post(&app, &message(3, "转人工")).await;
    let calls = api.after(3).await;
    let paths: Vec<&str> = calls.iter().map(|call| call.path().rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["messages", "messages", "toggle_status"], "the reply first, however often it is tried");
    assert_eq!(calls[2].path(), "/api/v1/accounts/1/conversations/42/toggle_status");
    assert_eq!(calls[2].header("api_access_token"), "bot-token");
    assert_eq!(calls[2].json(), json!({ "status": "open" }));
    // Its own status comes back.
    post(&app, &status("conversation_status_changed", "open", 2.0)).await;
    post(&app, &message(4, "什么时候发货")).await;
    settled(&app).await;
    assert_eq!(api.requests().len(), 3, "the bot keeps silent");
}

#[tokio::test]
async fn a_long_answer_is_sent_in_messages_that_fit() {
    let api = platform().await;
    let app = start(&account(&api, &format!("secret = \"{SECRET}\"\ntext_chars = 16")), "").await;
    post(&app, &message(3, "什么时候发货")).await;
    let calls = api.after(2).await;
    for call in &calls {
        let text = call.json()["content"].as_str().unwrap().to_owned();
        assert!(!text.is_empty() && text.chars().count() <= 16, "{text}");
    }
}

#[tokio::test]
async fn what_chatwoot_refuses_is_told_in_the_outbox() {
    for (answer, state, failure, says) in [
        ("401 Unauthorized", "pending", "retry", "access_token"),
        ("404 Not Found", "dead", "given_up", "no such conversation"),
        ("422 Unprocessable Entity", "dead", "given_up", "422"),
        ("301 Moved Permanently\r\nlocation: https://chat.example.com/", "dead", "given_up", "base_url"),
        ("429 Too Many Requests\r\nretry-after: 60", "pending", "quota", "429"),
        ("502 Bad Gateway", "pending", "retry", "502"),
    ] {
        let api = StandIn::that(Answer::status(answer)).await;
        let app = app(&api).await;
        post(&app, &message(3, "什么时候发货")).await;
        let push = failed(&app, state).await;
        assert_eq!(push["failure"], failure, "{answer}: {push}");
        let why = push["error"].as_str().unwrap();
        assert!(why.contains(says) && !why.contains("bot-token"), "{answer}: {why}");
    }
}

#[test]
fn an_account_needs_one_secret_and_not_two() {
    let account = "name = \"cw\"\nshop = \"demo\"\ntype = \"chatwoot\"\naccess_token = \"t\"";
    let fault = Account::read(account.parse().unwrap()).unwrap_err();
    assert!(fault.contains("`cw`: set one of `secret`") && fault.contains("`url_secret`"), "{fault}");
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn chatwoots_client_library_makes_the_calls_that_we_make() {
    // Ours and theirs come to the same stand-in.
    let api = StandIn::judging(|_, request| {
        Answer::json(match request.path().ends_with("toggle_status") {
            true => json!({ "payload": { "success": true, "current_status": "open", "conversation_id": 42 } }),
            false => json!({ "id": 1, "content": "x", "message_type": 1, "created_at": 1, "conversation_id": 42 }),
        })
    })
    .await;
    let app = app(&api).await;
    post(&app, &message(3, "转人工")).await;
    let ours = api.after(2).await;
    let content = ours[0].json()["content"].clone();
    let asked = json!({ "base_url": api.base(), "token": "bot-token", "account": 1, "conversation": 42,
        "content": content, "secret": SECRET, "timestamp": now().as_second(), "webhook": message(4, "什么时候发货").to_string() });
    let told = plays(python("chatwoot_client.py"), asked).await;
    let theirs = api.after(4).await;
    for (ours, theirs) in ours.iter().zip(&theirs[2..]) {
        assert_eq!(ours.head.lines().next(), theirs.head.lines().next());
        assert_eq!(ours.header("api_access_token"), theirs.header("api_access_token"));
        assert_eq!(ours.json(), theirs.json());
    }
    assert_eq!(told["status"], "open", "{told}");
    // A body as another language writes it, signed there.
    let (body, time) = (told["body"].as_str().unwrap(), told["timestamp"].as_str().unwrap());
    let headers = [("x-chatwoot-timestamp", time), ("x-chatwoot-signature", told["signature"].as_str().unwrap())];
    assert!(body.contains("\\u4ec0"), "escaped, as JSON may be");
    assert_eq!(app.hook("cw", &headers, body.to_owned()).await.status, 200);
    assert_eq!(recorded(&app).await.last().unwrap(), &("message".to_owned(), "什么时候发货".to_owned()));
}
