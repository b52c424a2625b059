//! What the marketplaces promise alike: one battery for TikTok Shop, Lazada and Shopee, through the front door.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{history, lazada, pushes, settled, shopee, start, tiktok};
use crate::harness::{Answer as HttpAnswer, TestApp};
use crate::stand_in::{Answer, Request, StandIn};

/// A marketplace as the tests play it. Conversations and customers have the same ids: digits.
pub struct Market {
    /// Name of the platform and of the account.
    pub name: &'static str,
    /// The account's settings; its API is at this address.
    pub account: fn(&str) -> String,
    /// `Authorization` of a webhook.
    pub sign: fn(&str) -> String,
    /// A buyer's text: message, conversation, text.
    pub message: fn(&str, &str, &str) -> Value,
    /// What somebody on the shop's side wrote.
    pub own: fn(&str, &str, &str) -> Value,
    /// Webhooks that are not about a buyer's chat, or not for this shop.
    pub others: fn() -> Vec<Value>,
    /// The API took a message.
    pub taken: &'static str,
    /// The API does not take the access token.
    pub refused: &'static str,
    /// Start of the path that renews tokens.
    pub renewal: &'static str,
    /// Its answer with these tokens.
    pub renewed: fn(&str, &str) -> Value,
    /// Access token, refresh token, conversation and text in a call, as far as they stand there.
    pub told: fn(&Request) -> Told,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub access: String,
    pub refresh: String,
    pub conversation: String,
    pub text: String,
}

pub const MARKETS: [&Market; 3] = [&tiktok::MARKET, &lazada::MARKET, &shopee::MARKET];

/// Parameters of a query or form, decoded.
pub fn parameters(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// The value of a parameter.
pub fn parameter(text: &str, name: &str) -> String {
    parameters(text).into_iter().find(|(found, _)| found == name).map(|(_, value)| value).unwrap_or_default()
}

/// The query of a call.
pub fn query(request: &Request) -> &str {
    request.path().split_once('?').map_or("", |(_, query)| query)
}

impl Market {
    pub async fn start(&self, api: &StandIn) -> TestApp {
        start(&(self.account)(&api.base()), "").await
    }

    /// An API that takes everything and renews tokens.
    pub async fn api(&self) -> StandIn {
        let (renewal, renewed, taken) = (self.renewal, self.renewed, self.taken);
        StandIn::judging(move |_, request| match request.path().starts_with(renewal) {
            true => Answer::json(renewed("access-2", "refresh-2")),
            false => Answer::json(taken),
        })
        .await
    }

    pub async fn post(&self, app: &TestApp, body: &Value) -> HttpAnswer {
        self.post_raw(app, &body.to_string()).await
    }

    pub async fn post_raw(&self, app: &TestApp, body: &str) -> HttpAnswer {
        app.hook(self.name, &[("authorization", &(self.sign)(body))], body.to_owned()).await
    }

    pub async fn kinds(&self, app: &TestApp, conversation: &str) -> Vec<Value> {
        history(app, self.name, conversation).await.iter().map(|event| event["event"]["kind"].clone()).collect()
    }
}

#[tokio::test]
async fn a_buyers_message_is_acknowledged_without_a_body_and_answered_by_a_call() {
    for market in MARKETS {
        let api = market.api().await;
        let app = market.start(&api).await;
        let answer = market.post(&app, &(market.message)("m1", "7001", "什么时候发货")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{}", market.name);
        let [call] = &api.after(1).await[..] else { panic!("{}: one call", market.name) };
        let told = (market.told)(call);
        assert_eq!((told.access.as_str(), told.conversation.as_str()), ("access-1", "7001"), "{}", market.name);
        assert!(told.text.contains("发"), "{}: {told:?}", market.name);
        assert_eq!(pushes(&app, "sent", 1).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_signed_rightly_is_refused_without_a_word_and_leaves_nothing() {
    for market in MARKETS {
        let api = market.api().await;
        let app = market.start(&api).await;
        let body = (market.message)("m1", "7001", "什么时候发货").to_string();
        let right = (market.sign)(&body);
        let escaped = body.replace('什', "\\u4ec0");
        let (other, bearer) = ("0".repeat(64), format!("Bearer {right}"));
        for (what, body, signature) in [
            ("empty", body.as_str(), ""),
            ("another's", &body, &other),
            ("a part of it", &body, &right[..63]),
            ("with a scheme", &body, &bearer),
            ("truncated", &body[..body.len() - 1], &right),
            ("longer", &format!("{body} "), &right),
            ("re-serialised", &escaped, &right),
        ] {
            let answer = app.hook(market.name, &[("authorization", signature)], body.to_owned()).await;
            assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{}: {what}", market.name);
        }
        assert_eq!(app.hook(market.name, &[], body.clone()).await.status, 401, "{}: none", market.name);
        let twice = [("authorization", right.as_str()), ("authorization", right.as_str())];
        assert_eq!(app.hook(market.name, &twice, body).await.status, 401, "{}: twice", market.name);
        settled(&app).await;
        assert!(history(&app, market.name, "7001").await.is_empty(), "{}", market.name);
        assert!(api.requests().is_empty(), "{}", market.name);
    }
}

#[tokio::test]
async fn what_does_not_concern_us_is_acknowledged_and_left_alone() {
    for market in MARKETS {
        let api = market.api().await;
        let app = market.start(&api).await;
        for body in (market.others)() {
            let answer = market.post(&app, &body).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{}: {body}", market.name);
        }
        settled(&app).await;
        assert!(api.requests().is_empty(), "{}", market.name);
        assert!(history(&app, market.name, "7001").await.is_empty(), "{}", market.name);
    }
}

#[tokio::test]
async fn a_chat_message_that_cannot_be_read_is_told_to_whoever_can_mend_it() {
    for market in MARKETS {
        let api = market.api().await;
        let app = market.start(&api).await;
        let body = (market.message)("m1", "7001", "什么时候发货").to_string();
        let body = body.replace("\"m1\"", "\"\"");
        assert_eq!(market.post_raw(&app, &body).await.status, 422, "{}: no id", market.name);
        let body = body.replace("message_id", "massage_id");
        let answer = market.post_raw(&app, &body).await;
        assert_eq!(answer.status, 400, "{}", market.name);
        assert!(answer.body.contains("message of"), "{}: {}", market.name, answer.body);
    }
}

#[tokio::test]
async fn our_own_message_that_comes_back_is_known_and_a_humans_silences_the_bot() {
    for market in MARKETS {
        let api = market.api().await;
        let app = market.start(&api).await;
        market.post(&app, &(market.message)("m1", "7001", "什么时候发货")).await;
        let said = (market.told)(&api.after(1).await[0]).text;
        assert_eq!(market.post(&app, &(market.own)("m2", "7001", &said)).await.status, 200);
        market.post(&app, &(market.message)("m3", "7001", "鼠标驱动怎么装")).await;
        api.after(2).await;
        assert_eq!(market.post(&app, &(market.own)("m4", "7001", "亲，我来看一下")).await.status, 200);
        market.post(&app, &(market.message)("m5", "7001", "书包都有啥颜色可以选")).await;
        settled(&app).await;
        assert_eq!(api.requests().len(), 2, "{}: the human has it", market.name);
        let kinds = market.kinds(&app, "7001").await;
        assert_eq!(kinds, ["message", "agent_message", "message", "agent_message", "message"], "{}", market.name);
    }
}

#[tokio::test]
async fn a_message_is_acknowledged_in_half_a_second_while_the_api_hangs() {
    for market in MARKETS {
        let api = StandIn::that(Answer::Hangs).await;
        let app = market.start(&api).await;
        for number in 0..10 {
            let body = (market.message)(&format!("m{number}"), &format!("700{number}"), "什么时候发货");
            let started = Instant::now();
            assert_eq!(market.post(&app, &body).await.status, 200);
            let took = started.elapsed();
            assert!(took < Duration::from_millis(500), "{}: {took:?}, message {number}", market.name);
        }
        api.after(1).await;
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_new_refresh_token_renews_the_next() {
    for market in MARKETS {
        let (renewal, renewed, taken, refused, told) =
            (market.renewal, market.renewed, market.taken, market.refused, market.told);
        // The platform takes access-2 for the first two messages, and only access-3 from then on.
        let api = StandIn::judging(move |number, request| {
            let told = told(request);
            match (request.path().starts_with(renewal), told.refresh.as_str(), told.access.as_str()) {
                (true, "refresh-1", _) => Answer::json(renewed("access-2", "refresh-2")),
                (true, "refresh-2", _) => Answer::json(renewed("access-3", "refresh-3")),
                (false, _, "access-2") if number < 4 => Answer::json(taken),
                (false, _, "access-3") => Answer::json(taken),
                (false, ..) => Answer::json(refused),
                (true, ..) => Answer::status("400 Bad Request"),
            }
        })
        .await;
        let app = market.start(&api).await;
        for (number, calls) in [(0, 3), (1, 4), (2, 7)] {
            let body = (market.message)(&format!("m{number}"), &format!("700{number}"), "什么时候发货");
            assert_eq!(market.post(&app, &body).await.status, 200);
            api.after(calls).await;
            pushes(&app, "sent", number + 1).await;
        }
        let calls = api.requests();
        let tokens: Vec<String> =
            calls.iter().map(|call| (market.told)(call)).map(|told| told.access + &told.refresh).collect();
        let wanted = ["access-1", "refresh-1", "access-2", "access-2", "access-2", "refresh-2", "access-3"];
        assert_eq!(tokens, wanted, "{}", market.name);
    }
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_before_it_is_used() {
    for market in MARKETS {
        let api = market.api().await;
        let account = (market.account)(&api.base()).replace("access_token = \"access-1\"\n", "");
        let app = start(&account, "").await;
        for number in 0..2 {
            market.post(&app, &(market.message)(&format!("m{number}"), &format!("700{number}"), "什么时候发货")).await;
            api.after(2 + number).await;
        }
        let calls: Vec<Told> = api.requests().iter().map(market.told).collect();
        assert_eq!((calls[0].refresh.as_str(), calls[1].access.as_str()), ("refresh-1", "access-2"), "{}", market.name);
        assert_eq!(calls[2].access, "access-2", "{}: it is kept", market.name);
    }
}

#[tokio::test]
async fn without_a_refresh_token_the_configured_token_is_used_and_its_refusal_told() {
    for market in MARKETS {
        let api = StandIn::that(Answer::json(market.refused)).await;
        let account = (market.account)(&api.base()).replace("refresh_token = \"refresh-1\"\n", "");
        let app = start(&account, "").await;
        market.post(&app, &(market.message)("m1", "7001", "什么时候发货")).await;
        let calls = api.after(1).await;
        assert_eq!((market.told)(&calls[0]).access, "access-1", "{}", market.name);
        let error = refusal(&app).await;
        assert!(error.contains("authorise the shop anew"), "{}: {error}", market.name);
    }
}

/// What is told of the only push, once there was an attempt.
async fn refusal(app: &TestApp) -> String {
    for _ in 0..100 {
        let pending = pushes(app, "pending", 1).await;
        if let Some(error) = pending[0]["error"].as_str() {
            return error.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there was no attempt");
}

#[tokio::test]
async fn a_long_answer_is_split_where_the_limit_is() {
    for market in MARKETS {
        let api = market.api().await;
        let app = start(&((market.account)(&api.base()) + "text_chars = 16\n"), "").await;
        market.post(&app, &(market.message)("m1", "7001", "什么时候发货")).await;
        let calls = api.after(2).await;
        for call in &calls {
            let text = (market.told)(call).text;
            assert!((1..=16).contains(&text.chars().count()), "{}: {text}", market.name);
        }
    }
}

#[tokio::test]
async fn a_menu_has_numbers_and_a_number_chooses() {
    let unsure = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";
    for market in MARKETS {
        let api = market.api().await;
        let app = start(&(market.account)(&api.base()), unsure).await;
        market.post(&app, &(market.message)("m1", "7001", "书包的颜色，还有什么时候能够发货呢")).await;
        let menu = (market.told)(&api.after(1).await[0]).text;
        assert!(menu.contains("\n1. ") && menu.contains("\n2. "), "{}: {menu}", market.name);
        market.post(&app, &(market.message)("m2", "7001", "1")).await;
        assert!(!(market.told)(&api.after(2).await[1]).text.contains("\n2. "), "{}", market.name);
    }
}

/// Plays what the API may answer: status line, body, and what the outbox says of the message then.
pub async fn failures(market: &'static Market, cases: &'static [(&str, &str, &str)]) {
    let api = StandIn::judging(move |_, request| {
        if request.path().starts_with(market.renewal) {
            return Answer::json((market.renewed)("access-2", "refresh-2"));
        }
        let number: usize = (market.told)(request).conversation[1..].parse().unwrap();
        let (status, body, _) = cases[number];
        Answer::Says(format!("{status}\r\ncontent-type: application/json"), body.to_owned())
    })
    .await;
    let app = market.start(&api).await;
    for number in 0..cases.len() {
        let body = (market.message)(&format!("m{number}"), &format!("7{number:03}"), "什么时候发货");
        assert_eq!(market.post(&app, &body).await.status, 200);
    }
    let is_over = |failure: &str| matches!(failure, "given_up" | "window_closed");
    let over = cases.iter().filter(|(.., failure)| is_over(failure)).count();
    let mut told = pushes(&app, "dead", over).await;
    for _ in 0..100 {
        told.truncate(over);
        told.extend(pushes(&app, "pending", cases.len() - over).await);
        if told.iter().all(|push| push["error"].is_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (number, (status, body, failure)) in cases.iter().enumerate() {
        let conversation = json!(format!("7{number:03}"));
        let push = told.iter().find(|push| push["conversation"]["conversation_id"] == conversation);
        let push = push.unwrap_or_else(|| panic!("{status} {body}: {told:?}"));
        assert_eq!(push["failure"], json!(failure), "{status} {body}: {push}");
        let error = push["error"].as_str().unwrap();
        assert!(!error.contains("secret-text") && !error.contains("access-"), "{error}");
    }
}
