//! The decision: exactly one choice a turn, by the first rule that applies.

use jiff::{SignedDuration, Timestamp};

use super::choice::{Action, Choice, Part, Rule};
use super::events;
use super::menu;
use super::turn::{Choosable, Finding, Turn};
use crate::analysis::speech::SpeechAct;
use crate::conversation::event::EventKind;
use crate::conversation::incident::Contradicted;
use crate::faq::script::{AgentsState, ClosingEvent, ScriptKind};

/// Times a customer may send one text in a row before it looks like a program.
const SAME_TEXTS: u32 = 4;

/// Decides one turn. The rules stand in their order; the first that applies decides.
///
/// A redelivered message never comes here: the store answers it.
#[must_use]
pub fn decide(turn: &Turn<'_>) -> Choice {
    let rules: [fn(&Turn<'_>) -> Option<Choice>; 20] = [
        events::shop_side,
        events::closing,
        events::unpaid_order,
        events::order_news,
        events::timer,
        events::other,
        loop_breaker,
        human_active,
        gathering,
        media,
        advertisement,
        asked_for_human,
        anger,
        incident,
        menu_choice,
        answer,
        near_ties,
        small_talk,
        situation,
        missed,
    ];
    rules.iter().find_map(|rule| rule(turn)).unwrap_or_else(|| Choice::silent(Rule::Queued))
}

fn loop_breaker(turn: &Turn<'_>) -> Option<Choice> {
    let repeats = !turn.canonical.is_empty()
        && turn.canonical == turn.conversation.last_text
        && turn.conversation.same_text + 1 >= SAME_TEXTS
        && !turn.is_first();
    let endless = turn.conversation.replies_in_a_row >= turn.policy.breaker_replies && !turn.is_first();
    // Programs do not ask for humans; a customer who does is heard, however long the conversation.
    let tripped = (repeats || endless) && !turn.wants_human();
    (turn.sender_is_bot || tripped).then(|| Choice::silent(Rule::LoopBreaker))
}

fn human_active(turn: &Turn<'_>) -> Option<Choice> {
    turn.human_has_it().then(|| Choice::silent(Rule::HumanActive))
}

fn gathering(turn: &Turn<'_>) -> Option<Choice> {
    turn.gathers.then(|| Choice::silent(Rule::Gathering))
}

fn media(turn: &Turn<'_>) -> Option<Choice> {
    (turn.kind == EventKind::Media).then(|| match situation(turn) {
        Some(choice) => choice,
        None => Choice::silent(Rule::Media),
    })
}

fn advertisement(turn: &Turn<'_>) -> Option<Choice> {
    turn.does(SpeechAct::Advertisement).then(|| {
        if turn.not_sent(ScriptKind::Advertisement) {
            Choice::script(Action::Advertisement, Rule::Advertisement, ScriptKind::Advertisement)
        } else {
            Choice::silent(Rule::Advertisement)
        }
    })
}

fn asked_for_human(turn: &Turn<'_>) -> Option<Choice> {
    if turn.does(SpeechAct::AskHuman) {
        return Some(Choice::handoff(Rule::AskedForHuman, ScriptKind::Handoff));
    }
    turn.does(SpeechAct::Complaint).then(|| Choice::handoff(Rule::Complaint, ScriptKind::Handoff))
}

fn anger(turn: &Turn<'_>) -> Option<Choice> {
    let angry = turn.does(SpeechAct::Anger) || turn.does(SpeechAct::Risk);
    angry.then(|| Choice::handoff(Rule::Anger, ScriptKind::Empathy))
}

fn incident(turn: &Turn<'_>) -> Option<Choice> {
    let id = turn.incident?;
    let told = turn.conversation.incidents.iter().any(|known| known == id);
    (!told).then(|| Choice::script(Action::Incident, Rule::IncidentOpen, ScriptKind::Incident))
}

fn menu_choice(turn: &Turn<'_>) -> Option<Choice> {
    let line = menu::chosen(turn.canonical, turn.conversation.menu.len())?;
    let entry_id = turn.conversation.menu.get(line)?;
    Some(Choice { confidence: Some(1.0), ..answer_with(turn, Rule::MenuChoice, entry_id) })
}

fn answer(turn: &Turn<'_>) -> Option<Choice> {
    let (rule, choosable) = match &turn.finding {
        Finding::Exact(choosable) => (Rule::ExactPhrasing, choosable),
        Finding::Confident(choosable) => (Rule::ConfidentMatch, choosable),
        Finding::Near(_) | Finding::Nothing => return None,
    };
    let choice = match choosable.contradicted {
        _ if choosable.agents_only => Choice::handoff(rule, ScriptKind::Handoff),
        Some(Contradicted::Mute) => Choice::handoff(Rule::IncidentContradicts, ScriptKind::Handoff),
        Some(Contradicted::Annotate) => annotated(answer_with(turn, rule, &choosable.entry_id)),
        None => with_others(turn, answer_with(turn, rule, &choosable.entry_id)),
    };
    Some(Choice { confidence: Some(choosable.confidence), ..choice })
}

/// What the incident says stands after an answer that it contradicts.
fn annotated(mut choice: Choice) -> Choice {
    if choice.action == Action::Answer {
        choice.parts.push(Part::Script(ScriptKind::Incident));
    }
    choice
}

/// The clearest question is answered; the others are named, so that none seems overlooked.
fn with_others(turn: &Turn<'_>, mut choice: Choice) -> Choice {
    let open = turn.also.iter().filter(|other| !other.agents_only && turn.times_sent(&other.entry_id) == 0);
    let ids: Vec<String> = open.map(|other| other.entry_id.clone()).collect();
    if choice.action == Action::Answer && !ids.is_empty() {
        choice.parts.push(Part::Also(ids));
    }
    choice
}

/// An entry goes out word for word once; asked again it is brief; the third time a human takes over.
fn answer_with(turn: &Turn<'_>, rule: Rule, entry_id: &str) -> Choice {
    match turn.times_sent(entry_id) {
        0 => Choice::new(Action::Answer, rule, turn.with_lead(Part::Entry(entry_id.to_owned()))),
        1 => Choice::new(Action::Answer, rule, vec![Part::Brief(entry_id.to_owned())]),
        _ => Choice::handoff(Rule::AskedAgain, ScriptKind::Handoff),
    }
}

fn near_ties(turn: &Turn<'_>) -> Option<Choice> {
    let Finding::Near(near) = &turn.finding else {
        return None;
    };
    let open: Vec<&Choosable> = near.iter().filter(|near| !near.agents_only).collect();
    let confidence = open.first()?.confidence;
    let ids = open.iter().map(|near| near.entry_id.clone()).collect();
    let parts = turn.with_lead(Part::Menu(ids));
    Some(Choice { confidence: Some(confidence), ..Choice::new(Action::Clarify, Rule::NearTies, parts) })
}

fn small_talk(turn: &Turn<'_>) -> Option<Choice> {
    if turn.does(SpeechAct::Farewell) {
        return Some(if turn.not_sent(ScriptKind::Closing) {
            Choice::closing(Rule::Farewell, ClosingEvent::Farewell)
        } else {
            Choice::silent(Rule::Farewell)
        });
    }
    let polite = turn.does(SpeechAct::Thanks) || turn.does(SpeechAct::Acknowledge);
    (polite && !turn.is_first()).then(|| Choice::silent(Rule::SmallTalk))
}

/// First message, busy agents, closed shop: what can be said without an answer.
fn situation(turn: &Turn<'_>) -> Option<Choice> {
    if turn.is_first() {
        return Some(Choice::script(Action::Greet, Rule::FirstMessage, ScriptKind::Greeting));
    }
    let (action, rule, kind) = match turn.agents {
        AgentsState::Free => return None,
        AgentsState::Busy => (Action::Wait, Rule::AgentsBusy, ScriptKind::Waiting),
        AgentsState::OffHours => (Action::OffHours, Rule::OutsideHours, ScriptKind::OffHours),
    };
    let recently =
        turn.conversation.script_sent_at(kind).is_some_and(|at| turn.since(at) < minutes(turn.policy.repeat_minutes));
    // Who knows their place hears it again when it is better, and then at once.
    let silent = match (rule, turn.position, turn.conversation.told_position) {
        (Rule::AgentsBusy, Some(place), Some(told)) => place >= told,
        _ => recently,
    };
    Some(if silent { Choice::silent(rule) } else { Choice::script(action, rule, kind) })
}

/// Somebody who could answer is there, and nothing was found several times: the customer need not try on.
fn missed(turn: &Turn<'_>) -> Option<Choice> {
    let limit = turn.policy.misses;
    let missed = turn.asks && limit > 0 && turn.conversation.misses + 1 >= limit;
    missed.then(|| Choice::handoff(Rule::Missed, ScriptKind::Handoff))
}

pub(super) fn minutes(count: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(count))
}

impl Turn<'_> {
    /// Time since `at`; never negative.
    pub(super) fn since(&self, at: Timestamp) -> SignedDuration {
        self.now.duration_since(at).max(SignedDuration::ZERO)
    }

    /// Whether a human has the conversation, or the bot has given it to one.
    pub(super) fn human_has_it(&self) -> bool {
        match self.conversation.agent_active_at() {
            Some((active_at, taken_over)) => self.since(active_at) < self.policy.agent_patience(taken_over),
            None => self.conversation.phase.is_handed_over() && !self.is_first(),
        }
    }

    /// Whether the message calls for a human.
    fn wants_human(&self) -> bool {
        [SpeechAct::AskHuman, SpeechAct::Complaint, SpeechAct::Anger, SpeechAct::Risk].iter().any(|act| self.does(*act))
    }

    fn does(&self, act: SpeechAct) -> bool {
        self.acts.contains(&act)
    }

    /// Silence after which a customer is met afresh.
    fn gap(&self) -> SignedDuration {
        self.policy.regreet_gap()
    }

    /// Whether the customer writes for the first time, or was silent long enough to be met afresh.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.conversation.is_first(self.now, self.gap())
    }

    /// How often the entry went out since the customer was last met afresh.
    fn times_sent(&self, entry_id: &str) -> u32 {
        if self.is_first() { 0 } else { self.conversation.times_sent(entry_id) }
    }

    /// Whether a script that goes out once may go out: a customer who is met afresh hears it again.
    pub(super) fn not_sent(&self, kind: ScriptKind) -> bool {
        self.conversation.script_sent_at(kind).is_none_or(|at| self.since(at) >= self.gap())
    }

    fn with_lead(&self, part: Part) -> Vec<Part> {
        if self.is_first() { vec![Part::Lead, part] } else { vec![part] }
    }
}
