//! One account on two nodes: a refresh token that is good once is used once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::markets::{MARKETS, Market};
use super::pushes;
use crate::harness::{Plan, TestApp};
use crate::postgres::database_url;
use crate::stand_in::{Answer, Request, StandIn};

/// Messages that each node gets at once.
const MESSAGES: usize = 8;

/// What a marketplace has granted: numbers of tokens.
#[derive(Debug)]
struct Grants {
    /// The access token that is taken; none is, once it has expired.
    access: Option<u32>,
    /// The only refresh token that is taken.
    refresh: u32,
    /// Refresh tokens as they came.
    used: Vec<String>,
    /// Conversations that got an answer, as often as they got one.
    told: Vec<String>,
}

impl Grants {
    /// With each new token the one before is taken back, and a refresh token that was used before is refused.
    fn answer(&mut self, market: &Market, request: &Request) -> Answer {
        let told = (market.told)(request);
        if request.path().starts_with(market.renewal) {
            let is_good = told.refresh == format!("refresh-{}", self.refresh);
            self.used.push(told.refresh);
            if !is_good {
                return Answer::status("400 Bad Request");
            }
            self.refresh += 1;
            self.access = Some(self.refresh);
            let next = [format!("access-{}", self.refresh), format!("refresh-{}", self.refresh)];
            // Long enough for everybody else to want one too.
            return Answer::Later(Duration::from_millis(400), (market.renewed)(&next[0], &next[1]).to_string());
        }
        if self.access.is_none_or(|access| told.access != format!("access-{access}")) {
            return Answer::json(market.refused);
        }
        self.told.push(told.conversation);
        Answer::json(market.taken)
    }
}

/// Customers write to both nodes at the same time, each in a conversation of their own.
async fn write_to_both(market: &'static Market, nodes: &[Arc<TestApp>; 2], wave: usize) -> BTreeSet<String> {
    let (mut under_way, mut conversations) = (tokio::task::JoinSet::new(), BTreeSet::new());
    for number in 0..2 * MESSAGES {
        let conversation = format!("{}", 7_000 + 100 * wave + number);
        let body = (market.message)(&format!("m{wave}{number}"), &conversation, "什么时候发货");
        let node = Arc::clone(&nodes[number % 2]);
        under_way.spawn(async move { market.post(&node, &body).await.status });
        conversations.insert(conversation);
    }
    assert_eq!(under_way.join_all().await, [200; 2 * MESSAGES], "{}", market.name);
    conversations
}

async fn a_token_is_renewed_once_by_two_nodes(market: &'static Market, account: String, config: &str) {
    let grants = Arc::new(Mutex::new(Grants { access: None, refresh: 1, used: Vec::new(), told: Vec::new() }));
    let platform = Arc::clone(&grants);
    let api = StandIn::judging(move |_, request| platform.lock().unwrap().answer(market, request)).await;
    let account = account.replace("API", &api.base());
    let config = format!("{config}{account}");
    let url = database_url().await;
    let node = async || Arc::new(Plan::shop().with_config(&config).with_database(&url).start().await);
    let nodes = [node().await, node().await];
    let mut wanted = BTreeSet::new();
    for wave in 0..2 {
        wanted.extend(write_to_both(market, &nodes, wave).await);
        pushes(&nodes[0], "sent", wanted.len()).await;
        let mut grants = grants.lock().unwrap();
        let mut told = grants.told.clone();
        told.sort_unstable();
        assert!(told.iter().eq(&wanted), "{}: each is answered once: {told:?}", market.name);
        let used: Vec<String> = (0..=wave).map(|wave| format!("refresh-{}", wave + 1)).collect();
        assert_eq!(grants.used, used, "{}", market.name);
        // It ends before the second wave, and both nodes hold it.
        grants.access = None;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_are_refused_at_once_renew_the_token_once_and_every_answer_arrives() {
    let common = "[[channels]]\nshop = \"demo\"\nallow_private = true\ndebounce_ms = 0\n";
    for market in MARKETS {
        a_token_is_renewed_once_by_two_nodes(market, (market.account)("API"), common).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_without_a_token_get_one_once_and_every_answer_arrives() {
    let common = "[[channels]]\nshop = \"demo\"\nallow_private = true\ndebounce_ms = 0\n";
    for market in MARKETS {
        let account = (market.account)("API").replace("access_token = \"access-1\"\n", "");
        a_token_is_renewed_once_by_two_nodes(market, account, common).await;
    }
}
