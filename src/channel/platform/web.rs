//! Web chat: the customers of a shop's own site, through the page and the widget that the service itself has.
//!
//! A visitor holds a random token that the account has signed. Its digest is the conversation's id: who reads conversations cannot speak for a visitor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

use crate::channel::call::{Call, Failure, Message};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings;
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::EventKind;
use crate::conversation::outgoing::stable_id;
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "web"`.
pub const PLATFORM: Platform =
    Platform { name: "web", title: "Web chat", read: |table| Ok(Box::new(settings::read::<Web>(table)?)) };

/// Random bytes of a visitor's token, and as many that prove that this service gave it: half of an HMAC-SHA256
/// (RFC 2104, section 5).
const HALF: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Web {
    title: Option<String>,
    #[serde(deserialize_with = "sites")]
    origins: Vec<String>,
    messages_per_minute: u32,
}

/// Sites by scheme, host and port: nothing else may get into the page's policy.
fn sites<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let origins = Vec::<String>::deserialize(deserializer)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '*');
    let is_site = |origin: &String| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && host.chars().all(plain))
    };
    match origins.iter().all(is_site) {
        true => Ok(origins),
        false => Err(D::Error::custom("origins are sites such as https://shop.example.com, without a path")),
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { title: None, origins: Vec::new(), messages_per_minute: 30 }
    }
}

/// How the pages of an account look and whom they serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look<'a> {
    /// What stands above the chat, when it is not the shop's name.
    pub title: Option<&'a str>,
    /// Sites that may show the chat in a frame, beside this service's own and loopback addresses.
    pub origins: &'a [String],
    /// Messages that a visitor may send in a minute.
    pub messages_per_minute: u32,
}

#[derive(Deserialize)]
struct Body {
    message_id: String,
    text: String,
}

/// A new visitor's token, 43 characters: random bytes, signed by the account's key.
#[must_use]
pub fn token(key: &Key, random: [u8; HALF]) -> String {
    let proof = key.sign(&[&random]).half();
    URL_SAFE_NO_PAD.encode([random, proof].concat())
}

/// Whether it is a token that was made with this key.
#[must_use]
pub fn is_ours(key: &Key, token: &str) -> bool {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    bytes.split_at_checked(HALF).is_some_and(|(random, proof)| key.sign(&[random]).half().ct_eq(proof).into())
}

/// The conversation of who shows this token.
#[must_use]
pub fn conversation(token: &str) -> String {
    stable_id("web_", &[token])
}

/// A message's id: two visitors may make the same one.
fn own_id(conversation: &str, message_id: &str) -> String {
    format!("{conversation}-{message_id}")
}

/// The id that a visitor's page gave a message; the whole where it is another's.
#[must_use]
pub fn page_id<'a>(conversation: &str, id: &'a str) -> &'a str {
    id.strip_prefix(conversation).and_then(|rest| rest.strip_prefix('-')).unwrap_or(id)
}

impl Channel for Web {
    /// Whoever takes the request knows the account's key and has looked at the token.
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let shown = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let visitor = shown.map(conversation).ok_or(Refusal::Signature)?;
        let wrong = || Refusal::malformed("write {\"message_id\": ..., \"text\": ...}");
        let body: Body = request.json().ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !(1..=64).contains(&body.message_id.len()) || !body.message_id.chars().all(plain) {
            return Err(Refusal::malformed(
                "`message_id` is 1 to 64 letters, digits, `-` and `_`, new for each message",
            ));
        }
        if body.text.trim().is_empty() {
            return Err(Refusal::malformed("`text` is empty"));
        }
        Ok(Heard::from(vec![Said {
            message_id: own_id(&visitor, &body.message_id),
            conversation_id: visitor.clone(),
            customer_id: visitor,
            kind: EventKind::Message,
            text: body.text,
            ..Said::default()
        }]))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Chars, longest: 20_000, parts: 1 }
    }

    /// The page reads what was stored.
    fn call(&self, _: &Message, _: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        Ok(None)
    }

    fn page(&self) -> Option<Look<'_>> {
        let Self { title, origins, messages_per_minute } = self;
        Some(Look { title: title.as_deref(), origins, messages_per_minute: *messages_per_minute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_conversation_and_cannot_be_told_from_it() {
        let key = Key::new(b"key").unwrap();
        let (one, other) = (token(&key, [1; HALF]), token(&key, [2; HALF]));
        assert_eq!(one.len(), 43);
        assert_ne!(conversation(&one), conversation(&other));
        assert!(!conversation(&one).contains(&one));
    }

    #[test]
    fn what_was_not_made_with_the_key_is_no_token() {
        let key = Key::new(b"key").unwrap();
        let own = token(&key, [1; HALF]);
        assert!(is_ours(&key, &own) && !is_ours(&Key::new(b"another").unwrap(), &own));
        let changed = own.replace('A', "B");
        assert_ne!(own, changed);
        for text in ["", "a", &"A".repeat(42), &"A".repeat(43), &"A".repeat(44), &"*".repeat(43), &own[1..], &changed] {
            assert!(!is_ours(&key, text), "{text}");
        }
    }
}
