//! What happens by itself: timers fire, incidents expire, digests are made, old conversations are forgotten.
//!
//! A timer that fires is an event like any other, recorded with its decision in one transaction: fired twice, by two
//! nodes or after a crash, it is a redelivery.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::{Bot, BotError, now};
use crate::conversation::event::{Context, EventKind, Id, InboundEvent};
use crate::conversation::inbound::id;
use crate::conversation::outgoing::stable_id;
use crate::conversation::store::Due;
use crate::conversation::timer::TimerKind;
use crate::reply::timers::first_due;

/// How often the clock is looked at: a message that waits for the next one is late by that much at most. Often, so that few
/// timers fire at once and no message waits for the many.
const TICK: Duration = Duration::from_millis(50);

/// How often what is not urgent is seen to.
const ROUND: Duration = Duration::from_secs(60);

/// Conversations whose timers fire before the clock is looked at again.
const AT_ONCE: u32 = 200;

/// Fires what is due, and sees to the rest, until the task is dropped. A store that fails is tried again.
pub async fn run(bot: Bot) {
    tokio::join!(fire(&bot), see_to_the_rest(&bot));
}

async fn fire(bot: &Bot) {
    let mut failing = false;
    loop {
        let fired = bot.fire_due(now()).await;
        if let (Err(error), false) = (&fired, failing) {
            tracing::error!(%error, "timers cannot be fired; trying on");
        }
        failing = fired.is_err();
        match fired {
            Ok(count) if count == AT_ONCE as usize => {}
            Ok(_) => tokio::time::sleep(TICK).await,
            Err(_) => tokio::time::sleep(TICK * 20).await,
        }
    }
}

async fn see_to_the_rest(bot: &Bot) {
    loop {
        if let Err(error) = bot.see_to_the_rest(now()).await {
            tracing::error!(%error, "incidents, digests and old messages cannot be seen to; trying on");
        }
        tokio::time::sleep(ROUND).await;
    }
}

impl Bot {
    /// Fires every timer that is due at `now`; how many timers fired.
    ///
    /// # Errors
    /// When the store refuses; timers that did not fire are due still.
    pub async fn fire_due(&self, now: Timestamp) -> Result<usize, BotError> {
        let due = self.due_events(now).await?;
        let (mut outcome, mut under_way) = (Ok(0), JoinSet::new());
        // All at once, so that they share commits.
        for event in due {
            let bot = self.clone();
            under_way.spawn(async move { bot.receive(event, now).await });
        }
        while let Some(fired) = under_way.join_next().await {
            match fired {
                Ok(Ok((_, false))) => outcome = outcome.map(|count| count + 1),
                // Another node was quicker, with the same facts or with others.
                Ok(Ok((_, true)) | Err(BotError::Conflict(_))) | Err(_) => {}
                Ok(Err(error)) => outcome = Err(error),
            }
        }
        outcome
    }

    /// For each conversation with a timer that is due at `now`, the event by which the first fires, longest overdue first.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn due_events(&self, now: Timestamp) -> Result<Vec<InboundEvent>, BotError> {
        let due = self.store.due(None, now, AT_ONCE).await?;
        Ok(due.into_iter().filter_map(|due| self.timer_event(due, now)).collect())
    }

    /// Incidents that expire, digests, retention.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn see_to_the_rest(&self, now: Timestamp) -> Result<(), BotError> {
        self.expire_incidents(now).await?;
        let mut outcome = Ok(());
        for shop in self.store.shops().await? {
            // One shop's trouble is not the others'.
            outcome = outcome.and(self.see_to_shop(&shop, now).await);
        }
        outcome
    }

    async fn see_to_shop(&self, shop: &str, now: Timestamp) -> Result<(), BotError> {
        self.make_digest(shop, now).await?;
        let days = self.shops.policy_or_default(shop).retention_days;
        let age = SignedDuration::from_hours(24 * i64::from(days));
        if let (1.., Ok(before)) = (days, now.checked_sub(age)) {
            let deleted = self.store.purge(shop, before).await?;
            if deleted > 0 {
                tracing::info!(shop, deleted, "old messages were deleted");
            }
        }
        Ok(())
    }

    /// The event by which a conversation's first due timer fires. Its id is that of the facts it was made from.
    fn timer_event(&self, due: Due, now: Timestamp) -> Option<InboundEvent> {
        let Due { key, customer_id, facts, due_at } = due;
        let running = self.timers(&key, &facts);
        let kind = first_due(&running, now).map(|timer| timer.kind);
        let (text, context) = match (kind, &facts.bubbles, &facts.unpaid) {
            (Some(TimerKind::Bubbles), Some(bubbles), _) => (bubbles.text(), (*bubbles.context).clone()),
            (Some(TimerKind::Unpaid), _, Some(order)) => (String::new(), (*order.context).clone()),
            _ => (String::new(), Context::default()),
        };
        let (due_at, events) = (due_at.to_string(), facts.events.to_string());
        let event = InboundEvent {
            shop: id("shop", key.shop.clone()).ok()?,
            channel: id("channel", key.channel.clone()).ok()?,
            conversation_id: id("conversation_id", key.conversation_id.clone()).ok()?,
            customer_id: id("customer_id", customer_id).ok()?,
            message_id: Id::try_from(stable_id("timer-", &[&key.conversation_id, &due_at, &events])).ok()?,
            kind: EventKind::Timer,
            text,
            sender_is_bot: false,
            agent_id: None,
            echo_of: None,
            reply_to: facts.bubbles.filter(|_| kind == Some(TimerKind::Bubbles)).and_then(|last| last.reply_to),
            sent_at: None,
            context,
        };
        Some(event)
    }
}
