//! JSON bodies and ids in paths: a fault names its place.

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::App;
use super::error::ApiError;

/// A JSON body of this shape, whatever its content type says.
pub(super) struct JsonBody<T>(pub T);

/// A body to the byte; one that is too large is told so.
pub(super) struct Whole(pub Bytes);

impl FromRequest<App> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        Bytes::from_request(request, app).await.map(Self).map_err(|rejection| match rejection.status() {
            axum::http::StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(app.config.limits.body_bytes),
            _ => ApiError::not_json(rejection.body_text()),
        })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let Whole(bytes) = Whole::from_request(request, app).await?;
        // serde would read a list as the fields in their order.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(ApiError::invalid("invalid type: a list, expected an object"));
        }
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) if error.is_data() => Err(ApiError::invalid(error.to_string())),
            Err(error) => Err(ApiError::not_json(error.to_string())),
        }
    }
}

/// A JSON body that may be left out.
pub(super) struct MaybeBody<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<App> for MaybeBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let is_empty = request.body().is_end_stream();
        if is_empty {
            Ok(Self(T::default()))
        } else {
            JsonBody::from_request(request, app).await.map(|body| Self(body.0))
        }
    }
}

/// The id at the end of a path.
pub(super) struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            // PostgreSQL holds no such text, and would be blamed for it.
            Ok(Path(id)) if id.contains('\0') => Err(ApiError::not_found("no id has a NUL in it")),
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
        }
    }
}
