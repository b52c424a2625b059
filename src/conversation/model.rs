//! The facts of one conversation: what was said and sent, as far as the next decision needs it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::analysis::language::Language;
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

/// What is known of a conversation before an event. A new one is all default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    /// When the customer last wrote.
    pub last_customer_at: Option<Timestamp>,
    /// When the customer began to wait for any reply; none when nobody waits.
    pub waiting_since: Option<Timestamp>,
    /// When the customer began to wait for a human; none when a human has replied since.
    pub waiting_for_human_since: Option<Timestamp>,
    /// When a human last wrote.
    pub last_human_at: Option<Timestamp>,
    /// The bot handed over, and the conversation has not been closed since.
    pub handed_over: bool,
    /// Entries sent, in order of their first sending.
    pub entries: Vec<SentEntry>,
    /// Scripts sent, a kind once.
    pub scripts: Vec<SentScript>,
    /// Entries of the menu that is open, in its order.
    pub menu: Vec<String>,
    /// Ids of incidents told.
    pub incidents: Vec<String>,
    /// Bot replies since a human wrote or the customer paused.
    pub replies_in_a_row: u32,
    /// Canonical text of the customer's last message, and how often in a row it came.
    pub last_text: String,
    /// How often in a row `last_text` came.
    pub same_text: u32,
    /// Canonical text of the customer's last question that an entry answered.
    pub question: String,
    /// Language of the customer's last message that had one.
    pub language: Option<Language>,
    /// Texts of the bot's last replies, by which an echo is recognised.
    pub echoes: Vec<String>,
    /// The customer has another conversation with the shop. Told by the store, not kept here.
    #[serde(skip)]
    pub returning: bool,
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
}
