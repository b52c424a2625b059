//! TikTok Shop: signed by app key and body, buyers alone are answered, calls signed around path, query and body.

use serde_json::{Value, json};
use yingda::bot::now;

use super::every::{Proof, Spoken};
use super::markets::{Market, Told, failures, parameter, parameters, query};
use super::sign::hmac_hex;
use super::{history, settled, start};
use crate::clients::{plays, python};
use crate::stand_in::Request;

const KEY: &str = "38abcd";
const SECRET: &str = "tiktok_secret";

pub const MARKET: Market = Market {
    name: "tiktok",
    account,
    sign: |body| hmac_hex(SECRET, &format!("{KEY}{body}")),
    message: |id, conversation, text| push(id, conversation, "BUYER", "TEXT", json!({ "content": text })),
    own: |id, conversation, text| push(id, conversation, "CUSTOMER_SERVICE", "TEXT", json!({ "content": text })),
    others,
    taken: r#"{"code":0,"data":{"message_id":"749"},"message":"Success","request_id":"2022"}"#,
    refused: r#"{"code":105002,"message":"Expired credentials. secret-text","request_id":"2022"}"#,
    renewal: "/api/v2/token/refresh",
    renewed: |access, refresh| {
        let end = now().as_second() + 604_800;
        json!({ "code": 0, "message": "success", "data": { "access_token": access, "access_token_expire_in": end,
            "refresh_token": refresh, "refresh_token_expire_in": end } })
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
        "name = \"tiktok\"\ntype = \"tiktok\"\napp_key = \"{KEY}\"\napp_secret = \"{SECRET}\"\n\
         shop_cipher = \"GCP_XF90+/==\"\nshop_id = \"7494\"\naccess_token = \"access-1\"\n\
         refresh_token = \"refresh-1\"\napi_url = \"{api}\"\nauth_url = \"{api}\"\n"
    )
}

/// A webhook as `/14-new-message` shows it.
fn push(id: &str, conversation: &str, role: &str, kind: &str, content: Value) -> Value {
    let sender = if role == "BUYER" { conversation } else { "8001" };
    json!({ "type": 14, "tts_notification_id": format!("n-{id}"), "shop_id": "7494", "timestamp": now().as_second(),
        "data": { "content": content.to_string(), "conversation_id": conversation, "create_time": now().as_second(),
            "is_visible": true, "message_id": id, "index": "1", "type": kind,
            "sender": { "im_user_id": sender, "role": role } } })
}

fn others() -> Vec<Value> {
    let text = |role| push("m1", "7001", role, "TEXT", json!({ "content": "什么时候发货" }));
    let mut hidden = text("BUYER");
    hidden["data"]["is_visible"] = json!(false);
    let mut stranger = text("BUYER");
    stranger["shop_id"] = json!("9999");
    let entered = push("m1", "7001", "BUYER", "BUYER_ENTER_FROM_PRODUCT", json!({ "product_id": "12345" }));
    let conversation = json!({ "type": 13, "shop_id": "7494", "data": { "conversation_id": "7001" } });
    let order = json!({ "type": 1, "shop_id": "7494", "data": { "order_id": "57", "order_status": "UNPAID" } });
    let mut all = vec![text("SYSTEM"), text("ROBOT"), text("SOMEBODY"), hidden, stranger, entered, conversation, order];
    all.extend([json!({}), json!([]), json!("a check"), json!({ "type": "check" })]);
    all
}

fn told(request: &Request) -> Told {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let content: Value = serde_json::from_str(body["content"].as_str().unwrap_or_default()).unwrap_or_default();
    Told {
        access: request.header("x-tts-access-token").to_owned(),
        refresh: parameter(query(request), "refresh_token"),
        conversation: request.path().split('/').nth(4).unwrap_or_default().to_owned(),
        text: content["content"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn a_call_is_signed_over_path_query_and_body() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    MARKET.post(&app, &(MARKET.message)("m1", "7001", "什么时候发货")).await;
    let call = &api.after(1).await[0];
    assert!(call.head.starts_with("POST "), "{}", call.head);
    let (path, query) = call.path().split_once('?').unwrap();
    assert_eq!(path, "/customer_service/202309/conversations/7001/messages");
    assert_eq!(call.header("content-type"), "application/json");
    let mut signed = parameters(query);
    signed.retain(|(name, _)| name != "sign");
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["app_key", "shop_cipher", "timestamp"]);
    assert_eq!(signed[1].1, "GCP_XF90+/==");
    let age = now().as_second() - signed[2].1.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age} s");
    let text: String = signed.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let wanted = hmac_hex(SECRET, &format!("{SECRET}{path}{text}{}{SECRET}", call.body));
    assert_eq!(parameter(query, "sign"), wanted);
    assert_eq!(call.json()["type"], "TEXT");
}

#[tokio::test]
async fn tokens_are_renewed_with_the_apps_key_and_secret() {
    let api = MARKET.api().await;
    let account = account(&api.base()).replace("access_token = \"access-1\"\n", "");
    let app = start(&account, "").await;
    MARKET.post(&app, &(MARKET.message)("m1", "7001", "什么时候发货")).await;
    let call = &api.after(1).await[0];
    assert!(call.head.starts_with("GET /api/v2/token/refresh?"), "{}", call.head);
    let wanted =
        [("app_key", KEY), ("app_secret", SECRET), ("refresh_token", "refresh-1"), ("grant_type", "refresh_token")];
    assert_eq!(parameters(query(call)), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn pictures_stickers_and_cards_are_media_and_a_card_tells_what_it_is_about() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    for (id, kind, content) in [
        ("m1", "IMAGE", json!({ "url": "https://example.com/a.jpg", "width": "304", "height": "290" })),
        ("m2", "PRODUCT_CARD", json!({ "product_id": "12345" })),
        ("m3", "ORDER_CARD", json!({ "order_id": "57" })),
        ("m4", "SOMETHING_NEW", json!({})),
        ("m5", "EMOTICONS", json!({ "url": "https://example.com/a.gif" })),
    ] {
        assert_eq!(MARKET.post(&app, &push(id, "7001", "BUYER", kind, content)).await.status, 200);
    }
    let events = history(&app, "tiktok", "7001").await;
    assert!(events.iter().all(|event| event["event"]["kind"] == "media"), "{events:?}");
    assert_eq!(events[1]["event"]["context"]["product"], "12345");
    assert_eq!(events[2]["event"]["context"]["order_id"], "57");
}

#[tokio::test]
async fn who_writes_as_the_shop_is_a_human_unless_it_is_configured_as_a_robot() {
    let api = MARKET.api().await;
    for (setting, kinds) in [("", &["agent_message", "message"][..]), ("shop_sender = \"robot\"\n", &["message"][..])] {
        let app = start(&(account(&api.base()) + setting), "").await;
        let before = api.requests().len();
        MARKET.post(&app, &push("m1", "7001", "SHOP", "TEXT", json!({ "content": "欢迎光临" }))).await;
        MARKET.post(&app, &(MARKET.message)("m2", "7001", "什么时候发货")).await;
        settled(&app).await;
        assert_eq!(MARKET.kinds(&app, "7001").await, kinds, "{setting}");
        assert_eq!(api.requests().len() - before, usize::from(!setting.is_empty()), "{setting}");
    }
}

#[tokio::test]
async fn each_failure_is_told_in_the_outbox() {
    failures(
        &MARKET,
        &[
            (
                "200 OK",
                r#"{"code":45109001,"message":"Unable to send messages due to conversation rules. secret-text"}"#,
                "window_closed",
            ),
            ("200 OK", r#"{"code":45101004,"message":"The query quota has been reached"}"#, "quota"),
            ("429 Too Many Requests", r#"{"code":36009002,"message":"Too many requests."}"#, "quota"),
            ("200 OK", r#"{"code":45101006,"message":"sensitive content"}"#, "given_up"),
            ("200 OK", r#"{"code":45101001,"message":"Invalid parameter."}"#, "given_up"),
            ("403 Forbidden", r#"{"code":105005,"message":"Access denied."}"#, "given_up"),
            ("401 Unauthorized", r#"{"code":106001,"message":"signature is invalid"}"#, "given_up"),
            ("401 Unauthorized", r#"{"code":105002,"message":"Expired credentials."}"#, "retry"),
            ("200 OK", r#"{"code":36009003,"message":"Internal error."}"#, "retry"),
            ("200 OK", r#"{"code":45102007,"message":"There may be data corruption."}"#, "retry"),
            ("503 Service Unavailable", "", "retry"),
            ("200 OK", "<html>secret-text</html>", "retry"),
            ("404 Not Found", "", "given_up"),
        ],
    )
    .await;
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn another_implementation_signs_webhooks_that_we_take_and_takes_our_calls() {
    let api = MARKET.api().await;
    let app = MARKET.start(&api).await;
    let webhook = (MARKET.message)("m1", "7001", "亲，什么时候发货 📦").to_string();
    let input = json!({ "app_key": KEY, "app_secret": SECRET, "webhook": webhook });
    let seen = plays(python("tiktok.py"), input).await;
    assert_eq!((&seen["event"], &seen["role"]), (&json!("NewMessageWebhook"), &json!("BUYER")));
    let answer = app.hook("tiktok", &[("authorization", seen["signature"].as_str().unwrap())], webhook).await;
    assert_eq!(answer.status, 200);
    let call = &api.after(1).await[0];
    let input = json!({ "app_key": KEY, "app_secret": SECRET, "webhook": "{}",
        "call": { "url": call.path(), "content_type": call.header("content-type"), "body": call.body } });
    let seen = plays(python("tiktok.py"), input).await;
    assert_eq!(seen["sign"], json!(parameter(query(call), "sign")));
    assert_eq!(seen["operation"], "/conversations/{conversation_id}/messages");
}
