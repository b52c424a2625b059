//! Which pushes a decision makes: its replies where they are pushed, and what others subscribe to.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decision::{Decision, OutgoingReply};
use super::reading::Reading;
use crate::conversation::outgoing::{Outgoing, PushKind, Subscriber, stable_id};
use crate::conversation::phase::Phase;
use crate::reply::policy::Delivery;
use crate::reply::{Choice, Rule};

/// Pushes of one decision; `missed` when nothing was found for a question.
pub(super) fn pushes(reading: &Reading, choice: &Choice, decision: &Decision, missed: bool) -> Vec<Outgoing> {
    let mut outgoing: Vec<Outgoing> =
        decision.replies.iter().flat_map(|reply| replies(reading, decision, reply)).collect();
    let complains = matches!(choice.rule, Rule::Complaint | Rule::Anger);
    for (kind, happens) in
        [(PushKind::Handoff, choice.hands_over), (PushKind::Complaint, complains), (PushKind::Unanswered, missed)]
    {
        if happens {
            let considered: Vec<&str> = decision.candidates.iter().map(|found| found.entry_id.as_str()).collect();
            let more = json!({ "text": reading.event.text, "reason": decision.reason, "considered": considered });
            outgoing.extend(subscribers(reading, kind).map(|subscriber| about(reading, subscriber, kind, 0, &more)));
        }
    }
    outgoing
}

/// A reply to those who bring it: whole to an endpoint; to a channel account in as many messages as its platform needs,
/// one push each, so that none is sent twice because another failed. Of a reply that is in the response, an account brings
/// what did not fit there.
fn replies<'a>(
    reading: &'a Reading,
    decision: &'a Decision,
    reply: &'a OutgoingReply,
) -> impl Iterator<Item = Outgoing> + use<'a> {
    let with_humans = Phase::is_with_humans(&decision.phase);
    subscribers(reading, PushKind::Reply).flat_map(move |subscriber| {
        let pushed = decision.delivery == Delivery::Push || (subscriber.passes_on && with_humans);
        let texts = match subscriber.limit {
            Some(limit) => limit.split(&reply.text),
            None => vec![reply.text.clone()],
        };
        let (skipped, last) = (usize::from(!pushed), texts.len().saturating_sub(1));
        let skipped = if subscriber.limit.is_some() || pushed { skipped } else { texts.len() };
        let parts = texts.into_iter().enumerate().skip(skipped);
        parts.map(move |(part, text)| {
            let mut more = json!({
                "reply_id": reply.id, "text": text, "language": reply.language, "action": decision.action,
                "reason": decision.reason, "entry_id": decision.entry_id, "script_id": decision.script_id,
                "menu": decision.menu,
            });
            if part == last && !decision.options.is_empty() {
                more["options"] = json!(decision.options);
            }
            if let (0, true, Some(token)) = (part, subscriber.limit.is_some(), &reading.event.reply_to) {
                more["reply_to"] = json!(token);
            }
            about(reading, subscriber, PushKind::Reply, part, &more)
        })
    })
}

/// The messages that a text becomes: what comes back from the platform is one of them.
pub(super) fn messages(reading: &Reading, text: &str) -> Vec<String> {
    let limit = subscribers(reading, PushKind::Reply).find_map(|subscriber| subscriber.limit);
    limit.map_or_else(|| vec![text.to_owned()], |limit| limit.split(text))
}

fn subscribers(reading: &Reading, kind: PushKind) -> impl Iterator<Item = &Subscriber> {
    let (shop, channel) = (reading.event.shop.as_str(), reading.event.channel.as_str());
    reading.subscribers.iter().filter(move |subscriber| subscriber.wants(kind, shop, Some(channel)))
}

/// A push about the event; its id follows from the event, so that it is the same however often the decision is made.
fn about(reading: &Reading, subscriber: &Subscriber, kind: PushKind, part: usize, more: &Value) -> Outgoing {
    let event = &reading.event;
    let (shop, channel) = (event.shop.as_str(), event.channel.as_str());
    let mut data = json!({
        "shop": shop, "channel": channel, "conversation_id": event.conversation_id,
        "customer_id": event.customer_id, "message_id": event.message_id,
    });
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more.clone());
    }
    let part = part.to_string();
    let mut about = vec![channel, shop, event.message_id.as_str()];
    about.extend((part != "0").then_some(part.as_str()));
    Outgoing { conversation: Some(event.conversation()), ..push(subscriber, kind, &about, reading.now, &data) }
}

/// A push to an endpoint, in the shape that Standard Webhooks recommends: type, time and data. Its id follows from the
/// endpoint, the kind and what it is about.
pub(super) fn push(subscriber: &Subscriber, kind: PushKind, about: &[&str], now: Timestamp, data: &Value) -> Outgoing {
    let parts: Vec<&str> = [subscriber.name.as_str(), kind.name()].into_iter().chain(about.iter().copied()).collect();
    Outgoing {
        id: stable_id("msg_", &parts),
        endpoint: subscriber.name.clone(),
        kind: kind.name().to_owned(),
        conversation: None,
        body: json!({ "type": kind.name(), "timestamp": now, "data": data }).to_string(),
    }
}
