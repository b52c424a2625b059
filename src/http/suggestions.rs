//! `GET /v1/suggestions`: the best entries for an agent's search.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::{Caller, Permission};
use super::error::{ApiError, Problem};
use crate::bot::{Suggestion, SuggestionQuery, now};

/// Suggestions when the request does not say how many.
const DEFAULT_LIMIT: usize = 5;

/// Most suggestions.
const MAX_LIMIT: usize = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// What the customer wrote, or the agent types.
    #[param(example = "多久发货")]
    q: String,
    /// Shop id.
    #[serde(default = "any_shop")]
    shop: String,
    /// How many, 1 to 50; 5 when absent.
    k: Option<usize>,
    /// Category of the product.
    category: Option<String>,
    /// The product.
    product: Option<String>,
}

fn any_shop() -> String {
    "demo".to_owned()
}

/// Suggestions, best first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suggestions {
    suggestions: Vec<Suggestion>,
}

/// Search suggested answers
///
/// Each comes with the phrasing that matched, the ranges of it that the query shares, and the features of the match.
#[utoipa::path(get, path = "/v1/suggestions", tag = "agents", params(Params), responses(
    (status = 200, body = Suggestions),
    (status = 404, description = "Unknown shop", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A parameter is missing or not valid", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    params: Result<Query<Params>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Suggestions>, ApiError> {
    caller.require(Permission::Read)?;
    let Query(params) = params.map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
    caller.require_shop(&params.shop)?;
    let limit = params.k.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(format!("`k` must be 1 to {MAX_LIMIT}")));
    }
    let query = SuggestionQuery {
        shop: params.shop,
        text: params.q,
        limit,
        category: params.category,
        product: params.product,
    };
    Ok(Json(Suggestions { suggestions: app.bot.suggest(&query, now()).await? }))
}
