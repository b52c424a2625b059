//! `/v1/customers` and `/v1/timers`: erasing a customer, and what will happen by itself.

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::{Caller, Permission};
use super::body::PathId;
use super::error::ApiError;
use super::params::{Of, Params, limit};
use crate::bot::now;
use crate::conversation::event::ConversationKey;
use crate::conversation::store::Erased;
use crate::conversation::timer::Timer;

/// Erase a customer
///
/// Deletes the customer's conversations, messages and pushes. Ids of messages stay, without content, so that a
/// redelivery is still recognised.
#[utoipa::path(delete, path = "/v1/customers/{id}", tag = "records", params(("id" = String, Path), Of), responses((status = 200, body = Erased)))]
pub(super) async fn erase(
    State(app): State<App>,
    caller: Caller,
    PathId(customer_id): PathId,
    Params(of): Params<Of>,
) -> Result<Json<Erased>, ApiError> {
    caller.require(Permission::Erase)?;
    caller.require_shop(&of.shop)?;
    let erased = app.bot.store().erase(&of.channel, &of.shop, &customer_id).await?;
    tracing::info!(shop = of.shop, conversations = erased.conversations, "a customer was erased");
    Ok(Json(erased))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Within {
    /// Shop id.
    shop: String,
    /// Only timers due in so many minutes; 1440 when absent.
    minutes: Option<u32>,
    /// How many conversations, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// A timer that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Running {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    key: ConversationKey,
    /// `kind` and `due`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    timer: Timer,
    /// Until then; below 0 when it is overdue.
    seconds_left: i64,
}

/// Timers, the next one first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timers {
    timers: Vec<Running>,
}

/// List what will happen by itself
#[utoipa::path(get, path = "/v1/timers", tag = "conversations", params(Within), responses((status = 200, body = Timers)))]
pub(super) async fn timers(
    State(app): State<App>,
    caller: Caller,
    Params(within): Params<Within>,
) -> Result<Json<Timers>, ApiError> {
    caller.require(Permission::Read)?;
    caller.require_shop(&within.shop)?;
    let now = now();
    let ahead = SignedDuration::from_mins(i64::from(within.minutes.unwrap_or(24 * 60)));
    let until = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
    let due = app.bot.store().due(Some(&within.shop), until, limit(within.limit)?).await?;
    let mut timers = Vec::new();
    for due in due {
        let running = app.bot.timers(&due.key, &due.facts).into_iter().filter(|timer| timer.due <= until);
        timers.extend(running.map(|timer| Running {
            key: due.key.clone(),
            timer,
            seconds_left: timer.due.duration_since(now).as_secs(),
        }));
    }
    timers.sort_by_key(|running| running.timer.due);
    Ok(Json(Timers { timers }))
}

/// Shops with conversations
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShopList {
    shops: Vec<String>,
}

/// List shops that have conversations
#[utoipa::path(get, path = "/v1/shops", tag = "conversations", responses((status = 200, body = ShopList)))]
pub(super) async fn shops(State(app): State<App>, caller: Caller) -> Result<Json<ShopList>, ApiError> {
    caller.require(Permission::Read)?;
    let mut shops = app.bot.store().shops().await?;
    shops.retain(|shop| caller.require_shop(shop).is_ok());
    Ok(Json(ShopList { shops }))
}
