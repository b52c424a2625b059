//! Facts from the shop's own systems: they fill answers, choose them, and keep nobody waiting.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Plan, TestApp};
use crate::stand_in::{Answer, SECRET, StandIn};

fn hook(shop: &StandIn, milliseconds: u32) -> String {
    let url = shop.url();
    format!(
        "[defaults.facts]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\ntimeout_ms = {milliseconds}\nallow_private = true\n"
    )
}

/// A service over the starter pack whose shop knows this of everybody.
async fn knowing(facts: Value) -> (StandIn, TestApp) {
    let shop = StandIn::that(Answer::json(facts)).await;
    let app = Plan::starter().with_config(&hook(&shop, 2_000)).start().await;
    (shop, app)
}

#[tokio::test]
async fn the_answer_to_where_is_my_parcel_names_carrier_and_number() {
    let facts = json!({"order_state": "shipped", "carrier": "顺丰", "tracking_no": "SF1234567"});
    let (shop, app) = knowing(facts).await;
    let said = app.say_with("c", "我的快递到哪了", json!({"context": {"order_id": "A-1"}})).await;
    assert_eq!(said.entry(), "logistics-where");
    assert!(said.text().contains("由顺丰承运，单号 SF1234567"), "{}", said.text());
    let [request] = &shop.requests()[..] else { panic!("one question") };
    assert!(request.is_signed(yingda::bot::now(), Duration::from_secs(60)));
    let question = request.json();
    assert_eq!(question["type"], "facts");
    assert_eq!(
        question["data"],
        json!({"shop": "demo", "channel": "web", "customer_id": "customer of c", "conversation_id": "c", "order_id": "A-1"})
    );
}

#[tokio::test]
async fn the_state_of_the_order_chooses_the_answer() {
    for (state, words) in [
        (json!("unpaid"), "还没付款"),
        (json!("shipped"), "您的订单已发出，由快递承运，快递单号：请在订单详情里查看"),
        (json!("delivered"), "已经签收"),
        (json!("refunding"), "正在退款"),
        (Value::Null, "一般在付款后"),
        (json!("派送中"), "一般在付款后"),
    ] {
        let (_shop, app) = knowing(json!({ "order_state": state })).await;
        let said = app.say("c", "怎么还没寄出来").await;
        assert_eq!(said.entry(), "dispatch-urge", "{state}");
        assert!(said.text().contains(words), "{state}: {}", said.text());
    }
}

#[tokio::test]
async fn a_customer_of_rank_is_greeted_by_it_and_by_name() {
    let (_shop, app) = knowing(json!({"tier": "vip", "customer_name": "王小姐"})).await;
    let said = app.say("c", "在吗").await;
    assert_eq!(said.script(), "greeting-vip");
    assert!(said.text().starts_with("王小姐"), "{}", said.text());
    let (_shop, app) = knowing(json!({"tier": "new-here"})).await;
    assert_ne!(app.say("c", "在吗").await.script(), "greeting-vip");
}

#[tokio::test]
async fn a_shop_that_does_not_answer_in_time_costs_no_customer_an_answer() {
    for answer in [Answer::Hangs, Answer::Drips, Answer::status("500 Oh"), Answer::json("<html>")] {
        let shop = StandIn::that(answer).await;
        let app = Plan::starter().with_config(&hook(&shop, 300)).start().await;
        let started = Instant::now();
        let said = app.say("c", "我的快递到哪了").await;
        assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
        assert_eq!((said.entry(), said.action()), ("logistics-where", "answer"));
        assert!(said.text().contains("打开“我的订单”"), "{}", said.text());
        assert_eq!(shop.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_the_channel_says_stands_above_what_the_shop_knows() {
    let facts = json!({"order_state": "unpaid", "carrier": "中通", "tracking_no": "ZT1", "tier": "vip"});
    let (_shop, app) = knowing(facts).await;
    let context = json!({"order_state": "shipped", "carrier": "顺丰"});
    let said = app.say_with("c", "我的快递到哪了", json!({ "context": context })).await;
    assert!(said.text().contains("由顺丰承运，单号 ZT1"), "the rest is filled in: {}", said.text());
    let kept = app.get("/v1/conversations/c/events?shop=demo&channel=web").await.json();
    assert_eq!(kept["events"][0]["event"]["context"]["tracking_no"], "ZT1", "what decided is on record");
}

#[tokio::test]
async fn facts_that_look_like_markup_are_left_out() {
    let (_shop, app) =
        knowing(json!({"order_state": "shipped", "tracking_no": "{{ promo }}", "carrier": "http://x"})).await;
    let said = app.say("c", "怎么还没寄出来").await;
    assert!(said.text().contains("由快递承运，快递单号：请在订单详情里查看"), "{}", said.text());
}

#[tokio::test]
async fn each_shop_asks_its_own_systems() {
    let (mine, others) =
        (StandIn::that(Answer::json(json!({"tier": "vip"}))).await, StandIn::that(Answer::json(json!({}))).await);
    let config = hook(&others, 2_000)
        + &format!("[shops.demo.facts]\nurl = \"{}\"\n[shops.other]\nregreet_hours = 6\n", mine.url());
    let app = Plan::starter().with_config(&config).start().await;
    assert_eq!(app.say("c", "在吗").await.script(), "greeting-vip");
    assert_ne!(app.say_with("d", "在吗", json!({"shop": "other"})).await.script(), "greeting-vip");
    assert_eq!((mine.requests().len(), others.requests().len()), (1, 1));
}

#[tokio::test]
async fn only_what_may_lead_to_a_reply_is_asked_about() {
    let (shop, app) = knowing(json!({})).await;
    for kind in ["system", "recalled", "agent_joined", "agent_left", "closed", "order_paid"] {
        app.happens("c", kind).await;
    }
    app.say_with("c", "我来看看", json!({"type": "agent_message"})).await;
    assert_eq!(shop.requests().len(), 0);
    app.happens("d", "order_shipped").await;
    assert_eq!(shop.requests().len(), 1);
}
