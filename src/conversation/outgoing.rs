//! What goes out by itself: who subscribes to what, and a row of the outbox, written with the decision it belongs to.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::ConversationKey;
use super::parts::TextLimit;

/// What may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// A reply to a customer: the receiver sends it on.
    Reply,
    /// A human is needed.
    Handoff,
    /// A customer complains, is angry or in danger.
    Complaint,
    /// A question that nothing was found for.
    Unanswered,
    /// An incident was opened, changed or closed.
    Incident,
    /// What happened at a shop on a day.
    DailyDigest,
}

impl PushKind {
    /// Name as configured and sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Handoff => "handoff",
            Self::Complaint => "complaint",
            Self::Unanswered => "unanswered",
            Self::Incident => "incident",
            Self::DailyDigest => "daily_digest",
        }
    }
}

/// An endpoint that gets pushes by Standard Webhooks.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Unique; stands in lists and logs.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Key of its signatures: `whsec_...`.
    pub secret: String,
    /// What it gets.
    pub events: Vec<PushKind>,
    /// Shops it gets it of; empty means all.
    #[serde(default)]
    pub shops: Vec<String>,
    /// Channel accounts it gets it of; empty means all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// It may stand at a private address.
    #[serde(default)]
    pub allow_private: bool,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("events", &self.events).finish_non_exhaustive()
    }
}

/// Who gets pushes: an endpoint that is configured, or a channel account that brings replies to its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Unique; stands in the outbox.
    pub name: String,
    /// What it gets.
    pub events: Vec<PushKind>,
    /// Shops it gets it of; empty means all.
    pub shops: Vec<String>,
    /// Channel accounts it gets it of; empty means all.
    pub channels: Vec<String>,
    /// How long a message it brings may be; none where replies go out whole. Whoever has a limit speaks to customers.
    pub limit: Option<TextLimit>,
    /// The response passes a conversation to humans instead of bringing a reply: all of the reply is pushed then.
    pub passes_on: bool,
}

impl From<&Webhook> for Subscriber {
    fn from(webhook: &Webhook) -> Self {
        Self {
            name: webhook.name.clone(),
            events: webhook.events.clone(),
            shops: webhook.shops.clone(),
            channels: webhook.channels.clone(),
            limit: None,
            passes_on: false,
        }
    }
}

impl Subscriber {
    /// Whether it gets pushes of this kind from this shop and channel; what belongs to no channel goes to all.
    #[must_use]
    pub fn wants(&self, kind: PushKind, shop: &str, channel: Option<&str>) -> bool {
        let within = |list: &[String], value: &str| list.is_empty() || list.iter().any(|known| known == value);
        self.events.contains(&kind)
            && within(&self.shops, shop)
            && channel.is_none_or(|channel| within(&self.channels, channel))
    }
}

/// Whether somebody gets pushes of this kind from this shop and channel.
#[must_use]
pub fn is_wanted(subscribers: &[Subscriber], kind: PushKind, shop: &str, channel: Option<&str>) -> bool {
    subscribers.iter().any(|subscriber| subscriber.wants(kind, shop, channel))
}

/// An id that is the same whenever the same parts are named: `prefix` and 24 hex digits of a SHA-256.
#[must_use]
pub fn stable_id(prefix: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    let digest = hex::encode(hasher.finalize());
    format!("{prefix}{}", digest.get(..24).unwrap_or(&digest))
}

/// A push that is due, as the outbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Stable over all attempts: receivers de-duplicate by it.
    pub id: String,
    /// Name of the endpoint, as configured.
    pub endpoint: String,
    /// What it is: `reply`, `handoff` ...
    pub kind: String,
    /// The conversation it belongs to, if it does.
    pub conversation: Option<ConversationKey>,
    /// Its body, JSON.
    pub body: String,
}

/// Why a push did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// It may go better later.
    Retry,
    /// It will not go better as it is.
    GivenUp,
    /// The platform's time for replies to the customer's last message was over.
    WindowClosed,
    /// No more messages were allowed.
    Quota,
    /// The receiver wants no more.
    Gone,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Retry, Self::GivenUp, Self::WindowClosed, Self::Quota, Self::Gone];

    /// Name as stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::GivenUp => "given_up",
            Self::WindowClosed => "window_closed",
            Self::Quota => "quota",
            Self::Gone => "gone",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// Where a push stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// To be sent, or to be tried again.
    Pending,
    /// The receiver has it.
    Sent,
    /// Given up; may be replayed.
    Dead,
    /// Not needed any more: a human was quicker.
    Dropped,
}

impl PushState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sent, Self::Dead, Self::Dropped];

    /// Name as stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
