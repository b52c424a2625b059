//! Who calls, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::App;
use super::error::ApiError;
use crate::config::{Config, Role, Token, hash_token};

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Post events.
    PostEvents,
    /// Search suggestions, read entries and incidents.
    Read,
    /// Take and hand back conversations, say who is there.
    Work,
    /// Reload, open and close incidents, see to the outbox.
    Edit,
    /// Erase customers.
    Erase,
    /// Read metrics.
    Watch,
}

impl Permission {
    fn granted_to(self, role: Role) -> bool {
        match self {
            Self::PostEvents => matches!(role, Role::Channel | Role::Admin),
            Self::Read | Self::Work => matches!(role, Role::Agent | Role::Editor | Role::Admin),
            Self::Erase => role == Role::Admin,
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
    /// 403 when the token's role does not grant it, or the token is bound to some shops: what is asked for is of all.
    pub fn require_unbound(&self, permission: Permission) -> Result<(), ApiError> {
        self.require(permission)?;
        if self.is_bound() {
            return Err(ApiError::forbidden("this token is bound to some shops, and this is about all of them"));
        }
        Ok(())
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

    /// Whether the caller may see what is for these shops alone; an empty list is for all.
    pub fn may_see(&self, shops: &[String]) -> bool {
        shops.is_empty() || shops.iter().any(|shop| self.require_shop(shop).is_ok())
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

/// Without tokens a page of any site could post to this address through its visitor's browser, or reach it under a name
/// of its own (DNS rebinding): then only loopback names are served, and only pages of them.
pub(super) async fn refuse_foreign_pages(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    // Platforms come through a proxy under a public name, and are known by their signatures.
    let is_signed = request.uri().path().starts_with("/channels/");
    if app.config.tokens.is_empty() && !is_signed && is_foreign(request.headers()) {
        return Err(ApiError::forbidden(
            "without tokens only requests to and from loopback names are served; configure a token",
        ));
    }
    Ok(next.run(request).await)
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let authority = |value: &str| value.split_once("://").map_or(value, |(_, rest)| rest).to_owned();
    [HOST, ORIGIN]
        .iter()
        .filter_map(|name| headers.get(name))
        .any(|value| !is_loopback_name(&authority(value.to_str().unwrap_or_default())))
}

/// Whether `host[:port]` names this machine.
fn is_loopback_name(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback_name;

    #[test]
    fn only_loopback_names_name_this_machine() {
        for name in ["127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:8080", "[::1]", "127.9.9.9"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["evil.example", "localhost.evil.example:8080", "10.0.0.1", "", "null", "0.0.0.0"] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }
}
