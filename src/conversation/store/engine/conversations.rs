//! Conversations as they are listed, told and exported.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::query_builder::QueryBuilder;

use super::{Db, EngineStore, bind_key, millis, optional, timestamp};
use crate::conversation::clock::{Clock, Round};
use crate::conversation::event::ConversationKey;
use crate::conversation::store::{ConversationFilter, Due, StoreError, StoredConversation, StoredEvent, StoredRound};

type DbRow = <Db as sqlx::Database>::Row;

/// Milliseconds until a timer that cannot be read is looked at again.
const POSTPONED: i64 = 3_600_000;

/// Most conversations that change in one millisecond and are listed together.
const AT_ONCE: u32 = 10_000;

const COLUMNS: &str = "SELECT c.channel, c.shop, c.id, c.customer_id, c.facts, c.updated_at, c.due_at";

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
        let mut read = Vec::with_capacity(rows.len());
        for row in &rows {
            match due(row) {
                Ok(due) => read.push(due),
                // A list changes nothing.
                Err(_) if shop.is_some() => {}
                Err(error) => self.postpone(&key(row)?, row.try_get(5)?, &error).await?,
            }
        }
        Ok(read)
    }

    /// A conversation whose facts cannot be read, perhaps because a newer version wrote them, must not keep the others waiting.
    async fn postpone(&self, key: &ConversationKey, due_at: i64, error: &StoreError) -> Result<(), StoreError> {
        tracing::error!(shop = key.shop, channel = key.channel, %error, "a conversation's timers wait for an hour");
        let sql = "UPDATE conversations SET due_at = due_at + $5 WHERE channel = $1 AND shop = $2 AND id = $3 AND due_at = $4";
        bind_key(sqlx::query(sql), key).bind(due_at).bind(POSTPONED).execute(&self.writer).await?;
        Ok(())
    }

    pub(super) async fn conversation(&self, key: &ConversationKey) -> Result<Option<StoredConversation>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{COLUMNS} FROM conversations c WHERE c.channel = $1 AND c.shop = $2 AND c.id = $3"
        ));
        let row = bind_key(sqlx::query(sql), key).fetch_optional(&self.reader).await?;
        row.as_ref().map(stored).transpose()
    }

    pub(super) async fn conversations(
        &self,
        filter: &ConversationFilter,
    ) -> Result<Vec<StoredConversation>, StoreError> {
        let shops = match &filter.shop {
            Some(shop) => vec![shop.clone()],
            None => self.shops().await?,
        };
        let mut found = Vec::new();
        for shop in shops {
            found.extend(self.of_shop(filter, &shop).await?);
        }
        match filter.by_wait {
            true => found.sort_by_key(|stored| stored.facts.phase.queued_since()),
            false => found.sort_by_key(|stored| std::cmp::Reverse(stored.updated_at)),
        }
        let last = found.get((filter.limit as usize).saturating_sub(1)).map(|last| last.updated_at);
        // A page goes on before its last moment: nothing of that moment may be left behind.
        let mut place = 0;
        found.retain(|stored| {
            place += 1;
            place <= filter.limit || !filter.by_wait && Some(stored.updated_at) == last
        });
        Ok(found)
    }

    /// A page of one shop, with all that changed in its last millisecond.
    async fn of_shop(&self, filter: &ConversationFilter, shop: &str) -> Result<Vec<StoredConversation>, StoreError> {
        let until = filter.before.map_or(i64::MAX, millis);
        let rows = select_of_shop(filter, shop, (0, until)).build().fetch_all(&self.reader).await?;
        let mut found: Vec<StoredConversation> = rows.iter().map(stored).collect::<Result<_, _>>()?;
        if let (Some(last), false) = (found.last(), filter.by_wait || found.len() < filter.limit as usize) {
            let last = last.updated_at;
            found.retain(|stored| stored.updated_at != last);
            let rest = ConversationFilter { limit: AT_ONCE, ..filter.clone() };
            let mut rest = select_of_shop(&rest, shop, (millis(last), millis(last) + 1));
            for row in &rest.build().fetch_all(&self.reader).await? {
                found.push(stored(row)?);
            }
        }
        Ok(found)
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

    pub(super) async fn shops(&self) -> Result<Vec<String>, StoreError> {
        // From shop to shop through the index: reading all conversations for a few names would take long.
        let sql = "WITH RECURSIVE known (shop) AS (SELECT min(shop) FROM events UNION ALL
                   SELECT (SELECT min(shop) FROM events WHERE shop > known.shop) FROM known
                   WHERE known.shop IS NOT NULL)
                   SELECT shop FROM known WHERE shop IS NOT NULL";
        let rows = sqlx::query(sql).fetch_all(&self.reader).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// Conversations of a shop: by their wait, by their customer, or by their last events.
/// From the first and before the second of the `moments`, in milliseconds.
fn select_of_shop(filter: &ConversationFilter, shop: &str, moments: (i64, i64)) -> QueryBuilder<Db> {
    let mut select = QueryBuilder::<Db>::new(COLUMNS);
    let indexed = matches!(filter.phase.as_deref(), Some("queued" | "assigned"));
    let by_event = !filter.by_wait && filter.customer_id.is_none() && !indexed;
    if by_event {
        // The latest events first, then whether they are the last ones; SQLite keeps to the order of a CROSS JOIN.
        select.push(
            " FROM events e CROSS JOIN conversations c WHERE c.channel = e.channel AND c.shop = e.shop
             AND c.id = e.conversation_id AND c.events = e.seq AND c.updated_at = e.received_at AND e.shop = ",
        );
    } else {
        select.push(" FROM conversations c WHERE c.shop = ");
    }
    select.push_bind(shop.to_owned());
    for (column, value) in [(" AND c.phase = ", &filter.phase), (" AND c.customer_id = ", &filter.customer_id)] {
        if let Some(value) = value {
            select.push(column).push_bind(value.clone());
        }
    }
    match filter.phase.as_deref() {
        Some("queued") => _ = select.push(" AND c.queued_at IS NOT NULL"),
        Some("assigned") => _ = select.push(" AND c.agent IS NOT NULL"),
        _ => {}
    }
    let latest = if by_event { "e.received_at" } else { "c.updated_at" };
    select.push(format!(" AND {latest} >= ")).push_bind(moments.0);
    select.push(format!(" AND {latest} < ")).push_bind(moments.1);
    match filter.by_wait {
        true => select.push(" AND c.queued_at IS NOT NULL ORDER BY c.queued_at"),
        false => select.push(format!(" ORDER BY {latest} DESC")),
    };
    select.push(" LIMIT ").push_bind(i64::from(filter.limit));
    select
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
