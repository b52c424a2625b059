//! What can be decided: exactly one choice a turn, the rule that made it, and what the reply is put together from.

use serde::{Deserialize, Serialize};

use crate::conversation::phase::Step;
use crate::faq::script::{ClosingEvent, ScriptKind};

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
    /// The script for a shipped or refunded order.
    Inform,
    /// The holding script, before the reply clock runs out.
    Hold,
    /// A human takes over.
    Handoff,
    /// The minimal reply to an advertisement.
    Advertisement,
    /// Nothing.
    Silent,
}

/// The rule that decided; `decide` has the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Our own message came back.
    Echo,
    /// A human wrote.
    HumanWrote,
    /// A human took the conversation, left it, or handed it back.
    HumanMoved,
    /// It cannot be left or handed back: no human has it.
    NotAssigned,
    /// An order was paid, or the conversation was closed.
    ClosingEvent,
    /// An order has waited long enough for its payment.
    UnpaidOrder,
    /// An order was shipped.
    OrderShipped,
    /// An order was refunded.
    OrderRefunded,
    /// The reply clock is about to run out.
    ReplyGuard,
    /// The place in the queue has improved, or not.
    QueuePlace,
    /// The human has been silent for long.
    AgentSilent,
    /// Nobody has said anything for long.
    Idle,
    /// The timer is overdue for so long that what it would say is wrong by now.
    StaleTimer,
    /// What the timer was for has gone.
    TimerVoid,
    /// A notice, a recalled message, or an event whose script is out already.
    SystemEvent,
    /// The sender is a program, or answers without end.
    LoopBreaker,
    /// A human is active, or the conversation was handed over.
    HumanActive,
    /// The message is answered together with those that may follow.
    Gathering,
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
    /// An open incident contradicts the answer.
    IncidentContradicts,
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
    /// Nothing was found several times in a row.
    Missed,
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
    /// Where the choice leads the conversation; `asks` tells whether the message asked for something, `waits` whether the
    /// customer waits for a human.
    #[must_use]
    pub fn step(&self, asks: bool, waits: bool) -> Option<Step> {
        match (self.action, self.rule) {
            (_, Rule::AgentSilent) => Some(Step::HumanSilent { waits }),
            (_, Rule::Idle) => Some(Step::Closed),
            _ if self.hands_over => Some(Step::HandedOver),
            (Action::Answer | Action::Clarify | Action::Incident, _) => Some(Step::BotAnswered),
            (Action::Greet, _) if !asks => Some(Step::BotAnswered),
            (Action::Greet | Action::Wait | Action::OffHours, _) => Some(Step::LeftToHumans),
            (Action::Silent, Rule::Queued | Rule::AgentsBusy | Rule::OutsideHours | Rule::Media) => {
                Some(Step::LeftToHumans)
            }
            _ => None,
        }
    }

    pub(super) fn new(action: Action, rule: Rule, parts: Vec<Part>) -> Self {
        Self { action, rule, parts, confidence: None, event: None, hands_over: false }
    }

    pub(super) fn silent(rule: Rule) -> Self {
        Self::new(Action::Silent, rule, Vec::new())
    }

    pub(super) fn script(action: Action, rule: Rule, kind: ScriptKind) -> Self {
        Self::new(action, rule, vec![Part::Script(kind)])
    }

    pub(super) fn closing(rule: Rule, event: ClosingEvent) -> Self {
        Self { event: Some(event), ..Self::script(Action::Close, rule, ScriptKind::Closing) }
    }

    pub(super) fn handoff(rule: Rule, kind: ScriptKind) -> Self {
        Self { hands_over: true, ..Self::script(Action::Handoff, rule, kind) }
    }

    /// What is left when an entry that was chosen cannot be sent any more: a human.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self { confidence: self.confidence, ..Self::handoff(self.rule, ScriptKind::Handoff) }
    }
}
