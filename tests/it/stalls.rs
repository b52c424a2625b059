//! A store that fails for a while: what is under way then is neither lost nor done twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::channels::{pushes, settled};
use crate::harness::{Plan, TestApp, message, with};
use crate::stand_in::{Answer, SECRET, StandIn};

const TELEGRAM: &str = "secret";

/// A receiver of webhooks, and a channel account, which has a longer lease.
async fn with_both(receiver: &StandIn, api: &StandIn) -> TestApp {
    let (url, base) = (receiver.url(), api.base());
    let config = format!(
        "[defaults.channels.push]\nreplies = \"push\"\ndebounce_ms = 0\n\
         [[webhooks]]\nname = \"desk\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = [\"reply\"]\nallow_private = true\n\
         [[channels]]\nname = \"tg\"\nshop = \"demo\"\ntype = \"telegram\"\nbot_token = \"1:t\"\nsecret_token = \"{TELEGRAM}\"\n\
         api_url = \"{base}\"\nallow_private = true\ndebounce_ms = 0\n"
    );
    Plan::shop().with_config(&config).start().await
}

async fn ask_both(app: &TestApp, number: u32) {
    let event = with(message(&format!("c-{number}"), "什么时候发货"), json!({ "channel": "push" }));
    assert_eq!(app.post(&event).await.status, 200);
    let who = json!({ "id": number, "type": "private", "is_bot": false, "first_name": "x" });
    let update = json!({ "update_id": number, "message": { "message_id": number, "date": 0, "chat": who, "from": who,
        "text": "什么时候发货" } });
    let proof = [("x-telegram-bot-api-secret-token", TELEGRAM)];
    assert_eq!(app.hook("tg", &proof, update.to_string()).await.status, 200);
}

#[tokio::test]
async fn what_was_delivered_while_the_store_failed_is_not_delivered_again() {
    let (receiver, api) = (StandIn::that(Answer::ok()).await, StandIn::that(Answer::json("{\"ok\":true}")).await);
    let app = with_both(&receiver, &api).await;
    let stall = "CREATE TRIGGER stall BEFORE UPDATE OF state ON outbox WHEN new.state = 'sent'
                 BEGIN SELECT RAISE(ABORT, 'the store fails'); END";
    app.sql(stall).await;
    ask_both(&app, 1).await;
    // The receiver gets what the account says too.
    receiver.after(2).await;
    api.after(1).await;
    // As if all leases were over: whoever looks now would take it for something that nobody sends.
    app.sql("UPDATE outbox SET due_at = 0").await;
    ask_both(&app, 2).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(pushes(&app, "sent", 0).await.len(), 0, "it could not be written down");
    assert_eq!((receiver.requests().len(), api.requests().len()), (2, 1), "it is not sent again");
    app.sql("DROP TRIGGER stall").await;
    settled(&app).await;
    let pushes_seen = receiver.requests();
    let ids: BTreeSet<&str> = pushes_seen.iter().map(|push| push.header("webhook-id")).collect();
    assert_eq!((pushes_seen.len(), ids.len()), (4, 4), "each push comes once");
    let mut told: Vec<i64> = api.requests().iter().map(|call| call.json()["chat_id"].as_i64().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2], "each customer is told once");
    assert_eq!(pushes(&app, "sent", 6).await.len(), 6);
}
