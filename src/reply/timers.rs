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
    let kinds = TimerKind::ALL.into_iter().filter(|kind| speaks || !kind.speaks());
    let due = |kind| match kind {
        TimerKind::Bubbles => bubbles(conversation, channel),
        TimerKind::HandBack => hand_back(conversation, policy),
        TimerKind::Guard => guard(conversation, policy),
        TimerKind::Unpaid => unpaid(conversation, policy),
        TimerKind::Position => position(conversation, policy),
        TimerKind::Idle => idle(conversation, policy),
    };
    let running = kinds.filter_map(|kind| Some(Timer { kind, due: due(kind)? }));
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
    let (active_at, taken_over) = conversation.agent_active_at()?;
    after(active_at, policy.agent_patience(taken_over))
}

/// Only where the reply would be late inside the platform's window; not after thanks or a farewell, which nobody answers
/// with a request for patience, and not to whom the loop breaker takes for a program.
fn guard(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let due = after(conversation.waiting_since?, minutes(policy.guard_minutes))?;
    let inside = policy.window.is_open(&due.to_zoned(policy.time_zone.clone()));
    let endless = conversation.replies_in_a_row >= policy.breaker_replies;
    let wanted = inside && !endless && !conversation.courtesy;
    (wanted && policy.guard_minutes > 0).then_some(due)
}

fn unpaid(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let order = conversation.unpaid.as_ref()?;
    Some(unquiet(after(order.since, minutes(policy.unpaid_minutes))?, policy))
}

/// Looked at again and again while the customer queues.
fn position(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let queued = conversation.phase.queued_since()?;
    conversation.told_position?;
    let told = conversation.script_sent_at(ScriptKind::Waiting)?;
    let looked = conversation.fired.get(&TimerKind::Position).map_or(told, |fired| told.max(*fired));
    let due = after(looked, minutes(policy.repeat_minutes.max(1)))?;
    // Nobody waits that long, and each look is an event.
    (due.duration_since(queued) < policy.regreet_gap()).then_some(due)
}

fn idle(conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
    let said = [conversation.last_customer_at, conversation.last_human_at, conversation.last_reply_at];
    let last = said.into_iter().flatten().max()?;
    let stays =
        matches!(conversation.phase, Phase::New | Phase::Closed { .. } | Phase::Queued { handed_over: true, .. });
    if stays || policy.idle_minutes == 0 {
        return None;
    }
    Some(unquiet(after(last, minutes(policy.idle_minutes))?, policy))
}

/// The moment itself, or the end of the quiet hours that it falls into.
fn unquiet(due: Timestamp, policy: &ShopPolicy) -> Timestamp {
    let local = due.to_zoned(policy.time_zone.clone());
    policy.quiet_hours.closes_at(&local).map_or(due, |end| end.timestamp())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::conversation::event::Context;
    use crate::conversation::model::{Bubbles, SentScript, UnpaidOrder};
    use crate::reply::policy::Delivery;

    /// A time of 2026-11-22 in Shanghai.
    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}+08:00").parse().unwrap()
    }

    /// The timers that run, each with when it is due.
    fn running(conversation: &Conversation, policy: &ShopPolicy) -> BTreeMap<TimerKind, Timestamp> {
        let channel = ChannelPolicy { replies: Delivery::Push, debounce_ms: None };
        timers(conversation, policy, &channel, true).into_iter().map(|timer| (timer.kind, timer.due)).collect()
    }

    fn due(kind: TimerKind, conversation: &Conversation, policy: &ShopPolicy) -> Option<Timestamp> {
        running(conversation, policy).get(&kind).copied()
    }

    fn in_phase(phase: Phase) -> Conversation {
        Conversation { phase, ..Conversation::default() }
    }

    fn unpaid_since(time: &str) -> Conversation {
        let unpaid = UnpaidOrder { since: at(time), context: Box::<Context>::default() };
        Conversation { unpaid: Some(unpaid), ..Conversation::default() }
    }

    #[test]
    fn a_timer_fires_at_its_second_and_not_one_before() {
        let conversation = unpaid_since("10:00:00");
        let timers = timers(&conversation, &ShopPolicy::default(), &ChannelPolicy::default(), true);
        let timer = Timer { kind: TimerKind::Unpaid, due: at("10:10:00") };
        assert_eq!(first_due(&timers, at("10:09:59")), None);
        assert_eq!(first_due(&timers, at("10:10:00")), Some(timer));
    }

    #[test]
    fn of_two_that_are_due_the_earlier_fires_and_of_equals_the_first_kind() {
        let timer = |kind, time| Timer { kind, due: at(time) };
        let (idle, guard) = (timer(TimerKind::Idle, "10:00:00"), timer(TimerKind::Guard, "10:00:01"));
        assert_eq!(first_due(&[guard, idle], at("10:00:01")), Some(idle));
        let unpaid = timer(TimerKind::Unpaid, "10:00:01");
        assert_eq!(first_due(&[unpaid, guard], at("10:00:01")), Some(guard));
    }

    #[test]
    fn what_has_fired_does_not_run_any_more() {
        let mut conversation = unpaid_since("10:00:00");
        for (fired, runs) in [("10:09:59", true), ("10:10:00", false), ("10:10:01", false)] {
            conversation.fired.insert(TimerKind::Unpaid, at(fired));
            assert_eq!(due(TimerKind::Unpaid, &conversation, &ShopPolicy::default()).is_some(), runs, "{fired}");
        }
    }

    #[test]
    fn with_nobody_to_speak_through_only_the_silent_timers_run() {
        let mut conversation = unpaid_since("10:00:00");
        conversation.waiting_since = Some(at("10:00:00"));
        conversation.phase = Phase::Assigned { agent: None, since: at("10:00:00"), taken_over: false };
        let kinds: Vec<TimerKind> = timers(&conversation, &ShopPolicy::default(), &ChannelPolicy::default(), false)
            .iter()
            .map(|timer| timer.kind)
            .collect();
        assert_eq!(kinds, [TimerKind::HandBack]);
    }

    #[test]
    fn bubbles_wait_for_the_last_and_never_longer_than_four_waits_from_the_first() {
        for (last, expected) in [("10:00:00", "10:00:01.5"), ("10:00:04", "10:00:05.5"), ("10:00:05", "10:00:06")] {
            let bubbles = Bubbles {
                first_at: at("10:00:00"),
                last_at: at(last),
                texts: Vec::new(),
                context: Box::default(),
                reply_to: None,
            };
            let conversation = Conversation { bubbles: Some(bubbles), ..Conversation::default() };
            assert_eq!(due(TimerKind::Bubbles, &conversation, &ShopPolicy::default()), Some(at(expected)), "{last}");
        }
    }

    #[test]
    fn an_agent_is_waited_for_longer_where_they_took_over() {
        for (taken_over, wrote, expected) in [
            (false, None, "10:05:00"),
            (false, Some("10:03:00"), "10:08:00"),
            (false, Some("09:00:00"), "10:05:00"),
            (true, Some("10:03:00"), "10:33:00"),
        ] {
            let phase = Phase::Assigned { agent: None, since: at("10:00:00"), taken_over };
            let conversation = Conversation { last_human_at: wrote.map(at), ..in_phase(phase) };
            assert_eq!(due(TimerKind::HandBack, &conversation, &ShopPolicy::default()), Some(at(expected)));
        }
    }

    #[test]
    fn the_guard_runs_only_where_it_would_speak_inside_the_window() {
        let policy = ShopPolicy::default();
        for (waiting, expected) in [
            ("07:55:59", None),
            ("07:56:00", Some("08:00:00")),
            ("22:55:59", Some("22:59:59")),
            ("22:56:00", None),
            ("22:58:00", None),
        ] {
            let conversation = Conversation { waiting_since: Some(at(waiting)), ..Conversation::default() };
            assert_eq!(due(TimerKind::Guard, &conversation, &policy), expected.map(at), "{waiting}");
        }
        let program = Conversation {
            waiting_since: Some(at("10:00:00")),
            replies_in_a_row: policy.breaker_replies,
            ..Conversation::default()
        };
        assert_eq!(due(TimerKind::Guard, &program, &policy), None);
        let never = ShopPolicy { guard_minutes: 0, ..policy };
        let waits = Conversation { waiting_since: Some(at("10:00:00")), ..Conversation::default() };
        assert_eq!(due(TimerKind::Guard, &waits, &never), None);
    }

    #[test]
    fn a_reminder_keeps_out_of_the_quiet_hours() {
        let tomorrow: Timestamp = "2026-11-23T09:00:00+08:00".parse().unwrap();
        for (since, expected) in [
            ("08:49:59", at("09:00:00")),
            ("08:50:00", at("09:00:00")),
            ("08:50:01", at("09:00:01")),
            ("21:49:59", at("21:59:59")),
            ("21:50:00", tomorrow),
        ] {
            assert_eq!(due(TimerKind::Unpaid, &unpaid_since(since), &ShopPolicy::default()), Some(expected), "{since}");
        }
    }

    #[test]
    fn the_place_is_looked_at_every_ten_minutes_from_when_it_was_told() {
        let mut conversation = in_phase(Phase::Queued { since: at("10:00:00"), handed_over: false });
        assert_eq!(due(TimerKind::Position, &conversation, &ShopPolicy::default()), None, "no place was told");
        conversation.told_position = Some(3);
        conversation.scripts.push(SentScript { kind: ScriptKind::Waiting, at: at("10:00:05") });
        assert_eq!(due(TimerKind::Position, &conversation, &ShopPolicy::default()), Some(at("10:10:05")));
        conversation.fired.insert(TimerKind::Position, at("10:10:05"));
        assert_eq!(due(TimerKind::Position, &conversation, &ShopPolicy::default()), Some(at("10:20:05")));
        conversation.fired.insert(TimerKind::Position, at("18:00:00"));
        let late = due(TimerKind::Position, &conversation, &ShopPolicy::default());
        assert_eq!(late, Some(at("18:10:00")), "after a downtime no place is looked at again and again");
    }

    #[test]
    fn silence_closes_a_conversation_that_nobody_waits_in() {
        let policy = ShopPolicy { idle_minutes: 30, ..ShopPolicy::default() };
        let since = at("10:00:00");
        for (phase, closes) in [
            (Phase::New, false),
            (Phase::Bot, true),
            (Phase::Queued { since, handed_over: false }, true),
            (Phase::Queued { since, handed_over: true }, false),
            (Phase::Assigned { agent: None, since, taken_over: true }, true),
            (Phase::Closed { at: since }, false),
        ] {
            let said = (Some(at("10:00:00")), Some(at("10:00:01")));
            let conversation = Conversation { last_customer_at: said.0, last_reply_at: said.1, ..in_phase(phase) };
            let expected = closes.then(|| at("10:30:01"));
            assert_eq!(due(TimerKind::Idle, &conversation, &policy), expected, "{:?}", conversation.phase);
            assert_eq!(due(TimerKind::Idle, &conversation, &ShopPolicy::default()), None);
        }
    }
}
