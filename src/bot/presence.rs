//! Agents who tell through a channel that they come, go or are busy.

use jiff::Timestamp;

use super::Bot;
use super::channels::HookError;
use crate::channel::account::Account;
use crate::channel::hook::{Answer, Present};
use crate::conversation::desk::{Agent, MOST_CAPACITY};
use crate::conversation::inbound::id;
use crate::conversation::outgoing::stable_id;

/// Times that what an agent said of themselves is tried to be remembered, while others do the same.
const SWAPS: u32 = 20;

/// Presences of one moment that are remembered.
const ONE_MOMENT: usize = 8;

impl Bot {
    /// Takes a presence, unless something later is known of the agent.
    pub(super) async fn sit_down(
        &self,
        account: &Account,
        present: Present,
        notice: Notice<'_>,
        now: Timestamp,
    ) -> Result<Answer, HookError> {
        let agent = agent(account, present, now)?;
        if self.is_latest(account, &agent.id, notice).await? {
            self.store.put_agent(&agent).await?;
        }
        Ok(Answer::json(&serde_json::json!({})))
    }

    /// Whether nothing later is known of an agent; a presence that is overheard and sent again must not bring them back.
    async fn is_latest(&self, account: &Account, agent: &str, notice: Notice<'_>) -> Result<bool, HookError> {
        let (account, name) = (account.name.as_str(), format!("presence-{agent}"));
        for _ in 0..SWAPS {
            let states = self.store.account_state(account).await?;
            let before = states.get(&name).map(String::as_str);
            let Some(after) = notice.after(before.unwrap_or_default()) else { return Ok(false) };
            if self.store.swap_account_state(account, &name, before, &after).await? {
                return Ok(true);
            }
        }
        Err(HookError::Late)
    }
}

fn agent(account: &Account, present: Present, now: Timestamp) -> Result<Agent, HookError> {
    let agent_id = id("agent_id", present.agent_id).map_err(|error| HookError::Invalid(error.to_string()))?;
    Ok(Agent {
        shop: account.shop.to_string(),
        id: agent_id.to_string(),
        presence: present.presence,
        capacity: present.capacity.min(MOST_CAPACITY),
        audiences: present.audiences,
        updated_at: now,
    })
}

/// By which message a presence is told, and of when.
#[derive(Clone, Copy)]
pub(super) struct Notice<'a> {
    pub at: Timestamp,
    pub id: &'a str,
}

impl Notice<'_> {
    /// What is remembered of an agent's presence after this one: its moment, and the messages of that moment in their
    /// order; none when it is no news.
    fn after(self, before: &str) -> Option<String> {
        let (mut words, id) = (before.split(' '), stable_id("", &[self.id]));
        let moment: Option<Timestamp> = words.next().and_then(|moment| moment.parse().ok());
        let same: Vec<&str> = words.filter(|_| moment == Some(self.at)).collect();
        let is_old = moment.is_some_and(|moment| moment > self.at);
        let is_known = same.iter().position(|known| *known == id).is_some_and(|place| place + 1 < same.len());
        let kept = same.iter().skip(same.len().saturating_sub(ONE_MOMENT)).filter(|known| **known != id);
        let all: Vec<&str> = kept.copied().chain([id.as_str()]).collect();
        (!is_old && !is_known).then(|| format!("{} {}", self.at, all.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_or_was_overtaken_in_its_moment_is_no_news() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let notice = |second, id| Notice { at: at(second), id };
        let first = notice(10, "a").after("").unwrap();
        assert_eq!(notice(10, "a").after(&first), Some(first.clone()), "the latest may come again");
        let second = notice(10, "b").after(&first).unwrap();
        assert_eq!(notice(10, "a").after(&second), None, "overtaken");
        assert_eq!(notice(9, "c").after(&second), None, "older");
        assert!(notice(11, "a").after(&second).is_some(), "later");
        let ids: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let many = ids.iter().fold(second, |before, id| notice(10, id).after(&before).unwrap());
        assert!(many.split(' ').count() <= ONE_MOMENT + 2, "{many}");
    }
}
