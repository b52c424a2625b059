//! The HTTP API: one file a resource. Nothing is decided here.

mod auth;
mod body;
mod chat;
mod conversations;
mod desk;
mod entries;
mod error;
mod hooks;
mod incidents;
mod ledger;
mod limit;
mod messages;
mod ops;
mod outbox;
mod params;
mod records;
mod reload;
mod suggestions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRef, MatchedPath, Request as AxumRequest};
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::middleware;
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use self::error::ApiError;
use self::limit::{RateLimit, VisitorLimits};
use crate::bot::Bot;
use crate::config::Config;

/// How long a client may take for a request's head, idle time between two requests included.
const HEADERS: Duration = Duration::from_secs(30);

/// How long open requests may run on after a shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    bot: Bot,
    config: Arc<Config>,
    metrics: PrometheusHandle,
    limit: Arc<RateLimit>,
    visitors: Arc<VisitorLimits>,
    streams: Arc<Semaphore>,
    /// True once the service stops: streams end then.
    closing: watch::Sender<bool>,
}

impl App {
    /// Shared state for a router.
    #[must_use]
    pub fn new(bot: Bot, config: Arc<Config>, metrics: PrometheusHandle) -> Self {
        let limit = Arc::new(RateLimit::new(config.limits));
        let (visitors, closing) = (Arc::default(), watch::Sender::new(false));
        let streams = Arc::new(Semaphore::new(config.limits.streams.min(Semaphore::MAX_PERMITS)));
        Self { bot, config, metrics, limit, visitors, streams, closing }
    }
}

impl FromRef<App> for Arc<Config> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.config)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "yingda 应答",
        description = "Answers a shop's customers the moment they write. Errors are RFC 9457 problem documents.",
        license(name = "MIT", identifier = "MIT")
    ),
    tags(
        (name = "messages", description = "What channels post"),
        (name = "channels", description = "What platforms post, each in its own words"),
        (name = "conversations", description = "What was said, and where it stands"),
        (name = "agents", description = "What agents search, who is there, who waits"),
        (name = "content", description = "What editors change"),
        (name = "incidents", description = "What is broken right now"),
        (name = "outbox", description = "What is pushed, and where to"),
        (name = "records", description = "What is kept of customers"),
        (name = "operations", description = "What operators watch"),
    ),
    security(("bearer" = [])),
    modifiers(&BearerScheme)
)]
struct Document;

/// Tokens as `Authorization: Bearer`; asked for only when some are configured.
struct BearerScheme;

impl Modify for BearerScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// Every route, with its middleware: the seam for tests.
pub fn router(app: App) -> Router {
    let limits = app.config.limits;
    let (api, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(messages::post))
        .routes(routes!(suggestions::get))
        .routes(routes!(entries::get))
        .routes(routes!(reload::post))
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::put, incidents::close))
        .routes(routes!(incidents::told))
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::get))
        .routes(routes!(conversations::events))
        .routes(routes!(conversations::take_over))
        .routes(routes!(conversations::hand_back))
        .routes(routes!(desk::list))
        .routes(routes!(desk::put, desk::remove))
        .routes(routes!(desk::queue))
        .routes(routes!(ledger::get))
        .routes(routes!(records::timers))
        .routes(routes!(records::shops))
        .routes(routes!(records::erase))
        .routes(routes!(outbox::list))
        .routes(routes!(outbox::replay))
        .routes(routes!(outbox::endpoints))
        .routes(routes!(outbox::enable))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics))
        .merge(chat::routes())
        .split_for_parts();
    // Platforms send more at once than a caller of the API may.
    let (hooks, hook_document) = OpenApiRouter::new().routes(routes!(hooks::get, hooks::post)).split_for_parts();
    // Whoever writes an address into a console adds a slash now and then.
    let slashed = axum::routing::get(hooks::get).post(hooks::post);
    let hooks = hooks.route("/channels/{account}/", slashed).layer(DefaultBodyLimit::max(limits.hook_bytes));
    let document = document.merge_from(hook_document);
    let request_id = HeaderName::from_static("x-request-id");
    let layers = ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
        .layer(SetRequestIdLayer::new(request_id.clone(), MakeRequestUuid))
        // A failure is logged where it becomes a problem, with its cause.
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .layer(PropagateRequestIdLayer::new(request_id))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::internal("the request met a fault in the program").into_response()
        }))
        .layer(middleware::from_fn_with_state(app.clone(), limit::deadline))
        .layer(middleware::from_fn_with_state(app.clone(), auth::refuse_foreign_pages))
        .layer(middleware::from_fn_with_state(app.clone(), limit::check))
        .layer(middleware::from_fn(ops::count));
    let api = api.layer(DefaultBodyLimit::max(limits.body_bytes)).merge(hooks);
    api.merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .fallback(|| async { ApiError::not_found("no such path; /docs lists them") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(layers)
        .with_state(app)
}

/// Logs name the route only: paths hold ids, which may be telephone numbers, and queries what customers wrote.
fn span(request: &AxumRequest) -> tracing::Span {
    let path = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    tracing::info_span!("request", method = %request.method(), path, id)
}

/// Serves until `shutdown` resolves, then lets open requests end, ten seconds at most.
///
/// # Errors
/// When the listener fails for good.
pub async fn run(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let closing = app.closing.clone();
    let router = router(app);
    let open = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a client gone already: neither is the end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let router = router.clone();
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let watched = open.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    closing.send_replace(true);
    drop(listener);
    drop(tokio::time::timeout(DRAIN, open.shutdown()).await);
    Ok(())
}
