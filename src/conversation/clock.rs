//! The two clocks of a conversation: how long a customer waits for any reply, and how long for a human's. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::Conversation;

/// Which reply ends the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Any reply, the bot's too.
    Any,
    /// A human's.
    Human,
}

impl Clock {
    /// Name as stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Human => "human",
        }
    }
}

/// One wait: from the customer's message to the reply that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Whose clock.
    pub clock: Clock,
    /// When the customer began to wait.
    pub started_at: Timestamp,
    /// When the reply came; none while the customer waits, or when the conversation was closed without one.
    pub replied_at: Option<Timestamp>,
}

/// The rounds that one event begins or ends. A wait that a closed conversation leaves behind stays without a reply.
#[must_use]
pub fn rounds(before: &Conversation, after: &Conversation, by: Replied, now: Timestamp) -> Vec<Round> {
    let clocks = [
        (Clock::Any, before.waiting_since, after.waiting_since, by.any),
        (Clock::Human, before.waiting_for_human_since, after.waiting_for_human_since, by.human),
    ];
    clocks
        .into_iter()
        .filter_map(|(clock, before, after, replied)| round(clock, before, after, replied, by.asked, now))
        .collect()
}

/// What one event brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replied {
    /// The customer said something.
    pub asked: bool,
    /// Any reply went out.
    pub any: bool,
    /// A human's reply went out.
    pub human: bool,
}

fn round(
    clock: Clock,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    replied: bool,
    asked: bool,
    now: Timestamp,
) -> Option<Round> {
    let started_at = before.or(after).or_else(|| (asked && replied).then_some(now))?;
    let replied_at = replied.then_some(now);
    let is_news = before.is_none() || replied;
    is_news.then_some(Round { clock, started_at, replied_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn waiting(any: Option<i64>, human: Option<i64>) -> Conversation {
        Conversation { waiting_since: any.map(at), waiting_for_human_since: human.map(at), ..Conversation::default() }
    }

    #[test]
    fn an_answer_at_once_begins_and_ends_the_round_of_any_reply() {
        let by = Replied { asked: true, any: true, human: false };
        let found = rounds(&waiting(None, None), &waiting(None, Some(9)), by, at(9));
        let any = Round { clock: Clock::Any, started_at: at(9), replied_at: Some(at(9)) };
        let human = Round { clock: Clock::Human, started_at: at(9), replied_at: None };
        assert_eq!(found, [any, human]);
    }

    #[test]
    fn a_human_ends_both_rounds_that_run_and_none_that_does_not() {
        let by = Replied { asked: false, any: true, human: true };
        let found = rounds(&waiting(None, Some(3)), &waiting(None, None), by, at(9));
        assert_eq!(found, [Round { clock: Clock::Human, started_at: at(3), replied_at: Some(at(9)) }]);
        assert_eq!(rounds(&waiting(None, None), &waiting(None, None), by, at(9)), []);
    }

    #[test]
    fn a_second_message_begins_nothing_and_closing_ends_nothing() {
        let by = Replied { asked: true, ..Replied::default() };
        assert_eq!(rounds(&waiting(Some(1), Some(1)), &waiting(Some(1), Some(1)), by, at(9)), []);
        assert_eq!(rounds(&waiting(Some(1), Some(1)), &waiting(None, None), Replied::default(), at(9)), []);
    }
}
