//! An event as a channel writes it, and the checks that make it an [`InboundEvent`].

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

use super::event::{Context, EventKind, Id, InboundEvent};

/// How far ahead of ours a channel's clock may be.
const CLOCK_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Earliest believable time of an event: 2000-01-01.
const EARLIEST: i64 = 946_684_800;

/// How ids of events begin that the service makes itself: nobody else may take them beforehand.
pub const RESERVED: [&str; 2] = ["timer-", "desk-"];

/// An inbound event.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct EventBody {
    /// Shop id.
    #[schema(example = "demo")]
    pub shop: String,
    /// Channel account.
    #[schema(example = "web")]
    pub channel: String,
    /// Conversation within the channel.
    #[schema(example = "c-1")]
    pub conversation_id: String,
    /// Customer within the channel.
    #[schema(example = "u-1")]
    pub customer_id: String,
    /// Unique within the channel and shop: posting it again gets the same decision and sends nothing new.
    #[schema(example = "m-1")]
    pub message_id: String,
    /// What the customer wrote; needed for `message` and `agent_message`.
    #[serde(default)]
    #[schema(example = "亲，我昨天拍的衣服咋还没寄出来")]
    pub text: String,
    /// `message` (default), `media`, `agent_message`, `agent_joined`, `agent_left`, `takeover`, `hand_back`,
    /// `order_unpaid`, `order_paid`, `order_shipped`, `order_refunded`, `closed`, `recalled`, `system`.
    #[serde(default, rename = "type")]
    #[schema(value_type = Option<String>)]
    pub kind: EventKind,
    /// The sender is known to be a program.
    #[serde(default)]
    pub sender_is_bot: bool,
    /// The human who wrote, joined, left or took over.
    pub agent_id: Option<String>,
    /// With `agent_message`: the id of our reply that comes back, where the channel passes it on.
    pub echo_of: Option<String>,
    /// When it happened, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
    /// What else the channel knows: `customer_name`, `customer` (new, returning), `tier`, `agents` (free, busy,
    /// off_hours), `queue_position`, `wait_minutes`, `audience` (pre-sale, after-sale, assist), `platform`, `category`,
    /// `product`, `region`, `carrier`, `order_id`, `order_state` (unpaid, paid, shipped, delivered, refunding, refunded,
    /// closed), `tracking_no`, `ship_time`, `ordered_at`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: Context,
}

/// What is wrong with an event, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EventFault(String);

impl EventBody {
    /// Checks every value; the first fault is told.
    ///
    /// # Errors
    /// What is wrong, by the name of the value.
    pub fn check(self, text_chars: usize, now: Timestamp) -> Result<InboundEvent, EventFault> {
        let fault = |what: String| Err(EventFault(what));
        if self.kind == EventKind::Timer {
            return fault("`type` timer is made by the service itself".to_owned());
        }
        if RESERVED.iter().any(|prefix| self.message_id.starts_with(prefix)) {
            return fault("`message_id` begins like those that the service makes itself (timer-, desk-)".to_owned());
        }
        let needs_text = matches!(self.kind, EventKind::Message | EventKind::AgentMessage);
        if needs_text && self.text.trim().is_empty() {
            return fault(
                "`text` is missing or empty; for a message without text send `\"type\": \"media\"`".to_owned(),
            );
        }
        if self.text.chars().count() > text_chars {
            return fault(format!("`text` has more than {text_chars} characters (limits.text_chars)"));
        }
        if let Some(sent_at) = self.sent_at {
            believable(sent_at, now)?;
        }
        Ok(InboundEvent {
            shop: id("shop", self.shop)?,
            channel: id("channel", self.channel)?,
            conversation_id: id("conversation_id", self.conversation_id)?,
            customer_id: id("customer_id", self.customer_id)?,
            message_id: id("message_id", self.message_id)?,
            kind: self.kind,
            text: self.text,
            sender_is_bot: self.sender_is_bot,
            agent_id: self.agent_id.map(|agent| id("agent_id", agent)).transpose()?,
            echo_of: self.echo_of,
            reply_to: None,
            sent_at: self.sent_at,
            context: self.context,
        })
    }
}

/// An id under its name.
///
/// # Errors
/// When it is empty, too long or has control characters.
pub fn id(name: &str, value: String) -> Result<Id, EventFault> {
    Id::try_from(value).map_err(|error| EventFault(format!("`{name}` {error}")))
}

fn believable(sent_at: Timestamp, now: Timestamp) -> Result<(), EventFault> {
    if sent_at.as_second() < EARLIEST {
        let what = "`sent_at` is before 2000: check the unit, it is RFC 3339 and not a number";
        return Err(EventFault(what.to_owned()));
    }
    if sent_at.duration_since(now) > CLOCK_AHEAD {
        return Err(EventFault("`sent_at` is more than a day ahead: check the channel's clock".to_owned()));
    }
    Ok(())
}
