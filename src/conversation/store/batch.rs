//! One transaction's worth of events: decided one after another, each on what the one before left behind. Pure but for
//! the decisions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Before, Decide, Outcome, Recorded, StoreError, StoredDecision};
use crate::conversation::clock::Clock;
use crate::conversation::desk::{Desk, Waiting};
use crate::conversation::event::{Context, ConversationKey, EventKind, InboundEvent};
use crate::conversation::incident::Incident;
use crate::conversation::model::Conversation;
use crate::conversation::outgoing::Outgoing;

/// An event that waits to be recorded.
pub(super) struct Arrival {
    pub event: Arc<InboundEvent>,
    pub now: Timestamp,
    pub decide: Decide,
}

/// Reason of the decision on a timer that has nothing to do.
const VOID: &str = "timer_void";

/// Channel, shop and message id: what makes an event the same.
pub(super) type EventKey = (String, String, String);

pub(super) fn event_key(event: &InboundEvent) -> EventKey {
    (event.channel.to_string(), event.shop.to_string(), event.message_id.to_string())
}

/// What the transaction has read.
#[derive(Default)]
pub(super) struct Loaded {
    /// Identity and decision of events that are stored.
    pub known: HashMap<EventKey, (String, StoredDecision)>,
    pub conversations: HashMap<ConversationKey, Conversation>,
    /// Whose conversation it is: who began it.
    pub owners: HashMap<ConversationKey, String>,
    pub incidents: Vec<Incident>,
    /// Desks of shops that have agents.
    pub desks: HashMap<String, Desk>,
}

/// An event to be written.
pub(super) struct NewEvent<'a> {
    pub event: Cow<'a, InboundEvent>,
    pub now: Timestamp,
    pub seq: u64,
    pub identity: String,
    pub decision: StoredDecision,
}

/// A conversation to be written.
pub(super) struct Touched {
    /// Who began it.
    pub owner: String,
    pub facts: Conversation,
    pub now: Timestamp,
    pub due_at: Option<Timestamp>,
}

/// What the transaction writes.
#[derive(Default)]
pub(super) struct Changes<'a> {
    pub events: Vec<NewEvent<'a>>,
    pub conversations: HashMap<ConversationKey, Touched>,
    pub outgoing: Vec<(Outgoing, Timestamp)>,
    /// When the reply came, by conversation, clock and start to the millisecond, as rows know it: a row is written once.
    pub rounds: HashMap<(ConversationKey, Clock, Timestamp), Option<Timestamp>>,
    /// When somebody wrote in a conversation of somebody else.
    pub writers: HashMap<(ConversationKey, String), Timestamp>,
    /// Incident, conversation, customer, when.
    pub told: Vec<(String, ConversationKey, String, Timestamp)>,
}

/// Decides the arrivals in their order.
///
/// # Errors
/// When a decision ends in a panic; nothing may be written then.
pub(super) fn settle<'a>(
    arrivals: impl Iterator<Item = &'a Arrival>,
    mut loaded: Loaded,
) -> Result<(Vec<Recorded>, Changes<'a>), StoreError> {
    let mut changes = Changes::default();
    let mut answers = Vec::new();
    let mut fresh: HashMap<EventKey, usize> = HashMap::new();
    let nobody = Desk::default();
    for arrival in arrivals {
        let Arrival { event, now, decide } = arrival;
        let (id, identity) = (event_key(event), event.identity());
        let earlier = fresh.get(&id).and_then(|place| changes.events.get(*place));
        let known = earlier.map(|new| (&new.identity, &new.decision));
        let known = known.or_else(|| loaded.known.get(&id).map(|(identity, decision)| (identity, decision)));
        if let Some((stored, decision)) = known {
            // Of an erased message only the id is left to compare.
            let same = stored.is_empty() || *stored == identity;
            answers.push(if same { Recorded::Duplicate(decision.clone()) } else { Recorded::Conflict });
            continue;
        }
        let key = event.conversation();
        let touched = changes.conversations.remove(&key).map(|touched| touched.facts);
        let conversation = touched.or_else(|| loaded.conversations.remove(&key)).unwrap_or_default();
        if event.kind == EventKind::Timer && conversation.events == 0 {
            // Its conversation was erased or forgotten meanwhile, and must not come back with what the timer knew of it.
            answers.push(Recorded::Conflict);
            continue;
        }
        let desk = loaded.desks.get(event.shop.as_str()).unwrap_or(&nobody);
        let before = Before { conversation: &conversation, incidents: &loaded.incidents, desk };
        let outcome = catch_unwind(AssertUnwindSafe(|| decide(&before)))
            .map_err(|_| StoreError::Decision("the decision met a fault in the program".to_owned()))?;
        if let Some(desk) = loaded.desks.get_mut(event.shop.as_str()) {
            move_on(desk, &conversation, &outcome.conversation);
        }
        let owner = loaded.owners.entry(key.clone()).or_insert_with(|| event.customer_id.to_string()).clone();
        fresh.insert(id, changes.events.len());
        answers.push(Recorded::New(outcome.decision.clone()));
        changes.take(Taken { event, now: *now, identity, owner }, key, &conversation, outcome);
    }
    Ok((answers, changes))
}

/// An event that is no redelivery, and whose conversation it came in.
struct Taken<'a> {
    event: &'a InboundEvent,
    now: Timestamp,
    identity: String,
    owner: String,
}

impl<'a> Changes<'a> {
    fn take(&mut self, taken: Taken<'a>, key: ConversationKey, before: &Conversation, outcome: Outcome) {
        let Taken { event, now, identity, owner } = taken;
        let Outcome { conversation: facts, decision, due_at, outgoing, rounds } = outcome;
        let customer_id = event.customer_id.to_string();
        if customer_id != owner {
            self.writers.insert((key.clone(), customer_id.clone()), now);
        }
        // A timer that came to nothing is kept without what it would have answered: that may have been erased meanwhile.
        let void = event.kind == EventKind::Timer && decision.reason() == VOID;
        let event = match void {
            true => Cow::Owned(InboundEvent { text: String::new(), context: Context::default(), ..event.clone() }),
            false => Cow::Borrowed(event),
        };
        self.events.push(NewEvent { event, now, seq: facts.events, identity, decision });
        self.outgoing.extend(outgoing.into_iter().map(|outgoing| (outgoing, now)));
        for round in rounds {
            let started_at = Timestamp::from_millisecond(round.started_at.as_millisecond()).unwrap_or(round.started_at);
            let replied_at = self.rounds.entry((key.clone(), round.clock, started_at)).or_default();
            *replied_at = replied_at.or(round.replied_at);
        }
        for incident in facts.incidents.iter().filter(|id| !before.incidents.contains(id)) {
            let id = incident.rsplit_once('@').map_or(incident.as_str(), |(id, _)| id);
            self.told.push((id.to_owned(), key.clone(), customer_id.clone(), now));
        }
        self.conversations.insert(key, Touched { owner, facts, now, due_at });
    }
}

/// Keeps the desk right for the next event of the transaction.
fn move_on(desk: &mut Desk, before: &Conversation, after: &Conversation) {
    let waiting = |conversation: &Conversation| {
        conversation.phase.queued_since().map(|since| Waiting { since, audience: conversation.audience })
    };
    if waiting(before) != waiting(after) {
        if let Some(left) = waiting(before)
            && let Some(place) = desk.queue.iter().position(|other| *other == left)
        {
            desk.queue.remove(place);
        }
        desk.queue.extend(waiting(after));
    }
    let (left, took) = (before.phase.agent(), after.phase.agent());
    if left != took {
        for seat in &mut desk.seats {
            let id = Some(seat.agent.id.as_str());
            seat.load = seat.load.saturating_sub(u32::from(left == id)).saturating_add(u32::from(took == id));
        }
    }
}
