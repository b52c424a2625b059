//! What a shop decides about replies: hours, thresholds, campaigns, limits. Read from the configuration, valid once read.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

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
    /// State of the agents when a message does not tell it.
    pub agents: AgentsState,
    /// Script of Chinese replies.
    pub reply_script: ReplyScript,
    /// Confidences from which the bot acts.
    pub thresholds: Thresholds,
    /// Hours of silence after which a customer is greeted again.
    pub regreet_hours: u32,
    /// Minutes in which the platform wants a reply.
    pub reply_minutes: u32,
    /// Minutes of which a human's message keeps the bot silent.
    pub human_minutes: u32,
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
}

impl Default for ShopPolicy {
    fn default() -> Self {
        Self {
            platform: None,
            time_zone: TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC),
            hours: Week::default(),
            agents: AgentsState::default(),
            reply_script: ReplyScript::default(),
            thresholds: Thresholds::default(),
            regreet_hours: 24,
            reply_minutes: 5,
            human_minutes: 5,
            repeat_minutes: 10,
            breaker_replies: 20,
            unpaid_minutes: 10,
            campaigns: Vec::new(),
            variables: BTreeMap::new(),
        }
    }
}

impl ShopPolicy {
    /// Silence after which a customer is met afresh.
    #[must_use]
    pub fn regreet_gap(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.regreet_hours))
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
