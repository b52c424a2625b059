//! Asks the shop's own systems for facts about a customer and an order, within a small budget of time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::OutboundError;
use super::breaker::Breaker;
use super::cache::Cache;
use super::guard::{Client, read};
use super::webhook::{Secret, send};

/// Largest answer read, in bytes.
const LARGEST: usize = 64 << 10;

/// Characters of one fact; more is no name and no number.
const LONGEST: usize = 500;

/// Where the shop's systems answer.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsConfig {
    /// Address that is asked, `https://host/path`.
    pub url: String,
    /// Secret that signs the questions: `whsec_` and base64.
    pub secret: String,
    /// Milliseconds that a question may take.
    #[serde(default = "default_milliseconds")]
    pub timeout_ms: u64,
    /// Seconds for which an answer is kept; 0 asks every time.
    #[serde(default = "default_seconds")]
    pub cache_seconds: u64,
    /// Whether the address may be one of this machine or its network.
    #[serde(default)]
    pub allow_private: bool,
}

fn default_milliseconds() -> u64 {
    300
}

fn default_seconds() -> u64 {
    30
}

impl FactsConfig {
    /// An endpoint with the default budget.
    #[must_use]
    pub fn new(url: &str, secret: &str) -> Self {
        Self {
            url: url.to_owned(),
            secret: secret.to_owned(),
            timeout_ms: default_milliseconds(),
            cache_seconds: default_seconds(),
            allow_private: false,
        }
    }
}

impl std::fmt::Debug for FactsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, secret: _, timeout_ms, cache_seconds, allow_private } = self;
        f.debug_struct("FactsConfig")
            .field("url", url)
            .field("timeout_ms", timeout_ms)
            .field("cache_seconds", cache_seconds)
            .field("allow_private", allow_private)
            .finish_non_exhaustive()
    }
}

/// Whom the facts are about.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FactsRequest<'a> {
    /// The shop's id.
    pub shop: &'a str,
    /// The channel the customer writes on.
    pub channel: &'a str,
    /// The customer's id on that channel.
    pub customer_id: &'a str,
    /// The conversation that goes on.
    pub conversation_id: &'a str,
    /// The order that is talked about, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<&'a str>,
}

/// What the shop's systems know; what they leave out, leave empty or call null is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// How the customer is called.
    #[serde(deserialize_with = "filled")]
    pub customer_name: Option<String>,
    /// The customer's tier, in the shop's own words.
    #[serde(deserialize_with = "filled")]
    pub tier: Option<String>,
    /// The order that is talked about.
    #[serde(deserialize_with = "filled")]
    pub order_id: Option<String>,
    /// State of that order, in the words of the shop's systems.
    #[serde(deserialize_with = "filled")]
    pub order_state: Option<String>,
    /// Who carries the parcel.
    #[serde(deserialize_with = "filled")]
    pub carrier: Option<String>,
    /// The parcel's number at the carrier.
    #[serde(deserialize_with = "filled")]
    pub tracking_no: Option<String>,
    /// When the order ships, as it is told to the customer.
    #[serde(deserialize_with = "filled")]
    pub ship_time: Option<String>,
    /// When the order was placed (RFC 3339).
    #[serde(deserialize_with = "instant")]
    pub ordered_at: Option<Timestamp>,
    /// Where the customer is.
    #[serde(deserialize_with = "filled")]
    pub region: Option<String>,
    /// The product that is talked about.
    #[serde(deserialize_with = "filled")]
    pub product: Option<String>,
    /// Category of that product.
    #[serde(deserialize_with = "filled")]
    pub category: Option<String>,
}

/// A text with something in it.
fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.trim().is_empty());
    match text {
        Some(text) if text.chars().count() > LONGEST => Err(serde::de::Error::custom("a fact is too long")),
        text => Ok(text),
    }
}

/// A time of RFC 3339, where there is one.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = filled(deserializer)?;
    text.map(|text| text.trim().parse().map_err(serde::de::Error::custom)).transpose()
}

/// The body of a question (spec of Standard Webhooks, "Payload structure").
#[derive(Serialize)]
struct Question<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: &'a FactsRequest<'a>,
}

/// Shop, channel, customer, order.
type Key = (String, String, String, Option<String>);

/// The shop's systems.
#[derive(Debug)]
pub struct FactsHook {
    url: String,
    secret: Secret,
    client: Client,
    breaker: Breaker,
    /// Questions sent, so that no two have one id.
    asked: AtomicU64,
    /// Held for a look or an entry, never while a question is on its way.
    cache: Mutex<Cache<Key, Facts>>,
}

impl FactsHook {
    /// A client of the endpoint; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none or may not be called, the secret is none, or there is no time.
    pub fn new(config: FactsConfig) -> Result<Self, OutboundError> {
        let wrong = |what: String| OutboundError::Config(format!("facts: {what}"));
        let secret = config.secret.parse().map_err(|error| wrong(format!("secret: {error}")))?;
        if config.timeout_ms == 0 {
            return Err(wrong("timeout_ms must be above 0".to_owned()));
        }
        let client = Client::new(config.allow_private, Duration::from_millis(config.timeout_ms))?;
        client.permits(&config.url).map_err(|error| wrong(format!("url: {error}; see allow_private")))?;
        Ok(Self {
            url: config.url,
            secret,
            client,
            breaker: Breaker::default(),
            asked: AtomicU64::new(0),
            cache: Mutex::new(Cache::new(Duration::from_secs(config.cache_seconds))),
        })
    }

    /// The facts, or `None` when they do not come within the budget or the endpoint is resting.
    pub async fn ask(&self, request: &FactsRequest<'_>, now: Timestamp) -> Option<Facts> {
        let key = key_of(request);
        let kept = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key, now);
        let (facts, label) = match kept {
            Some(facts) => (Some(facts), "kept"),
            None if !self.breaker.lets_through(Instant::now()) => (None, "resting"),
            None => match self.fetched(request, now).await {
                Some(facts) => {
                    self.cache.lock().unwrap_or_else(PoisonError::into_inner).keep(key, facts.clone(), now);
                    (Some(facts), "answered")
                }
                None => (None, "failed"),
            },
        };
        metrics::counter!("yingda_facts_queries_total", "outcome" => label).increment(1);
        facts
    }

    async fn fetched(&self, request: &FactsRequest<'_>, now: Timestamp) -> Option<Facts> {
        let outcome = self.fetch(request, now).await;
        if self.breaker.tells(outcome.is_ok(), Instant::now()) {
            tracing::warn!("the shop's systems keep failing: answers do without their facts for a while");
        }
        outcome.inspect_err(|error| tracing::debug!(%error, "answering without the shop's facts")).ok()
    }

    async fn fetch(&self, request: &FactsRequest<'_>, now: Timestamp) -> Result<Facts, OutboundError> {
        // Where in the answer, not what: it is about a customer.
        let malformed = |error: serde_json::Error| {
            OutboundError::Unusable(format!("no facts (line {} column {})", error.line(), error.column()))
        };
        let question = Question { r#type: "facts", timestamp: now, data: request };
        let body = serde_json::to_vec(&question).map_err(malformed)?;
        let id = self.fresh_id(&body, now);
        let mut response = send(&self.client, &self.url, &self.secret, &id, now, &body).await?;
        if !response.status().is_success() {
            return Err(OutboundError::Unusable(response.status().as_u16().to_string()));
        }
        serde_json::from_slice(&read(&mut response, LARGEST).await?).map_err(malformed)
    }

    /// `msg_` and 32 hex digits that no other question has.
    fn fresh_id(&self, body: &[u8], now: Timestamp) -> String {
        let count = self.asked.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new()
            .chain_update(count.to_be_bytes())
            .chain_update(now.as_nanosecond().to_be_bytes())
            .chain_update(body)
            .finalize();
        format!("msg_{}", hex::encode(&hash[..16]))
    }
}

/// What an answer is kept under: it is the same in every conversation.
fn key_of(request: &FactsRequest<'_>) -> Key {
    let FactsRequest { shop, channel, customer_id, conversation_id: _, order_id } = *request;
    (shop.to_owned(), channel.to_owned(), customer_id.to_owned(), order_id.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn settings_that_cannot_work_are_refused_and_the_secret_is_never_shown() {
        for url in ["", "shop.example", "ftp://shop.example/", "http://127.1/facts", "http://[::1]:80/"] {
            assert!(FactsHook::new(FactsConfig::new(url, SECRET)).is_err(), "{url}");
        }
        let private = FactsConfig { allow_private: true, ..FactsConfig::new("http://127.1/facts", SECRET) };
        let shown = format!("{private:?} {:?}", FactsHook::new(private.clone()).unwrap());
        assert!(!shown.contains("MfKQ9r8G"), "{shown}");
        let no_time = FactsConfig { timeout_ms: 0, ..private };
        assert!(FactsHook::new(no_time).is_err());
        let error = FactsHook::new(FactsConfig::new("https://shop.example/", "whsec_short")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("short"));
    }

    #[test]
    fn settings_are_read_with_defaults_and_no_key_is_ignored() {
        let text = format!("url = \"https://shop.example/facts\"\nsecret = \"{SECRET}\"\n");
        let config: FactsConfig = toml::from_str(&text).unwrap();
        assert_eq!(config, FactsConfig::new("https://shop.example/facts", SECRET));
        assert_eq!((config.timeout_ms, config.cache_seconds, config.allow_private), (300, 30, false));
        assert!(toml::from_str::<FactsConfig>(&format!("{text}timeout = 3\n")).is_err());
    }

    #[test]
    fn what_is_empty_null_or_missing_is_not_known() {
        let read = |text: &str| serde_json::from_str::<Facts>(text).ok();
        for text in
            ["{}", "[]", r#"{"tier":null,"region":" ","ordered_at":""}"#, r#"{"unknown":[1],"ordered_at":null}"#]
        {
            assert_eq!(read(text), Some(Facts::default()), "{text}");
        }
        let facts = read(r#"{"customer_name":"王小姐","ordered_at":"2026-11-20T08:00:00+08:00"}"#).unwrap();
        assert_eq!(facts.customer_name.as_deref(), Some("王小姐"));
        assert_eq!(facts.ordered_at, "2026-11-20T00:00:00Z".parse().ok());
        let long = format!(r#"{{"tier":"{}"}}"#, "v".repeat(LONGEST + 1));
        for text in ["null", "", "[{}]", r#"{"tier":3}"#, r#"{"ordered_at":"yesterday"}"#, &long] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn no_two_questions_have_one_id() {
        let hook = FactsHook::new(FactsConfig::new("https://shop.example/", SECRET)).unwrap();
        let ids = [(); 2].map(|()| hook.fresh_id(b"{}", Timestamp::UNIX_EPOCH));
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 36 && id.starts_with("msg_")), "{ids:?}");
    }
}
