//! What a store promises, tested on both engines.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{Connection, PgConnection, SqliteConnection};
use yingda::conversation::clock::{Clock, Round};
use yingda::conversation::desk::{Agent, Presence};
use yingda::conversation::event::{Context, ConversationKey, EventKind, Id, InboundEvent};
use yingda::conversation::incident::Incident;
use yingda::conversation::model::Conversation;
use yingda::conversation::outgoing::{FailureClass, Outgoing, PushState};
use yingda::conversation::phase::Phase;
use yingda::conversation::store::{
    Before, ConversationFilter, Decide, Outcome, PostgresStore, Recorded, Settled, SqliteStore, Store, StoreError,
    StoredDecision,
};

use crate::postgres::database_url;

/// A store that may be opened several times over the same data, as several nodes do.
enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Place {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(folder) => Arc::new(SqliteStore::open(&folder.path().join("yingda.db")).await.unwrap()),
            Self::Postgres(url) => Arc::new(PostgresStore::connect(url).await.unwrap()),
        }
    }

    /// What somebody else did to the data.
    async fn run(&self, statement: &'static str) {
        match self {
            Self::Sqlite(folder) => {
                let url = format!("sqlite://{}", folder.path().join("yingda.db").display());
                let mut database = SqliteConnection::connect(&url).await.unwrap();
                sqlx::query(statement).execute(&mut database).await.unwrap();
            }
            Self::Postgres(url) => drop(crate::postgres::sql(url, statement)),
        }
    }
}

/// The same promises for each engine.
macro_rules! on_both_engines {
    ($($promise:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(super::Place::Sqlite(tempfile::tempdir().unwrap())).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(super::Place::Postgres(super::database_url().await)).await;
            })*
        }
    };
}

on_both_engines!(
    an_event_is_stored_once_and_a_redelivery_gets_the_same_decision,
    a_message_id_that_is_used_for_something_else_is_a_conflict,
    fifty_deliveries_at_once_yield_one_decision,
    events_of_a_conversation_keep_their_order_and_see_what_came_before,
    events_that_share_a_commit_find_what_the_ones_before_left,
    a_decision_that_fails_takes_no_other_with_it,
    two_nodes_record_an_event_once_and_in_order,
    a_customer_who_wrote_before_is_known,
    timers_are_found_when_they_are_due,
    conversations_are_listed_and_their_history_told,
    pushes_are_claimed_in_order_and_by_one_at_a_time,
    a_push_is_settled_and_a_dead_one_replayed,
    an_account_remembers_what_is_swapped_and_only_one_of_two_swaps,
    an_endpoint_that_is_switched_off_leaves_dead_letters,
    the_desk_knows_loads_and_the_queue,
    an_incident_is_told_once_and_everybody_told_is_listed,
    rounds_are_kept_with_their_replies,
    reasons_are_counted_by_day,
    an_erased_customer_leaves_nothing_but_ids,
    who_wrote_in_another_s_conversation_is_erased_from_it,
    a_redelivery_of_what_was_erased_brings_nobody_back,
    nothing_slips_through_an_erasure,
    a_timer_brings_nobody_back,
    a_page_leaves_nothing_of_its_last_moment_behind,
    old_messages_are_deleted_and_new_ones_stay,
    a_digest_is_made_once,
);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn id(text: &str) -> Id {
    Id::try_from(text.to_owned()).unwrap()
}

fn event(conversation: &str, message: &str, text: &str) -> Arc<InboundEvent> {
    Arc::new(InboundEvent {
        shop: id("demo"),
        channel: id("web"),
        conversation_id: id(conversation),
        customer_id: id(&format!("customer of {conversation}")),
        message_id: id(message),
        kind: EventKind::Message,
        text: text.to_owned(),
        sender_is_bot: false,
        agent_id: None,
        echo_of: None,
        reply_to: None,
        sent_at: None,
        context: Context::default(),
    })
}

fn key(conversation: &str) -> ConversationKey {
    ConversationKey { channel: "web".to_owned(), shop: "demo".to_owned(), conversation_id: conversation.to_owned() }
}

/// What follows: the text is remembered, and the decision tells how many events came before.
fn outcome(before: &Before<'_>, text: &str) -> Outcome {
    let mut conversation = before.conversation.clone();
    let number = conversation.events;
    conversation.events += 1;
    conversation.last_text.push_str(text);
    let said = json!({ "number": number, "heard": conversation.last_text, "reason": "queued" });
    Outcome { conversation, decision: StoredDecision(said), due_at: None, outgoing: vec![], rounds: vec![] }
}

fn plainly(text: &'static str) -> Decide {
    Arc::new(move |before| outcome(before, text))
}

/// An outcome with something changed.
fn with(change: impl Fn(&mut Outcome) + Send + Sync + 'static) -> Decide {
    Arc::new(move |before| {
        let mut outcome = outcome(before, ".");
        change(&mut outcome);
        outcome
    })
}

fn push(id: &str, endpoint: &str, conversation: Option<&str>) -> Outgoing {
    Outgoing {
        id: id.to_owned(),
        endpoint: endpoint.to_owned(),
        kind: "reply".to_owned(),
        conversation: conversation.map(key),
        body: "{}".to_owned(),
    }
}

/// Pushes that go out with an incident: the id of one that is there already is left alone.
async fn enqueue(store: &Arc<dyn Store>, outgoing: &[Outgoing], now: Timestamp) -> Result<(), StoreError> {
    let incident = json!({ "id": "i", "cause": "停电", "effect": "晚回复", "opened_at": now, "expires_at": null });
    store.put_incident(&serde_json::from_value(incident).unwrap(), outgoing, now).await
}

async fn an_event_is_stored_once_and_a_redelivery_gets_the_same_decision(place: Place) {
    let store = place.open().await;
    let called = Arc::new(AtomicU32::new(0));
    let counted: Decide = {
        let called = Arc::clone(&called);
        Arc::new(move |before| {
            called.fetch_add(1, Ordering::Relaxed);
            outcome(before, "a")
        })
    };
    let first = store.record(event("c", "m", "x"), at(0), Arc::clone(&counted)).await.unwrap();
    let Recorded::New(decision) = first else { panic!("{first:?}") };
    for store in [&store, &place.open().await] {
        let again = store.record(event("c", "m", "x"), at(9), Arc::clone(&counted)).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(decision.clone()));
    }
    assert_eq!(called.load(Ordering::Relaxed), 1);
}

async fn a_message_id_that_is_used_for_something_else_is_a_conflict(place: Place) {
    let store = place.open().await;
    store.record(event("c", "m", "x"), at(0), plainly("a")).await.unwrap();
    for other in [event("c", "m", "y"), event("d", "m", "x")] {
        assert_eq!(store.record(other, at(1), plainly("b")).await.unwrap(), Recorded::Conflict);
    }
    assert_eq!(store.conversation(&key("d")).await.unwrap(), None, "nothing of the conflict was stored");
}

async fn fifty_deliveries_at_once_yield_one_decision(place: Place) {
    let stores = [place.open().await, place.open().await];
    let mut under_way = Vec::new();
    for number in 0..50 {
        let store = Arc::clone(&stores[number % 2]);
        under_way.push(tokio::spawn(async move { store.record(event("c", "m", "x"), at(0), plainly("a")).await }));
    }
    let mut fresh = 0;
    for recorded in under_way {
        match recorded.await.unwrap().unwrap() {
            Recorded::New(decision) => {
                assert_eq!(decision.0["heard"], "a");
                fresh += 1;
            }
            Recorded::Duplicate(decision) => assert_eq!(decision.0["heard"], "a"),
            Recorded::Conflict => panic!("a redelivery is no conflict"),
        }
    }
    assert_eq!(fresh, 1);
}

async fn events_of_a_conversation_keep_their_order_and_see_what_came_before(place: Place) {
    let store = place.open().await;
    let mut under_way = Vec::new();
    for number in 0..40 {
        for conversation in ["a", "b", "c", "d", "e"] {
            let (event, store) = (event(conversation, &format!("{conversation}{number}"), "x"), Arc::clone(&store));
            // `record` puts the event into its lane when it is first polled.
            let mut recorded = Box::pin(async move { store.record(event, at(number), plainly("x")).await });
            assert!(futures_poll(&mut recorded).is_none());
            under_way.push((number, recorded));
        }
    }
    for (number, recorded) in under_way {
        let Recorded::New(decision) = recorded.await.unwrap() else { panic!("every event is new") };
        assert_eq!(decision.0["number"], number);
    }
    for conversation in ["a", "b", "c", "d", "e"] {
        let history = store.history(&key(conversation), 0, 100).await.unwrap();
        let numbers: Vec<u64> = history.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
    }
}

/// Polls once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

async fn events_that_share_a_commit_find_what_the_ones_before_left(place: Place) {
    let store = place.open().await;
    let mut under_way = Vec::new();
    for text in ["1", "2", "3", "4", "5", "6", "7"] {
        let (event, store) = (event("c", text, text), Arc::clone(&store));
        let mut recorded = Box::pin(async move { store.record(event, at(0), plainly(text)).await });
        assert!(futures_poll(&mut recorded).is_none());
        under_way.push(recorded);
    }
    let mut heard = String::new();
    for recorded in under_way {
        let Recorded::New(decision) = recorded.await.unwrap() else { panic!("every event is new") };
        heard = decision.0["heard"].as_str().unwrap().to_owned();
    }
    assert_eq!(heard, "1234567");
}

async fn a_decision_that_fails_takes_no_other_with_it(place: Place) {
    let store = place.open().await;
    let fails: Decide = Arc::new(|_| panic!("a fault in the program"));
    let mut under_way = Vec::new();
    for number in 0..9 {
        let decide = if number == 4 { Arc::clone(&fails) } else { plainly("x") };
        let (event, store) = (event(&format!("c{number}"), &format!("m{number}"), "x"), Arc::clone(&store));
        under_way.push(tokio::spawn(async move { store.record(event, at(0), decide).await }));
    }
    for (number, recorded) in under_way.into_iter().enumerate() {
        assert_eq!(recorded.await.unwrap().is_err(), number == 4, "{number}");
    }
    let again = store.record(event("c4", "m4", "x"), at(1), plainly("x")).await.unwrap();
    assert!(matches!(again, Recorded::New(_)), "nothing of the failure was stored");
}

async fn two_nodes_record_an_event_once_and_in_order(place: Place) {
    let nodes = [place.open().await, place.open().await];
    let mut under_way = Vec::new();
    // Each message goes to both nodes at once, of three conversations.
    for number in 0..60 {
        for node in &nodes {
            let (event, store) = (event(&format!("c{}", number % 3), &format!("m{number}"), "x"), Arc::clone(node));
            under_way.push(tokio::spawn(async move { store.record(event, at(number), plainly("x")).await }));
        }
    }
    let mut numbers: Vec<u64> = Vec::new();
    for recorded in under_way {
        if let Recorded::New(decision) = recorded.await.unwrap().unwrap() {
            numbers.push(decision.0["number"].as_u64().unwrap());
        }
    }
    numbers.sort_unstable();
    let each_thrice: Vec<u64> = (0..20).flat_map(|number| [number; 3]).collect();
    assert_eq!(numbers, each_thrice, "every event found its own predecessor");
}

async fn a_customer_who_wrote_before_is_known(place: Place) {
    let store = place.open().await;
    let knows = |expected: bool| -> Decide {
        Arc::new(move |before| {
            assert_eq!(before.conversation.returning, expected);
            outcome(before, "x")
        })
    };
    let of = |conversation: &str, message: &str| {
        Arc::new(InboundEvent { customer_id: id("amy"), ..(*event(conversation, message, "x")).clone() })
    };
    store.record(of("first", "1"), at(0), knows(false)).await.unwrap();
    store.record(of("first", "2"), at(1), knows(false)).await.unwrap();
    store.record(of("second", "3"), at(2), knows(true)).await.unwrap();
    store.record(of("second", "4"), at(3), knows(true)).await.unwrap();
}

async fn timers_are_found_when_they_are_due(place: Place) {
    let store = place.open().await;
    for (conversation, due) in [("late", Some(30)), ("soon", Some(10)), ("never", None)] {
        let decide = with(move |outcome| outcome.due_at = due.map(at));
        store.record(event(conversation, conversation, "x"), at(0), decide).await.unwrap();
    }
    let due = async |second| -> Vec<String> {
        let due = store.due(None, at(second), 10).await.unwrap();
        due.into_iter().map(|due| due.key.conversation_id).collect()
    };
    assert_eq!(due(9).await, Vec::<String>::new());
    assert_eq!(due(10).await, ["soon"]);
    assert_eq!(due(99).await, ["soon", "late"]);
    store.record(event("soon", "m", "x"), at(20), plainly("x")).await.unwrap();
    assert_eq!(due(99).await, ["late"], "the next event set it anew");
    store.record(event("broken", "b", "x"), at(0), with(|outcome| outcome.due_at = Some(at(5)))).await.unwrap();
    place.run("UPDATE conversations SET facts = '{' WHERE id = 'broken'").await;
    assert_eq!(due(99).await, ["late"], "what cannot be read keeps nobody waiting");
    place.run("UPDATE conversations SET facts = '{}' WHERE id = 'broken'").await;
    assert_eq!(due(99).await, ["late"], "and was given up");
}

async fn conversations_are_listed_and_their_history_told(place: Place) {
    let store = place.open().await;
    let queued = |since| {
        with(move |outcome| {
            outcome.conversation.phase = Phase::Queued { since: at(since), handed_over: true };
        })
    };
    store.record(event("a", "1", "甲"), at(1), plainly("x")).await.unwrap();
    store.record(event("b", "2", "乙"), at(2), queued(2)).await.unwrap();
    store.record(event("a", "3", "丙"), at(3), plainly("x")).await.unwrap();
    let listed = async |filter: ConversationFilter| -> Vec<String> {
        let stored = store.conversations(&filter).await.unwrap();
        stored.into_iter().map(|stored| stored.key.conversation_id).collect()
    };
    let all = ConversationFilter { limit: 10, ..ConversationFilter::default() };
    assert_eq!(listed(all.clone()).await, ["a", "b"]);
    assert_eq!(listed(ConversationFilter { phase: Some("queued".to_owned()), ..all.clone() }).await, ["b"]);
    assert_eq!(listed(ConversationFilter { before: Some(at(3)), ..all.clone() }).await, ["b"]);
    assert_eq!(listed(ConversationFilter { limit: 1, ..all.clone() }).await, ["a"]);
    assert_eq!(listed(ConversationFilter { by_wait: true, ..all.clone() }).await, ["b"]);
    let customer_id = Some("customer of b".to_owned());
    assert_eq!(listed(ConversationFilter { customer_id, ..all.clone() }).await, ["b"]);
    assert_eq!(listed(ConversationFilter { shop: Some("other".to_owned()), ..all }).await, Vec::<String>::new());
    let history = store.history(&key("a"), 0, 10).await.unwrap();
    let texts: Vec<&str> = history.iter().map(|event| event.event["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["甲", "丙"]);
    assert_eq!(store.history(&key("a"), 2, 10).await.unwrap().len(), 1);
}

async fn pushes_are_claimed_in_order_and_by_one_at_a_time(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    let rows = [push("1", "e", Some("c")), push("2", "e", Some("c")), push("3", "e", Some("d")), push("4", "e", None)];
    enqueue(&store, &rows, at(0)).await.unwrap();
    enqueue(&store, &rows[..1], at(1)).await.unwrap();
    let ids = async |store: &Arc<dyn Store>, second| -> Vec<String> {
        let claimed = store.claim(at(second), at(second + 8).into(), 10, &[]).await.unwrap();
        claimed.into_iter().map(|push| push.outgoing.id).collect()
    };
    assert_eq!(ids(&store, 0).await, ["1", "3", "4"], "the second of a conversation waits for the first");
    assert_eq!(ids(&other, 1).await, Vec::<String>::new(), "they are leased");
    store.settle(&[("1".to_owned(), Settled::Sent)], at(2)).await.unwrap();
    assert_eq!(ids(&other, 2).await, ["2"]);
    store.settle(&[("3".to_owned(), Settled::Sent)], at(2)).await.unwrap();
    assert_eq!(ids(&other, 9).await, ["4"], "whose claimer has died");
}

async fn a_push_is_settled_and_a_dead_one_replayed(place: Place) {
    let store = place.open().await;
    enqueue(&store, &[push("1", "e", None), push("2", "f", None), push("3", "e", None)], at(0)).await.unwrap();
    store.claim(at(0), at(8).into(), 10, &[]).await.unwrap();
    let retry = Settled::Retry { at: at(5), error: "busy".to_owned(), class: FailureClass::Retry };
    let dead = Settled::Dead { error: "no".to_owned(), class: FailureClass::WindowClosed };
    let dropped = Settled::Dropped { reason: "late".to_owned() };
    let settled = [("1", retry), ("2", dead), ("3", dropped)].map(|(id, settled)| (id.to_owned(), settled));
    store.settle(&settled, at(1)).await.unwrap();
    let pending = store.pushes(PushState::Pending, None, 10).await.unwrap();
    assert_eq!((pending.len(), pending[0].attempts, pending[0].due_at), (1, 1, at(5)));
    assert_eq!((pending[0].error.as_deref(), pending[0].failure), (Some("busy"), Some(FailureClass::Retry)));
    let dead = store.pushes(PushState::Dead, None, 10).await.unwrap();
    assert_eq!(dead[0].failure, Some(FailureClass::WindowClosed));
    assert_eq!(store.pushes(PushState::Dropped, None, 10).await.unwrap()[0].error.as_deref(), Some("late"));
    assert_eq!(store.replay(None, Some("e"), at(2)).await.unwrap(), 0);
    assert_eq!(store.replay(Some("2"), None, at(2)).await.unwrap(), 1);
    let claimed = store.claim(at(2), at(9).into(), 10, &[]).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].outgoing.id.as_str(), claimed[0].attempts), (1, "2", 0));
}

async fn an_account_remembers_what_is_swapped_and_only_one_of_two_swaps(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    assert!(store.swap_account_state("a", "cursor", None, "1").await.unwrap());
    assert!(!other.swap_account_state("a", "cursor", None, "2").await.unwrap());
    let (one, two) = tokio::join!(
        store.swap_account_state("a", "cursor", Some("1"), "2"),
        other.swap_account_state("a", "cursor", Some("1"), "3")
    );
    assert_ne!(one.unwrap(), two.unwrap(), "one of two wins");
    assert!(store.account_state("b").await.unwrap().is_empty());
    let state = other.account_state("a").await.unwrap();
    assert!(["2", "3"].contains(&state["cursor"].as_str()));
}

async fn an_endpoint_that_is_switched_off_leaves_dead_letters(place: Place) {
    let store = place.open().await;
    enqueue(&store, &[push("1", "e", None), push("2", "f", None)], at(0)).await.unwrap();
    store.switch_endpoint("e", Some("gone"), at(1)).await.unwrap();
    assert_eq!(store.pushes(PushState::Dead, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.disabled_endpoints().await.unwrap()[0].reason, "gone");
    store.switch_endpoint("e", None, at(2)).await.unwrap();
    assert_eq!(store.disabled_endpoints().await.unwrap(), []);
    assert_eq!(store.replay(None, None, at(2)).await.unwrap(), 1);
}

async fn the_desk_knows_loads_and_the_queue(place: Place) {
    let store = place.open().await;
    let agent = |id: &str, presence| Agent {
        shop: "demo".to_owned(),
        id: id.to_owned(),
        presence,
        capacity: 3,
        audiences: vec![],
        updated_at: at(0),
    };
    store.put_agent(&agent("amy", Presence::Online)).await.unwrap();
    store.put_agent(&agent("bob", Presence::Away)).await.unwrap();
    store.put_agent(&agent("bob", Presence::Busy)).await.unwrap();
    let assigned = || {
        with(|outcome| {
            outcome.conversation.phase =
                Phase::Assigned { agent: Some("amy".to_owned()), since: at(1), taken_over: true };
        })
    };
    store.record(event("a", "1", "x"), at(1), assigned()).await.unwrap();
    store.record(event("b", "2", "x"), at(1), assigned()).await.unwrap();
    for (conversation, since) in [("c", 5), ("d", 3)] {
        let queued = with(move |outcome| {
            outcome.conversation.phase = Phase::Queued { since: at(since), handed_over: true };
        });
        store.record(event(conversation, conversation, "x"), at(6), queued).await.unwrap();
    }
    let sees: Decide = Arc::new(|before| {
        assert_eq!((before.desk.seats[0].load, before.desk.queue.len()), (2, 2));
        outcome(before, "x")
    });
    store.record(event("e", "5", "x"), at(7), sees).await.unwrap();
    let desk = store.desk("demo").await.unwrap();
    let seats: Vec<(&str, u32, Presence)> =
        desk.seats.iter().map(|seat| (seat.agent.id.as_str(), seat.load, seat.agent.presence)).collect();
    assert_eq!(seats, [("amy", 2, Presence::Online), ("bob", 0, Presence::Busy)]);
    let waits: Vec<Timestamp> = desk.queue.iter().map(|waiting| waiting.since).collect();
    assert_eq!(waits, [at(3), at(5)]);
    assert!(store.remove_agent("demo", "bob").await.unwrap());
    assert!(!store.remove_agent("demo", "bob").await.unwrap());
}

async fn an_incident_is_told_once_and_everybody_told_is_listed(place: Place) {
    let store = place.open().await;
    let incident: Incident = serde_json::from_value(
        json!({ "id": "i", "cause": "停电", "effect": "晚回复", "opened_at": at(0), "expires_at": null }),
    )
    .unwrap();
    store.put_incident(&incident, &[push("p", "e", None)], at(0)).await.unwrap();
    let told = || {
        with(|outcome| {
            if outcome.conversation.incidents.is_empty() {
                outcome.conversation.incidents.push("i".to_owned());
            }
        })
    };
    for (conversation, message) in [("a", "1"), ("a", "2"), ("b", "3")] {
        store.record(event(conversation, message, "x"), at(1), told()).await.unwrap();
    }
    let told = store.told("i").await.unwrap();
    assert_eq!(
        told.iter().map(|told| told.customer_id.as_str()).collect::<Vec<_>>(),
        ["customer of a", "customer of b"]
    );
    assert_eq!(store.incidents(false).await.unwrap(), [incident]);
    assert!(store.close_incident("i", &[push("q", "e", None)], at(5)).await.unwrap());
    assert!(!store.close_incident("i", &[push("r", "e", None)], at(6)).await.unwrap());
    assert_eq!(store.incidents(false).await.unwrap(), []);
    assert_eq!(store.incidents(true).await.unwrap()[0].closed_at, Some(at(5)));
    assert_eq!(store.pushes(PushState::Pending, None, 10).await.unwrap().len(), 2, "nothing for the second closing");
}

async fn rounds_are_kept_with_their_replies(place: Place) {
    let store = place.open().await;
    let round = |clock, started, replied: Option<i64>| {
        with(move |outcome| {
            outcome.rounds = vec![Round { clock, started_at: at(started), replied_at: replied.map(at) }];
        })
    };
    store.record(event("a", "1", "x"), at(1), round(Clock::Human, 1, None)).await.unwrap();
    store.record(event("a", "2", "x"), at(5), round(Clock::Human, 1, Some(5))).await.unwrap();
    store.record(event("a", "3", "x"), at(7), round(Clock::Any, 7, None)).await.unwrap();
    let rounds = store.rounds("demo", at(0), at(7)).await.unwrap();
    assert_eq!(rounds.len(), 1);
    assert_eq!(rounds[0].round, Round { clock: Clock::Human, started_at: at(1), replied_at: Some(at(5)) });
    assert!(!rounds[0].closed);
    assert_eq!(store.rounds("demo", at(0), at(8)).await.unwrap().len(), 2);
}

async fn reasons_are_counted_by_day(place: Place) {
    let store = place.open().await;
    for (second, message) in [(0, "1"), (1, "2"), (99, "3")] {
        store.record(event("c", message, "x"), at(second), plainly("x")).await.unwrap();
    }
    assert_eq!(store.reasons("demo", at(0), at(50)).await.unwrap(), BTreeMap::from([("queued".to_owned(), 2)]));
    assert_eq!(store.shops().await.unwrap(), ["demo"]);
}

async fn an_erased_customer_leaves_nothing_but_ids(place: Place) {
    let store = place.open().await;
    let pushes = with(|outcome| outcome.outgoing = vec![push("p", "e", Some("a"))]);
    store.record(event("a", "1", "我的电话 13800138000"), at(0), pushes).await.unwrap();
    store.record(event("b", "2", "x"), at(0), plainly("x")).await.unwrap();
    let erased = store.erase("web", "demo", "customer of a").await.unwrap();
    assert_eq!((erased.conversations, erased.events, erased.pushes), (1, 1, 1));
    assert_eq!(store.conversation(&key("a")).await.unwrap(), None);
    assert!(store.conversation(&key("b")).await.unwrap().is_some());
    let again = store.record(event("a", "1", "我的电话 13800138000"), at(1), plainly("x")).await.unwrap();
    let Recorded::Duplicate(decision) = &again else { panic!("a redelivery stays a redelivery: {again:?}") };
    assert_eq!(decision.0, json!({ "action": "silent", "replies": [], "erased": true }));
    assert_eq!(store.history(&key("a"), 0, 10).await.unwrap(), []);
    if let Place::Postgres(url) = &place {
        let left = crate::postgres::sql(url, "SELECT * FROM events WHERE conversation_id = 'a'");
        assert!(left.contains("erased") && !left.contains("13800138000") && !left.contains("customer of a"), "{left}");
    }
    store.record(event("a", "3", "y"), at(2), plainly("y")).await.unwrap();
    let history = store.history(&key("a"), 0, 10).await.unwrap();
    assert_eq!((history.len(), history[0].seq), (1, 1), "who comes back begins anew");
}

async fn who_wrote_in_another_s_conversation_is_erased_from_it(place: Place) {
    let store = place.open().await;
    let bob = |conversation: &str, message: &str| {
        let event = event(conversation, message, "电话 13812345678");
        Arc::new(InboundEvent { customer_id: id("bob"), ..(*event).clone() })
    };
    let pushes = || {
        with(|outcome| {
            outcome.conversation.last_text = "电话13812345678".to_owned();
            let of = |customer: &str| format!(r#"{{"type":"reply","data":{{"customer_id":"{customer}","text":"x"}}}}"#);
            let mine = Outgoing { body: of("bob"), ..push("p", "e", Some("a")) };
            outcome.outgoing = vec![mine, Outgoing { body: of("bobby"), ..push("q", "e", Some("a")) }];
        })
    };
    for conversation in ["a", "b"] {
        store.record(event(conversation, &format!("{conversation}1"), "x"), at(0), plainly("x")).await.unwrap();
    }
    store.record(bob("a", "a2"), at(1), pushes()).await.unwrap();
    let erased = store.erase("web", "demo", "bob").await.unwrap();
    assert_eq!((erased.conversations, erased.events, erased.pushes), (1, 1, 1), "what he said, and its pushes");
    assert_eq!(store.pushes(PushState::Pending, None, 9).await.unwrap().len(), 1, "another's push still goes");
    let left = store.conversation(&key("a")).await.unwrap().expect("it is another's");
    assert_eq!((left.facts.events, left.facts.last_text.as_str(), left.customer_id.as_str()), (2, "", "customer of a"));
    assert_eq!(store.history(&key("a"), 0, 10).await.unwrap().len(), 1, "what the other wrote stays");

    store.record(bob("b", "b2"), at(1), plainly("y")).await.unwrap();
    let erased = store.erase("web", "demo", "customer of b").await.unwrap();
    assert_eq!((erased.conversations, erased.events), (1, 1));
    let left = store.conversation(&key("b")).await.unwrap().expect("it passed on to who wrote in it too");
    assert_eq!((left.facts.events, left.customer_id.as_str()), (2, "bob"));
    assert_eq!(store.history(&key("b"), 0, 10).await.unwrap().len(), 1);
    let erased = store.erase("web", "demo", "bob").await.unwrap();
    assert_eq!(erased.events, 1);
    assert_eq!(store.conversation(&key("b")).await.unwrap(), None);
    assert_eq!(store.history(&key("b"), 0, 10).await.unwrap(), []);
}

async fn a_timer_brings_nobody_back(place: Place) {
    let store = place.open().await;
    let timer = |conversation: &str, message: &str| {
        let event = event(conversation, message, "电话 13812345678");
        Arc::new(InboundEvent { kind: EventKind::Timer, ..(*event).clone() })
    };
    let recorded = store.record(timer("gone", "timer-1"), at(0), plainly("x")).await.unwrap();
    assert_eq!(recorded, Recorded::Conflict);
    assert_eq!(store.conversation(&key("gone")).await.unwrap(), None);
    store.record(event("a", "1", "x"), at(0), plainly("x")).await.unwrap();
    let void = with(|outcome| outcome.decision = StoredDecision(json!({ "reason": "timer_void" })));
    store.record(timer("a", "timer-2"), at(1), void).await.unwrap();
    let history = store.history(&key("a"), 2, 10).await.unwrap();
    assert_eq!(history[0].event["text"], "", "what came to nothing is kept without its words");
}

async fn a_page_leaves_nothing_of_its_last_moment_behind(place: Place) {
    let store = place.open().await;
    for number in 0..9 {
        let name = format!("c{number}");
        store.record(event(&name, &name, "x"), at(number / 4), plainly("x")).await.unwrap();
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = ConversationFilter { limit: 2, before, ..ConversationFilter::default() };
        let page = store.conversations(&page).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.updated_at);
        found.extend(page.into_iter().map(|stored| stored.key.conversation_id));
    }
    found.sort();
    assert_eq!(found, (0..9).map(|number| format!("c{number}")).collect::<Vec<_>>());
}

async fn a_redelivery_of_what_was_erased_brings_nobody_back(place: Place) {
    let store = place.open().await;
    for id in ["1", "desk-1", "DESK-1"] {
        store.record(event("a", id, "x"), at(0), plainly("x")).await.unwrap();
    }
    store.erase("web", "demo", "customer of a").await.unwrap();
    // With fresh messages in the same transaction, which is committed.
    let fresh = (0..60).map(|number| (format!("c{number}"), format!("m{number}"))).collect::<Vec<_>>();
    let fresh = fresh.iter().map(|(conversation, message)| event(conversation, message, "y"));
    let all = fresh.chain(["1", "DESK-1"].map(|id| event("a", id, "x")));
    let mut under_way = tokio::task::JoinSet::new();
    for event in all {
        let store = Arc::clone(&store);
        under_way.spawn(async move { store.record(event, at(1), plainly("y")).await.unwrap() });
    }
    let recorded = under_way.join_all().await;
    let duplicates = recorded.iter().filter(|recorded| matches!(recorded, Recorded::Duplicate(_))).count();
    assert_eq!(duplicates, 2, "{recorded:?}");
    assert_eq!(store.conversation(&key("a")).await.unwrap(), None);
}

async fn nothing_slips_through_an_erasure(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    let writing = tokio::spawn(async move {
        for number in 0..200 {
            other.record(event("a", &format!("m{number}"), "x"), at(number), plainly("x")).await.unwrap();
        }
    });
    while !writing.is_finished() {
        store.erase("web", "demo", "customer of a").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    writing.await.unwrap();
    store.erase("web", "demo", "customer of a").await.unwrap();
    assert_eq!(store.history(&key("a"), 0, 500).await.unwrap(), []);
    assert_eq!(store.conversation(&key("a")).await.unwrap(), None);
}

async fn old_messages_are_deleted_and_new_ones_stay(place: Place) {
    let store = place.open().await;
    for number in 0..30 {
        let message = format!("m{number}");
        store.record(event(&format!("c{number}"), &message, "x"), at(number), plainly("x")).await.unwrap();
    }
    assert_eq!(store.purge("demo", at(20)).await.unwrap(), 20);
    let all = ConversationFilter { limit: 100, ..ConversationFilter::default() };
    assert_eq!(store.conversations(&all).await.unwrap().len(), 10);
    assert_eq!(store.purge("other", at(99)).await.unwrap(), 0);
}

async fn a_digest_is_made_once(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    let day = date(2026, 11, 22);
    assert!(store.mark_digest("demo", day, &[push("p", "e", None)], at(0)).await.unwrap());
    assert!(!other.mark_digest("demo", day, &[push("q", "e", None)], at(0)).await.unwrap());
    assert!(other.mark_digest("demo", date(2026, 11, 23), &[], at(0)).await.unwrap());
    assert_eq!(store.pushes(PushState::Pending, None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_young_database_has_statistics_before_the_server_s_own_round() {
    let url = database_url().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    for number in 0..50 {
        let message = format!("m{number}");
        store.record(event(&format!("c{}", number % 7), &message, "x"), at(number), plainly("x")).await.unwrap();
    }
    let shops = "SELECT coalesce(max(n_distinct), 0) FROM pg_stats WHERE tablename = 'events' AND attname = 'shop'";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while crate::postgres::sql(&url, shops).trim() != "1" {
        assert!(std::time::Instant::now() < deadline, "it does not know that there is one shop");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// The schema as the first migrations of an engine leave it, with a conversation in which two have written.
const BEFORE: [&str; 5] = [
    r#"INSERT INTO conversations (channel, shop, id, customer_id, facts, updated_at, phase, active_hour)
       VALUES ('web', 'demo', 'c', 'amy', '{"phase":{"name":"bot"},"events":2}', 1700000002000, 'bot', 472222)"#,
    r#"INSERT INTO events VALUES ('web', 'demo', '1', 'c', 'amy', 1700000001000, 'i', '{}', '{}', 1, 'queued')"#,
    r#"INSERT INTO events VALUES ('web', 'demo', '2', 'c', 'bob', 1700000002000, 'j', '{}', '{}', 2, 'queued')"#,
    "INSERT INTO rounds VALUES ('web', 'demo', 'c', 'human', 1700000001000, 1700000002000)",
    "INSERT INTO rounds VALUES ('web', 'demo', 'c', 'any', 1700000002000, NULL)",
];

/// Only the first migrations of an engine.
async fn first_migrations(engine: &str, count: usize) -> sqlx::migrate::Migrator {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conversation/store/migrations").join(engine);
    let mut files: Vec<_> = std::fs::read_dir(all).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let folder = tempfile::tempdir().unwrap();
    for file in files.iter().take(count) {
        std::fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    sqlx::migrate::Migrator::new(folder.path()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_version_before_stored_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("yingda.db").display());
    let mut sqlite = SqliteConnection::connect(&url).await.unwrap();
    first_migrations("sqlite", 2).await.run(&mut sqlite).await.unwrap();
    let url = database_url().await;
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    first_migrations("postgres", 1).await.run(&mut postgres).await.unwrap();
    for statement in BEFORE {
        sqlx::query(statement).execute(&mut sqlite).await.unwrap();
        // Its columns stand in another order.
        let named =
            "INSERT INTO events (channel, shop, message_id, conversation_id, customer_id, received_at, identity, event,
                     decision, seq, reason) VALUES";
        let statement = statement.replace("INSERT INTO events VALUES", named);
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut postgres).await.unwrap();
    }
    sqlite.close().await.unwrap();
    for place in [Place::Sqlite(folder), Place::Postgres(url)] {
        let store = place.open().await;
        let all = ConversationFilter { limit: 9, ..ConversationFilter::default() };
        assert_eq!(store.conversations(&all).await.unwrap().len(), 1);
        assert_eq!(store.history(&key("c"), 0, 9).await.unwrap().len(), 2);
        assert_eq!(store.rounds("demo", at(0), at(9)).await.unwrap().len(), 2);
        let erased = store.erase("web", "demo", "bob").await.unwrap();
        assert_eq!((erased.conversations, erased.events), (1, 1), "who wrote where is known of old events too");
        assert_eq!(store.rounds("demo", at(0), at(9)).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_an_older_version_stored_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("yingda.db");
    std::fs::copy(crate::harness::fixture("store/version-1.db"), &file).unwrap();
    let store = SqliteStore::open(&file).await.unwrap();
    let phase = async |conversation: &str| -> Conversation {
        store.conversation(&key(conversation)).await.unwrap().expect("it is there").facts
    };
    assert!(phase("handed-over").await.phase.is_handed_over());
    assert_eq!(phase("talking").await.phase, Phase::Bot);
    let numbers: Vec<u64> =
        store.history(&key("talking"), 0, 10).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!((numbers, phase("talking").await.events), (vec![1, 2], 2));
    let wait = SignedDuration::from_secs(1);
    assert_eq!(store.due(None, at(0).checked_add(wait).unwrap(), 10).await.unwrap(), []);
}
