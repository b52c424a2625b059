//! Brings pushes to their endpoints: at least once, with one id over all attempts, in order within a conversation.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::{Bot, now};
use crate::conversation::outgoing::{PushKind, Webhook};
use crate::conversation::store::{Push, Settled, StoreError};
use crate::outbound::OutboundError;
use crate::outbound::guard::Client;
use crate::outbound::webhook::{ATTEMPTS, Delivery, Secret, SecretError, back_off, deliver};

/// How often the outbox is looked at while it is empty.
const IDLE: Duration = Duration::from_millis(200);

/// Pushes under way at once.
const AT_ONCE: u32 = 32;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a push is ours: longer than an attempt, so that nobody else sends it meanwhile; when we die, others wait no
/// longer than that.
const LEASE: SignedDuration = SignedDuration::from_secs(8);

/// An endpoint that can be called.
struct Endpoint {
    url: String,
    secret: Secret,
    client: Client,
}

/// Brings pushes to the configured endpoints.
#[derive(Clone)]
pub struct Courier {
    bot: Bot,
    endpoints: Arc<HashMap<String, Endpoint>>,
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
            client
                .permits(url)
                .map_err(|error| wrong(format!("{error} (allow_private = true permits private ones)")))?;
            endpoints.insert(name.clone(), Endpoint { url: url.clone(), secret, client });
        }
        Ok(Self { bot, endpoints: Arc::new(endpoints) })
    }

    /// Delivers until the task is dropped. A store that fails is tried again.
    pub async fn run(self) {
        let mut failing = false;
        loop {
            let brought = self.deliver_due().await;
            if let (Err(error), false) = (&brought, failing) {
                tracing::error!(%error, "pushes cannot be taken from the outbox; trying on");
            }
            failing = brought.is_err();
            match brought {
                Ok(1..) => {}
                Ok(0) => tokio::time::sleep(IDLE).await,
                Err(_) => tokio::time::sleep(IDLE * 5).await,
            }
        }
    }

    /// Takes what is due and brings it; how many pushes.
    ///
    /// # Errors
    /// When the store refuses; what was taken is due again after its lease.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let now = now();
        let lease = now.checked_add(LEASE).unwrap_or(now);
        let pushes = self.bot.store().claim(now, lease, AT_ONCE).await?;
        let count = pushes.len();
        let disabled = if count > 0 { self.bot.store().disabled_endpoints().await? } else { Vec::new() };
        let mut under_way = JoinSet::new();
        for push in pushes {
            let off = disabled.iter().find(|off| off.name == push.outgoing.endpoint).map(|off| off.reason.clone());
            let courier = self.clone();
            under_way.spawn(async move { courier.bring(push, off).await });
        }
        let mut outcome = Ok(count);
        while let Some(done) = under_way.join_next().await {
            if let Ok(Err(error)) = done {
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn bring(&self, push: Push, off: Option<String>) -> Result<(), StoreError> {
        let endpoint = self.endpoints.get(&push.outgoing.endpoint);
        let settled = match (endpoint, off) {
            (_, Some(reason)) => Settled::Dead { error: format!("the endpoint is switched off: {reason}") },
            (None, None) => Settled::Dead { error: "the endpoint is not configured any more".to_owned() },
            (Some(_), None) if overtaken(&push) => Settled::Dropped { reason: "a human was quicker".to_owned() },
            (Some(endpoint), None) => self.attempt(endpoint, &push).await?,
        };
        let name = match &settled {
            Settled::Sent => "sent",
            Settled::Retry { .. } => "retry",
            Settled::Dead { .. } => "dead",
            Settled::Dropped { .. } => "dropped",
        };
        metrics::counter!("yingda_pushes_total", "endpoint" => push.outgoing.endpoint.clone(), "outcome" => name)
            .increment(1);
        self.bot.store().settle(&push.outgoing.id, &settled, now()).await
    }

    async fn attempt(&self, endpoint: &Endpoint, push: &Push) -> Result<Settled, StoreError> {
        let (id, body) = (push.outgoing.id.as_str(), push.outgoing.body.as_bytes());
        let Endpoint { url, secret, client } = endpoint;
        let delivery = deliver(client, url, secret, id, now(), body).await;
        let attempts = push.attempts + 1;
        Ok(match delivery {
            Delivery::Delivered => Settled::Sent,
            Delivery::Gone => {
                let reason = "it answered 410 Gone";
                tracing::error!(endpoint = push.outgoing.endpoint, "switched off: {reason}");
                self.bot.store().switch_endpoint(&push.outgoing.endpoint, Some(reason), now()).await?;
                Settled::Dead { error: reason.to_owned() }
            }
            Delivery::Refused { why } => Settled::Dead { error: why },
            Delivery::Retry { why, .. } if attempts >= ATTEMPTS => {
                tracing::error!(
                    endpoint = push.outgoing.endpoint,
                    push = id,
                    "given up after {attempts} attempts: {why}"
                );
                Settled::Dead { error: why }
            }
            Delivery::Retry { after, why } => Settled::Retry { at: next(now(), attempts, after, id), error: why },
        })
    }
}

/// A reply that a human has overtaken is not sent any more.
fn overtaken(push: &Push) -> bool {
    push.outgoing.kind == PushKind::Reply.name() && push.human_at.is_some_and(|at| at > push.created_at)
}

/// When to try again: as the receiver asks, else after the back-off. The jitter follows from the push, so that many
/// pushes that failed together come back apart.
fn next(now: Timestamp, attempts: u32, after: Option<Duration>, id: &str) -> Timestamp {
    use std::hash::BuildHasher;
    let random = rustc_hash::FxBuildHasher.hash_one((id, attempts));
    let wait = after.unwrap_or_else(|| back_off(attempts, random));
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(now)
}
