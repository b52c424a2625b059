//! A conversation as its customer sees it: who said what, in order.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Bot;
use crate::conversation::event::ConversationKey;
use crate::conversation::store::{StoreError, StoredEvent};

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The customer.
    Customer,
    /// The bot.
    Bot,
    /// A human of the shop.
    Agent,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Line {
    /// Number of the event in the conversation, from 1: a message and the reply to it share one.
    pub seq: u64,
    /// Unique in the conversation.
    pub id: String,
    /// Who said it.
    pub from: Side,
    /// What.
    pub text: String,
    /// What a menu's lines say: each may be sent as it is.
    pub options: Vec<String>,
    /// When it was stored.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Bot {
    /// What was said from event `from` on, in `limit` events at most; whether there are more, and the number of the last
    /// event read.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn transcript(
        &self,
        key: &ConversationKey,
        from: u64,
        limit: u32,
    ) -> Result<(Vec<Line>, bool, u64), StoreError> {
        let events = self.store.history(key, from, limit).await?;
        let last = events.last().map_or(from.saturating_sub(1), |event| event.seq);
        let more = events.len() == limit as usize;
        Ok((events.iter().flat_map(lines).collect(), more, last))
    }
}

/// What an event and its decision said.
fn lines(stored: &StoredEvent) -> Vec<Line> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let line = |from: Side, id: String, text: String| Line {
        seq: stored.seq,
        id,
        from,
        text,
        options: Vec::new(),
        at: stored.received_at,
    };
    let (event, decision) = (&stored.event, &stored.decision);
    let from = match event["kind"].as_str() {
        Some("message") => Some(Side::Customer),
        Some("agent_message") if decision["reason"] != "echo" => Some(Side::Agent),
        _ => None,
    };
    let mut lines: Vec<Line> =
        from.map(|from| line(from, text(event, "message_id"), text(event, "text"))).into_iter().collect();
    let replies = decision["replies"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.extend(replies.iter().map(|reply| line(Side::Bot, text(reply, "id"), text(reply, "text"))));
    let options = decision["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(last) = lines.last_mut().filter(|_| !replies.is_empty()) {
        last.options = options.iter().filter_map(|option| Some(option.as_str()?.to_owned())).collect();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(event: Value, decision: Value) -> StoredEvent {
        StoredEvent { seq: 3, received_at: Timestamp::UNIX_EPOCH, event, decision }
    }

    fn said(stored: &StoredEvent) -> Vec<(Side, String)> {
        lines(stored).into_iter().map(|line| (line.from, line.text)).collect()
    }

    #[test]
    fn a_message_comes_before_its_reply_and_the_reply_has_the_menu() {
        let decision = json!({ "replies": [{ "id": "r", "text": "您想问：" }], "options": ["退货", "换货"], "reason": "near_tie" });
        let stored = stored(json!({ "kind": "message", "message_id": "m", "text": "退" }), decision);
        assert_eq!(said(&stored), [(Side::Customer, "退".to_owned()), (Side::Bot, "您想问：".to_owned())]);
        assert_eq!(lines(&stored)[1].options, ["退货", "换货"]);
    }

    #[test]
    fn an_echo_is_not_said_twice_and_a_human_is_no_bot() {
        let event = json!({ "kind": "agent_message", "message_id": "m", "text": "在的" });
        assert_eq!(said(&stored(event.clone(), json!({ "reason": "echo", "replies": [] }))), []);
        let human = stored(event, json!({ "reason": "agent_active", "replies": [] }));
        assert_eq!(said(&human), [(Side::Agent, "在的".to_owned())]);
        assert_eq!(
            said(&stored(json!({ "kind": "timer", "text": "退" }), json!({ "replies": [{ "text": "a" }] }))),
            [(Side::Bot, "a".to_owned())]
        );
    }
}
