//! `POST /v1/reload`: read the FAQ files again.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Permission};
use super::error::{ApiError, Problem};
use crate::bot::now;
use crate::faq::fault::Fault;
use crate::knowledge::Reloaded;

/// What a reload did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReloadView {
    /// Fingerprint of the generation now serving.
    generation: String,
    /// Fingerprint of the one before.
    before: String,
    entries: usize,
    phrasings: usize,
    scripts: usize,
    milliseconds: u64,
    /// Faults that did not stop it.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<Fault>,
}

impl From<Reloaded> for ReloadView {
    fn from(reloaded: Reloaded) -> Self {
        let [entries, phrasings, scripts] = reloaded.sizes;
        Self {
            generation: reloaded.fingerprint,
            before: reloaded.before,
            entries,
            phrasings,
            scripts,
            milliseconds: u64::try_from(reloaded.took.as_millis()).unwrap_or(u64::MAX),
            warnings: reloaded.warnings,
        }
    }
}

/// Reload the FAQ files
///
/// Everything is checked and built first; when a file has an error, the knowledge loaded before keeps serving.
#[utoipa::path(post, path = "/v1/reload", tag = "content", responses(
    (status = 200, body = ReloadView),
    (status = 422, description = "The files have errors; all are listed", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn post(State(app): State<App>, caller: Caller) -> Result<Json<ReloadView>, ApiError> {
    caller.require(Permission::Edit)?;
    if caller.is_bound() {
        return Err(ApiError::forbidden("a reload changes every shop; this token is bound to some"));
    }
    let knowledge = app.bot.knowledge().clone();
    let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let outcome = tokio::task::spawn_blocking(move || knowledge.reload(today))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?;
    metrics::counter!("yingda_reloads_total", "outcome" => if outcome.is_ok() { "swapped" } else { "refused" })
        .increment(1);
    let reloaded = outcome?;
    tracing::info!(generation = reloaded.fingerprint, before = reloaded.before, "reloaded");
    Ok(Json(reloaded.into()))
}
