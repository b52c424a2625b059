//! Rules for what is not a customer's message: the shop's side, orders, and timers that fire.

use jiff::{SignedDuration, Timestamp};

use super::choice::{Action, Choice, Rule};
use super::decide::minutes;
use super::turn::Turn;
use crate::conversation::event::EventKind;
use crate::conversation::phase::Phase;
use crate::conversation::timer::{Timer, TimerKind};
use crate::faq::order::OrderState;
use crate::faq::script::{ClosingEvent, ScriptKind};

pub(super) fn shop_side(turn: &Turn<'_>) -> Option<Choice> {
    let rule =
        match turn.kind {
            EventKind::AgentMessage if turn.echo => Rule::Echo,
            EventKind::AgentMessage => Rule::HumanWrote,
            EventKind::AgentJoined | EventKind::AgentLeft | EventKind::Takeover | EventKind::HandBack => {
                if turn.may_step { Rule::HumanMoved } else { Rule::NotAssigned }
            }
            _ => return None,
        };
    Some(Choice::silent(rule))
}

pub(super) fn closing(turn: &Turn<'_>) -> Option<Choice> {
    let event = match turn.kind {
        EventKind::OrderPaid => ClosingEvent::Paid,
        // Nobody takes leave of somebody who never said a word.
        EventKind::Closed if turn.conversation.phase != Phase::New => ClosingEvent::Farewell,
        _ => return None,
    };
    turn.not_sent(ScriptKind::Closing).then(|| Choice::closing(Rule::ClosingEvent, event))
}

pub(super) fn unpaid_order(turn: &Turn<'_>) -> Option<Choice> {
    let waited = turn.ordered_at.is_some_and(|at| turn.since(at) >= minutes(turn.policy.unpaid_minutes));
    let may = waited && !is_quiet(turn) && turn.not_sent(ScriptKind::Reminder);
    (turn.kind == EventKind::OrderUnpaid && may).then(remind)
}

/// Whether reminders and closing scripts would wake the customer.
fn is_quiet(turn: &Turn<'_>) -> bool {
    turn.policy.quiet_hours.is_open(&turn.now.to_zoned(turn.policy.time_zone.clone()))
}

fn remind() -> Choice {
    Choice::script(Action::Remind, Rule::UnpaidOrder, ScriptKind::Reminder)
}

/// What the customer wants to hear without asking: the parcel has left, the money is back.
pub(super) fn order_news(turn: &Turn<'_>) -> Option<Choice> {
    let (rule, kind) = match turn.kind {
        EventKind::OrderShipped => (Rule::OrderShipped, ScriptKind::Shipped),
        EventKind::OrderRefunded => (Rule::OrderRefunded, ScriptKind::Refunded),
        _ => return None,
    };
    Some(Choice::script(Action::Inform, rule, kind))
}

pub(super) fn timer(turn: &Turn<'_>) -> Option<Choice> {
    if turn.kind != EventKind::Timer {
        return None;
    }
    Some(match turn.timer {
        None => Choice::silent(Rule::TimerVoid),
        Some(Timer { kind: TimerKind::Idle, due }) if is_stale(turn, TimerKind::Idle, due) => {
            Choice::silent(Rule::Idle)
        }
        Some(timer) if is_stale(turn, timer.kind, timer.due) => Choice::silent(Rule::StaleTimer),
        Some(timer) => fires(turn, timer),
    })
}

/// Timers keep out of the quiet hours; one that is later than this may have come into them.
const PUNCTUAL: SignedDuration = SignedDuration::from_mins(1);

fn is_stale(turn: &Turn<'_>, kind: TimerKind, due: Timestamp) -> bool {
    let late = turn.since(due);
    let wakes = kind.disturbs() && late > PUNCTUAL && is_quiet(turn);
    wakes || late > stale_after(kind)
}

/// What a timer would have said is wrong when it is said so much later.
fn stale_after(kind: TimerKind) -> SignedDuration {
    match kind {
        TimerKind::Guard | TimerKind::Position => SignedDuration::from_mins(30),
        TimerKind::Unpaid | TimerKind::Idle => SignedDuration::from_hours(12),
        TimerKind::Bubbles | TimerKind::HandBack => SignedDuration::MAX,
    }
}

fn fires(turn: &Turn<'_>, timer: Timer) -> Choice {
    match timer.kind {
        // Its turn is a message's: it does not come here.
        TimerKind::Bubbles => Choice::silent(Rule::TimerVoid),
        TimerKind::HandBack => Choice::silent(Rule::AgentSilent),
        TimerKind::Guard => Choice::script(Action::Hold, Rule::ReplyGuard, ScriptKind::Holding),
        // The event that told of the payment may have been lost.
        TimerKind::Unpaid if turn.order_state.is_some_and(|state| state != OrderState::Unpaid) => {
            Choice::silent(Rule::TimerVoid)
        }
        TimerKind::Unpaid if turn.human_has_it() => Choice::silent(Rule::HumanActive),
        TimerKind::Unpaid if turn.not_sent(ScriptKind::Reminder) => remind(),
        TimerKind::Unpaid => Choice::silent(Rule::UnpaidOrder),
        TimerKind::Position => {
            let better = turn.position.zip(turn.conversation.told_position).is_some_and(|(place, told)| place < told);
            if better {
                Choice::script(Action::Wait, Rule::QueuePlace, ScriptKind::Waiting)
            } else {
                Choice::silent(Rule::QueuePlace)
            }
        }
        TimerKind::Idle if turn.not_sent(ScriptKind::Closing) => Choice::closing(Rule::Idle, ClosingEvent::Farewell),
        TimerKind::Idle => Choice::silent(Rule::Idle),
    }
}

pub(super) fn other(turn: &Turn<'_>) -> Option<Choice> {
    (!turn.kind.is_customers()).then(|| Choice::silent(Rule::SystemEvent))
}
