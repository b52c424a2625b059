//! Messages that come again, at once, out of order, in masses, or for conversations that are not what the sender thinks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use yingda::bot::now;

use crate::harness::{Answer, Plan, TestApp, message, with};

/// One event posted so many times at the same time.
async fn at_once(app: &TestApp, event: &Value, times: usize) -> Vec<Answer> {
    let client = crate::harness::client();
    let url = format!("{}/v1/messages", app.base);
    let posts: Vec<_> = (0..times)
        .map(|_| {
            let post = client.post(&url).body(event.to_string()).send();
            tokio::spawn(async move {
                let response = post.await.unwrap();
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                Answer { status, headers, body: response.text().await.unwrap() }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for post in posts {
        answers.push(post.await.unwrap());
    }
    answers
}

async fn history(app: &TestApp, conversation: &str) -> Vec<Value> {
    let (mut events, mut from) = (Vec::new(), json!(0));
    while !from.is_null() {
        let of = format!("shop=demo&channel=web&limit=500&from={from}");
        let page = app.get(&format!("/v1/conversations/{conversation}/events?{of}")).await.json();
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        from = page["next"].clone();
    }
    events
}

async fn move_to(app: &TestApp, conversation: &str, how: &str) -> Answer {
    let body = json!({ "shop": "demo", "channel": "web", "agent_id": "amy" });
    app.send(Method::POST, &format!("/v1/conversations/{conversation}/{how}"), body.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_delivered_fifty_times_at_once_is_one_decision_with_one_answer() {
    let app = Plan::shop().start().await;
    for round in 0..3 {
        let event = message(&format!("c{round}"), "什么时候发货");
        let answers = at_once(&app, &event, 50).await;
        let bodies: BTreeSet<&str> = answers.iter().map(|answer| answer.body.as_str()).collect();
        assert_eq!(bodies.len(), 1);
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(answers.iter().filter(|answer| !answer.is_duplicate()).count(), 1);
        assert_eq!(history(&app, &format!("c{round}")).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_messages_with_one_id_the_first_counts_and_the_other_is_a_conflict() {
    let app = Plan::shop().start().await;
    let event = message("c", "什么时候发货");
    let first = app.post(&event).await;
    for other in [json!({ "text": "会员日是哪天" }), json!({ "conversation_id": "d" }), json!({ "type": "media" })]
    {
        app.post(&with(event.clone(), other)).await.problem(409, "another body");
    }
    assert_eq!(app.post(&event).await.body, first.body);
    let (one, other) = (message("e", "什么时候发货"), message("e", "会员日是哪天"));
    let other = with(other, json!({ "message_id": one["message_id"] }));
    let (ones, others) = tokio::join!(at_once(&app, &one, 10), at_once(&app, &other, 10));
    let status = |answers: &[Answer]| answers.iter().map(|answer| answer.status).collect::<BTreeSet<u16>>();
    let both = [status(&ones), status(&others)];
    assert!(both.contains(&BTreeSet::from([200])) && both.contains(&BTreeSet::from([409])), "{both:?}");
    assert_eq!(history(&app, "e").await.len(), 1);
}

#[tokio::test]
async fn events_count_in_the_order_in_which_they_come_whatever_their_clocks_say() {
    let app = Plan::shop().start().await;
    let hours = |hours: i64| now().checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
    for (skew, text) in [(23, "什么时候发货"), (-48, "会员日是哪天"), (0, "书包有几种颜色"), (-1, "谢谢")]
    {
        app.say_with("c", text, json!({ "sent_at": hours(skew) })).await;
    }
    let events = history(&app, "c").await;
    let said: Vec<&str> = events.iter().map(|event| event["event"]["text"].as_str().unwrap()).collect();
    assert_eq!(said, ["什么时候发货", "会员日是哪天", "书包有几种颜色", "谢谢"]);
    assert_eq!(events.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(events[0]["decision"]["script_id"] == "greeting" && events[1]["decision"]["script_id"].is_null());
    for wrong in [json!(hours(30)), json!("1999-01-01T00:00:00Z"), json!(1_700_000_000)] {
        let answer = app.post(&with(message("c", "你好"), json!({ "sent_at": wrong }))).await;
        assert!(matches!(answer.status, 400 | 422), "{wrong}: {}", answer.body);
    }
}

#[tokio::test]
async fn events_that_come_before_what_they_belong_to_do_no_harm() {
    let app = Plan::shop().start().await;
    for kind in ["closed", "agent_left", "hand_back", "recalled", "order_paid", "agent_joined", "closed", "closed"] {
        let more = json!({ "type": kind, "agent_id": "amy" });
        assert_eq!(app.post(&with(message("c", ""), more)).await.status, 200, "{kind}");
    }
    assert_eq!(app.say("c", "什么时候发货").await.entry(), "ship", "opened again by the customer");
    assert_eq!(history(&app, "c").await.len(), 9);
}

#[tokio::test]
async fn a_conversation_is_taken_handed_back_closed_and_opened_again() {
    let app = Plan::shop().start().await;
    move_to(&app, "nobody", "takeover").await.problem(404, "an unknown conversation");
    move_to(&app, "nobody", "hand-back").await.problem(404, "an unknown conversation");
    app.say("c", "什么时候发货").await;
    move_to(&app, "c", "hand-back").await.problem(409, "no human has it");
    assert_eq!(move_to(&app, "c", "takeover").await.status, 200);
    assert_eq!(app.say("c", "会员日是哪天").await.reason(), "human_active");
    assert_eq!(move_to(&app, "c", "hand-back").await.status, 200);
    assert_eq!(app.say("c", "会员日是哪天").await.entry(), "always");
    app.happens("c", "closed").await;
    let of = "/v1/conversations/c?shop=demo&channel=web";
    assert_eq!(app.get(of).await.json()["phase"]["name"], "closed");
    move_to(&app, "c", "hand-back").await.problem(409, "it is closed");
    assert_eq!(app.say("c", "什么时候发货").await.entry(), "ship");
    assert_eq!(app.get(of).await.json()["phase"]["name"], "bot");
}

/// Customers of one conversation who write at once, and what each writes.
const SENDERS: usize = 20;
const EACH: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_of_one_conversation_are_decided_in_order_within_a_minute() {
    let app = std::sync::Arc::new(Plan::shop().start().await);
    let started = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let app = std::sync::Arc::clone(&app);
            tokio::spawn(async move {
                for number in 0..EACH {
                    let event = message("c", &format!("第{number}次问，什么时候发货"));
                    let event = with(event, json!({ "message_id": format!("{sender}-{number}") }));
                    let answer = app.post(&event).await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let took = started.elapsed();
    println!("{} messages of one conversation in {took:?}", SENDERS * EACH);
    assert!(took < Duration::from_secs(60), "{took:?}");
    let events = history(&app, "c").await;
    let numbers: Vec<usize> = events.iter().map(|event| event["seq"].as_u64().unwrap() as usize).collect();
    assert_eq!(numbers, (1..=SENDERS * EACH).collect::<Vec<_>>());
    let mut next = [0; SENDERS];
    for event in &events {
        let (sender, number) = event["event"]["message_id"].as_str().unwrap().split_once('-').unwrap();
        let place = &mut next[sender.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<usize>().unwrap(), *place, "each sender's messages in order");
        *place += 1;
    }
}
