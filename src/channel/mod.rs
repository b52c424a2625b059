//! Channels: what a platform posts becomes events, what the bot says becomes calls of its API. Pure over bytes; whoever calls
//! brings the time, the randomness and the network. `platform/` has one file a platform.

pub mod account;
pub mod call;
pub mod hook;
pub mod platform;
pub mod query;
pub mod signature;
pub mod wechat_crypto;
pub mod xml;

use std::fmt::Debug;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use self::call::{Call, CallAnswer, Failure, Inbox, Message, Tokens, Undelivered};
use self::hook::{Answer, Heard, Moment, Recorded, Refusal, Request};
pub use self::platform::PLATFORMS;
use self::platform::web;
use self::signature::EmptyKey;
use crate::conversation::outgoing::PushKind;
use crate::conversation::parts::TextLimit;

/// A platform that is spoken: a line of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Platform {
    /// `type` of its accounts in the configuration; the name of its page in `docs/channels/`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Reads the settings of an account; an error tells what is wrong and how to mend it, without a secret.
    pub read: fn(Table) -> Result<Box<dyn Channel>, String>,
}

/// An account on a platform, as far as the platform's protocol goes.
///
/// Only `hear`, `text_limit` and `call` differ everywhere; the rest has defaults.
pub trait Channel: Debug + Send + Sync {
    /// What a request of the platform says, once it is verified over its raw bytes.
    ///
    /// # Errors
    /// [`Refusal`] when it is not the platform's, too old, or not what the platform documents.
    fn hear(&self, request: &Request<'_>, moment: &Moment) -> Result<Heard, Refusal>;

    /// What the platform is answered once the events are stored.
    fn acknowledge(&self, _recorded: &[Recorded<'_>], _moment: &Moment) -> Answer {
        Answer::empty()
    }

    /// Whether the reply to a message goes out in the answer to the request that brought it. What does not fit there, and
    /// what comes later, is called out.
    fn answers_in_response(&self) -> bool {
        false
    }

    /// Whether a conversation that a human has, or that waits for one, is passed to the platform's own agents in the answer
    /// to the request. Nothing else fits there then: all of a reply is called out.
    fn passes_on(&self) -> bool {
        false
    }

    /// How long a message may be. A reply is split before it is put into the outbox: one row is one call.
    fn text_limit(&self) -> TextLimit;

    /// What is brought to the platform: replies, and handovers where it has agents of its own.
    fn brings(&self) -> &'static [PushKind] {
        &[PushKind::Reply]
    }

    /// The call that brings a message; none when the platform fetches it or has nothing to be told.
    ///
    /// `access` is the access token where [`Channel::tokens`] says how to get one, else empty.
    ///
    /// # Errors
    /// [`Failure`] when the message cannot be brought.
    fn call(&self, message: &Message, access: &str, moment: &Moment) -> Result<Option<Call>, Failure>;

    /// Whether the platform took it. By default by the status alone.
    ///
    /// # Errors
    /// [`Failure`] when it did not.
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        answer.by_status()
    }

    /// What a posted body, which [`Channel::hear`] has believed, tells of messages that were taken before.
    fn undelivered(&self, _body: &[u8]) -> Vec<Undelivered> {
        Vec::new()
    }

    /// How access tokens are got, where they expire.
    fn tokens(&self) -> Option<&dyn Tokens> {
        None
    }

    /// How its own pages look, where customers chat through this service itself.
    fn page(&self) -> Option<web::Page<'_>> {
        None
    }

    /// How messages are fetched, where the platform only tells that there are some.
    fn inbox(&self) -> Option<&dyn Inbox> {
        None
    }
}

/// A setting that is never shown: an access token, a password.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Hidden(String);

impl TryFrom<String> for Hidden {
    type Error = EmptyKey;

    fn try_from(text: String) -> Result<Self, EmptyKey> {
        if text.trim().is_empty() { Err(EmptyKey) } else { Ok(Self(text)) }
    }
}

impl Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl Hidden {
    fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address that paths are appended to, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct ApiUrl(String);

/// A text that is no address of an API.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("an address begins with https:// (or http:// on your own network)")]
struct NoUrl;

impl TryFrom<String> for ApiUrl {
    type Error = NoUrl;

    fn try_from(url: String) -> Result<Self, NoUrl> {
        let known = ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
        if known { Ok(Self(url.trim_end_matches('/').to_owned())) } else { Err(NoUrl) }
    }
}

impl ApiUrl {
    /// The address that a platform documents.
    fn of(url: &str) -> Self {
        Self(url.to_owned())
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the settings of an account. An error never repeats a value, which may be a secret.
fn settings<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    T::deserialize(Value::Table(table)).map_err(|error| {
        let message = error.message();
        let repeats = message.starts_with("invalid type") || message.starts_with("invalid value");
        match message.split_once(", expected ").filter(|_| repeats) {
            Some((_, expected)) => format!("a setting is not as it should be: expected {expected}"),
            None => message.to_owned(),
        }
    })
}
