//! `GET /v1/entries/{id}`: one entry as loaded.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::auth::{Caller, Permission};
use super::body::PathId;
use super::error::{ApiError, Problem};
use crate::faq::scope::Scope;
use crate::faq::{Audience, Entry};

/// An entry as loaded; answers with their placeholders.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    id: String,
    topic: String,
    question: String,
    phrasings: Vec<String>,
    /// Answer by language tag.
    answer: BTreeMap<&'static str, String>,
    #[schema(value_type = Option<String>)]
    audience: Option<Audience>,
    related: Vec<String>,
    bot_may_send: bool,
    #[schema(value_type = Object)]
    scope: Scope,
    valid_from: Option<String>,
    valid_until: Option<String>,
    /// Fingerprint of the generation it stands in.
    generation: String,
}

impl EntryView {
    fn new(entry: &Entry, generation: &str) -> Self {
        Self {
            id: entry.id.to_string(),
            topic: entry.topic.to_string(),
            question: entry.question().to_owned(),
            phrasings: entry.phrasings.iter().skip(1).cloned().collect(),
            answer: entry.answer.iter().map(|(language, text)| (language.tag(), text.to_owned())).collect(),
            audience: entry.audience,
            related: entry.related.iter().map(ToString::to_string).collect(),
            bot_may_send: !entry.agents_only,
            scope: Scope::clone(&entry.scope),
            valid_from: entry.validity.from.map(|day| day.to_string()),
            valid_until: entry.validity.until.map(|day| day.to_string()),
            generation: generation.to_owned(),
        }
    }
}

/// Read an entry
#[utoipa::path(get, path = "/v1/entries/{id}", tag = "content", params(("id" = String, Path, example = "dispatch-time")), responses(
    (status = 200, body = EntryView),
    (status = 404, description = "No such entry", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<EntryView>, ApiError> {
    caller.require(Permission::Read)?;
    let generation = app.bot.knowledge().current();
    let visible = generation.entry(&id).filter(|entry| caller.may_see(&entry.scope.shop));
    let entry = visible.ok_or_else(|| ApiError::not_found(format!("no entry `{id}`")))?;
    Ok(Json(EntryView::new(entry, &generation.fingerprint)))
}
