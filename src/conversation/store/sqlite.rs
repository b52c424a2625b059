//! The embedded store: one SQLite file, one writer, every commit on disk before it is acknowledged.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Row, Sqlite, Transaction};

use super::{Answer, Decide, Recorded, Store, StoreError, StoredDecision};
use crate::conversation::event::InboundEvent;
use crate::conversation::incident::Incident;
use crate::conversation::model::Conversation;

/// How long a writer waits for another process before it gives up.
const BUSY: Duration = Duration::from_secs(5);

/// Conversations in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// SQLite has one writer at a time: waiting here is cheaper than inside it.
    writer: SqlitePool,
}

impl SqliteStore {
    /// Opens or makes the file and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            // A full disk ends a transaction behind the driver's back; such a connection is of no more use.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await?;
        sqlx::migrate!("src/conversation/store/migrations/sqlite").run(&writer).await?;
        Ok(Self { writer })
    }

    async fn record_event(
        &self,
        event: &InboundEvent,
        now: Timestamp,
        decide: Decide<'_>,
    ) -> Result<Recorded, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if let Some((identity, decision)) = stored(&mut transaction, event).await? {
            transaction.rollback().await?;
            let same = identity == event.identity();
            return Ok(if same { Recorded::Duplicate(serde_json::from_str(&decision)?) } else { Recorded::Conflict });
        }
        let mut conversation = conversation(&mut transaction, event).await?;
        conversation.returning = is_returning(&mut transaction, event).await?;
        let outcome = decide(&conversation, &incidents(&mut transaction).await?);
        insert(&mut transaction, event, now, &outcome.decision).await?;
        update(&mut transaction, event, now, &outcome.conversation).await?;
        transaction.commit().await?;
        Ok(Recorded::New(outcome.decision))
    }
}

impl Store for SqliteStore {
    fn record<'a>(&'a self, event: &'a InboundEvent, now: Timestamp, decide: Decide<'a>) -> Answer<'a, Recorded> {
        Box::pin(self.record_event(event, now, decide))
    }

    fn put_incident<'a>(&'a self, incident: &'a Incident) -> Answer<'a, ()> {
        Box::pin(async move {
            sqlx::query("INSERT INTO incidents (id, incident) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET incident = excluded.incident")
                .bind(&incident.id)
                .bind(serde_json::to_string(incident)?)
                .execute(&self.writer)
                .await?;
            Ok(())
        })
    }

    fn close_incident<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            let done = sqlx::query("DELETE FROM incidents WHERE id = ?").bind(id).execute(&self.writer).await?;
            Ok(done.rows_affected() > 0)
        })
    }

    fn incidents(&self) -> Answer<'_, Vec<Incident>> {
        Box::pin(async move {
            let mut transaction = self.writer.begin().await?;
            incidents(&mut transaction).await
        })
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.writer.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
            Ok(())
        })
    }
}

type Writing<'a> = Transaction<'a, Sqlite>;

async fn stored(transaction: &mut Writing<'_>, event: &InboundEvent) -> Result<Option<(String, String)>, StoreError> {
    let row = sqlx::query("SELECT identity, decision FROM events WHERE channel = ? AND shop = ? AND message_id = ?")
        .bind(event.channel.as_str())
        .bind(event.shop.as_str())
        .bind(event.message_id.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?)
}

async fn conversation(transaction: &mut Writing<'_>, event: &InboundEvent) -> Result<Conversation, StoreError> {
    let row = sqlx::query("SELECT facts FROM conversations WHERE channel = ? AND shop = ? AND id = ?")
        .bind(event.channel.as_str())
        .bind(event.shop.as_str())
        .bind(event.conversation_id.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    match row {
        Some(row) => Ok(serde_json::from_str(row.try_get(0)?)?),
        None => Ok(Conversation::default()),
    }
}

async fn is_returning(transaction: &mut Writing<'_>, event: &InboundEvent) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT 1 FROM conversations WHERE channel = ? AND shop = ? AND customer_id = ? AND id <> ? LIMIT 1",
    )
    .bind(event.channel.as_str())
    .bind(event.shop.as_str())
    .bind(event.customer_id.as_str())
    .bind(event.conversation_id.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(row.is_some())
}

async fn incidents(transaction: &mut Writing<'_>) -> Result<Vec<Incident>, StoreError> {
    let rows = sqlx::query("SELECT incident FROM incidents ORDER BY id").fetch_all(&mut **transaction).await?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.try_get(0)?)?)).collect()
}

async fn insert(
    transaction: &mut Writing<'_>,
    event: &InboundEvent,
    now: Timestamp,
    decision: &StoredDecision,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO events (channel, shop, message_id, conversation_id, customer_id, received_at, identity, event, decision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(event.channel.as_str())
    .bind(event.shop.as_str())
    .bind(event.message_id.as_str())
    .bind(event.conversation_id.as_str())
    .bind(event.customer_id.as_str())
    .bind(now.as_millisecond())
    .bind(event.identity())
    .bind(serde_json::to_string(event)?)
    .bind(serde_json::to_string(decision)?)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn update(
    transaction: &mut Writing<'_>,
    event: &InboundEvent,
    now: Timestamp,
    facts: &Conversation,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO conversations (channel, shop, id, customer_id, facts, updated_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (channel, shop, id) DO UPDATE SET facts = excluded.facts, updated_at = excluded.updated_at",
    )
    .bind(event.channel.as_str())
    .bind(event.shop.as_str())
    .bind(event.conversation_id.as_str())
    .bind(event.customer_id.as_str())
    .bind(serde_json::to_string(facts)?)
    .bind(now.as_millisecond())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
