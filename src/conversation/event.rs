//! One inbound event, verified and valid: what a channel says has happened.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::faq::Audience;
use crate::faq::order::OrderState;
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
    /// An order left the house.
    OrderShipped,
    /// The money of an order went back.
    OrderRefunded,
    /// A human opened the conversation.
    AgentJoined,
    /// The human left it.
    AgentLeft,
    /// A human takes the conversation from the bot until it is handed back.
    Takeover,
    /// The human gives it back to the bot.
    HandBack,
    /// The conversation was closed.
    Closed,
    /// A message was taken back.
    Recalled,
    /// The platform wrote a card or a notice.
    System,
    /// A timer of the conversation is due. Made by the service itself, never by a channel.
    Timer,
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
            Self::OrderShipped => "order_shipped",
            Self::OrderRefunded => "order_refunded",
            Self::AgentJoined => "agent_joined",
            Self::AgentLeft => "agent_left",
            Self::Takeover => "takeover",
            Self::HandBack => "hand_back",
            Self::Closed => "closed",
            Self::Recalled => "recalled",
            Self::System => "system",
            Self::Timer => "timer",
        }
    }

    /// Whether the customer said something.
    #[must_use]
    pub fn is_customers(self) -> bool {
        matches!(self, Self::Message | Self::Media)
    }
}

/// What the channel knows besides the text. Everything may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// Name by which the customer may be addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// New or returning, when the channel knows better than the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerKind>,
    /// State of the agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<AgentsState>,
    /// Place in the queue, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u32>,
    /// Expected wait in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_minutes: Option<u32>,
    /// Platform, when it is not the shop's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Category of the product asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Product asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Region of the delivery address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Carrier of the parcel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Order asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// State of that order: `unpaid`, `paid`, `shipped`, `delivered`, `refunding`, `refunded`, `closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_state: Option<OrderState>,
    /// The customer's rank with the shop, such as `vip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Desk that the conversation is for, when the channel knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Tracking number of the parcel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_no: Option<String>,
    /// When the parcel leaves or left, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_time: Option<String>,
    /// When the order was made.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    /// The human who wrote, joined, left or took over.
    pub agent_id: Option<Id>,
    /// Id of our reply that comes back, where the channel passes it on.
    pub echo_of: Option<String>,
    /// By what the platform takes an answer to this very message, where it wants that (a reply token).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// When the channel says it happened.
    pub sent_at: Option<Timestamp>,
    /// What else the channel knows.
    pub context: Context,
}

/// Names a conversation everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConversationKey {
    /// Channel account.
    pub channel: String,
    /// Shop.
    pub shop: String,
    /// Conversation within the channel.
    pub conversation_id: String,
}

impl InboundEvent {
    /// The conversation it belongs to.
    #[must_use]
    pub fn conversation(&self) -> ConversationKey {
        ConversationKey {
            channel: self.channel.to_string(),
            shop: self.shop.to_string(),
            conversation_id: self.conversation_id.to_string(),
        }
    }

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
