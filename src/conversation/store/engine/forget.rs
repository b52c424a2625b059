//! What is forgotten: a customer who is erased, and what is older than a shop keeps.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;

use super::{EngineStore, LOCK, Transaction, millis, patient};
use crate::conversation::inbound::RESERVED;
use crate::conversation::model::Conversation;
use crate::conversation::store::{Erased, StoreError};

/// What stands in for an event whose customer was erased.
const ERASED: &str = r#"{"erased":true}"#;

/// What stands in for its decision: a redelivery gets nothing to send.
const ERASED_DECISION: &str = r#"{"action":"silent","replies":[],"erased":true}"#;

/// Rows of a table that one transaction of a purge deletes: writers wait no longer than that.
const PURGED_AT_ONCE: i64 = 500;

/// What one transaction of a purge deletes of a shop (`$1`) that is older than `$2`, at most `$3` rows of each table.
/// Conversations go before their last events, by which they are found.
const PURGES: [&str; 6] = [
    "DELETE FROM conversations WHERE (channel, shop, id) IN
     (SELECT channel, shop, conversation_id FROM events WHERE shop = $1 AND received_at < $2
      ORDER BY received_at, message_id LIMIT $3) AND updated_at < $2",
    "DELETE FROM events WHERE (channel, shop, message_id) IN
     (SELECT channel, shop, message_id FROM events WHERE shop = $1 AND received_at < $2
      ORDER BY received_at, message_id LIMIT $3)",
    "DELETE FROM rounds WHERE (shop, started_at, channel, conversation_id, clock) IN
     (SELECT shop, started_at, channel, conversation_id, clock FROM rounds WHERE shop = $1 AND started_at < $2 LIMIT $3)",
    "DELETE FROM writers WHERE (channel, shop, customer_id, conversation_id) IN
     (SELECT channel, shop, customer_id, conversation_id FROM writers WHERE shop = $1 AND at < $2 LIMIT $3)",
    "DELETE FROM told WHERE (incident, channel, shop, conversation_id) IN
     (SELECT incident, channel, shop, conversation_id FROM told WHERE shop = $1 AND at < $2 LIMIT $3)",
    "DELETE FROM outbox WHERE seq IN
     (SELECT seq FROM outbox WHERE shop = $1 AND created_at < $2 AND state <> 'pending' LIMIT $3)",
];

impl EngineStore {
    /// One try of an erasure; `Contended` when another transaction was in its way.
    pub(super) async fn erase(&self, channel: &str, shop: &str, customer_id: &str) -> Result<Erased, StoreError> {
        let mut transaction = self.writing().await?;
        let mine = "channel = $1 AND shop = $2 AND";
        // A conversation belongs to who began it; others may have written in it.
        let own = format!("SELECT id FROM conversations WHERE {mine} customer_id = $3");
        let written = format!("SELECT conversation_id FROM writers WHERE {mine} customer_id = $3");
        let touched = format!("IN ({own} UNION {written})");
        let conversations = self.lock_and_clear(&mut transaction, &touched, [channel, shop, customer_id]).await?;
        let [timer, desk] = RESERVED;
        let begins = |prefix: &str| format!("substr(message_id, 1, {}) = '{prefix}'", prefix.len());
        // Pushes of what this customer wrote in conversations with others, and of timers, which may hold it: they say so.
        let named = format!("\"customer_id\":{}", serde_json::to_string(customer_id)?);
        let sql = format!(
            "DELETE FROM outbox WHERE {mine} (conversation_id IN ({own})
             OR conversation_id IN ({written}) AND replace(replace(body, $4, ''), $5, '') <> body)"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(channel).bind(shop).bind(customer_id);
        let query = query.bind(named).bind(format!("\"message_id\":\"{timer}"));
        let pushes = query.execute(&mut *transaction).await?.rows_affected();
        let mut counts = [0_u64; 6];
        for (count, sql) in counts.iter_mut().zip([
            // A wait begins with a message: by its moment the row is found.
            format!(
                "DELETE FROM rounds WHERE (shop, started_at, channel, conversation_id) IN (SELECT shop, received_at, channel,
                 conversation_id FROM events WHERE {mine} conversation_id {touched} AND customer_id = $3)"
            ),
            format!("DELETE FROM told WHERE {mine} customer_id = $3"),
            // Nobody sends again what the service made itself; a timer holds what any of its conversation wrote.
            format!(
                "DELETE FROM events WHERE {mine} conversation_id {touched}
                 AND ({} OR customer_id = $3 AND {})",
                begins(timer),
                begins(desk)
            ),
            format!(
                "UPDATE events SET event = '{ERASED}', decision = '{ERASED_DECISION}', identity = '', customer_id = ''
                 WHERE {mine} conversation_id {touched} AND customer_id = $3"
            ),
            format!("DELETE FROM conversations WHERE {mine} customer_id = $3"),
            format!("DELETE FROM writers WHERE {mine} customer_id = $3"),
        ]) {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(channel).bind(shop).bind(customer_id);
            *count = query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        let [_, _, _, events, _, _] = counts;
        Ok(Erased { conversations, events, pushes })
    }

    /// Locks the conversations, as who records in them does first of all, and takes what was said out of the facts of those that
    /// others began; how many they are.
    async fn lock_and_clear(
        &self,
        transaction: &mut Transaction,
        touched: &str,
        writer: [&str; 3],
    ) -> Result<u64, StoreError> {
        let select = format!(
            "SELECT c.id, c.facts, c.customer_id FROM conversations c
             WHERE c.channel = $1 AND c.shop = $2 AND c.id {touched}{LOCK}"
        );
        let [channel, shop, customer_id] = writer;
        let select = sqlx::query(sqlx::AssertSqlSafe(select)).bind(channel).bind(shop).bind(customer_id);
        let rows = select.fetch_all(&mut **transaction).await?;
        let heirs = heirs(transaction, writer).await?;
        for row in &rows {
            let (id, owner): (&str, &str) = (row.try_get(0)?, row.try_get(2)?);
            let owner = match heirs.get(id) {
                Some(heir) if owner == customer_id => heir,
                None if owner == customer_id => continue,
                _ => owner,
            };
            let facts: Conversation = serde_json::from_str(row.try_get(1)?)?;
            let facts = serde_json::to_string(&facts.without_words())?;
            let update =
                "UPDATE conversations SET facts = $1, customer_id = $2 WHERE channel = $3 AND shop = $4 AND id = $5";
            let update = sqlx::query(update).bind(facts).bind(owner).bind(channel).bind(shop).bind(id);
            update.execute(&mut **transaction).await?;
        }
        // What passed on was written in by this customer as well: so the statements that follow find it.
        for id in heirs.keys() {
            let insert = "INSERT INTO writers VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert).bind(channel).bind(shop).bind(customer_id).bind(id);
            insert.execute(&mut **transaction).await?;
        }
        Ok(rows.len() as u64)
    }

    /// Deletes in portions what is older; how many events went.
    pub(super) async fn purge(&self, shop: &str, before: Timestamp) -> Result<u64, StoreError> {
        let mut events = 0;
        loop {
            let [conversations, gone, rest @ ..] = patient(self.purge_portion(shop, before)).await?;
            events += gone;
            if conversations + gone + rest.iter().sum::<u64>() == 0 {
                return Ok(events);
            }
        }
    }

    async fn purge_portion(&self, shop: &str, before: Timestamp) -> Result<[u64; PURGES.len()], StoreError> {
        let mut transaction = self.writing().await?;
        let mut deleted = [0; PURGES.len()];
        for (deleted, sql) in deleted.iter_mut().zip(PURGES) {
            let query = sqlx::query(sql).bind(shop).bind(millis(before)).bind(PURGED_AT_ONCE);
            *deleted = query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(deleted)
    }
}

/// Conversations that a customer began and others wrote in, each with one of those.
async fn heirs(transaction: &mut Transaction, owner: [&str; 3]) -> Result<BTreeMap<String, String>, StoreError> {
    let sql = "SELECT conversation_id, min(customer_id) FROM writers WHERE channel = $1 AND shop = $2 AND customer_id <> $3
               AND conversation_id IN (SELECT id FROM conversations WHERE channel = $1 AND shop = $2 AND customer_id = $3)
               GROUP BY conversation_id";
    let [channel, shop, customer_id] = owner;
    let rows = sqlx::query(sql).bind(channel).bind(shop).bind(customer_id).fetch_all(&mut **transaction).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
