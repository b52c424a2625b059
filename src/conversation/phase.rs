//! The life of a conversation: new, bot, queued, assigned, closed; and which step leads where. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a conversation is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Phase {
    /// Nobody has said anything.
    #[default]
    New,
    /// The bot answers.
    Bot,
    /// The customer waits for a human.
    Queued {
        /// Since when.
        since: Timestamp,
        /// The bot has handed over and stays silent; else it goes on answering what it can.
        handed_over: bool,
    },
    /// A human has it.
    Assigned {
        /// Who, where the channel tells.
        agent: Option<String>,
        /// Since when.
        since: Timestamp,
        /// It was handed or taken over, and not just written into.
        taken_over: bool,
    },
    /// It has ended; a message of the customer opens it again.
    Closed {
        /// When.
        at: Timestamp,
    },
}

/// What moves a conversation on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The customer wrote.
    CustomerWrote,
    /// The customer wrote after so long a silence that all begins anew.
    MetAfresh,
    /// The bot answered, and keeps the conversation.
    BotAnswered,
    /// The bot hands over to a human.
    HandedOver,
    /// The bot has nothing to say: a human may.
    LeftToHumans,
    /// A human wrote.
    HumanWrote(Option<String>),
    /// A human takes the conversation.
    TakenOver(Option<String>),
    /// The human leaves: another one is needed if the customer waits for one.
    HumanLeft {
        /// The customer waits for a human's reply.
        waits: bool,
    },
    /// The bot gets it back.
    HandedBack,
    /// The human has been silent for long: the bot answers again, and a customer who waits is in the queue besides.
    HumanSilent {
        /// The customer waits for a human's reply.
        waits: bool,
    },
    /// It ends.
    Closed,
}

/// A step that cannot be taken from where the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no human has this conversation")]
pub struct NotAssigned;

impl Phase {
    /// Name as stored and told.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Bot => "bot",
            Self::Queued { .. } => "queued",
            Self::Assigned { .. } => "assigned",
            Self::Closed { .. } => "closed",
        }
    }

    /// Whether a human has a conversation, or is waited for, by the name of its phase.
    #[must_use]
    pub fn is_with_humans(name: &str) -> bool {
        matches!(name, "queued" | "assigned")
    }

    /// The names of all phases.
    pub const NAMES: [&str; 5] = ["new", "bot", "queued", "assigned", "closed"];

    /// Where `step`, taken at `now`, leads.
    ///
    /// # Errors
    /// [`NotAssigned`] when a human leaves or hands back what no human has.
    pub fn after(&self, step: Step, now: Timestamp) -> Result<Self, NotAssigned> {
        Ok(match step {
            Step::CustomerWrote => match self {
                Self::New | Self::Closed { .. } => Self::Bot,
                kept => kept.clone(),
            },
            // A human who has it keeps it: an agent may be there before the customer first writes.
            Step::MetAfresh | Step::BotAnswered => match self {
                Self::Assigned { .. } => self.clone(),
                Self::Queued { handed_over: true, .. } if step == Step::BotAnswered => self.clone(),
                _ => Self::Bot,
            },
            Step::HandedOver => Self::Queued { since: self.queued_since().unwrap_or(now), handed_over: true },
            Step::LeftToHumans => match self {
                Self::New | Self::Bot => Self::Queued { since: now, handed_over: false },
                kept => kept.clone(),
            },
            Step::HumanWrote(agent) => self.assigned(agent, self.is_handed_over(), now),
            Step::TakenOver(agent) => self.assigned(agent, true, now),
            Step::HumanLeft { waits } => match self {
                Self::Assigned { .. } if waits => Self::Queued { since: now, handed_over: true },
                Self::Assigned { .. } => Self::Bot,
                _ => return Err(NotAssigned),
            },
            Step::HumanSilent { waits: true } => Self::Queued { since: now, handed_over: false },
            Step::HumanSilent { waits: false } => Self::Bot,
            Step::HandedBack => match self {
                Self::Assigned { .. } | Self::Queued { .. } => Self::Bot,
                _ => return Err(NotAssigned),
            },
            Step::Closed => match self {
                Self::Closed { .. } => self.clone(),
                _ => Self::Closed { at: now },
            },
        })
    }

    /// Since when the customer has queued, if the customer does.
    #[must_use]
    pub fn queued_since(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { since, .. } => Some(*since),
            _ => None,
        }
    }

    /// The agent who has it, where the channel tells.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        match self {
            Self::Assigned { agent, .. } => agent.as_deref(),
            _ => None,
        }
    }

    /// The bot gave it away, to the queue or to a human.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        matches!(self, Self::Queued { handed_over: true, .. } | Self::Assigned { taken_over: true, .. })
    }

    fn assigned(&self, agent: Option<String>, takes: bool, now: Timestamp) -> Self {
        match self {
            Self::Assigned { agent: known, since, taken_over } => Self::Assigned {
                agent: agent.or_else(|| known.clone()),
                since: *since,
                taken_over: *taken_over || takes,
            },
            _ => Self::Assigned { agent, since: now, taken_over: takes },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn walk(steps: &[Step]) -> Phase {
        let mut phase = Phase::New;
        for (second, step) in steps.iter().enumerate() {
            phase = phase.after(step.clone(), at(second as i64)).unwrap();
        }
        phase
    }

    #[test]
    fn a_conversation_lives() {
        let amy = || Some("amy".to_owned());
        for (steps, phase) in [
            (vec![Step::CustomerWrote], Phase::Bot),
            (vec![Step::CustomerWrote, Step::LeftToHumans], Phase::Queued { since: at(1), handed_over: false }),
            (vec![Step::CustomerWrote, Step::LeftToHumans, Step::BotAnswered], Phase::Bot),
            (
                vec![Step::CustomerWrote, Step::HandedOver, Step::BotAnswered],
                Phase::Queued { since: at(1), handed_over: true },
            ),
            (
                vec![Step::LeftToHumans, Step::CustomerWrote, Step::HandedOver],
                Phase::Queued { since: at(0), handed_over: true },
            ),
            (
                vec![Step::HandedOver, Step::HumanWrote(amy())],
                Phase::Assigned { agent: amy(), since: at(1), taken_over: true },
            ),
            (
                vec![Step::HumanWrote(None), Step::HumanWrote(amy())],
                Phase::Assigned { agent: amy(), since: at(0), taken_over: false },
            ),
            (vec![Step::TakenOver(amy()), Step::HandedBack], Phase::Bot),
            (
                vec![Step::TakenOver(amy()), Step::HumanLeft { waits: true }],
                Phase::Queued { since: at(1), handed_over: true },
            ),
            (vec![Step::TakenOver(amy()), Step::HumanLeft { waits: false }], Phase::Bot),
            (vec![Step::Closed, Step::Closed], Phase::Closed { at: at(0) }),
            (vec![Step::Closed, Step::CustomerWrote], Phase::Bot),
            (vec![Step::HandedOver, Step::MetAfresh], Phase::Bot),
            (
                vec![Step::TakenOver(amy()), Step::MetAfresh],
                Phase::Assigned { agent: amy(), since: at(0), taken_over: true },
            ),
        ] {
            assert_eq!(walk(&steps), phase, "{steps:?}");
        }
    }

    #[test]
    fn nobody_hands_back_what_nobody_has() {
        for phase in [Phase::New, Phase::Bot, Phase::Closed { at: at(0) }] {
            assert_eq!(phase.after(Step::HandedBack, at(1)), Err(NotAssigned));
            assert_eq!(phase.after(Step::HumanLeft { waits: true }, at(1)), Err(NotAssigned));
        }
    }
}
