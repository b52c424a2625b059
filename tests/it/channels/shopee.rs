//! Shopee: signed by callback address and body, buyers alone are answered, calls signed over partner, path, time and shop.

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::markets::{Market, Told, failures, parameter, query};
use super::sign::hmac_hex;
use super::{history, settled, start};
use crate::clients::{plays, python};
use crate::stand_in::Request;

const PARTNER: &str = "2001887";
const SECRET: &str = "shopee_partner_key";
const CALLBACK: &str = "https://shop.example.com/channels/shopee";

pub const MARKET: Market = Market {
    name: "shopee",
    account,
    sign: |body| hmac_hex(SECRET, &format!("{CALLBACK}|{body}")),
    message: |id, conversation, text| push(id, conversation, "text", json!({ "text": text })),
    own: |id, conversation, text| {
        let mut body = push(id, conversation, "text", json!({ "text": text }));
        let content = &mut body["data"]["content"];
        content["from_id"] = json!(947_151_379);
        content["to_id"] = json!(conversation.parse::<u64>().unwrap());
        content["from_shop_id"] = json!(947_042_923);
        content["to_shop_id"] = json!(0);
        body
    },
    others,
    taken: r#"{"request_id":"e3e3e7f3","error":"","message":"","response":{"message_id":"2166","to_id":7001}}"#,
    refused: r#"{"error":"invalid_acceess_token","message":"Invalid access_token. secret-text","request_id":"e3"}"#,
    renewal: "/api/v2/auth/access_token/get",
    renewed: |access, refresh| {
        json!({ "partner_id": 2_001_887, "shop_id": 947_042_923, "access_token": access, "refresh_token": refresh,
            "expire_in": 14_400, "request_id": "e3", "error": "", "message": "" })
    },
    told,
};

pub const SPOKEN: Spoken = Spoken {
    name: MARKET.name,
    account,
    body: |id, conversation, text| (MARKET.message)(id, conversation, text).to_string(),
    proof: |body, _, _| Proof::header("authorization", (MARKET.sign)(body)),
    prefix: "",
    taken: MARKET.taken,
};

fn account(api: &str) -> String {
    format!(
        "name = \"shopee\"\ntype = \"shopee\"\npartner_id = {PARTNER}\npartner_key = \"{SECRET}\"\nshop_id = 947042923\n\
         access_token = \"access-1\"\nrefresh_token = \"refresh-1\"\ncallback_url = \"{CALLBACK}\"\napi_url = \"{api}\"\n"
    )
}

/// A webhook as `webchat_push` shows it.
fn push(id: &str, conversation: &str, kind: &str, content: Value) -> Value {
    json!({ "msg_id": "", "data": { "type": "message", "region": "ID", "content": {
            "message_id": id, "shop_id": 947_042_923, "request_id": "35f9", "from_id": conversation.parse::<u64>().unwrap(),
            "from_user_name": "buyer", "to_id": 947_151_379, "to_user_name": "keelatofficial", "message_type": kind,
            "content": content, "conversation_id": conversation, "created_timestamp": now().as_second(), "region": "ID",
            "is_in_chatbot_session": false, "source_content": {}, "quoted_msg": { "message_id": "" },
            "sub_account_id": 0, "sub_account_name": 0, "business_type": 0, "from_shop_id": 0,
            "to_shop_id": 947_042_923, "status": "normal" } },
        "shop_id": 947_042_923, "code": 10, "timestamp": now().as_second() })
}

fn others() -> Vec<Value> {
    let changed = |field: &str, value: Value| {
        let mut body = (MARKET.message)("m1", "7001", "什么时候发货");
        body["data"]["content"][field] = value;
        body
    };
    let notification = json!({ "msg_id": null, "data": { "type": "notification", "region": "PH", "content": {
        "user_id": 12_252_079, "conversation_id": "7001", "type": "mark_as_replied", "content": {} } },
        "shop_id": 947_042_923, "code": 10, "timestamp": 1 });
    let mut stranger = (MARKET.message)("m1", "7001", "什么时候发货");
    stranger["shop_id"] = json!(1);
    let order = json!({ "code": 3, "shop_id": 947_042_923, "data": { "ordersn": "2208", "status": "READY_TO_SHIP" } });
    let mut automatic = (MARKET.own)("m1", "7001", "您好，欢迎");
    automatic["data"]["content"]["status"] = json!("auto_reply");
    vec![
        changed("is_in_chatbot_session", json!(true)),
        changed("business_type", json!(11)),
        automatic,
        notification,
        stranger,
        order,
        json!({ "code": 0 }),
        json!({}),
        json!("a check"),
    ]
}

fn told(request: &Request) -> Told {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    Told {
        access: parameter(query(request), "access_token"),
        refresh: body["refresh_token"].as_str().unwrap_or_default().to_owned(),
        conversation: body["to_id"].as_u64().map(|id| id.to_string()).unwrap_or_default(),
        text: body["content"]["text"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn a_call_is_signed_over_partner_path_time_token_and_shop() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    MARKET.post(&app, &(MARKET.message)("m1", "7001", "什么时候发货")).await;
    let call = &api.after(1).await[0];
    assert!(call.head.starts_with("POST "), "{}", call.head);
    let (path, query) = call.path().split_once('?').unwrap();
    assert_eq!(path, "/api/v2/sellerchat/send_message");
    let value = |name| parameter(query, name);
    let (time, access) = (value("timestamp"), value("access_token"));
    assert_eq!((value("partner_id").as_str(), value("shop_id").as_str()), (PARTNER, "947042923"));
    assert!((0..60).contains(&(now().as_second() - time.parse::<i64>().unwrap())), "{time}");
    assert_eq!(value("sign"), hmac_hex(SECRET, &format!("{PARTNER}{path}{time}{access}947042923")));
    let body = call.json();
    assert_eq!((&body["to_id"], &body["message_type"]), (&json!(7001), &json!("text")));
}

#[tokio::test]
async fn tokens_are_renewed_by_a_signed_call() {
    let api = MARKET.api().await;
    let app = start(&account(&api.base()).replace("access_token = \"access-1\"\n", ""), "").await;
    MARKET.post(&app, &(MARKET.message)("m1", "7001", "什么时候发货")).await;
    let call = &api.after(1).await[0];
    let (path, query) = call.path().split_once('?').unwrap();
    let time = parameter(query, "timestamp");
    assert_eq!(parameter(query, "sign"), hmac_hex(SECRET, &format!("{PARTNER}{path}{time}")));
    let wanted = json!({ "refresh_token": "refresh-1", "partner_id": 2_001_887, "shop_id": 947_042_923 });
    assert_eq!(call.json(), wanted);
}

#[tokio::test]
async fn the_callback_address_is_part_of_the_signature() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let body = (MARKET.message)("m1", "7001", "什么时候发货").to_string();
    let other = hmac_hex(SECRET, &format!("{CALLBACK}/|{body}"));
    assert_eq!(app.hook("shopee", &[("authorization", &other)], body).await.status, 401);
}

#[tokio::test]
async fn data_may_be_json_in_a_text_and_older_pushes_have_no_shop_of_the_sender() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let mut body = (MARKET.message)("2302748948493123953", "7001", "什么时候发货");
    let content = body["data"]["content"].as_object_mut().unwrap();
    content.retain(|name, _| !matches!(name.as_str(), "from_shop_id" | "to_shop_id" | "status" | "business_type"));
    body["data"] = json!(body["data"].to_string());
    assert_eq!(MARKET.post(&app, &body).await.status, 200);
    assert_eq!(told(&api.after(1).await[0]).conversation, "7001");
}

#[tokio::test]
async fn who_writes_for_the_shop_is_known_by_shop_sub_account_or_configuration() {
    let api = MARKET.api().await;
    let app = start(&(account(&api.base()) + "own_user_ids = [947151379, \"947151380\"]\n"), "").await;
    let mut by_shop = (MARKET.own)("m1", "7001", "在的");
    let mut by_sub_account = by_shop.clone();
    let mut by_configuration = by_shop.clone();
    by_shop["data"]["content"]["from_id"] = json!(5);
    for (body, id) in [(&mut by_sub_account, "m2"), (&mut by_configuration, "m3")] {
        body["data"]["content"]["message_id"] = json!(id);
        body["data"]["content"]["from_shop_id"] = json!(0);
    }
    by_sub_account["data"]["content"]["from_id"] = json!(5);
    by_sub_account["data"]["content"]["sub_account_id"] = json!(77);
    by_configuration["data"]["content"]["from_id"] = json!(947_151_380);
    for body in [by_shop, by_sub_account, by_configuration] {
        assert_eq!(MARKET.post(&app, &body).await.status, 200);
    }
    settled(&app).await;
    assert!(api.requests().is_empty());
    let events = history(&app, "shopee", "7001").await;
    let agents: Vec<&Value> = events.iter().map(|event| &event["event"]["agent_id"]).collect();
    assert_eq!(agents, [&json!("5"), &json!("77"), &json!("947151380")]);
    assert!(events.iter().all(|event| event["event"]["kind"] == "agent_message"), "{events:?}");
}

#[tokio::test]
async fn pictures_stickers_and_cards_are_media_and_tell_what_they_are_about() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let mut asked = push("m3", "7001", "faq_liveagent", json!({ "text": "Chat dengan Penjual" }));
    asked["data"]["content"]["source_content"] = json!({ "order_sn": "220818EGS328B9" });
    for body in [
        push("m1", "7001", "sticker", json!({ "sticker_id": "1" })),
        push("m2", "7001", "item", json!({ "shop_id": 109_157_255, "item_id": 9_112_503_530_u64 })),
        asked,
    ] {
        assert_eq!(MARKET.post(&app, &body).await.status, 200);
    }
    assert_eq!(MARKET.kinds(&app, "7001").await, ["media", "media", "message"]);
    let events = history(&app, "shopee", "7001").await;
    assert_eq!(events[1]["event"]["context"]["product"], "9112503530");
    assert_eq!(events[2]["event"]["context"]["order_id"], "220818EGS328B9");
}

#[tokio::test]
async fn each_failure_is_told_in_the_outbox() {
    failures(
        &MARKET,
        &[
            ("200 OK", r#"{"error":"error_rate_limit","message":"secret-text"}"#, "quota"),
            ("200 OK", r#"{"error":"error_limit","message":"Daily API call limit reached."}"#, "quota"),
            ("403 Forbidden", r#"{"error":"invalid_acceess_token","message":"Invalid access_token."}"#, "retry"),
            ("403 Forbidden", r#"{"error":"error_auth","message":"Invalid access_token."}"#, "retry"),
            ("200 OK", r#"{"error":"error_server","message":"secret-text"}"#, "retry"),
            ("200 OK", r#"{"error":"error_inner","message":""}"#, "retry"),
            ("403 Forbidden", r#"{"error":"error_sign","message":"Wrong sign."}"#, "given_up"),
            ("403 Forbidden", r#"{"error":"error_api_permission","message":""}"#, "given_up"),
            ("403 Forbidden", r#"{"error":"error_auth","message":"No permission to current api."}"#, "given_up"),
            ("400 Bad Request", r#"{"error":"error_param","message":"Invalid timestamp"}"#, "given_up"),
            ("403 Forbidden", r#"{"error":"source_ip_undeclared","message":""}"#, "given_up"),
            ("403 Forbidden", r#"{"error":"shop_no_linked","message":""}"#, "given_up"),
            ("200 OK", r#"{"error":"something_new","message":"secret-text"}"#, "given_up"),
            ("502 Bad Gateway", "", "retry"),
            ("200 OK", "<html></html>", "retry"),
        ],
    )
    .await;
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn another_implementation_signs_webhooks_that_we_take_and_takes_our_calls() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let body = (MARKET.message)("m1", "7001", "亲，什么时候发货 📦").to_string();
    let input =
        json!({ "platform": "shopee", "key": PARTNER, "secret": SECRET, "callback": CALLBACK, "webhook": body });
    let seen = plays(python("marketplaces.py"), input).await;
    let answer = app.hook("shopee", &[("authorization", seen["signature"].as_str().unwrap())], body).await;
    assert_eq!(answer.status, 200);
    let call = &api.after(1).await[0];
    let input = json!({ "platform": "shopee", "key": PARTNER, "secret": SECRET, "callback": CALLBACK, "webhook": "",
        "call": { "url": call.path(), "body": call.body } });
    assert_eq!(plays(python("marketplaces.py"), input).await["sign"], json!(parameter(query(call), "sign")));
}
