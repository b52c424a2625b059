//! The reply in the response: within five seconds of WeChat's first try, and once for the customer.

use std::time::{Duration, Instant};

use yingda::bot::now;

use super::{CUSTOMER, answering, api, content, fields, made_at, post, said, settings, text, with_api};
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
        assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1, "{what}");
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
    assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1);
    assert!(api.requests().is_empty(), "nothing is brought besides: {:?}", api.requests());
}

#[tokio::test]
async fn asked_again_at_once_it_answers_the_same_and_later_nothing() {
    let app = start(&settings(""), "").await;
    let body = text("1", "什么时候发货");
    let (first, second, third) = tokio::join!(post(&app, &body), post(&app, &body), post(&app, &body));
    let replies = [first, second, third].map(|answer| content(&answer));
    assert!(replies[0].contains('发') && replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1);
    let old = made_at(now().as_second() - 90, "2", &said("书包有几种颜色"));
    assert!(content(&post(&app, &old).await).contains("颜色"), "the first time it is answered however late");
    assert_eq!(post(&app, &old).await.body, "success");
}

#[tokio::test]
async fn an_answer_cannot_end_its_own_text() {
    let answer = "写 ]]> 也不怕，]]]]>> 连着也行 & 还有 < 号 &amp; 别的。";
    let app = answering(&settings(""), answer).await;
    let answered = post(&app, &text("1", "保养说明书怎么写的")).await;
    assert!(content(&answered).contains(answer), "{}", answered.body);
    assert_eq!(fields(&answered).get("MsgType"), Some("text"));
}

#[tokio::test]
async fn without_the_api_a_long_answer_is_cut_at_2048_bytes() {
    let app = answering(&settings(""), &"第一句说晾晒。第二句说清洗。".repeat(100)).await;
    let reply = content(&post(&app, &text("1", "保养说明书怎么写的")).await);
    assert!(reply.len() <= 2_048 && reply.len() > 1_900 && reply.ends_with('…'), "{}", reply.len());
}

#[tokio::test]
async fn without_wechats_own_agents_a_handover_is_said_in_the_response() {
    let app = start(&settings(""), "").await;
    assert!(content(&post(&app, &text("1", "转人工")).await).contains("人工客服"));
    assert_eq!(post(&app, &text("2", "在吗在吗")).await.body, "success");
}

#[tokio::test]
async fn a_menu_is_offered_with_numbers_and_a_number_chooses() {
    let unsure = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";
    let app = start(&settings(""), unsure).await;
    let menu = content(&post(&app, &text("1", "书包的颜色，还有什么时候能够发货呢")).await);
    assert!(menu.contains("\n1. ") && menu.contains("\n2. "), "{menu}");
    assert_eq!(fields(&post(&app, &text("2", "1")).await).get("MsgType"), Some("text"));
}

#[tokio::test]
async fn a_decision_that_takes_too_long_is_there_when_wechat_asks_again() {
    let slow = StandIn::start(|number| if number == 0 { Answer::Drips } else { Answer::json("{}") }).await;
    let url = slow.url();
    let facts =
        format!("[defaults.facts]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\ntimeout_ms = 6300\nallow_private = true\n");
    let app = start(&settings(""), &facts).await;
    let body = text("1", "什么时候发货");
    let late = post(&app, &body).await;
    assert_eq!((late.status, late.body.as_str()), (503, ""));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(history(&app, "wechat", CUSTOMER).await.len(), 1, "it ran to its end all the same");
    assert!(content(&post(&app, &body).await).contains('发'));
}
