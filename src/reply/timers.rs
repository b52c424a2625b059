//! Which timers run in a conversation: a pure function of its facts and the shop's policy. Nothing is set or cancelled:
//! a payment takes the unpaid order out of the facts, and with it the timer.

use jiff::{SignedDuration, Timestamp};

use super::decide::minutes;
use super::policy::{ChannelPolicy, ShopPolicy};
use crate::conversation::model::Conversation;
use crate::conversation::phase::Phase;
use crate::conversation::timer::{Timer, TimerKind};
use crate::faq::script::ScriptKind;

/// However fast the customer types on, an answer comes after so many times the wait.
const MOST_WAITS: i32 = 4;

/// The timers that run, in no order; none whose moment has fired already. Without `speaks` there is nobody through whom a
/// timer could say anything, and only the silent ones run.
#[must_use]
pub fn timers(conversation: &Conversation, policy: &ShopPolicy, channel: &ChannelPolicy, speaks: bool) -> Vec<Timer> {
    let due = [
        (TimerKind::Bubbles, bubbles(conversation, channel)),
        (TimerKind::HandBack, hand_back(conversation, policy)),
        (TimerKind::Guard, guard(conversation, policy).filter(|_| speaks)),
        (TimerKind::Unpaid, unpaid(conversation, policy).filter(|_| speaks)),
        (TimerKind::Position, position(conversation, policy).filter(|_| speaks)),
        (TimerKind::Idle, idle(conversation, policy)),
    ];
    let running = due.into_iter().filter_map(|(kind, due)| Some(Timer { kind, due: due? }));
    running.filter(|timer| conversation.fired.get(&timer.kind).is_none_or(|fired| *fired < timer.due)).collect()
}

/// The first timer that is due at `now`.
#[must_use]
pub fn first_due(timers: &[Timer], now: Timestamp) -> Option<Timer> {
    timers.iter().filter(|timer| timer.due <= now).min_by_key(|timer| (timer.due, timer.kind)).copied()
}

fn after(at: Timestamp, time: SignedDuration) -> Option<Timestamp> {
    at.checked_add(time).ok()
}

fn bubbles(conversation: &Conversation, channel: &ChannelPolicy) -> Option<Timestamp> {
    let bubbles = conversation.bubbles.as_ref()?;
    let wait = channel.debounce();
    Some(after(bubbles.last_at, wait)?.min(after(bubbles.first_at, wait.checked_mul(MOST_WAITS)?)?))
}

fn hand_back(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let Phase::Assigned { since, taken_over, .. } = conversation.phase else { return None };
    let wrote = conversation.last_human_at.map_or(since, |at| at.max(since));
    after(wrote, policy.agent_patience(taken_over))
}

/// Only where the reply would be late inside the platform's window.
fn guard(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let due = after(conversation.waiting_since?, minutes(policy.guard_minutes))?;
    let inside = policy.window.is_open(&due.to_zoned(policy.time_zone.clone()));
    (inside && policy.guard_minutes > 0).then_some(due)
}

fn unpaid(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let order = conversation.unpaid.as_ref()?;
    Some(unquiet(after(order.since, minutes(policy.unpaid_minutes))?, policy))
}

/// Looked at again and again while the customer queues.
fn position(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    conversation.phase.queued_since()?;
    conversation.told_position?;
    let told = conversation.script_sent_at(ScriptKind::Waiting)?;
    let looked = conversation.fired.get(&TimerKind::Position).map_or(told, |fired| told.max(*fired));
    after(looked, minutes(policy.repeat_minutes.max(1)))
}

fn idle(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let said = [conversation.last_customer_at, conversation.last_human_at, conversation.last_reply_at];
    let last = said.into_iter().flatten().max()?;
    let ended = matches!(conversation.phase, Phase::New | Phase::Closed { .. });
    if ended || policy.idle_minutes == 0 {
        return None;
    }
    Some(unquiet(after(last, minutes(policy.idle_minutes))?, policy))
}

/// The moment itself, or the end of the quiet hours that it falls into.
fn unquiet(due: Timestamp, policy: &ShopPolicy) -> Timestamp {
    let local = due.to_zoned(policy.time_zone.clone());
    policy.quiet_hours.closes_at(&local).map_or(due, |end| end.timestamp())
}
