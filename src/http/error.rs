//! Errors as RFC 9457 problem documents: the one place where an error gets a status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::bot::BotError;
use crate::conversation::inbound::EventFault;
use crate::conversation::store::StoreError;
use crate::faq::fault::Fault;
use crate::faq::load::LoadError;
use crate::knowledge::KnowledgeError;

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// URN of the kind of problem.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind in words.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What is wrong with this request, and how to mend it.
    detail: String,
    /// Faults of FAQ files, after a refused reload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    faults: Vec<Fault>,
}

/// An error of any handler.
#[derive(Debug)]
pub(super) struct ApiError {
    problem: Problem,
    /// What went wrong inside: for the log, never for the caller.
    cause: Option<String>,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u16>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let problem = Problem { kind, title, status: status.as_u16(), detail: detail.into(), faults: Vec::new() };
        Self { problem, cause: None, retry_after: None }
    }

    pub fn not_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "urn:yingda:not-json", "The body is not the JSON asked for", detail)
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "urn:yingda:invalid", "A value is not valid", detail)
    }

    pub fn too_large(limit: usize) -> Self {
        let detail = format!("a body may have {limit} bytes; send less, or raise limits.body_bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "urn:yingda:too-large", "The body is too large", detail)
    }

    pub fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer <token>` with a configured token";
        Self::new(StatusCode::UNAUTHORIZED, "urn:yingda:unauthorized", "A token is needed", detail)
    }

    pub fn no_session() -> Self {
        let detail = "begin a chat by POST .../sessions and show what it gives as `Authorization: Bearer <session>`";
        Self::new(StatusCode::UNAUTHORIZED, "urn:yingda:no-session", "A session is needed", detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "urn:yingda:forbidden", "This token may not do that", detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "urn:yingda:not-found", "There is no such thing", detail)
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "urn:yingda:conflict", "Not possible in this state", detail)
    }

    pub fn method_not_allowed() -> Self {
        let detail = "this path does not take this method; /docs lists them";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "urn:yingda:method-not-allowed", "Wrong method", detail)
    }

    pub fn too_many(seconds: u16) -> Self {
        let detail = "too many requests from this client; wait, or raise limits.requests_per_second";
        let error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "urn:yingda:too-many-requests", "Too many requests", detail);
        Self { retry_after: Some(seconds), ..error }
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        let error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "urn:yingda:unavailable", "Not possible right now", detail);
        Self { retry_after: Some(1), ..error }
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "urn:yingda:internal", "A fault in the program", detail)
    }
}

impl From<BotError> for ApiError {
    fn from(error: BotError) -> Self {
        match error {
            BotError::UnknownShop(shop) => {
                Self::not_found(format!("unknown shop `{shop}`: configure [shops.{shop}], or name a configured shop"))
            }
            BotError::Conflict(_) => {
                let detail = format!("{error}: a redelivery must repeat conversation, customer, type and text");
                Self::new(StatusCode::CONFLICT, "urn:yingda:conflict", "This message id is taken", detail)
            }
            BotError::Store(error) => error.into(),
            BotError::Index(error) => Self::internal(error.to_string()),
        }
    }
}

impl From<EventFault> for ApiError {
    fn from(fault: EventFault) -> Self {
        Self::invalid(fault.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let shown = match error {
            StoreError::Corrupt(_) => {
                Self::internal("a stored record cannot be read by this version; it is kept as it is")
            }
            StoreError::Decision(_) => Self::internal("the decision met a fault in the program; nothing was stored"),
            _ => Self::unavailable("the store cannot be used now; nothing is acknowledged, send it again"),
        };
        Self { cause: Some(error.to_string()), ..shown }
    }
}

impl From<KnowledgeError> for ApiError {
    fn from(error: KnowledgeError) -> Self {
        match error {
            KnowledgeError::Load(LoadError::Faults(faults)) => {
                let detail = "the FAQ files have errors; the knowledge loaded before keeps serving";
                let error = Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "urn:yingda:faq-faults",
                    "The reload was refused",
                    detail,
                );
                Self { problem: Problem { faults, ..error.problem }, ..error }
            }
            KnowledgeError::Load(error @ LoadError::Analysis(_)) => Self::unavailable(error.to_string()),
            KnowledgeError::Index(error) => Self::unavailable(error.to_string()),
            KnowledgeError::Busy => {
                Self::new(StatusCode::CONFLICT, "urn:yingda:reload-running", "A reload is running", error.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::error!(cause = self.cause, detail = self.problem.detail, "{}", self.problem.title);
        }
        let mut response = (status, Json(self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
