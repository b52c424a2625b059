//! Who calls, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use subtle::ConstantTimeEq;

use super::error::ApiError;
use crate::config::{Config, Role, Token, hash_token};

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Post events.
    PostEvents,
    /// Search suggestions, read entries and incidents.
    Read,
    /// Reload, open and close incidents.
    Edit,
    /// Read metrics.
    Watch,
}

impl Permission {
    fn granted_to(self, role: Role) -> bool {
        match self {
            Self::PostEvents => matches!(role, Role::Channel | Role::Admin),
            Self::Read => matches!(role, Role::Agent | Role::Editor | Role::Admin),
            Self::Edit => matches!(role, Role::Editor | Role::Admin),
            Self::Watch => true,
        }
    }
}

/// The caller: a token's holder, or anybody when no tokens are configured.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    token: Option<Token>,
}

impl Caller {
    /// # Errors
    /// 403 when the token's role does not grant it.
    pub fn require(&self, permission: Permission) -> Result<(), ApiError> {
        match &self.token {
            Some(token) if !permission.granted_to(token.role) => {
                Err(ApiError::forbidden(format!("the role `{}` does not allow this request", token.role.name())))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// 403 when the token is bound to other shops.
    pub fn require_shop(&self, shop: &str) -> Result<(), ApiError> {
        match &self.token {
            Some(token) if !token.shops.is_empty() && !token.shops.iter().any(|known| known == shop) => {
                Err(ApiError::forbidden(format!("this token is not for the shop `{shop}`")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the token is bound to some shops.
    pub fn is_bound(&self) -> bool {
        self.token.as_ref().is_some_and(|token| !token.shops.is_empty())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Arc<Config>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let config = Arc::<Config>::from_ref(state);
        if config.tokens.is_empty() {
            return Ok(Self { token: None });
        }
        let bearer = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer)
            .ok_or_else(ApiError::unauthorized)?;
        let hash = hash_token(bearer);
        // Every token is compared, each in constant time: the time taken tells nothing.
        let mut found = None;
        for token in &config.tokens {
            if bool::from(token.hash.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        found.map(|token| Self { token: Some(token.clone()) }).ok_or_else(ApiError::unauthorized)
    }
}

/// The token of `Bearer <token>`; the scheme's letter case does not matter (RFC 9110, 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
