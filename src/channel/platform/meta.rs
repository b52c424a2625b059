//! What the platforms of Meta share: signed notifications, the challenge of a new subscription, errors of the Graph API.
//!
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>,
//! <https://developers.facebook.com/docs/graph-api/guides/error-handling>

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::channel::call::{CallAnswer, Failure};
use crate::channel::hook::{Answer, Refusal, Request};
use crate::channel::json;
use crate::channel::settings::{ApiUrl, Hidden};
use crate::channel::signature::{Key, same};

/// Where the Graph API is.
pub(super) fn graph() -> ApiUrl {
    ApiUrl::of("https://graph.facebook.com")
}

/// The version that Meta's pages of 2026 call; each works for two years at least
/// (<https://developers.facebook.com/docs/graph-api/guides/versioning>).
pub(super) fn version() -> String {
    "v25.0".to_owned()
}

/// An id of the app dashboard; in the configuration a number, in quotes or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(super) struct Id(pub u64);

impl TryFrom<toml::Value> for Id {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        let number = value.as_integer().and_then(|number| number.try_into().ok());
        let id = number.or_else(|| value.as_str()?.parse().ok());
        id.map(Self)
            .ok_or("write the digits of the id in the app dashboard (phone_number_id is not the telephone number)")
    }
}

impl Id {
    /// In a notification, where some ids are numbers and some are texts.
    pub(super) fn of(value: &Value) -> Option<Self> {
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(Self)
    }

    pub(super) fn is(self, text: &str) -> bool {
        text.parse() == Ok(self.0)
    }
}

/// Verifies a request. What is answered where Meta asks whether the address is ours; none where it posts what happened,
/// signed by HMAC-SHA256 over the body as it came: Meta writes `\uXXXX` for all that is not ASCII, so the bytes of a body that
/// was read and written again are others.
///
/// # Errors
/// [`Refusal::Signature`] when a posted body is not signed with the app's secret; [`Refusal::Stranger`] when a subscription
/// has another token.
pub(super) fn verify(request: &Request<'_>, secret: &Key, token: &Hidden) -> Result<Option<Answer>, Refusal> {
    if request.is_post {
        let given = request.header("x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
        let is_signed = given.is_some_and(|given| secret.sign(&[request.body]).is_hex(given));
        return if is_signed { Ok(None) } else { Err(Refusal::Signature) };
    }
    let subscribes = request.query("hub.mode").as_deref() == Some("subscribe");
    let is_ours = request.query("hub.verify_token").is_some_and(|given| same(&given, token.as_str()));
    let challenge = request.query("hub.challenge").filter(|_| subscribes && is_ours);
    challenge.map(|challenge| Some(Answer::text(challenge))).ok_or(Refusal::Stranger)
}

/// A notification: what happened to objects of one kind.
#[derive(Deserialize)]
struct Notification<E> {
    object: String,
    #[serde(default = "Vec::new")]
    entry: Vec<E>,
}

/// The entries of a notification about objects of this kind, as far as they are what Meta documents; none when it is about
/// others.
///
/// # Errors
/// [`Refusal::Malformed`] when it is no notification.
pub(super) fn entries<E: DeserializeOwned>(body: &[u8], object: &str) -> Result<Vec<E>, Refusal> {
    let notification: Notification<Value> =
        json::read(body).ok_or_else(|| Refusal::malformed("no notification of Meta"))?;
    let entries = notification.entry.into_iter().filter(|_| notification.object == object);
    Ok(entries.filter_map(|entry| E::deserialize(entry).ok()).collect())
}

/// What an error code means for a message, in a few words.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// It may go better later.
    Later(&'static str),
    /// It goes better once somebody mends the configuration or the account.
    Mend(&'static str),
    /// It will not go better.
    Never(&'static str),
    /// The customer wrote too long ago.
    Window(&'static str),
    /// Too many messages or calls for now.
    Rate(&'static str),
}

/// An error that Meta does not document, or not here.
const UNKNOWN: Fault = Fault::Never("not a code that is known here");

impl Fault {
    /// As a failure; `code` tells which it was, for people.
    fn failure(self, code: &str, after: Option<SignedDuration>) -> Failure {
        let why = |what: &str| format!("{code}: {what}");
        match self {
            Self::Later(what) => Failure::Retry { after, why: why(what) },
            Self::Mend(what) => Failure::Access { why: why(what) },
            Self::Never(what) => Failure::GiveUp { why: why(what) },
            Self::Window(what) => Failure::WindowClosed { why: why(what) },
            Self::Rate(what) => Failure::Quota { after: Some(after.unwrap_or_default()), why: why(what) },
        }
    }
}

/// Codes that mean the same on all of Meta's platforms.
///
/// <https://developers.facebook.com/docs/graph-api/guides/error-handling>,
/// <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>
fn common(code: i64) -> Option<Fault> {
    Some(match code {
        1 | 2 => Fault::Later("Meta cannot do it now"),
        0 | 102 | 190 => Fault::Mend("the access token is not valid: make a new one and set access_token"),
        3 | 10 | 200..=299 => {
            Fault::Mend("the app or the access token lacks a permission: grant it in the app dashboard")
        }
        4 | 17 | 32 | 341 | 613 | 80_000..=80_014 => Fault::Rate("too many calls"),
        368 => Fault::Rate("Meta has blocked the account for a while: see its quality page"),
        _ => return None,
    })
}

/// Whether the Graph API did what it was called for; `own` knows the codes and subcodes of one platform. Meta's words are
/// not repeated: they may name the customer.
///
/// # Errors
/// [`Failure`] when it did not.
pub(super) fn judge(answer: &CallAnswer, own: fn(i64, i64) -> Option<Fault>) -> Result<(), Failure> {
    let by_status = answer.by_status();
    let error = &answer.json()["error"];
    let (Err(plain), Some(code)) = (&by_status, error["code"].as_i64()) else { return by_status };
    let subcode = error["error_subcode"].as_i64().unwrap_or_default();
    let is_transient = || (error["is_transient"] == true).then_some(Fault::Later("Meta cannot do it now"));
    let why = format!("status {}, code {code}, subcode {subcode}", answer.status);
    Err(match own(code, subcode).or_else(|| common(code)).or_else(is_transient) {
        Some(fault) => fault.failure(&why, answer.retry_after),
        None if matches!(plain, Failure::GiveUp { .. }) => UNKNOWN.failure(&why, None),
        None => return by_status,
    })
}

/// What an error means that is told later, when the call itself had gone well.
pub(super) fn told_later(code: Option<i64>, own: fn(i64, i64) -> Option<Fault>) -> Failure {
    let fault = code.and_then(|code| own(code, 0).or_else(|| common(code)));
    let told = code.map_or_else(|| "told later, without a code".to_owned(), |code| format!("told later, code {code}"));
    fault.unwrap_or(UNKNOWN).failure(&told, None)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn key(secret: &str) -> Key {
        Key::new(secret.as_bytes()).unwrap()
    }

    fn hidden(text: &str) -> Hidden {
        Hidden::try_from(text.to_owned()).unwrap()
    }

    fn posted(secret: &str, body: &[u8], signature: &str) -> Result<Option<Answer>, Refusal> {
        let headers = HeaderMap::from_iter([("x-hub-signature-256".parse().unwrap(), signature.parse().unwrap())]);
        let request = Request { is_post: true, query: "", headers: &headers, body };
        verify(&request, &key(secret), &hidden("token"))
    }

    fn asked(query: &str) -> Result<Option<Answer>, Refusal> {
        let request = Request { is_post: false, query, headers: &HeaderMap::new(), body: b"" };
        verify(&request, &key("secret"), &hidden("a token"))
    }

    #[test]
    fn the_published_vector_is_believed_and_nothing_near_it() {
        // docs.github.com, "Validating webhook deliveries": the recipe of Meta's `sha256=`.
        let (secret, digits) =
            ("It's a Secret to Everybody", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
        assert_eq!(posted(secret, b"Hello, World!", &format!("sha256={digits}")), Ok(None));
        for (body, signature) in [
            (&b"Hello, World"[..], format!("sha256={digits}")),
            (b"Hello, World!", digits.to_owned()),
            (b"Hello, World!", format!("sha1={digits}")),
            (b"Hello, World!", format!("sha256={}", &digits[1..])),
            (b"Hello, World!", "sha256=".to_owned()),
        ] {
            assert_eq!(posted(secret, body, &signature), Err(Refusal::Signature), "{signature}");
        }
        assert_eq!(posted("another", b"Hello, World!", &format!("sha256={digits}")), Err(Refusal::Signature));
    }

    #[test]
    fn a_challenge_is_answered_word_for_word_to_whoever_knows_the_token() {
        let answer = asked("hub.mode=subscribe&hub.challenge=11%2B58201444&hub.verify_token=a+token");
        assert_eq!(answer, Ok(Some(Answer::text("11+58201444"))));
        for query in [
            "",
            "hub.mode=subscribe&hub.challenge=1",
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=a+toke",
            "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=a+token",
            "hub.mode=subscribe&hub.verify_token=a+token",
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x&hub.verify_token=a+token",
        ] {
            assert_eq!(asked(query), Err(Refusal::Stranger), "{query}");
        }
    }

    #[test]
    fn ids_are_digits_and_what_else_was_written_is_not_repeated() {
        for value in [toml::Value::from("106540352242922"), toml::Value::from(106_540_352_242_922_i64)] {
            let id = Id::try_from(value).unwrap();
            assert!(id.is("106540352242922") && !id.is("106540352242923") && !id.is(""));
        }
        for value in [toml::Value::from("+86 138 0013 8000"), "".into(), (-1).into(), true.into()] {
            assert!(Id::try_from(value).unwrap_err().contains("phone_number_id"));
        }
        assert_eq!(Id::of(&Value::from("42")), Id::of(&Value::from(42)));
        assert_eq!(Id::of(&Value::Null), None);
    }

    #[test]
    fn notifications_about_other_objects_say_nothing() {
        let none: Vec<Value> = entries(br#"{"object":"user","entry":[{"id":"1"}]}"#, "page").unwrap();
        assert!(none.is_empty());
        let one: Vec<Value> = entries(br#"{"object":"page","entry":[{"id":"1"}]}"#, "page").unwrap();
        assert_eq!(one.len(), 1);
        for body in [&b"{"[..], b"[]", b"{\"entry\":[]}"] {
            assert!(matches!(entries::<Value>(body, "page"), Err(Refusal::Malformed(_))));
        }
    }

    #[test]
    fn an_unknown_code_is_told_and_a_transient_one_is_tried_again() {
        let failure = |status, body: &str| {
            let answer = CallAnswer { status, retry_after: None, body: body.as_bytes().to_vec() };
            judge(&answer, |_, _| None).unwrap_err()
        };
        let unknown = failure(400, r#"{"error":{"code":424242,"message":"to +86138"}}"#);
        assert!(matches!(&unknown, Failure::GiveUp { why } if why.contains("424242") && !why.contains("138")));
        let transient = r#"{"error":{"code":424242,"is_transient":true}}"#;
        assert!(matches!(failure(400, transient), Failure::Retry { .. }));
        assert!(matches!(failure(503, "upstream"), Failure::Retry { .. }));
        assert!(matches!(failure(500, r#"{"error":{"code":424242}}"#), Failure::Retry { .. }));
        assert!(matches!(failure(401, "{}"), Failure::Access { .. }));
        let fine = CallAnswer { status: 200, retry_after: None, body: b"{}".to_vec() };
        assert_eq!(judge(&fine, |_, _| None), Ok(()));
    }
}
