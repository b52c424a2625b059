//! Fetches messages from platforms that only tell that there are some: page by page, each stored before the cursor moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::channels::HookError;
use super::sender::Sender;
use super::{Bot, BotError, now};
use crate::channel::account::Account;
use crate::channel::call::Failure;
use crate::channel::hook::{Fetch, Happened};
use crate::outbound::OutboundError;

/// Waits before a mailbox is looked at again after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Longest such wait: what the platform announces meanwhile stays unread.
const LONGEST: Duration = Duration::from_secs(60);

/// What was said so long before a mailbox became known is left out: a platform keeps days of messages, and questions of
/// the time before there was a bot are not asked of it.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);

/// Longer than a platform keeps messages: a time before that is not to be believed.
const KEPT: SignedDuration = SignedDuration::from_hours(5 * 24);

/// Pause after a page without messages.
const EMPTY: Duration = Duration::from_millis(500);

/// Bytes of a page: a thousand messages.
const PAGE: usize = 4 << 20;

/// A mailbox: account and name.
type MailboxKey = (String, String);

/// Which mailboxes are to be looked at, each with the latest token the platform gave for it.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Held for a look.
    wanted: Mutex<BTreeMap<MailboxKey, String>>,
    /// Mailboxes that the store knows. Held for a look.
    known: Mutex<BTreeSet<MailboxKey>>,
    bell: Notify,
}

impl Mail {
    fn want(&self, mailbox: MailboxKey, token: String) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = wanted.entry(mailbox).or_default();
        if !token.is_empty() {
            *latest = token;
        }
        drop(wanted);
        self.bell.notify_one();
    }

    /// Takes the mailboxes that nobody looks at yet.
    fn take(&self, busy: &BTreeSet<MailboxKey>) -> Vec<(MailboxKey, String)> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let free: Vec<MailboxKey> = wanted.keys().filter(|mailbox| !busy.contains(*mailbox)).cloned().collect();
        free.into_iter().filter_map(|mailbox| wanted.remove_entry(&mailbox)).collect()
    }
}

/// Fetches until the task is dropped. When it starts, every mailbox is looked at: what was announced before is found there.
///
/// # Errors
/// When TLS cannot be set up.
pub fn run(bot: Bot, text_chars: usize) -> Result<impl Future<Output = ()>, OutboundError> {
    let mut senders = BTreeMap::new();
    for account in bot.accounts().iter().filter(|account| account.channel().inbox().is_some()) {
        let sender = Sender::new(account.clone(), Arc::clone(bot.store()))?;
        senders.insert(account.name.to_string(), Arc::new(sender));
    }
    Ok(work(bot, senders, text_chars))
}

async fn work(bot: Bot, senders: BTreeMap<String, Arc<Sender>>, text_chars: usize) {
    for sender in senders.values() {
        remember(&bot, &sender.account).await;
    }
    let (mut under_way, mut busy) = (JoinSet::new(), BTreeSet::new());
    loop {
        for (mailbox, token) in bot.mail.take(&busy) {
            let Some(sender) = senders.get(&mailbox.0).map(Arc::clone) else { continue };
            busy.insert(mailbox.clone());
            let bot = bot.clone();
            under_way.spawn(async move {
                let what = Fetch { mailbox: mailbox.1.clone(), token };
                if let Err(failure) = fetch(&bot, &sender, &what, text_chars).await {
                    if let Some(untold) = bot.lately.tell(&mailbox.0, "fetch", now()) {
                        tracing::warn!(account = mailbox.0, untold, %failure, "messages cannot be fetched; trying on");
                    }
                    tokio::time::sleep(failure.wait()).await;
                    bot.mail.want(mailbox.clone(), String::new());
                }
                mailbox
            });
        }
        tokio::select! {
            () = bot.mail.bell.notified() => {}
            Some(done) = under_way.join_next() => {
                match done {
                    Ok(mailbox) => drop(busy.remove(&mailbox)),
                    // Which one it was is not told: better two looks than none.
                    Err(_) => busy.clear(),
                }
            }
        }
    }
}

/// Wants every mailbox of the account that the configuration or the store knows.
async fn remember(bot: &Bot, account: &Account) {
    let name = account.name.to_string();
    let stored = loop {
        match bot.store.account_state(&name).await {
            Ok(states) => break states,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    };
    let stored = stored.into_keys().filter_map(|key| key.strip_prefix(CURSOR).map(str::to_owned));
    let configured = account.channel().inbox().map(|inbox| inbox.mailboxes()).unwrap_or_default();
    for mailbox in stored.chain(configured) {
        bot.mail.want((name.clone(), mailbox), String::new());
    }
}

/// How the store's names of cursors begin.
const CURSOR: &str = "cursor-";

/// How the store's names of the times begin from which on mailboxes are read.
const SINCE: &str = "since-";

/// Why a mailbox could not be read to its end.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{}", .0.why())]
    Platform(Failure),
    #[error(transparent)]
    Hook(#[from] HookError),
}

impl FetchError {
    /// How long the mailbox is left alone.
    fn wait(&self) -> Duration {
        match self {
            Self::Platform(failure) => {
                let asked = failure.try_after().and_then(|wait| Duration::try_from(wait).ok());
                asked.unwrap_or(LONGEST).clamp(AGAIN, LONGEST)
            }
            Self::Hook(_) => AGAIN,
        }
    }
}

/// When a mailbox became known, less [`BEFORE`]; stored at the first look.
async fn beginning(bot: &Bot, account: &str, mailbox: &str, stored: Option<&String>) -> Result<Timestamp, HookError> {
    let known = match stored.and_then(|time| time.parse().ok()) {
        Some(known) => known,
        None => {
            let now = now();
            let name = format!("{SINCE}{mailbox}");
            bot.store.swap_account_state(account, &name, None, &now.to_string()).await?;
            now
        }
    };
    Ok(known.checked_sub(BEFORE).unwrap_or(known))
}

/// Reads a mailbox to its end.
async fn fetch(bot: &Bot, sender: &Sender, what: &Fetch, text_chars: usize) -> Result<(), FetchError> {
    let (account, name) = (&sender.account, format!("{CURSOR}{}", what.mailbox));
    let Some(inbox) = account.channel().inbox() else { return Ok(()) };
    loop {
        let states = bot.store.account_state(account.name.as_str()).await.map_err(HookError::from)?;
        let stored = states.get(&name).map(String::as_str);
        let cursor = stored.unwrap_or_default();
        let since = states.get(&format!("{SINCE}{}", what.mailbox));
        let beginning = beginning(bot, account.name.as_str(), &what.mailbox, since).await?;
        let call = |access: String| Ok(Some(inbox.fetch(what, cursor, &access)));
        let page = sender.with_access(call, |answer| inbox.page(answer), PAGE).await.map_err(FetchError::Platform)?;
        let Some(mut page) = page else { return Ok(()) };
        let Happened { said, undelivered } = &mut page.happened;
        said.retain(|said| said.sent_at.is_none_or(|at| at >= beginning || beginning.duration_since(at) > KEPT));
        let was_empty = said.is_empty();
        bot.lose(account, std::mem::take(undelivered), now()).await?;
        match bot.take(account, std::mem::take(said), now(), text_chars).await {
            // What can never be an event would be fetched for ever.
            Ok(_) | Err(HookError::Invalid(_) | HookError::Bot(BotError::Conflict(_))) => {}
            Err(error) => return Err(error.into()),
        }
        if page.cursor != cursor && !page.cursor.is_empty() {
            let moved = bot.store.swap_account_state(account.name.as_str(), &name, stored, &page.cursor);
            moved.await.map_err(HookError::from)?;
        }
        if was_empty {
            // A platform may say for ever that there is more.
            tokio::time::sleep(EMPTY).await;
        }
        // The page after the same cursor is the same.
        if !page.more || page.cursor == cursor {
            return Ok(());
        }
    }
}

impl Bot {
    /// Has a mailbox looked at. That there is one is stored before the platform is told that we know.
    pub(super) async fn expect_mail(&self, account: &Account, fetch: Fetch) -> Result<(), HookError> {
        let mailbox = (account.name.to_string(), fetch.mailbox);
        let is_known = self.mail.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&mailbox);
        if !is_known {
            beginning(self, account.name.as_str(), &mailbox.1, None).await?;
            let name = format!("{CURSOR}{}", mailbox.1);
            self.store.swap_account_state(account.name.as_str(), &name, None, "").await?;
            self.mail.known.lock().unwrap_or_else(PoisonError::into_inner).insert(mailbox.clone());
        }
        self.mail.want(mailbox, fetch.token);
        Ok(())
    }
}
