//! Conversations as they are listed, told, exported, erased and forgotten.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::query_builder::QueryBuilder;

use super::{Db, EngineStore, HOUR, bind_key, millis, optional, patient, timestamp};
use crate::conversation::clock::{Clock, Round};
use crate::conversation::event::ConversationKey;
use crate::conversation::store::{
    ConversationFilter, Due, Erased, StoreError, StoredConversation, StoredEvent, StoredRound,
};

type DbRow = <Db as sqlx::Database>::Row;

/// What stands in for an event whose customer was erased.
const ERASED: &str = r#"{"erased":true}"#;

/// What stands in for its decision: a redelivery gets nothing to send.
const ERASED_DECISION: &str = r#"{"action":"silent","replies":[],"erased":true}"#;

/// Rows that one transaction of a purge deletes: writers wait no longer than that.
const PURGED_AT_ONCE: i64 = 500;

const COLUMNS: &str = "SELECT channel, shop, id, customer_id, facts, updated_at, due_at FROM conversations";

impl EngineStore {
    pub(super) async fn due(&self, shop: Option<&str>, now: Timestamp, limit: u32) -> Result<Vec<Due>, StoreError> {
        let mut select = QueryBuilder::<Db>::new(
            "SELECT channel, shop, id, customer_id, facts, due_at FROM conversations WHERE due_at <= ",
        );
        select.push_bind(millis(now));
        if let Some(shop) = shop {
            select.push(" AND shop = ").push_bind(shop.to_owned());
        }
        select.push(" ORDER BY due_at LIMIT ").push_bind(i64::from(limit));
        let rows = select.build().fetch_all(&self.reader).await?;
        let read = rows.iter().filter_map(|row| {
            // One that cannot be read must not keep the others waiting.
            due(row).inspect_err(|error| tracing::error!(%error, "a conversation's timer cannot be fired")).ok()
        });
        Ok(read.collect())
    }

    pub(super) async fn conversation(&self, key: &ConversationKey) -> Result<Option<StoredConversation>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE channel = $1 AND shop = $2 AND id = $3"));
        let row = bind_key(sqlx::query(sql), key).fetch_optional(&self.reader).await?;
        row.as_ref().map(stored).transpose()
    }

    pub(super) async fn conversations(
        &self,
        filter: &ConversationFilter,
    ) -> Result<Vec<StoredConversation>, StoreError> {
        let mut select = QueryBuilder::<Db>::new(COLUMNS);
        let before = filter.before.map_or(i64::MAX, millis);
        select.push(" WHERE active_hour <= ").push_bind(before / HOUR).push(" AND updated_at < ").push_bind(before);
        for (column, value) in [
            (" AND shop = ", &filter.shop),
            (" AND phase = ", &filter.phase),
            (" AND customer_id = ", &filter.customer_id),
        ] {
            if let Some(value) = value {
                select.push(column).push_bind(value.clone());
            }
        }
        select.push(match filter.by_wait {
            true => " AND queued_at IS NOT NULL ORDER BY queued_at LIMIT ",
            false => " ORDER BY active_hour DESC, updated_at DESC LIMIT ",
        });
        select.push_bind(i64::from(filter.limit));
        select.build().fetch_all(&self.reader).await?.iter().map(stored).collect()
    }

    pub(super) async fn history(
        &self,
        key: &ConversationKey,
        from: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = "SELECT seq, received_at, event, decision FROM events
                   WHERE channel = $1 AND shop = $2 AND conversation_id = $3 AND seq >= $4 AND customer_id <> ''
                   ORDER BY seq, received_at LIMIT $5";
        let query =
            bind_key(sqlx::query(sql), key).bind(i64::try_from(from).unwrap_or(i64::MAX)).bind(i64::from(limit));
        let rows = query.fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                Ok(StoredEvent {
                    seq: u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default(),
                    received_at: timestamp(row.try_get(1)?)?,
                    event: serde_json::from_str(row.try_get(2)?)?,
                    decision: serde_json::from_str(row.try_get(3)?)?,
                })
            })
            .collect()
    }

    pub(super) async fn rounds(
        &self,
        shop: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<StoredRound>, StoreError> {
        let sql = "SELECT r.channel, r.shop, r.conversation_id, r.clock, r.started_at, r.replied_at, c.phase
                   FROM rounds r LEFT JOIN conversations c
                   ON c.channel = r.channel AND c.shop = r.shop AND c.id = r.conversation_id
                   WHERE r.shop = $1 AND r.started_at >= $2 AND r.started_at < $3 ORDER BY r.started_at";
        let query = sqlx::query(sql).bind(shop).bind(millis(from)).bind(millis(until));
        query.fetch_all(&self.reader).await?.iter().map(round).collect()
    }

    pub(super) async fn reasons(
        &self,
        shop: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let sql = "SELECT reason, count(*) FROM events WHERE shop = $1 AND received_at >= $2 AND received_at < $3
                   GROUP BY reason";
        let query = sqlx::query(sql).bind(shop).bind(millis(from)).bind(millis(until));
        let rows = query.fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default())))
            .collect()
    }

    pub(super) async fn erase(&self, channel: &str, shop: &str, customer_id: &str) -> Result<Erased, StoreError> {
        let mut transaction = self.writing().await?;
        let mine = "channel = $1 AND shop = $2 AND";
        // A conversation belongs to who began it; what others wrote in it may stand in its facts and pushes too.
        let of_customer = "IN (SELECT id FROM conversations WHERE channel = $1 AND shop = $2 AND customer_id = $3
             UNION SELECT conversation_id FROM events WHERE channel = $1 AND shop = $2 AND customer_id = $3)";
        let mut counts = [0_u64; 6];
        for (count, sql) in counts.iter_mut().zip([
            format!("DELETE FROM outbox WHERE {mine} conversation_id {of_customer}"),
            format!("DELETE FROM rounds WHERE {mine} conversation_id {of_customer}"),
            format!("DELETE FROM told WHERE {mine} customer_id = $3"),
            format!("DELETE FROM conversations WHERE {mine} id {of_customer}"),
            // Nobody sends again what the service made itself.
            format!("DELETE FROM events WHERE {mine} customer_id = $3 AND (message_id LIKE 'timer-%' OR message_id LIKE 'desk-%')"),
            format!(
                "UPDATE events SET event = '{ERASED}', decision = '{ERASED_DECISION}', identity = '', customer_id = ''
                     WHERE {mine} customer_id = $3"
            ),
        ]) {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(channel).bind(shop).bind(customer_id);
            *count = query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        let [pushes, _, _, conversations, _, events] = counts;
        Ok(Erased { conversations, events, pushes })
    }

    pub(super) async fn purge(&self, shop: &str, before: Timestamp) -> Result<u64, StoreError> {
        let mut events = 0;
        loop {
            let (gone, deleted) = patient(self.purge_portion(shop, before)).await?;
            events += gone;
            if deleted == 0 {
                return Ok(events);
            }
        }
    }

    /// One transaction of a purge: how many events it deleted, and how many rows of all kinds.
    async fn purge_portion(&self, shop: &str, before: Timestamp) -> Result<(u64, u64), StoreError> {
        let mut transaction = self.writing().await?;
        let (mut events, mut deleted) = (0, 0);
        for (table, id, old) in [
            ("events", "channel, shop, message_id", "received_at < $2"),
            ("conversations", "channel, shop, id", "active_hour <= $2 / 3600000 AND updated_at < $2"),
            ("rounds", "channel, shop, conversation_id, clock, started_at", "started_at < $2"),
            ("told", "incident, channel, shop, conversation_id", "at < $2"),
            ("outbox", "seq", "created_at < $2 AND state <> 'pending'"),
        ] {
            let sql = format!(
                "DELETE FROM {table} WHERE ({id}) IN
                 (SELECT {id} FROM {table} WHERE shop = $1 AND {old} LIMIT $3)"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(shop).bind(millis(before)).bind(PURGED_AT_ONCE);
            let gone = query.execute(&mut *transaction).await?.rows_affected();
            deleted += gone;
            events += if table == "events" { gone } else { 0 };
        }
        transaction.commit().await?;
        Ok((events, deleted))
    }

    pub(super) async fn shops(&self) -> Result<Vec<String>, StoreError> {
        // From shop to shop through the index: reading all conversations for a few names would take long.
        let sql = "WITH RECURSIVE known (shop) AS (SELECT min(shop) FROM conversations UNION ALL
                   SELECT (SELECT min(shop) FROM conversations WHERE shop > known.shop) FROM known
                   WHERE known.shop IS NOT NULL)
                   SELECT shop FROM known WHERE shop IS NOT NULL";
        let rows = sqlx::query(sql).fetch_all(&self.reader).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

fn key(row: &DbRow) -> Result<ConversationKey, StoreError> {
    Ok(ConversationKey { channel: row.try_get(0)?, shop: row.try_get(1)?, conversation_id: row.try_get(2)? })
}

fn due(row: &DbRow) -> Result<Due, StoreError> {
    Ok(Due {
        key: key(row)?,
        customer_id: row.try_get(3)?,
        facts: serde_json::from_str(row.try_get(4)?)?,
        due_at: timestamp(row.try_get(5)?)?,
    })
}

fn stored(row: &DbRow) -> Result<StoredConversation, StoreError> {
    Ok(StoredConversation {
        key: key(row)?,
        customer_id: row.try_get(3)?,
        facts: serde_json::from_str(row.try_get(4)?)?,
        updated_at: timestamp(row.try_get(5)?)?,
        due_at: optional(row.try_get(6)?)?,
    })
}

fn round(row: &DbRow) -> Result<StoredRound, StoreError> {
    let clock = if row.try_get::<&str, _>(3)? == Clock::Any.name() { Clock::Any } else { Clock::Human };
    let (started_at, replied_at) = (timestamp(row.try_get(4)?)?, optional(row.try_get(5)?)?);
    let closed = row.try_get::<Option<&str>, _>(6)?.is_none_or(|phase| phase == "closed");
    Ok(StoredRound { key: key(row)?, round: Round { clock, started_at, replied_at }, closed })
}
