//! A platform's request and what it says: verified, and put in the terms of events.

use std::borrow::Cow;

use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::call::Undelivered;
use super::{json, query};
use crate::conversation::desk::Presence;
use crate::conversation::event::{Context, EventKind, InboundEvent};
use crate::faq::Audience;
use crate::outbound::webhook::SignatureError;

/// The moment of a call, and what nobody can guess.
#[derive(Clone, Copy)]
pub struct Moment {
    /// When.
    pub now: Timestamp,
    /// Random bytes, for nonces.
    pub random: [u8; 16],
}

/// A request as it came to an account's address.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Posted; else it was asked for (GET).
    pub is_post: bool,
    /// The query as it came, without `?`.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, to the byte.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// A header that stands there once; one that is repeated is not believed.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// A value of the query, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        query::value(self.query, name)
    }

    /// What its body says, see [`json::read`].
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        json::read(self.body)
    }
}

/// Why a request is not believed or not understood. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody who knows the secret made it.
    #[error("the signature is missing or wrong")]
    Signature,
    /// It may be an old one, sent again by somebody who overheard it.
    #[error("the timestamp is missing or too far from now")]
    Timestamp,
    /// It is the platform's, but not for this account.
    #[error("it is for another account")]
    Stranger,
    /// It is signed, and in an envelope that the configured key does not open.
    #[error("the envelope cannot be opened")]
    Sealed,
    /// It is signed, but not what the platform documents.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
}

impl Refusal {
    /// It is not what the platform documents; `what` tells whoever signed it what is wrong.
    pub fn malformed(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed(what.into())
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Signature | Self::Timestamp => 401,
            Self::Stranger | Self::Sealed => 403,
            Self::Malformed(_) => 400,
        }
    }

    /// Name for the counter.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Stranger => "stranger",
            Self::Sealed => "sealed",
            Self::Malformed(_) => "malformed",
        }
    }

    /// What the shop's operator may have to mend, where it is no stranger who knocks.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Signature => {
                "is the configured secret the one of this account, the one that signs, and does the platform sign as its page in docs/channels says?"
            }
            Self::Timestamp => "is this machine's clock right?",
            Self::Stranger => {
                "are the configured ids those of this account, and is the address set for it on the platform?"
            }
            Self::Sealed => "are encoding_aes_key and the id beside it those of the platform's console?",
            Self::Malformed(Cow::Borrowed(what)) => what,
            // It may repeat what a customer wrote.
            Self::Malformed(Cow::Owned(_)) => "the answer tells whoever posts it what is wrong",
        }
    }
}

/// What a platform is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// 200 without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::text("")
    }

    /// 200 with plain text.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string() }
    }

    /// 200 with XML.
    #[must_use]
    pub fn xml(body: String) -> Self {
        Self { status: 200, content_type: "text/xml; charset=utf-8", body }
    }
}

/// What a request says.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// Nothing has happened; the platform is answered so: a handshake, a probe.
    Answer(Answer),
    /// This has happened; nothing, when it is empty.
    Events(Happened),
    /// There is something to be fetched.
    Fetch(Fetch),
    /// An agent came, went or is busy.
    Presence {
        /// Who and what.
        present: Present,
        /// When whoever tells it says it was: an older one that comes again says nothing.
        at: Timestamp,
        /// Of the message that tells it.
        id: String,
    },
}

impl From<Vec<Said>> for Heard {
    fn from(said: Vec<Said>) -> Self {
        Self::Events(Happened { said, undelivered: Vec::new() })
    }
}

/// What has happened on a platform.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Happened {
    /// What was said and done in conversations, in this order.
    pub said: Vec<Said>,
    /// Messages that the platform had taken and could not bring after all.
    pub undelivered: Vec<Undelivered>,
}

/// What an agent says of themselves through a channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Present {
    /// Who.
    pub agent_id: String,
    /// What.
    pub presence: Presence,
    /// Conversations that the agent can hold at once.
    #[serde(default = "Present::capacity")]
    pub capacity: u32,
    /// Desks that the agent sits at; empty means all.
    #[serde(default)]
    pub audiences: Vec<Audience>,
}

impl Present {
    fn capacity() -> u32 {
        5
    }
}

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which mailbox of the account.
    pub mailbox: String,
    /// What the platform gave to fetch it with; empty when it gave nothing.
    pub token: String,
}

/// One thing that happened, in the platform's ids.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// Unique within the account: a redelivery repeats it.
    pub message_id: String,
    /// Conversation.
    pub conversation_id: String,
    /// Customer.
    pub customer_id: String,
    /// What.
    pub kind: EventKind,
    /// What was written.
    pub text: String,
    /// The human on the shop's side.
    pub agent_id: Option<String>,
    /// Who wrote is known to be a program.
    pub sender_is_bot: bool,
    /// Id of our reply that comes back.
    pub echo_of: Option<String>,
    /// By what the platform takes an answer to this very message.
    pub reply_to: Option<String>,
    /// When the platform says it happened.
    pub sent_at: Option<Timestamp>,
    /// What else the platform knows.
    pub context: Context,
}

/// An event that was stored.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The event.
    pub event: &'a InboundEvent,
    /// Text of the reply that goes out in the answer to the request; none when nothing does.
    pub reply: Option<&'a str>,
    /// A human takes it from here.
    pub hands_over: bool,
    /// A human has the conversation afterwards, or is waited for.
    pub with_humans: bool,
    /// It had been stored before.
    pub redelivered: bool,
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Timestamp => Self::Timestamp,
            SignatureError::Signature => Self::Signature,
        }
    }
}
