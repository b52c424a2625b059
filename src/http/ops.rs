//! `/healthz`, `/readyz`, `/metrics`: what operators watch.

use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Permission};
use super::error::{ApiError, Problem};

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "It lives", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// What serves.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// Fingerprint of the knowledge.
    generation: String,
    entries: usize,
    phrasings: usize,
}

/// Whether messages can be taken
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, body = Ready),
    (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Ready>, ApiError> {
    app.bot.store().ping().await?;
    let generation = app.bot.knowledge().current();
    Ok(Json(Ready {
        generation: generation.fingerprint.clone(),
        entries: generation.corpus.entries.len(),
        phrasings: generation.corpus.phrasings(),
    }))
}

/// Metrics in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    caller.require(Permission::Watch)?;
    let generation = app.bot.knowledge().current();
    metrics::gauge!("yingda_entries").set(generation.corpus.entries.len() as f64);
    metrics::gauge!("yingda_phrasings").set(generation.corpus.phrasings() as f64);
    app.metrics.run_upkeep();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response())
}

/// Counts and times requests by route and status.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::histogram!("yingda_http_request_seconds", "route" => route.clone())
        .record(started.elapsed().as_secs_f64());
    metrics::counter!("yingda_http_requests_total", "route" => route, "status" => status).increment(1);
    response
}
