//! What the API brings: what does not fit into the response, by a token that is kept, and what comes of its refusals.

use serde_json::{Value, json};

use super::{ACCOUNT, APPID, CUSTOMER, answering, api, content, event, fields, post, text, with_api};
use crate::channels::{failed, history, pushes, settled, start};
use crate::stand_in::{Answer, StandIn};

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
        let push = failed(&app, state).await;
        assert_eq!(push["failure"], failure, "{push}");
        assert!(push["error"].as_str().unwrap().contains(&code.to_string()), "{push}");
    }
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
