//! What the marketplaces have in common: tokens that a shop grants once and a refresh token renews, parameters that are
//! signed in the order of their names, and bodies whose ids are text in one place and numbers in another.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::channel::call::{Call, CallAnswer, Failure, Granted};
use crate::channel::hook::{Heard, Moment};
use crate::channel::json;
use crate::channel::settings::{self, Hidden};
use crate::conversation::outgoing::stable_id;

/// How long to wait where a day's calls are used up: whose midnight counts is not told, so it is tried now and then.
const DAYS_QUOTA: SignedDuration = SignedDuration::from_hours(1);

/// The tokens of a shop, as configured.
#[derive(Debug)]
pub(super) struct Grant {
    access: Option<Hidden>,
    refresh: Option<Hidden>,
}

impl Grant {
    /// The tokens that the configuration holds: an access token, a refresh token, or both.
    pub fn read(access: Option<Hidden>, refresh: Option<Hidden>) -> Result<Self, String> {
        if access.is_none() && refresh.is_none() {
            return Err("write access_token and refresh_token, which authorising the shop gave you".to_owned());
        }
        Ok(Self { access, refresh })
    }

    /// Whether access tokens can be renewed.
    pub fn renews(&self) -> bool {
        self.refresh.is_some()
    }

    /// The token to call with: the one that was got, else the configured one.
    pub fn access<'a>(&'a self, got: &'a str) -> &'a str {
        match &self.access {
            Some(configured) if got.is_empty() => configured.as_str(),
            _ => got,
        }
    }

    /// What the configuration holds. How long its access token is good is not known: until it is refused.
    pub fn configured(&self) -> Option<Granted> {
        let refresh = self.refresh.as_ref()?.as_str().to_owned();
        let (token, until) = match &self.access {
            Some(access) => (access.as_str().to_owned(), Timestamp::MAX),
            None => (String::new(), Timestamp::UNIX_EPOCH),
        };
        Some(Granted { token, refresh: Some(refresh), until })
    }

    /// What the next token is got with: each refresh token is used up by the next, so the last one counts.
    pub fn refresh<'a>(&'a self, last: Option<&'a Granted>) -> &'a str {
        let last = last.and_then(|granted| granted.refresh.as_deref());
        last.or_else(|| self.refresh.as_ref().map(Hidden::as_str)).unwrap_or_default()
    }

    /// Digest of the configured tokens: when the shop is authorised anew, what was got before is forgotten.
    pub fn fingerprint(&self, platform: &str) -> String {
        stable_id("", &[platform, self.refresh.as_ref().map(Hidden::as_str).unwrap_or_default()])
    }
}

/// An access token that is good for so many seconds.
pub(super) fn granted(token: &str, refresh: &str, seconds: i64, moment: &Moment) -> Granted {
    let until = moment.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(moment.now);
    Granted { token: token.to_owned(), refresh: (!refresh.is_empty()).then(|| refresh.to_owned()), until }
}

/// A text that may be written as a number or `true`; other things are nothing.
pub(super) fn loose<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Value::deserialize(from).map(|value| text_of(&value))
}

/// A value as [`loose`] reads it.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// What is there, and not empty or the 0 that stands for nothing.
pub(super) fn some(value: &Value) -> Option<String> {
    Some(text_of(value)).filter(|text| !text.is_empty() && text != "0")
}

/// JSON that stands in a text; other JSON as it is.
pub(super) fn unwrapped(value: Value) -> Value {
    match value {
        Value::String(text) => json::read(text.as_bytes()).unwrap_or_default(),
        value => value,
    }
}

/// A setting that must be there.
pub(super) fn given(name: &str, text: &str) -> Result<String, String> {
    settings::written(text).map(str::to_owned).map_err(|error| format!("`{name}`: {error}"))
}

/// A setting that may be left out, but not as examples show it: nothing would ever be for such a shop.
pub(super) fn optional(name: &str, text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { given(name, text) }
}

/// Parameters in the order of their names.
pub(super) fn sorted<'a>(parameters: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Names and values one after another, in the order of the names: what TikTok Shop and Lazada sign.
pub(super) fn joined(parameters: &[(&str, &str)]) -> String {
    sorted(parameters).iter().flat_map(|(name, value)| [*name, *value]).collect()
}

/// Parameters as a query or a form.
pub(super) fn encoded(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// A POST of a form.
pub(super) fn form(url: String, parameters: &[(&str, &str)]) -> Call {
    let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
    Call { is_post: true, url, headers, body: encoded(parameters) }
}

/// Nothing has happened that concerns us: acknowledged, for platforms switch off addresses that fail often.
pub(super) fn nothing() -> Heard {
    Heard::from(Vec::new())
}

/// How a platform's own error code is told: the code, and what to do. A code is shortened to what codes are made of, so
/// that nothing else gets into a log.
pub(super) fn told(code: &str, hint: &str) -> String {
    let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).take(48).collect();
    if hint.is_empty() { format!("code {code}") } else { format!("code {code}: {hint}") }
}

/// A day's calls are used up.
pub(super) fn days_quota(code: &str) -> Failure {
    Failure::Quota { after: Some(DAYS_QUOTA), why: told(code, "the day's calls are used up") }
}

/// Too many calls at once.
pub(super) fn too_fast(code: &str, answer: &CallAnswer) -> Failure {
    Failure::Quota { after: Some(answer.retry_after.unwrap_or_default()), why: told(code, "too many calls at once") }
}

/// It may go better later.
pub(super) fn later(code: &str) -> Failure {
    Failure::Retry { after: None, why: told(code, "the platform has a fault") }
}

/// A code that nobody knows: by the status, and for good where that says success.
pub(super) fn unknown(code: &str, answer: &CallAnswer) -> Failure {
    match answer.by_status() {
        Err(failure) if !matches!(answer.status, 400..=499) || answer.status == 429 => failure,
        _ => Failure::GiveUp { why: told(code, "") },
    }
}

/// The status says success, the body nothing: whether the message is out, nobody knows.
pub(super) fn unreadable(answer: &CallAnswer) -> Failure {
    let why = "the answer cannot be read: is the address the platform's?".to_owned();
    answer.by_status().err().unwrap_or(Failure::Retry { after: None, why })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_the_same_as_text_and_as_numbers() {
        let values = [json!("2302748948493123953"), json!(2_302_748_948_493_123_953_u64)];
        assert_eq!(values.map(|value| text_of(&value)), ["2302748948493123953"; 2]);
        assert_eq!(
            (text_of(&json!(true)), text_of(&json!(null)), text_of(&json!({}))),
            ("true".to_owned(), String::new(), String::new())
        );
        assert_eq!((some(&json!(0)), some(&json!("")), some(&json!(7))), (None, None, Some("7".to_owned())));
    }

    #[test]
    fn json_in_a_text_is_taken_out_once() {
        assert_eq!(unwrapped(json!("{\"a\":\"{}\"}")), json!({ "a": "{}" }));
        assert_eq!((unwrapped(json!({ "a": 1 })), unwrapped(json!("no json"))), (json!({ "a": 1 }), Value::Null));
    }

    #[test]
    fn a_shop_without_tokens_is_told_what_to_write() {
        assert!(Grant::read(None, None).unwrap_err().contains("access_token"));
        assert!(given("app_key", " ").unwrap_err().contains("app_key"));
    }

    #[test]
    fn a_code_tells_nothing_but_itself() {
        assert_eq!(told("E901 亲，您好\n", ""), "code E901");
        assert_eq!(told(&"x".repeat(99), "").len(), 53);
    }

    #[test]
    fn the_last_refresh_token_counts_and_a_new_configuration_begins_anew() {
        let hidden = |text: &str| Hidden::try_from(text.to_owned()).ok();
        let grant = Grant::read(hidden("access"), hidden("first")).unwrap();
        let moment = Moment { now: Timestamp::UNIX_EPOCH, random: [0; 16] };
        let last = granted("token", "second", 60, &moment);
        assert_eq!((grant.refresh(None), grant.refresh(Some(&last))), ("first", "second"));
        assert_eq!(grant.refresh(Some(&granted("token", "", 60, &moment))), "first", "an answer without a new one");
        assert_eq!((grant.access(""), grant.access("token")), ("access", "token"));
        let other = Grant::read(None, hidden("other")).unwrap();
        assert_ne!(grant.fingerprint("tiktok"), other.fingerprint("tiktok"));
        assert!(
            other.configured().is_some_and(|granted| granted.until == Timestamp::UNIX_EPOCH),
            "it is renewed first"
        );
        assert!(Grant::read(hidden("access"), None).unwrap().configured().is_none());
    }
}
