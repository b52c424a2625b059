//! Brings pushes to their endpoints: at least once, with one id over all attempts, in order within a conversation.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use super::sender::Sender;
use super::{Bot, now};
use crate::channel::call::Failure;
use crate::conversation::outgoing::{FailureClass, PushKind, Webhook};
use crate::conversation::store::{Leases, Push, Settled, StoreError};
use crate::outbound::OutboundError;
use crate::outbound::guard::Client;
use crate::outbound::webhook::{ATTEMPTS, Delivery, Secret, SecretError, back_off, deliver};

/// How often the outbox is looked at while it is empty.
const IDLE: Duration = Duration::from_millis(200);

/// How long the courier waits for more that can be taken or settled in one transaction.
const GATHER: Duration = Duration::from_millis(10);

/// Pushes taken from the outbox at once.
const CLAIM: u32 = 64;

/// Pushes under way to an endpoint from which on it gets no more for the moment.
const AT_ONCE: usize = 16;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a platform may take for all calls that a message needs.
const ALL_CALLS: Duration = Duration::from_secs(21);

/// How long a push is ours: longer than an attempt, so that nobody else sends it meanwhile; when we die, others wait no
/// longer than that. Those of channel accounts are ours for longer ([`ACCOUNT_LEASE`]).
const LEASE: SignedDuration = SignedDuration::from_secs(8);

/// How long a push of a channel account is ours: platforms take their time, and what they took must not go out twice.
const ACCOUNT_LEASE: SignedDuration = SignedDuration::from_secs(24);

/// A push that was under way, by its id, and what became of it.
type Brought = Result<(String, Settled), StoreError>;

/// Who can be called.
enum Endpoint {
    /// A receiver of signed webhooks.
    Webhook { url: String, secret: Secret, client: Client },
    /// A platform's API.
    Account(Sender),
}

/// Brings pushes to the configured endpoints.
#[derive(Clone)]
pub struct Courier {
    bot: Bot,
    endpoints: Arc<HashMap<String, Arc<Endpoint>>>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

impl Courier {
    /// A courier for the bot's endpoints.
    ///
    /// # Errors
    /// When a secret or an address of one is malformed.
    pub fn new(bot: Bot) -> Result<Self, OutboundError> {
        let mut endpoints = HashMap::new();
        for Webhook { name, url, secret, allow_private, .. } in bot.webhooks() {
            let wrong = |what: String| OutboundError::Config(format!("[[webhooks]] `{name}`: {what}"));
            let secret: Secret = secret.parse().map_err(|error: SecretError| wrong(error.to_string()))?;
            let client = Client::new(*allow_private, TIMEOUT)?;
            client.permits(url).map_err(|error| wrong(error.to_string()))?;
            endpoints.insert(name.clone(), Arc::new(Endpoint::Webhook { url: url.clone(), secret, client }));
        }
        for account in bot.accounts() {
            let sender = Sender::new(account.clone(), Arc::clone(bot.store()))?;
            endpoints.insert(account.endpoint(), Arc::new(Endpoint::Account(sender)));
        }
        Ok(Self { bot, endpoints: Arc::new(endpoints) })
    }

    /// Delivers until the task is dropped. A store that fails is tried again.
    pub async fn run(self) {
        let (mut under_way, mut done, mut failing) = (JoinSet::new(), Vec::new(), false);
        loop {
            // What is known is written before anything is claimed: what was sent must not be claimed again.
            let settled = self.bot.store().settle(&done, now()).await;
            let taken = match settled {
                Ok(()) => {
                    done.clear();
                    self.take(&mut under_way).await
                }
                Err(error) => Err(error),
            };
            let wait = match &taken {
                Ok(1..) => Duration::ZERO,
                Ok(0) => IDLE,
                Err(_) => IDLE * 5,
            };
            let gathered = gather(&mut under_way, wait, &self.bot.outbox_bell, &mut done).await;
            let outcome = taken.map(drop).and(gathered);
            if let (Err(error), false) = (&outcome, failing) {
                tracing::error!(%error, "the outbox cannot be used; trying on");
            }
            failing = outcome.is_err();
        }
    }

    /// Takes what is due and sets it on its way; how many pushes. What is not settled is due again after its lease.
    async fn take(&self, under_way: &mut JoinSet<Brought>) -> Result<usize, StoreError> {
        let now = now();
        let until = |lease| now.checked_add(lease).unwrap_or(now);
        let leases = Leases { webhook: until(LEASE), account: until(ACCOUNT_LEASE) };
        // Each push under way holds its endpoint. One that hangs must not keep the others waiting.
        let busy = self.endpoints.iter().filter(|(_, endpoint)| Arc::strong_count(endpoint) > AT_ONCE);
        let busy: Vec<&str> = busy.map(|(name, _)| name.as_str()).collect();
        let pushes = self.bot.store().claim(now, leases, CLAIM, &busy).await?;
        let count = pushes.len();
        let disabled = if count > 0 { self.bot.store().disabled_endpoints().await? } else { Vec::new() };
        for push in pushes {
            let off = disabled.iter().find(|off| off.name == push.outgoing.endpoint).map(|off| off.reason.clone());
            let endpoint = self.endpoints.get(&push.outgoing.endpoint).map(Arc::clone);
            let courier = self.clone();
            under_way.spawn(async move { courier.bring(push, endpoint, off).await });
        }
        Ok(count)
    }

    async fn bring(&self, push: Push, to: Option<Arc<Endpoint>>, off: Option<String>) -> Brought {
        let settled = match (&to, off) {
            (_, Some(reason)) => dead(FailureClass::Gone, format!("the endpoint is switched off: {reason}")),
            (None, None) => dead(FailureClass::GivenUp, "the endpoint is not configured any more".to_owned()),
            (Some(_), None) if overtaken(&push) => Settled::Dropped { reason: "a human was quicker".to_owned() },
            (Some(endpoint), None) => self.attempt(endpoint, &push).await?,
        };
        let name = match &settled {
            Settled::Sent => "sent",
            Settled::Retry { class: FailureClass::Retry, .. } => "retry",
            Settled::Dead { class: FailureClass::Retry, .. } => "dead",
            Settled::Retry { class, .. } | Settled::Dead { class, .. } => class.name(),
            Settled::Dropped { .. } => "dropped",
        };
        let endpoint = push.outgoing.endpoint;
        if matches!(settled, Settled::Retry { .. } | Settled::Dead { .. })
            && let Some(untold) = self.bot.lately.tell(&endpoint, name, now())
        {
            // Why is kept with the push: the receiver's words may be the customer's.
            let state = if matches!(settled, Settled::Dead { .. }) { "dead" } else { "pending" };
            let id = push.outgoing.id.as_str();
            tracing::warn!(%endpoint, push = id, untold, "not delivered: {name}; GET /v1/outbox?state={state} tells why");
        }
        metrics::counter!("yingda_pushes_total", "endpoint" => endpoint, "outcome" => name).increment(1);
        Ok((push.outgoing.id, settled))
    }

    async fn attempt(&self, endpoint: &Endpoint, push: &Push) -> Result<Settled, StoreError> {
        let (id, name) = (push.outgoing.id.as_str(), push.outgoing.endpoint.as_str());
        let failure = match endpoint {
            Endpoint::Webhook { url, secret, client } => {
                let delivery = deliver(client, url, secret, id, now(), push.outgoing.body.as_bytes()).await;
                delivery_failure(delivery)
            }
            Endpoint::Account(sender) => sender.bring_in(ALL_CALLS, push).await.err(),
        };
        let Some(failure) = failure else { return Ok(Settled::Sent) };
        let (class, why, attempts) = (failure.class(), failure.why().to_owned(), push.attempts + 1);
        Ok(match failure.try_after() {
            None if class == FailureClass::Gone => {
                tracing::error!(endpoint = name, "switched off: {why}");
                self.bot.store().switch_endpoint(name, Some(&why), now()).await?;
                dead(class, why)
            }
            None => dead(class, why),
            Some(_) if attempts >= failure.most_attempts().unwrap_or(ATTEMPTS) => {
                if let Some(untold) = self.bot.lately.tell(name, "given up", now()) {
                    tracing::error!(endpoint = name, push = id, untold, "given up after {attempts} attempts");
                }
                dead(class, why)
            }
            Some(after) => {
                let after = Duration::try_from(after).ok();
                Settled::Retry { at: next(now(), attempts, after, id), error: why, class }
            }
        })
    }
}

fn dead(class: FailureClass, error: String) -> Settled {
    Settled::Dead { error, class }
}

/// What a webhook's delivery means for the push; none when it is there.
fn delivery_failure(delivery: Delivery) -> Option<Failure> {
    match delivery {
        Delivery::Delivered => None,
        Delivery::Gone => Some(Failure::Gone { why: "it answered 410 Gone".to_owned() }),
        Delivery::Refused { why } => Some(Failure::GiveUp { why }),
        Delivery::Retry { after, why } => {
            let after = after.and_then(|after| SignedDuration::try_from(after).ok());
            Some(Failure::Retry { after, why })
        }
    }
}

/// Waits so long, or until there are new pushes or one under way is done, and gathers what is done a moment later: it is
/// settled together.
async fn gather(
    under_way: &mut JoinSet<Brought>,
    wait: Duration,
    bell: &Notify,
    done: &mut Vec<(String, Settled)>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    let mut settle = |brought: Result<Brought, JoinError>| match brought {
        Ok(Ok(settled)) => done.push(settled),
        Ok(Err(error)) => outcome = Err(error),
        // What met a fault in the program is tried again after its lease.
        Err(_) => {}
    };
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = bell.notified() => {}
        Some(brought) = under_way.join_next() => settle(brought),
    }
    tokio::time::sleep(GATHER).await;
    while let Some(brought) = under_way.try_join_next() {
        settle(brought);
    }
    outcome
}

/// A reply that a human has overtaken is not sent any more.
fn overtaken(push: &Push) -> bool {
    push.outgoing.kind == PushKind::Reply.name() && push.human_at.is_some_and(|at| at > push.created_at)
}

/// When to try again: after the back-off, or later where the receiver asks for it. The jitter follows from the push, so that many
/// pushes that failed together come back apart.
fn next(now: Timestamp, attempts: u32, after: Option<Duration>, id: &str) -> Timestamp {
    use std::hash::BuildHasher;
    let random = rustc_hash::FxBuildHasher.hash_one((id, attempts));
    let wait = after.unwrap_or_default().max(back_off(attempts, random));
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_and_not_for_a_shorter_one() {
        let waits = |attempts, after: Option<u64>| {
            let next = next(Timestamp::UNIX_EPOCH, attempts, after.map(Duration::from_secs), "push");
            next.duration_since(Timestamp::UNIX_EPOCH).as_secs()
        };
        assert_eq!(waits(1, Some(90)), 90);
        assert_eq!(waits(12, Some(1)), waits(12, None));
        assert!(waits(12, None) > 1_000, "half an hour at least");
    }
}
