//! Channels: what a platform posts becomes events, what the bot says becomes calls of its API. Pure over bytes; whoever calls
//! brings the time, the randomness and the network. `platform/` has one file a platform.

pub mod account;
pub mod call;
pub mod hook;
pub mod json;
pub mod platform;
pub mod query;
pub mod settings;
pub mod signature;
pub mod wechat_crypto;
pub mod xml;

use std::fmt::Debug;

use toml::Table;

use self::call::{Call, CallAnswer, Failure, Inbox, Message, Tokens};
use self::hook::{Answer, Heard, Moment, Recorded, Refusal, Request};
pub use self::platform::PLATFORMS;
use self::platform::web;
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

    /// Whether the platform, or whoever stands there, knows a message that comes again by its id: then it may be sent until
    /// there is an answer. Where it does not, a customer may be told twice at most.
    fn knows_ids(&self) -> bool {
        false
    }

    /// Whether the platform took it. By default by the status alone.
    ///
    /// # Errors
    /// [`Failure`] when it did not.
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        answer.by_status()
    }

    /// How access tokens are got, where they expire.
    fn tokens(&self) -> Option<&dyn Tokens> {
        None
    }

    /// How its own pages look, where customers chat through this service itself.
    fn page(&self) -> Option<web::Look<'_>> {
        None
    }

    /// How messages are fetched, where the platform only tells that there are some.
    fn inbox(&self) -> Option<&dyn Inbox> {
        None
    }
}
