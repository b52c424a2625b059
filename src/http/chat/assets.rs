//! The page, the widget and their style: files of the program, under a strict content security policy.

use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use super::{App, account};
use crate::channel::platform::web::Look;
use crate::http::error::ApiError;

const PAGE: &str = include_str!("page.html");

/// Files beside the page: name, media type, text.
const FILES: [(&str, &str, &str); 4] = [
    ("chat.css", "text/css; charset=utf-8", include_str!("chat.css")),
    ("chat.js", "text/javascript; charset=utf-8", include_str!("chat.js")),
    ("view.js", "text/javascript; charset=utf-8", include_str!("view.js")),
    ("widget.js", "text/javascript; charset=utf-8", include_str!("widget.js")),
];

/// The page; in a frame with `?embed=1`.
pub(super) async fn page(State(app): State<App>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (account, page) = account(&app, &name)?;
    let shop = app.bot.shop_name(account.shop.as_str());
    let title = escaped(page.title.or(shop.as_deref()).unwrap_or(account.shop.as_str()));
    let html =
        PAGE.replace("{{lang}}", "zh").replace("{{base}}", &format!("/chat/{name}")).replace("{{title}}", &title);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy(&page)),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, html).into_response())
}

/// Who may show the page in a frame: the configured sites; without any, pages of this machine, for trying it.
fn policy(page: &Look<'_>) -> String {
    let frames = match page.origins {
        [] => "http://127.0.0.1:* http://localhost:*".to_owned(),
        origins => origins.join(" "),
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'self' {frames}"
    )
}

pub(super) async fn file(
    State(app): State<App>,
    Path((name, file)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    account(&app, &name)?;
    let known = FILES.iter().find(|(known, ..)| *known == file);
    let (_, kind, text) = known.ok_or_else(|| ApiError::not_found("no such file"))?;
    let headers = [(CONTENT_TYPE, *kind), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "max-age=300")];
    Ok((headers, *text).into_response())
}

/// A text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
