//! The facts of one conversation: what was said and sent, as far as the next decision needs it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::Context;
use super::outgoing::stable_id;
use super::phase::Phase;
use super::timer::TimerKind;
use crate::analysis::language::Language;
use crate::faq::Audience;
use crate::faq::script::ScriptKind;

/// An entry that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentEntry {
    /// Which.
    pub entry_id: String,
    /// How often.
    pub times: u32,
}

/// A script that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentScript {
    /// Its situation.
    pub kind: ScriptKind,
    /// When last.
    pub at: Timestamp,
}

/// Messages that wait to be answered together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bubbles {
    /// When the first came.
    pub first_at: Timestamp,
    /// When the last came.
    pub last_at: Timestamp,
    /// Their texts, in order.
    pub texts: Vec<String>,
    /// What the channel knew with the last.
    pub context: Box<Context>,
    /// By what the platform takes an answer to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

impl Bubbles {
    /// What is answered: the texts, a line each, and a sentence each, for each may ask something of its own.
    #[must_use]
    pub fn text(&self) -> String {
        self.texts.join("。\n")
    }
}

/// An order that waits for its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpaidOrder {
    /// When it was made.
    pub since: Timestamp,
    /// What the channel knew with it.
    pub context: Box<Context>,
}

/// What is known of a conversation before an event. A new one is all default, and what is still so is not stored: rows
/// stay small.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    /// Where it is in its life.
    pub phase: Phase,
    /// Events so far: the number of the last one.
    pub events: u64,
    /// The desk it is for.
    #[serde(skip_serializing_if = "is_default")]
    pub audience: Option<Audience>,
    /// When the customer last wrote.
    #[serde(skip_serializing_if = "is_default")]
    pub last_customer_at: Option<Timestamp>,
    /// When the customer began to wait for any reply; none when nobody waits.
    #[serde(skip_serializing_if = "is_default")]
    pub waiting_since: Option<Timestamp>,
    /// When the customer began to wait for a human; none when a human has replied since.
    #[serde(skip_serializing_if = "is_default")]
    pub waiting_for_human_since: Option<Timestamp>,
    /// When a human last wrote.
    #[serde(skip_serializing_if = "is_default")]
    pub last_human_at: Option<Timestamp>,
    /// When the bot last wrote.
    #[serde(skip_serializing_if = "is_default")]
    pub last_reply_at: Option<Timestamp>,
    /// Entries sent, in order of their first sending.
    #[serde(skip_serializing_if = "is_default")]
    pub entries: Vec<SentEntry>,
    /// Scripts sent, a kind once.
    #[serde(skip_serializing_if = "is_default")]
    pub scripts: Vec<SentScript>,
    /// Entries of the menu that is open, in its order.
    #[serde(skip_serializing_if = "is_default")]
    pub menu: Vec<String>,
    /// Incidents told, each as the edition that was told.
    #[serde(skip_serializing_if = "is_default")]
    pub incidents: Vec<String>,
    /// Bot replies since a human wrote or the customer paused.
    #[serde(skip_serializing_if = "is_default")]
    pub replies_in_a_row: u32,
    /// Questions in a row that nothing was found for.
    #[serde(skip_serializing_if = "is_default")]
    pub misses: u32,
    /// The customer's last message wanted no reply: thanks, a farewell, an advertisement.
    #[serde(skip_serializing_if = "is_default")]
    pub courtesy: bool,
    /// Place in the queue that the customer was last told.
    #[serde(skip_serializing_if = "is_default")]
    pub told_position: Option<u32>,
    /// Canonical text of the customer's last message.
    #[serde(skip_serializing_if = "is_default")]
    pub last_text: String,
    /// How often in a row `last_text` came.
    #[serde(skip_serializing_if = "is_default")]
    pub same_text: u32,
    /// Canonical text of the customer's last question that an entry answered.
    #[serde(skip_serializing_if = "is_default")]
    pub question: String,
    /// Language of the customer's last message that had one.
    #[serde(skip_serializing_if = "is_default")]
    pub language: Option<Language>,
    /// Digests of the bot's last replies, by which an echo is recognised; one that came back is taken out.
    #[serde(skip_serializing_if = "is_default")]
    pub echoes: Vec<String>,
    /// Ids of the bot's last replies, for channels that pass them back.
    #[serde(skip_serializing_if = "is_default")]
    pub reply_ids: Vec<String>,
    /// Messages that wait to be answered together.
    #[serde(skip_serializing_if = "is_default")]
    pub bubbles: Option<Bubbles>,
    /// An order that waits for its payment.
    #[serde(skip_serializing_if = "is_default")]
    pub unpaid: Option<UnpaidOrder>,
    /// For each kind of timer, when one last fired.
    #[serde(skip_serializing_if = "is_default")]
    pub fired: BTreeMap<TimerKind, Timestamp>,
    /// The customer had another conversation with the shop before this one.
    #[serde(skip_serializing_if = "is_default")]
    pub returning: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Conversation {
    /// Whether the customer writes for the first time, or was silent for `gap` and is met afresh.
    #[must_use]
    pub fn is_first(&self, now: Timestamp, gap: SignedDuration) -> bool {
        self.last_customer_at.is_none_or(|at| now.duration_since(at) >= gap)
    }

    /// How often an entry went out.
    #[must_use]
    pub fn times_sent(&self, entry_id: &str) -> u32 {
        self.entries.iter().find(|sent| sent.entry_id == entry_id).map_or(0, |sent| sent.times)
    }

    /// When a script of this kind last went out.
    #[must_use]
    pub fn script_sent_at(&self, kind: ScriptKind) -> Option<Timestamp> {
        self.scripts.iter().find(|sent| sent.kind == kind).map(|sent| sent.at)
    }

    /// When the agent who has the conversation last did something, and whether it was handed or taken over.
    #[must_use]
    pub fn agent_active_at(&self) -> Option<(Timestamp, bool)> {
        match self.phase {
            Phase::Assigned { since, taken_over, .. } => {
                Some((self.last_human_at.map_or(since, |at| at.max(since)), taken_over))
            }
            Phase::New | Phase::Bot | Phase::Queued { .. } | Phase::Closed { .. } => None,
        }
    }

    /// Whether what came from the shop's side is one of our own replies coming back: by its id where the channel tells
    /// it, else by its text.
    #[must_use]
    pub fn is_echo(&self, id: Option<&str>, text: &str) -> bool {
        match id {
            Some(id) => self.reply_ids.iter().any(|known| known == id),
            None => self.echoes.contains(&digest(text)),
        }
    }

    /// The conversation without what was written in it and what was known of who wrote: where it is in its life, its
    /// clocks and its count of events.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self {
            last_text: String::new(),
            question: String::new(),
            same_text: 0,
            echoes: Vec::new(),
            bubbles: None,
            unpaid: None,
            ..self
        }
    }
}

/// What is kept of a reply to know it again: 24 hex digits.
#[must_use]
pub fn digest(text: &str) -> String {
    stable_id("", &[text])
}
