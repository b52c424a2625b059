//! The bot: an inbound event becomes a recorded decision. Joins knowledge and conversations; the only reader of the clock.

mod channels;
pub mod clockwork;
pub mod courier;
mod decision;
mod digest;
mod facts;
mod hearing;
mod incidents;
mod lately;
mod ledger;
pub mod mailroom;
mod outcome;
mod presence;
mod pushes;
mod reading;
mod sender;
mod transcript;
mod visitor_keys;
mod watch;
mod wording;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::Notify;

pub use self::channels::{HookError, moment};
pub use self::decision::{Considered, Deadlines, Decision, OutgoingReply, Suggestion, SuggestionQuery};
use self::facts::Hooks;
use self::hearing::{Ear, read};
use self::lately::Lately;
use self::mailroom::Mail;
use self::reading::Reading;
pub use self::transcript::{Line, Side};
use self::visitor_keys::VisitorKeys;
pub use self::watch::Watch;
use self::watch::Watchers;
use self::wording::variables;
use crate::analysis::Analysis;
use crate::analysis::language::Language;
use crate::analysis::speech::SpeechAct;
use crate::channel::account::Account;
use crate::config::Shops;
use crate::conversation::event::{ConversationKey, EventKind, InboundEvent};
use crate::conversation::model::Conversation;
use crate::conversation::outgoing::{PushKind, Subscriber, Webhook, is_wanted};
use crate::conversation::store::{Decide, Recorded, Store, StoreError, StoredDecision};
use crate::conversation::timer::Timer;
use crate::faq::scope::Place;
use crate::faq::template::render;
use crate::index::IndexError;
use crate::knowledge::{Generation, Knowledge};
use crate::matching::{Candidate, Question, shared_ranges};
use crate::outbound::OutboundError;
use crate::reply::policy::ShopPolicy;
use crate::reply::timers::timers;

/// The time. Nothing else in the program reads a clock for what it decides.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Why an event got no decision; nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The configuration names shops, and not this one.
    #[error("unknown shop `{0}`")]
    UnknownShop(String),
    /// The message id was used for another event.
    #[error("message id `{0}` was used for another event of this channel and shop")]
    Conflict(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

fn count(decision: &StoredDecision) {
    let action = decision.0.get("action").and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
    metrics::counter!("yingda_decisions_total", "action" => action, "reason" => decision.reason().to_owned())
        .increment(1);
}

/// Joins knowledge, shops and the store.
#[derive(Clone)]
pub struct Bot {
    knowledge: Arc<Knowledge>,
    store: Arc<dyn Store>,
    shops: Arc<Shops>,
    /// Where endpoints are; who gets what is told by the subscribers.
    webhooks: Arc<[Webhook]>,
    accounts: Arc<[Account]>,
    /// The endpoints and the accounts.
    subscribers: Arc<[Subscriber]>,
    mail: Arc<Mail>,
    watchers: Arc<Watchers>,
    visitor_keys: Arc<VisitorKeys>,
    lately: Arc<Lately>,
    /// Rung when a decision made pushes: the courier need not wait for its next look.
    outbox_bell: Arc<Notify>,
    hooks: Arc<Hooks>,
    /// Days whose digests are made, by shop: they are not reckoned again. Held for a look.
    digested: Arc<Mutex<HashMap<String, Date>>>,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot").field("knowledge", &self.knowledge).finish_non_exhaustive()
    }
}

impl Bot {
    /// A bot for these shops, with the endpoints that get its pushes.
    #[must_use]
    pub fn new(
        knowledge: Arc<Knowledge>,
        store: Arc<dyn Store>,
        shops: Arc<Shops>,
        webhooks: impl Into<Arc<[Webhook]>>,
    ) -> Self {
        let webhooks = webhooks.into();
        let subscribers = webhooks.iter().map(Subscriber::from).collect();
        Self {
            knowledge,
            store,
            shops,
            webhooks,
            subscribers,
            accounts: Arc::default(),
            mail: Arc::default(),
            watchers: Arc::default(),
            visitor_keys: Arc::default(),
            lately: Arc::default(),
            outbox_bell: Arc::default(),
            hooks: Arc::default(),
            digested: Arc::default(),
        }
    }

    /// The same bot, speaking through these channel accounts.
    #[must_use]
    pub fn with_accounts(self, accounts: impl Into<Arc<[Account]>>) -> Self {
        let accounts = accounts.into();
        let webhooks = self.webhooks.iter().map(Subscriber::from);
        let subscribers = webhooks.chain(accounts.iter().map(Account::subscriber)).collect();
        Self { accounts, subscribers, ..self }
    }

    /// The same bot, asking the shops' own systems for facts.
    ///
    /// # Errors
    /// When an address or a secret of `facts` is malformed.
    pub fn with_facts(self) -> Result<Self, OutboundError> {
        let hooks = Arc::new(Hooks::new(&self.shops)?);
        Ok(Self { hooks, ..self })
    }

    /// The knowledge it answers from.
    #[must_use]
    pub fn knowledge(&self) -> &Arc<Knowledge> {
        &self.knowledge
    }

    /// The store it records in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Decides an event that happens at `now` and stores both; a redelivered event gets the stored decision. Tells
    /// whether it was one.
    ///
    /// # Errors
    /// When the shop is unknown, the message id was used otherwise, or the store cannot be written; nothing is stored
    /// then.
    pub async fn receive(&self, mut event: InboundEvent, now: Timestamp) -> Result<(StoredDecision, bool), BotError> {
        let policy = match event.kind {
            EventKind::Timer => self.shops.policy_or_default(event.shop.as_str()),
            _ => self.policy(event.shop.as_str())?,
        };
        let policy = Arc::clone(policy);
        let generation = self.knowledge.current();
        let text = match event.kind {
            EventKind::Message | EventKind::Timer => event.text.clone(),
            _ => String::new(),
        };
        let (read, ()) = tokio::join!(self.read(&text, &generation), self.hooks.complete(&mut event, now));
        let event = Arc::new(event);
        let settings = (policy, Arc::clone(&self.subscribers));
        let reading = Reading::new(Arc::clone(&event), settings, generation, now, read)?;
        let pushes = Arc::new(AtomicBool::new(false));
        let made = Arc::clone(&pushes);
        let decide: Decide = Arc::new(move |before| {
            let outcome = reading.outcome(before);
            made.store(!outcome.outgoing.is_empty(), Ordering::Relaxed);
            outcome
        });
        match self.store.record(Arc::clone(&event), now, decide).await? {
            Recorded::New(decision) => {
                count(&decision);
                self.watchers.tell(|| event.conversation());
                if pushes.load(Ordering::Relaxed) {
                    self.outbox_bell.notify_one();
                }
                Ok((decision, false))
            }
            Recorded::Duplicate(decision) => Ok((decision, true)),
            Recorded::Conflict => Err(BotError::Conflict(event.message_id.to_string())),
        }
    }

    /// The best entries for an agent's search.
    ///
    /// # Errors
    /// When the shop is unknown or the index cannot be read.
    pub async fn suggest(&self, query: &SuggestionQuery, now: Timestamp) -> Result<Vec<Suggestion>, BotError> {
        let policy = self.policy(&query.shop)?;
        let generation = self.knowledge.current();
        let place = Place {
            platform: policy.platform.clone(),
            shop: query.shop.clone(),
            category: query.category.clone(),
            product: query.product.clone(),
        };
        let (analysis, vector) = self.read(&query.text, &generation).await;
        let question = Question { analysis: &analysis, vector: vector.as_deref() };
        let found = Ear { generation: &generation, place, policy, now }.find(question, query.limit)?;
        let facts = variables(&generation, policy);
        let language = analysis.language.unwrap_or(Language::ZhHans);
        let suggest = |candidate: &Candidate| {
            let entry = &generation.corpus.entries[candidate.entry as usize];
            let answer = entry.answer.get(language).map_or("", |(_, text)| text);
            let phrasing = generation.matcher.phrasings().text(candidate.phrasing as usize).to_owned();
            Suggestion {
                entry_id: entry.id.to_string(),
                question: entry.question().to_owned(),
                answer: render(answer, &facts).unwrap_or_else(|_| answer.to_owned()),
                highlights: shared_ranges(&phrasing, &analysis.text),
                phrasing,
                confidence: candidate.confidence,
                why: candidate.features,
                bot_may_send: !entry.agents_only,
            }
        };
        Ok(found.candidates.iter().map(suggest).collect())
    }

    /// A text as the matcher reads it, and its vector where an embedding model is at hand and in time.
    async fn read(&self, text: &str, generation: &Generation) -> (Analysis, Option<Vec<f32>>) {
        let analysis = read(text, generation);
        let matcher = &generation.matcher;
        let acts = || matcher.analyzer().speech_acts(&analysis);
        let asks = || !matcher.is_phrasing(&analysis) && !acts().into_iter().any(SpeechAct::asks_nothing);
        let semantic = self.knowledge.semantic().filter(|_| matcher.is_joined() && !analysis.is_empty() && asks());
        let vector = match semantic {
            Some(semantic) => semantic.vector(&analysis.text).await,
            None => None,
        };
        (analysis, vector)
    }

    /// Timers that run in a conversation.
    #[must_use]
    pub fn timers(&self, key: &ConversationKey, facts: &Conversation) -> Vec<Timer> {
        let policy = self.shops.policy_or_default(&key.shop);
        let speaks = is_wanted(&self.subscribers, PushKind::Reply, &key.shop, Some(&key.channel));
        timers(facts, policy, &policy.channel(&key.channel), speaks)
    }

    /// What a shop is called where customers read it.
    #[must_use]
    pub fn shop_name(&self, shop: &str) -> Option<String> {
        let known = variables(&self.knowledge.current(), self.shops.policy_or_default(shop));
        known.get("shop_name").cloned()
    }

    /// The endpoints that are configured.
    #[must_use]
    pub fn webhooks(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// The channel accounts it speaks through.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Who gets its pushes.
    #[must_use]
    pub fn subscribers(&self) -> &[Subscriber] {
        &self.subscribers
    }

    /// How a shop wants it.
    ///
    /// # Errors
    /// When the shop is unknown.
    pub fn policy(&self, shop: &str) -> Result<&Arc<ShopPolicy>, BotError> {
        self.shops.policy(shop).ok_or_else(|| BotError::UnknownShop(shop.to_owned()))
    }
}
