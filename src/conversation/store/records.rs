//! What the store gives back: rows as values.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::analysis::mask::mask_json;
use crate::conversation::clock::Round;
use crate::conversation::event::ConversationKey;
use crate::conversation::model::Conversation;
use crate::conversation::outgoing::{FailureClass, Outgoing, PushState};

/// A conversation as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConversation {
    /// Its name.
    pub key: ConversationKey,
    /// Its customer.
    pub customer_id: String,
    /// Its facts.
    pub facts: Conversation,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When its next timer is due.
    pub due_at: Option<Timestamp>,
}

/// A conversation whose timer is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Which.
    pub key: ConversationKey,
    /// Its customer.
    pub customer_id: String,
    /// Its facts as they were read.
    pub facts: Conversation,
    /// When it was due.
    pub due_at: Timestamp,
}

/// Which conversations are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Shop.
    pub shop: Option<String>,
    /// Name of the phase.
    pub phase: Option<String>,
    /// Customer within the channel.
    pub customer_id: Option<String>,
    /// Only those last changed before.
    pub before: Option<Timestamp>,
    /// Only those that queue, longest wait first.
    pub by_wait: bool,
    /// At most so many.
    pub limit: u32,
}

/// An event with what was decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredEvent {
    /// Its number in the conversation, from 1.
    pub seq: u64,
    /// When it was received.
    pub received_at: Timestamp,
    /// As it came, with what the shop's own systems knew in its context.
    pub event: Value,
    /// As it was answered.
    pub decision: Value,
}

/// What the service itself writes into a decision: no text of a customer, though it may look like a number of one.
const OWN: [&str; 6] = ["id", "entry_id", "entry_version", "script_id", "script_version", "generation"];

impl StoredEvent {
    /// Hides personal data in what was said and sent; versions, ids of replies and times stay.
    pub fn mask(&mut self) {
        mask_json(&mut self.event);
        mask_but_own(&mut self.decision);
    }
}

fn mask_but_own(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask_but_own),
        Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(name, _)| !OWN.contains(&name.as_str()))
                .for_each(|(_, value)| mask_but_own(value));
        }
        text => mask_json(text),
    }
}

/// Somebody who was told of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// In which conversation.
    #[serde(flatten)]
    pub key: ConversationKey,
    /// Who.
    pub customer_id: String,
    /// When.
    pub at: Timestamp,
}

/// Until when claimed pushes stay with who claimed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leases {
    /// Those of webhooks.
    pub webhook: Timestamp,
    /// Those of channel accounts.
    pub account: Timestamp,
}

impl From<Timestamp> for Leases {
    fn from(at: Timestamp) -> Self {
        Self { webhook: at, account: at }
    }
}

/// A push that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What is pushed.
    pub outgoing: Outgoing,
    /// Attempts before this one.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a human last wrote in its conversation.
    pub human_at: Option<Timestamp>,
}

/// A push as listed.
#[derive(Debug, Clone, PartialEq)]
pub struct PushRow {
    /// Its number: newer ones are greater.
    pub seq: i64,
    /// What is pushed.
    pub outgoing: Outgoing,
    /// Where it stands.
    pub state: PushState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is tried next, where it is pending.
    pub due_at: Timestamp,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Of what kind that was.
    pub failure: Option<FailureClass>,
}

/// A push that had been taken, and did not arrive after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its id.
    pub id: String,
    /// Of what kind the failure was.
    pub class: FailureClass,
    /// Why.
    pub error: String,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The receiver has it.
    Sent,
    /// It failed and is tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why it failed.
        error: String,
        /// Of what kind that was.
        class: FailureClass,
    },
    /// It is given up.
    Dead {
        /// Why.
        error: String,
        /// Of what kind that was.
        class: FailureClass,
    },
    /// It is not needed any more.
    Dropped {
        /// Why.
        reason: String,
    },
}

/// An endpoint that is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EndpointState {
    /// As configured.
    pub name: String,
    /// When it was switched off.
    #[schema(value_type = String, format = DateTime)]
    pub disabled_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A wait as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRound {
    /// Whose.
    pub key: ConversationKey,
    /// The wait.
    pub round: Round,
    /// The conversation is closed by now, or gone.
    pub closed: bool,
}

/// What an erasure took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Erased {
    /// Conversations.
    pub conversations: u64,
    /// Events.
    pub events: u64,
    /// Pushes.
    pub pushes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_service_wrote_itself_is_not_taken_for_personal_data() {
        let number = "13812345678";
        let own =
            json!({ "entry_version": number, "generation": number, "human_reply": "2026-11-22T08:21:13.097524598Z" });
        let mut stored = StoredEvent {
            seq: 1,
            received_at: Timestamp::UNIX_EPOCH,
            event: json!({ "text": number, "entry_version": number, "sent_at": "2026-11-22T08:21:13.097524598Z" }),
            decision: json!({ "own": own, "replies": [{ "id": number, "text": number }], "later": [[number]] }),
        };
        stored.mask();
        let sent_at = "2026-11-22T08:21:13.097524598Z";
        assert_eq!(stored.event, json!({ "text": "〔手机〕", "entry_version": "〔手机〕", "sent_at": sent_at }));
        let replies = json!([{ "id": number, "text": "〔手机〕" }]);
        assert_eq!(stored.decision, json!({ "own": own, "replies": replies, "later": [["〔手机〕"]] }));
    }
}
