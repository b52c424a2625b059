//! Mailboxes: what was fetched is stored before the cursor moves, and one message holds nobody up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use yingda::bot::now;

use super::{KF, Platform, app, calls, envelope, events, events_after, rings, sent, settings, text};
use crate::channels::{history, settled};
use crate::crash::chance::Chance;
use crate::crash::node::{Caller, Home, within};
use crate::harness::{Plan, TestApp};
use crate::stand_in::{Request, StandIn};

fn text_of(customer: &str, id: &str, words: &str) -> Value {
    let mut item = text(id, words);
    item["external_userid"] = json!(customer);
    item
}

/// Where the next page begins, as stored.
async fn cursor(app: &TestApp) -> String {
    app.bot.store().account_state("kf").await.unwrap().remove(&format!("cursor-{KF}")).unwrap_or_default()
}

/// Until every page was read. What is in them is stored then, and the answers to it are in the outbox.
pub async fn read_to_the_end(app: &TestApp, platform: &Platform) {
    let end = platform.pages.lock().unwrap().len().to_string();
    within(60, async || match cursor(app).await {
        cursor if cursor == end => Ok(()),
        cursor => Err(format!("page {cursor} of {end}")),
    })
    .await;
    settled(app).await;
}

/// Message ids that were recorded of a customer.
async fn recorded(app: &TestApp, customer: &str) -> Vec<String> {
    let events = history(app, "kf", &format!("{KF}:{customer}")).await;
    events.iter().map(|event| event["event"]["message_id"].as_str().unwrap().to_owned()).collect()
}

fn fetches(api: &StandIn) -> usize {
    calls(&api.requests(), "/cgi-bin/kf/sync_msg?").len()
}

/// To whom messages were sent, in the order of their names.
fn told(api: &StandIn) -> Vec<String> {
    let requests = api.requests();
    let sent = calls(&requests, "/cgi-bin/kf/send_msg?");
    let mut told: Vec<String> = sent.iter().map(|call| call.json()["touser"].as_str().unwrap().to_owned()).collect();
    told.sort_unstable();
    told
}

async fn fetched_again(api: &StandIn, before: usize) {
    within(15, async || match fetches(api) {
        count if count > before => Ok(()),
        count => Err(format!("{count} fetches")),
    })
    .await;
}

#[tokio::test]
async fn a_page_that_cannot_be_stored_is_fetched_again_and_its_messages_are_answered_once() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let stall = "CREATE TRIGGER stall BEFORE INSERT ON events WHEN new.message_id = 'm2'
                 BEGIN SELECT RAISE(ABORT, 'the store fails'); END";
    app.sql(stall).await;
    platform.has(vec![text_of("a", "m1", "什么时候发货"), text_of("b", "m2", "什么时候发货")]);
    platform.has(vec![text_of("c", "m3", "什么时候发货")]);
    rings(&app).await;
    fetched_again(&api, 1).await;
    assert_eq!(cursor(&app).await, "", "the page counts as read when all of it is stored");
    assert!(recorded(&app, "b").await.is_empty() && recorded(&app, "c").await.is_empty());
    app.sql("DROP TRIGGER stall").await;
    read_to_the_end(&app, &platform).await;
    for (customer, id) in [("a", "m1"), ("b", "m2"), ("c", "m3")] {
        assert_eq!(recorded(&app, customer).await, [id]);
    }
    assert_eq!(told(&api), ["a", "b", "c"], "nothing is lost, nothing is said twice");
}

#[tokio::test]
async fn a_cursor_that_cannot_be_stored_has_the_page_read_again_and_nothing_said_twice() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let stall = "CREATE TRIGGER stall BEFORE UPDATE ON account_state WHEN new.name LIKE 'cursor-%'
                 BEGIN SELECT RAISE(ABORT, 'the store fails'); END";
    app.sql(stall).await;
    platform.has(vec![text_of("a", "m1", "什么时候发货"), text_of("b", "m2", "什么时候发货")]);
    rings(&app).await;
    fetched_again(&api, 1).await;
    settled(&app).await;
    assert_eq!((cursor(&app).await.as_str(), told(&api)), ("", vec!["a".to_owned(), "b".to_owned()]));
    app.sql("DROP TRIGGER stall").await;
    platform.has(vec![text_of("a", "m3", "书包有几种颜色")]);
    read_to_the_end(&app, &platform).await;
    assert_eq!(
        (recorded(&app, "a").await, recorded(&app, "b").await),
        (vec!["m1".into(), "m3".into()], vec!["m2".into()])
    );
    assert_eq!(told(&api), ["a", "a", "b"]);
}

#[tokio::test]
async fn messages_that_can_never_be_taken_hold_nobody_up() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let long = "m".repeat(1_000);
    platform.has(vec![text_of("a", "m1", "什么时候发货")]);
    // The same id once more, with other words, and nothing else.
    platform.has(vec![text_of("a", "m1", "书包有几种颜色")]);
    platform.has(vec![
        text_of("b", "m2", "什么时候发货"),
        text_of("b", "m1", "书包有几种颜色"),
        text_of("b", "", "没有号的话"),
        text_of("b", &long, "鼠标驱动怎么装"),
        text_of("", "m4", "不知是谁的话"),
        json!({ "msgid": 5, "origin": "three" }),
        json!("no object"),
        json!({ "msgid": "m6", "origin": 3, "msgtype": "text", "text": "no object", "external_userid": "b" }),
        text_of("b", "m7", "书包有几种颜色"),
    ]);
    platform.has(vec![json!(null), text_of("", "m8", "不知是谁的话")]);
    platform.has(vec![text_of("c", "m9", "什么时候发货")]);
    rings(&app).await;
    read_to_the_end(&app, &platform).await;
    assert_eq!(recorded(&app, "a").await, ["m1"]);
    let [first, shortened, last] = &recorded(&app, "b").await[..] else { panic!("{:?}", recorded(&app, "b").await) };
    assert_eq!((first.as_str(), last.as_str()), ("m2", "m7"), "in the order in which they were said");
    assert!(shortened.len() < 100, "an id that is too long gets another: {shortened}");
    assert_eq!(recorded(&app, "c").await, ["m9"]);
    assert_eq!(told(&api), ["a", "b", "b", "b", "c"]);
    assert_eq!(fetches(&api), 5, "no page is read twice");
}

#[tokio::test]
async fn a_hundred_customers_in_pages_are_answered_once_each() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let customers: Vec<String> = (0..100).map(|number| format!("wm{number:03}")).collect();
    let items: Vec<Value> =
        customers.iter().map(|customer| text_of(customer, &format!("m-{customer}"), "什么时候发货")).collect();
    for page in items.chunks(30) {
        platform.has(page.to_vec());
    }
    let (one, two, three) = tokio::join!(rings(&app), rings(&app), rings(&app));
    assert_eq!([one.status, two.status, three.status], [200; 3]);
    read_to_the_end(&app, &platform).await;
    platform.has(items);
    rings(&app).await;
    read_to_the_end(&app, &platform).await;
    assert_eq!(told(&api), customers);
}

#[tokio::test]
async fn a_callback_that_is_too_large_is_refused() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "[limits]\nhook_bytes = 8000\n").await;
    let (query, body) = envelope(super::CORP, &super::callback("kf_msg_or_event", &"k".repeat(9_000)));
    assert_eq!(app.hook(&format!("kf?{query}"), &[], body).await.status, 413);
    assert!(app.bot.store().account_state("kf").await.unwrap().is_empty(), "nothing is to be fetched");
    assert_eq!(rings(&app).await.status, 200);
}

/// Customers in a page who have not written before, so many that a page takes its time to be stored; and pages.
const NEW: usize = 50;
const PAGES: usize = 12;

/// How long the platform takes for a page, so that there is time to kill.
const PACE: Duration = Duration::from_millis(150);

/// In each page new customers ask, and a regular says one thing more.
fn long_mailbox(platform: &Platform) {
    for page in 0..PAGES {
        let asked = |place| text_of(&format!("c{page}-{place}"), &format!("k{page}-{place}"), "什么时候发货");
        let mut items: Vec<Value> = (0..NEW).map(asked).collect();
        items.insert(2, text_of("regular", &format!("r{page}"), "会员日是哪天"));
        platform.has(items);
    }
}

/// Message ids that a node recorded of a customer, and the replies that it decided.
async fn heard(caller: &Caller, customer: &str) -> (Vec<String>, Vec<String>) {
    let events = caller.events("kf", &format!("{KF}:{customer}")).await;
    let ids = events.iter().map(|event| event["event"]["message_id"].as_str().unwrap().to_owned()).collect();
    let replies = events.iter().flat_map(|event| event["decision"]["replies"].as_array().unwrap());
    (ids, replies.map(|reply| reply["id"].as_str().unwrap().to_owned()).collect())
}

/// Bodies of what was sent, by the id that lets the platform drop what comes again.
fn sent_once(requests: &[Request]) -> BTreeMap<String, Value> {
    let mut once = BTreeMap::new();
    for call in calls(requests, "/cgi-bin/kf/send_msg?") {
        let body = call.json();
        let known = once.insert(body["msgid"].as_str().unwrap().to_owned(), body.clone());
        assert!(known.is_none_or(|known| known == body), "an id says one thing: {body}");
    }
    once
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_killed_while_it_reads_loses_nothing_and_answers_nothing_twice() {
    let platform = Platform { pace: PACE, ..Platform::default() };
    long_mailbox(&platform);
    let api = platform.start().await;
    let more = format!("open_kfids = [\"{KF}\"]");
    let home = Home::sqlite().with_config(&settings(&api.base(), &more));
    let mut chance = Chance::of("the mailbox");
    for kill in 1..=3 {
        let mut node = home.start();
        fetched_again(&api, fetches(&api) + usize::try_from(chance.below(2)).unwrap()).await;
        // While a page is stored, or a little before or after that.
        tokio::time::sleep(PACE + Duration::from_millis(chance.below(60))).await;
        node.kill();
        assert!(fetches(&api) < PAGES + kill, "it is killed on its way");
    }
    let node = home.start();
    let caller = node.caller();
    // What a killed node had under way is taken over when its lease is over.
    within(60, async || {
        let (last, pending) = (heard(&caller, "regular").await.0.len(), caller.pushes("pending").await.len());
        if last == PAGES && pending == 0 { Ok(()) } else { Err(format!("{last} of {PAGES}, {pending} pending")) }
    })
    .await;
    let (ids, said) = heard(&caller, "regular").await;
    assert!(ids.iter().cloned().eq((0..PAGES).map(|page| format!("r{page}"))), "all, once, in order: {ids:?}");
    let mut replies: BTreeSet<String> = said.into_iter().collect();
    for (page, place) in (0..PAGES).flat_map(|page| (0..NEW).map(move |place| (page, place))) {
        let (ids, said) = heard(&caller, &format!("c{page}-{place}")).await;
        assert_eq!((ids, said.len()), (vec![format!("k{page}-{place}")], 1));
        replies.extend(said);
    }
    assert_eq!(sent_once(&api.requests()).len(), replies.len(), "one message for each reply");
    assert!(caller.pushes("dead").await.is_empty() && caller.pushes("dropped").await.is_empty());
}

#[tokio::test]
async fn pages_are_read_to_the_end_an_empty_one_too() {
    let platform = Platform::default();
    let api = platform.start().await;
    platform.has(vec![text("m1", "什么时候发货")]);
    platform.has(Vec::new());
    platform.has(vec![json!({ "odd": true }), text("m2", "书包有几种颜色")]);
    let app = app(&api, "").await;
    rings(&app).await;
    let replies = sent(&api, 2).await;
    assert!(replies[1]["text"]["content"].as_str().unwrap().contains("颜色"), "{replies:?}");
    let requests = api.requests();
    let cursors: Vec<Value> =
        calls(&requests, "/cgi-bin/kf/sync_msg?").iter().map(|fetch| fetch.json()["cursor"].clone()).collect();
    assert_eq!(cursors, [Value::Null, json!("1"), json!("2")]);
}

#[tokio::test]
async fn after_a_restart_it_goes_on_where_it_was() {
    let platform = Platform::default();
    let api = platform.start().await;
    platform.has(vec![text("m1", "什么时候发货")]);
    let first = app(&api, "").await;
    rings(&first).await;
    read_to_the_end(&first, &platform).await;
    platform.has(vec![text("m2", "书包有几种颜色")]);
    let second = Plan::shop().with_config(&settings(&api.base(), "")).beside(&first).start().await;
    assert!(sent(&api, 2).await[1]["text"]["content"].as_str().unwrap().contains("颜色"), "without a callback");
    let requests = api.requests();
    let fetches = calls(&requests, "/cgi-bin/kf/sync_msg?");
    assert_eq!(fetches.last().unwrap().json()["cursor"], "1");
    assert_eq!(platform.grants.load(Ordering::SeqCst), 1, "the token was kept too");
    assert_eq!(events_after(&second, 2).await.len(), 2);
}

#[tokio::test]
async fn a_page_that_comes_twice_is_answered_once() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    let page = vec![text("m1", "什么时候发货"), text("m2", "书包有几种颜色")];
    platform.has(page.clone());
    rings(&app).await;
    sent(&api, 2).await;
    // As if it had died between the page and its cursor.
    platform.has(page);
    rings(&app).await;
    read_to_the_end(&app, &platform).await;
    assert_eq!(sent(&api, 2).await.len(), 2);
    assert_eq!(events(&app).await.len(), 2);
}

#[tokio::test]
async fn a_token_refused_midway_is_replaced_and_the_callbacks_token_given_up() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    platform.has(vec![text("m1", "什么时候发货")]);
    platform.stumbles.lock().unwrap().extend([95007, 42001]);
    rings(&app).await;
    sent(&api, 1).await;
    let requests = api.requests();
    let fetches = calls(&requests, "/cgi-bin/kf/sync_msg?");
    let seen: Vec<(&str, Value)> = fetches
        .iter()
        .map(|fetch| (fetch.path().split('=').next_back().unwrap(), fetch.json()["token"].clone()))
        .collect();
    assert_eq!(seen, [("t1", json!("ENCtoken")), ("t2", json!("ENCtoken")), ("t2", Value::Null)]);
}

#[tokio::test]
async fn what_was_said_before_the_account_was_there_is_left_alone() {
    let platform = Platform::default();
    let api = platform.start().await;
    let mut yesterday = text("m1", "什么时候发货");
    yesterday["send_time"] = json!(now().as_second() - 86_400);
    platform.has(vec![yesterday, text("m2", "书包有几种颜色")]);
    let app = app(&api, "").await;
    rings(&app).await;
    sent(&api, 1).await;
    read_to_the_end(&app, &platform).await;
    let ids: Vec<Value> = events(&app).await.iter().map(|event| event["message_id"].clone()).collect();
    assert_eq!(ids, ["m2"]);
}
