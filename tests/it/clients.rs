//! Third-party clients against the service: what their authors understood of a protocol, not what this project did.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::{TestApp, project, with};

/// What a script may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script of `tests/clients`, for Python with the pinned libraries.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(clients().join("python/bin/python"));
    command.arg(project("tests/clients").join(script)).env("PYTHONUTF8", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A script of `tests/clients`, for Node.js with the pinned libraries.
pub fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(project("tests/clients").join(script)).env("NODE_PATH", clients().join("node_modules"));
    command
}

/// Where `make clients` put the libraries.
fn clients() -> std::path::PathBuf {
    project(&std::env::var("YINGDA_TEST_CLIENTS").expect("run it by `make test`"))
}

/// A port that is free now: a script stands for a platform's API there.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a script that plays the platform of an account of this name, and stands for its API at `port`; `more` has the secrets
/// that both know. What it prints tells what it has seen, see `tests/clients/README.md`.
pub async fn converses(command: Command, app: &TestApp, account: &str, port: u16, more: Value) -> Value {
    let asked = json!({ "hook": format!("{}/channels/{account}", app.base), "port": port,
        "menu": "书包的颜色，还有什么时候能够发货呢", "text": "什么时候发货", "says": "付款后两天内发出" });
    plays(command, with(asked, more)).await
}

/// Runs a script of [`python`] or [`node`] with an object on its input; gives the one that it prints.
pub async fn plays(mut command: Command, input: Value) -> Value {
    let name = format!("{:?}", command.as_std());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let run = async {
        // A script that ends without reading breaks the pipe; its own words tell why.
        drop(stdin.write_all(input.to_string().as_bytes()).await);
        drop(stdin);
        child.wait_with_output().await.unwrap()
    };
    let output = tokio::time::timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{name} takes too long"));
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{printed}\n{said}", output.status);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{name}: {error}\n{printed}\n{said}"))
}
