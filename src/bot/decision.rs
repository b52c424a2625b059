//! A decision and a suggestion as callers see them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::analysis::language::Language;
use crate::matching::Features;
use crate::reply::policy::Delivery;
use crate::reply::{Action, Rule};

/// An entry that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Considered {
    /// Its id.
    pub entry_id: String,
    /// Its canonical question.
    pub question: String,
    /// Probability that it is the one asked for, in 0..=1.
    pub confidence: f32,
}

/// Until when the platform wants which reply; none when nobody waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deadlines {
    /// Any reply.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub any_reply: Option<Timestamp>,
    /// A human's reply.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub human_reply: Option<Timestamp>,
}

/// One message that goes to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OutgoingReply {
    /// Its id: a channel that passes it back in `echo_of` lets us know our own message.
    pub id: String,
    /// Plain text.
    pub text: String,
    /// BCP 47 tag of its language.
    #[schema(value_type = String, example = "zh-Hans")]
    pub language: Language,
}

/// What was decided about an event, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// What the customer gets.
    #[schema(value_type = String, example = "answer")]
    pub action: Action,
    /// Messages to send, in order; empty when the customer gets nothing.
    pub replies: Vec<OutgoingReply>,
    /// Entry answered with.
    pub entry_id: Option<String>,
    /// Hash of the wordings of that entry, as they were then.
    pub entry_version: Option<String>,
    /// The script that was used; with an answer, the greeting before it.
    pub script_id: Option<String>,
    /// Hash of the wordings of that script, as they were then.
    pub script_version: Option<String>,
    /// Probability that the entry is the one asked for, in 0..=1.
    pub confidence: Option<f32>,
    /// The rule that decided.
    #[schema(value_type = String, example = "confident_match")]
    pub reason: Rule,
    /// The best entries, best first.
    pub candidates: Vec<Considered>,
    /// Entries of the menu that was sent: the customer may answer with their number.
    pub menu: Vec<String>,
    /// What the menu's lines say, in its order: a channel with buttons shows them.
    #[serde(default)]
    pub options: Vec<String>,
    /// How the replies go out: `response`, or `push` to the endpoints that subscribe to replies.
    pub delivery: Delivery,
    /// Where the conversation is afterwards: `new`, `bot`, `queued`, `assigned`, `closed`.
    pub phase: String,
    /// `any_reply` when a reply goes out: whether that protects a reply rate is the platform's rule.
    pub counts_as: Option<String>,
    /// Until when the platform wants which reply.
    pub deadlines: Deadlines,
    /// Fingerprint of the knowledge that decided.
    pub generation: String,
}

/// An entry offered to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Suggestion {
    /// Its id.
    pub entry_id: String,
    /// Its canonical question.
    pub question: String,
    /// Its answer in the language of the query, placeholders filled as far as they are known.
    pub answer: String,
    /// The phrasing that matched best, in canonical text.
    pub phrasing: String,
    /// Ranges of `phrasing`, in characters, that the query shares.
    pub highlights: Vec<[usize; 2]>,
    /// Probability that it is the one asked for, in 0..=1.
    pub confidence: f32,
    /// Features of the match, each in 0..=1.
    #[schema(value_type = Object)]
    pub why: Features,
    /// Whether the bot would send it by itself.
    pub bot_may_send: bool,
}

/// Where an agent searches.
#[derive(Debug, Clone, Default)]
pub struct SuggestionQuery {
    /// Shop id.
    pub shop: String,
    /// What the customer wrote, or the agent types.
    pub text: String,
    /// Most suggestions.
    pub limit: usize,
    /// Category of the product.
    pub category: Option<String>,
    /// The product.
    pub product: Option<String>,
}
