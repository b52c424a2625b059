//! Receivers that hang, lie, come and go: nothing is lost, nobody else waits, nobody private is called.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::node::{Caller, Home, Node, within};
use super::receiver::{Attempt, Receiver};
use crate::harness::{message, with};
use crate::stand_in::Answer as Reply;

/// A shop whose channel `NAME` pushes to the receiver of that name.
fn serve(receivers: &[(&str, &Receiver)]) -> (Home, Node) {
    let mut config = String::new();
    for (name, _) in receivers {
        config += &format!("[defaults.channels.{name}]\nreplies = \"push\"\ndebounce_ms = 0\n");
    }
    for (name, receiver) in receivers {
        config += &receiver.webhook(name, &format!("channels = [\"{name}\"]\nallow_private = true"));
    }
    let home = Home::sqlite().with_config(&config);
    let node = home.start();
    (home, node)
}

async fn say(caller: &Caller, channel: &str, conversation: &str) -> Value {
    let event = with(message(conversation, "什么时候发货"), json!({ "channel": channel }));
    let answer = caller.post(&event).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let decision = answer.json();
    assert_eq!(decision["delivery"], "push");
    decision
}

/// Waits for so many accepted pushes.
async fn arrive(receiver: &Receiver, count: usize, seconds: u64) -> Vec<Attempt> {
    within(seconds, async || match receiver.received().len() {
        found if found >= count => Ok(()),
        found => Err(format!("{found} of {count} pushes")),
    })
    .await;
    receiver.received()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_failed_comes_again_with_its_id_and_when_it_was_asked_to() {
    let failing = Receiver::start(|attempt| if attempt < 2 { Reply::status("500 Oops") } else { Reply::ok() }).await;
    let lying =
        Receiver::start(|attempt| if attempt < 1 { Reply::Raw(b"\x00\xffHTTP?".to_vec()) } else { Reply::ok() }).await;
    let asking = Receiver::start(|attempt| match attempt {
        0 => Reply::status("429 Too Many Requests\r\nretry-after: 3"),
        _ => Reply::ok(),
    })
    .await;
    let (_home, node) = serve(&[("failing", &failing), ("lying", &lying), ("asking", &asking)]);
    let caller = node.caller();
    for channel in ["failing", "lying", "asking"] {
        let decision = say(&caller, channel, "c").await;
        let receiver = [("failing", &failing), ("lying", &lying), ("asking", &asking)];
        let receiver = receiver.iter().find(|(name, _)| *name == channel).unwrap().1;
        let received = arrive(receiver, 1, 15).await;
        assert_eq!(received[0].body["data"]["reply_id"], decision["replies"][0]["id"]);
        assert!(receiver.attempts().iter().all(|attempt| attempt.id == received[0].id), "one id");
    }
    assert_eq!((failing.attempts().len(), lying.attempts().len(), asking.attempts().len()), (3, 2, 2));
    let waited = asking.attempts()[1].at - asking.attempts()[0].at;
    assert!(waited >= Duration::from_millis(2_900), "{waited:?}");
    within(5, async || match caller.pushes("sent").await.len() {
        3 => Ok(()),
        count => Err(format!("{count} are sent")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_keeps_nobody_else_waiting() {
    let hanging = Receiver::start(|_| Reply::Hangs).await;
    let good = Receiver::start(|_| Reply::ok()).await;
    let (_home, node) = serve(&[("hanging", &hanging), ("good", &good)]);
    let caller = node.caller();
    for number in 0..50 {
        say(&caller, "hanging", &format!("h{number}")).await;
    }
    within(5, async || if hanging.attempts().is_empty() { Err("nothing came".to_owned()) } else { Ok(()) }).await;
    for number in 0..10 {
        let said = Instant::now();
        say(&caller, "good", &format!("g{number}")).await;
        arrive(&good, number + 1, 20).await;
        let took = said.elapsed();
        assert!(took < Duration::from_secs(3), "push {number} waited for another receiver: {took:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let pending = caller.pushes("pending").await;
    assert_eq!(pending.len(), 50, "they are tried on");
    within(10, async || {
        let pending = caller.pushes("pending").await;
        let told = pending.iter().any(|push| push["error"].as_str().is_some_and(|error| error.contains("in time")));
        if told { Ok(()) } else { Err(format!("{:?}", pending[0])) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_switched_off_and_gets_all_when_it_is_back() {
    let gone = Receiver::start(|attempt| if attempt < 1 { Reply::status("410 Gone") } else { Reply::ok() }).await;
    let (_home, node) = serve(&[("gone", &gone)]);
    let caller = node.caller();
    say(&caller, "gone", "c0").await;
    within(5, async || match caller.pushes("dead").await.len() {
        1 => Ok(()),
        count => Err(format!("{count} dead letters")),
    })
    .await;
    let endpoints = caller.get("/v1/endpoints").await;
    assert!(endpoints["endpoints"][0]["disabled"]["reason"].as_str().unwrap().contains("410"), "{endpoints}");
    for number in 1..4 {
        say(&caller, "gone", &format!("c{number}")).await;
    }
    within(5, async || match caller.pushes("dead").await.len() {
        4 => Ok(()),
        count => Err(format!("{count} dead letters")),
    })
    .await;
    assert_eq!(gone.attempts().len(), 1, "it is left alone");
    let dead = caller.pushes("dead").await;
    assert!(dead.iter().all(|push| push["error"].as_str().unwrap().contains("410 Gone")), "{dead:?}");
    let enabled = caller.send(Method::POST, "/v1/endpoints/gone/enable", String::new()).await.unwrap();
    assert!(enabled.json()["endpoints"][0]["disabled"].is_null(), "{}", enabled.body);
    let replay =
        caller.send(Method::POST, "/v1/outbox/replay", json!({ "endpoint": "gone" }).to_string()).await.unwrap();
    assert_eq!(replay.json()["replayed"], 4);
    let received = arrive(&gone, 4, 5).await;
    assert!(received.iter().any(|push| push.id == gone.attempts()[0].id), "with the ids they had");
    let unknown = caller.send(Method::POST, "/v1/endpoints/nobody/enable", String::new()).await.unwrap();
    unknown.problem(404, "an endpoint that is not configured");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_leads_to_an_address_of_this_machine() {
    let private = Receiver::start(|_| Reply::ok()).await;
    let to = private.url();
    let leading = Receiver::start(move |_| Reply::status(&format!("307 Temporary Redirect\r\nlocation: {to}"))).await;
    let (_home, node) = serve(&[("leading", &leading)]);
    let caller = node.caller();
    say(&caller, "leading", "c").await;
    within(10, async || {
        let pending = caller.pushes("pending").await;
        let told = pending.iter().any(|push| push["error"].as_str().is_some_and(|error| error.contains("redirect")));
        if told { Ok(()) } else { Err(format!("{pending:?}")) }
    })
    .await;
    assert!(private.attempts().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_address_is_refused_with_the_word_that_permits_it() {
    let private = Receiver::start(|_| Reply::ok()).await;
    let home = Home::sqlite().with_config(&private.webhook("desk", ""));
    let output = home.command().output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for word in ["desk", "not public", "allow_private"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    // What a name means is known only when it is called.
    let named = private.webhook("desk", "").replace("127.0.0.1", "localhost");
    let channel = "[defaults.channels.push]\nreplies = \"push\"\ndebounce_ms = 0\n";
    let home = Home::sqlite().with_config(&format!("{channel}{named}"));
    let node = home.start();
    let caller = node.caller();
    say(&caller, "push", "c").await;
    within(10, async || match caller.pushes("dead").await.first() {
        Some(push) => {
            let error = push["error"].as_str().unwrap();
            assert!(error.contains("not public") && error.contains("allow_private"), "{error}");
            Ok(())
        }
        None => Err(format!("{:?}", caller.pushes("pending").await)),
    })
    .await;
    assert!(private.attempts().is_empty());
}
