//! One inbound event, verified and valid: what a channel says has happened.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::faq::script::{AgentsState, CustomerKind};

/// Longest id, in bytes.
const ID_BYTES: usize = 128;

/// An id given by a channel: 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Id(String);

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {ID_BYTES} bytes and no control characters")]
pub struct BadId;

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        let good = !text.trim().is_empty() && text.len() <= ID_BYTES && !text.chars().any(char::is_control);
        if good { Ok(Self(text)) } else { Err(BadId) }
    }
}

impl Id {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The customer wrote text.
    #[default]
    Message,
    /// The customer sent an image, a sticker, a voice message.
    Media,
    /// Somebody wrote on the shop's side: a human, or an echo of the bot.
    AgentMessage,
    /// An order was paid.
    OrderPaid,
    /// An order is waiting for its payment.
    OrderUnpaid,
    /// The conversation was closed.
    Closed,
    /// A message was taken back.
    Recalled,
    /// The platform wrote a card or a notice.
    System,
}

impl EventKind {
    /// Name as channels write it and the store keeps it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Media => "media",
            Self::AgentMessage => "agent_message",
            Self::OrderPaid => "order_paid",
            Self::OrderUnpaid => "order_unpaid",
            Self::Closed => "closed",
            Self::Recalled => "recalled",
            Self::System => "system",
        }
    }
}

/// What the channel knows besides the text. Everything may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// Name by which the customer may be addressed.
    pub customer_name: Option<String>,
    /// New or returning, when the channel knows better than the store.
    pub customer: Option<CustomerKind>,
    /// State of the agents.
    pub agents: Option<AgentsState>,
    /// Place in the queue, from 1.
    pub queue_position: Option<u32>,
    /// Expected wait in minutes.
    pub wait_minutes: Option<u32>,
    /// Platform, when it is not the shop's own.
    pub platform: Option<String>,
    /// Category of the product asked about.
    pub category: Option<String>,
    /// Product asked about.
    pub product: Option<String>,
    /// Region of the delivery address.
    pub region: Option<String>,
    /// Carrier of the parcel.
    pub carrier: Option<String>,
    /// Order asked about.
    pub order_id: Option<String>,
    /// Tracking number of the parcel.
    pub tracking_no: Option<String>,
    /// When the parcel leaves or left, in words.
    pub ship_time: Option<String>,
    /// When the order was made.
    pub ordered_at: Option<Timestamp>,
}

/// An inbound event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboundEvent {
    /// Shop addressed.
    pub shop: Id,
    /// Channel account it came by.
    pub channel: Id,
    /// Conversation within the channel.
    pub conversation_id: Id,
    /// Customer within the channel.
    pub customer_id: Id,
    /// Unique within the channel; a repeated one is a redelivery.
    pub message_id: Id,
    /// What has happened.
    pub kind: EventKind,
    /// What was written; empty unless it is a message.
    pub text: String,
    /// The sender is known to be a program.
    pub sender_is_bot: bool,
    /// When the channel says it happened.
    pub sent_at: Option<Timestamp>,
    /// What else the channel knows.
    pub context: Context,
}

impl InboundEvent {
    /// SHA-256, in hex, of what a redelivery must repeat. Context and times may change between deliveries.
    #[must_use]
    pub fn identity(&self) -> String {
        let parts = [self.conversation_id.as_str(), self.customer_id.as_str(), self.kind.name(), &self.text];
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        hex::encode(hasher.finalize())
    }
}
