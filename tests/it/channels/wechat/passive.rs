//! The reply in the response: within five seconds of WeChat's first try, and once for the customer.

use std::time::{Duration, Instant};

use super::{api, content, post, settings, text, with_api};
use crate::channels::{history, settled, start};
use crate::harness::TestApp;
use crate::stand_in::{Answer, SECRET, StandIn};

/// So long WeChat waits for an answer, and then it asks again, three times in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// A service whose shop's own systems answer so, and are waited for so long.
async fn with_facts(account: &str, shop: &StandIn, timeout_ms: &str) -> TestApp {
    let (url, timeout) = (shop.url(), timeout_ms);
    let facts = format!("[defaults.facts]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nallow_private = true\n{timeout}\n");
    start(account, &facts).await
}

#[tokio::test]
async fn the_first_try_is_answered_in_time_however_slow_the_shops_systems_are() {
    let late = || Answer::Later(Duration::from_secs(3), "{}".to_owned());
    for (what, answer, timeout_ms, at_least) in [
        ("quick", Answer::json("{}"), "", 0),
        ("hanging", Answer::Hangs, "", 300),
        ("dripping", Answer::Drips, "", 300),
        ("slow, and waited for", late(), "timeout_ms = 4000", 3_000),
        ("hanging, and waited for", Answer::Hangs, "timeout_ms = 4000", 4_000),
    ] {
        let shop = StandIn::that(answer).await;
        let app = with_facts(&settings(""), &shop, timeout_ms).await;
        let (body, started) = (text("1", "什么时候发货"), Instant::now());
        let first = content(&post(&app, &body).await);
        let took = started.elapsed();
        assert!(took < PATIENCE && took >= Duration::from_millis(at_least), "{what}: {took:?}");
        assert!(first.contains("付款后两天内发出"), "{what}: {first}");
        for _ in 0..2 {
            let started = Instant::now();
            assert_eq!(content(&post(&app, &body).await), first, "{what}: asked again, it says the same");
            assert!(started.elapsed() < PATIENCE, "{what}: {:?}", started.elapsed());
        }
        assert_eq!(history(&app, "wechat", super::CUSTOMER).await.len(), 1, "{what}");
    }
}

#[tokio::test]
async fn what_the_first_try_missed_the_next_brings_and_the_customer_sees_it_once() {
    let shop = StandIn::start(|number| match number {
        0 => Answer::Later(Duration::from_millis(5_400), "{}".to_owned()),
        _ => Answer::json("{}"),
    })
    .await;
    let api = api(0).await;
    let app = with_facts(&with_api(&api.base(), ""), &shop, "timeout_ms = 5900").await;
    let (body, mut shown, mut tries) = (text("1", "什么时候发货"), Vec::new(), 0);
    // As WeChat does: it hangs up after five seconds, and shows the first answer that comes in time.
    while tries < 3 && shown.is_empty() {
        tries += 1;
        if let Ok(answer) = tokio::time::timeout(PATIENCE, post(&app, &body)).await {
            shown.push(content(&answer));
        }
    }
    assert_eq!(tries, 2, "the shop's systems took longer than WeChat waits");
    assert!(shown[0].contains("付款后两天内发出"), "{shown:?}");
    // What the first try began has ended by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    settled(&app).await;
    assert_eq!(content(&post(&app, &body).await), shown[0], "a third try would be told the same");
    assert_eq!(history(&app, "wechat", super::CUSTOMER).await.len(), 1);
    assert!(api.requests().is_empty(), "nothing is brought besides: {:?}", api.requests());
}
