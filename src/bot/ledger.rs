//! The reply-rate ledger of a shop: its rounds read from the store and held against the platform's rules.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Bot, BotError};
use crate::conversation::clock::Clock;
use crate::conversation::store::StoredRound;
use crate::report::ledger::{Ledger, Question, Round, Window, ledger};

impl Bot {
    /// The ledger of a shop's day, as far as it is known at `now`.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn ledger(&self, shop: &str, day: Date, now: Timestamp) -> Result<Ledger, BotError> {
        let policy = self.shops.policy_or_default(shop);
        let window = Window { week: policy.window.clone(), zone: policy.time_zone.clone() };
        let edge = |day: Date| day.to_zoned(policy.time_zone.clone()).map_or(Timestamp::MIN, |start| start.timestamp());
        // A window may run past midnight.
        let end = day.checked_add(2.days()).map_or(Timestamp::MAX, edge);
        let stored = self.store.rounds(shop, edge(day), end).await?;
        let question = Question {
            shop,
            day,
            window: &window,
            limit: SignedDuration::from_mins(i64::from(policy.reply_minutes)),
            counted: policy.counted,
            now,
        };
        let mut ledger = ledger(&question, &of_clock(&stored, Clock::Any), &of_clock(&stored, Clock::Human));
        let waits = waits(&stored, policy.counted);
        ledger.breaching.retain(|late| {
            let who = (late.channel.as_str(), late.conversation_id.as_str());
            waits.get(&who).is_some_and(|since| *since == late.waiting_since)
        });
        Ok(ledger)
    }
}

/// Who waits, and since when. Nobody waits in a conversation that was closed, nor, when it was opened again, for what was
/// asked before, though those rounds stay without a reply.
fn waits(stored: &[StoredRound], clock: Clock) -> BTreeMap<(&str, &str), Timestamp> {
    let open = stored.iter().filter(|stored| stored.round.clock == clock && !stored.closed);
    // In the order of their starts: the last one counts.
    open.map(|stored| ((stored.key.channel.as_str(), stored.key.conversation_id.as_str()), stored.round.started_at))
        .collect()
}

fn of_clock(stored: &[StoredRound], clock: Clock) -> Vec<Round> {
    let rounds = stored.iter().filter(|stored| stored.round.clock == clock);
    rounds
        .map(|stored| Round {
            channel: stored.key.channel.clone(),
            conversation: stored.key.conversation_id.clone(),
            started_at: stored.round.started_at,
            replied_at: stored.round.replied_at,
        })
        .collect()
}
