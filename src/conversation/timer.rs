//! What a conversation waits for: kinds of timers. When each is due follows from the facts, see `reply::timers`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happens when the time comes. Of two that are due at once, the first here fires first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// The customer has stopped typing: the messages are answered together.
    Bubbles,
    /// The human has been silent for long: the bot gets the conversation back.
    HandBack,
    /// The reply clock is about to run out: the holding script.
    Guard,
    /// The order is still not paid: the reminder.
    Unpaid,
    /// The place in the queue may have improved.
    Position,
    /// Nobody has said anything for long: the conversation is closed.
    Idle,
}

/// A timer that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timer {
    /// What it is for.
    pub kind: TimerKind,
    /// When it fires.
    pub due: Timestamp,
}
