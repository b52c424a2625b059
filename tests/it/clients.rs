//! Third-party clients against the service: what their authors understood of a protocol, not what this project did.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use yingda::bot::now;
use yingda::outbound::webhook::{Secret, sign, verify};

use crate::harness::project;
use crate::stand_in::SECRET;

/// What a script may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script of `tests/clients`, for Python with the pinned libraries.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(clients().join("python/bin/python"));
    command.arg(project("tests/clients").join(script)).env("PYTHONUTF8", "1");
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

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn libraries_accept_our_webhooks_and_we_accept_theirs() {
    let secret: Secret = SECRET.parse().unwrap();
    let now = now();
    let bodies =
        [r#"{"type":"test"}"#, r#"{"text":"亲，您的包裹已发出 📦\n请留意查收"}"#, r#"{"名":"\u738b小姐","n":1.50}"#];
    let messages: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| {
            let id = format!("msg_{number}");
            let signature = sign(&secret, &id, now.as_second(), body.as_bytes());
            json!({"id": id, "timestamp": now.as_second(), "body": body, "signature": signature})
        })
        .collect();
    let input = json!({"secret": SECRET, "messages": messages});
    for (command, libraries) in
        [(python("webhooks.py"), &["standardwebhooks", "svix"][..]), (node("webhooks.mjs"), &["standardwebhooks"])]
    {
        let seen = plays(command, input.clone()).await;
        assert_eq!(seen.as_object().unwrap().len(), libraries.len());
        for library in libraries {
            let seen = seen[library].as_array().unwrap();
            assert_eq!(seen.len(), messages.len());
            for (seen, message) in seen.iter().zip(&messages) {
                assert_eq!(seen["accepts"], true, "{library}: {message}");
                assert_eq!(seen["accepts_forged"], false, "{library}: {message}");
                let (id, body) = (message["id"].as_str().unwrap(), message["body"].as_str().unwrap());
                let theirs = seen["signature"].as_str().unwrap();
                let ours = [secret.clone()];
                let check = |body: &str| {
                    verify(&ours, id, now.as_second(), body.as_bytes(), theirs, now, Duration::from_secs(300))
                };
                assert!(check(body).is_ok(), "{library}: {message}");
                assert!(check(&format!("{body} ")).is_err(), "{library}: {message}");
            }
        }
    }
}
