//! Query parameters: a fault names its place.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::ApiError;
use crate::conversation::event::ConversationKey;

/// Most rows that a list gives at once.
pub(super) const MOST_ROWS: u32 = 500;

/// Rows that a list gives when nothing is said.
pub(super) const ROWS: u32 = 50;

/// Parameters of this shape.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // PostgreSQL holds no such text, and would be blamed for it.
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(ApiError::invalid("no parameter has a NUL in it"));
        }
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
        }
    }
}

/// Which conversation, beside its id in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// Shop id.
    #[param(example = "demo")]
    pub shop: String,
    /// Channel account.
    #[param(example = "web")]
    pub channel: String,
}

impl Of {
    /// The key of a conversation that the caller may see.
    pub fn key(self, conversation_id: String, caller: &Caller) -> Result<ConversationKey, ApiError> {
        caller.require_shop(&self.shop)?;
        Ok(ConversationKey { channel: self.channel, shop: self.shop, conversation_id })
    }
}

/// One shop.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfShop {
    /// Shop id.
    #[param(example = "demo")]
    pub shop: String,
}

/// How many rows, 1 to 500.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(ROWS) {
        limit @ 1..=MOST_ROWS => Ok(limit),
        _ => Err(ApiError::invalid(format!("`limit` is a number from 1 to {MOST_ROWS}"))),
    }
}
