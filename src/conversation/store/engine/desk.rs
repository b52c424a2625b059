//! Agents, the queue, and incidents.

use jiff::Timestamp;
use sqlx::Row;

use super::outbox::push_all;
use super::{Db, EngineStore, Transaction, millis, timestamp};
use crate::conversation::desk::{Agent, Desk, Seat, Waiting};
use crate::conversation::event::ConversationKey;
use crate::conversation::incident::Incident;
use crate::conversation::outgoing::Outgoing;
use crate::conversation::store::{StoreError, Told};
use crate::faq::Audience;

/// Most customers of a queue that are looked at: beyond, a place is "at least so far back".
const QUEUE: i64 = 1_000;

/// A shop's agents with their loads, and its queue.
pub(super) async fn read_desk(
    connection: &mut <Db as sqlx::Database>::Connection,
    shop: &str,
) -> Result<Desk, StoreError> {
    let sql = "SELECT a.agent, (SELECT count(*) FROM conversations c WHERE c.shop = a.shop AND c.agent = a.id)
               FROM agents a WHERE a.shop = $1 ORDER BY a.id";
    let mut desk = Desk::default();
    for row in sqlx::query(sql).bind(shop).fetch_all(&mut *connection).await? {
        let agent: Agent = serde_json::from_str(row.try_get(0)?)?;
        let load = u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u32::MAX);
        desk.seats.push(Seat { agent, load });
    }
    if desk.seats.is_empty() {
        return Ok(desk);
    }
    let sql = "SELECT queued_at, audience FROM conversations WHERE shop = $1 AND queued_at IS NOT NULL
               ORDER BY queued_at LIMIT $2";
    for row in sqlx::query(sql).bind(shop).bind(QUEUE).fetch_all(connection).await? {
        let audience: Option<String> = row.try_get(1)?;
        let audience = audience.as_deref().and_then(Audience::from_name);
        desk.queue.push(Waiting { since: timestamp(row.try_get(0)?)?, audience });
    }
    Ok(desk)
}

/// What stands for all conversations: incidents that are not closed, by id, and the shops that have agents.
pub(super) async fn standing(transaction: &mut Transaction) -> Result<(Vec<Incident>, Vec<String>), StoreError> {
    let sql = "SELECT incident, NULL, id FROM incidents WHERE closed_at IS NULL
               UNION ALL SELECT NULL, shop, NULL FROM (SELECT DISTINCT shop FROM agents) AS manned ORDER BY 3, 2";
    let (mut incidents, mut shops) = (Vec::new(), Vec::new());
    for row in sqlx::query(sql).fetch_all(&mut **transaction).await? {
        match row.try_get::<Option<&str>, _>(0)? {
            Some(incident) => incidents.push(serde_json::from_str(incident)?),
            None => shops.extend(row.try_get::<Option<String>, _>(1)?),
        }
    }
    Ok((incidents, shops))
}

impl EngineStore {
    pub(super) async fn put_agent(&self, agent: &Agent) -> Result<(), StoreError> {
        let mut transaction = self.writing().await?;
        sqlx::query(
            "INSERT INTO agents (shop, id, agent) VALUES ($1, $2, $3)
             ON CONFLICT (shop, id) DO UPDATE SET agent = excluded.agent",
        )
        .bind(&agent.shop)
        .bind(&agent.id)
        .bind(serde_json::to_string(agent)?)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn remove_agent(&self, shop: &str, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.writing().await?;
        let query = sqlx::query("DELETE FROM agents WHERE shop = $1 AND id = $2").bind(shop).bind(id);
        let gone = query.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(gone > 0)
    }

    pub(super) async fn desk(&self, shop: &str) -> Result<Desk, StoreError> {
        let mut connection = self.reader.acquire().await?;
        read_desk(&mut connection, shop).await
    }

    pub(super) async fn put_incident(
        &self,
        incident: &Incident,
        outgoing: &[Outgoing],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writing().await?;
        // Who was told of an earlier one of this id is not to be told when this one is over.
        let sql = "DELETE FROM told WHERE incident = $1
                   AND NOT EXISTS (SELECT 1 FROM incidents WHERE id = $1 AND closed_at IS NULL)";
        sqlx::query(sql).bind(&incident.id).execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT INTO incidents (id, incident, closed_at) VALUES ($1, $2, NULL)
             ON CONFLICT (id) DO UPDATE SET incident = excluded.incident, closed_at = NULL",
        )
        .bind(&incident.id)
        .bind(serde_json::to_string(incident)?)
        .execute(&mut *transaction)
        .await?;
        push_all(&mut transaction, outgoing, now).await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn close_incident(
        &self,
        id: &str,
        outgoing: &[Outgoing],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.writing().await?;
        let sql = "UPDATE incidents SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL";
        let closed = sqlx::query(sql).bind(id).bind(millis(now)).execute(&mut *transaction).await?.rows_affected() > 0;
        if closed {
            push_all(&mut transaction, outgoing, now).await?;
        }
        transaction.commit().await?;
        Ok(closed)
    }

    pub(super) async fn incidents(&self, all: bool) -> Result<Vec<Incident>, StoreError> {
        let sql = "SELECT incident, closed_at FROM incidents WHERE closed_at IS NULL OR $1 = 1 ORDER BY id";
        let rows = sqlx::query(sql).bind(i64::from(all)).fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                let incident: Incident = serde_json::from_str(row.try_get(0)?)?;
                Ok(Incident { closed_at: super::optional(row.try_get(1)?)?, ..incident })
            })
            .collect()
    }

    pub(super) async fn told(&self, incident: &str) -> Result<Vec<Told>, StoreError> {
        let sql = "SELECT channel, shop, conversation_id, customer_id, at FROM told WHERE incident = $1
                   ORDER BY channel, shop, conversation_id";
        let rows = sqlx::query(sql).bind(incident).fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                let key = ConversationKey {
                    channel: row.try_get(0)?,
                    shop: row.try_get(1)?,
                    conversation_id: row.try_get(2)?,
                };
                Ok(Told { key, customer_id: row.try_get(3)?, at: timestamp(row.try_get(4)?)? })
            })
            .collect()
    }
}
