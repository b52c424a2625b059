//! Customers who write at once, again and out of patience; and the audit of what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::chance::Chance;
use super::node::Caller;
use super::receiver::{Attempt, Receiver};
use crate::harness::{message, with};

/// What customers say: answers, menus of nothing, greetings, and now and then a human is wanted.
const TEXTS: [&str; 9] = [
    "什么时候发货",
    "会员日是哪天",
    "書包有幾種顏色",
    "鼠标驱动怎么装",
    "你好",
    "谢谢",
    "我的包裹到哪里了",
    "火星上有水吗",
    "转人工",
];

/// Configuration with a channel that pushes, and the receiver.
pub fn config(receiver: &Receiver) -> String {
    let defaults =
        "[defaults]\nbreaker_replies = 1000000\n[defaults.channels.push]\nreplies = \"push\"\ndebounce_ms = 50\n";
    format!("{defaults}{}", receiver.webhook("desk", "allow_private = true"))
}

/// A message of conversation `number`; every second one is on the channel that pushes.
pub fn message_to(name: &str, number: u64, text: &str) -> Value {
    let channel = if number.is_multiple_of(2) { "web" } else { "push" };
    with(message(&format!("{name}-{number}"), text), json!({ "channel": channel }))
}

/// What was posted, with the answer where there was one.
#[derive(Debug, Clone)]
pub struct Posted {
    pub event: Value,
    /// Body of the 200 that the sender saw.
    pub acknowledged: Option<String>,
}

/// Everything posted in a test.
#[derive(Debug, Default)]
pub struct Ledger {
    pub acknowledged: BTreeMap<String, (Value, String)>,
    /// Never acknowledged: channels deliver it again.
    pub open: Vec<Value>,
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key].as_str().unwrap()
}

impl Ledger {
    /// Two acknowledgements of one message must be the same.
    pub fn take(&mut self, posted: Vec<Posted>) {
        for Posted { event, acknowledged } in posted {
            let id = text(&event, "message_id").to_owned();
            match (acknowledged, self.acknowledged.get(&id)) {
                (Some(body), Some((_, known))) => assert_eq!(body, *known, "one answer for {id}"),
                (Some(body), None) => drop(self.acknowledged.insert(id, (event, body))),
                (None, Some(_)) => {}
                (None, None) => self.open.push(event),
            }
        }
        let acknowledged = &self.acknowledged;
        self.open.retain(|event| !acknowledged.contains_key(text(event, "message_id")));
    }

    fn conversations(&self) -> BTreeSet<(String, String)> {
        let events = self.acknowledged.values().map(|(event, _)| event);
        events.map(|event| (text(event, "channel").to_owned(), text(event, "conversation_id").to_owned())).collect()
    }
}

/// Posts as fast as answers come, until the node is gone: new messages, the same twice at once, and old ones again.
/// Conversations are shared with other senders.
pub async fn write_on(caller: Caller, mut chance: Chance, name: String, open: Vec<Value>) -> Vec<Posted> {
    let mut posted: Vec<Posted> = Vec::new();
    let mut open = open.into_iter();
    loop {
        let event = match (chance.below(5), posted.len()) {
            (0, 1..) => posted[usize::try_from(chance.next()).unwrap() % posted.len()].event.clone(),
            _ => open.next().unwrap_or_else(|| {
                let said = TEXTS[usize::try_from(chance.below(TEXTS.len() as u64)).unwrap()];
                message_to(&name, chance.below(6), said)
            }),
        };
        let times = if chance.below(8) == 0 { 2 } else { 1 };
        let mut gone = false;
        for answer in at_once((0..times).map(|_| caller.clone()), &event).await {
            let body = answer.ok().map(|answer| {
                assert_eq!(answer.status, 200, "{event}: {}", answer.body);
                answer.body
            });
            gone |= body.is_none();
            posted.push(Posted { event: event.clone(), acknowledged: body });
        }
        if gone {
            return posted;
        }
    }
}

/// Posts one event by several callers at the same time.
pub async fn at_once(
    callers: impl Iterator<Item = Caller>,
    event: &Value,
) -> Vec<Result<crate::harness::Answer, reqwest::Error>> {
    let posts = callers.map(|caller| {
        let event = event.clone();
        tokio::spawn(async move { caller.post(&event).await })
    });
    let mut answers = Vec::new();
    for post in posts.collect::<Vec<_>>() {
        answers.push(post.await.unwrap());
    }
    answers
}

/// Delivers again what was never acknowledged, as channels do.
pub async fn deliver_again(caller: &Caller, ledger: &mut Ledger) {
    for event in std::mem::take(&mut ledger.open) {
        let answer = caller.post(&event).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        ledger.take(vec![Posted { event, acknowledged: Some(answer.body) }]);
    }
}

/// Whatever was acknowledged gets the same answer as a redelivery.
pub async fn everything_acknowledged_is_there(caller: &Caller, ledger: &Ledger) {
    let all: Vec<(Value, String)> = ledger.acknowledged.values().cloned().collect();
    let tasks: Vec<_> = all
        .chunks(all.len().div_ceil(8).max(1))
        .map(|part| {
            let (caller, part) = (caller.clone(), part.to_vec());
            tokio::spawn(async move {
                for (event, body) in part {
                    let again = caller.post(&event).await.unwrap();
                    assert_eq!(again.status, 200, "{}", again.body);
                    assert!(again.is_duplicate(), "it was stored: {event}");
                    assert_eq!(again.body, body, "{event}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Whether histories are whole, timers have fired, and the receiver has every reply once, in order; what is missing.
pub async fn audit(caller: &Caller, receiver: &Receiver, ledger: &Ledger) -> Result<(), String> {
    let received = receiver.received();
    let mut unknown: BTreeSet<&str> = received.iter().map(|push| push.id.as_str()).collect();
    for (channel, conversation) in ledger.conversations() {
        let events = caller.events(&channel, &conversation).await;
        check_history(&events, ledger);
        if let Some(waiting) = unanswered(&events) {
            return Err(format!("{conversation}: nothing came after {waiting}"));
        }
        let here: Vec<&Attempt> = received.iter().filter(|push| is_of(push, &channel, &conversation)).collect();
        unknown.retain(|id| here.iter().all(|push| push.id != *id));
        let replies: Vec<String> = here
            .iter()
            .filter(|push| push.body["type"] == "reply")
            .map(|push| text(&push.body["data"], "reply_id").to_owned())
            .collect();
        let wanted = pushed(&events);
        if replies != wanted {
            return Err(format!(
                "{conversation}: {} of {} replies: {replies:?}, {wanted:?}",
                replies.len(),
                wanted.len()
            ));
        }
    }
    assert_eq!(unknown, BTreeSet::new(), "pushes of no decision");
    for state in ["pending", "dead", "dropped"] {
        let pushes = caller.pushes(state).await;
        if !pushes.is_empty() {
            return Err(format!("{state}: {pushes:?}"));
        }
    }
    Ok(())
}

fn is_of(push: &Attempt, channel: &str, conversation: &str) -> bool {
    let data = &push.body["data"];
    data["channel"] == channel && data["conversation_id"] == conversation
}

/// Numbers without gap, no message twice, and each decision as it was answered.
pub fn check_history(events: &[Value], ledger: &Ledger) {
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    let ids: BTreeSet<&str> = events.iter().map(|event| text(&event["event"], "message_id")).collect();
    assert_eq!(ids.len(), events.len(), "a message is recorded once");
    for event in events {
        if let Some((_, body)) = ledger.acknowledged.get(text(&event["event"], "message_id")) {
            assert_eq!(event["decision"], serde_json::from_str::<Value>(body).unwrap(), "as it was answered");
        }
    }
}

/// The last message that waited for its timer in vain.
fn unanswered(events: &[Value]) -> Option<&Value> {
    let last = events.iter().rposition(|event| event["decision"]["reason"] == "gathering")?;
    let answered = events[last..].iter().any(|event| {
        let human = event["decision"]["reason"] == "human_active";
        human || (event["event"]["kind"] == "timer" && event["decision"]["reason"] != "timer_void")
    });
    (!answered).then(|| &events[last]["event"]["message_id"])
}

/// Ids of the replies that are to be pushed, in order.
fn pushed(events: &[Value]) -> Vec<String> {
    let decisions = events.iter().map(|event| &event["decision"]).filter(|decision| decision["delivery"] == "push");
    let replies = decisions.flat_map(|decision| decision["replies"].as_array().unwrap());
    replies.map(|reply| text(reply, "id").to_owned()).collect()
}

/// Waits until all is told and done.
pub async fn settled(seconds: u64, caller: &Caller, receiver: &Receiver, ledger: &Ledger) -> Duration {
    super::node::within(seconds, async || audit(caller, receiver, ledger).await).await
}
