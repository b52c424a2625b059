//! The decision: exactly one choice a turn, by the first rule that applies.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::menu;
use super::turn::{Choosable, Finding, Turn};
use crate::analysis::speech::SpeechAct;
use crate::conversation::event::EventKind;
use crate::faq::script::{AgentsState, ClosingEvent, ScriptKind};

/// What the customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An entry's answer.
    Answer,
    /// A menu of likely questions.
    Clarify,
    /// The greeting.
    Greet,
    /// The waiting script.
    Wait,
    /// The off-hours script.
    OffHours,
    /// The incident script.
    Incident,
    /// The closing script.
    Close,
    /// The reminder of an unpaid order.
    Remind,
    /// A human takes over.
    Handoff,
    /// The minimal reply to an advertisement.
    Advertisement,
    /// Nothing.
    Silent,
}

/// The rule that decided, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Our own message came back.
    Echo,
    /// A human wrote.
    HumanWrote,
    /// An order was paid, or the conversation was closed.
    ClosingEvent,
    /// An order has waited long enough for its payment.
    UnpaidOrder,
    /// A notice, a recalled message, or an event whose script is out already.
    SystemEvent,
    /// The sender is a program, or answers without end.
    LoopBreaker,
    /// A human is active, or the conversation was handed over.
    HumanActive,
    /// An image or another message without text.
    Media,
    /// An advertisement.
    Advertisement,
    /// The customer asks for a human.
    AskedForHuman,
    /// The customer complains.
    Complaint,
    /// The customer is angry, or there is danger.
    Anger,
    /// An incident is open.
    IncidentOpen,
    /// The customer chose a line of the menu.
    MenuChoice,
    /// The text is a phrasing.
    ExactPhrasing,
    /// The match is sure enough.
    ConfidentMatch,
    /// The same answer for the third time.
    AskedAgain,
    /// Several entries are near.
    NearTies,
    /// The customer says goodbye.
    Farewell,
    /// The first message, or the first after a long time.
    FirstMessage,
    /// The customer says thanks or all right.
    SmallTalk,
    /// Agents are busy.
    AgentsBusy,
    /// Nobody is there.
    OutsideHours,
    /// Nothing applies: the queue has it.
    Queued,
}

/// A part of a reply, still without words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A script of this situation.
    Script(ScriptKind),
    /// The greeting's short form, before an answer or a menu.
    Lead,
    /// An entry's answer.
    Entry(String),
    /// An entry's answer, asked for again: its first sentence.
    Brief(String),
    /// The clarify script around a menu of these entries.
    Menu(Vec<String>),
    /// The script that names these entries, which the same message asks for.
    Also(Vec<String>),
}

/// Exactly one choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What the customer gets.
    pub action: Action,
    /// Which rule decided.
    pub rule: Rule,
    /// What the reply is put together from; all parts make one message.
    pub parts: Vec<Part>,
    /// Confidence in the entry, where one is answered with.
    pub confidence: Option<f32>,
    /// Which closing script.
    pub event: Option<ClosingEvent>,
    /// The conversation goes to a human.
    pub hands_over: bool,
}

impl Choice {
    fn new(action: Action, rule: Rule, parts: Vec<Part>) -> Self {
        Self { action, rule, parts, confidence: None, event: None, hands_over: false }
    }

    fn silent(rule: Rule) -> Self {
        Self::new(Action::Silent, rule, Vec::new())
    }

    fn script(action: Action, rule: Rule, kind: ScriptKind) -> Self {
        Self::new(action, rule, vec![Part::Script(kind)])
    }

    fn closing(rule: Rule, event: ClosingEvent) -> Self {
        Self { event: Some(event), ..Self::script(Action::Close, rule, ScriptKind::Closing) }
    }

    fn handoff(rule: Rule, kind: ScriptKind) -> Self {
        Self { hands_over: true, ..Self::script(Action::Handoff, rule, kind) }
    }

    /// What is left when an entry that was chosen cannot be sent any more: a human.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self { confidence: self.confidence, ..Self::handoff(self.rule, ScriptKind::Handoff) }
    }
}

/// Times a customer may send one text in a row before it looks like a program.
const SAME_TEXTS: u32 = 4;

/// Decides one turn. The rules stand in their order; the first that applies decides.
///
/// A redelivered message never comes here: the store answers it.
#[must_use]
pub fn decide(turn: &Turn<'_>) -> Choice {
    let rules: [fn(&Turn<'_>) -> Option<Choice>; 16] = [
        shop_side,
        closing_event,
        unpaid_order,
        other_event,
        loop_breaker,
        human_active,
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
    ];
    rules.iter().find_map(|rule| rule(turn)).unwrap_or_else(|| Choice::silent(Rule::Queued))
}

fn shop_side(turn: &Turn<'_>) -> Option<Choice> {
    (turn.kind == EventKind::AgentMessage)
        .then(|| Choice::silent(if turn.conversation.is_echo(turn.text) { Rule::Echo } else { Rule::HumanWrote }))
}

fn closing_event(turn: &Turn<'_>) -> Option<Choice> {
    let event = match turn.kind {
        EventKind::OrderPaid => ClosingEvent::Paid,
        EventKind::Closed => ClosingEvent::Farewell,
        _ => return None,
    };
    turn.not_sent(ScriptKind::Closing).then(|| Choice::closing(Rule::ClosingEvent, event))
}

fn unpaid_order(turn: &Turn<'_>) -> Option<Choice> {
    let waited = turn.ordered_at.is_some_and(|at| turn.since(at) >= minutes(turn.policy.unpaid_minutes));
    (turn.kind == EventKind::OrderUnpaid && waited && turn.not_sent(ScriptKind::Reminder))
        .then(|| Choice::script(Action::Remind, Rule::UnpaidOrder, ScriptKind::Reminder))
}

fn other_event(turn: &Turn<'_>) -> Option<Choice> {
    (!matches!(turn.kind, EventKind::Message | EventKind::Media)).then(|| Choice::silent(Rule::SystemEvent))
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
    let active = turn.conversation.last_human_at.is_some_and(|at| turn.since(at) < minutes(turn.policy.human_minutes));
    let handed_over = turn.conversation.handed_over && !turn.is_first();
    (active || handed_over).then(|| Choice::silent(Rule::HumanActive))
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
    let choice = if choosable.agents_only {
        Choice::handoff(rule, ScriptKind::Handoff)
    } else {
        with_others(turn, answer_with(turn, rule, &choosable.entry_id))
    };
    Some(Choice { confidence: Some(choosable.confidence), ..choice })
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
    Some(if recently { Choice::silent(rule) } else { Choice::script(action, rule, kind) })
}

fn minutes(count: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(count))
}

impl Turn<'_> {
    /// Time since `at`; never negative.
    fn since(&self, at: Timestamp) -> SignedDuration {
        self.now.duration_since(at).max(SignedDuration::ZERO)
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
    fn not_sent(&self, kind: ScriptKind) -> bool {
        self.conversation.script_sent_at(kind).is_none_or(|at| self.since(at) >= self.gap())
    }

    fn with_lead(&self, part: Part) -> Vec<Part> {
        if self.is_first() { vec![Part::Lead, part] } else { vec![part] }
    }
}
