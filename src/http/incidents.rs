//! `/v1/incidents`: open and close incidents.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Permission};
use super::body::{JsonBody, PathId};
use super::error::{ApiError, Problem};
use crate::bot::now;
use crate::conversation::event::Id;
use crate::conversation::incident::{Contradicted, Incident, IncidentKind, IncidentScope};
use crate::conversation::store::Told;

/// Longest cause or effect, in characters.
const SLOT_CHARS: usize = 200;

/// Most values of one list of a scope.
const MOST_LISTED: usize = 1_000;

/// Most incidents that are open for the same shops.
const MOST_OPEN: usize = 50;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IncidentBody {
    /// Why it happened, as customers will read it.
    #[schema(example = "华东快递爆仓")]
    cause: String,
    /// What it means for the customer.
    #[schema(example = "包裹晚到 2 天左右")]
    effect: String,
    /// What is broken: `delayed_dispatch`, `courier_overload`, `payment_outage`, `stock_anomaly`, `power`, `network`,
    /// `machine`, `staff_shortage`, `other` (default).
    #[serde(default, rename = "type")]
    kind: IncidentKind,
    /// Whom it touches: lists `shop`, `platform`, `region`, `carrier`, `product`, and orders made `ordered_from` ..
    /// `ordered_until`; what is absent means everybody.
    #[serde(default)]
    #[schema(value_type = Object)]
    scope: IncidentScope,
    /// Topics of entries whose promises it contradicts; by default those of its type (courier_overload: dispatch,
    /// logistics).
    #[serde(default)]
    topics: Vec<String>,
    /// What becomes of their answers: `mute` (default, a human answers) or `annotate` (the incident is told with them).
    #[serde(default)]
    contradicted: Contradicted,
    /// Who follows it up.
    owner: Option<String>,
    /// Who has approved what customers are told.
    approver: Option<String>,
    /// When it is expected to be over; told to customers.
    #[schema(value_type = Option<String>, format = DateTime)]
    expected_end: Option<Timestamp>,
    /// Until when, RFC 3339, if nobody closes it before.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Incidents that are not closed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Incidents {
    #[schema(value_type = Vec<Object>)]
    incidents: Vec<Incident>,
}

/// List open incidents
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", responses((status = 200, body = Incidents)))]
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Incidents>, ApiError> {
    caller.require(Permission::Read)?;
    let (now, mut incidents) = (now(), app.bot.store().incidents(false).await?);
    incidents.retain(|incident| incident.is_open(now) && caller.may_see(&incident.scope.shop));
    Ok(Json(Incidents { incidents }))
}

/// Open an incident, or change it
///
/// While it is open, each conversation in its scope is told once.
#[utoipa::path(put, path = "/v1/incidents/{id}", tag = "incidents", params(("id" = String, Path, example = "courier-east")), request_body = IncidentBody, responses(
    (status = 200, description = "The incident", body = Object),
    (status = 422, description = "A value is missing or not valid", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    JsonBody(body): JsonBody<IncidentBody>,
) -> Result<Json<Incident>, ApiError> {
    caller.require(Permission::Edit)?;
    require_scope(&caller, &body.scope)?;
    bounded(&body)?;
    require_open(&app, &caller, &id).await?;
    let id = Id::try_from(id).map_err(|error| ApiError::invalid(format!("the id {error}")))?;
    let (now, known) = (now(), app.bot.store().incidents(false).await?);
    let others = known.iter().filter(|known| known.scope.shop == body.scope.shop && known.id != id.as_str());
    if others.count() >= MOST_OPEN {
        return Err(ApiError::conflict(format!("{MOST_OPEN} incidents of this scope are open: close one first")));
    }
    let opened_at = known.iter().find(|known| known.id == id.as_str()).map_or(now, |known| known.opened_at);
    let incident = Incident {
        id: id.to_string(),
        kind: body.kind,
        cause: slot("cause", &body.cause)?,
        effect: slot("effect", &body.effect)?,
        scope: body.scope,
        topics: body.topics,
        contradicted: body.contradicted,
        owner: body.owner,
        approver: body.approver,
        opened_at,
        expected_end: body.expected_end,
        expires_at: body.expires_at,
        closed_at: None,
    };
    app.bot.open_incident(&incident, now).await?;
    tracing::info!(incident = incident.id, "incident opened");
    Ok(Json(incident))
}

/// An incident that is over, and everybody who was told of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToldOf {
    incident: String,
    /// Conversations to be told that it is over.
    #[schema(value_type = Vec<Object>)]
    told: Vec<Told>,
}

/// Close an incident
///
/// The answer lists every conversation that was told of it: they want to hear that it is over.
#[utoipa::path(delete, path = "/v1/incidents/{id}", tag = "incidents", params(("id" = String, Path)), responses(
    (status = 200, body = ToldOf),
    (status = 404, description = "No such incident is open", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn close(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<ToldOf>, ApiError> {
    caller.require(Permission::Edit)?;
    require_open(&app, &caller, &id).await?;
    if !app.bot.close_incident(&id, now()).await? {
        return Err(ApiError::not_found(format!("no open incident `{id}`")));
    }
    tracing::info!(incident = id, "incident closed");
    told_of(&app, &caller, id).await
}

/// List who was told of an incident, open or closed
#[utoipa::path(get, path = "/v1/incidents/{id}/told", tag = "incidents", params(("id" = String, Path)), responses((status = 200, body = ToldOf)))]
pub(super) async fn told(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Json<ToldOf>, ApiError> {
    caller.require(Permission::Read)?;
    told_of(&app, &caller, id).await
}

async fn told_of(app: &App, caller: &Caller, incident: String) -> Result<Json<ToldOf>, ApiError> {
    let mut told = app.bot.store().told(&incident).await?;
    told.retain(|told| caller.require_shop(&told.key.shop).is_ok());
    Ok(Json(ToldOf { incident, told }))
}

/// A token bound to some shops may touch incidents that name those shops only.
fn require_scope(caller: &Caller, scope: &IncidentScope) -> Result<(), ApiError> {
    if scope.shop.is_empty() && caller.is_bound() {
        return Err(ApiError::forbidden("this token is bound to some shops: name them in scope.shop"));
    }
    scope.shop.iter().try_for_each(|shop| caller.require_shop(shop))
}

/// The same for the incident that is open under this id, if there is one.
async fn require_open(app: &App, caller: &Caller, id: &str) -> Result<(), ApiError> {
    if !caller.is_bound() {
        return Ok(());
    }
    let open = app.bot.store().incidents(true).await?;
    open.iter().filter(|incident| incident.id == id).try_for_each(|incident| require_scope(caller, &incident.scope))
}

/// Every message is held against every open incident: lists and names are bounded.
fn bounded(body: &IncidentBody) -> Result<(), ApiError> {
    let scope = &body.scope;
    let lists = [&scope.shop, &scope.platform, &scope.region, &scope.carrier, &scope.product, &body.topics];
    let names = [&body.owner, &body.approver];
    let long = names.iter().filter_map(|name| name.as_deref()).any(|name| name.chars().count() > SLOT_CHARS);
    if long || lists.iter().any(|list| list.len() > MOST_LISTED) {
        return Err(ApiError::invalid(format!(
            "a list may have {MOST_LISTED} values, `owner` and `approver` {SLOT_CHARS} characters"
        )));
    }
    Ok(())
}

/// A slot of the incident script: said to customers, so it must say something.
fn slot(name: &str, value: &str) -> Result<String, ApiError> {
    let text: String = value.chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
    let is_gap = text.to_lowercase().contains("xxx") || text.contains(['{', '}', '<', '>']);
    if letters < 2 || is_gap || text.chars().count() > SLOT_CHARS {
        return Err(ApiError::invalid(format!(
            "`{name}` must say in words what customers will read, in {SLOT_CHARS} characters at most, without XXX"
        )));
    }
    Ok(text.to_owned())
}
