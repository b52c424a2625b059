//! The commands, run as a shopkeeper runs them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, fixture, message, project};

pub fn yingda(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yingda"));
    command.args(arguments).env_remove("YINGDA_TOKENS").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    yingda(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn check_exits_with_0_for_good_content_and_says_how_much_there_is() {
    let output = run(&["check", path(&project("faq"))]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("0 errors, 0 warnings"), "{}", stdout(&output));
}

#[test]
fn check_exits_with_0_when_there_are_only_warnings() {
    let output = run(&["check", path(&fixture("shop"))]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("warning: `gone` has expired"), "{}", stdout(&output));
}

#[test]
fn check_exits_with_1_and_lists_every_fault_with_file_and_line() {
    let output = run(&["check", path(&fixture("faq_bad"))]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    for file in
        ["a_entries.toml:", "b_answers.toml:", "c_broken.toml:", "e_rows.jsonl:", "scripts.toml:", "rewrites.txt:"]
    {
        assert!(told.contains(file), "{file}");
    }
    let json = run(&["check", "--json", path(&fixture("faq_bad"))]);
    assert_eq!(json.status.code(), Some(1));
    let faults: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(faults.len(), told.matches("\n    mend: ").count());
    for key in ["file", "line", "severity", "what", "mend"] {
        assert!(faults.iter().all(|fault| !fault[key].is_null()), "{key}");
    }
}

#[test]
fn check_exits_with_1_for_a_missing_folder() {
    let output = run(&["check", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("/no/such/folder"), "{}", stdout(&output));
}

#[test]
fn search_shows_candidates_with_their_features() {
    let output = run(&["search", "多久發貨", "--faq", path(&fixture("shop"))]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    for part in ["canonical   多久发货", "words", "1. ship", "confidence", "grams", "share"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let json = run(&["search", "多久發貨", "--json", "-n", "2", "--faq", path(&fixture("shop"))]);
    let rows: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows[0]["entry_id"], "ship");
    assert!(rows.len() <= 2 && rows[0]["features"]["grams"].is_number());
}

#[test]
fn search_exits_with_1_when_nothing_is_found() {
    let output = run(&["search", "😀", "--faq", path(&fixture("shop"))]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn eval_prints_one_object_with_every_measure() {
    let entries = fixture("eval/entries.jsonl");
    let queries = fixture("eval/queries.jsonl");
    let output = run(&["eval", "--entries", path(&entries), "--queries", path(&queries), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let measures: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in [
        "queries",
        "answerable",
        "top1",
        "hit3",
        "mrr10",
        "cov95",
        "cov90",
        "cov80",
        "answered",
        "precision",
        "coverage",
        "false_answers",
        "menus",
        "menu_hits",
        "ece",
        "us_p50",
        "us_p99",
    ] {
        assert!(measures[key].is_number(), "{key}: {measures}");
    }
    assert_eq!((&measures["queries"], &measures["answerable"]), (&json!(7), &json!(5)), "suspects are left out");
    assert_eq!(measures["top1"], 1.0, "{measures}");
    assert_eq!(measures["hit3"], 1.0, "{measures}");
    let plain = run(&["eval", "--entries", path(&entries), "--queries", path(&queries)]);
    assert!(stdout(&plain).contains("top-1") || stdout(&plain).contains("top1"), "{}", stdout(&plain));
}

#[test]
fn eval_exits_with_1_below_a_bar_and_2_for_a_broken_set() {
    let entries = fixture("eval/entries.jsonl");
    let queries = fixture("eval/queries.jsonl");
    let code = |more: &[&str], queries: &Path| {
        let mut arguments = vec!["eval", "--entries", path(&entries), "--queries", path(queries)];
        arguments.extend(more);
        run(&arguments).status.code()
    };
    assert_eq!(code(&["--min-top1", "0.9"], &queries), Some(0));
    assert_eq!(code(&["--min-top1", "1.1"], &queries), Some(2), "no share");
    assert_eq!(code(&["--min-top1", "nan"], &queries), Some(2), "no share");
    assert_eq!(code(&["--min-precision", "1", "--min-cov90", "1"], &queries), Some(1));
    assert_eq!(code(&[], &project("Cargo.toml")), Some(2));
    assert_eq!(code(&[], Path::new("/no/such/file")), Some(2));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(stdout(&output).contains("yingda") && stdout(&output).contains("serve"), "{shell}");
    }
}

#[test]
fn help_teaches_the_first_steps() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for word in ["serve", "check", "search", "eval", "export", "erase", "outbox", "token", "completions"] {
        assert!(stdout(&output).contains(word), "{word}");
        let help = run(&[word, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{word}");
    }
    assert_eq!(run(&[]).status.code(), Some(2), "without a command");
    assert_eq!(run(&["dance"]).status.code(), Some(2), "an unknown command");
}

#[test]
fn a_token_is_shown_once_with_the_configuration_that_accepts_it() {
    let output = run(&["token", "--role", "agent", "--name", "desk"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    let token = told.lines().find_map(|line| line.strip_prefix("token, shown only now: ")).expect("a token");
    let config = &told[told.find("[[tokens]]").expect("a configuration")..];
    assert!(!config.contains(token));
    let tokens = crate::harness::configuration(config).tokens;
    assert_eq!(tokens[0].hash, yingda::config::hash_token(token));
    assert_eq!(tokens[0].name, "desk");
    assert_ne!(stdout(&run(&["token", "--role", "agent"])), stdout(&run(&["token", "--role", "agent"])));
    assert_eq!(run(&["token", "--role", "king"]).status.code(), Some(2));
}

/// A served shop; killed when the test ends.
pub struct Served {
    child: Child,
    pub base: String,
    client: reqwest::Client,
    log: Arc<Mutex<String>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn serve_command(home: &Path, more: &[&str]) -> Command {
    let faq = fixture("shop");
    let mut arguments = vec!["serve", "--faq", path(&faq), "--log-json"];
    arguments.extend(more);
    let mut command = yingda(&arguments);
    command.args(["--index".as_ref(), home.join("index").as_os_str()]);
    command.args(["--data".as_ref(), home.join("data").as_os_str()]);
    command.current_dir(home).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Served {
    /// Serves on a free port with its folders, and its yingda.toml if there is one, under `home`.
    pub fn start(home: &Path) -> Self {
        Self::start_logging(home, "info")
    }

    /// The same, with this much in its log.
    pub fn start_logging(home: &Path, level: &str) -> Self {
        let mut command = serve_command(home, &["--listen", "127.0.0.1:0"]);
        let mut child = command.env("RUST_LOG", level).spawn().unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&written);
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                kept.lock().unwrap().extend([line.as_str(), "\n"]);
                if let Some(at) = line.find("ready on http://") {
                    let address = line[at + "ready on ".len()..].split([',', ' ']).next().unwrap_or_default();
                    drop(sender.send(address.to_owned()));
                }
            }
        });
        let base = ready.recv_timeout(Duration::from_secs(20)).expect("it says that it is ready");
        Self { child, base, client: crate::harness::client(), log: written }
    }

    pub async fn post(&self, event: &Value) -> Answer {
        self.send(self.client.post(format!("{}/v1/messages", self.base)).body(event.to_string())).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for the end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(15), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[tokio::test]
async fn the_first_line_names_the_address_where_one_chats_as_a_customer() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path());
    let address = format!("{}/chat", served.base);
    assert!(served.log().contains(&format!("chat as a customer at {address}\"")), "{}", served.log());
    assert_eq!(served.get("/chat/chat").await.status, 200);
    let none = tempfile::tempdir().unwrap();
    std::fs::write(none.path().join("yingda.toml"), "[shops.a]\n").unwrap();
    assert!(!Served::start(none.path()).log().contains("chat as a customer"), "where there is none");
}

#[tokio::test]
async fn a_stop_signal_ends_it_with_0_and_a_restart_keeps_conversations() {
    for signal in ["-TERM", "-INT"] {
        let home = tempfile::tempdir().unwrap();
        let mut served = Served::start(home.path());
        let event = message("c", "什么时候发货");
        let first = served.post(&event).await;
        assert!(first.body.contains("greeting"), "{}", first.body);
        served.signal(signal);
        assert_eq!(served.wait(), Some(0), "{signal}");
        let again = Served::start(home.path());
        let redelivered = again.post(&event).await;
        assert!(redelivered.is_duplicate());
        assert_eq!(redelivered.body, first.body);
        let second = again.post(&message("c", "会员日是哪天")).await.decision();
        assert_eq!(second.text(), "每月八号。", "the customer was greeted before the restart");
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let mut served = Served::start(home.path());
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let event = message(&format!("c-{number}"), "什么时候发货");
        acknowledged.push((served.post(&event).await.body, event));
    }
    served.signal("-KILL");
    assert_eq!(served.wait(), None, "killed");
    let again = Served::start(home.path());
    for (body, event) in acknowledged {
        let redelivered = again.post(&event).await;
        assert!(redelivered.is_duplicate());
        assert_eq!(redelivered.body, body);
    }
}

#[tokio::test]
async fn a_request_that_is_open_when_the_stop_comes_gets_its_answer() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let home = tempfile::tempdir().unwrap();
    let mut served = Served::start(home.path());
    let mut socket = tokio::net::TcpStream::connect(served.base.trim_start_matches("http://")).await.unwrap();
    let body = message("c", "什么时候发货").to_string();
    let (half, rest) = body.as_bytes().split_at(body.len() / 2);
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(half).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    served.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    socket.write_all(rest).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(served.wait(), Some(0));
}

#[test]
fn serve_refuses_strangers_without_tokens() {
    let home = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = serve_command(home.path(), &["--listen", address]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(stderr(&output).contains("loopback"), "{}", stderr(&output));
    }
    assert!(!home.path().join("data").exists(), "nothing was begun");
}

#[test]
fn serve_says_what_keeps_it_from_starting() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(home.path().join("bad.toml"), "lisen = 1\n").unwrap();
    std::fs::write(home.path().join("a-file"), "").unwrap();
    let bad_faq = fixture("faq_bad");
    for (arguments, told) in [
        (vec!["--listen", &address], "--listen"),
        (vec!["--config", "bad.toml"], "lisen"),
        (vec!["--config", "none.toml"], "none.toml"),
        (vec!["--faq", path(&bad_faq)], "has errors"),
        (vec!["--data", "a-file/below"], "--data"),
        (vec!["--index", "a-file/below"], "--index"),
    ] {
        let mut command = yingda(&["serve", "--log-json"]);
        let faq = fixture("shop");
        for (option, default) in
            [("--faq", path(&faq)), ("--index", "index"), ("--data", "data"), ("--listen", "127.0.0.1:0")]
        {
            if !arguments.contains(&option) {
                command.args([option, default]);
            }
        }
        let output = command.args(&arguments).current_dir(home.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_store_that_is_no_database_is_named_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    let file = home.path().join("data/yingda.db");
    std::fs::write(&file, "this is not a database, it is somebody's notes").unwrap();
    let output = serve_command(home.path(), &["--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("yingda.db"), "{}", stderr(&output));
    assert!(std::fs::read_to_string(&file).unwrap().contains("somebody's notes"));
}
