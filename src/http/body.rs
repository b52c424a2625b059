//! JSON bodies: a fault names its place.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::App;
use super::error::ApiError;

/// A JSON body of this shape, whatever its content type says.
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
            axum::http::StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(app.config.limits.body_bytes),
            _ => ApiError::not_json(rejection.body_text()),
        })?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) if error.is_data() => Err(ApiError::invalid(error.to_string())),
            Err(error) => Err(ApiError::not_json(error.to_string())),
        }
    }
}
