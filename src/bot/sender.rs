//! Brings messages to a platform: one call each, with an access token that all nodes share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::channels::moment;
use super::now;
use crate::channel::account::Account;
use crate::channel::call::{Call, CallAnswer, Failure, Granted, Message, Tokens};
use crate::conversation::outgoing::PushKind;
use crate::conversation::store::{Push, Store, StoreError};
use crate::outbound::OutboundError;
use crate::outbound::guard::Client;

/// How long a platform may take for one call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// So long before its end a token is replaced.
const EARLY: SignedDuration = SignedDuration::from_secs(120);

/// How long others wait for whoever gets a new token.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// A token that is refused is replaced so often at most.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// Times that a new token is tried to be stored, and the wait between two.
const KEEPS: (u32, Duration) = (10, Duration::from_millis(500));

/// An account that can be called.
#[derive(Clone)]
pub(super) struct Sender {
    pub account: Account,
    client: Client,
    store: Arc<dyn Store>,
    /// The token that was used last. Held for a look.
    held: Arc<Mutex<Option<Granted>>>,
    /// The token that replaced a refused one, and when, until the platform has taken it. Held for a look.
    unproven: Arc<Mutex<Option<(String, Timestamp)>>>,
}

/// What a push says, as far as a platform is told.
#[derive(Deserialize)]
struct Body {
    timestamp: Timestamp,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    conversation_id: String,
    customer_id: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    options: Vec<String>,
    reply_to: Option<String>,
}

impl Sender {
    /// A sender for an account.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(account: Account, store: Arc<dyn Store>) -> Result<Self, OutboundError> {
        let client = Client::new(account.allow_private, TIMEOUT)?;
        Ok(Self { account, client, store, held: Arc::default(), unproven: Arc::default() })
    }

    /// Brings a push to the platform within a time.
    ///
    /// # Errors
    /// [`Failure`] when the platform does not have it, or nobody knows.
    pub async fn bring_in(&self, limit: Duration, push: &Push) -> Result<(), Failure> {
        let late = || Failure::Late { why: "no answer in time".to_owned() };
        tokio::time::timeout(limit, self.bring(push)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn bring(&self, push: &Push) -> Result<(), Failure> {
        let message = message(push).ok_or_else(|| Failure::GiveUp { why: "the push cannot be read".to_owned() })?;
        let channel = self.account.channel();
        let call = |access: String| channel.call(&message, &access, &moment(now()));
        let judge = |answer: &CallAnswer| channel.judge(answer).map_err(|failure| unsure(failure, answer));
        let brought = self.with_access(call, judge, ANSWER).await.map(drop);
        brought.map_err(|failure| match failure {
            Failure::Late { why } if channel.knows_ids() => Failure::Retry { after: None, why },
            failure => failure,
        })
    }

    /// Makes a call with an access token; where that is not taken, once more with a new one. What `read` makes of the answer;
    /// none where there is nothing to call.
    pub async fn with_access<T>(
        &self,
        call: impl Fn(String) -> Result<Option<Call>, Failure>,
        read: impl Fn(&CallAnswer) -> Result<T, Failure>,
        most: usize,
    ) -> Result<Option<T>, Failure> {
        let mut refused = None;
        loop {
            let access = self.access(refused.as_deref()).await?;
            let Some(call) = call(access.clone())? else { return Ok(None) };
            match read(&self.answer(&call, most).await?) {
                Err(Failure::Access { .. }) if refused.is_none() && self.account.channel().tokens().is_some() => {
                    refused = Some(access);
                }
                outcome => {
                    if !matches!(outcome, Err(Failure::Access { .. })) {
                        *self.unproven() = None;
                    }
                    return outcome.map(Some);
                }
            }
        }
    }

    async fn answer(&self, call: &Call, most: usize) -> Result<CallAnswer, Failure> {
        let Call { is_post, url, headers, body } = call;
        let answer = self.client.call((*is_post).then_some(body.as_str()), url, headers, now(), most).await;
        match answer {
            Ok((status, retry_after, body)) => {
                let retry_after = retry_after.and_then(|wait| SignedDuration::try_from(wait).ok());
                Ok(CallAnswer { status, retry_after, body })
            }
            Err(error @ (OutboundError::Forbidden(_) | OutboundError::Config(_))) => {
                Err(Failure::GiveUp { why: error.to_string() })
            }
            Err(error @ OutboundError::Late) => Err(Failure::Late { why: error.to_string() }),
            Err(error) => Err(Failure::Retry { after: None, why: error.to_string() }),
        }
    }

    /// An access token that is not the `refused` one; empty where none is needed.
    async fn access(&self, refused: Option<&str>) -> Result<String, Failure> {
        let Some(tokens) = self.account.channel().tokens() else { return Ok(String::new()) };
        if let Some(held) = self.held().filter(|held| is_good(held, refused)) {
            return Ok(held.token);
        }
        let granted = match self.shared(tokens).await?.filter(|shared| is_good(shared, refused)) {
            Some(granted) => granted,
            None => {
                self.may_replace(refused)?;
                // Whoever waits for it may give up: what was granted must be stored all the same.
                let (sender, old) = (self.clone(), refused.map(str::to_owned));
                let renewal = tokio::spawn(async move { sender.renew(old.as_deref()).await });
                let late = |_| Failure::Retry { after: None, why: "a new access token could not be got".to_owned() };
                let granted = renewal.await.map_err(late)??;
                if refused.is_some() {
                    *self.unproven() = Some((granted.token.clone(), now()));
                }
                granted
            }
        };
        let token = granted.token.clone();
        *self.lock() = Some(granted);
        Ok(token)
    }

    /// A platform that refuses the new token too would have a refresh token used up with every attempt.
    fn may_replace(&self, refused: Option<&str>) -> Result<(), Failure> {
        let unproven = self.unproven();
        let again = unproven
            .as_ref()
            .is_some_and(|(token, since)| refused == Some(token.as_str()) && now().duration_since(*since) < AGAIN);
        if again {
            let why = "the new access token was refused too: is the account authorised still?".to_owned();
            return Err(Failure::Retry { after: Some(AGAIN), why });
        }
        Ok(())
    }

    fn unproven(&self) -> std::sync::MutexGuard<'_, Option<(String, Timestamp)>> {
        self.unproven.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The token that the nodes share; else the configured one.
    async fn shared(&self, tokens: &dyn Tokens) -> Result<Option<Granted>, Failure> {
        let states = self.states().await?;
        let stored = states.get(&token_name(tokens)).and_then(|text| serde_json::from_str(text).ok());
        Ok(stored.or_else(|| tokens.configured()))
    }

    /// Gets a new token. One node does, the others wait for what it gets: the platform may take back the one before.
    async fn renew(&self, refused: Option<&str>) -> Result<Granted, Failure> {
        let Some(tokens) = self.account.channel().tokens() else { return Err(no_tokens()) };
        let lease = format!("lease-{}", token_name(tokens));
        let states = self.states().await?;
        let taken = states.get(&lease).map(String::as_str);
        let until: Option<Timestamp> = taken.and_then(|until| until.parse().ok());
        let now = now();
        let end = now.checked_add(LEASE).unwrap_or(now).to_string();
        let is_free = until.is_none_or(|until| until <= now);
        if !is_free || !self.swap(&lease, taken, &end).await? {
            let wait = SignedDuration::from_secs(1);
            return Err(Failure::Retry { after: Some(wait), why: "a new access token is on its way".to_owned() });
        }
        let granted = self.ask(tokens, refused).await;
        self.swap(&lease, Some(&end), "").await?;
        granted
    }

    /// Asks for a new token, by the lease, and stores it.
    async fn ask(&self, tokens: &dyn Tokens, refused: Option<&str>) -> Result<Granted, Failure> {
        let (name, moment) = (token_name(tokens), moment(now()));
        // Somebody may have been quicker between the look and the lease.
        let before = self.states().await?.remove(&name);
        let last = before.as_deref().and_then(|text| serde_json::from_str(text).ok()).or_else(|| tokens.configured());
        if let Some(granted) = last.clone().filter(|last| is_good(last, refused)) {
            return Ok(granted);
        }
        let answer = self.answer(&tokens.ask(last.as_ref(), &moment), ANSWER).await;
        let granted = answer.and_then(|answer| tokens.read(&answer, &moment)).map_err(not_access)?;
        self.keep(&name, before, &granted).await;
        Ok(granted)
    }

    /// Stores a token that was granted: what it was got with may be used up.
    async fn keep(&self, name: &str, mut before: Option<String>, granted: &Granted) {
        let text = serde_json::to_string(granted).unwrap_or_default();
        let (times, wait) = KEEPS;
        for _ in 0..times {
            match self.swap(name, before.as_deref(), &text).await {
                Ok(true) => return,
                Ok(false) => before = self.states().await.ok().and_then(|mut states| states.remove(name)),
                Err(_) => tokio::time::sleep(wait).await,
            }
        }
        tracing::error!(account = %self.account.name, "a new access token could not be stored");
    }

    async fn states(&self) -> Result<BTreeMap<String, String>, Failure> {
        self.store.account_state(self.account.name.as_str()).await.map_err(|error| busy(&error))
    }

    async fn swap(&self, name: &str, from: Option<&str>, to: &str) -> Result<bool, Failure> {
        let swapped = self.store.swap_account_state(self.account.name.as_str(), name, from, to).await;
        swapped.map_err(|error| busy(&error))
    }

    fn held(&self) -> Option<Granted> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Granted>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Of an answer that says success and nothing that can be read, nobody knows whether the message is out.
fn unsure(failure: Failure, answer: &CallAnswer) -> Failure {
    match failure {
        Failure::Retry { why, .. } if answer.by_status().is_ok() && answer.json().is_null() => Failure::Late { why },
        failure => failure,
    }
}

/// Whether a token is worth trying.
fn is_good(granted: &Granted, refused: Option<&str>) -> bool {
    refused != Some(granted.token.as_str()) && granted.until.duration_since(now()) > EARLY
}

fn no_tokens() -> Failure {
    Failure::GiveUp { why: "this account has no access tokens".to_owned() }
}

fn token_name(tokens: &dyn Tokens) -> String {
    format!("token-{}", tokens.fingerprint())
}

fn busy(error: &StoreError) -> Failure {
    Failure::Retry { after: None, why: error.to_string() }
}

/// Credentials that get no token may be mended in the configuration, or on the platform.
fn not_access(failure: Failure) -> Failure {
    match failure {
        Failure::Access { why } | Failure::GiveUp { why } => {
            Failure::Retry { after: None, why: format!("no access token: {why}") }
        }
        failure => failure,
    }
}

fn message(push: &Push) -> Option<Message> {
    let Body { timestamp, data } = serde_json::from_str(&push.outgoing.body).ok()?;
    Some(Message {
        id: push.outgoing.id.clone(),
        kind: serde::Deserialize::deserialize(Value::String(push.outgoing.kind.clone())).unwrap_or(PushKind::Reply),
        conversation_id: data.conversation_id,
        customer_id: data.customer_id,
        text: data.text,
        options: data.options,
        reply_to: data.reply_to,
        attempts: push.attempts,
        made_at: timestamp,
        body: push.outgoing.body.clone(),
    })
}
