//! `/v1/conversations`: what was said, where it stands, who has it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::{Caller, Permission};
use super::body::{JsonBody, PathId};
use super::error::{ApiError, Problem};
use super::params::{Of, Params, limit};
use crate::analysis::mask::mask;
use crate::bot::now;
use crate::conversation::event::{Context, ConversationKey, EventKind, InboundEvent};
use crate::conversation::inbound::id;
use crate::conversation::phase::Phase;
use crate::conversation::store::{ConversationFilter, StoredConversation, StoredDecision, StoredEvent};
use crate::conversation::timer::Timer;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Shop id; needed where the token is bound to shops.
    shop: Option<String>,
    /// `new`, `bot`, `queued`, `assigned` or `closed`.
    phase: Option<String>,
    /// Customer within the channel.
    customer_id: Option<String>,
    /// Only conversations last changed before: the `updated_at` of the last one of the page before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// How many, 1 to 500; 50 when absent. A few more come where several changed in the same millisecond.
    limit: Option<u32>,
}

/// A conversation in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed {
    shop: String,
    channel: String,
    conversation_id: String,
    customer_id: String,
    /// Where it is in its life: `name`, and `since`, `agent`, `handed_over`, `taken_over` or `at` with it.
    #[schema(value_type = Object)]
    phase: Phase,
    #[schema(value_type = Option<String>)]
    audience: Option<crate::faq::Audience>,
    /// Since when the customer waits for any reply.
    #[schema(value_type = Option<String>, format = DateTime)]
    waiting_since: Option<Timestamp>,
    /// Since when the customer waits for a human's.
    #[schema(value_type = Option<String>, format = DateTime)]
    waiting_for_human_since: Option<Timestamp>,
    events: u64,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<StoredConversation> for Listed {
    fn from(stored: StoredConversation) -> Self {
        let StoredConversation { key, customer_id, facts, updated_at, .. } = stored;
        Self {
            shop: key.shop,
            channel: key.channel,
            conversation_id: key.conversation_id,
            customer_id,
            phase: facts.phase,
            audience: facts.audience,
            waiting_since: facts.waiting_since,
            waiting_for_human_since: facts.waiting_for_human_since,
            events: facts.events,
            updated_at,
        }
    }
}

/// Conversations, last changed first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Conversations {
    conversations: Vec<Listed>,
}

/// List conversations
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(Filter), responses(
    (status = 200, body = Conversations),
    (status = 422, description = "A parameter is not valid", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<Conversations>, ApiError> {
    caller.require(Permission::Read)?;
    match &filter.shop {
        Some(shop) => caller.require_shop(shop)?,
        None if caller.is_bound() => return Err(ApiError::invalid("this token is bound to some shops: name a `shop`")),
        None => {}
    }
    if filter.phase.as_deref().is_some_and(|phase| !Phase::NAMES.contains(&phase)) {
        return Err(ApiError::invalid(format!("`phase` is one of {}", Phase::NAMES.join(", "))));
    }
    let Filter { shop, phase, customer_id, before, .. } = filter;
    let filter = ConversationFilter { shop, phase, customer_id, before, by_wait: false, limit: limit(filter.limit)? };
    let stored = app.bot.store().conversations(&filter).await?;
    Ok(Json(Conversations { conversations: stored.into_iter().map(Listed::from).collect() }))
}

/// A conversation with its timers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whole {
    #[serde(flatten)]
    listed: Listed,
    /// Timers that run: `kind` (bubbles, guard, unpaid, position, hand_back, idle) and `due`.
    #[schema(value_type = Vec<Object>)]
    timers: Vec<Timer>,
}

/// Read a conversation
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path), Of), responses(
    (status = 200, body = Whole),
    (status = 404, description = "No such conversation", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(of): Params<Of>,
) -> Result<Json<Whole>, ApiError> {
    caller.require(Permission::Read)?;
    let key = of.key(id, &caller)?;
    let stored = known(&app, &key).await?;
    let timers = app.bot.timers(&stored.key, &stored.facts);
    Ok(Json(Whole { timers, listed: stored.into() }))
}

async fn known(app: &App, key: &ConversationKey) -> Result<StoredConversation, ApiError> {
    let stored = app.bot.store().conversation(key).await?;
    let unknown = || format!("no conversation `{}` of this shop and channel", key.conversation_id);
    stored.ok_or_else(|| ApiError::not_found(unknown()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportOf {
    /// Shop id.
    shop: String,
    /// Channel account.
    channel: String,
    /// Hide phone numbers, addresses, ids and e-mail.
    #[serde(default)]
    masked: bool,
    /// First event, from 1.
    #[serde(default)]
    from: u64,
    /// How many events, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Events of a conversation with their decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Exported {
    shop: String,
    channel: String,
    conversation_id: String,
    customer_id: String,
    #[schema(value_type = Vec<Object>)]
    events: Vec<StoredEvent>,
    /// Where to go on; none at the end.
    next: Option<u64>,
}

/// Export a conversation
///
/// Every event as it came and every decision as it was made, with the versions of the entries and scripts that were sent.
#[utoipa::path(get, path = "/v1/conversations/{id}/events", tag = "conversations", params(("id" = String, Path), ExportOf), responses(
    (status = 200, body = Exported),
    (status = 404, description = "No such conversation", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn events(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(of): Params<ExportOf>,
) -> Result<Json<Exported>, ApiError> {
    caller.require(Permission::Read)?;
    let limit = limit(of.limit)?;
    let key = Of { shop: of.shop, channel: of.channel }.key(id, &caller)?;
    let stored = known(&app, &key).await?;
    // One more than asked for tells whether there are more.
    let mut events = app.bot.store().history(&key, of.from, limit + 1).await?;
    let next = events.get(limit as usize).map(|more| more.seq);
    events.truncate(limit as usize);
    if of.masked {
        events.iter_mut().for_each(StoredEvent::mask);
    }
    let customer_id = stored.customer_id;
    let customer_id = if of.masked { mask(&customer_id).into_owned() } else { customer_id };
    Ok(Json(Exported {
        shop: key.shop,
        channel: key.channel,
        conversation_id: key.conversation_id,
        customer_id,
        events,
        next,
    }))
}

/// Who takes a conversation, or gives it back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    shop: String,
    channel: String,
    /// The human.
    agent_id: String,
}

/// Take a conversation over
///
/// The bot is silent until it is handed back, closed, or the agent has been silent for `hand_back_minutes`.
#[utoipa::path(post, path = "/v1/conversations/{id}/takeover", tag = "conversations", params(("id" = String, Path)), request_body = Move, responses(
    (status = 200, description = "The decision", body = Object),
    (status = 404, description = "No such conversation", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn take_over(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    JsonBody(body): JsonBody<Move>,
) -> Result<Json<StoredDecision>, ApiError> {
    caller.require(Permission::Work)?;
    moved(&app, &caller, id, body, EventKind::Takeover).await
}

/// Hand a conversation back to the bot
#[utoipa::path(post, path = "/v1/conversations/{id}/hand-back", tag = "conversations", params(("id" = String, Path)), request_body = Move, responses(
    (status = 200, description = "The decision", body = Object),
    (status = 404, description = "No such conversation", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "No human has it", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn hand_back(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    JsonBody(body): JsonBody<Move>,
) -> Result<Json<StoredDecision>, ApiError> {
    caller.require(Permission::Work)?;
    moved(&app, &caller, id, body, EventKind::HandBack).await
}

async fn moved(
    app: &App,
    caller: &Caller,
    conversation_id: String,
    body: Move,
    kind: EventKind,
) -> Result<Json<StoredDecision>, ApiError> {
    let now = now();
    let (shop, channel) = (id("shop", body.shop)?.to_string(), id("channel", body.channel)?.to_string());
    let key = Of { shop, channel }.key(conversation_id, caller)?;
    let stored = known(app, &key).await?;
    let event = InboundEvent {
        shop: id("shop", key.shop)?,
        channel: id("channel", key.channel)?,
        conversation_id: id("the id", key.conversation_id)?,
        customer_id: id("customer_id", stored.customer_id)?,
        message_id: id("message_id", own_id(kind, now))?,
        kind,
        text: String::new(),
        sender_is_bot: false,
        agent_id: Some(id("agent_id", body.agent_id)?),
        echo_of: None,
        reply_to: None,
        sent_at: None,
        context: Context::default(),
    };
    let (decision, _) = app.bot.receive(event, now).await?;
    if decision.reason() == "not_assigned" {
        return Err(ApiError::conflict("no human has this conversation: there is nothing to hand back"));
    }
    Ok(Json(decision))
}

/// An id for an event that the desk makes: different on every node and for every click.
fn own_id(kind: EventKind, now: Timestamp) -> String {
    static CLICKS: AtomicU64 = AtomicU64::new(0);
    let click = CLICKS.fetch_add(1, Ordering::Relaxed);
    format!("desk-{}-{}-{}-{click}", kind.name(), now.as_nanosecond(), std::process::id())
}
