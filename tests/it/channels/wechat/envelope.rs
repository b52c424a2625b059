//! Who is believed: signatures over the query, envelopes, and documents that are no messages.

use yingda::bot::now;

use super::{
    ACCOUNT, APPID, CUSTOMER, KEY, OTHER_KEY, content, encrypted, envelope, fields, nothing_is_stored, post,
    post_closed, query, settings, text, unwrapped,
};
use crate::channels::start;

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
async fn a_message_for_another_account_is_refused() {
    let app = start(&settings("account = \"gh_other\""), "").await;
    let answer = post(&app, &text("1", "什么时候发货")).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, ""));
    assert!(nothing_is_stored(&app).await);
}
