//! `/v1/agents` and `/v1/queue`: who is there, and who waits for them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Permission};
use super::body::{JsonBody, PathId};
use super::error::{ApiError, Problem};
use super::params::{MOST_ROWS, OfShop, Params};
use crate::bot::now;
use crate::conversation::desk::{Agent, MOST_CAPACITY, Presence, Seat, Share};
use crate::conversation::inbound::id;
use crate::conversation::store::{ConversationFilter, StoredConversation};
use crate::faq::Audience;
use crate::faq::script::AgentsState;

/// What an agent says of themselves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentBody {
    shop: String,
    /// `online`, `busy` or `away`.
    presence: Presence,
    /// Conversations that the agent can hold at once; 5 when absent.
    #[serde(default = "usual_capacity")]
    capacity: u32,
    /// Desks: `pre-sale`, `after-sale`, `assist`; all when absent.
    #[serde(default)]
    audiences: Vec<Audience>,
}

fn usual_capacity() -> u32 {
    5
}

/// A shop's desk.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agents {
    /// Agents with `load`, the conversations they hold.
    #[schema(value_type = Vec<Object>)]
    agents: Vec<Seat>,
    /// `free`, `busy` or `off_hours`, as a message would find it now; none when no agent is known.
    #[schema(value_type = Option<String>)]
    state: Option<AgentsState>,
    queued: usize,
    /// Each desk by itself: `audience`, `state`, `agents` who are there, their `load` and `room`, and who is `queued` for it.
    #[schema(value_type = Vec<Object>)]
    desks: Vec<Share>,
}

/// List a shop's agents
#[utoipa::path(get, path = "/v1/agents", tag = "agents", params(OfShop), responses((status = 200, body = Agents)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(of): Params<OfShop>,
) -> Result<Json<Agents>, ApiError> {
    caller.require(Permission::Read)?;
    caller.require_shop(&of.shop)?;
    let policy = app.bot.policy(&of.shop)?;
    let local = now().to_zoned(policy.time_zone.clone());
    let desk = app.bot.store().desk(&of.shop).await?;
    let on_duty = |agent: &str| policy.on_duty(agent, &local);
    let at_hour = |state: Option<AgentsState>| state.map(|state| policy.agents_at(&local, state));
    let desks = Audience::ALL.map(|audience| {
        let share = desk.share(audience, policy.overflow, &on_duty);
        Share { state: at_hour(share.state), ..share }
    });
    let state = at_hour(desk.state(None, policy.overflow, &on_duty));
    Ok(Json(Agents { queued: desk.queue.len(), state, desks: desks.to_vec(), agents: desk.seats }))
}

/// Say who is there
///
/// Adds an agent, or changes what is known. Once a shop has agents, their presence decides whether customers hear that
/// agents are free, busy or gone, unless a message tells it in its context.
#[utoipa::path(put, path = "/v1/agents/{id}", tag = "agents", params(("id" = String, Path, example = "amy")), request_body = AgentBody, responses(
    (status = 200, description = "The agent", body = Object),
    (status = 422, description = "A value is missing or not valid", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    PathId(agent): PathId,
    JsonBody(body): JsonBody<AgentBody>,
) -> Result<Json<Agent>, ApiError> {
    caller.require(Permission::Work)?;
    caller.require_shop(&body.shop)?;
    app.bot.policy(&body.shop)?;
    if body.capacity > MOST_CAPACITY {
        return Err(ApiError::invalid(format!("`capacity` is a number from 0 to {MOST_CAPACITY}")));
    }
    let agent = Agent {
        shop: id("shop", body.shop)?.to_string(),
        id: id("the id", agent)?.to_string(),
        presence: body.presence,
        capacity: body.capacity,
        audiences: body.audiences,
        updated_at: now(),
    };
    app.bot.store().put_agent(&agent).await?;
    Ok(Json(agent))
}

/// Take an agent off the desk
#[utoipa::path(delete, path = "/v1/agents/{id}", tag = "agents", params(("id" = String, Path), OfShop), responses(
    (status = 204, description = "Taken off"),
    (status = 404, description = "No such agent", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(of): Params<OfShop>,
) -> Result<StatusCode, ApiError> {
    caller.require(Permission::Work)?;
    caller.require_shop(&of.shop)?;
    if app.bot.store().remove_agent(&of.shop, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found(format!("no agent `{id}` of this shop")))
    }
}

/// A customer in the queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InQueue {
    shop: String,
    channel: String,
    conversation_id: String,
    customer_id: String,
    #[schema(value_type = Option<String>)]
    audience: Option<Audience>,
    /// The bot has handed over: nobody else will answer.
    handed_over: bool,
    #[schema(value_type = String, format = DateTime)]
    queued_since: Timestamp,
    /// Since when the customer waits for a human.
    #[schema(value_type = Option<String>, format = DateTime)]
    waiting_for_human_since: Option<Timestamp>,
    /// Until when the platform wants a human's reply.
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline: Option<Timestamp>,
    /// Until then; below 0 when it has passed.
    seconds_left: Option<i64>,
}

/// The queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    /// The least time left first.
    queue: Vec<InQueue>,
}

/// Read a shop's queue
#[utoipa::path(get, path = "/v1/queue", tag = "agents", params(OfShop), responses((status = 200, body = Queue)))]
pub(super) async fn queue(
    State(app): State<App>,
    caller: Caller,
    Params(of): Params<OfShop>,
) -> Result<Json<Queue>, ApiError> {
    caller.require(Permission::Read)?;
    caller.require_shop(&of.shop)?;
    let (now, policy) = (now(), app.bot.policy(&of.shop)?);
    let limit = SignedDuration::from_mins(i64::from(policy.reply_minutes));
    let filter =
        ConversationFilter { shop: Some(of.shop), by_wait: true, limit: MOST_ROWS, ..ConversationFilter::default() };
    let stored = app.bot.store().conversations(&filter).await?;
    let mut queue: Vec<InQueue> = stored.into_iter().map(|stored| in_queue(stored, limit, now)).collect();
    queue.sort_by_key(|waiting| (waiting.deadline.is_none(), waiting.deadline, waiting.queued_since));
    Ok(Json(Queue { queue }))
}

fn in_queue(stored: StoredConversation, limit: SignedDuration, now: Timestamp) -> InQueue {
    let StoredConversation { key, customer_id, facts, updated_at, .. } = stored;
    let deadline = facts.waiting_for_human_since.and_then(|since| since.checked_add(limit).ok());
    InQueue {
        shop: key.shop,
        channel: key.channel,
        conversation_id: key.conversation_id,
        customer_id,
        audience: facts.audience,
        handed_over: facts.phase.is_handed_over(),
        queued_since: facts.phase.queued_since().unwrap_or(updated_at),
        waiting_for_human_since: facts.waiting_for_human_since,
        seconds_left: deadline.map(|deadline| deadline.duration_since(now).as_secs()),
        deadline,
    }
}
