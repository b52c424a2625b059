//! `/v1/ledger`: who was answered in time, and who is about to wait too long.

use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::auth::{Caller, Permission};
use super::error::{ApiError, Problem};
use super::params::Params;
use crate::bot::now;
use crate::report::ledger::Ledger;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfDay {
    /// Shop id.
    #[param(example = "demo")]
    shop: String,
    /// The day, in the shop's time zone; today when absent.
    #[param(value_type = Option<String>, format = Date)]
    day: Option<Date>,
}

/// Read a shop's reply rate
///
/// Two clocks: any reply, and a human's; which of them the platform counts is the shop's `counted`. Every figure says up to
/// when it is complete.
#[utoipa::path(get, path = "/v1/ledger", tag = "records", params(OfDay), responses(
    (status = 200, body = Ledger),
    (status = 404, description = "Unknown shop", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Params(of): Params<OfDay>,
) -> Result<Json<Ledger>, ApiError> {
    caller.require(Permission::Read)?;
    caller.require_shop(&of.shop)?;
    let (now, policy) = (now(), app.bot.policy(&of.shop)?);
    let day = of.day.unwrap_or_else(|| now.to_zoned(policy.time_zone.clone()).date());
    Ok(Json(app.bot.ledger(&of.shop, day, now).await?))
}
