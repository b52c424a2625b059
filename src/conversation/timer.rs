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

impl TimerKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Bubbles, Self::HandBack, Self::Guard, Self::Unpaid, Self::Position, Self::Idle];

    /// Whether it speaks to a customer who has not just written, so that it keeps out of the quiet hours.
    #[must_use]
    pub fn disturbs(self) -> bool {
        match self {
            Self::Unpaid | Self::Idle => true,
            Self::Bubbles | Self::HandBack | Self::Guard | Self::Position => false,
        }
    }

    /// Whether it says something that the customer did not ask for, so that it needs an endpoint that takes replies.
    #[must_use]
    pub fn speaks(self) -> bool {
        match self {
            Self::Guard | Self::Unpaid | Self::Position => true,
            Self::Bubbles | Self::HandBack | Self::Idle => false,
        }
    }
}

/// A timer that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timer {
    /// What it is for.
    pub kind: TimerKind,
    /// When it fires.
    pub due: Timestamp,
}
