//! WeChat customer service: a callback in an envelope, messages fetched page by page, replies by the API.

mod mailbox;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use yingda::bot::now;
use yingda::channel::wechat_crypto::{Crypto, signature};

use self::mailbox::read_to_the_end;
use super::meta::EVERYTHING_IS_UNSURE;
use super::{history, pushes, settled};
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
async fn pages_are_read_to_the_end_an_empty_one_too() {
    let platform = Platform::default();
    let api = platform.start().await;
    platform.has(vec![text("m1", "什么时候发货")]);
    platform.has(Vec::new());
    platform.has(vec![json!({ "odd": true }), text("m2", "书包有几种颜色")]);
    let app = app(&api, "").await;
    rings(&app).await;
    let replies = sent(&api, 2).await;
    assert!(replies[1]["text"]["content"].as_str().unwrap().contains("颜色"), "{replies:?}");
    let requests = api.requests();
    let cursors: Vec<Value> =
        calls(&requests, "/cgi-bin/kf/sync_msg?").iter().map(|fetch| fetch.json()["cursor"].clone()).collect();
    assert_eq!(cursors, [Value::Null, json!("1"), json!("2")]);
}

#[tokio::test]
async fn after_a_restart_it_goes_on_where_it_was() {
    let platform = Platform::default();
    let api = platform.start().await;
    platform.has(vec![text("m1", "什么时候发货")]);
    let first = app(&api, "").await;
    rings(&first).await;
    read_to_the_end(&first, &platform).await;
    platform.has(vec![text("m2", "书包有几种颜色")]);
    let second = Plan::shop().with_config(&settings(&api.base(), "")).beside(&first).start().await;
    assert!(sent(&api, 2).await[1]["text"]["content"].as_str().unwrap().contains("颜色"), "without a callback");
    let requests = api.requests();
    let fetches = calls(&requests, "/cgi-bin/kf/sync_msg?");
    assert_eq!(fetches.last().unwrap().json()["cursor"], "1");
    assert_eq!(platform.grants.load(Ordering::SeqCst), 1, "the token was kept too");
    assert_eq!(events_after(&second, 2).await.len(), 2);
}

#[tokio::test]
async fn a_page_that_comes_twice_is_answered_once() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let page = vec![text("m1", "什么时候发货"), text("m2", "书包有几种颜色")];
    platform.has(page.clone());
    rings(&app).await;
    sent(&api, 2).await;
    // As if it had died between the page and its cursor.
    platform.has(page);
    rings(&app).await;
    read_to_the_end(&app, &platform).await;
    assert_eq!(sent(&api, 2).await.len(), 2);
    assert_eq!(events(&app).await.len(), 2);
}

#[tokio::test]
async fn a_token_refused_midway_is_replaced_and_the_callbacks_token_given_up() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    platform.has(vec![text("m1", "什么时候发货")]);
    platform.stumbles.lock().unwrap().extend([95007, 42001]);
    rings(&app).await;
    sent(&api, 1).await;
    let requests = api.requests();
    let fetches = calls(&requests, "/cgi-bin/kf/sync_msg?");
    let seen: Vec<(&str, Value)> = fetches
        .iter()
        .map(|fetch| (fetch.path().split('=').next_back().unwrap(), fetch.json()["token"].clone()))
        .collect();
    assert_eq!(seen, [("t1", json!("ENCtoken")), ("t2", json!("ENCtoken")), ("t2", Value::Null)]);
}

#[tokio::test]
async fn what_was_said_before_the_account_was_there_is_left_alone() {
    let platform = Platform::default();
    let api = platform.start().await;
    let mut yesterday = text("m1", "什么时候发货");
    yesterday["send_time"] = json!(now().as_second() - 86_400);
    platform.has(vec![yesterday, text("m2", "书包有几种颜色")]);
    let app = app(&api, "").await;
    rings(&app).await;
    sent(&api, 1).await;
    read_to_the_end(&app, &platform).await;
    let ids: Vec<Value> = events(&app).await.iter().map(|event| event["message_id"].clone()).collect();
    assert_eq!(ids, ["m2"]);
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
    let told: Vec<String> = events_after(&app, 10)
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
            "5 system - msg_send_fail 6: more than 5 messages",
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

#[tokio::test]
async fn a_handover_is_said_and_then_told_to_the_platform() {
    for (more, state) in [
        ("", json!({ "service_state": 2 })),
        ("hand_over_to = \"amy\"", json!({ "service_state": 3, "servicer_userid": "amy" })),
    ] {
        let platform = Platform::default();
        let api = platform.start().await;
        let app = app(&api, more).await;
        platform.has(vec![text("m1", "转人工")]);
        rings(&app).await;
        pushes(&app, "sent", 2).await;
        let requests = api.requests();
        let [.., reply, handover] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(reply.path(), "/cgi-bin/kf/send_msg?access_token=t1");
        assert_eq!(handover.path(), "/cgi-bin/kf/service_state/trans?access_token=t1");
        let mut expected = json!({ "open_kfid": KF, "external_userid": CUSTOMER });
        expected.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        assert_eq!(handover.json(), expected);
    }
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "hand_over = false").await;
    platform.has(vec![text("m1", "转人工")]);
    rings(&app).await;
    pushes(&app, "sent", 1).await;
    settled(&app).await;
    assert_eq!(calls(&api.requests(), "/cgi-bin/kf/service_state").len(), 0);
}

const UNSURE: &str = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";

#[tokio::test]
async fn a_menu_can_be_pressed_and_a_press_is_its_text() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, UNSURE).await;
    platform.has(vec![text("m1", "书包的颜色，还有什么时候能够发货呢")]);
    rings(&app).await;
    let [menu] = &sent(&api, 1).await[..] else { panic!("one menu") };
    assert_eq!(menu["msgtype"], "msgmenu", "{menu}");
    let list = menu["msgmenu"]["list"].as_array().unwrap();
    assert!((2..=3).contains(&list.len()));
    assert_eq!((&list[0]["type"], &list[0]["click"]["id"]), (&json!("click"), &json!("1")));
    let around =
        [&menu["msgmenu"]["head_content"], &menu["msgmenu"]["tail_content"]].map(|text| text.as_str().unwrap());
    assert!(around[0].ends_with("您要问的是：") && around[1] == "请回数字。", "{around:?}");
    let pressed = json!({ "msgtype": "text", "text": { "content": list[0]["click"]["content"], "menu_id": "1" } });
    platform.has(vec![item("m2", 3, &pressed)]);
    rings(&app).await;
    let events = events_after(&app, 2).await;
    assert_eq!(events[1]["text"], list[0]["click"]["content"]);
    assert_eq!(sent(&api, 2).await[1]["msgtype"], "text");
}

#[tokio::test]
async fn a_long_answer_is_five_messages_at_most_each_within_the_limit() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = Plan::editable_shop().with_config(&settings(&api.base(), "text_bytes = 100")).start().await;
    let answer = "第一句说晾晒。".repeat(100);
    let entry = format!("[[entry]]\nid = \"long\"\nquestion = \"保养说明书怎么写的\"\nanswer = '''{answer}'''\n");
    app.write_faq("long.toml", entry);
    assert_eq!(app.reload().await.status, 200);
    platform.has(vec![text("m1", "保养说明书怎么写的")]);
    rings(&app).await;
    let replies = sent(&api, 5).await;
    let texts: Vec<&str> = replies.iter().map(|reply| reply["text"]["content"].as_str().unwrap()).collect();
    assert!(texts.iter().all(|text| text.len() <= 100), "{texts:?}");
    assert!(texts[4].ends_with('…'), "{texts:?}");
    let ids: std::collections::BTreeSet<&str> = replies.iter().map(|reply| reply["msgid"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    settled(&app).await;
    assert_eq!(sent(&api, 5).await.len(), 5);
}

#[tokio::test]
async fn every_refusal_of_a_message_is_told_by_its_class() {
    for (code, state, failure) in [
        (95001, "dead", "quota"),
        (95002, "dead", "window_closed"),
        (95013, "dead", "window_closed"),
        (95018, "dead", "given_up"),
        (95000, "dead", "given_up"),
        (40096, "dead", "given_up"),
        (-1, "pending", "retry"),
        (40014, "pending", "retry"),
        (45009, "pending", "quota"),
        (60020, "pending", "retry"),
    ] {
        let platform = Platform::default();
        *platform.says.lock().unwrap() = code;
        let api = platform.start().await;
        let app = app(&api, "").await;
        platform.has(vec![text("m1", "什么时候发货")]);
        rings(&app).await;
        let push = failed(&app, state, failure).await;
        assert!(push["error"].as_str().unwrap().contains(&code.to_string()), "{push}");
        let ids: Vec<Value> = sent(&api, 1).await.iter().map(|reply| reply["msgid"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "attempts share an id: {ids:?}");
    }
}

/// The only push, once it failed so.
async fn failed(app: &TestApp, state: &str, failure: &str) -> Value {
    for _ in 0..250 {
        let [push] = &pushes(app, state, 1).await[..] else { panic!("one push") };
        if push["failure"] == failure {
            return push.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never failed by {failure}");
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
