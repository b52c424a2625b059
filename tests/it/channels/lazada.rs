//! Lazada: signed by app key and body, buyers alone are answered, calls signed over path and parameters.

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::markets::{Market, Told, failures, parameter, parameters};
use super::sign::hmac_hex;
use super::{history, start};
use crate::clients::{plays, python};
use crate::stand_in::Request;

const KEY: &str = "123456";
const SECRET: &str = "lazada_secret";

pub const MARKET: Market = Market {
    name: "lazada",
    account,
    sign: |body| hmac_hex(SECRET, &format!("{KEY}{body}")),
    message: |id, conversation, text| push(id, conversation, 1, 1, json!({ "txt": text })),
    own: |id, conversation, text| push(id, conversation, 2, 1, json!({ "txt": text })),
    others,
    taken: r#"{"code":"0","err_code":"0","success":true,"err_message":"SUCCESS","data":{"message_id":"23h"},"request_id":"2101"}"#,
    refused: r#"{"code":"IllegalAccessToken","type":"ISV","message":"The specified access token is invalid or expired secret-text","request_id":"2101"}"#,
    renewal: "/auth/rest/auth/token/refresh",
    renewed: |access, refresh| {
        json!({ "code": "0", "access_token": access, "refresh_token": refresh, "expires_in": 604_800,
            "refresh_expires_in": 2_592_000, "country": "sg", "request_id": "2101" })
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
        "name = \"lazada\"\ntype = \"lazada\"\napp_key = {KEY}\napp_secret = \"{SECRET}\"\nseller_id = \"1000\"\n\
         access_token = \"access-1\"\nrefresh_token = \"refresh-1\"\napi_url = \"{api}/rest\"\n\
         auth_url = \"{api}/auth/rest\"\n"
    )
}

/// A webhook as doc 121553 describes it, without the second pair of braces that its sample has.
fn push(id: &str, session: &str, from: u8, template: u32, content: Value) -> Value {
    let (buyer, seller) = (session, "1000");
    let (sender, receiver) = if from == 1 { (buyer, seller) } else { (seller, buyer) };
    json!({ "seller_id": "1000", "message_type": 2, "timestamp": now().as_second(), "site": "lazada_sg",
        "data": { "session_id": session, "message_id": id, "content": content.to_string(), "from_account_id": sender,
            "from_account_type": from, "to_account_id": receiver, "to_account_type": 3 - from,
            "send_time": now().as_millisecond(), "template_id": template, "type": 1, "site_id": "SG",
            "process_msg": "", "auto_reply": false, "status": 0 } })
}

fn others() -> Vec<Value> {
    let changed = |field: &str, value: Value| {
        let mut body = (MARKET.message)("m1", "7001", "什么时候发货");
        body["data"][field] = value;
        body
    };
    let mut stranger = (MARKET.message)("m1", "7001", "什么时候发货");
    stranger["seller_id"] = json!("2000");
    let session = json!({ "seller_id": "1000", "message_type": 19, "data": { "session_id": "7001" } });
    let order = json!({ "seller_id": "1000", "message_type": 0, "data": { "trade_order_id": "5" } });
    let mut automatic = (MARKET.own)("m1", "7001", "您好，欢迎");
    automatic["data"]["auto_reply"] = json!(true);
    vec![
        changed("type", json!(2)),
        changed("auto_reply", json!(true)),
        changed("from_account_type", json!(3)),
        automatic,
        stranger,
        session,
        order,
        json!({}),
    ]
}

fn told(request: &Request) -> Told {
    let value = |name| parameter(&request.body, name);
    Told {
        access: value("access_token"),
        refresh: value("refresh_token"),
        conversation: value("session_id"),
        text: value("txt"),
    }
}

/// Whether a call is signed as the signature page says, path without `/rest`.
fn is_signed(call: &Request, path: &str) -> bool {
    let mut signed = parameters(&call.body);
    signed.retain(|(name, _)| name != "sign");
    signed.sort();
    let text: String = signed.iter().map(|(name, value)| format!("{name}{value}")).collect();
    parameter(&call.body, "sign") == hmac_hex(SECRET, &format!("{path}{text}")).to_uppercase()
}

#[tokio::test]
async fn a_call_is_a_form_signed_over_path_and_parameters() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    MARKET.post(&app, &(MARKET.message)("m1", "7001", "什么时候发货")).await;
    let call = &api.after(1).await[0];
    assert!(call.head.starts_with("POST /rest/im/message/send HTTP"), "{}", call.head);
    assert!(call.header("content-type").starts_with("application/x-www-form-urlencoded"));
    let value = |name| parameter(&call.body, name);
    assert_eq!(
        (value("template_id"), value("app_key"), value("sign_method")),
        ("1".into(), KEY.into(), "sha256".into())
    );
    let age = now().as_millisecond() - value("timestamp").parse::<i64>().unwrap();
    assert!((0..60_000).contains(&age), "{age} ms");
    assert!(is_signed(call, "/im/message/send"), "{}", call.body);
}

#[tokio::test]
async fn tokens_are_renewed_by_a_signed_call() {
    let api = MARKET.api().await;
    let app = start(&account(&api.base()).replace("access_token = \"access-1\"\n", ""), "").await;
    MARKET.post(&app, &(MARKET.message)("m1", "7001", "什么时候发货")).await;
    let call = &api.after(1).await[0];
    assert!(call.head.starts_with("POST /auth/rest/auth/token/refresh HTTP"), "{}", call.head);
    assert!(is_signed(call, "/auth/token/refresh"), "{}", call.body);
}

#[tokio::test]
async fn pictures_are_media_and_what_is_taken_back_is_recalled() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let picture = push("m1", "7001", 1, 3, json!({ "imgUrl": "https://example.com/a.jpg", "width": 100 }));
    let goods = push("m2", "7001", 1, 10006, json!({ "itemId": "1762013406" }));
    let text = (MARKET.message)("m3", "7001", "包邮吗");
    let mut recalled = text.clone();
    recalled["data"]["status"] = json!(1);
    for body in [&picture, &goods, &text, &recalled, &recalled] {
        assert_eq!(MARKET.post(&app, body).await.status, 200);
    }
    assert_eq!(MARKET.kinds(&app, "7001").await, ["media", "media", "message", "recalled"]);
    assert_eq!(history(&app, "lazada", "7001").await[1]["event"]["context"]["product"], "1762013406");
}

#[tokio::test]
async fn the_documented_sample_is_no_json_and_is_told_so() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let body = (MARKET.message)("m1", "7001", "什么时候发货").to_string();
    let body = body.replace("\"data\":{", "\"data\":{{").replace("}}", "}}}");
    let answer = MARKET.post_raw(&app, &body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("no JSON"), "{}", answer.body);
}

#[tokio::test]
async fn each_failure_is_told_in_the_outbox() {
    failures(
        &MARKET,
        &[
            ("200 OK", r#"{"code":"ApiCallLimit","type":"ISV","message":"secret-text"}"#, "quota"),
            ("200 OK", r#"{"code":"SellerCallLimit","type":"ISV"}"#, "quota"),
            ("200 OK", r#"{"code":"901","type":"ISV"}"#, "quota"),
            ("429 Too Many Requests", "", "quota"),
            ("200 OK", r#"{"code":"IllegalAccessToken","type":"ISV"}"#, "retry"),
            ("200 OK", r#"{"code":"ServiceTimeout","type":"ISP"}"#, "retry"),
            ("200 OK", r#"{"code":"SomethingBehind","type":"ISP"}"#, "retry"),
            ("200 OK", r#"{"code":"IncompleteSignature","type":"ISV"}"#, "given_up"),
            ("200 OK", r#"{"code":"InsufficientPermission","type":"ISV"}"#, "given_up"),
            ("200 OK", r#"{"code":"SomethingElse","type":"ISV","message":"secret-text"}"#, "given_up"),
            (
                "200 OK",
                r#"{"code":"0","err_code":"SESSION_NOT_EXIST","success":false,"err_message":"secret-text"}"#,
                "given_up",
            ),
            ("200 OK", r#"{"code":"0","success":false}"#, "given_up"),
            ("502 Bad Gateway", "<html></html>", "retry"),
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
    let input = json!({ "platform": "lazada", "key": KEY, "secret": SECRET, "webhook": body });
    let seen = plays(python("marketplaces.py"), input).await;
    let answer = app.hook("lazada", &[("authorization", seen["signature"].as_str().unwrap())], body).await;
    assert_eq!(answer.status, 200);
    let call = &api.after(1).await[0];
    let input = json!({ "platform": "lazada", "key": KEY, "secret": SECRET, "webhook": "",
        "call": { "url": call.path(), "body": call.body } });
    assert_eq!(plays(python("marketplaces.py"), input).await["sign"], json!(parameter(&call.body, "sign")));
}
