//! `/channels/{account}`: where platforms post what happens.

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::App;
use crate::bot::{BotError, HookError, moment, now};
use crate::channel::hook::{Answer, Refusal, Request};

/// Prove the address
///
/// Platforms ask once for an answer that only the configured account can give.
#[utoipa::path(get, path = "/channels/{account}", tag = "channels", params(("account" = String, Path)), responses(
    (status = 200, description = "What the platform asked for"),
    (status = 401, description = "The signature is missing or wrong"),
    (status = 403, description = "It proves another account"),
    (status = 404, description = "No such account is configured"),
), security(()))]
pub(super) async fn get(state: State<App>, account: Path<String>, query: RawQuery, headers: HeaderMap) -> Response {
    take(state, account, query, headers, None).await
}

/// Take a platform's webhook
///
/// Verified over its raw bytes, stored, and only then acknowledged. `docs/channels/` tells what each platform posts.
#[utoipa::path(post, path = "/channels/{account}", tag = "channels", params(("account" = String, Path)), responses(
    (status = 200, description = "Stored; what the platform wants as an acknowledgement"),
    (status = 400, description = "It is signed, but not what the platform documents"),
    (status = 401, description = "The signature or the timestamp is missing or wrong"),
    (status = 403, description = "It is for another account, or in an envelope that the key does not open"),
    (status = 404, description = "No such account is configured"),
    (status = 409, description = "The message id was used for another event"),
    (status = 413, description = "The body is larger than limits.hook_bytes"),
    (status = 422, description = "It is signed, and nothing of it can be an event"),
    (status = 503, description = "Not stored: send it again"),
), security(()))]
pub(super) async fn post(
    state: State<App>,
    account: Path<String>,
    query: RawQuery,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Response {
    take(state, account, query, headers, Some(body)).await
}

/// The body, to the byte.
pub(super) struct Raw(Bytes);

impl FromRequest<App> for Raw {
    type Rejection = StatusCode;

    async fn from_request(request: axum::extract::Request, app: &App) -> Result<Self, StatusCode> {
        Bytes::from_request(request, app).await.map(Self).map_err(|rejection| rejection.status())
    }
}

async fn take(
    State(app): State<App>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    posted: Option<Bytes>,
) -> Response {
    // Web chat has its own door, which bounds what a visitor may send.
    let found = app.bot.account(&account).filter(|account| account.channel().page().is_none());
    let Some(account) = found else {
        return (StatusCode::NOT_FOUND, "no account of this name is configured").into_response();
    };
    let query = query.unwrap_or_default();
    let body = posted.as_deref().unwrap_or_default();
    let request = Request { is_post: posted.is_some(), query: &query, headers: &headers, body };
    match app.bot.hear(account, &request, moment(now()), app.config.limits.text_chars).await {
        Ok(answer) => answered(answer),
        Err(error) => refused(&error),
    }
}

fn answered(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if answer.body.is_empty() {
        return status.into_response();
    }
    (status, [(CONTENT_TYPE, HeaderValue::from_static(answer.content_type))], answer.body).into_response()
}

/// Who is not believed learns nothing; who is, learns what is wrong.
fn refused(error: &HookError) -> Response {
    match error {
        HookError::Refused(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            match refusal {
                Refusal::Malformed(what) => (status, what.clone().into_owned()).into_response(),
                Refusal::Signature | Refusal::Timestamp | Refusal::Stranger | Refusal::Sealed => status.into_response(),
            }
        }
        HookError::Invalid(what) => (StatusCode::UNPROCESSABLE_ENTITY, what.clone()).into_response(),
        HookError::Bot(BotError::Conflict(_)) => {
            (StatusCode::CONFLICT, "this message id was used for another event").into_response()
        }
        HookError::Bot(_) | HookError::Late => unavailable(),
    }
}

fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, HeaderValue::from_static("1"))]).into_response()
}
