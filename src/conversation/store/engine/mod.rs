//! The store over one engine. Compiled once for each: `super` says which engine, how a transaction begins, and how rows
//! are locked.

mod accounts;
mod conversations;
mod desk;
mod forget;
mod outbox;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::query::Query;
use sqlx::query_builder::QueryBuilder;
use sqlx::{Database, Pool};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Db, LANES, LOCK, LOCKS_ROWS, SKIP_LOCKED, begin};
use crate::conversation::desk::{Agent, Desk};
use crate::conversation::event::{ConversationKey, InboundEvent};
use crate::conversation::incident::Incident;
use crate::conversation::outgoing::{Outgoing, PushState};
use crate::conversation::store::batch::Arrival;
use crate::conversation::store::{
    Answer, ConversationFilter, Decide, Due, EndpointState, Erased, Leases, Lost, Push, PushRow, Recorded, Settled,
    Store, StoreError, StoredConversation, StoredEvent, StoredRound, Told,
};

type Arguments = <Db as Database>::Arguments;
type Transaction = sqlx::Transaction<'static, Db>;

/// Most events that share a commit.
const BATCH: usize = 128;

/// Events that may wait for a commit; more are refused, for they would wait longer than their senders do.
const WAITING: usize = 4_096;

/// How long a call may take, whatever the database does.
const PATIENCE: Duration = Duration::from_secs(8);

/// The store over this engine.
#[derive(Debug, Clone)]
pub struct EngineStore {
    pub(super) writer: Pool<Db>,
    reader: Pool<Db>,
    /// Events of a conversation always take the same lane: that keeps their order.
    lanes: Vec<mpsc::Sender<Queued>>,
    /// What the engine wants done meanwhile; ends with the last clone.
    _tasks: Arc<JoinSet<()>>,
}

/// An event in a lane, and where its answer goes.
struct Queued {
    arrival: Arrival,
    answer: oneshot::Sender<Result<Recorded, StoreError>>,
}

impl EngineStore {
    /// A store over these pools; its lanes and the tasks run until the last clone is dropped.
    pub(super) fn over(writer: Pool<Db>, reader: Pool<Db>, tasks: JoinSet<()>) -> Self {
        let lane = |_| {
            let (sender, queue) = mpsc::channel(WAITING);
            tokio::spawn(run_lane(queue, writer.clone()));
            sender
        };
        Self { lanes: (0..LANES).map(lane).collect(), writer, reader, _tasks: Arc::new(tasks) }
    }

    async fn record(&self, event: Arc<InboundEvent>, now: Timestamp, decide: Decide) -> Result<Recorded, StoreError> {
        use std::hash::BuildHasher;
        let hash = rustc_hash::FxBuildHasher.hash_one(event.conversation());
        let lane = usize::try_from(hash % LANES as u64).ok().and_then(|lane| self.lanes.get(lane));
        let lane = lane.ok_or_else(|| unavailable("no lane"))?;
        let (answer, answered) = oneshot::channel();
        let queued = Queued { arrival: Arrival { event, now, decide }, answer };
        lane.try_send(queued).map_err(|_| unavailable("too many messages wait for it"))?;
        answered.await.map_err(|_| unavailable("it was closed"))?
    }

    async fn writing(&self) -> Result<Transaction, StoreError> {
        begin(&self.writer).await
    }
}

/// A call that ends in time, whatever the database does.
fn patient<'a, T: 'a>(call: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(async move {
        let outcome = tokio::time::timeout(PATIENCE, call).await;
        outcome.unwrap_or_else(|_| Err(unavailable("the database does not answer in time")))
    })
}

fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}

/// Records what waits, together; what came meanwhile is the next batch.
async fn run_lane(mut queue: mpsc::Receiver<Queued>, pool: Pool<Db>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut waiting, BATCH).await > 0 {
        // Nobody waits for these any more: their senders were told so, and will send again.
        waiting.retain(|queued| !queued.answer.is_closed());
        let batch: Vec<Queued> = std::mem::take(&mut waiting);
        commit(&pool, batch).await;
    }
}

async fn commit(pool: &Pool<Db>, batch: Vec<Queued>) {
    metrics::histogram!("yingda_commit_messages").record(batch.len() as f64);
    let arrivals: Vec<&Arrival> = batch.iter().map(|queued| &queued.arrival).collect();
    let outcome = attempt(pool, &arrivals).await;
    let alone = batch.len() > 1 && matches!(outcome, Err(StoreError::Corrupt(_) | StoreError::Decision(_)));
    let outcomes: Vec<Result<Recorded, StoreError>> = match outcome {
        Ok(recorded) => recorded.into_iter().map(Ok).collect(),
        // One of them cannot be stored: it must not take the others with it.
        Err(_) if alone => {
            let mut outcomes = Vec::with_capacity(arrivals.len());
            for arrival in &arrivals {
                let outcome = attempt(pool, &[arrival]).await;
                outcomes.push(outcome.and_then(|mut one| one.pop().ok_or_else(|| unavailable("no answer"))));
            }
            outcomes
        }
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    };
    for (queued, outcome) in batch.into_iter().zip(outcomes) {
        // A sender that has gone finds the decision when it sends again.
        drop(queued.answer.send(outcome));
    }
}

/// Times a transaction is tried when another one was quicker.
const TRIES: u32 = 5;

async fn attempt(pool: &Pool<Db>, arrivals: &[&Arrival]) -> Result<Vec<Recorded>, StoreError> {
    again(|| patient(record::record(pool, arrivals))).await
}

/// Tries again what another transaction has thwarted.
async fn again<T, F: Future<Output = Result<T, StoreError>>>(mut call: impl FnMut() -> F) -> Result<T, StoreError> {
    let mut tries = 1;
    loop {
        match call().await {
            Err(StoreError::Contended(_)) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// Rows a statement takes, in portions of powers of two: there are few statements then, and all stay prepared.
fn portions<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let most = rest.len().min(64);
        let size = if most == 0 { return None } else { 1 << most.ilog2() };
        let (portion, left) = rest.split_at(size);
        rest = left;
        Some(portion)
    })
}

/// `(VALUES ...) AS k` with columns `column1`, `column2` ... of texts.
fn push_keys<'r, const N: usize>(builder: &mut QueryBuilder<Db>, keys: impl Iterator<Item = [&'r str; N]>) {
    builder.push("(");
    builder.push_values(keys, |mut row, key| {
        for part in key {
            row.push_bind(part.to_owned());
        }
    });
    builder.push(") AS k");
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn timestamp(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn optional(millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    millis.map(timestamp).transpose()
}

/// The three parts of a key, bound one after another.
fn bind_key<'q>(query: Query<'q, Db, Arguments>, key: &'q ConversationKey) -> Query<'q, Db, Arguments> {
    query.bind(key.channel.as_str()).bind(key.shop.as_str()).bind(key.conversation_id.as_str())
}

impl Store for EngineStore {
    fn record(&self, event: Arc<InboundEvent>, now: Timestamp, decide: Decide) -> Answer<'_, Recorded> {
        Box::pin(self.record(event, now, decide))
    }

    fn due<'a>(&'a self, shop: Option<&'a str>, now: Timestamp, limit: u32) -> Answer<'a, Vec<Due>> {
        patient(self.due(shop, now, limit))
    }

    fn conversation<'a>(&'a self, key: &'a ConversationKey) -> Answer<'a, Option<StoredConversation>> {
        patient(self.conversation(key))
    }

    fn conversations<'a>(&'a self, filter: &'a ConversationFilter) -> Answer<'a, Vec<StoredConversation>> {
        patient(self.conversations(filter))
    }

    fn history<'a>(&'a self, key: &'a ConversationKey, from: u64, limit: u32) -> Answer<'a, Vec<StoredEvent>> {
        patient(self.history(key, from, limit))
    }

    fn put_agent<'a>(&'a self, agent: &'a Agent) -> Answer<'a, ()> {
        patient(self.put_agent(agent))
    }

    fn remove_agent<'a>(&'a self, shop: &'a str, id: &'a str) -> Answer<'a, bool> {
        patient(self.remove_agent(shop, id))
    }

    fn desk<'a>(&'a self, shop: &'a str) -> Answer<'a, Desk> {
        patient(self.desk(shop))
    }

    fn put_incident<'a>(&'a self, incident: &'a Incident, outgoing: &'a [Outgoing], now: Timestamp) -> Answer<'a, ()> {
        patient(self.put_incident(incident, outgoing, now))
    }

    fn close_incident<'a>(&'a self, id: &'a str, outgoing: &'a [Outgoing], now: Timestamp) -> Answer<'a, bool> {
        patient(self.close_incident(id, outgoing, now))
    }

    fn incidents(&self, all: bool) -> Answer<'_, Vec<Incident>> {
        patient(self.incidents(all))
    }

    fn told<'a>(&'a self, incident: &'a str) -> Answer<'a, Vec<Told>> {
        patient(self.told(incident))
    }

    fn claim<'a>(&'a self, now: Timestamp, leases: Leases, limit: u32, busy: &'a [&'a str]) -> Answer<'a, Vec<Push>> {
        patient(self.claim(now, leases, limit, busy))
    }

    fn settle<'a>(&'a self, settled: &'a [(String, Settled)], now: Timestamp) -> Answer<'a, ()> {
        patient(self.settle(settled, now))
    }

    fn lose<'a>(&'a self, endpoint: &'a str, lost: &'a [Lost], now: Timestamp) -> Answer<'a, u64> {
        patient(self.lose(endpoint, lost, now))
    }

    fn pushes(&self, state: PushState, before: Option<i64>, limit: u32) -> Answer<'_, Vec<PushRow>> {
        patient(self.pushes(state, before, limit))
    }

    fn replay<'a>(&'a self, id: Option<&'a str>, endpoint: Option<&'a str>, now: Timestamp) -> Answer<'a, u64> {
        patient(self.replay(id, endpoint, now))
    }

    fn switch_endpoint<'a>(&'a self, name: &'a str, off: Option<&'a str>, now: Timestamp) -> Answer<'a, ()> {
        patient(self.switch_endpoint(name, off, now))
    }

    fn disabled_endpoints(&self) -> Answer<'_, Vec<EndpointState>> {
        patient(self.disabled_endpoints())
    }

    fn rounds<'a>(&'a self, shop: &'a str, from: Timestamp, until: Timestamp) -> Answer<'a, Vec<StoredRound>> {
        patient(self.rounds(shop, from, until))
    }

    fn reasons<'a>(&'a self, shop: &'a str, from: Timestamp, until: Timestamp) -> Answer<'a, BTreeMap<String, u64>> {
        patient(self.reasons(shop, from, until))
    }

    fn erase<'a>(&'a self, channel: &'a str, shop: &'a str, customer_id: &'a str) -> Answer<'a, Erased> {
        patient(again(move || self.erase(channel, shop, customer_id)))
    }

    fn purge<'a>(&'a self, shop: &'a str, before: Timestamp) -> Answer<'a, u64> {
        Box::pin(self.purge(shop, before))
    }

    fn mark_digest<'a>(
        &'a self,
        shop: &'a str,
        day: Date,
        outgoing: &'a [Outgoing],
        now: Timestamp,
    ) -> Answer<'a, bool> {
        patient(self.mark_digest(shop, day, outgoing, now))
    }

    fn account_state<'a>(&'a self, account: &'a str) -> Answer<'a, BTreeMap<String, String>> {
        patient(self.account_state(account))
    }

    fn swap_account_state<'a>(
        &'a self,
        account: &'a str,
        name: &'a str,
        from: Option<&'a str>,
        to: &'a str,
    ) -> Answer<'a, bool> {
        patient(self.swap_account_state(account, name, from, to))
    }

    fn shops(&self) -> Answer<'_, Vec<String>> {
        patient(self.shops())
    }

    fn ping(&self) -> Answer<'_, ()> {
        patient(async move { Ok(self.writing().await?.rollback().await?) })
    }
}
