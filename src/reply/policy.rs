//! What a shop decides about replies: hours, thresholds, campaigns, limits. Read from the configuration, valid once read.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use serde::{Deserialize, Serialize};

use crate::conversation::clock::Clock;
use crate::faq::script::{AgentsState, Profile};
use crate::hours::Week;
use crate::matching::Thresholds;

/// In which script Chinese replies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyScript {
    /// As the editor wrote it.
    #[default]
    AsWritten,
    /// Converted to Traditional characters for a customer who writes them.
    Customer,
}

/// A campaign 大促 with the days before, during and after it; every day named belongs to its part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// First day of the part before.
    pub before: Option<Date>,
    /// First day of the campaign.
    pub from: Date,
    /// Last day of the campaign.
    pub until: Date,
    /// Last day of the part after.
    pub after: Option<Date>,
}

impl Campaign {
    fn profile(&self, day: Date) -> Option<Profile> {
        if (self.from..=self.until).contains(&day) {
            Some(Profile::During)
        } else if self.before.is_some_and(|first| first <= day && day < self.from) {
            Some(Profile::Before)
        } else if self.after.is_some_and(|last| self.until < day && day <= last) {
            Some(Profile::After)
        } else {
            None
        }
    }
}

/// How replies reach the customers of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In the response to the event: whoever posts it sends them on.
    #[default]
    Response,
    /// Pushed to the endpoints that subscribe to replies.
    Push,
}

/// How one channel account is served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelPolicy {
    /// How replies go out.
    pub replies: Delivery,
    /// Milliseconds to wait for a customer's next message before both are answered together; by default 1500 where
    /// replies are pushed, and always 0 where they must be in the response.
    pub debounce_ms: Option<u32>,
}

/// Wait for the next message where a channel's policy says nothing.
const DEBOUNCE_MS: u32 = 1_500;

impl ChannelPolicy {
    /// How long a message waits for the next one.
    #[must_use]
    pub fn debounce(&self) -> SignedDuration {
        match self.replies {
            Delivery::Response => SignedDuration::ZERO,
            Delivery::Push => SignedDuration::from_millis(i64::from(self.debounce_ms.unwrap_or(DEBOUNCE_MS))),
        }
    }
}

/// How the bot behaves for one shop. Every value has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShopPolicy {
    /// Platform the shop stands on, for entries scoped to one.
    pub platform: Option<String>,
    /// IANA name.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: TimeZone,
    /// When agents answer; always, when nothing is said.
    pub hours: Week,
    /// State of the agents when neither a message nor their presence tells it.
    pub agents: AgentsState,
    /// Times inside the hours when agents are busy with something else.
    pub busy_hours: Option<Week>,
    /// When agents are on duty, by their ids; who is not named always is.
    pub rosters: BTreeMap<String, Week>,
    /// Whether agents of one desk help out at another.
    pub overflow: bool,
    /// Minutes that a human takes for a customer, for the expected wait.
    pub handling_minutes: u32,
    /// Script of Chinese replies.
    pub reply_script: ReplyScript,
    /// Confidences from which the bot acts.
    pub thresholds: Thresholds,
    /// Hours of silence after which a customer is greeted again.
    pub regreet_hours: u32,
    /// Minutes in which the platform wants a reply.
    pub reply_minutes: u32,
    /// When the platform assesses replies.
    pub window: Week,
    /// Whose replies the platform counts for its reply rate.
    pub counted: Clock,
    /// Minutes without any reply, inside the window, after which the holding script goes out; 0 for never.
    pub guard_minutes: u32,
    /// Minutes for which a human's message keeps the bot silent.
    pub human_minutes: u32,
    /// Minutes of an agent's silence after which a conversation that was handed or taken over is the bot's again.
    pub hand_back_minutes: u32,
    /// Questions in a row without an answer after which a human is called; 0 for never.
    pub misses: u32,
    /// Minutes of silence after which a conversation is closed; 0 for never.
    pub idle_minutes: u32,
    /// When reminders, and closing scripts after a long silence, are not sent.
    pub quiet_hours: Week,
    /// Minutes before waiting and off-hours scripts are sent again.
    pub repeat_minutes: u32,
    /// Replies in a row without a human's message after which the bot suspects another bot.
    pub breaker_replies: u32,
    /// Minutes after which an unpaid order is asked about.
    pub unpaid_minutes: u32,
    /// Campaigns; where two overlap, the first counts.
    pub campaigns: Vec<Campaign>,
    /// Values of placeholders, over those of `shop.toml`.
    pub variables: BTreeMap<String, String>,
    /// Channel accounts that are served otherwise than by response.
    pub channels: BTreeMap<String, ChannelPolicy>,
    /// Days after which conversations are deleted; 0 keeps them.
    pub retention_days: u32,
    /// When the daily digest is made, in the shop's time zone.
    pub digest_at: Time,
}

impl Default for ShopPolicy {
    fn default() -> Self {
        Self {
            platform: None,
            time_zone: TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC),
            hours: Week::default(),
            agents: AgentsState::default(),
            busy_hours: None,
            rosters: BTreeMap::new(),
            overflow: true,
            handling_minutes: 3,
            reply_script: ReplyScript::default(),
            thresholds: Thresholds::default(),
            regreet_hours: 24,
            reply_minutes: 5,
            window: Week::daily(8 * 60..23 * 60),
            counted: Clock::Human,
            guard_minutes: 4,
            human_minutes: 5,
            hand_back_minutes: 30,
            misses: 2,
            idle_minutes: 0,
            quiet_hours: Week::daily(22 * 60..33 * 60),
            repeat_minutes: 10,
            breaker_replies: 20,
            unpaid_minutes: 10,
            campaigns: Vec::new(),
            variables: BTreeMap::new(),
            channels: BTreeMap::new(),
            retention_days: 0,
            digest_at: Time::constant(9, 0, 0, 0),
        }
    }
}

impl ShopPolicy {
    /// Silence after which a customer is met afresh.
    #[must_use]
    pub fn regreet_gap(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.regreet_hours))
    }

    /// How long an agent may be silent before the conversation is the bot's again: longer where it was handed or taken
    /// over than where a human only wrote into it.
    #[must_use]
    pub fn agent_patience(&self, taken_over: bool) -> SignedDuration {
        let minutes = if taken_over { self.hand_back_minutes.max(self.human_minutes) } else { self.human_minutes };
        SignedDuration::from_mins(i64::from(minutes))
    }

    /// How a channel account is served.
    #[must_use]
    pub fn channel(&self, channel: &str) -> ChannelPolicy {
        self.channels.get(channel).cloned().unwrap_or_default()
    }

    /// Whether an agent's roster holds now.
    #[must_use]
    pub fn on_duty(&self, agent: &str, now: &Zoned) -> bool {
        self.rosters.get(agent).is_none_or(|roster| roster.is_open(now))
    }

    /// State of the agents as customers find it: outside opening hours nobody is there, whatever is `told`; in busy hours
    /// nobody is free.
    #[must_use]
    pub fn agents_at(&self, now: &Zoned, told: AgentsState) -> AgentsState {
        let busy = self.busy_hours.as_ref().is_some_and(|hours| hours.is_open(now));
        match told {
            _ if !self.hours.is_open(now) => AgentsState::OffHours,
            AgentsState::Free if busy => AgentsState::Busy,
            state => state,
        }
    }

    /// Part of the campaign calendar on this day.
    #[must_use]
    pub fn profile(&self, day: Date) -> Profile {
        self.campaigns.iter().find_map(|campaign| campaign.profile(day)).unwrap_or_default()
    }
}

fn time_zone<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    TimeZone::get(&name).map_err(|_| {
        serde::de::Error::custom(format!("unknown time zone `{name}`; write an IANA name such as Asia/Taipei"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_replies_may_come_late_does_a_message_wait_for_the_next() {
        for (replies, debounce_ms, waits) in [
            (Delivery::Response, None, 0),
            (Delivery::Response, Some(900), 0),
            (Delivery::Push, None, 1_500),
            (Delivery::Push, Some(900), 900),
            (Delivery::Push, Some(0), 0),
        ] {
            let channel = ChannelPolicy { replies, debounce_ms };
            assert_eq!(channel.debounce(), SignedDuration::from_millis(waits), "{channel:?}");
        }
    }
}
