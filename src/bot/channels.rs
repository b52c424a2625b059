//! What platforms post to their accounts: verified, recorded, and only then acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::presence::Notice;
use super::{Bot, BotError};
use crate::channel::account::Account;
use crate::channel::call::Undelivered;
use crate::channel::hook::{Answer, Happened, Heard, Moment, Recorded, Refusal, Request, Said};
use crate::conversation::event::{ConversationKey, InboundEvent};
use crate::conversation::phase::Phase;
use crate::conversation::store::{Lost, StoreError, StoredDecision};
use crate::reply::policy::Delivery;

/// Longest wait for a decision that goes out in the answer to the request. Platforms hang up after five seconds and ask
/// again, and find it stored then; what they make of an error before that is not documented.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why a platform's request is not acknowledged; nothing is lost that was not stored.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It is not believed or not understood.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing of it can be taken.
    #[error("{0}")]
    Invalid(String),
    /// The store cannot be used now: the platform shall send it again.
    #[error(transparent)]
    Bot(#[from] BotError),
    /// It takes too long: the platform shall ask again.
    #[error("the decision takes too long")]
    Late,
}

impl From<StoreError> for HookError {
    fn from(error: StoreError) -> Self {
        Self::Bot(error.into())
    }
}

/// An event with its decision.
pub(super) struct Taken {
    event: InboundEvent,
    decision: StoredDecision,
    redelivered: bool,
}

/// This moment, with random bytes.
#[must_use]
pub fn moment(now: Timestamp) -> Moment {
    let mut random = [0; 16];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "the system gives no random bytes");
    }
    Moment { now, random }
}

impl Bot {
    /// The channel account of this name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name.as_str() == name)
    }

    /// Takes a platform's request: what it says is stored when the answer is there.
    ///
    /// # Errors
    /// [`HookError`]; the platform is to send it again, except where it is refused.
    pub async fn hear(
        &self,
        account: &Account,
        request: &Request<'_>,
        moment: Moment,
        text_chars: usize,
    ) -> Result<Answer, HookError> {
        let outcome = match account.channel().hear(request, &moment) {
            // Notices, and what is about another number, page or shop.
            Ok(Heard::Events(happened)) if happened == Happened::default() => {
                count(account, "nothing");
                return Ok(account.channel().acknowledge(&[], &moment));
            }
            Ok(heard) => self.answer(account, heard, moment, text_chars).await,
            Err(refusal) => Err(refusal.into()),
        };
        let name = match &outcome {
            Ok(_) => "taken",
            Err(HookError::Refused(refusal)) => refusal.name(),
            Err(HookError::Invalid(_) | HookError::Bot(BotError::Conflict(_))) => "invalid",
            Err(HookError::Bot(_) | HookError::Late) => "unavailable",
        };
        count(account, name);
        if let Err(error) = &outcome {
            self.tell(account, name, error, moment.now);
        }
        outcome
    }

    /// Tells the operator, not too often, what a platform was refused and why.
    fn tell(&self, account: &Account, name: &'static str, error: &HookError, now: Timestamp) {
        let Some(untold) = self.lately.tell(account.name.as_str(), name, now) else { return };
        let account = &account.name;
        match error {
            HookError::Refused(refusal) => {
                tracing::warn!(%account, untold, "a request was refused: {name}; {}", refusal.hint());
            }
            HookError::Invalid(_) | HookError::Bot(BotError::Conflict(_)) => {
                tracing::warn!(%account, untold, "a request could not be used: {name}");
            }
            HookError::Bot(error) => {
                tracing::error!(%account, untold, %error, "a message was not stored; the platform is asked to send it again");
            }
            HookError::Late => {
                tracing::error!(%account, untold, "a decision took too long; the platform is asked to send it again");
            }
        }
    }

    async fn answer(
        &self,
        account: &Account,
        heard: Heard,
        moment: Moment,
        text_chars: usize,
    ) -> Result<Answer, HookError> {
        match heard {
            Heard::Answer(answer) => Ok(answer),
            Heard::Presence { present, at, id } => {
                self.sit_down(account, present, Notice { at: at.min(moment.now), id: &id }, moment.now).await
            }
            Heard::Fetch(fetch) => {
                self.expect_mail(account, fetch).await?;
                Ok(account.channel().acknowledge(&[], &moment))
            }
            Heard::Events(Happened { said, undelivered }) => {
                self.lose(account, undelivered, moment.now).await?;
                let taken = self.take_in_time(account, said, moment.now, text_chars).await?;
                let recorded: Vec<Recorded<'_>> = taken.iter().map(Taken::recorded).collect();
                Ok(account.channel().acknowledge(&recorded, &moment))
            }
        }
    }

    /// Has the outbox show what the platform took and could not bring.
    pub(super) async fn lose(
        &self,
        account: &Account,
        undelivered: Vec<Undelivered>,
        now: Timestamp,
    ) -> Result<(), HookError> {
        // Others than ours were never in the outbox.
        let ours = undelivered
            .into_iter()
            .filter(|Undelivered { id, .. }| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        let lost = ours.map(|Undelivered { id, failure }| {
            let (class, error) = (failure.class(), failure.why().to_owned());
            Lost { id, class, error }
        });
        let lost: Vec<Lost> = lost.collect();
        if lost.is_empty() {
            return Ok(());
        }
        let endpoint = account.endpoint();
        let count = self.store.lose(&endpoint, &lost, now).await?;
        if count > 0
            && let Some(untold) = self.lately.tell(&endpoint, "undelivered", now)
        {
            tracing::warn!(%endpoint, untold, "taken, and told later that it did not arrive; GET /v1/outbox?state=dead tells why");
        }
        metrics::counter!("yingda_pushes_total", "endpoint" => endpoint, "outcome" => "undelivered").increment(count);
        Ok(())
    }

    async fn take_in_time(
        &self,
        account: &Account,
        said: Vec<Said>,
        now: Timestamp,
        text_chars: usize,
    ) -> Result<Vec<Taken>, HookError> {
        let (bot, asker) = (self.clone(), account.clone());
        // It runs to its end whoever hangs up: the next request finds what it stored.
        let taking = tokio::spawn(async move { bot.take(&asker, said, now, text_chars).await });
        let taken = match account.channel().answers_in_response() {
            true => tokio::time::timeout(PATIENCE, taking).await.map_err(|_| HookError::Late)?,
            false => taking.await,
        };
        taken.unwrap_or(Err(HookError::Late))
    }

    /// Records what happened: conversations at once, each in its order. What cannot be an event is counted and left out,
    /// for it would come again and again, unless it is all there is.
    pub(super) async fn take(
        &self,
        account: &Account,
        said: Vec<Said>,
        now: Timestamp,
        text_chars: usize,
    ) -> Result<Vec<Taken>, HookError> {
        let mut conversations: BTreeMap<ConversationKey, Vec<(usize, InboundEvent)>> = BTreeMap::new();
        let mut fault = None;
        for (place, said) in said.into_iter().enumerate() {
            match account.event(said, text_chars, now) {
                Ok(event) => conversations.entry(event.conversation()).or_default().push((place, event)),
                Err(wrong) => fault = Some(HookError::Invalid(wrong.to_string())),
            }
        }
        let mut under_way = JoinSet::new();
        for (_, events) in conversations {
            let bot = self.clone();
            under_way.spawn(async move { bot.take_in_order(events, now).await });
        }
        let mut taken = Vec::new();
        while let Some(done) = under_way.join_next().await {
            let (some, wrong) = done.map_err(|_| HookError::Late)??;
            taken.extend(some);
            fault = wrong.or(fault);
        }
        taken.sort_unstable_by_key(|(place, _)| *place);
        match fault {
            Some(fault) if taken.is_empty() => Err(fault),
            fault => {
                fault.iter().for_each(|_| count(account, "left_out"));
                Ok(taken.into_iter().map(|(_, taken)| taken).collect())
            }
        }
    }

    async fn take_in_order(
        &self,
        events: Vec<(usize, InboundEvent)>,
        now: Timestamp,
    ) -> Result<(Vec<(usize, Taken)>, Option<HookError>), HookError> {
        let (mut taken, mut fault) = (Vec::with_capacity(events.len()), None);
        for (place, event) in events {
            match self.receive(event.clone(), now).await {
                Ok((decision, redelivered)) => taken.push((place, Taken { event, decision, redelivered })),
                Err(error @ BotError::Conflict(_)) => fault = Some(error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((taken, fault))
    }
}

impl Taken {
    fn recorded(&self) -> Recorded<'_> {
        let field = |name: &str| self.decision.0.get(name);
        let pushed =
            field("delivery").and_then(|delivery| Delivery::deserialize(delivery).ok()) == Some(Delivery::Push);
        let reply = field("replies").and_then(|replies| replies.get(0)?.get("text")?.as_str());
        Recorded {
            event: &self.event,
            reply: reply.filter(|_| !pushed),
            hands_over: field("action").and_then(|action| action.as_str()) == Some("handoff"),
            with_humans: field("phase").and_then(|phase| phase.as_str()).is_some_and(Phase::is_with_humans),
            redelivered: self.redelivered,
        }
    }
}

fn count(account: &Account, outcome: &'static str) {
    metrics::counter!("yingda_channel_requests_total", "account" => account.name.to_string(), "outcome" => outcome)
        .increment(1);
}
