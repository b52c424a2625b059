//! `/chat`: the page and the widget of web chat accounts, and what they call. Visitors have no bearer token of the
//! configuration; each holds a random one that the account has signed, which names
//! their conversation.

mod assets;
mod stream;

use axum::Json;
use axum::extract::{FromRequestParts, Path, RawPathParams, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::body::Whole;
use super::error::{ApiError, Problem};
use super::params::Params;
use crate::bot::{HookError, Line, moment, now};
use crate::channel::account::Account;
use crate::channel::hook::{Refusal, Request};
use crate::channel::platform::web::{self, Look, page_id};
use crate::conversation::event::ConversationKey;

/// Events that a page shows when it opens.
const LATEST: u64 = 100;

/// Events read at once.
const PAGE: u32 = 200;

/// Routes of the pages and of what they call.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sessions))
        .routes(routes!(say, messages))
        .routes(routes!(stream::events))
        .route("/chat", axum::routing::get(first))
        .route("/chat/{account}", axum::routing::get(assets::page))
        .route("/chat/{account}/{file}", axum::routing::get(assets::file))
}

/// To the first web chat account.
async fn first(State(app): State<App>) -> Result<Redirect, ApiError> {
    let mut accounts = app.bot.accounts().iter();
    let account = accounts.find(|account| account.channel().page().is_some());
    let account = account.ok_or_else(|| ApiError::not_found("no account of type \"web\" is configured"))?;
    Ok(Redirect::to(&format!("/chat/{}", account.name)))
}

/// The web chat account of this name, with its page.
fn account<'a>(app: &'a App, name: &str) -> Result<(&'a Account, Look<'a>), ApiError> {
    let found = app.bot.account(name).and_then(|account| Some((account, account.channel().page()?)));
    found.ok_or_else(|| ApiError::not_found("no web chat account of this name is configured"))
}

/// Who shows a visitor's token for an account.
struct Visitor {
    key: ConversationKey,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
        let name = params.iter().find(|(name, _)| *name == "account").map_or("", |(_, value)| value);
        let (account, _) = account(app, name)?;
        let shown = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !web::is_ours(&app.bot.visitor_key(account).await?, token) {
            return Err(ApiError::no_session());
        }
        let conversation_id = web::conversation(token);
        let key =
            ConversationKey { channel: account.name.to_string(), shop: account.shop.to_string(), conversation_id };
        Ok(Self { key })
    }
}

/// A visitor's token.
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    /// To be shown as `Authorization: Bearer` from then on.
    session: String,
}

/// Begin a web chat
#[utoipa::path(post, path = "/chat/{account}/sessions", tag = "channels", params(("account" = String, Path)), responses(
    (status = 201, body = Session),
    (status = 404, description = "No such account", body = Problem, content_type = "application/problem+json"),
), security(()))]
async fn sessions(State(app): State<App>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (account, _) = account(&app, &name)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ApiError::unavailable("the system gives no random bytes"))?;
    let session = Session { session: web::token(&app.bot.visitor_key(account).await?, random) };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(session)).into_response())
}

/// What a visitor writes.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "read by the channel; here for the API document")]
struct Written {
    /// Made by the page, the same when it is sent again: 1 to 64 letters, digits, `-` and `_`.
    message_id: String,
    text: String,
}

/// Say something in a web chat
///
/// The reply comes by `events` and `messages`.
#[utoipa::path(post, path = "/chat/{account}/messages", tag = "channels", params(("account" = String, Path)), request_body = Written, responses(
    (status = 202, description = "Stored"),
    (status = 401, description = "No session is shown", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A value is missing or not valid", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many messages", body = Problem, content_type = "application/problem+json"),
), security(()))]
async fn say(
    State(app): State<App>,
    Path(name): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<StatusCode, ApiError> {
    let (account, page) = account(&app, &name)?;
    if !app.visitors.may_write(&visitor.key.conversation_id, page.messages_per_minute) {
        return Err(ApiError::too_many(5));
    }
    let text_chars = app.config.limits.text_chars;
    let too_long = || {
        Written::deserialize(&mut serde_json::Deserializer::from_slice(&body))
            .is_ok_and(|said| said.text.chars().count() > text_chars)
    };
    if too_long() {
        return Err(ApiError::invalid(format!("`text` has more than {text_chars} characters")));
    }
    let request = Request { is_post: true, query: "", headers: &headers, body: &body };
    match app.bot.hear(account, &request, moment(now()), text_chars).await {
        Ok(_) => Ok(StatusCode::ACCEPTED),
        Err(HookError::Refused(Refusal::Malformed(what))) => Err(ApiError::invalid(what)),
        Err(HookError::Refused(_)) => Err(ApiError::no_session()),
        Err(HookError::Invalid(what)) => Err(ApiError::invalid(what)),
        Err(HookError::Bot(error)) => Err(error.into()),
        Err(HookError::Late) => {
            Err(ApiError::unavailable("the message took too long and is not acknowledged; send it again"))
        }
    }
}

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Only what came after this event; the latest 100 events when absent.
    after: Option<u64>,
}

/// What was said.
#[derive(Debug, Serialize, ToSchema)]
struct Messages {
    messages: Vec<Line>,
    /// There is more: ask again after the last `seq`.
    more: bool,
}

/// Read a web chat
#[utoipa::path(get, path = "/chat/{account}/messages", tag = "channels", params(("account" = String, Path), After), responses(
    (status = 200, body = Messages),
    (status = 401, description = "No session is shown", body = Problem, content_type = "application/problem+json"),
), security(()))]
async fn messages(
    State(app): State<App>,
    visitor: Visitor,
    Params(After { after }): Params<After>,
) -> Result<Response, ApiError> {
    let from = first_event(&app, &visitor.key, after).await?;
    let (lines, more, _) = app.bot.transcript(&visitor.key, from, PAGE).await?;
    let messages = lines.into_iter().map(|line| shown(&visitor.key, line)).collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(Messages { messages, more })).into_response())
}

/// The event to begin with.
async fn first_event(app: &App, key: &ConversationKey, after: Option<u64>) -> Result<u64, ApiError> {
    let events = app.bot.store().conversation(key).await?.map_or(0, |stored| stored.facts.events);
    Ok(match after {
        // An erased conversation counts from 1 again: what comes must not wait for the old count.
        Some(after) if after <= events => after + 1,
        Some(_) => 1,
        None => events.saturating_sub(LATEST) + 1,
    })
}

/// A message as the page knows it.
fn shown(key: &ConversationKey, line: Line) -> Line {
    Line { id: page_id(&key.conversation_id, &line.id).to_owned(), ..line }
}
