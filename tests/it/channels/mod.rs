//! Channels: platforms speak to the running service and are spoken to, each in its own words.

mod chatwoot;
mod every;
mod generic;
mod generic_clients;
mod hostile;
mod lazada;
mod line;
mod markets;
mod messenger;
mod meta;
mod registry;
mod shopee;
mod sign;
mod telegram;
mod tiktok;
mod tokens;
mod web;
mod wechat;
mod wechat_kf;
mod whatsapp;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Plan, TODAY, TestApp, editable, fixture};
use crate::stand_in::{Answer, StandIn};

/// What the accounts of the tests have in common, with the head of their table.
pub const COMMON: &str = "[[channels]]\nshop = \"demo\"\nallow_private = true\ndebounce_ms = 0\n";

/// A service over the small shop with one channel account of the shop `demo`, whose API is the stand-in.
pub async fn start(account: &str, more: &str) -> TestApp {
    Plan::shop().with_config(&format!("{COMMON}{account}\n{more}")).start().await
}

/// A platform that takes everything.
pub async fn platform() -> StandIn {
    StandIn::that(Answer::json("{}")).await
}

/// Every event of a conversation, as stored.
pub async fn history(app: &TestApp, channel: &str, conversation: &str) -> Vec<Value> {
    let path = format!("/v1/conversations/{conversation}/events?shop=demo&channel={channel}");
    let answer = app.get(&path).await;
    if answer.status == 404 {
        return Vec::new();
    }
    answer.json()["events"].as_array().unwrap().clone()
}

/// Pushes in this state, once there are so many.
pub async fn pushes(app: &TestApp, state: &str, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let answer = app.get(&format!("/v1/outbox?state={state}&limit=500")).await;
        let pushes = answer.json()["pushes"].as_array().unwrap().clone();
        if pushes.len() >= count {
            return pushes;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} pushes never were {state}");
}

/// Until nothing is under way. A decision is stored with its pushes before a webhook is acknowledged: once the outbox is
/// empty, every call has been made that there will be.
pub async fn settled(app: &TestApp) {
    for _ in 0..1_000 {
        if app.get("/v1/outbox?state=pending").await.json()["pushes"] == json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the outbox never was empty: {}", app.get("/v1/outbox?state=pending").await.body);
}

/// The only push of an account once it has failed, by its state.
pub async fn failed(app: &TestApp, state: &str) -> Value {
    for _ in 0..500 {
        let pushes = app.get(&format!("/v1/outbox?state={state}")).await.json()["pushes"].clone();
        if let Some(push) = pushes.as_array().unwrap().iter().find(|push| !push["failure"].is_null()) {
            return push.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no push failed and is {state}");
}

/// The small shop, where the answer to 什么时候发货 is this.
pub async fn with_answer(account: &str, answer: &str) -> TestApp {
    edited(account, "", "付款后两天内发出。节假日顺延。", answer).await
}

/// The small shop, where its goods say one thing in place of another.
pub async fn edited(account: &str, more: &str, from: &str, to: &str) -> TestApp {
    let folder = editable(&fixture("shop"));
    let file = folder.path().join("goods.toml");
    let goods = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, goods.replace(from, to)).unwrap();
    let knowledge = yingda::knowledge::Knowledge::open(folder.path(), None, None, TODAY).unwrap();
    Plan::over(knowledge).with_config(&format!("{COMMON}{account}\n{more}")).start().await
}

/// With this, every question that is like one in the shop gets a menu.
pub const EVERYTHING_IS_UNSURE: &str = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";

/// Gets a menu there.
pub const UNSURE: &str = "书包的颜色，还有什么时候能够发货呢";
