//! A receiver of pushes that lives through every crash of the sender: refuses what is not signed, tells pushes from attempts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use yingda::bot::now;

use crate::stand_in::{Answer, Request, SECRET, StandIn};

/// One attempt as it came.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: String,
    pub body: Value,
    pub at: Instant,
    /// It was answered with a success.
    pub accepted: bool,
}

impl From<Request> for Attempt {
    fn from(request: Request) -> Self {
        let id = request.header("webhook-id").to_owned();
        let body = serde_json::from_str(&request.body).unwrap_or_default();
        Self { id, body, at: request.at, accepted: request.accepted }
    }
}

/// Serves until the test ends.
#[derive(Clone)]
pub struct Receiver(Arc<StandIn>);

impl Receiver {
    /// Answers the attempt of this number, counted from 0.
    pub async fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let judge = move |number, request: &Request| {
            // A refusal that no test expects: the push would never count as received.
            let believed = request.is_signed(now(), Duration::from_secs(300));
            if believed { answer(number) } else { Answer::status("401 Unauthorized") }
        };
        Self(Arc::new(StandIn::judging(judge).await))
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// `[[webhooks]]` for it, with further lines.
    pub fn webhook(&self, name: &str, more: &str) -> String {
        let events = r#"["reply", "handoff"]"#;
        let url = self.url();
        format!("[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = {events}\n{more}\n")
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.0.requests().into_iter().map(Attempt::from).collect()
    }

    /// What was accepted, once each, in the order of its first coming.
    pub fn received(&self) -> Vec<Attempt> {
        let mut once: Vec<Attempt> = Vec::new();
        for attempt in self.attempts().into_iter().filter(|attempt| attempt.accepted) {
            match once.iter().find(|known| known.id == attempt.id) {
                Some(known) => assert_eq!(known.body, attempt.body, "a push is the same each time"),
                None => once.push(attempt),
            }
        }
        once
    }
}
