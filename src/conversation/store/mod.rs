//! Where conversations are kept: acknowledged means stored.

mod sqlite;

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::InboundEvent;
use super::incident::Incident;
use super::model::Conversation;

pub use self::sqlite::SqliteStore;

/// Why the store refused; nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or written.
    #[error("the store cannot be used: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The database's schema could not be brought up to date.
    #[error("the store's schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What was stored cannot be read by this version.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(#[from] serde_json::Error),
}

/// What the store keeps of a decision: as it was answered, word for word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredDecision(pub serde_json::Value);

/// The decision of one event and the conversation that it leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Facts after the event.
    pub conversation: Conversation,
    /// What was decided.
    pub decision: StoredDecision,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It was new; event, conversation and decision are stored.
    New(StoredDecision),
    /// It had been stored; this is what was decided then.
    Duplicate(StoredDecision),
    /// Its message id was used for another event.
    Conflict,
}

/// Decides an event from the facts of its conversation and the incidents that are not closed.
pub type Decide<'a> = Box<dyn FnOnce(&Conversation, &[Incident]) -> Outcome + Send + 'a>;

/// A future that a store returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The store's interface; one transaction a call.
pub trait Store: Send + Sync {
    /// Stores an event with its decision, once: a redelivered event gets the stored decision, and `decide` is not called.
    fn record<'a>(&'a self, event: &'a InboundEvent, now: Timestamp, decide: Decide<'a>) -> Answer<'a, Recorded>;

    /// Opens an incident, or replaces the one of the same id.
    fn put_incident<'a>(&'a self, incident: &'a Incident) -> Answer<'a, ()>;

    /// Closes an incident; whether it was open.
    fn close_incident<'a>(&'a self, id: &'a str) -> Answer<'a, bool>;

    /// Incidents that are not closed, by id.
    fn incidents(&self) -> Answer<'_, Vec<Incident>>;

    /// Whether the store answers.
    fn ping(&self) -> Answer<'_, ()>;
}
