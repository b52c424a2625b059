//! Requests a client may make, and how long each may take.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use governor::{DefaultKeyedRateLimiter, Quota};

use super::App;
use super::error::ApiError;
use crate::config::{Limits, TokenHash, hash_token};

/// Clients remembered before those that have been quiet are forgotten.
const CLIENTS: usize = 10_000;

/// A client: the token it shows, else its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Client {
    Token(TokenHash),
    Address(IpAddr),
}

/// One bucket a client.
pub(super) struct RateLimit(DefaultKeyedRateLimiter<Client>);

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RateLimit").field(&self.0.len()).finish()
    }
}

impl RateLimit {
    pub fn new(limits: Limits) -> Self {
        let rate = NonZeroU32::new(limits.requests_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(limits.burst).unwrap_or(NonZeroU32::MIN);
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_second(rate).allow_burst(burst)))
    }
}

/// Messages that visitors of web chats may send, a bucket each, by the rate of their account: strangers can write there.
#[derive(Default)]
pub(super) struct VisitorLimits(Mutex<BTreeMap<NonZeroU32, Arc<DefaultKeyedRateLimiter<String>>>>);

impl std::fmt::Debug for VisitorLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("VisitorLimits").finish_non_exhaustive()
    }
}

impl VisitorLimits {
    /// Whether a visitor may send one more message; 0 a minute means that there is no limit.
    pub fn may_write(&self, visitor: &str, per_minute: u32) -> bool {
        let Some(rate) = NonZeroU32::new(per_minute) else { return true };
        let limiter = {
            let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let limiter = limiters.entry(rate);
            Arc::clone(limiter.or_insert_with(|| Arc::new(DefaultKeyedRateLimiter::keyed(Quota::per_minute(rate)))))
        };
        if limiter.len() > CLIENTS {
            limiter.retain_recent();
        }
        limiter.check_key(&visitor.to_owned()).is_ok()
    }
}

/// Refuses a client that asks too often.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    // A watcher must not be locked out by the load it watches.
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return Ok(next.run(request).await);
    }
    let limiter = &app.limit.0;
    if limiter.len() > CLIENTS {
        limiter.retain_recent();
    }
    match limiter.check_key(&client(&app, &request)) {
        Ok(()) => Ok(next.run(request).await),
        Err(_) => Err(ApiError::too_many(1)),
    }
}

/// Gives a request up that takes too long. What it stored all the same is found when it is sent again.
pub(super) async fn deadline(State(app): State<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    let limit = Duration::from_secs(app.config.limits.request_seconds);
    tokio::time::timeout(limit, next.run(request))
        .await
        .map_err(|_| ApiError::unavailable("the request took too long and is not acknowledged; send it again"))
}

/// A token counts only when it is a known one: made-up tokens must not open a bucket each.
fn client(app: &App, request: &Request) -> Client {
    let shown = request.headers().get(AUTHORIZATION).filter(|_| !app.config.tokens.is_empty());
    let hash = shown
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .map(|(_, token)| hash_token(token.trim()));
    if let Some(hash) = hash.filter(|hash| app.config.tokens.iter().any(|token| token.hash == *hash)) {
        return Client::Token(hash);
    }
    let address = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    Client::Address(address)
}
