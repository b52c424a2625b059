//! The transaction that records events: a handful of statements, however many events share it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::query_builder::QueryBuilder;
use sqlx::{Pool, Row};

use super::outbox::insert_outgoing;
use super::{Db, LOCK, LOCKS_ROWS, Transaction, begin, millis, portions, push_keys};
use crate::conversation::clock::Clock;
use crate::conversation::event::ConversationKey;
use crate::conversation::model::Conversation;
use crate::conversation::store::batch::{Arrival, Changes, Loaded, NewEvent, Touched, event_key, settle};
use crate::conversation::store::{Recorded, StoreError, StoredDecision};

pub(super) async fn record(pool: &Pool<Db>, arrivals: &[&Arrival]) -> Result<Vec<Recorded>, StoreError> {
    let mut transaction = begin(pool).await?;
    let loaded = load(&mut transaction, arrivals).await?;
    let mut reserved = reserved(&loaded);
    let (answers, changes) = settle(arrivals.iter().copied(), loaded)?;
    if changes.events.is_empty() {
        transaction.rollback().await?;
        return Ok(answers);
    }
    reserved.retain(|key| !changes.conversations.contains_key(key));
    write(&mut transaction, changes).await?;
    for portion in portions(&reserved) {
        release(&mut transaction, portion).await?;
    }
    transaction.commit().await?;
    Ok(answers)
}

async fn load(transaction: &mut Transaction, arrivals: &[&Arrival]) -> Result<Loaded, StoreError> {
    let keys: BTreeSet<(ConversationKey, &str)> =
        arrivals.iter().map(|arrival| (arrival.event.conversation(), arrival.event.customer_id.as_str())).collect();
    // In one order everywhere, so that two transactions seldom wait for each other; those that do are tried again.
    let keys: Vec<(ConversationKey, &str)> = keys.into_iter().collect();
    let mut loaded = Loaded::default();
    for portion in portions(&keys) {
        if LOCKS_ROWS {
            reserve(transaction, portion).await?;
        }
        read_conversations(transaction, portion, &mut loaded).await?;
    }
    if LOCKS_ROWS && keys.iter().any(|(key, _)| !loaded.conversations.contains_key(key)) {
        return Err(StoreError::Contended("a conversation was erased meanwhile".to_owned()));
    }
    for portion in portions(arrivals) {
        read_events(transaction, portion, &mut loaded).await?;
    }
    let fresh: Vec<(ConversationKey, &str)> = keys
        .iter()
        .filter(|(key, _)| loaded.conversations.get(key).is_none_or(|facts| facts.events == 0))
        .cloned()
        .collect();
    for portion in portions(&fresh) {
        read_returning(transaction, portion, &mut loaded).await?;
    }
    let (incidents, manned) = super::desk::standing(transaction).await?;
    loaded.incidents = incidents;
    for shop in manned.iter().filter(|shop| keys.iter().any(|(key, _)| key.shop == **shop)) {
        loaded.desks.insert(shop.clone(), super::desk::read_desk(transaction, shop).await?);
    }
    Ok(loaded)
}

/// Conversations that have a row and no event yet: one that this transaction has reserved.
fn reserved(loaded: &Loaded) -> Vec<ConversationKey> {
    let empty = loaded.conversations.iter().filter(|(_, facts)| LOCKS_ROWS && facts.events == 0);
    empty.map(|(key, _)| key.clone()).collect()
}

/// Takes back rows that were reserved for events that turned out to be known.
async fn release(transaction: &mut Transaction, keys: &[ConversationKey]) -> Result<(), StoreError> {
    let mut delete = QueryBuilder::<Db>::new(
        "DELETE FROM conversations WHERE events = 0 AND (channel, shop, id) IN (SELECT column1, column2, column3 FROM ",
    );
    push_keys(&mut delete, keys.iter().map(parts));
    delete.push(")");
    delete.build().execute(&mut **transaction).await?;
    Ok(())
}

/// Rows of conversations that are new, so that they can be locked like the others.
async fn reserve(transaction: &mut Transaction, keys: &[(ConversationKey, &str)]) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO conversations (channel, shop, id, customer_id, facts, updated_at, phase, events) ",
    );
    insert.push_values(keys, |mut row, (key, customer_id)| {
        row.push_bind(key.channel.clone()).push_bind(key.shop.clone()).push_bind(key.conversation_id.clone());
        row.push_bind((*customer_id).to_owned())
            .push_bind("{}".to_owned())
            .push_bind(0_i64)
            .push_bind("new".to_owned())
            .push_bind(0_i64);
    });
    insert.push(" ON CONFLICT DO NOTHING");
    insert.build().execute(&mut **transaction).await?;
    Ok(())
}

async fn read_conversations(
    transaction: &mut Transaction,
    keys: &[(ConversationKey, &str)],
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT c.channel, c.shop, c.id, c.facts, c.customer_id FROM ");
    push_keys(&mut select, keys.iter().map(|(key, _)| parts(key)));
    select.push(" JOIN conversations c ON c.channel = k.column1 AND c.shop = k.column2 AND c.id = k.column3");
    select.push(LOCK);
    for row in select.build().fetch_all(&mut **transaction).await? {
        let key = ConversationKey { channel: row.try_get(0)?, shop: row.try_get(1)?, conversation_id: row.try_get(2)? };
        let facts: Conversation = serde_json::from_str(row.try_get(3)?)?;
        if facts.events > 0 {
            loaded.owners.insert(key.clone(), row.try_get(4)?);
        }
        loaded.conversations.insert(key, facts);
    }
    Ok(())
}

async fn read_events(
    transaction: &mut Transaction,
    arrivals: &[&Arrival],
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let keys = arrivals.iter().map(|arrival| {
        let event = &arrival.event;
        [event.channel.as_str(), event.shop.as_str(), event.message_id.as_str()]
    });
    let mut select = QueryBuilder::<Db>::new("SELECT e.channel, e.shop, e.message_id, e.identity, e.decision FROM ");
    push_keys(&mut select, keys);
    select.push(" JOIN events e ON e.channel = k.column1 AND e.shop = k.column2 AND e.message_id = k.column3");
    for row in select.build().fetch_all(&mut **transaction).await? {
        let decision: StoredDecision = serde_json::from_str(row.try_get(4)?)?;
        loaded.known.insert((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), (row.try_get(3)?, decision));
    }
    Ok(())
}

/// Tells new conversations whose customer had another one before.
async fn read_returning(
    transaction: &mut Transaction,
    keys: &[(ConversationKey, &str)],
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT k.column1, k.column2, k.column3 FROM ");
    push_keys(
        &mut select,
        keys.iter().map(|(key, customer)| {
            let [channel, shop, id] = parts(key);
            [channel, shop, id, customer]
        }),
    );
    select.push(
        " WHERE EXISTS (SELECT 1 FROM conversations c WHERE c.channel = k.column1 AND c.shop = k.column2
          AND c.customer_id = k.column4 AND c.id <> k.column3 AND c.events > 0)",
    );
    for row in select.build().fetch_all(&mut **transaction).await? {
        let key = ConversationKey { channel: row.try_get(0)?, shop: row.try_get(1)?, conversation_id: row.try_get(2)? };
        loaded.conversations.entry(key).or_default().returning = true;
    }
    Ok(())
}

async fn write(transaction: &mut Transaction, changes: Changes<'_>) -> Result<(), StoreError> {
    for portion in portions(&changes.events) {
        insert_events(transaction, portion).await?;
    }
    let mut conversations: Vec<(ConversationKey, Touched)> = changes.conversations.into_iter().collect();
    conversations.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for portion in portions(&conversations) {
        write_conversations(transaction, portion).await?;
    }
    let mut rounds: Vec<_> = changes.rounds.into_iter().collect();
    rounds.sort_unstable();
    for portion in portions(&rounds) {
        write_rounds(transaction, portion).await?;
    }
    let mut writers: Vec<WriterRow> = changes.writers.into_iter().collect();
    writers.sort_unstable();
    for portion in portions(&writers) {
        write_writers(transaction, portion).await?;
    }
    for portion in portions(&changes.told) {
        write_told(transaction, portion).await?;
    }
    insert_outgoing(transaction, &changes.outgoing).await
}

async fn insert_events(transaction: &mut Transaction, events: &[NewEvent<'_>]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(events.len());
    for new in events {
        rows.push((new, serde_json::to_string(&new.event)?, serde_json::to_string(&new.decision)?));
    }
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO events (channel, shop, message_id, conversation_id, customer_id, received_at, seq, reason,
         identity, event, decision) ",
    );
    insert.push_values(rows, |mut row, (new, event, decision)| {
        let (channel, shop, message_id) = event_key(&new.event);
        row.push_bind(channel).push_bind(shop).push_bind(message_id);
        row.push_bind(new.event.conversation_id.to_string()).push_bind(new.event.customer_id.to_string());
        row.push_bind(millis(new.now)).push_bind(i64::try_from(new.seq).unwrap_or(i64::MAX));
        row.push_bind(new.decision.reason().to_owned());
        row.push_bind(new.identity.clone()).push_bind(event).push_bind(decision);
    });
    insert.build().execute(&mut **transaction).await?;
    Ok(())
}

async fn write_conversations(
    transaction: &mut Transaction,
    conversations: &[(ConversationKey, Touched)],
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(conversations.len());
    for (key, touched) in conversations {
        rows.push((key, touched, serde_json::to_string(&touched.facts)?));
    }
    let mut upsert = QueryBuilder::<Db>::new(
        "INSERT INTO conversations (channel, shop, id, customer_id, facts, updated_at, phase, audience, agent, queued_at,
         human_at, due_at, events) ",
    );
    upsert.push_values(rows, |mut row, (key, touched, facts)| {
        let conversation = &touched.facts;
        row.push_bind(key.channel.clone()).push_bind(key.shop.clone()).push_bind(key.conversation_id.clone());
        row.push_bind(touched.owner.clone()).push_bind(facts).push_bind(millis(touched.now));
        row.push_bind(conversation.phase.name().to_owned());
        row.push_bind(conversation.audience.map(|audience| audience.name().to_owned()));
        row.push_bind(conversation.phase.agent().map(str::to_owned));
        row.push_bind(conversation.phase.queued_since().map(millis));
        row.push_bind(conversation.last_human_at.map(millis)).push_bind(touched.due_at.map(millis));
        row.push_bind(i64::try_from(conversation.events).unwrap_or(i64::MAX));
    });
    upsert.push(
        " ON CONFLICT (channel, shop, id) DO UPDATE SET customer_id = excluded.customer_id,
          facts = excluded.facts, updated_at = excluded.updated_at,
          phase = excluded.phase, audience = excluded.audience, agent = excluded.agent, queued_at = excluded.queued_at,
          human_at = excluded.human_at, due_at = excluded.due_at, events = excluded.events",
    );
    upsert.build().execute(&mut **transaction).await?;
    Ok(())
}

type RoundRow = ((ConversationKey, Clock, Timestamp), Option<Timestamp>);

async fn write_rounds(transaction: &mut Transaction, rounds: &[RoundRow]) -> Result<(), StoreError> {
    let mut upsert =
        QueryBuilder::<Db>::new("INSERT INTO rounds (channel, shop, conversation_id, clock, started_at, replied_at) ");
    upsert.push_values(rounds, |mut row, ((key, clock, started_at), replied_at)| {
        row.push_bind(key.channel.clone()).push_bind(key.shop.clone()).push_bind(key.conversation_id.clone());
        row.push_bind(clock.name().to_owned()).push_bind(millis(*started_at)).push_bind(replied_at.map(millis));
    });
    upsert.push(
        " ON CONFLICT (shop, started_at, channel, conversation_id, clock) DO UPDATE SET
          replied_at = coalesce(rounds.replied_at, excluded.replied_at)",
    );
    upsert.build().execute(&mut **transaction).await?;
    Ok(())
}

type WriterRow = ((ConversationKey, String), Timestamp);

async fn write_writers(transaction: &mut Transaction, writers: &[WriterRow]) -> Result<(), StoreError> {
    let mut upsert = QueryBuilder::<Db>::new("INSERT INTO writers (channel, shop, customer_id, conversation_id, at) ");
    upsert.push_values(writers, |mut row, ((key, customer_id), at)| {
        row.push_bind(key.channel.clone()).push_bind(key.shop.clone());
        row.push_bind(customer_id.clone()).push_bind(key.conversation_id.clone()).push_bind(millis(*at));
    });
    upsert.push(" ON CONFLICT (channel, shop, customer_id, conversation_id) DO UPDATE SET at = excluded.at");
    upsert.build().execute(&mut **transaction).await?;
    Ok(())
}

async fn write_told(
    transaction: &mut Transaction,
    told: &[(String, ConversationKey, String, Timestamp)],
) -> Result<(), StoreError> {
    let mut insert =
        QueryBuilder::<Db>::new("INSERT INTO told (incident, channel, shop, conversation_id, customer_id, at) ");
    insert.push_values(told, |mut row, (incident, key, customer_id, at)| {
        row.push_bind(incident.clone());
        row.push_bind(key.channel.clone()).push_bind(key.shop.clone()).push_bind(key.conversation_id.clone());
        row.push_bind(customer_id.clone()).push_bind(millis(*at));
    });
    insert.push(" ON CONFLICT DO NOTHING");
    insert.build().execute(&mut **transaction).await?;
    Ok(())
}

fn parts(key: &ConversationKey) -> [&str; 3] {
    [key.channel.as_str(), key.shop.as_str(), key.conversation_id.as_str()]
}
