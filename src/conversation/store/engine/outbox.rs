//! The outbox: pushes are written with the decision they belong to, claimed for a while by one worker, and settled.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::Row;
use sqlx::query_builder::QueryBuilder;

use super::{Db, EngineStore, SKIP_LOCKED, Transaction, millis, optional, portions, timestamp};
use crate::conversation::event::ConversationKey;
use crate::conversation::outgoing::{FailureClass, Outgoing, PushState};
use crate::conversation::store::{EndpointState, Leases, Lost, Push, PushRow, Settled, StoreError};

type DbRow = <Db as sqlx::Database>::Row;

/// Longest reason that is kept, in characters.
const REASON_CHARS: usize = 300;

/// Writes pushes; those whose id is known are left alone.
pub(super) async fn insert_outgoing(
    transaction: &mut Transaction,
    outgoing: &[(Outgoing, Timestamp)],
) -> Result<(), StoreError> {
    for portion in portions(outgoing) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO outbox (id, endpoint, kind, channel, shop, conversation_id, body, state, attempts, created_at,
             due_at) ",
        );
        insert.push_values(portion, |mut row, (push, now)| {
            let key = push.conversation.as_ref();
            row.push_bind(push.id.clone()).push_bind(push.endpoint.clone()).push_bind(push.kind.clone());
            row.push_bind(key.map(|key| key.channel.clone())).push_bind(key.map(|key| key.shop.clone()));
            row.push_bind(key.map(|key| key.conversation_id.clone())).push_bind(push.body.clone());
            row.push_bind(PushState::Pending.name().to_owned()).push_bind(0_i64);
            row.push_bind(millis(*now)).push_bind(millis(*now));
        });
        insert.push(" ON CONFLICT (id) DO NOTHING");
        insert.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Writes pushes that were made at one moment.
pub(super) async fn push_all(
    transaction: &mut Transaction,
    outgoing: &[Outgoing],
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows: Vec<(Outgoing, Timestamp)> = outgoing.iter().map(|outgoing| (outgoing.clone(), now)).collect();
    insert_outgoing(transaction, &rows).await
}

const COLUMNS: &str =
    "seq, id, endpoint, kind, channel, shop, conversation_id, body, state, attempts, created_at, due_at,
                       error, failure";

/// Pushes that are due, of endpoints that are not busy.
fn push_due(query: &mut QueryBuilder<Db>, now: Timestamp, busy: &[&str]) {
    query.push(" WHERE o.state = 'pending' AND o.due_at <= ").push_bind(millis(now));
    for name in busy {
        query.push(" AND o.endpoint <> ").push_bind((*name).to_owned());
    }
}

impl EngineStore {
    pub(super) async fn claim(
        &self,
        now: Timestamp,
        leases: Leases,
        limit: u32,
        busy: &[&str],
    ) -> Result<Vec<Push>, StoreError> {
        // An idle outbox costs a read, not a write.
        let mut peek = QueryBuilder::<Db>::new("SELECT 1 FROM outbox o");
        push_due(&mut peek, now, busy);
        if peek.push(" LIMIT 1").build().fetch_optional(&self.reader).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.writing().await?;
        let mut claim = QueryBuilder::<Db>::new("UPDATE outbox SET due_at = CASE WHEN endpoint LIKE 'channel:%' THEN ");
        claim
            .push_bind(millis(leases.account))
            .push(" ELSE ")
            .push_bind(millis(leases.webhook))
            .push(" END, attempts = attempts + 1 WHERE seq IN (SELECT o.seq FROM outbox o");
        push_due(&mut claim, now, busy);
        claim.push(
            " AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.state = 'pending' AND p.channel = o.channel
              AND p.shop = o.shop AND p.conversation_id = o.conversation_id AND p.endpoint = o.endpoint
              AND p.seq < o.seq) ORDER BY o.due_at, o.seq LIMIT ",
        );
        claim.push_bind(i64::from(limit)).push(SKIP_LOCKED).push(") RETURNING ").push(COLUMNS).push(
            ", (SELECT c.human_at FROM conversations c
                WHERE c.channel = outbox.channel AND c.shop = outbox.shop AND c.id = outbox.conversation_id)",
        );
        let claimed = claim.build().fetch_all(&mut *transaction).await?;
        let mut pushes = Vec::with_capacity(claimed.len());
        for row in claimed {
            let listed = listed(&row)?;
            let push = Push {
                attempts: listed.attempts.saturating_sub(1),
                outgoing: listed.outgoing,
                created_at: listed.created_at,
                human_at: optional(row.try_get(14)?)?,
            };
            pushes.push((listed.seq, push));
        }
        transaction.commit().await?;
        pushes.sort_unstable_by_key(|(seq, _)| *seq);
        Ok(pushes.into_iter().map(|(_, push)| push).collect())
    }

    pub(super) async fn settle(&self, settled: &[(String, Settled)], now: Timestamp) -> Result<(), StoreError> {
        if settled.is_empty() {
            return Ok(());
        }
        let mut transaction = self.writing().await?;
        for (id, settled) in settled {
            let (state, due, reason, class) = match settled {
                Settled::Sent => (PushState::Sent, now, None, None),
                Settled::Retry { at, error, class } => (PushState::Pending, *at, Some(error), Some(class)),
                Settled::Dead { error, class } => (PushState::Dead, now, Some(error), Some(class)),
                Settled::Dropped { reason } => (PushState::Dropped, now, Some(reason), None),
            };
            let sql = "UPDATE outbox SET state = $2, due_at = $3, error = $4, failure = $5
                       WHERE id = $1 AND state = 'pending'";
            sqlx::query(sql)
                .bind(id)
                .bind(state.name())
                .bind(millis(due))
                .bind(reason.map(|reason| reason.chars().take(REASON_CHARS).collect::<String>()))
                .bind(class.map(|class| class.name()))
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    pub(super) async fn lose(&self, endpoint: &str, lost: &[Lost], now: Timestamp) -> Result<u64, StoreError> {
        let (mut transaction, mut count) = (self.writing().await?, 0);
        for Lost { id, class, error } in lost {
            // A platform may tell that it failed before the courier has told that it was taken; what is to be sent once
            // more, and was not yet, is not what failed.
            let sql = "UPDATE outbox SET state = 'dead', due_at = $3, error = $4, failure = $5
                       WHERE id = $1 AND endpoint = $2 AND (state = 'sent' OR (state = 'pending' AND attempts > 0))";
            let query = sqlx::query(sql).bind(id).bind(endpoint).bind(millis(now));
            let query = query.bind(error.chars().take(REASON_CHARS).collect::<String>()).bind(class.name());
            count += query.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(count)
    }

    pub(super) async fn pushes(
        &self,
        state: PushState,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PushRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE state = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(state.name());
        let query = query.bind(before.unwrap_or(i64::MAX)).bind(i64::from(limit));
        query.fetch_all(&self.reader).await?.iter().map(listed).collect()
    }

    pub(super) async fn replay(
        &self,
        id: Option<&str>,
        endpoint: Option<&str>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut update = QueryBuilder::<Db>::new("UPDATE outbox SET state = 'pending', attempts = 0, due_at = ");
        update.push_bind(millis(now)).push(" WHERE state = 'dead'");
        if let Some(id) = id {
            update.push(" AND id = ").push_bind(id.to_owned());
        }
        if let Some(endpoint) = endpoint {
            update.push(" AND endpoint = ").push_bind(endpoint.to_owned());
        }
        let mut transaction = self.writing().await?;
        let replayed = update.build().execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(replayed)
    }

    pub(super) async fn switch_endpoint(
        &self,
        name: &str,
        off: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writing().await?;
        match off {
            Some(reason) => {
                sqlx::query(
                    "INSERT INTO endpoints (name, disabled_at, reason) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
                )
                .bind(name)
                .bind(millis(now))
                .bind(reason)
                .execute(&mut *transaction)
                .await?;
                sqlx::query("UPDATE outbox SET state = 'dead', error = $2, failure = 'gone' WHERE endpoint = $1 AND state = 'pending'")
                    .bind(name)
                    .bind(format!("the endpoint is switched off: {reason}"))
                    .execute(&mut *transaction)
                    .await?;
            }
            None => {
                sqlx::query("DELETE FROM endpoints WHERE name = $1").bind(name).execute(&mut *transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    pub(super) async fn disabled_endpoints(&self) -> Result<Vec<EndpointState>, StoreError> {
        let sql = "SELECT name, disabled_at, reason FROM endpoints ORDER BY name";
        let rows = sqlx::query(sql).fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                let disabled_at = timestamp(row.try_get(1)?)?;
                Ok(EndpointState { name: row.try_get(0)?, disabled_at, reason: row.try_get(2)? })
            })
            .collect()
    }

    pub(super) async fn mark_digest(
        &self,
        shop: &str,
        day: Date,
        outgoing: &[Outgoing],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.writing().await?;
        let sql = "INSERT INTO digests (shop, day) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let fresh =
            sqlx::query(sql).bind(shop).bind(day.to_string()).execute(&mut *transaction).await?.rows_affected() > 0;
        if fresh {
            push_all(&mut transaction, outgoing, now).await?;
        }
        transaction.commit().await?;
        Ok(fresh)
    }
}

fn listed(row: &DbRow) -> Result<PushRow, StoreError> {
    let parts: (Option<String>, Option<String>, Option<String>) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    let conversation = match parts {
        (Some(channel), Some(shop), Some(conversation_id)) => Some(ConversationKey { channel, shop, conversation_id }),
        _ => None,
    };
    let outgoing = Outgoing {
        id: row.try_get(1)?,
        endpoint: row.try_get(2)?,
        kind: row.try_get(3)?,
        conversation,
        body: row.try_get(7)?,
    };
    Ok(PushRow {
        seq: row.try_get(0)?,
        outgoing,
        state: PushState::from_name(row.try_get(8)?).unwrap_or(PushState::Dead),
        attempts: u32::try_from(row.try_get::<i64, _>(9)?).unwrap_or(u32::MAX),
        created_at: timestamp(row.try_get(10)?)?,
        due_at: timestamp(row.try_get(11)?)?,
        error: row.try_get(12)?,
        failure: row.try_get::<Option<&str>, _>(13)?.and_then(FailureClass::from_name),
    })
}
