//! Scripts 话术: what is sent by situation, not by question.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scope::Validity;
use crate::analysis::language::Language;
use crate::hours::Week;

/// The situation a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptKind {
    /// First message.
    Greeting,
    /// Agents are busy.
    Waiting,
    /// Nobody is there.
    OffHours,
    /// Paid, closed or farewell.
    Closing,
    /// Something is broken.
    Incident,
    /// The order is not paid.
    Reminder,
    /// The order was sent.
    Shipped,
    /// The money was sent back.
    Refunded,
    /// The reply clock runs out.
    Holding,
    /// A human takes over.
    Handoff,
    /// The customer is angry.
    Empathy,
    /// Stands before a menu.
    Clarify,
    /// Names what else the message asked, after the answer.
    Also,
    /// The message is an advertisement.
    Advertisement,
}

impl ScriptKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Greeting,
        Self::Waiting,
        Self::OffHours,
        Self::Closing,
        Self::Incident,
        Self::Reminder,
        Self::Shipped,
        Self::Refunded,
        Self::Holding,
        Self::Handoff,
        Self::Empathy,
        Self::Clarify,
        Self::Also,
        Self::Advertisement,
    ];
}

/// Part of a campaign's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// No campaign is near.
    #[default]
    Everyday,
    /// 活动前.
    Before,
    /// 活动中.
    During,
    /// 活动后.
    After,
}

/// Whether a human can answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentsState {
    /// Somebody has room for a conversation.
    #[default]
    Free,
    /// Everybody is at capacity.
    Busy,
    /// Outside opening hours, or nobody is online.
    OffHours,
}

/// Whether the customer has written to the shop before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerKind {
    /// The first conversation.
    New,
    /// An earlier conversation is known.
    Returning,
}

/// What ends a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosingEvent {
    /// The order was paid.
    Paid,
    /// The customer said goodbye, or the conversation was closed.
    Farewell,
}

/// When a script may be sent; an absent condition always holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    /// Part of the campaign calendar.
    pub profile: Option<Profile>,
    /// State of the agents.
    pub agents: Option<AgentsState>,
    /// New or returning customer.
    pub customer: Option<CustomerKind>,
    /// Event that ends the conversation.
    pub event: Option<ClosingEvent>,
    /// Tiers of customers, such as `vip`; empty means all.
    pub tier: Vec<String>,
    /// Shop ids; empty means all.
    pub shops: Vec<String>,
    /// Channel ids; empty means all.
    pub channels: Vec<String>,
    /// Hours of the week.
    pub schedule: Option<Arc<Week>>,
    /// Days.
    pub validity: Validity,
}

/// A script with its wordings. Its kind has at least one wording or a fallback.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Unique among the scripts.
    pub id: Arc<str>,
    /// Situation.
    pub kind: ScriptKind,
    /// When it may be sent.
    pub conditions: Conditions,
    /// Wordings by language; of several one is chosen per conversation.
    pub wordings: BTreeMap<Language, Vec<String>>,
    /// Shorter wordings that stand before an answer (greetings only).
    pub leads: BTreeMap<Language, Vec<String>>,
    /// Wording that needs nothing that may be missing.
    pub fallback: Option<String>,
}
