//! A running service with verbs, over knowledge that tests share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::civil::{Date, date};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use yingda::bot::courier::Courier;
use yingda::bot::{Bot, clockwork, mailroom};
use yingda::config::Config;
use yingda::conversation::store::{PostgresStore, SqliteStore, Store};
use yingda::http::{App, run};
use yingda::knowledge::Knowledge;
use yingda::telemetry;

/// The day by which fixtures count as expired.
pub const TODAY: Date = date(2026, 11, 22);

/// A path below the project's root.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    project("tests/fixtures").join(name)
}

/// The starter pack, loaded once for all tests; nobody reloads it.
pub fn starter_pack() -> Arc<Knowledge> {
    static PACK: OnceLock<Arc<Knowledge>> = OnceLock::new();
    Arc::clone(PACK.get_or_init(|| open(&project("faq"))))
}

/// The fixture `shop`, loaded once for all tests; nobody reloads it.
pub fn fixture_shop() -> Arc<Knowledge> {
    static SHOP: OnceLock<Arc<Knowledge>> = OnceLock::new();
    Arc::clone(SHOP.get_or_init(|| open(&fixture("shop"))))
}

fn open(folder: &Path) -> Arc<Knowledge> {
    Arc::new(Knowledge::open(folder, None, None, TODAY).expect("the content loads"))
}

/// Copies a flat folder into a fresh one that a test may edit.
pub fn editable(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for item in std::fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        std::fs::copy(item.path(), copy.path().join(item.file_name())).unwrap();
    }
    copy
}

/// The configuration that a file with this text gives.
pub fn configuration(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("yingda.toml");
    std::fs::write(&file, text).unwrap();
    Config::read(Some(&file), None).expect("the configuration is valid")
}

/// An HTTP client; the program chooses how TLS is done, once a process.
pub fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::new()
}

/// What a service is made from.
pub struct Plan {
    knowledge: Option<Arc<Knowledge>>,
    faq: Option<TempDir>,
    config: String,
    data: Option<Arc<TempDir>>,
    database: Option<String>,
}

impl Plan {
    /// Over the starter pack.
    pub fn starter() -> Self {
        Self { knowledge: Some(starter_pack()), faq: None, config: String::new(), data: None, database: None }
    }

    /// Over the fixture `shop`.
    pub fn shop() -> Self {
        Self { knowledge: Some(fixture_shop()), ..Self::starter() }
    }

    /// Over a copy of the fixture `shop` that the test edits and reloads.
    pub fn editable_shop() -> Self {
        Self { knowledge: None, faq: Some(editable(&fixture("shop"))), ..Self::starter() }
    }

    /// Over this knowledge.
    pub fn over(knowledge: Knowledge) -> Self {
        Self { knowledge: Some(Arc::new(knowledge)), ..Self::starter() }
    }

    pub fn with_config(self, toml: &str) -> Self {
        Self { config: toml.to_owned(), ..self }
    }

    /// With the store of another service: as after a restart, or as a second node.
    pub fn beside(self, other: &TestApp) -> Self {
        Self { data: Some(Arc::clone(&other.data)), ..self }
    }

    /// With its store in this PostgreSQL.
    pub fn with_database(self, url: &str) -> Self {
        Self { database: Some(url.to_owned()), ..self }
    }

    /// Serves on a free port, with a store in a fresh folder.
    pub async fn start(self) -> TestApp {
        let data = self.data.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let knowledge = self.knowledge.unwrap_or_else(|| {
            let folder = self.faq.as_ref().expect("a plan has content");
            open(folder.path())
        });
        let config = Arc::new(configuration(&self.config));
        let store: Arc<dyn Store> = match &self.database {
            Some(url) => Arc::new(PostgresStore::connect(url).await.unwrap()),
            None => Arc::new(SqliteStore::open(&data.path().join("yingda.db")).await.unwrap()),
        };
        let bot = Bot::new(knowledge, store, Arc::new(config.shops.clone()), config.webhooks.clone())
            .with_accounts(config.accounts.clone())
            .with_facts()
            .expect("the facts hooks are valid");
        tokio::spawn(clockwork::run(bot.clone()));
        tokio::spawn(Courier::new(bot.clone()).expect("the endpoints are valid").run());
        tokio::spawn(mailroom::run(bot.clone(), config.limits.text_chars).expect("TLS is there"));
        let app = App::new(bot.clone(), config, telemetry::metrics().unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(run(listener, app, std::future::pending()));
        TestApp { base, bot, client: client(), faq: self.faq, data }
    }
}

/// A running service.
pub struct TestApp {
    pub base: String,
    /// For what a test cannot wait for: its clock stands on its own.
    pub bot: Bot,
    client: reqwest::Client,
    faq: Option<TempDir>,
    data: Arc<TempDir>,
}

impl TestApp {
    /// The service over the starter pack, as `make run` starts it.
    pub async fn start() -> Self {
        Plan::starter().start().await
    }

    /// The service over the small fixture shop.
    pub async fn start_shop() -> Self {
        Plan::shop().start().await
    }

    /// A customer writes; the decision comes back.
    pub async fn say(&self, conversation: &str, text: &str) -> Decision {
        self.post(&message(conversation, text)).await.decision()
    }

    /// A customer writes; `more` is laid over the event's fields.
    pub async fn say_with(&self, conversation: &str, text: &str, more: Value) -> Decision {
        self.post(&with(message(conversation, text), more)).await.decision()
    }

    /// Something else happens in a conversation.
    pub async fn happens(&self, conversation: &str, kind: &str) -> Decision {
        self.say_with(conversation, "", json!({ "type": kind })).await
    }

    pub async fn post(&self, event: &Value) -> Answer {
        self.send(Method::POST, "/v1/messages", event.to_string()).await
    }

    pub async fn post_bytes(&self, body: Vec<u8>) -> Answer {
        self.send(Method::POST, "/v1/messages", body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    pub async fn suggestions(&self, parameters: &[(&str, &str)]) -> Answer {
        let url = Url::parse_with_params(&format!("{}/v1/suggestions", self.base), parameters).unwrap();
        self.send(Method::GET, &url.as_str()[self.base.len()..], "").await
    }

    pub async fn reload(&self) -> Answer {
        self.send(Method::POST, "/v1/reload", "").await
    }

    pub async fn open_incident(&self, id: &str, body: Value) -> Answer {
        let path = format!("/v1/incidents/{id}");
        self.send(Method::PUT, &path, body.to_string()).await
    }

    pub async fn close_incident(&self, id: &str) -> Answer {
        self.send(Method::DELETE, &format!("/v1/incidents/{id}"), "").await
    }

    /// Puts an agent on the desk of the shop `demo`; `more` is laid over what is said of them.
    pub async fn agent(&self, id: &str, presence: &str, more: Value) -> Answer {
        let body = with(json!({ "shop": "demo", "presence": presence }), more);
        self.send(Method::PUT, &format!("/v1/agents/{id}"), body.to_string()).await
    }

    /// A human takes a conversation (`takeover`) or gives it back (`hand-back`).
    pub async fn moved(&self, conversation: &str, how: &str, agent: &str) -> Answer {
        let body = json!({ "shop": "demo", "channel": "web", "agent_id": agent });
        self.send(Method::POST, &format!("/v1/conversations/{conversation}/{how}"), body.to_string()).await
    }

    pub async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send_as(None, method, path, body).await
    }

    /// Sends with a bearer token.
    pub async fn send_as(
        &self,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("the service answers");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("the answer is whole"),
        }
    }

    /// A platform posts to an account's address, which may have a query.
    pub async fn hook(&self, address: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(format!("{}/channels/{address}", self.base)).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.expect("the service answers");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("the answer is whole"),
        }
    }

    /// Runs a statement in the file of its store, as somebody who comes between.
    pub async fn sql(&self, statement: &'static str) {
        let path = self.data.path().join("yingda.db");
        let mut store = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::query(statement).execute(&mut store).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Writes a file of the service's own content folder.
    pub fn write_faq(&self, file: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.faq_path(file), text).unwrap();
    }

    pub fn read_faq(&self, file: &str) -> String {
        std::fs::read_to_string(self.faq_path(file)).unwrap()
    }

    fn faq_path(&self, file: &str) -> PathBuf {
        let folder = self.faq.as_ref().expect("a test that edits content has its own");
        folder.path().join(file)
    }
}

/// An event that nobody has sent before.
pub fn message(conversation: &str, text: &str) -> Value {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    json!({
        "shop": "demo",
        "channel": "web",
        "conversation_id": conversation,
        "customer_id": format!("customer of {conversation}"),
        "message_id": format!("m-{number}"),
        "text": text,
    })
}

/// `value` with the fields of `more` laid over it.
pub fn with(mut value: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut value, more) else {
        panic!("two objects are joined");
    };
    fields.extend(more);
    value
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn is_duplicate(&self) -> bool {
        self.header("yingda-duplicate") == "true"
    }

    pub fn decision(&self) -> Decision {
        assert_eq!(self.status, 200, "{}", self.body);
        Decision(self.json())
    }

    /// The problem document, checked against RFC 9457; panics when the answer is something else.
    pub fn problem(&self, status: u16, whose: &str) -> Value {
        assert_eq!(self.status, status, "{whose}: {}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json", "{whose}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{whose}");
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{whose}: {key} of {problem}");
        }
        problem
    }
}

/// A decision as it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision(pub Value);

impl Decision {
    pub fn action(&self) -> &str {
        self.field("action")
    }

    pub fn reason(&self) -> &str {
        self.field("reason")
    }

    pub fn entry(&self) -> &str {
        self.field("entry_id")
    }

    pub fn script(&self) -> &str {
        self.field("script_id")
    }

    fn field(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// The only reply's text; empty when the customer gets nothing.
    pub fn text(&self) -> &str {
        let replies = self.0["replies"].as_array().unwrap();
        assert!(replies.len() <= 1, "one message at most: {}", self.0);
        self.0["replies"][0]["text"].as_str().unwrap_or_default()
    }

    pub fn language(&self) -> &str {
        self.0["replies"][0]["language"].as_str().unwrap_or_default()
    }

    pub fn menu(&self) -> Vec<&str> {
        let menu = self.0["menu"].as_array().unwrap();
        menu.iter().map(|id| id.as_str().unwrap()).collect()
    }

    /// `action reason`, and what was said with.
    pub fn summary(&self) -> String {
        let used = [self.entry(), self.script()].into_iter().find(|id| !id.is_empty());
        format!("{} {} {}", self.action(), self.reason(), used.unwrap_or("-"))
    }
}
