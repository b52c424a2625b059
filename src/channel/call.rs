//! Calls of a platform's API: what is brought, what came of it, access tokens and mailboxes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::hook::{Fetch, Happened, Moment};
use super::json;
use crate::conversation::outgoing::{FailureClass, PushKind};

/// What is brought to a customer, or told to the platform about a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Stable over all attempts: an idempotency key where the platform knows such.
    pub id: String,
    /// A reply, or a handover.
    pub kind: PushKind,
    /// Conversation, in the platform's ids.
    pub conversation_id: String,
    /// Customer, in the platform's ids.
    pub customer_id: String,
    /// Text of a reply, within the platform's limit.
    pub text: String,
    /// What a menu's lines say, in the last message of a reply that offers one; the text has them numbered too.
    pub options: Vec<String>,
    /// By what the platform takes an answer to the message that is replied to.
    pub reply_to: Option<String>,
    /// Attempts before this one.
    pub attempts: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// The whole push, JSON: type, timestamp, data.
    pub body: String,
}

/// A request to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Posted; else asked for (GET).
    pub is_post: bool,
    /// Where to, secrets in it included.
    pub url: String,
    /// Headers, secrets in them included.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("is_post", &self.is_post).finish_non_exhaustive()
    }
}

impl Call {
    /// A POST of JSON.
    #[must_use]
    pub fn json(url: String, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
        Self { is_post: true, url, headers, body: body.to_string() }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: String) -> Self {
        Self { is_post: false, url, headers: Vec::new(), body: String::new() }
    }

    /// With a header more.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With `Authorization: Bearer`.
    #[must_use]
    pub fn with_bearer(self, token: &str) -> Self {
        self.with_header("authorization", format!("Bearer {token}"))
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// HTTP status.
    pub status: u16,
    /// How long to wait, where the platform says so.
    pub retry_after: Option<SignedDuration>,
    /// Start of the body: 64 KiB at most for a call, 4 MiB for a page of messages.
    pub body: Vec<u8>,
}

impl CallAnswer {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        json::read(&self.body).unwrap_or_default()
    }

    /// What the status alone tells.
    ///
    /// # Errors
    /// Every status but 2xx: 408, 425, 429 and 5xx may go better later; 401 once the configuration or the token is right;
    /// others never.
    pub fn by_status(&self) -> Result<(), Failure> {
        let why = || format!("status {}", self.status);
        match self.status {
            200..=299 => Ok(()),
            401 => Err(Failure::Access { why: why() }),
            429 => Err(Failure::Quota { after: Some(self.retry_after.unwrap_or_default()), why: why() }),
            408 | 425 | 500..=599 => Err(Failure::Retry { after: self.retry_after, why: why() }),
            _ => Err(Failure::GiveUp { why: why() }),
        }
    }
}

/// Why a message did not reach the customer. `why` is one line for people, without a secret and without a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may go better later.
    Retry {
        /// How long the platform asks to be left alone.
        after: Option<SignedDuration>,
        /// What happened.
        why: String,
    },
    /// Nobody knows whether it was taken: the answer did not come in time.
    Late {
        /// What happened.
        why: String,
    },
    /// The access token is not taken: with a new one it may go better.
    Access {
        /// What happened.
        why: String,
    },
    /// It will not go better.
    GiveUp {
        /// What is wrong.
        why: String,
    },
    /// The platform's time for replies to the customer's last message is over.
    WindowClosed {
        /// What happened.
        why: String,
    },
    /// No more messages are allowed for now.
    Quota {
        /// When there may be more; none when waiting does not help.
        after: Option<SignedDuration>,
        /// What happened.
        why: String,
    },
    /// The receiver wants no more messages at all.
    Gone {
        /// What happened.
        why: String,
    },
}

/// How long a platform that did not answer in time is left alone.
const LATER: SignedDuration = SignedDuration::from_secs(30);

impl Failure {
    /// Attempts after which it is of no use to try on, where that is not a matter of hours: a platform that is slow would have the
    /// customer told the same thing again and again.
    #[must_use]
    pub fn most_attempts(&self) -> Option<u32> {
        matches!(self, Self::Late { .. }).then_some(2)
    }

    /// Of what kind it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Retry { .. } | Self::Late { .. } | Self::Access { .. } => FailureClass::Retry,
            Self::GiveUp { .. } => FailureClass::GivenUp,
            Self::WindowClosed { .. } => FailureClass::WindowClosed,
            Self::Quota { .. } => FailureClass::Quota,
            Self::Gone { .. } => FailureClass::Gone,
        }
    }

    /// What happened.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Retry { why, .. }
            | Self::Late { why }
            | Self::Access { why }
            | Self::GiveUp { why }
            | Self::WindowClosed { why }
            | Self::Quota { why, .. }
            | Self::Gone { why } => why,
        }
    }

    /// After how long it may be tried again; none when that is no use.
    #[must_use]
    pub fn try_after(&self) -> Option<SignedDuration> {
        match self {
            Self::Retry { after, .. } => Some(after.unwrap_or_default()),
            Self::Late { .. } => Some(LATER),
            Self::Access { .. } => Some(SignedDuration::ZERO),
            Self::Quota { after, .. } => *after,
            Self::GiveUp { .. } | Self::WindowClosed { .. } | Self::Gone { .. } => None,
        }
    }
}

/// A message that the platform had taken and could not bring after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// [`Message::id`], which the call told the platform.
    pub id: String,
    /// Why.
    pub failure: Failure,
}

/// An access token that was granted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The access token.
    pub token: String,
    /// What the next one is got with, where it changes.
    pub refresh: Option<String>,
    /// Until when it is good.
    pub until: Timestamp,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").field("until", &self.until).finish_non_exhaustive()
    }
}

/// How an account gets access tokens. They are kept in the store: all nodes share one, and a refresh token that can be used
/// once is not lost.
pub trait Tokens: Sync {
    /// Digest of the settings that tokens are got with: other settings begin anew.
    fn fingerprint(&self) -> String;

    /// A token that the configuration holds; none when one must be asked for.
    fn configured(&self) -> Option<Granted> {
        None
    }

    /// The call that gets a token; `last` is the one before, where there was one.
    fn ask(&self, last: Option<&Granted>, moment: &Moment) -> Call;

    /// The token in the answer.
    ///
    /// # Errors
    /// [`Failure`] when there is none.
    fn read(&self, answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure>;
}

/// One page of a mailbox.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// What happened.
    pub happened: Happened,
    /// Where the next page begins.
    pub cursor: String,
    /// There is more already.
    pub more: bool,
}

/// How an account's messages are fetched.
pub trait Inbox: Sync {
    /// Mailboxes that are known from the configuration: they are looked at when the service starts.
    fn mailboxes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The call that fetches the page after `cursor`, which is empty for the first.
    fn fetch(&self, what: &Fetch, cursor: &str, access: &str) -> Call;

    /// The page in the answer.
    ///
    /// # Errors
    /// [`Failure`] when there is none.
    fn page(&self, answer: &CallAnswer) -> Result<Page, Failure>;
}
