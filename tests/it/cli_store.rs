//! The command line at the store, the service running or not; and what keeps a service from starting, told without secrets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{Served, path, run, serve_command, stderr, stdout, yingda};
use crate::harness::{message, with};
use crate::outbox::subscriber;
use crate::stand_in::{Answer, SECRET, StandIn};

/// A command at the store under `home`.
fn at(home: &Path, arguments: &[&str]) -> Output {
    let data = home.join("data");
    run(&[arguments, &["--data", path(&data)]].concat())
}

const OF: [&str; 4] = ["--shop", "demo", "--channel", "web"];

fn export(home: &Path, conversation: &str, more: &[&str]) -> Output {
    at(home, &[&["export", conversation], &OF[..], more].concat())
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_conversation_is_exported_while_the_service_runs_and_when_it_does_not() {
    let home = tempfile::tempdir().unwrap();
    let mut served = Served::start(home.path());
    served.post(&message("c", "我的手机13812345678，什么时候发货")).await;
    served.post(&message("c", "会员日是哪天")).await;
    let over_http = served.get("/v1/conversations/c/events?shop=demo&channel=web").await.json();
    let running = export(home.path(), "c", &[]);
    assert_eq!(running.status.code(), Some(0), "{}", stderr(&running));
    assert_eq!(json!(lines(&running)), over_http["events"], "the same as over HTTP");
    served.signal("-TERM");
    served.wait();
    assert_eq!(export(home.path(), "c", &[]).stdout, running.stdout);
    let masked = export(home.path(), "c", &["--masked"]);
    assert!(!stdout(&masked).contains("13812345678") && stdout(&masked).contains("〔手机〕"), "{}", stdout(&masked));
    assert_eq!(lines(&masked)[1], lines(&running)[1], "nothing else is hidden");
    let unknown = export(home.path(), "d", &[]);
    assert_eq!((unknown.status.code(), stdout(&unknown).as_str()), (Some(1), ""));
    assert!(stderr(&unknown).contains("no conversation `d`"), "{}", stderr(&unknown));
}

#[tokio::test]
async fn who_reads_only_the_first_lines_of_an_export_leaves_no_fault_behind() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path());
    for _ in 0..20 {
        served.post(&message("c", &"我有点事想商量".repeat(700))).await;
    }
    let data = home.path().join("data");
    let mut command = yingda(&[&["export", "c", "--data", path(&data)], &OF[..]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'));
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!((output.status.code(), said.lines().count()), (Some(0), 1), "{said}");
    assert!(said.starts_with("store: ") && said.trim_end().ends_with("yingda.db"), "{said}");
}

#[test]
fn the_configured_store_is_used_and_not_a_forgotten_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    std::fs::write(home.path().join("yingda.toml"), "store = \"postgres://u:hidden@127.0.0.1:9/none\"\n").unwrap();
    std::fs::copy(crate::harness::fixture("store/version-1.db"), home.path().join("data/yingda.db")).unwrap();
    let config = home.path().join("yingda.toml");
    let erased = at(home.path(), &[&["erase", "u", "--config", path(&config)], &OF[..]].concat());
    assert_eq!(erased.status.code(), Some(2), "{}", stdout(&erased));
    assert!(stderr(&erased).contains("PostgreSQL") && !stderr(&erased).contains("hidden"), "{}", stderr(&erased));
}

#[tokio::test]
async fn a_customer_is_erased_while_the_service_runs() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path());
    let event = with(message("c", "什么时候发货"), json!({"customer_id": "u-1"}));
    served.post(&event).await;
    let erase = || at(home.path(), &[&["erase", "u-1"], &OF[..]].concat());
    let first = erase();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(lines(&first), [json!({"conversations": 1, "events": 1, "pushes": 0})]);
    served.get("/v1/conversations/c?shop=demo&channel=web").await.problem(404, "erased");
    assert!(served.post(&event).await.is_duplicate(), "the service knows the message still");
    let second = erase();
    assert_eq!(second.status.code(), Some(1), "there was nothing to erase: {}", stdout(&second));
}

/// A command holds its thread; the receiver has another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_and_sent_again_by_the_service_that_runs() {
    let home = tempfile::tempdir().unwrap();
    let desk = StandIn::start(|number| Answer::status(if number == 0 { "410 Gone" } else { "200 OK" })).await;
    std::fs::write(home.path().join("yingda.toml"), subscriber(&desk, "desk", &["handoff"], "")).unwrap();
    let served = Served::start(home.path());
    served.post(&message("c", "转人工")).await;
    let outbox = |arguments: &[&str]| at(home.path(), &[&["outbox"], arguments].concat());
    let started = Instant::now();
    let dead = loop {
        let dead = lines(&outbox(&[]));
        if !dead.is_empty() {
            break dead;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "it never was given up");
    };
    assert_eq!((&dead[0]["endpoint"], &dead[0]["type"]), (&json!("desk"), &json!("handoff")));
    assert!(dead[0]["error"].as_str().unwrap().contains("410"), "{dead:?}");
    assert_eq!(stdout(&outbox(&["--replay", "--endpoint", "other"])), "0 sent again\n");
    let again = outbox(&["--enable", "desk", "--replay"]);
    assert_eq!((again.status.code(), stdout(&again)), (Some(0), "desk is on\n1 sent again\n".to_owned()));
    let requests = desk.after(2).await;
    assert_eq!(requests[1].header("webhook-id"), dead[0]["id"], "the same push");
    let started = Instant::now();
    while lines(&outbox(&["--state", "sent"])).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "it never was sent");
    }
    assert!(outbox(&[]).stdout.is_empty());
    assert_eq!(outbox(&["--state", "lost"]).status.code(), Some(2));
    let nobody = outbox(&["--enable", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no endpoint `nobody` is switched off"));
}

#[test]
fn a_store_that_is_not_there_is_named_and_not_made() {
    let home = tempfile::tempdir().unwrap();
    let erase = [&["erase", "u"], &OF[..]].concat();
    for output in [export(home.path(), "c", &[]), at(home.path(), &erase), at(home.path(), &["outbox"])] {
        assert_eq!(output.status.code(), Some(2));
        let told = stderr(&output);
        assert!(told.contains(path(home.path())) && told.contains("--data"), "{told}");
    }
    assert!(!home.path().join("data").exists());
    assert_eq!(run(&["export", "c"]).status.code(), Some(2), "of which shop?");
}

/// Serves with this configuration; what is said on standard error, when it does not start.
fn refusal(config: &str, more: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("yingda.toml"), config).unwrap();
    let mut command = serve_command(home.path(), &[&["--listen", "127.0.0.1:0"], more].concat());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(15) {
            drop(child.kill());
            panic!("it serves: {config}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{config}: {}", stderr(&output));
    stderr(&output)
}

fn webhook(name: &str, url: &str, secret: &str, more: &str) -> String {
    format!("[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n{more}\n")
}

#[test]
fn a_webhook_that_cannot_work_is_named_and_its_secret_is_not() {
    let (url, events) = ("https://crm.example/hook", "events = [\"reply\"]");
    let good = webhook("crm", url, SECRET, events);
    for (config, told) in [
        (webhook("crm", url, "whsec_c2hvcnQ=", events), "crm"),
        (webhook("crm", url, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", events), "crm"),
        (webhook("crm", url, "", events), "crm"),
        (webhook("crm", "crm.example/hook", SECRET, events), "crm"),
        (webhook("crm", "ftp://crm.example/", SECRET, events), "crm"),
        (webhook("crm", "http://127.0.0.1:9/", SECRET, events), "allow_private"),
        (webhook("crm", "http://[::1]/", SECRET, events), "crm"),
        (webhook("", url, SECRET, events), "name"),
        (webhook("crm", url, SECRET, "events = []"), "crm"),
        (webhook("crm", url, SECRET, ""), "events"),
        (webhook("crm", url, SECRET, "events = [\"everything\"]"), "everything"),
        (webhook("crm", url, SECRET, "events = [\"reply\"]\nretries = 3"), "retries"),
        (format!("{good}{good}"), "crm"),
    ] {
        let said = refusal(&config, &[]);
        assert!(said.contains("webhooks") || said.contains("line "), "where: {said}");
        assert!(said.contains(told), "{told}: {said}");
        for secret in ["MfKQ9r8G", "c2hvcnQ"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn a_facts_hook_that_cannot_work_is_named_by_its_section_and_its_secret_is_not() {
    let facts = |section: &str, url: &str, secret: &str, more: &str| {
        format!("[{section}.facts]\nurl = \"{url}\"\nsecret = \"{secret}\"\n{more}\n")
    };
    let url = "https://erp.example/facts";
    for (config, told) in [
        (facts("defaults", url, "whsec_c2hvcnQ=", ""), "[defaults]"),
        (facts("shops.demo", url, "whsec_c2hvcnQ=", ""), "[shops.demo]"),
        (facts("shops.demo", "erp.example", SECRET, ""), "[shops.demo]"),
        (facts("shops.demo", "http://10.0.0.7/facts", SECRET, ""), "allow_private"),
        (facts("shops.demo", url, SECRET, "timeout_ms = 0"), "timeout_ms"),
        (facts("shops.demo", url, SECRET, "timeout_ms = -1"), "[shops.demo]"),
        (facts("defaults", url, SECRET, "budget = 3"), "budget"),
        ("[defaults.facts]\nurl = \"https://erp.example/\"\n".to_owned(), "secret"),
    ] {
        let said = refusal(&config, &[]);
        assert!(said.contains(told) && said.contains("facts"), "{told}: {said}");
        for secret in ["MfKQ9r8G", "c2hvcnQ"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn a_database_that_cannot_be_used_is_told_without_its_password() {
    for (url, told) in [
        ("mysql://yingda:geheim@db/yingda", "postgres://"),
        ("yingda:geheim@db/yingda", "postgres://"),
        ("postgres://yingda:geheim@127.0.0.1:1/yingda", "nothing answers"),
        ("postgres://yingda:geheim@nobody.invalid/yingda", "store"),
        ("postgres://yingda:geheim@db:port/yingda", "port"),
    ] {
        let config = format!("store = \"{url}\"\n");
        for said in [refusal("", &["--store", url]), refusal(&config, &[])] {
            assert!(said.contains(told) && said.contains("store"), "{url}: {said}");
            assert!(!said.contains("geheim"), "{url}: {said}");
        }
        let mut command = yingda(&["outbox"]);
        let output = command.env("YINGDA_STORE", url).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{url}");
        assert!(!stderr(&output).contains("geheim"), "{url}: {}", stderr(&output));
    }
    assert!(
        !stdout(&yingda(&["serve", "--help"]).env("YINGDA_STORE", "postgres://u:geheim@h/d").output().unwrap())
            .contains("geheim")
    );
}

#[tokio::test]
async fn a_log_holds_neither_secrets_nor_what_customers_wrote() {
    let home = tempfile::tempdir().unwrap();
    let (desk, shop) = (StandIn::that(Answer::status("500 Oh")).await, StandIn::that(Answer::status("500 Oh")).await);
    let facts = format!("[defaults.facts]\nurl = \"{}\"\nsecret = \"{SECRET}\"\nallow_private = true\n", shop.url());
    let config = subscriber(&desk, "desk", &["handoff"], "") + &facts;
    std::fs::write(home.path().join("yingda.toml"), config).unwrap();
    let served = Served::start_logging(home.path(), "yingda=trace,debug");
    for number in 0..6 {
        served.post(&message(&format!("c-{number}"), "我的手机13812345678，转人工")).await;
    }
    desk.after(6).await;
    let log = served.log();
    assert!(log.contains("facts"), "it tells that they are missing: {log}");
    for secret in ["MfKQ9r8G", "in-the-url", "13812345678", "转人工"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
