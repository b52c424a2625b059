//! `POST /v1/messages`: an inbound event gets its decision.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;

use super::App;
use super::auth::{Caller, Permission};
use super::body::JsonBody;
use super::error::{ApiError, Problem};
use crate::bot::{Decision, now};
use crate::conversation::inbound::EventBody;
use crate::conversation::store::StoredDecision;

/// Post an inbound event
///
/// The answer is the decision: what to send to the customer, and why. It is stored before it is answered.
#[utoipa::path(post, path = "/v1/messages", tag = "messages", request_body = EventBody, responses(
    (status = 200, description = "The decision; with the header `yingda-duplicate: true`, the one made when this message id first came", body = Decision),
    (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "Unknown shop", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The message id was used for another event", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A value is missing or not valid", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Not stored, not acknowledged: send it again", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn post(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<EventBody>,
) -> Result<(HeaderMap, Json<StoredDecision>), ApiError> {
    caller.require(Permission::PostEvents)?;
    let now = now();
    let event = body.check(app.config.limits.text_chars, now)?;
    caller.require_shop(event.shop.as_str())?;
    let started = Instant::now();
    let (decision, duplicate) = app.bot.receive(event, now).await?;
    count(duplicate, started);
    let mut headers = HeaderMap::new();
    if duplicate {
        headers.insert("yingda-duplicate", axum::http::HeaderValue::from_static("true"));
    }
    Ok((headers, Json(decision)))
}

fn count(duplicate: bool, started: Instant) {
    metrics::histogram!("yingda_message_seconds").record(started.elapsed().as_secs_f64());
    if duplicate {
        metrics::counter!("yingda_duplicates_total").increment(1);
    }
}
