//! What the fuzz targets check, callable without a fuzzer. Every function takes any bytes and panics when a promise of
//! the program is broken; each input starts from the same state, so that it fails alone as it failed in a row.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use yingda::analysis::Analysis;
use yingda::bot::Bot;
use yingda::config::Config;
use yingda::conversation::store::SqliteStore;
use yingda::http::{App, router};
use yingda::knowledge::{Generation, Knowledge};
use yingda::matching::Candidate;
use yingda::telemetry;

/// Built once, at the first input: the starter pack, its index in memory, and a thread for the endpoint.
struct World {
    knowledge: Arc<Knowledge>,
    config: Arc<Config>,
    runtime: Runtime,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let faq = Path::new(env!("CARGO_MANIFEST_DIR")).join("../faq");
    let today = yingda::bot::now().in_tz("UTC").expect("UTC is known").date();
    World {
        knowledge: Arc::new(Knowledge::open(&faq, None, None, today).expect("the starter pack loads")),
        config: Arc::default(),
        runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
    }
});

/// Every phrasing of the starter pack: good inputs to start from.
#[must_use]
pub fn phrasings() -> Vec<String> {
    let entries = &WORLD.knowledge.current().corpus.entries;
    entries.iter().flat_map(|entry| entry.phrasings.clone()).collect()
}

fn generation() -> Arc<Generation> {
    WORLD.knowledge.current()
}

/// The analysis never fails; what it makes is canonical: analysing it again changes nothing.
pub fn analysis(data: &[u8]) {
    let raw = String::from_utf8_lossy(data);
    let generation = generation();
    let analyzer = generation.matcher.analyzer();
    let canonical = analyzer.canonical(&raw);
    assert_eq!(analyzer.canonical(&canonical), canonical, "canonical text is not canonical");
    let once = analyzer.analyse(&raw);
    check_spans(&once);
    assert_eq!(once.full, canonical, "analysis and canonical text differ");
    let again = analyzer.analyse(&canonical);
    assert_eq!(again.text, once.text, "the canonical text reads otherwise");
    assert_eq!(again.words, once.words, "the canonical text is cut otherwise");
    let core = analyzer.analyse(&once.text);
    assert_eq!(core.text, once.text, "a text without fillers still had some");
    assert_eq!(analyzer.key(&canonical), analyzer.key(&raw), "the key is not stable");
    drop(analyzer.speech_acts(&once));
    drop(analyzer.traditionalise(&canonical));
}

/// Words lie inside the text, hold something, and come in order.
fn check_spans(analysis: &Analysis) {
    for word in &analysis.words {
        let text = analysis.text.get(word.span.clone());
        assert!(text.is_some_and(|text| !text.is_empty()), "{word:?} is no part of {:?}", analysis.text);
    }
    assert!(analysis.words.is_sorted_by_key(|word| word.position), "words out of order");
}

/// The matcher never fails, keeps every number within its bounds and every entry single, and answers alike each time.
pub fn matching(data: &[u8]) {
    let raw = String::from_utf8_lossy(data);
    let generation = generation();
    let matcher = &generation.matcher;
    let limit = 1 + data.len() % 20;
    let analysis = matcher.analyzer().analyse(&raw);
    let found = matcher.find(&analysis, limit, |_| Some(0)).expect("the index is in memory");
    assert!(found.candidates.len() <= limit, "more candidates than asked for");
    assert!((-1.0..=1.0).contains(&found.margin()), "margin {}", found.margin());
    for candidate in &found.candidates {
        check_candidate(candidate);
        assert!((candidate.entry as usize) < generation.corpus.entries.len(), "no such entry");
    }
    let entries: HashSet<u32> = found.candidates.iter().map(|candidate| candidate.entry).collect();
    assert_eq!(entries.len(), found.candidates.len(), "an entry stands twice");
    let order = |candidate: &Candidate| (!candidate.exact, -candidate.score);
    assert!(found.candidates.is_sorted_by_key(order), "not best first");
    let again = matcher.find(&analysis, limit, |_| Some(0)).expect("the index is in memory");
    assert_eq!(again, found, "another answer to the same question");
    let nothing = matcher.find(&analysis, limit, |_| None).expect("the index is in memory");
    assert!(nothing.candidates.is_empty(), "entries that do not hold were found");
}

/// Every feature, the score and the confidence are numbers between 0 and 1; NaN is written as null.
fn check_candidate(candidate: &Candidate) {
    let features = serde_json::to_value(candidate.features).expect("features are written as JSON");
    let features = features.as_object().expect("features have names");
    let bounded = |value: &Value| value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value));
    assert!(!features.is_empty() && features.values().all(bounded), "{candidate:?}");
    assert!((0.0..=1.0).contains(&candidate.confidence), "{candidate:?}");
    // A sum of shares that add up to 1, rounded.
    assert!((0.0..=1.000_001).contains(&candidate.score), "{candidate:?}");
}

/// Posts the bytes as they are, then as the text of a valid event; both twice: a redelivery gets the first decision.
pub fn message_endpoint(data: &[u8]) {
    WORLD.runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("yingda.db")).await.expect("a store");
        let bot = Bot::new(Arc::clone(&WORLD.knowledge), Arc::new(store), Arc::default(), Vec::new());
        let app = App::new(bot, Arc::clone(&WORLD.config), telemetry::metrics().expect("a recorder"));
        let shop = Shop(router(app));
        shop.deliver_twice(data.to_vec()).await;
        shop.check_envelope(&String::from_utf8_lossy(data)).await;
    });
}

/// The service with an empty store.
struct Shop(axum::Router);

struct Answer {
    status: StatusCode,
    duplicate: bool,
    body: Value,
}

impl Shop {
    /// The text in a valid event: it is decided, unless it is empty or too long; another text under its id is refused.
    async fn check_envelope(&self, text: &str) {
        let body = envelope(text);
        let limits = WORLD.config.limits;
        let expected = if body.len() > limits.body_bytes {
            StatusCode::PAYLOAD_TOO_LARGE
        } else if text.is_empty() || text.chars().count() > limits.text_chars {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        };
        let answer = self.deliver_twice(body).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
        if answer.status == StatusCode::OK {
            check_decision(&answer.body, text);
            let other = self.post(envelope("another text")).await;
            let expected = if text == "another text" { StatusCode::OK } else { StatusCode::CONFLICT };
            assert_eq!(other.status, expected, "another event under the same id: {}", other.body);
        }
    }

    async fn deliver_twice(&self, body: Vec<u8>) -> Answer {
        let first = self.post(body.clone()).await;
        let second = self.post(body).await;
        assert!(!first.duplicate, "the first delivery is called a redelivery");
        assert_eq!(second.status, first.status, "a redelivery is met otherwise");
        if first.status == StatusCode::OK {
            assert!(second.duplicate, "a redelivery is not seen");
            assert_eq!(second.body, first.body, "a redelivery is decided otherwise");
        }
        first
    }

    async fn post(&self, body: Vec<u8>) -> Answer {
        let request = Request::post("/v1/messages").body(Body::from(body)).expect("a request");
        let response = self.0.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status();
        let duplicate = response.headers().contains_key("yingda-duplicate");
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body: Value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{status}: the body is not JSON: {error}: {}", bytes.escape_ascii()));
        assert!(matches!(status.as_u16(), 200 | 400 | 404 | 409 | 413 | 422), "{status}: {body}");
        let expected = if status == StatusCode::OK { "application/json" } else { "application/problem+json" };
        assert_eq!(kind.as_ref().map(|kind| kind.as_bytes()), Some(expected.as_bytes()), "{status}: {body}");
        Answer { status, duplicate, body }
    }
}

fn envelope(text: &str) -> Vec<u8> {
    let event = json!({
        "shop": "fuzzed",
        "channel": "web",
        "conversation_id": "c-1",
        "customer_id": "u-1",
        "message_id": "m-1",
        "text": text,
    });
    event.to_string().into_bytes()
}

/// Numbers within bounds, and no reply that is empty or still has a placeholder.
fn check_decision(decision: &Value, text: &str) {
    for key in ["action", "reason"] {
        assert!(decision[key].is_string(), "no {key}: {decision}");
    }
    let considered = decision["candidates"].as_array().expect("candidates");
    for confidence in considered.iter().map(|one| &one["confidence"]).chain([&decision["confidence"]]) {
        let bounded = confidence.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value));
        assert!(confidence.is_null() || bounded, "{decision}");
    }
    for reply in decision["replies"].as_array().expect("replies") {
        let reply = reply["text"].as_str().expect("a text");
        assert!(!reply.trim().is_empty(), "an empty reply: {decision}");
        assert!(text.contains("{{") || !reply.contains("{{"), "a placeholder is left: {decision}");
    }
}
