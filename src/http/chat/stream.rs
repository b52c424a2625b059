//! What is said in a web chat, as it is said: server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{After, PAGE, Visitor, first_event, shown};
use crate::bot::{Line, Watch};
use crate::conversation::event::ConversationKey;
use crate::http::App;
use crate::http::error::{ApiError, Problem};
use crate::http::params::Params;

/// How often the store is asked although nothing happened on this node: another node may have answered.
const ELSEWHERE: Duration = Duration::from_secs(2);

/// How often a silent stream says that it lives: proxies close what is silent.
const ALIVE: Duration = Duration::from_secs(15);

/// Streams of one visitor: a tab each.
const TABS: usize = 10;

/// A stream under way.
struct Stream {
    app: App,
    key: ConversationKey,
    watch: Watch,
    closing: watch::Receiver<bool>,
    /// Event to begin with.
    from: u64,
    ready: VecDeque<Line>,
    /// Something happened since the last look.
    woken: bool,
    _place: OwnedSemaphorePermit,
}

/// Hear a web chat
///
/// Each message as an event `message`; the last of each `seq` has it as the event's id. Goes on after `after`, or after the header `Last-Event-ID`.
#[utoipa::path(get, path = "/chat/{account}/events", tag = "channels", params(("account" = String, Path), After), responses(
    (status = 200, description = "A stream that does not end", content_type = "text/event-stream"),
    (status = 401, description = "No session is shown", body = Problem, content_type = "application/problem+json"),
), security(()))]
pub(super) async fn events(
    State(app): State<App>,
    visitor: Visitor,
    Params(After { after }): Params<After>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let from = first_event(&app, &visitor.key, last.or(after)).await?;
    let place = Arc::clone(&app.streams).try_acquire_owned();
    let place = place.map_err(|_| ApiError::unavailable("too many chats listen; read `messages` instead"))?;
    let (watch, closing) = (app.bot.watch(&visitor.key), app.closing.subscribe());
    if watch.count() > TABS {
        return Err(ApiError::too_many(30));
    }
    let stream =
        Stream { app, key: visitor.key, watch, closing, from, ready: VecDeque::new(), woken: false, _place: place };
    let events = stream::unfold(stream, |mut stream| async move { Some((stream.next().await?, stream)) });
    let kept = KeepAlive::new().interval(ALIVE);
    Ok(([("cache-control", "no-store"), ("x-accel-buffering", "no")], Sse::new(events).keep_alive(kept))
        .into_response())
}

impl Stream {
    /// The next message; none when the service stops.
    async fn next(&mut self) -> Option<Result<Event, Infallible>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                let event = Event::default().event("message").data(serde_json::to_string(&line).unwrap_or_default());
                // Whoever goes on after this id must not miss what else belongs to the same event.
                let is_last = self.ready.front().is_none_or(|next| next.seq != line.seq);
                return Some(Ok(if is_last { event.id(line.seq.to_string()) } else { event }));
            }
            if *self.closing.borrow() {
                return None;
            }
            self.wait_and_read().await?;
        }
    }

    async fn wait_and_read(&mut self) -> Option<()> {
        let bell = self.watch.bell();
        let mut bell = std::pin::pin!(bell.notified());
        // From here on nothing that happens is missed, not even between the look and the wait.
        bell.as_mut().enable();
        // A store that fails now may be there again in a moment.
        if let Ok((lines, _, last)) = self.app.bot.transcript(&self.key, self.from, PAGE).await
            && last >= self.from
        {
            self.from = last + 1;
            let (key, lines) = (&self.key, lines.into_iter());
            self.ready.extend(lines.map(|line| shown(key, line)));
            return Some(());
        }
        if std::mem::take(&mut self.woken) {
            self.begin_anew().await;
        }
        tokio::select! {
            () = bell => {
                self.woken = true;
                Some(())
            }
            () = tokio::time::sleep(ELSEWHERE) => Some(()),
            _ = self.closing.changed() => None,
        }
    }

    /// An erased conversation counts from 1 again.
    async fn begin_anew(&mut self) {
        if let Ok(from) = first_event(&self.app, &self.key, Some(self.from.saturating_sub(1))).await {
            self.from = from;
        }
    }
}
