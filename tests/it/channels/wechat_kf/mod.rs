//! WeChat customer service: a callback in an envelope, messages fetched page by page, replies by the API.

mod mailbox;
mod replies;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use yingda::bot::now;
use yingda::channel::wechat_crypto::{Crypto, signature};

use self::mailbox::read_to_the_end;
use super::EVERYTHING_IS_UNSURE;
use super::{history, pushes};
use crate::clients::{converses, free_port, node, python};
use crate::harness::{Answer as HttpAnswer, Plan, TestApp};
use crate::stand_in::{Answer, Request, StandIn};

const KEY: &str = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR";
const CORP: &str = "wx49f0ab532d5d035a";
const KF: &str = "wkAJ2GCAAASSm4_FhToWMFea0xAFfd3Q";
const CUSTOMER: &str = "wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw";

/// The messages that the platform keeps, in pages, and what it says to what is sent.
#[derive(Clone, Default)]
struct Platform {
    pages: Arc<Mutex<Vec<Vec<Value>>>>,
    /// `errcode` of what is sent.
    says: Arc<Mutex<i64>>,
    /// `errcode`s of the next fetches.
    stumbles: Arc<Mutex<Vec<i64>>>,
    grants: Arc<AtomicU32>,
    /// How long it takes for a page.
    pace: Duration,
}

impl Platform {
    async fn start(&self) -> StandIn {
        let platform = self.clone();
        StandIn::judging(move |_, request| platform.answer(request)).await
    }

    fn answer(&self, request: &Request) -> Answer {
        if request.path().starts_with("/cgi-bin/gettoken?") {
            let number = self.grants.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("t{number}");
            return Answer::json(json!({ "errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": 7200 }));
        }
        if request.path().starts_with("/cgi-bin/kf/sync_msg?") {
            let stumble = self.stumbles.lock().unwrap().pop();
            return match stumble {
                Some(code) => Answer::json(json!({ "errcode": code, "errmsg": "x" })),
                None => Answer::Later(self.pace, self.page(&request.json()).to_string()),
            };
        }
        let code = *self.says.lock().unwrap();
        Answer::json(json!({ "errcode": code, "errmsg": "x", "msgid": request.json()["msgid"] }))
    }

    /// The page after a cursor, which is the number of the page.
    fn page(&self, asked: &Value) -> Value {
        let pages = self.pages.lock().unwrap();
        let place: usize = asked["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
        let list = pages.get(place).cloned().unwrap_or_default();
        let next = (place + 1).min(pages.len());
        let more = u32::from(next < pages.len());
        json!({ "errcode": 0, "errmsg": "ok", "next_cursor": next.to_string(), "has_more": more, "msg_list": list })
    }

    fn has(&self, page: Vec<Value>) {
        self.pages.lock().unwrap().push(page);
    }
}

fn settings(url: &str, more: &str) -> String {
    format!(
        "[[channels]]\nshop = \"demo\"\nallow_private = true\ndebounce_ms = 0\nname = \"kf\"\ntype = \"wechat_kf\"\n\
         corp_id = \"{CORP}\"\nsecret = \"hush\"\ntoken = \"123456\"\nencoding_aes_key = \"{KEY}\"\napi_url = \"{url}\"\n{more}\n"
    )
}

async fn app(api: &StandIn, more: &str) -> TestApp {
    Plan::shop().with_config(&settings(&api.base(), more)).start().await
}

fn item(id: &str, origin: u32, more: &Value) -> Value {
    let mut item = json!({ "msgid": id, "open_kfid": KF, "external_userid": CUSTOMER,
        "send_time": now().as_second(), "origin": origin });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

fn text(id: &str, words: &str) -> Value {
    item(id, 3, &json!({ "msgtype": "text", "text": { "content": words } }))
}

fn event(id: &str, more: &Value) -> Value {
    let mut event = json!({ "open_kfid": KF, "external_userid": CUSTOMER });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "msgid": id, "send_time": now().as_second(), "origin": 4, "msgtype": "event", "event": event })
}

fn callback(event: &str, kf: &str) -> String {
    let time = now().as_second();
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><CreateTime>{time}</CreateTime><MsgType><![CDATA[event]]></MsgType>\
         <Event><![CDATA[{event}]]></Event><Token><![CDATA[ENCtoken]]></Token><OpenKfId><![CDATA[{kf}]]></OpenKfId></xml>"
    )
}

fn envelope(corp: &str, document: &str) -> (String, String) {
    let encrypt = Crypto::new(KEY, corp).unwrap().encrypt([9; 16], document.as_bytes());
    let time = now().as_second().to_string();
    let signed = signature("123456", &time, "nonce", &encrypt);
    let query = format!("msg_signature={signed}&timestamp={time}&nonce=nonce");
    let body = format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt><AgentID></AgentID></xml>"
    );
    (query, body)
}

/// The platform tells that there is something.
async fn rings(app: &TestApp) -> HttpAnswer {
    let (query, body) = envelope(CORP, &callback("kf_msg_or_event", KF));
    app.hook(&format!("kf?{query}"), &[], body).await
}

fn calls<'a>(requests: &'a [Request], path: &str) -> Vec<&'a Request> {
    requests.iter().filter(|request| request.path().starts_with(path)).collect()
}

/// What was sent, once there is so much.
async fn sent(api: &StandIn, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let requests = api.requests();
        let sent = calls(&requests, "/cgi-bin/kf/send_msg?");
        if sent.len() >= count {
            return sent.into_iter().map(Request::json).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} messages were never sent: {:?}", api.requests());
}

fn conversation() -> String {
    format!("{KF}:{CUSTOMER}")
}

async fn events(app: &TestApp) -> Vec<Value> {
    history(app, "kf", &conversation()).await.into_iter().map(|event| event["event"].clone()).collect()
}

/// The events, once there are so many.
async fn events_after(app: &TestApp, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let events = events(app).await;
        if events.len() >= count {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} events never were there: {:?}", events(app).await);
}

#[tokio::test]
async fn the_handshake_gives_back_the_decrypted_echo_and_nothing_to_others() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let echo = "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==";
    let signed = "msg_signature=dd6b9c95b495b3f7e2901bfbc76c664930ffdb96&timestamp=1411443780&nonce=437374425";
    let encoded = echo.replace('+', "%2B").replace('=', "%3D");
    for echo in [echo, &encoded] {
        let answer = app.get(&format!("/channels/kf?{signed}&echostr={echo}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "5927782489442352469"), "{echo}");
    }
    for wrong in [signed.replace("dd6b", "dd6c"), signed.replace("1411443780", "1411443781"), String::new()] {
        let answer = app.get(&format!("/channels/kf?{wrong}&echostr={encoded}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{wrong}");
    }
    assert_eq!(app.get(&format!("/channels/kf?{signed}")).await.status, 401);
}

#[tokio::test]
async fn a_callback_has_the_messages_fetched_and_each_answered_once() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, &format!("open_kfids = [\"{KF}\"]")).await;
    // A token, and the look when the service started.
    api.after(2).await;
    platform.has(vec![text("m1", "什么时候发货")]);
    let answer = rings(&app).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let [reply] = &sent(&api, 1).await[..] else { panic!("one reply") };
    assert_eq!(
        (&reply["touser"], &reply["open_kfid"], &reply["msgtype"]),
        (&json!(CUSTOMER), &json!(KF), &json!("text"))
    );
    assert!(reply["text"]["content"].as_str().unwrap().contains("付款后两天内发出"), "{reply}");
    let id = reply["msgid"].as_str().unwrap();
    assert!(id.len() <= 32 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')), "{id}");
    let requests = api.requests();
    let [grant] = &calls(&requests, "/cgi-bin/gettoken?")[..] else { panic!("one token: {requests:?}") };
    assert_eq!(grant.path(), format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret=hush"));
    let [first, fetch] = &calls(&requests, "/cgi-bin/kf/sync_msg?access_token=t1")[..] else { panic!("{requests:?}") };
    assert_eq!(first.json(), json!({ "open_kfid": KF, "limit": 1000, "voice_format": 0 }));
    let asked = json!({ "open_kfid": KF, "token": "ENCtoken", "cursor": "0", "limit": 1000, "voice_format": 0 });
    assert_eq!(fetch.json(), asked);
    assert!(calls(&requests, "/cgi-bin/kf/send_msg?")[0].path().ends_with("=t1"));
    platform.has(Vec::new());
    for _ in 0..3 {
        assert_eq!(rings(&app).await.status, 200);
    }
    read_to_the_end(&app, &platform).await;
    assert_eq!(calls(&api.requests(), "/cgi-bin/kf/send_msg?").len(), 1);
    assert_eq!(events(&app).await.len(), 1);
}

#[tokio::test]
async fn a_forged_or_changed_callback_is_refused_and_another_event_left_alone() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let (query, body) = envelope(CORP, &callback("kf_msg_or_event", KF));
    for (what, query, body) in [
        ("unsigned", String::new(), body.clone()),
        ("another nonce", query.replace("nonce=nonce", "nonce=n"), body.clone()),
        ("truncated", query.clone(), body[..body.len() - 2].to_owned()),
        ("plain", query.clone(), callback("kf_msg_or_event", KF)),
        ("a bomb", query.clone(), format!("<!DOCTYPE x [<!ENTITY a \"aaa\">]>{body}")),
    ] {
        let answer = app.hook(&format!("kf?{query}"), &[], body).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{what}");
    }
    let (query, other) = envelope("wx0000000000000000", &callback("kf_msg_or_event", KF));
    assert_eq!(app.hook(&format!("kf?{query}"), &[], other).await.status, 403, "another company's");
    let (query, odd) = envelope(CORP, "<xml><Event>kf_msg_or_event</Event><Event>x</Event></xml>");
    assert_eq!(app.hook(&format!("kf?{query}"), &[], odd).await.status, 400);
    for document in [callback("kf_account_auth_change", KF), callback("kf_msg_or_event", ""), callback("x", KF)] {
        let (query, body) = envelope(CORP, &document);
        let answer = app.hook(&format!("kf?{query}"), &[], body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{document}");
    }
    assert!(known(&app).await.is_empty(), "what is to be fetched would be known by now");
}

/// What the account remembers: its mailboxes, before they are fetched, and then its token.
async fn known(app: &TestApp) -> Vec<String> {
    app.bot.store().account_state("kf").await.unwrap().into_keys().collect()
}

#[tokio::test]
async fn only_the_named_accounts_are_looked_at() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "open_kfids = [\"wkOurs\"]").await;
    let (query, body) = envelope(CORP, &callback("kf_msg_or_event", KF));
    assert_eq!(app.hook(&format!("kf?{query}"), &[], body).await.status, 200);
    let others: Vec<String> = known(&app).await.into_iter().filter(|name| name.contains(KF)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn what_agents_and_the_platform_do_is_recorded_and_not_answered() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    platform.has(vec![
        item("1", 3, &json!({ "msgtype": "image", "image": { "media_id": "m" } })),
        item("2", 3, &json!({ "msgtype": "something_new", "something_new": {} })),
        event("3", &json!({ "event_type": "enter_session", "scene": "s", "welcome_code": "w" })),
        event("4", &json!({ "event_type": "user_recall_msg", "recall_msgid": "1" })),
        event("5", &json!({ "event_type": "msg_send_fail", "fail_msgid": "f", "fail_type": 6 })),
        event("6", &json!({ "event_type": "servicer_status_change", "servicer_userid": "amy", "status": 1 })),
        event("7", &json!({ "event_type": "session_status_change", "change_type": 1, "new_servicer_userid": "amy" })),
        item("8", 5, &json!({ "msgtype": "text", "servicer_userid": "amy", "text": { "content": "在的亲" } })),
        item("9", 5, &json!({ "msgtype": "image", "servicer_userid": "amy", "image": { "media_id": "m" } })),
        text("10", "什么时候发货"),
        event(
            "11",
            &json!({ "event_type": "session_status_change", "change_type": 2, "new_servicer_userid": "bob",
            "old_servicer_userid": "amy" }),
        ),
        event("12", &json!({ "event_type": "session_status_change", "change_type": 3, "old_servicer_userid": "bob" })),
    ]);
    rings(&app).await;
    let told: Vec<String> = events_after(&app, 9)
        .await
        .iter()
        .map(|event| {
            let part = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
            [part("message_id"), part("kind"), part("agent_id"), part("text")].join(" ").trim_end().to_owned()
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 media -",
            "2 media -",
            "4 recalled -",
            "7 takeover amy",
            "8 agent_message amy 在的亲",
            "9 agent_message amy [media]",
            "10 message - 什么时候发货",
            "11 takeover bob",
            "12 hand_back -",
        ]
    );
    read_to_the_end(&app, &platform).await;
    let [greeting] = &sent(&api, 1).await[..] else { panic!("a human had it, and then nobody asked") };
    assert!(greeting["text"]["content"].as_str().unwrap().contains("欢迎"), "who begins with a picture is greeted");
    platform.has(vec![text("13", "书包有几种颜色")]);
    rings(&app).await;
    assert!(
        sent(&api, 2).await[1]["text"]["content"].as_str().unwrap().contains("颜色"),
        "after the end the bot answers"
    );
}

#[test]
fn settings_that_cannot_be_are_told() {
    let good = format!(
        "name = \"kf\"\nshop = \"demo\"\ntype = \"wechat_kf\"\ncorp_id = \"{CORP}\"\nsecret = \"hush\"\ntoken = \"123456\"\n"
    );
    for (more, says) in [
        (String::new(), "encoding_aes_key"),
        ("encoding_aes_key = \"short\"".to_owned(), "43 characters"),
        (format!("encoding_aes_key = \"{KEY}\"\npage_messages = 0"), "page_messages"),
        (format!("encoding_aes_key = \"{KEY}\"\nopen_kfid = \"wk\""), "unknown field `open_kfid`"),
    ] {
        let table = format!("{good}{more}").parse().unwrap();
        let fault = yingda::channel::account::Account::read(table).expect_err(&more);
        assert!(fault.contains(says) && !fault.contains("hush"), "{more}: {fault}");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn libraries_play_wecom_and_read_what_it_is_sent() {
    for (command, wanted) in [
        (python("wechat_kf.py"), json!({ "answered": 2, "refused": 3, "ignored": 3, "compared": 3 })),
        (node("wechat_kf.mjs"), json!({ "answered": 2, "refused": 3 })),
    ] {
        let port = free_port();
        let config = settings(&format!("http://127.0.0.1:{port}"), "");
        let app = Plan::shop().with_config(&format!("{config}{EVERYTHING_IS_UNSURE}")).start().await;
        let secrets = json!({ "token": "123456", "corp_id": CORP, "key": KEY, "secret": "hush" });
        assert_eq!(converses(command, &app, "kf", port, secrets).await, wanted);
        assert_eq!(pushes(&app, "sent", 2).await.len(), 2);
    }
}
