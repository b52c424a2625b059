//! Which pushes a decision makes: its replies where they are pushed, and what others subscribe to.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decision::Decision;
use super::reading::Reading;
use crate::conversation::outgoing::{Outgoing, PushKind, Webhook, stable_id};
use crate::reply::policy::Delivery;
use crate::reply::{Choice, Rule};

/// Pushes of one decision; `missed` when nothing was found for a question.
pub(super) fn pushes(reading: &Reading, choice: &Choice, decision: &Decision, missed: bool) -> Vec<Outgoing> {
    let mut outgoing = Vec::new();
    if decision.delivery == Delivery::Push {
        for reply in &decision.replies {
            let more = json!({
                "reply_id": reply.id, "text": reply.text, "language": reply.language, "action": decision.action,
                "reason": decision.reason, "entry_id": decision.entry_id, "script_id": decision.script_id,
                "menu": decision.menu,
            });
            outgoing.extend(to_subscribers(reading, PushKind::Reply, &more));
        }
    }
    let complains = matches!(choice.rule, Rule::Complaint | Rule::Anger);
    for (kind, happens) in
        [(PushKind::Handoff, choice.hands_over), (PushKind::Complaint, complains), (PushKind::Unanswered, missed)]
    {
        if happens {
            let considered: Vec<&str> = decision.candidates.iter().map(|found| found.entry_id.as_str()).collect();
            let more = json!({ "text": reading.event.text, "reason": decision.reason, "considered": considered });
            outgoing.extend(to_subscribers(reading, kind, &more));
        }
    }
    outgoing
}

/// One push for each endpoint that wants it; its id follows from the event, so that it is the same however often the
/// decision is made.
fn to_subscribers<'a>(
    reading: &'a Reading,
    kind: PushKind,
    more: &'a Value,
) -> impl Iterator<Item = Outgoing> + use<'a> {
    let event = &reading.event;
    let (shop, channel) = (event.shop.as_str(), event.channel.as_str());
    let wanting = reading.webhooks.iter().filter(move |webhook| webhook.wants(kind, shop, Some(channel)));
    wanting.map(move |webhook| {
        let mut data = json!({
            "shop": shop, "channel": channel, "conversation_id": event.conversation_id,
            "customer_id": event.customer_id, "message_id": event.message_id,
        });
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more.clone());
        }
        let about = [channel, shop, event.message_id.as_str()];
        Outgoing { conversation: Some(event.conversation()), ..push(webhook, kind, &about, reading.now, &data) }
    })
}

/// A push to an endpoint, in the shape that Standard Webhooks recommends: type, time and data. Its id follows from the
/// endpoint, the kind and what it is about.
pub(super) fn push(webhook: &Webhook, kind: PushKind, about: &[&str], now: Timestamp, data: &Value) -> Outgoing {
    let parts: Vec<&str> = [webhook.name.as_str(), kind.name()].into_iter().chain(about.iter().copied()).collect();
    Outgoing {
        id: stable_id("msg_", &parts),
        endpoint: webhook.name.clone(),
        kind: kind.name().to_owned(),
        conversation: None,
        body: json!({ "type": kind.name(), "timestamp": now, "data": data }).to_string(),
    }
}
