//! An optional second opinion: an embedding model behind any OpenAI-compatible `/v1/embeddings` endpoint.
//!
//! Off by default. Vectors of phrasings are fetched when a generation is built and cached by content hash; a customer's
//! text gets a small budget of time, after which the words alone decide; an endpoint that keeps failing is left alone
//! for a while.

mod cache;
mod wire;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use serde::Deserialize;

use self::cache::Cache;
use self::wire::{Reply, Request};
use crate::outbound::breaker::Breaker;

/// Where the model is. Read from `[semantic]`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SemanticConfig {
    /// Address of the API: `http://127.0.0.1:8000/v1`, or the full one with `/embeddings`.
    pub url: String,
    /// Name of the model, as the endpoint knows it.
    pub model: String,
    /// Bearer token of the endpoint; `YINGDA_SEMANTIC_KEY` stands above it.
    #[serde(default)]
    pub key: Option<String>,
    /// Milliseconds that a customer's text may take.
    #[serde(default = "default_milliseconds")]
    pub timeout_ms: u64,
}

fn default_milliseconds() -> u64 {
    80
}

impl std::fmt::Debug for SemanticConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, model, key: _, timeout_ms } = self;
        f.debug_struct("SemanticConfig")
            .field("url", url)
            .field("model", model)
            .field("timeout_ms", timeout_ms)
            .finish_non_exhaustive()
    }
}

impl SemanticConfig {
    /// A model at an address, with the default budget.
    #[must_use]
    pub fn new(url: &str, model: &str) -> Self {
        Self { url: url.to_owned(), model: model.to_owned(), key: None, timeout_ms: default_milliseconds() }
    }

    fn endpoint(&self) -> String {
        let url = self.url.trim_end_matches('/');
        if url.ends_with("/embeddings") {
            url.to_owned()
        } else if url.ends_with("/v1") {
            format!("{url}/embeddings")
        } else {
            format!("{url}/v1/embeddings")
        }
    }
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum SemanticError {
    /// The settings cannot be used.
    #[error("[semantic] {0}")]
    Config(String),
    /// The endpoint cannot be reached, or not in time.
    #[error("the embedding endpoint does not answer: {0}")]
    Unreachable(String),
    /// The endpoint refuses.
    #[error("the embedding endpoint answers {0}; check [semantic] url, model and key")]
    Refused(reqwest::StatusCode),
    /// The answer is no list of vectors.
    #[error("the embedding endpoint answers what is no list of vectors: {0}")]
    Malformed(String),
    /// It failed before and is left alone for a while.
    #[error("the embedding endpoint failed and is left alone for a while")]
    Resting,
}

/// Texts sent at once when a generation is built.
const BATCH: usize = 64;

/// Time a batch may take.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that all batches of one build may take: later ones are fetched by the next build.
const BUILD_TIMEOUT: Duration = Duration::from_secs(300);

/// Largest answer read, in bytes.
const LARGEST: usize = 32 << 20;

/// Small servers send head and body apart and wait for the first to be acknowledged, which a kept connection does 40 ms
/// late: without TLS to set up, a fresh connection is quicker.
fn client(config: &SemanticConfig) -> Result<reqwest::Client, SemanticError> {
    let kept = if config.url.starts_with("https:") { usize::MAX } else { 0 };
    let client = reqwest::Client::builder().redirect(Policy::none()).pool_max_idle_per_host(kept).build();
    client.map_err(|error| SemanticError::Config(error.to_string()))
}

/// The model.
#[derive(Debug)]
pub struct Semantic {
    config: SemanticConfig,
    headers: HeaderMap,
    client: reqwest::Client,
    breaker: Breaker,
    /// Length of the phrasings' vectors; 0 until there are any.
    dimensions: AtomicUsize,
}

impl Semantic {
    /// A client of the endpoint; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, or the key cannot stand in a header.
    pub fn new(config: SemanticConfig) -> Result<Self, SemanticError> {
        let wrong = |what: &str| SemanticError::Config(what.to_owned());
        let url = reqwest::Url::parse(&config.url).map_err(|error| SemanticError::Config(format!("url: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("url: write http://host:port/v1 or https://host/v1"));
        }
        if config.model.is_empty() || config.timeout_ms == 0 {
            return Err(wrong("model must be named and timeout_ms must be above 0"));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = &config.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| wrong("key: only printable ASCII can stand in a header"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // Already installed when there are two clients; either is the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = client(&config)?;
        Ok(Self { config, headers, client, breaker: Breaker::default(), dimensions: AtomicUsize::new(0) })
    }

    /// Vector of a customer's text; `None` when it does not come within the budget, or the endpoint is resting.
    pub async fn vector(&self, text: &str) -> Option<Vec<f32>> {
        let outcome = if self.breaker.lets_through(Instant::now()) {
            self.asked(text).await
        } else {
            Err(SemanticError::Resting)
        };
        let label = match &outcome {
            Ok(_) => "answered",
            Err(SemanticError::Resting) => "resting",
            Err(_) => "failed",
        };
        metrics::counter!("yingda_semantic_queries_total", "outcome" => label).increment(1);
        match outcome {
            Ok(vector) => Some(vector),
            Err(SemanticError::Resting) => None,
            Err(error) => {
                tracing::debug!(%error, "answering by words alone");
                None
            }
        }
    }

    async fn asked(&self, text: &str) -> Result<Vec<f32>, SemanticError> {
        let budget = Duration::from_millis(self.config.timeout_ms);
        let outcome = tokio::time::timeout(budget, self.embed(&self.client, &[text])).await;
        let outcome = outcome.unwrap_or_else(|_| Err(SemanticError::Unreachable(format!("no answer in {budget:?}"))));
        let outcome = outcome.and_then(|mut vectors| self.of_this_model(vectors.pop().unwrap_or_default()));
        if self.breaker.tells(outcome.is_ok(), Instant::now()) {
            tracing::warn!("the embedding endpoint keeps failing: words alone decide for a while");
        }
        outcome
    }

    /// A vector of the length that those of the phrasings have.
    fn of_this_model(&self, vector: Vec<f32>) -> Result<Vec<f32>, SemanticError> {
        let wanted = self.dimensions.load(Ordering::Relaxed);
        if wanted == 0 || vector.len() == wanted {
            return Ok(vector);
        }
        Err(SemanticError::Malformed(format!(
            "{} numbers instead of {wanted}: reload to fetch all vectors again",
            vector.len()
        )))
    }

    async fn embed(&self, client: &reqwest::Client, texts: &[&str]) -> Result<Vec<Vec<f32>>, SemanticError> {
        let request = client.post(self.config.endpoint()).headers(self.headers.clone());
        let request = request.json(&Request { model: &self.config.model, input: texts, encoding_format: "float" });
        let unreachable = |error: reqwest::Error| SemanticError::Unreachable(error.without_url().to_string());
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(SemanticError::Refused(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(SemanticError::Malformed(format!("more than {LARGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Reply::vectors(&body, texts.len()).map_err(SemanticError::Malformed)
    }

    /// Vectors of texts, from the cache under `folder` as far as it has them. What was fetched is kept even when a later
    /// part fails. It blocks for long: call it off the async threads.
    ///
    /// # Errors
    /// When the endpoint does not give one vector a text.
    pub fn vectors(&self, texts: &[&str], folder: Option<&Path>) -> Result<Vec<Vec<f32>>, SemanticError> {
        let mut cache = Cache::open(folder, &self.config.endpoint(), &self.config.model);
        let mut fetched = self.fetch_apart(texts, &mut cache);
        // The server has another model under the same name, or had one: nothing of the old one can be compared.
        if cache.is_mixed() {
            cache.clear();
            fetched = self.fetch_apart(texts, &mut cache);
        }
        if cache.is_mixed() {
            return Err(SemanticError::Malformed("vectors of several lengths".to_owned()));
        }
        if let Err(error) = cache.save(texts) {
            tracing::warn!(%error, "the vectors cannot be kept: the next start fetches them again");
        }
        fetched?;
        let missing = || SemanticError::Malformed("a vector is missing".to_owned());
        let vectors: Vec<Vec<f32>> =
            texts.iter().map(|text| cache.get(text).ok_or_else(missing)).collect::<Result<_, _>>()?;
        self.dimensions.store(vectors.first().map_or(0, Vec::len), Ordering::Relaxed);
        Ok(vectors)
    }

    /// Fetches what the cache lacks, on a thread of its own: the caller's may belong to a runtime already.
    fn fetch_apart(&self, texts: &[&str], cache: &mut Cache) -> Result<(), SemanticError> {
        let missing = cache.missing(texts);
        let fetched = std::thread::scope(|scope| scope.spawn(|| self.fetch(&missing, cache)).join());
        fetched.unwrap_or_else(|_| Err(SemanticError::Malformed("it could not be read".to_owned())))
    }

    /// Puts the vectors of texts into the cache, a batch after another, up to the first that fails.
    fn fetch(&self, texts: &[&str], cache: &mut Cache) -> Result<(), SemanticError> {
        let unreachable = |error: std::io::Error| SemanticError::Unreachable(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unreachable)?;
        // Connections live in the runtime that opened them: this one is gone afterwards.
        let client = client(&self.config)?;
        let started = Instant::now();
        for batch in texts.chunks(BATCH) {
            if started.elapsed() > BUILD_TIMEOUT {
                return Err(SemanticError::Unreachable(format!("not done in {BUILD_TIMEOUT:?}; a reload goes on")));
            }
            let vectors = runtime.block_on(async {
                let late = || SemanticError::Unreachable(format!("no answer in {BATCH_TIMEOUT:?}"));
                tokio::time::timeout(BATCH_TIMEOUT, self.embed(&client, batch)).await.unwrap_or_else(|_| Err(late()))
            })?;
            batch.iter().zip(vectors).for_each(|(text, vector)| cache.keep(text, vector));
        }
        Ok(())
    }
}
