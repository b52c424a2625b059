//! Telegram: known by the secret token, answered through the Bot API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::{EVERYTHING_IS_UNSURE, UNSURE, failed, with_answer};
use super::{history, platform, pushes, settled, start};
use crate::cli::Served;
use crate::clients::{converses, free_port, python};
use crate::harness::{Answer as HttpAnswer, TestApp};
use crate::stand_in::{Answer, StandIn};

const TOKEN: &str = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11";
const SECRET: &str = "yingda_-1";

pub const SPOKEN: Spoken = Spoken {
    name: "telegram",
    account,
    body: |id, customer, words| text(id.parse().unwrap(), words).to_string().replace("5000000001", customer),
    proof: |_, _, _| Proof::header("x-telegram-bot-api-secret-token", SECRET),
    prefix: "",
    taken: "{}",
};

fn account(api: &str) -> String {
    format!(
        "name = \"telegram\"\ntype = \"telegram\"\nbot_token = \"{TOKEN}\"\nsecret_token = \"{SECRET}\"\napi_url = \"{api}\""
    )
}

async fn app(api: &StandIn) -> TestApp {
    start(&account(&api.base()), "").await
}

fn chat() -> Value {
    json!({ "id": 5_000_000_001_i64, "type": "private", "first_name": "小王" })
}

fn person() -> Value {
    json!({ "id": 5_000_000_001_i64, "is_bot": false, "first_name": "小王", "language_code": "zh-hans" })
}

fn update(id: i64, more: Value) -> Value {
    let mut message = json!({ "message_id": id, "date": now().as_second(), "chat": chat(), "from": person() });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "update_id": id, "message": message })
}

fn text(id: i64, text: &str) -> Value {
    update(id, json!({ "text": text }))
}

async fn post(app: &TestApp, update: &Value) -> HttpAnswer {
    app.hook("telegram", &[("x-telegram-bot-api-secret-token", SECRET)], update.to_string()).await
}

async fn kinds(app: &TestApp) -> Vec<String> {
    let events = history(app, "telegram", "5000000001").await;
    events.iter().map(|event| event["event"]["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_answered_through_the_bot_api() {
    let api = platform().await;
    let app = app(&api).await;
    let answer = post(&app, &text(1, "什么时候发货")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let [call] = &api.after(1).await[..] else { panic!("one call") };
    assert_eq!(call.path(), format!("/bot{TOKEN}/sendMessage"));
    let body = call.json();
    assert_eq!((&body["chat_id"], body.get("reply_markup")), (&json!(5_000_000_001_i64), None));
    assert!(body["text"].as_str().unwrap().contains("付款后两天内发出"), "{body}");
    assert_eq!(history(&app, "telegram", "5000000001").await[0]["event"]["context"]["customer_name"], "小王");
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_token_is_refused() {
    let api = platform().await;
    let app = app(&api).await;
    let body = text(1, "什么时候发货").to_string();
    for wrong in ["", "yingda_-", "yingda_-2", "yingda_-1 2", "YINGDA_-1", TOKEN] {
        let answer = app.hook("telegram", &[("x-telegram-bot-api-secret-token", wrong)], body.clone()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{wrong}");
    }
    let twice = [("x-telegram-bot-api-secret-token", SECRET), ("x-telegram-bot-api-secret-token", SECRET)];
    assert_eq!(app.hook("telegram", &twice, body.clone()).await.status, 401);
    assert_eq!(app.hook("telegram", &[], body.clone()).await.status, 401);
    assert_eq!(app.get(&format!("/channels/telegram?secret_token={SECRET}")).await.status, 401);
    let cut = body[..body.len() - 1].to_owned();
    assert_eq!(app.hook("telegram", &twice[..1], cut).await.status, 400, "signed, and no JSON");
    assert!(kinds(&app).await.is_empty());
}

#[tokio::test]
async fn media_and_pressed_buttons_are_understood() {
    let api = platform().await;
    let app = app(&api).await;
    let file = json!({ "file_id": "A", "file_unique_id": "a", "width": 1, "height": 1, "duration": 1 });
    for (id, (kind, content)) in [
        ("photo", json!([file.clone()])),
        ("sticker", file.clone()),
        ("voice", file.clone()),
        ("document", file.clone()),
        ("location", json!({ "latitude": 31.2, "longitude": 121.5 })),
    ]
    .into_iter()
    .enumerate()
    {
        let more = json!({ kind: content, "caption": "就是这个" });
        assert_eq!(post(&app, &update(id as i64, more)).await.status, 200, "{kind}");
    }
    let query = json!({ "update_id": 9, "callback_query": { "id": "q", "from": person(), "chat_instance": "1",
        "message": { "message_id": 8, "date": 0, "chat": chat() }, "data": "什么时候发货" } });
    assert_eq!(post(&app, &query).await.status, 200);
    assert_eq!(kinds(&app).await, [vec!["media"; 5], vec!["message"]].concat());
    assert_eq!(history(&app, "telegram", "5000000001").await[0]["event"]["text"], "就是这个");
}

#[tokio::test]
async fn only_what_a_person_says_in_a_chat_of_their_own_is_heard() {
    let api = platform().await;
    let app = app(&api).await;
    let in_a = |kind: &str, id: i64| {
        let mut group = text(id, "什么时候发货");
        group["message"]["chat"] = json!({ "id": -100_123, "type": kind, "title": "群" });
        group
    };
    let mut by_bot = text(4, "什么时候发货");
    by_bot["message"]["from"]["is_bot"] = json!(true);
    let mut by_nobody = text(5, "什么时候发货");
    by_nobody["message"].as_object_mut().unwrap().remove("from");
    let mut edited = text(6, "什么时候发货");
    edited["edited_message"] = edited["message"].take();
    for update in [
        in_a("group", 1),
        in_a("supergroup", 2),
        in_a("channel", 3),
        by_bot,
        by_nobody,
        edited,
        update(7, json!({ "pinned_message": { "message_id": 1 } })),
        json!({ "update_id": 8, "my_chat_member": { "chat": chat() } }),
        json!({ "update_id": 9, "callback_query": { "id": "q", "from": person(), "game_short_name": "x" } }),
        json!({ "update_id": 10, "never_heard_of": 1 }),
        json!({ "update_id": 11, "message": "not as documented" }),
    ] {
        let answer = post(&app, &update).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{update}");
    }
    settled(&app).await;
    assert!(kinds(&app).await.is_empty() && api.requests().is_empty());
    let group = app.get("/v1/conversations/-100123?shop=demo&channel=telegram").await;
    assert_eq!(group.status, 404);
}

#[tokio::test]
async fn whoever_starts_the_bot_is_greeted_in_the_language_of_the_app() {
    let api = platform().await;
    let app = app(&api).await;
    for (id, language, says) in [(1, "zh-hans", "欢迎"), (2, "en", "Welcome"), (3, "", "欢迎")] {
        let mut update = text(id, "/start from-the-shop");
        for whose in ["chat", "from"] {
            update["message"][whose]["id"] = json!(id);
        }
        match language {
            "" => drop(update["message"]["from"].as_object_mut().unwrap().remove("language_code")),
            language => update["message"]["from"]["language_code"] = json!(language),
        }
        post(&app, &update).await;
        let said = api.after(id as usize).await[id as usize - 1].json();
        assert!(said["text"].as_str().unwrap().contains(says), "{language}: {said}");
    }
}

#[tokio::test]
async fn a_menu_is_a_keyboard_and_pressing_a_key_answers_it() {
    let api = platform().await;
    let app = start(&account(&api.base()), EVERYTHING_IS_UNSURE).await;
    post(&app, &text(1, UNSURE)).await;
    let markup = api.after(1).await[0].json()["reply_markup"].clone();
    assert_eq!((&markup["one_time_keyboard"], &markup["resize_keyboard"]), (&json!(true), &json!(true)), "{markup}");
    let keys: Vec<&str> =
        markup["keyboard"].as_array().unwrap().iter().map(|row| row[0]["text"].as_str().unwrap()).collect();
    assert!(keys.contains(&"什么时候发货"), "{keys:?}");
    post(&app, &text(2, "什么时候发货")).await;
    let answer = api.after(2).await[1].json();
    assert!(answer["text"].as_str().unwrap().contains("付款后两天内发出"), "{answer}");
}

#[tokio::test]
async fn a_long_answer_becomes_several_messages_in_order() {
    let api = platform().await;
    let long = "付款后两天内发出，节假日顺延📦。".repeat(400);
    let app = with_answer(&account(&api.base()), &long).await;
    post(&app, &text(1, "什么时候发货")).await;
    let parts: Vec<String> =
        api.after(2).await.iter().map(|call| call.json()["text"].as_str().unwrap().to_owned()).collect();
    assert!(parts.iter().all(|part| part.encode_utf16().count() <= 4_096));
    assert!(parts.concat().ends_with(&long), "nothing is lost");
}

fn refusal(code: u16, description: &str) -> Answer {
    let body = json!({ "ok": false, "error_code": code, "description": description });
    Answer::Says(format!("{code} Refused"), body.to_string())
}

#[tokio::test]
async fn every_way_to_fail_is_told_in_the_outbox_without_the_token() {
    let flood = json!({ "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 35",
        "parameters": { "retry_after": 35 } });
    for (answer, state, failure) in [
        (refusal(403, "Forbidden: bot was blocked by the user"), "dead", "given_up"),
        (refusal(400, "Bad Request: chat not found"), "dead", "given_up"),
        (refusal(401, "Unauthorized"), "pending", "retry"),
        (refusal(404, "Not Found"), "pending", "retry"),
        (Answer::Says("429 Too Many Requests".to_owned(), flood.to_string()), "pending", "quota"),
        (refusal(502, "Bad Gateway"), "pending", "retry"),
        (Answer::Raw(b"no HTTP at all".to_vec()), "pending", "retry"),
    ] {
        let api = StandIn::that(answer).await;
        let app = app(&api).await;
        post(&app, &text(1, "什么时候发货")).await;
        let push = failed(&app, state).await;
        assert_eq!(push["failure"], failure, "{push}");
        assert!(!push.to_string().contains("ABC-DEF1234"), "{push}");
    }
}

#[tokio::test]
async fn a_flood_is_waited_for_as_long_as_telegram_asks() {
    let flood = json!({ "ok": false, "error_code": 429, "description": "-", "parameters": { "retry_after": 3000 } });
    let api = StandIn::that(Answer::Says("429 Too Many Requests".to_owned(), flood.to_string())).await;
    let app = app(&api).await;
    post(&app, &text(1, "什么时候发货")).await;
    let due: jiff::Timestamp = failed(&app, "pending").await["due_at"].as_str().unwrap().parse().unwrap();
    assert!(due.duration_since(now()).as_secs() > 2_900, "{due}");
}

#[tokio::test]
async fn the_token_stands_in_no_log() {
    let api = StandIn::that(refusal(401, "Unauthorized")).await;
    let home = tempfile::tempdir().unwrap();
    let common = "[[channels]]\nshop = \"demo\"\nallow_private = true\ndebounce_ms = 0\n";
    std::fs::write(home.path().join("yingda.toml"), format!("{common}{}", account(&api.base()))).unwrap();
    let served = Served::start_logging(home.path(), "trace");
    let request = crate::harness::client().post(format!("{}/channels/telegram", served.base));
    let request = request.header("x-telegram-bot-api-secret-token", SECRET);
    let answer = request.body(text(1, "什么时候发货").to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    api.after(1).await;
    let started = Instant::now();
    while served.get("/v1/outbox?state=pending").await.json()["pushes"][0]["error"].is_null() {
        assert!(started.elapsed() < Duration::from_secs(10), "it fails");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = served.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "it tells much");
    for secret in ["ABC-DEF1234", SECRET] {
        let told: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn python_telegram_bot_plays_telegram_and_would_send_what_we_send() {
    let port = free_port();
    let app = start(&account(&format!("http://127.0.0.1:{port}")), EVERYTHING_IS_UNSURE).await;
    let secrets = json!({ "secret": SECRET, "token": TOKEN });
    let told = converses(python("telegram_bot.py"), &app, "telegram", port, secrets).await;
    assert_eq!(told, json!({ "answered": 2, "refused": 4, "ignored": 23, "compared": 3 }));
    assert_eq!(kinds(&app).await, ["message", "message", "message", "media"]);
    assert_eq!(pushes(&app, "sent", 3).await.len(), 3);
}
