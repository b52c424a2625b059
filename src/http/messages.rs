//! `POST /v1/messages`: an inbound event gets its decision.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Permission};
use super::body::JsonBody;
use super::error::{ApiError, Problem};
use crate::bot::{Decision, now};
use crate::conversation::event::{Context, EventKind, Id, InboundEvent};
use crate::conversation::store::StoredDecision;

/// How far ahead of ours a channel's clock may be.
const CLOCK_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Earliest believable time of an event: 2000-01-01.
const EARLIEST: i64 = 946_684_800;

/// An inbound event.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct MessageBody {
    /// Shop id.
    #[schema(example = "demo")]
    shop: String,
    /// Channel account.
    #[schema(example = "web")]
    channel: String,
    /// Conversation within the channel.
    #[schema(example = "c-1")]
    conversation_id: String,
    /// Customer within the channel.
    #[schema(example = "u-1")]
    customer_id: String,
    /// Unique within the channel and shop: posting it again gets the same decision and sends nothing new.
    #[schema(example = "m-1")]
    message_id: String,
    /// What the customer wrote; needed for `message` and `agent_message`.
    #[serde(default)]
    #[schema(example = "亲，我昨天拍的衣服咋还没寄出来")]
    text: String,
    /// `message` (default), `media`, `agent_message`, `order_paid`, `order_unpaid`, `closed`, `recalled`, `system`.
    #[serde(default, rename = "type")]
    #[schema(value_type = Option<String>)]
    kind: EventKind,
    /// The sender is known to be a program.
    #[serde(default)]
    sender_is_bot: bool,
    /// When it happened, RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Timestamp>,
    /// What else the channel knows: `customer_name`, `customer` (new, returning), `agents` (free, busy, off_hours),
    /// `queue_position`, `wait_minutes`, `platform`, `category`, `product`, `region`, `carrier`, `order_id`,
    /// `tracking_no`, `ship_time`, `ordered_at`.
    #[serde(default)]
    #[schema(value_type = Object)]
    context: Context,
}

/// Post an inbound event
///
/// The answer is the decision: what to send to the customer, and why. It is stored before it is answered.
#[utoipa::path(post, path = "/v1/messages", tag = "messages", request_body = MessageBody, responses(
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
    JsonBody(body): JsonBody<MessageBody>,
) -> Result<(HeaderMap, Json<StoredDecision>), ApiError> {
    caller.require(Permission::PostEvents)?;
    let now = now();
    let event = event(body, app.config.limits.text_chars, now)?;
    caller.require_shop(event.shop.as_str())?;
    let started = Instant::now();
    let (decision, duplicate) = app.bot.receive(&event, now).await?;
    count(&decision, duplicate, started);
    let mut headers = HeaderMap::new();
    if duplicate {
        headers.insert("yingda-duplicate", axum::http::HeaderValue::from_static("true"));
    }
    Ok((headers, Json(decision)))
}

fn count(decision: &StoredDecision, duplicate: bool, started: Instant) {
    metrics::histogram!("yingda_message_seconds").record(started.elapsed().as_secs_f64());
    let name = |key: &str| decision.0.get(key).and_then(|value| value.as_str()).unwrap_or("unknown").to_owned();
    if duplicate {
        metrics::counter!("yingda_duplicates_total").increment(1);
    } else {
        metrics::counter!("yingda_decisions_total", "action" => name("action"), "reason" => name("reason"))
            .increment(1);
    }
}

/// Checks every value; the first fault is told.
fn event(body: MessageBody, text_chars: usize, now: Timestamp) -> Result<InboundEvent, ApiError> {
    let id =
        |name: &str, value: String| Id::try_from(value).map_err(|error| ApiError::invalid(format!("`{name}` {error}")));
    let needs_text = matches!(body.kind, EventKind::Message | EventKind::AgentMessage);
    if needs_text && body.text.trim().is_empty() {
        return Err(ApiError::invalid(
            "`text` is missing or empty; for a message without text send `\"type\": \"media\"`",
        ));
    }
    if body.text.chars().count() > text_chars {
        return Err(ApiError::invalid(format!("`text` has more than {text_chars} characters (limits.text_chars)")));
    }
    if let Some(sent_at) = body.sent_at {
        believable(sent_at, now)?;
    }
    Ok(InboundEvent {
        shop: id("shop", body.shop)?,
        channel: id("channel", body.channel)?,
        conversation_id: id("conversation_id", body.conversation_id)?,
        customer_id: id("customer_id", body.customer_id)?,
        message_id: id("message_id", body.message_id)?,
        kind: body.kind,
        text: body.text,
        sender_is_bot: body.sender_is_bot,
        sent_at: body.sent_at,
        context: body.context,
    })
}

fn believable(sent_at: Timestamp, now: Timestamp) -> Result<(), ApiError> {
    if sent_at.as_second() < EARLIEST {
        return Err(ApiError::invalid("`sent_at` is before 2000: check the unit, it is RFC 3339 and not a number"));
    }
    if sent_at.duration_since(now) > CLOCK_AHEAD {
        return Err(ApiError::invalid("`sent_at` is more than a day ahead: check the channel's clock"));
    }
    Ok(())
}
