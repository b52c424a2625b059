//! `/v1/outbox` and `/v1/endpoints`: what is pushed, what could not be, and where to.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::{Caller, Permission};
use super::body::{MaybeBody, PathId};
use super::error::{ApiError, Problem};
use super::params::{Params, limit};
use crate::bot::now;
use crate::conversation::event::ConversationKey;
use crate::conversation::inbound::id;
use crate::conversation::outgoing::{FailureClass, PushKind, PushState};
use crate::conversation::store::{EndpointState, PushRow};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// `pending`, `sent`, `dead` or `dropped`; dead letters when absent.
    state: Option<String>,
    /// Only pushes older than this number: the `seq` of the last one of the page before.
    before: Option<i64>,
    /// How many, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// A push.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListedPush {
    seq: i64,
    /// The `webhook-id` of every attempt.
    id: String,
    endpoint: String,
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = Option<Object>)]
    conversation: Option<ConversationKey>,
    state: PushState,
    attempts: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it is tried next, where it is pending.
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    /// Why the last attempt failed, or why it was dropped.
    error: Option<String>,
    /// Of what kind that was: it may go better later, it will not, the platform's time for replies was over, no more
    /// messages were allowed, the receiver wants none.
    failure: Option<FailureClass>,
}

impl From<PushRow> for ListedPush {
    fn from(row: PushRow) -> Self {
        let PushRow { seq, outgoing, state, attempts, created_at, due_at, error, failure } = row;
        let (id, endpoint, kind, conversation) = (outgoing.id, outgoing.endpoint, outgoing.kind, outgoing.conversation);
        Self { seq, id, endpoint, kind, conversation, state, attempts, created_at, due_at, error, failure }
    }
}

/// Pushes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outbox {
    pushes: Vec<ListedPush>,
}

/// List pushes
#[utoipa::path(get, path = "/v1/outbox", tag = "outbox", params(Filter), responses(
    (status = 200, body = Outbox),
    (status = 422, description = "A parameter is not valid", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<Outbox>, ApiError> {
    caller.require_unbound(Permission::Edit)?;
    let state = filter.state.as_deref().unwrap_or("dead");
    let state = PushState::from_name(state)
        .ok_or_else(|| ApiError::invalid("`state` is one of pending, sent, dead, dropped"))?;
    let rows = app.bot.store().pushes(state, filter.before, limit(filter.limit)?).await?;
    Ok(Json(Outbox { pushes: rows.into_iter().map(ListedPush::from).collect() }))
}

/// Which dead letters are sent again; all when nothing is named.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Replay {
    /// One push.
    id: Option<String>,
    /// All of an endpoint.
    endpoint: Option<String>,
}

/// How many.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    replayed: u64,
}

/// Send dead letters again
#[utoipa::path(post, path = "/v1/outbox/replay", tag = "outbox", request_body = Replay, responses((status = 200, body = Replayed)))]
pub(super) async fn replay(
    State(app): State<App>,
    caller: Caller,
    MaybeBody(body): MaybeBody<Replay>,
) -> Result<Json<Replayed>, ApiError> {
    caller.require_unbound(Permission::Edit)?;
    for name in [&body.id, &body.endpoint].into_iter().flatten() {
        id("a name", name.clone())?;
    }
    let replayed = app.bot.store().replay(body.id.as_deref(), body.endpoint.as_deref(), now()).await?;
    Ok(Json(Replayed { replayed }))
}

/// An endpoint as configured.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Endpoint {
    name: String,
    /// What it gets.
    events: Vec<PushKind>,
    shops: Vec<String>,
    channels: Vec<String>,
    /// When and why it was switched off; none while it is on.
    disabled: Option<EndpointState>,
}

/// Every endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Endpoints {
    endpoints: Vec<Endpoint>,
}

/// List endpoints
#[utoipa::path(get, path = "/v1/endpoints", tag = "outbox", responses((status = 200, body = Endpoints)))]
pub(super) async fn endpoints(State(app): State<App>, caller: Caller) -> Result<Json<Endpoints>, ApiError> {
    caller.require_unbound(Permission::Edit)?;
    let disabled = app.bot.store().disabled_endpoints().await?;
    let shown = app.bot.subscribers().iter().map(|subscriber| Endpoint {
        name: subscriber.name.clone(),
        events: subscriber.events.clone(),
        shops: subscriber.shops.clone(),
        channels: subscriber.channels.clone(),
        disabled: disabled.iter().find(|off| off.name == subscriber.name).cloned(),
    });
    Ok(Json(Endpoints { endpoints: shown.collect() }))
}

/// Switch an endpoint on again
///
/// An endpoint that answered 410 is switched off; what waited for it became dead letters, which can be replayed then.
#[utoipa::path(post, path = "/v1/endpoints/{id}/enable", tag = "outbox", params(("id" = String, Path)), responses(
    (status = 200, body = Endpoints),
    (status = 404, description = "No such endpoint is configured", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn enable(
    State(app): State<App>,
    caller: Caller,
    PathId(name): PathId,
) -> Result<Json<Endpoints>, ApiError> {
    caller.require_unbound(Permission::Edit)?;
    if !app.bot.subscribers().iter().any(|subscriber| subscriber.name == name) {
        let detail = format!("no endpoint `{name}` is configured under [[webhooks]] or [[channels]]");
        return Err(ApiError::not_found(detail));
    }
    app.bot.store().switch_endpoint(&name, None, now()).await?;
    endpoints(State(app), caller).await
}
