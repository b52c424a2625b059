//! The generic channel as integrators speak it: the page's own examples as they stand, and the libraries of Standard Webhooks.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use yingda::bot::now;
use yingda::outbound::webhook::{Secret, sign};

use super::{platform, pushes, start};
use crate::clients::{converses, free_port, node, python};
use crate::harness::{TestApp, client, project};
use crate::stand_in::SECRET;

/// Another secret than [`SECRET`].
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The first block of code of this language on the generic channel's page.
fn example(language: &str) -> String {
    let page = std::fs::read_to_string(project("docs/channels/generic.md")).unwrap();
    let rest = page.split_once(&format!("```{language}\n")).expect("the page has an example").1;
    rest.split_once("```").unwrap().0.to_owned()
}

/// The page's examples in a folder, each with how it is run.
fn examples(folder: &std::path::Path) -> [(&'static str, Command); 2] {
    let file = |name: &str, language: &str| {
        let path = folder.join(name);
        std::fs::write(&path, example(language)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    [("Python", python(&file("client.py", "python"))), ("Node.js", node(&file("client.js", "js")))]
}

fn run(mut command: Command, address: &str, port: u16, secret: &str) -> Child {
    let command = command.args([address, &port.to_string(), "什么时候发货"]).env("YINGDA_SECRET", secret);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

async fn end(child: Child) -> Output {
    tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await.expect("it ends").unwrap()
}

async fn own(url: &str, more: &str) -> TestApp {
    let account = format!("name = \"own\"\ntype = \"generic\"\nsecret = \"{SECRET}\"\nurl = \"{url}\"\n{more}");
    start(&account, "").await
}

#[test]
fn the_pages_examples_are_short() {
    for language in ["python", "js"] {
        let lines = example(language).lines().filter(|line| !line.trim().is_empty()).count();
        assert!((10..=36).contains(&lines), "{language}: {lines} lines");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn the_pages_examples_send_a_message_and_print_the_reply() {
    let folder = tempfile::tempdir().unwrap();
    for (name, command) in examples(folder.path()) {
        let port = free_port();
        let app = own(&format!("http://127.0.0.1:{port}/"), "").await;
        let output = end(run(command, &format!("{}/channels/own", app.base), port, SECRET)).await;
        let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {said}");
        assert!(printed.contains("付款后两天内发出"), "{name}: {printed} {said}");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn the_pages_examples_fail_with_another_secret() {
    let folder = tempfile::tempdir().unwrap();
    for (name, command) in examples(folder.path()) {
        let port = free_port();
        let app = own(&format!("http://127.0.0.1:{port}/"), "").await;
        let output = end(run(command, &format!("{}/channels/own", app.base), port, OTHER)).await;
        assert!(!output.status.success() && output.stdout.is_empty(), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("401"), "{name}");
    }
}

/// Pushes to an example's port; none while it does not listen.
async fn push(port: u16, id: &str, secret: &str, seconds: i64, body: &str) -> Option<u16> {
    let (secret, time): (Secret, i64) = (secret.parse().unwrap(), now().as_second() + seconds);
    let request = client()
        .post(format!("http://127.0.0.1:{port}/"))
        .header("webhook-id", id)
        .header("webhook-timestamp", time)
        .header("webhook-signature", sign(&secret, id, time, body.as_bytes()));
    Some(request.body(body.to_owned()).send().await.ok()?.status().as_u16())
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn the_pages_examples_believe_only_what_is_signed_now() {
    let folder = tempfile::tempdir().unwrap();
    let reply = |text: &str| json!({ "type": "reply", "data": { "text": text } }).to_string();
    for (name, command) in examples(folder.path()) {
        let (service, port) = (platform().await, free_port());
        let child = run(command, &service.base(), port, SECRET);
        let sent = service.after(1).await;
        assert!(sent[0].is_signed(now(), Duration::from_secs(60)), "{name}: {}", sent[0].head);
        for (what, secret, seconds) in [("forged", OTHER, 0), ("old", SECRET, -330), ("of tomorrow", SECRET, 330)] {
            assert_eq!(push(port, "m", secret, seconds, &reply(what)).await, Some(401), "{name}: {what}");
        }
        assert_eq!(push(port, "m", SECRET, 0, &json!({ "type": "handoff", "data": {} }).to_string()).await, Some(204));
        assert_eq!(push(port, "m", SECRET, 0, &reply("亲，在的")).await, Some(204), "{name}");
        let output = end(child).await;
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "亲，在的", "{name}");
    }
}

#[tokio::test]
#[ignore = "`make test` fetches the clients, names their folder in YINGDA_TEST_CLIENTS, and runs this too"]
async fn libraries_speak_the_generic_channel_in_both_directions() {
    let previous = "whsec_cHJldmlvdXMgc2VjcmV0IG9mIDMyIGJ5dGVzLi4uLi4=";
    for (command, libraries, answered, refused) in [
        (python("generic_channel.py"), &["standardwebhooks", "svix"][..], 6, 8),
        (node("generic_channel.mjs"), &["standardwebhooks"], 5, 7),
    ] {
        let port = free_port();
        let desk = format!(
            "[[webhooks]]\nname = \"desk\"\nurl = \"http://127.0.0.1:{port}/desk\"\nsecret = \"{OTHER}\"\n\
             events = [\"handoff\"]\nallow_private = true"
        );
        let app = own(&format!("http://127.0.0.1:{port}/"), &format!("previous_secret = \"{previous}\"\n{desk}")).await;
        let secrets = json!({ "secret": SECRET, "previous": previous, "other": OTHER });
        let told = converses(command, &app, "own", port, secrets).await;
        let seen = json!({ "answered": answered, "refused": refused });
        let wanted = libraries.iter().map(|name| ((*name).to_owned(), seen.clone()));
        assert_eq!(told, Value::Object(wanted.collect()));
        let count = (answered + 3) * libraries.len();
        assert_eq!(pushes(&app, "sent", count).await.len(), count);
    }
}
