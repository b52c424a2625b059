//! One turn as the decision sees it: values only, gathered by the bot.

use jiff::Timestamp;

use crate::analysis::speech::SpeechAct;
use crate::conversation::event::EventKind;
use crate::conversation::incident::Contradicted;
use crate::conversation::model::Conversation;
use crate::conversation::timer::Timer;
use crate::faq::order::OrderState;
use crate::faq::script::AgentsState;
use crate::reply::policy::ShopPolicy;

/// An entry that may be asked for, without its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Choosable {
    /// Its id.
    pub entry_id: String,
    /// Probability that it is the one asked for.
    pub confidence: f32,
    /// The bot may not send it.
    pub agents_only: bool,
    /// An open incident contradicts it; what is to become of it then.
    pub contradicted: Option<Contradicted>,
}

/// What the matcher and its thresholds say of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Finding {
    /// The text is a phrasing of this entry.
    Exact(Choosable),
    /// This entry is likely enough to be answered with.
    Confident(Choosable),
    /// One of these may be meant; two or three, best first.
    Near(Vec<Choosable>),
    /// Nothing is likely.
    #[default]
    Nothing,
}

/// One turn.
#[derive(Debug, Clone)]
pub struct Turn<'a> {
    /// When it is decided.
    pub now: Timestamp,
    /// What has happened.
    pub kind: EventKind,
    /// What was written, as written.
    pub text: &'a str,
    /// Canonical text of it.
    pub canonical: &'a str,
    /// What the message does apart from asking.
    pub acts: &'a [SpeechAct],
    /// The sender is known to be a program.
    pub sender_is_bot: bool,
    /// What it asks.
    pub finding: Finding,
    /// Other entries that it surely asks for.
    pub also: &'a [Choosable],
    /// What is known of the conversation.
    pub conversation: &'a Conversation,
    /// Whether a human can answer now.
    pub agents: AgentsState,
    /// Id of the incident in scope that was not told yet.
    pub incident: Option<&'a str>,
    /// When the unpaid order was made.
    pub ordered_at: Option<Timestamp>,
    /// State of the order, where it is known.
    pub order_state: Option<OrderState>,
    /// The message asks for something.
    pub asks: bool,
    /// The message waits for the next one.
    pub gathers: bool,
    /// The timer that fires.
    pub timer: Option<Timer>,
    /// The customer's place in the queue, where it is known.
    pub position: Option<u32>,
    /// The step that the event takes by itself can be taken.
    pub may_step: bool,
    /// What came from the shop's side is our own reply.
    pub echo: bool,
    /// How the shop wants it.
    pub policy: &'a ShopPolicy,
}
