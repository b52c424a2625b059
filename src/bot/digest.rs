//! The daily digest: what happened at a shop yesterday, pushed to those who subscribe to it.

use std::sync::PoisonError;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::pushes::push;
use super::{Bot, BotError};
use crate::conversation::outgoing::{Outgoing, PushKind, is_wanted};

impl Bot {
    /// Makes the digest of a shop's last day, once, when its time has come; whether it was made now.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn make_digest(&self, shop: &str, now: Timestamp) -> Result<bool, BotError> {
        let policy = self.shops.policy_or_default(shop);
        let local = now.to_zoned(policy.time_zone.clone());
        if !is_wanted(&self.subscribers, PushKind::DailyDigest, shop, None) || local.time() < policy.digest_at {
            return Ok(false);
        }
        let Ok(day) = local.date().yesterday() else { return Ok(false) };
        let made = || self.digested.lock().unwrap_or_else(PoisonError::into_inner);
        if made().get(shop) == Some(&day) {
            return Ok(false);
        }
        let pushes = self.digest(shop, day, now).await?;
        let fresh = self.store.mark_digest(shop, day, &pushes, now).await?;
        made().insert(shop.to_owned(), day);
        Ok(fresh)
    }

    async fn digest(&self, shop: &str, day: Date, now: Timestamp) -> Result<Vec<Outgoing>, BotError> {
        let ledger = self.ledger(shop, day, now).await?;
        let zone = &self.shops.policy_or_default(shop).time_zone;
        let edge = |day: Date| day.to_zoned(zone.clone()).map_or(Timestamp::MIN, |start| start.timestamp());
        let end = day.checked_add(1.day()).map_or(Timestamp::MAX, edge);
        let reasons = self.store.reasons(shop, edge(day), end).await?;
        let data = json!({ "shop": shop, "day": day, "decisions": reasons, "ledger": ledger });
        let wanting = self.subscribers.iter().filter(|subscriber| subscriber.wants(PushKind::DailyDigest, shop, None));
        let about = [shop, &day.to_string()];
        Ok(wanting.map(|subscriber| push(subscriber, PushKind::DailyDigest, &about, now, &data)).collect())
    }
}
