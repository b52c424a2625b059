//! What every channel that is posted to promises alike, each in its own words.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use yingda::bot::{moment, now};
use yingda::channel::PLATFORMS;
use yingda::channel::hook::{Answer as Heard, Request};

use super::{
    COMMON, chatwoot, generic, history, lazada, line, messenger, pushes, settled, shopee, start, telegram, tiktok,
    wechat, whatsapp,
};
use crate::harness::{Answer as HttpAnswer, Plan, TestApp};
use crate::stand_in::{Answer, StandIn};

/// A platform as the tests play it. Ids of messages and conversations are digits, which all of them can have.
pub struct Spoken {
    /// Name of the platform and of the account.
    pub name: &'static str,
    /// The account's settings; its API is at this address.
    pub account: fn(&str) -> String,
    /// The body of a webhook that brings a customer's text: message, conversation, text.
    pub body: fn(&str, &str, &str) -> String,
    /// What proves that a body is the platform's: body, message, moment.
    pub proof: fn(&str, &str, Timestamp) -> Proof,
    /// Stands before a conversation's id in the history.
    pub prefix: &'static str,
    /// The API took a message.
    pub taken: &'static str,
}

/// Query and headers of a webhook.
pub struct Proof {
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
}

impl Proof {
    pub fn header(name: &'static str, value: impl Into<String>) -> Self {
        Self { query: String::new(), headers: vec![(name, value.into())] }
    }
}

/// All but two: web chat has a door of its own, and WeChat customer service only rings.
const SPOKEN: [&Spoken; 11] = [
    &generic::SPOKEN,
    &wechat::SPOKEN,
    &line::SPOKEN,
    &chatwoot::SPOKEN,
    &tiktok::SPOKEN,
    &lazada::SPOKEN,
    &shopee::SPOKEN,
    &whatsapp::SPOKEN,
    &messenger::MESSENGER,
    &messenger::INSTAGRAM,
    &telegram::SPOKEN,
];

/// WeChat is answered in the response, without its API.
fn is_called(spoken: &Spoken) -> bool {
    spoken.name != "wechat"
}

impl Spoken {
    async fn post(&self, app: &TestApp, id: &str, body: &str) -> HttpAnswer {
        let proof = (self.proof)(body, id, now());
        let headers: Vec<(&str, &str)> = proof.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        app.hook(&format!("{}?{}", self.name, proof.query), &headers, body.to_owned()).await
    }

    /// What the service answers at another time.
    async fn heard_at(&self, app: &TestApp, id: &str, body: &str, at: Timestamp) -> Heard {
        let (proof, mut headers) = ((self.proof)(body, id, at), HeaderMap::new());
        for (name, value) in &proof.headers {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let request = Request { is_post: true, query: &proof.query, headers: &headers, body: body.as_bytes() };
        let account = app.bot.account(self.name).unwrap();
        app.bot.hear(account, &request, moment(at), 5_000).await.unwrap()
    }

    async fn history(&self, app: &TestApp, conversation: &str) -> Vec<Value> {
        history(app, self.name, &format!("{}{conversation}", self.prefix)).await
    }
}

#[test]
fn no_platform_is_left_out() {
    let mut known: Vec<&str> = SPOKEN.iter().map(|spoken| spoken.name).chain(["web", "wechat_kf"]).collect();
    let mut all: Vec<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
    known.sort_unstable();
    all.sort_unstable();
    assert_eq!(known, all);
}

#[tokio::test]
async fn the_same_message_three_times_at_once_and_again_a_day_later_is_answered_once() {
    for spoken in SPOKEN {
        let api = StandIn::that(Answer::json(spoken.taken)).await;
        let app = start(&(spoken.account)(&api.base()), "").await;
        let body = (spoken.body)("1", "7001", "什么时候发货");
        let post = || spoken.post(&app, "1", &body);
        let (one, two, three) = tokio::join!(post(), post(), post());
        let at_once = [one, two, three];
        assert!(at_once.iter().all(|answer| answer.status == 200), "{}: {at_once:?}", spoken.name);
        let later = spoken.heard_at(&app, "1", &body, now() + SignedDuration::from_hours(25)).await;
        assert_eq!(later.status, 200, "{}", spoken.name);
        settled(&app).await;
        assert_eq!(api.requests().len(), usize::from(is_called(spoken)), "{}", spoken.name);
        assert_eq!(spoken.history(&app, "7001").await.len(), 1, "{}", spoken.name);
        if !is_called(spoken) {
            assert!(at_once.iter().all(|answer| answer.body.contains("付款后两天内发出")), "{at_once:?}");
            assert_eq!(later.body, "success", "whoever asked yesterday has been answered");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_one_that_fits_is_taken() {
    for spoken in SPOKEN {
        let api = StandIn::that(Answer::json(spoken.taken)).await;
        let app = start(&(spoken.account)(&api.base()), "[limits]\nhook_bytes = 8000").await;
        let large = (spoken.body)("1", "7001", &"货".repeat(5_000));
        assert_eq!(spoken.post(&app, "1", &large).await.status, 413, "{}", spoken.name);
        assert!(spoken.history(&app, "7001").await.is_empty(), "{}", spoken.name);
        let small = (spoken.body)("1", "7001", "什么时候发货");
        assert_eq!(spoken.post(&app, "1", &small).await.status, 200, "{}", spoken.name);
        assert_eq!(spoken.history(&app, "7001").await.len(), 1, "{}", spoken.name);
    }
}

/// Pushes in this state, once so many have failed: a platform is waited for ten seconds.
async fn failed(app: &TestApp, state: &str, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let mut failed = pushes(app, state, 0).await;
        failed.retain(|push| push["error"].is_string());
        if failed.len() == count {
            return failed;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} never failed and are {state}: {:?}", pushes(app, state, 0).await);
}

/// Endpoints of accounts, in order.
fn endpoints(pushes: &[Value]) -> Vec<&str> {
    let mut endpoints: Vec<&str> = pushes.iter().map(|push| push["endpoint"].as_str().unwrap()).collect();
    endpoints.sort_unstable();
    endpoints
}

#[tokio::test]
async fn a_platform_that_answers_too_late_is_tried_twice_half_a_minute_apart_and_then_told() {
    let api = StandIn::that(Answer::Hangs).await;
    // The others know a message by its id, and are tried on.
    let called =
        || SPOKEN.into_iter().filter(|spoken| is_called(spoken) && !["generic", "line"].contains(&spoken.name));
    let accounts = called().map(|spoken| format!("{COMMON}{}\n", (spoken.account)(&api.base())));
    let app = Plan::shop().with_config(&accounts.collect::<String>()).start().await;
    let mut all: Vec<String> = called().map(|spoken| format!("channel:{}", spoken.name)).collect();
    all.sort_unstable();
    for spoken in called() {
        let body = (spoken.body)("1", "7001", "什么时候发货");
        assert_eq!(spoken.post(&app, "1", &body).await.status, 200, "{}", spoken.name);
    }
    let first = api.after(all.len()).await;
    let pending = failed(&app, "pending", all.len()).await;
    assert!(first.iter().all(|call| call.at.elapsed() > Duration::from_secs(9)), "it was waited for");
    assert_eq!(endpoints(&pending), all);
    for push in &pending {
        assert_eq!((&push["failure"], &push["attempts"]), (&json!("retry"), &json!(1)), "{push}");
        let due: Timestamp = push["due_at"].as_str().unwrap().parse().unwrap();
        assert!((25..=30).contains(&due.duration_since(now()).as_secs()), "{push}");
    }
    assert_eq!(api.requests().len(), all.len());
    // As if the half minute were over.
    app.sql("UPDATE outbox SET due_at = 0").await;
    api.after(2 * all.len()).await;
    let dead = failed(&app, "dead", all.len()).await;
    assert_eq!(endpoints(&dead), all);
    for push in &dead {
        assert_eq!((&push["failure"], &push["attempts"]), (&json!("retry"), &json!(2)), "{push}");
        assert!(push["error"].as_str().is_some_and(|why| !why.is_empty() && !why.contains("发出")), "{push}");
    }
    settled(&app).await;
    assert_eq!(api.requests().len(), 2 * all.len(), "there is no third attempt");
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_not_sent_again_and_again() {
    for body in ["<html>好的</html>".to_owned(), "x".repeat(200_000)] {
        let api = StandIn::that(Answer::Says("200 OK".to_owned(), body)).await;
        let accounts = SPOKEN.into_iter().filter(|spoken| is_called(spoken));
        let accounts: String = accounts.map(|spoken| format!("{COMMON}{}\n", (spoken.account)(&api.base()))).collect();
        let app = Plan::shop().with_config(&accounts).start().await;
        for spoken in SPOKEN.into_iter().filter(|spoken| is_called(spoken)) {
            let body = (spoken.body)("1", "7001", "什么时候发货");
            assert_eq!(spoken.post(&app, "1", &body).await.status, 200, "{}", spoken.name);
        }
        let count = SPOKEN.len() - 1;
        api.after(count).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(api.requests().len(), count, "each was told once");
        for push in pushes(&app, "pending", 0).await {
            assert_eq!((&push["failure"], &push["attempts"]), (&json!("retry"), &json!(1)), "{push}");
            let due: Timestamp = push["due_at"].as_str().unwrap().parse().unwrap();
            assert!(due.duration_since(now()).as_secs() > 20, "{push}");
        }
        assert!(pushes(&app, "dead", 0).await.is_empty());
    }
}
