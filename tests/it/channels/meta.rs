//! What the platforms of Meta share in tests: bodies as Meta writes and signs them, and what becomes of a failure.

use serde_json::{Value, json};

use super::sign::hmac_hex;
use super::{failed, start};
use crate::harness::{Answer as HttpAnswer, TestApp};
use crate::stand_in::{Answer, StandIn};

/// The app's secret.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What every account of Meta's platforms has, under its type's name, with its API at the stand-in.
pub fn account(kind: &str, api: &StandIn, more: &str) -> String {
    account_at(kind, &api.base(), more)
}

/// The same, with the API at this address.
pub fn account_at(kind: &str, url: &str, more: &str) -> String {
    format!(
        "name = \"{kind}\"\ntype = \"{kind}\"\napp_secret = \"{SECRET}\"\nverify_token = \"a token\"\n\
         access_token = \"EAAG\"\napi_url = \"{url}\"\napi_version = \"v25.0\"\n{more}"
    )
}

/// As Meta writes JSON: all that is not ASCII as `\uXXXX`, `/` as `\/`.
pub fn written(body: &Value) -> String {
    let mut written = String::new();
    for unit in body.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'/') => written.push_str("\\/"),
            Ok(ascii) if ascii.is_ascii() => written.push(char::from(ascii)),
            _ => written.push_str(&format!("\\u{unit:04x}")),
        }
    }
    written
}

pub fn signature(body: &str) -> String {
    format!("sha256={}", hmac_hex(SECRET, body))
}

/// Posts a notification as Meta does.
pub async fn post(app: &TestApp, account: &str, body: &Value) -> HttpAnswer {
    let body = written(body);
    app.hook(account, &[("x-hub-signature-256", &signature(&body))], body).await
}

/// Only whoever knows the secret is heard, over the very bytes that were sent; nothing of others is kept.
pub async fn only_what_is_signed_is_heard(app: &TestApp, account: &str, body: &Value) {
    let sent = written(body);
    assert!(sent.is_ascii() && sent.contains("\\u4ec0"), "it has Chinese, escaped: {sent}");
    let right = signature(&sent);
    let (plain, cut) = (body.to_string(), &sent[..sent.len() - 1]);
    for (what, body, signature) in [
        ("none", sent.as_str(), String::new()),
        ("another's", &sent, signature(&plain)),
        ("sha1", &sent, right.replace("sha256=", "sha1=")),
        ("bare", &sent, right.replace("sha256=", "")),
        ("truncated", cut, right.clone()),
        ("re-serialised", &plain, right.clone()),
    ] {
        let answer = app.hook(account, &[("x-hub-signature-256", &signature)], body.to_owned()).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{what}");
    }
    assert_eq!(app.hook(account, &[], sent.clone()).await.status, 401);
    let answer = app.hook(account, &[("x-hub-signature-256", &right)], sent).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The address proves itself to whoever knows the token, and to nobody else.
pub async fn the_challenge_is_answered(app: &TestApp, account: &str) {
    let ask = async |query: &str| app.get(&format!("/channels/{account}?{query}")).await;
    let right = ask("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a%20token").await;
    assert_eq!((right.status, right.body.as_str()), (200, "1158201444"));
    for query in
        ["", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=guess", "hub.challenge=1&hub.verify_token=a%20token"]
    {
        let wrong = ask(query).await;
        assert_eq!((wrong.status, wrong.body.as_str()), (403, ""), "{query}");
    }
}

/// An error as the Graph API tells it.
pub fn error(status: &str, code: i64, subcode: i64) -> Answer {
    let error = json!({ "message": "to 8613800138000", "type": "OAuthException", "code": code, "error_subcode": subcode,
        "fbtrace_id": "A" });
    Answer::Says(status.to_owned(), json!({ "error": error }).to_string())
}

/// What becomes of a reply that the platform answers so: its state, and why; which names neither customer nor secret.
pub async fn what_becomes_of(kind: &str, more: &str, question: &Value, answer: Answer, state: &str) -> String {
    let api = StandIn::that(answer).await;
    let app = start(&account(kind, &api, more), "").await;
    assert_eq!(post(&app, kind, question).await.status, 200);
    let push = failed(&app, state).await;
    let why = push["error"].as_str().unwrap();
    for secret in ["8613800138000", "EAAG", SECRET] {
        assert!(!why.contains(secret), "{why}");
    }
    push["failure"].as_str().unwrap().to_owned()
}
