//! Where conversations are kept: acknowledged means stored. One interface, two engines.
//!
//! An event is recorded in one transaction: looked up by its id, decided from the facts of its conversation, and written
//! with everything that follows from it (facts, pushes, rounds). Messages that wait at the same time share a commit; those
//! of one conversation keep their order.
//!
//! The SQL is one text for both engines: `engine/` is compiled once for each, over the few lines in which they differ.

mod batch;
mod postgres;
mod records;
mod sqlite;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::clock::Round;
use super::desk::{Agent, Desk};
use super::event::{ConversationKey, InboundEvent};
use super::incident::Incident;
use super::model::Conversation;
use super::outgoing::{Outgoing, PushState};

pub use self::postgres::PostgresStore;
pub use self::records::{
    ConversationFilter, Due, EndpointState, Erased, Leases, Lost, Push, PushRow, Settled, StoredConversation,
    StoredEvent, StoredRound, Told,
};
pub use self::sqlite::SqliteStore;

/// Why the store refused; nothing was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or written.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// Another transaction was quicker; trying again may do.
    #[error("the store was busy with the same records: {0}")]
    Contended(String),
    /// The database's schema could not be brought up to date.
    #[error("the store's schema could not be brought up to date: {0}")]
    Migration(String),
    /// The decision met a fault in the program.
    #[error("{0}")]
    Decision(String),
    /// What was stored, or is to be, cannot be read by this version.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        // Where in the record, not what: it is about a customer.
        Self::Corrupt(format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()))
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(error.to_string())
    }
}

/// SQLSTATE of PostgreSQL: serialization failure, deadlock, unique violation (two nodes with one message id).
const CONTENDED: [&str; 3] = ["40001", "40P01", "23505"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let what = error.to_string();
        match &error {
            sqlx::Error::Database(database) => match database.code() {
                Some(code) if CONTENDED.contains(&&*code) => Self::Contended(what),
                // Class 22: a value that the database cannot hold.
                Some(code) if code.len() == 5 && code.starts_with("22") => Self::Corrupt(what),
                _ => Self::Unavailable(what),
            },
            // The driver's own words tell of a pool, and not of what keeps it empty.
            sqlx::Error::PoolTimedOut => Self::Unavailable(
                "no connection in time: nothing answers there, or all connections are in use".to_owned(),
            ),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(what),
            _ => Self::Unavailable(what),
        }
    }
}

/// What the store keeps of a decision: as it was answered, word for word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredDecision(pub serde_json::Value);

impl StoredDecision {
    /// The rule that decided.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0.get("reason").and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}

/// What an event finds.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// Facts of its conversation.
    pub conversation: &'a Conversation,
    /// Incidents that are not closed.
    pub incidents: &'a [Incident],
    /// Who answers at its shop.
    pub desk: &'a Desk,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Facts after it.
    pub conversation: Conversation,
    /// What was decided.
    pub decision: StoredDecision,
    /// When the conversation's next timer is due.
    pub due_at: Option<Timestamp>,
    /// What is to be pushed.
    pub outgoing: Vec<Outgoing>,
    /// Waits that began or ended.
    pub rounds: Vec<Round>,
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

/// Decides an event. Called again when the transaction has to be tried again, so it must be a function of its argument.
pub type Decide = Arc<dyn Fn(&Before<'_>) -> Outcome + Send + Sync>;

/// A future that a store returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The store's interface; one transaction a call. Every error means that nothing of the call was stored, or, when the
/// connection broke during the commit, that trying again finds what was.
pub trait Store: Send + Sync {
    /// Stores an event with its decision, once: a redelivered event gets the stored decision, and `decide` is not called.
    fn record(&self, event: Arc<InboundEvent>, now: Timestamp, decide: Decide) -> Answer<'_, Recorded>;

    /// Conversations with a timer that is due, of one shop or all, longest overdue first.
    fn due<'a>(&'a self, shop: Option<&'a str>, now: Timestamp, limit: u32) -> Answer<'a, Vec<Due>>;

    /// One conversation.
    fn conversation<'a>(&'a self, key: &'a ConversationKey) -> Answer<'a, Option<StoredConversation>>;

    /// Conversations, last changed first, or longest in the queue first.
    fn conversations<'a>(&'a self, filter: &'a ConversationFilter) -> Answer<'a, Vec<StoredConversation>>;

    /// Events of a conversation in their order, from number `from` on; none of an erased customer.
    fn history<'a>(&'a self, key: &'a ConversationKey, from: u64, limit: u32) -> Answer<'a, Vec<StoredEvent>>;

    /// Adds an agent, or changes the one of this shop and id.
    fn put_agent<'a>(&'a self, agent: &'a Agent) -> Answer<'a, ()>;

    /// Takes an agent off the desk; whether there was one.
    fn remove_agent<'a>(&'a self, shop: &'a str, id: &'a str) -> Answer<'a, bool>;

    /// A shop's agents with their loads, and its queue.
    fn desk<'a>(&'a self, shop: &'a str) -> Answer<'a, Desk>;

    /// Opens an incident, or replaces the one of the same id; its pushes go out with it.
    fn put_incident<'a>(&'a self, incident: &'a Incident, outgoing: &'a [Outgoing], now: Timestamp) -> Answer<'a, ()>;

    /// Closes an incident that is open; its pushes go out with it. Whether it was open.
    fn close_incident<'a>(&'a self, id: &'a str, outgoing: &'a [Outgoing], now: Timestamp) -> Answer<'a, bool>;

    /// Incidents by id; closed ones only with `all`.
    fn incidents(&self, all: bool) -> Answer<'_, Vec<Incident>>;

    /// Conversations that were told of an incident, in the order of their keys.
    fn told<'a>(&'a self, incident: &'a str) -> Answer<'a, Vec<Told>>;

    /// Takes pushes that are due, in order within a conversation, and keeps others from taking them until their lease ends. Those
    /// of `busy` endpoints stay.
    fn claim<'a>(&'a self, now: Timestamp, leases: Leases, limit: u32, busy: &'a [&'a str]) -> Answer<'a, Vec<Push>>;

    /// What became of pushes that were claimed, by their ids.
    fn settle<'a>(&'a self, settled: &'a [(String, Settled)], now: Timestamp) -> Answer<'a, ()>;

    /// Makes dead letters of pushes of an endpoint that had been taken, and did not arrive after all; how many there were.
    fn lose<'a>(&'a self, endpoint: &'a str, lost: &'a [Lost], now: Timestamp) -> Answer<'a, u64>;

    /// Pushes in this state, newest first, older than number `before`.
    fn pushes(&self, state: PushState, before: Option<i64>, limit: u32) -> Answer<'_, Vec<PushRow>>;

    /// Sends dead pushes again: this one, or all of an endpoint, or all. How many.
    fn replay<'a>(&'a self, id: Option<&'a str>, endpoint: Option<&'a str>, now: Timestamp) -> Answer<'a, u64>;

    /// Switches an endpoint off, with the reason, or on again; pushes that wait for one that is off become dead letters.
    fn switch_endpoint<'a>(&'a self, name: &'a str, off: Option<&'a str>, now: Timestamp) -> Answer<'a, ()>;

    /// Endpoints that are switched off.
    fn disabled_endpoints(&self) -> Answer<'_, Vec<EndpointState>>;

    /// Waits of a shop that began in `from..until`, in their order.
    fn rounds<'a>(&'a self, shop: &'a str, from: Timestamp, until: Timestamp) -> Answer<'a, Vec<StoredRound>>;

    /// How many events of a shop, received in `from..until`, were decided by which rule; by the rules' names.
    fn reasons<'a>(&'a self, shop: &'a str, from: Timestamp, until: Timestamp) -> Answer<'a, BTreeMap<String, u64>>;

    /// Erases what is known of a customer. Message ids stay, without content: a redelivery stays a redelivery.
    fn erase<'a>(&'a self, channel: &'a str, shop: &'a str, customer_id: &'a str) -> Answer<'a, Erased>;

    /// Deletes what a shop's conversations said before `before`, and conversations not touched since; how many events.
    fn purge<'a>(&'a self, shop: &'a str, before: Timestamp) -> Answer<'a, u64>;

    /// Marks the digest of a shop's day as made, with its pushes; false when it was already.
    fn mark_digest<'a>(
        &'a self,
        shop: &'a str,
        day: Date,
        outgoing: &'a [Outgoing],
        now: Timestamp,
    ) -> Answer<'a, bool>;

    /// What a channel account remembers, by name.
    fn account_state<'a>(&'a self, account: &'a str) -> Answer<'a, BTreeMap<String, String>>;

    /// Has a channel account remember `to` under a name, if it remembers `from` there now, or nothing where `from` is
    /// none. Whether it did.
    fn swap_account_state<'a>(
        &'a self,
        account: &'a str,
        name: &'a str,
        from: Option<&'a str>,
        to: &'a str,
    ) -> Answer<'a, bool>;

    /// Shops that have conversations.
    fn shops(&self) -> Answer<'_, Vec<String>>;

    /// Whether the store can be written.
    fn ping(&self) -> Answer<'_, ()>;
}
