//! WeChat Official Accounts: signed or in envelopes, answered in the response, the rest by the API.

mod passive;

use std::time::Duration;

use serde_json::{Value, json};
use yingda::bot::now;
use yingda::channel::signature::sorted_sha1;
use yingda::channel::wechat_crypto::{Crypto, signature};
use yingda::channel::xml::{self, Fields};

use super::every::{Proof, Spoken};
use super::{history, pushes, settled, start};
use crate::clients::{converses, free_port, node, python};
use crate::harness::{Answer as HttpAnswer, Plan, TestApp};
use crate::stand_in::{Answer, SECRET, StandIn};

const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const OTHER_KEY: &str = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR";
const APPID: &str = "wxb11529c136998cb6";
const ACCOUNT: &str = "gh_7f083739789a";
const CUSTOMER: &str = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc";

pub const SPOKEN: Spoken = Spoken {
    name: "wechat",
    account: |_| settings(""),
    body: |id, customer, words| text(id, words).replace(CUSTOMER, customer),
    proof: |_, _, at| Proof { query: query(at.as_second()), headers: Vec::new() },
    prefix: "",
    taken: "{}",
};

fn settings(more: &str) -> String {
    format!("name = \"wechat\"\ntype = \"wechat\"\ntoken = \"test\"\n{more}")
}

fn encrypted(more: &str) -> String {
    settings(&format!("app_id = \"{APPID}\"\nencoding_aes_key = \"{KEY}\"\n{more}"))
}

/// With the API at a stand-in.
fn with_api(url: &str, more: &str) -> String {
    settings(&format!("app_id = \"{APPID}\"\napp_secret = \"hush\"\napi_url = \"{url}\"\n{more}"))
}

/// The platform's API: grants tokens `t1`, `t2`, ..., and says `code` to messages.
async fn api(code: i64) -> StandIn {
    StandIn::judging(move |number, request| match request.path().starts_with("/cgi-bin/token?") {
        true => Answer::json(json!({ "access_token": format!("t{}", number + 1), "expires_in": 7200 })),
        false => Answer::json(json!({ "errcode": code, "errmsg": "x" })),
    })
    .await
}

fn document(id: &str, more: &str) -> String {
    made_at(now().as_second(), id, more)
}

fn made_at(seconds: i64, id: &str, more: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName><FromUserName><![CDATA[{CUSTOMER}]]></FromUserName>\
         <CreateTime>{seconds}</CreateTime>{more}<MsgId>{id}</MsgId></xml>"
    )
}

fn said(text: &str) -> String {
    format!("<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>")
}

fn text(id: &str, text: &str) -> String {
    document(id, &said(text))
}

fn event(name: &str, more: &str) -> String {
    let body = document("", &format!("<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>{more}"));
    body.replace("<MsgId></MsgId>", "")
}

/// A query as the platform signs it: over token, timestamp and nonce only.
fn query(seconds: i64) -> String {
    let time = seconds.to_string();
    let signed = sorted_sha1(&["test", &time, "nonce"]);
    format!("signature={signed}&timestamp={time}&nonce=nonce&openid={CUSTOMER}")
}

async fn post(app: &TestApp, body: &str) -> HttpAnswer {
    app.hook(&format!("wechat?{}", query(now().as_second())), &[], body.to_owned()).await
}

/// An envelope as the platform closes it: its query and its body.
fn envelope(key: &str, appid: &str, body: &str) -> (String, String) {
    let encrypt = Crypto::new(key, appid).unwrap().encrypt([7; 16], body.as_bytes());
    let time = now().as_second();
    let signed = signature("test", &time.to_string(), "nonce", &encrypt);
    let query = format!("{}&encrypt_type=aes&msg_signature={signed}", query(time));
    (
        query,
        format!("<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"),
    )
}

async fn post_closed(app: &TestApp, key: &str, body: &str) -> HttpAnswer {
    let (query, body) = envelope(key, APPID, body);
    app.hook(&format!("wechat?{query}"), &[], body).await
}

fn fields(answer: &HttpAnswer) -> Fields {
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/xml; charset=utf-8"), "{}", answer.body);
    xml::parse(answer.body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

/// What is in an envelope of ours.
fn unwrapped(key: &str, answer: &HttpAnswer) -> Fields {
    let outer = fields(answer);
    let [encrypt, signed, time, nonce] =
        ["Encrypt", "MsgSignature", "TimeStamp", "Nonce"].map(|name| outer.get(name).unwrap());
    assert_eq!(signed, signature("test", time, nonce, encrypt));
    xml::parse(&Crypto::new(key, APPID).unwrap().decrypt(encrypt).unwrap()).unwrap()
}

fn content(answer: &HttpAnswer) -> String {
    fields(answer).get("Content").unwrap().to_owned()
}

async fn nothing_is_stored(app: &TestApp) -> bool {
    history(app, "wechat", CUSTOMER).await.is_empty()
}

#[tokio::test]
async fn the_handshake_gives_back_what_was_asked_for_and_nothing_to_others() {
    for account in [settings(""), encrypted("")] {
        let app = start(&account, "").await;
        // The published vector; it is years old, and a handshake has no window.
        let signed = "signature=f21891de399b4e33a1a93c9a7b8a8fffb5a443ff&timestamp=1410685589&nonce=test";
        let answer = app.get(&format!("/channels/wechat?{signed}&echostr=5837397%2B0576")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "5837397+0576"));
        for wrong in [
            signed.replace("f2", "f3"),
            signed.replace("=test", "=tess"),
            signed.replace("nonce=test", "x=y"),
            format!("{signed}&nonce=test"),
            String::new(),
        ] {
            let answer = app.get(&format!("/channels/wechat?{wrong}&echostr=1")).await;
            assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{wrong}");
        }
        assert_eq!(app.get(&format!("/channels/wechat?{signed}")).await.status, 401);
    }
}

#[tokio::test]
async fn a_message_is_answered_in_the_response() {
    let app = start(&settings(""), "").await;
    let answer = post(&app, &text("1", "什么时候发货")).await;
    let reply = fields(&answer);
    assert_eq!((reply.get("ToUserName"), reply.get("FromUserName")), (Some(CUSTOMER), Some(ACCOUNT)));
    assert_eq!(reply.get("MsgType"), Some("text"));
    assert!(reply.get("Content").unwrap().contains("付款后两天内发出"), "{}", answer.body);
    let made: i64 = reply.get("CreateTime").unwrap().parse().unwrap();
    assert!(made.abs_diff(now().as_second()) < 60);
    let [event] = &history(&app, "wechat", CUSTOMER).await[..] else { panic!("one event") };
    assert_eq!((&event["event"]["message_id"], &event["event"]["kind"]), (&json!("1"), &json!("message")));
}

#[tokio::test]
async fn an_envelope_is_answered_by_an_envelope_of_its_own() {
    let app = start(&encrypted(""), "").await;
    let first = post_closed(&app, KEY, &text("1", "什么时候发货")).await;
    let reply = unwrapped(KEY, &first);
    assert_eq!((reply.get("ToUserName"), reply.get("FromUserName")), (Some(CUSTOMER), Some(ACCOUNT)));
    assert!(reply.get("Content").unwrap().contains("付款后两天内发出"));
    let again = post_closed(&app, KEY, &text("1", "什么时候发货")).await;
    assert_eq!(unwrapped(KEY, &again).get("Content"), reply.get("Content"));
    let fresh = |name: &str| fields(&first).get(name) != fields(&again).get(name);
    assert!(fresh("Encrypt") && fresh("Nonce"), "each envelope has its own random bytes");
}

#[tokio::test]
async fn while_the_key_is_changed_each_is_answered_with_the_key_it_came_with() {
    let app = start(&encrypted(&format!("previous_encoding_aes_key = \"{OTHER_KEY}\"")), "").await;
    for (id, key) in [("1", KEY), ("2", OTHER_KEY)] {
        let answer = post_closed(&app, key, &text(id, "什么时候发货")).await;
        assert!(unwrapped(key, &answer).get("Content").unwrap().contains('发'), "{id}");
    }
}

#[tokio::test]
async fn a_body_with_both_texts_is_read_from_its_envelope() {
    let app = start(&encrypted(""), "").await;
    let (query, body) = envelope(KEY, APPID, &text("1", "什么时候发货"));
    let plain = "<MsgType>text</MsgType><Content>书包有几种颜色</Content><MsgId>1</MsgId><Encrypt>";
    let answer = app.hook(&format!("wechat?{query}"), &[], body.replace("<Encrypt>", plain)).await;
    assert!(unwrapped(KEY, &answer).get("Content").unwrap().contains("付款后两天内发出"));
}

#[tokio::test]
async fn a_forged_or_changed_envelope_is_refused() {
    let app = start(&encrypted(""), "").await;
    let (query, body) = envelope(KEY, APPID, &text("1", "什么时候发货"));
    let (_, other) = envelope(KEY, APPID, &text("2", "书包有几种颜色"));
    let unsigned = query.split("&msg_signature").next().unwrap().to_owned();
    for (what, query, body) in [
        ("another's text", &query, other.as_str()),
        ("truncated", &query, &body[..body.len() - 9]),
        ("no envelope", &query, "<xml><ToUserName>gh</ToUserName></xml>"),
        ("no XML", &query, "{}"),
        ("no body", &query, ""),
        ("unsigned", &unsigned, &body),
        ("another nonce", &query.replace("nonce=nonce", "nonce=ecnon"), &body),
        ("the signature without the envelope", &query.replace("&msg_signature", "&m"), &body),
        ("plain", &query.replace("encrypt_type=aes", ""), &text("1", "什么时候发货")),
    ] {
        let answer = app.hook(&format!("wechat?{query}"), &[], body.to_owned()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{what}");
    }
    let plain = post(&app, &text("1", "什么时候发货")).await;
    assert_eq!((plain.status, plain.body.as_str()), (401, ""), "a key is configured: nothing plain is taken");
    for (what, key, appid) in [("another appid", KEY, "wx0000000000000000"), ("another key", OTHER_KEY, APPID)] {
        let (query, body) = envelope(key, appid, &text("1", "什么时候发货"));
        let answer = app.hook(&format!("wechat?{query}"), &[], body).await;
        assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{what}");
    }
    assert!(nothing_is_stored(&app).await);
    let both = start(&encrypted("plain = true"), "").await;
    assert!(content(&post(&both, &text("1", "什么时候发货")).await).contains('发'), "unless it is asked for");
    assert!(unwrapped(KEY, &post_closed(&both, KEY, &text("2", "什么时候发货")).await).get("Content").is_some());
}

#[tokio::test]
async fn what_is_not_signed_or_signed_long_ago_is_refused() {
    let app = start(&settings(""), "").await;
    let (body, time) = (text("1", "什么时候发货"), now().as_second());
    for wrong in
        [String::new(), query(time).replace("nonce=nonce", "nonce=other"), query(time).replace("signature", "s")]
    {
        let answer = app.hook(&format!("wechat?{wrong}"), &[], body.clone()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{wrong}");
    }
    for seconds in [-960, 960] {
        let answer = app.hook(&format!("wechat?{}", query(time + seconds)), &[], body.clone()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{seconds}");
    }
    let (closed, sealed) = envelope(KEY, APPID, &body);
    let answer = app.hook(&format!("wechat?{closed}"), &[], sealed).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("encoding_aes_key"), "{}", answer.body);
    assert!(nothing_is_stored(&app).await);
    assert_eq!(app.hook(&format!("wechat?{}", query(time - 840)), &[], body.clone()).await.status, 200);
    let ageless = start(&settings("max_age_seconds = 0"), "").await;
    assert_eq!(ageless.hook(&format!("wechat?{}", query(1_410_685_589)), &[], body).await.status, 200);
}

#[tokio::test]
async fn xml_that_two_readers_could_read_differently_is_refused() {
    let (plain, closed) = (start(&settings(""), "").await, start(&encrypted(""), "").await);
    let good = text("1", "什么时候发货");
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    for (what, body) in [
        ("a bomb", format!("{bomb}{}", good.replace("什么时候发货", "]]>&b;<![CDATA["))),
        ("a file", format!("<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>{good}")),
        ("two texts", good.replace("<MsgId>", "<Content>书包有几种颜色</Content><MsgId>")),
        ("two customers", good.replace("<MsgId>", "<FromUserName>o</FromUserName><MsgId>")),
        ("truncated", good[..good.len() - 3].to_owned()),
        ("no customer", good.replace("FromUserName", "From")),
        ("no account", good.replace("ToUserName", "To")),
        ("nothing", String::new()),
    ] {
        assert_eq!(post(&plain, &body).await.status, 400, "{what}");
        assert_eq!(post_closed(&closed, KEY, &body).await.status, 400, "{what}, closed");
    }
    assert!(nothing_is_stored(&plain).await && nothing_is_stored(&closed).await);
}

#[tokio::test]
async fn a_body_of_a_megabyte_is_cut_to_size_or_refused() {
    let app = start(&settings(""), "").await;
    let answer = post(&app, &text("1", &"货".repeat(350_000))).await;
    assert_eq!(answer.status, 200);
    let [event] = &history(&app, "wechat", CUSTOMER).await[..] else { panic!("one event") };
    assert!(event["event"]["text"].as_str().unwrap().chars().count() < 10_000);
    let small = start(&settings(""), "[limits]\nhook_bytes = 100000").await;
    assert_eq!(post(&small, &text("1", &"货".repeat(350_000))).await.status, 413);
}

#[tokio::test]
async fn a_message_for_another_account_is_refused() {
    let app = start(&settings("account = \"gh_other\""), "").await;
    let answer = post(&app, &text("1", "什么时候发货")).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, ""));
    assert!(nothing_is_stored(&app).await);
}

#[tokio::test]
async fn asked_again_at_once_it_answers_the_same_and_later_nothing() {
    let app = start(&settings(""), "").await;
    let body = text("1", "什么时候发货");
    let (first, second, third) = tokio::join!(post(&app, &body), post(&app, &body), post(&app, &body));
    let replies = [first, second, third].map(|answer| content(&answer));
    assert!(replies[0].contains('发') && replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1);
    let old = made_at(now().as_second() - 90, "2", &said("书包有几种颜色"));
    assert!(content(&post(&app, &old).await).contains("颜色"), "the first time it is answered however late");
    assert_eq!(post(&app, &old).await.body, "success");
}

#[tokio::test]
async fn what_is_no_text_is_media_and_what_is_no_message_is_left_alone() {
    let app = start(&settings(""), "").await;
    assert!(
        content(&post(&app, &text("0", "在吗")).await).contains("欢迎"),
        "who begins with a picture would be greeted"
    );
    let kind = |kind: &str, more: &str| format!("<MsgType><![CDATA[{kind}]]></MsgType>{more}");
    for (id, body) in [
        ("1", kind("image", "<PicUrl>http://x</PicUrl><MediaId>m</MediaId>")),
        ("2", kind("voice", "<MediaId>m</MediaId><Format>amr</Format>")),
        ("3", kind("location", "<Location_X>23.1</Location_X><Label>广州</Label>")),
        ("4", kind("link", "<Title>t</Title><Url>http://x</Url>")),
        ("5", kind("shortvideo", "<MediaId>m</MediaId>")),
    ] {
        assert_eq!(post(&app, &document(id, &body)).await.body, "success", "{body}");
    }
    let spoken = kind("voice", "<MediaId>m</MediaId><Recognition><![CDATA[什么时候发货]]></Recognition>");
    assert!(content(&post(&app, &document("6", &spoken)).await).contains('发'), "what was understood is answered");
    for body in [
        event("subscribe", "<EventKey></EventKey>"),
        event("unsubscribe", ""),
        event("VIEW", "<EventKey>http://x</EventKey>"),
        event("CLICK", "<EventKey>什么时候发货</EventKey>"),
        event("something_new", ""),
        document("7", &kind("something_new", "")),
    ] {
        let answer = post(&app, &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "success"), "{body}");
    }
    let events = history(&app, "wechat", CUSTOMER).await;
    let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]["kind"]).collect();
    assert_eq!(kinds, ["message", "media", "media", "media", "media", "media", "message"]);
}

#[tokio::test]
async fn a_sticker_which_wechat_tells_in_words_of_its_own_is_media() {
    let app = start(&settings(""), "").await;
    assert!(content(&post(&app, &text("0", "在吗")).await).contains("欢迎"));
    for (id, words) in [("1", "【收到不支持的消息类型，暂无法显示】"), ("2", "[收到不支持的消息类型，暂无法显示]")]
    {
        assert_eq!(post(&app, &text(id, words)).await.body, "success", "{words}");
    }
    // What only speaks of it is a question.
    post(&app, &text("3", "【收到不支持的消息类型，暂无法显示】是什么意思")).await;
    let events = history(&app, "wechat", CUSTOMER).await;
    let kinds: Vec<&Value> = events.iter().map(|event| &event["event"]["kind"]).collect();
    assert_eq!(kinds, ["message", "media", "media", "message"]);
}

#[tokio::test]
async fn a_click_on_a_menu_of_questions_is_answered_once_where_it_is_asked_for() {
    let app = start(&settings("menu_clicks = true"), "").await;
    let click = event("CLICK", "<EventKey>什么时候发货</EventKey>");
    assert!(content(&post(&app, &click).await).contains('发'));
    assert!(content(&post(&app, &click).await).contains('发'));
    assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1, "it has no id and is known all the same");
}

/// A service whose shop answers `问答长度` so.
async fn answering(account: &str, answer: &str) -> TestApp {
    let common = "[[channels]]\nshop = \"demo\"\nallow_private = true\n";
    let app = Plan::editable_shop().with_config(&format!("{common}{account}\n")).start().await;
    let entry = format!("[[entry]]\nid = \"long\"\nquestion = \"保养说明书怎么写的\"\nanswer = '''{answer}'''\n");
    app.write_faq("long.toml", entry);
    let reload = app.reload().await;
    assert_eq!(reload.status, 200, "{}", reload.body);
    app
}

#[tokio::test]
async fn an_answer_cannot_end_its_own_text() {
    let answer = "写 ]]> 也不怕，]]]]>> 连着也行 & 还有 < 号 &amp; 别的。";
    let app = answering(&settings(""), answer).await;
    let answered = post(&app, &text("1", "保养说明书怎么写的")).await;
    assert!(content(&answered).contains(answer), "{}", answered.body);
    assert_eq!(fields(&answered).get("MsgType"), Some("text"));
}

#[tokio::test]
async fn without_the_api_a_long_answer_is_cut_at_2048_bytes() {
    let app = answering(&settings(""), &"第一句说晾晒。第二句说清洗。".repeat(100)).await;
    let reply = content(&post(&app, &text("1", "保养说明书怎么写的")).await);
    assert!(reply.len() <= 2_048 && reply.len() > 1_900 && reply.ends_with('…'), "{}", reply.len());
}

#[tokio::test]
async fn what_does_not_fit_into_the_response_is_brought_by_the_api() {
    let api = api(0).await;
    let app = answering(&with_api(&api.base(), ""), &"第一句说晾晒。第二句说清洗。".repeat(100)).await;
    let reply = content(&post(&app, &text("1", "保养说明书怎么写的")).await);
    assert!(reply.len() <= 2_048 && reply.ends_with('。'), "{reply}");
    let calls = api.after(3).await;
    assert_eq!(calls[0].path(), format!("/cgi-bin/token?grant_type=client_credential&appid={APPID}&secret=hush"));
    let mut all = reply.clone();
    for call in &calls[1..] {
        assert_eq!(call.path(), "/cgi-bin/message/custom/send?access_token=t1");
        let body = call.json();
        assert_eq!((&body["touser"], &body["msgtype"]), (&json!(CUSTOMER), &json!("text")));
        let text = body["text"]["content"].as_str().unwrap();
        assert!(text.len() <= 2_048 && call.body.contains(text), "unescaped, for WeChat shows escapes as they are");
        all.push_str(text);
    }
    assert_eq!(all.matches("第一句").count(), 100, "nothing is lost");
    post(&app, &text("1", "保养说明书怎么写的")).await;
    settled(&app).await;
    assert_eq!(api.requests().len(), 3, "asked again, it brings nothing twice");
    assert_eq!(pushes(&app, "sent", 2).await.len(), 2);
}

#[tokio::test]
async fn every_refusal_of_the_api_is_told_by_its_class() {
    for (code, state, failure) in [
        (45015, "dead", "window_closed"),
        (45047, "dead", "quota"),
        (45002, "dead", "given_up"),
        (48001, "dead", "given_up"),
        (99999, "dead", "given_up"),
        (-1, "pending", "retry"),
        (40001, "pending", "retry"),
        (45009, "pending", "quota"),
        (45011, "pending", "quota"),
    ] {
        let api = api(code).await;
        let app = answering(&with_api(&api.base(), ""), &"第一句说晾晒。".repeat(120)).await;
        post(&app, &text("1", "保养说明书怎么写的")).await;
        let push = failed(&app, state, failure).await;
        assert!(push["error"].as_str().unwrap().contains(&code.to_string()), "{push}");
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

#[tokio::test]
async fn a_token_that_is_refused_or_near_its_end_is_replaced() {
    let api = StandIn::judging(|number, request| match request.path() {
        path if path.starts_with("/cgi-bin/token?") => Answer::json(
            json!({ "access_token": format!("t{number}"), "expires_in": if number == 0 { 7200 } else { 60 } }),
        ),
        path if path.ends_with("=t0") && number > 1 => Answer::json(json!({ "errcode": 42001, "errmsg": "expired" })),
        _ => Answer::json(json!({ "errcode": 0, "errmsg": "ok" })),
    })
    .await;
    let app = answering(&with_api(&api.base(), ""), &"第一句说晾晒。".repeat(120)).await;
    for id in ["1", "2", "3"] {
        post(&app, &text(id, "保养说明书怎么写的").replace(CUSTOMER, &format!("o{id}"))).await;
        pushes(&app, "sent", id.parse().unwrap()).await;
    }
    let paths: Vec<String> = api.requests().iter().map(|call| call.path().to_owned()).collect();
    let of = |token: &str| format!("/cgi-bin/message/custom/send?access_token={token}");
    let [grant, first, refused, second_grant, second, third_grant, third] = &paths[..] else { panic!("{paths:?}") };
    assert!([grant, second_grant, third_grant].iter().all(|path| path.starts_with("/cgi-bin/token?")), "{paths:?}");
    assert_eq!([first, refused, second, third], [&of("t0"), &of("t0"), &of("t3"), &of("t5")], "{paths:?}");
}

#[tokio::test]
async fn wechats_own_agents_get_the_conversation_and_the_words_go_by_the_api() {
    let api = api(0).await;
    let app = start(&with_api(&api.base(), "transfer = true"), "").await;
    assert!(
        content(&post(&app, &text("1", "什么时候发货")).await).contains('发'),
        "the bot's own stays in the response"
    );
    let handed = fields(&post(&app, &text("2", "转人工")).await);
    assert_eq!((handed.get("MsgType"), handed.get("Content")), (Some("transfer_customer_service"), None));
    assert_eq!((handed.get("ToUserName"), handed.get("FromUserName")), (Some(CUSTOMER), Some(ACCOUNT)));
    let calls = api.after(2).await;
    assert!(calls[1].json()["text"]["content"].as_str().unwrap().contains("人工客服"), "{}", calls[1].body);
    let more = fields(&post(&app, &text("3", "在吗在吗")).await);
    assert_eq!(more.get("MsgType"), Some("transfer_customer_service"), "who waits is heard by agents too");
    assert_eq!(post(&app, &event("VIEW", "<EventKey>x</EventKey>")).await.body, "success");
    let account = "<KfAccount><![CDATA[amy@gh]]></KfAccount>";
    assert_eq!(post(&app, &event("kf_create_session", account)).await.body, "success");
    let to = "<FromKfAccount>amy@gh</FromKfAccount><ToKfAccount>bob@gh</ToKfAccount>";
    assert_eq!(post(&app, &event("kf_switch_session", to)).await.body, "success");
    assert_eq!(post(&app, &event("kf_close_session", account)).await.body, "success");
    assert!(content(&post(&app, &text("4", "书包有几种颜色")).await).contains("颜色"), "then the bot answers again");
    let events = history(&app, "wechat", CUSTOMER).await;
    let told: Vec<(&Value, &Value)> =
        events[3..6].iter().map(|event| (&event["event"]["kind"], &event["event"]["agent_id"])).collect();
    let expected = [json!(["takeover", "amy@gh"]), json!(["takeover", "bob@gh"]), json!(["hand_back", "amy@gh"])];
    assert_eq!(told, expected.each_ref().map(|pair| (&pair[0], &pair[1])));
    settled(&app).await;
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn without_wechats_own_agents_a_handover_is_said_in_the_response() {
    let app = start(&settings(""), "").await;
    assert!(content(&post(&app, &text("1", "转人工")).await).contains("人工客服"));
    assert_eq!(post(&app, &text("2", "在吗在吗")).await.body, "success");
}

#[tokio::test]
async fn a_menu_is_offered_with_numbers_and_a_number_chooses() {
    let unsure = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";
    let app = start(&settings(""), unsure).await;
    let menu = content(&post(&app, &text("1", "书包的颜色，还有什么时候能够发货呢")).await);
    assert!(menu.contains("\n1. ") && menu.contains("\n2. "), "{menu}");
    assert_eq!(fields(&post(&app, &text("2", "1")).await).get("MsgType"), Some("text"));
}

#[tokio::test]
async fn a_decision_that_takes_too_long_is_there_when_wechat_asks_again() {
    let slow = StandIn::start(|number| if number == 0 { Answer::Drips } else { Answer::json("{}") }).await;
    let url = slow.url();
    let facts =
        format!("[defaults.facts]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\ntimeout_ms = 6300\nallow_private = true\n");
    let app = start(&settings(""), &facts).await;
    let body = text("1", "什么时候发货");
    let late = post(&app, &body).await;
    assert_eq!((late.status, late.body.as_str()), (503, ""));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1, "it ran to its end all the same");
    assert!(content(&post(&app, &body).await).contains('发'));
}

#[test]
fn settings_that_do_not_fit_together_are_told() {
    for (more, says) in [
        (format!("encoding_aes_key = \"{KEY}\""), "app_id"),
        ("app_secret = \"s\"".to_owned(), "app_id"),
        ("app_id = \"wx1\"\nencoding_aes_key = \"short\"".to_owned(), "43 characters"),
        (format!("app_id = \"wx1\"\nprevious_encoding_aes_key = \"{KEY}\""), "encoding_aes_key"),
        ("transfer = true".to_owned(), "app_secret"),
        ("appid = \"wx1\"".to_owned(), "unknown field `appid`"),
    ] {
        let table = format!("shop = \"demo\"\n{}", settings(&more)).parse().unwrap();
        let fault = yingda::channel::account::Account::read(table).expect_err(&more);
        assert!(fault.contains(says) && !fault.contains("short"), "{more}: {fault}");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn libraries_play_wechat_and_read_what_it_is_answered() {
    for (command, wanted) in [
        (
            python("wechat.py"),
            json!({ "wechatpy": { "answered": 2, "refused": 6, "ignored": 55, "compared": 2 },
            "werobot": { "answered": 2, "refused": 6, "ignored": 35, "compared": 1 } }),
        ),
        (node("wechat.mjs"), json!({ "answered": 1, "refused": 3, "ignored": 1 })),
    ] {
        let port = free_port();
        let calling = with_api(&format!("http://127.0.0.1:{port}"), "transfer = true");
        let (app, closed) = (start(&calling, "").await, start(&encrypted(""), "").await);
        let secrets = json!({ "closed": format!("{}/channels/wechat", closed.base), "token": "test", "app_id": APPID, "key": KEY,
            "secret": "hush", "account": ACCOUNT });
        assert_eq!(converses(command, &app, "wechat", port, secrets).await, wanted);
    }
}
