//! A served shop in a process of its own, and those who call it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, client, fixture};

/// Where a node keeps what it must not lose: a folder, or a database.
pub struct Home {
    folder: TempDir,
    store: Option<String>,
}

impl Home {
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store: None }
    }

    pub fn postgres(url: &str) -> Self {
        Self { store: Some(url.to_owned()), ..Self::sqlite() }
    }

    pub fn with_config(self, toml: &str) -> Self {
        std::fs::write(self.folder.path().join("yingda.toml"), toml).unwrap();
        self
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// URL of the database, where it is not a file in the data folder.
    pub fn database(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// `yingda serve` on a free port; the index is built once for all tests.
    pub fn command(&self) -> Command {
        self.within(Command::new(env!("CARGO_BIN_EXE_yingda")))
    }

    /// The same, run by a program that takes its command line as arguments.
    pub fn command_by(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg(env!("CARGO_BIN_EXE_yingda"));
        self.within(command)
    }

    fn within(&self, mut command: Command) -> Command {
        command.args(["serve", "--log-json", "--listen", "127.0.0.1:0", "--faq"]).arg(fixture("shop"));
        command.arg("--index").arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/crash-index"));
        command.arg("--data").arg(self.data());
        if let Some(url) = &self.store {
            command.env("YINGDA_STORE", url);
        }
        command.env_remove("YINGDA_TOKENS").env_remove("RUST_LOG").current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self) -> Node {
        Node::run(self.command())
    }
}

/// A node; killed when the test lets go of it.
pub struct Node {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    caller: Caller,
}

impl Node {
    /// Starts it and waits until it is ready.
    pub fn run(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, ready) = std::sync::mpsc::channel();
        let told = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("ready on ") {
                    drop(sender.send(rest.split([',', ' ']).next().unwrap_or_default().to_owned()));
                }
                told.lock().unwrap().push(line);
            }
        });
        let Ok(base) = ready.recv_timeout(Duration::from_secs(60)) else {
            drop(child.kill());
            panic!("it does not start: {:?}", log.lock().unwrap());
        };
        Self { child, log, caller: Caller { base, client: client() } }
    }

    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Lines of its log.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let last = log.len().saturating_sub(20);
            eprintln!("the node's last words:\n{}", log[last..].join("\n"));
        }
    }
}

/// Somebody who calls a node.
#[derive(Clone)]
pub struct Caller {
    base: String,
    client: reqwest::Client,
}

impl Caller {
    pub async fn post(&self, event: &Value) -> Result<Answer, reqwest::Error> {
        self.send(Method::POST, "/v1/messages", event.to_string()).await
    }

    pub async fn send(&self, method: Method, path: &str, body: String) -> Result<Answer, reqwest::Error> {
        let request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        let response = request.timeout(Duration::from_secs(20)).send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await?,
        })
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, String::new()).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Every event of a conversation.
    pub async fn events(&self, channel: &str, conversation: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut from = json!(0);
        while !from.is_null() {
            let of = format!("shop=demo&channel={channel}&from={from}&limit=500");
            let page = self.get(&format!("/v1/conversations/{conversation}/events?{of}")).await;
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            from = page["next"].clone();
        }
        events
    }

    /// Pushes in this state.
    pub async fn pushes(&self, state: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/outbox?state={state}&limit=500")).await;
        page["pushes"].as_array().unwrap().clone()
    }
}

/// Asks again and again until it is as wished; how long that took.
pub async fn within(seconds: u64, mut wish: impl AsyncFnMut() -> Result<(), String>) -> Duration {
    let started = Instant::now();
    loop {
        match wish().await {
            Ok(()) => return started.elapsed(),
            Err(what) => assert!(started.elapsed() < Duration::from_secs(seconds), "after {seconds} s: {what}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
