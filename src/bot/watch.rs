//! Who watches a conversation is woken when something happens in it on this node.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Bot;
use crate::conversation::event::ConversationKey;

/// Conversations that are watched.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// Held for a look.
    bells: Mutex<HashMap<ConversationKey, (Arc<Notify>, usize)>>,
    /// How many there are: nobody pays for a look when nobody watches.
    count: AtomicUsize,
}

impl Watchers {
    pub fn tell(&self, key: impl FnOnce() -> ConversationKey) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some((bell, _)) = self.lock().get(&key()) {
            bell.notify_waiters();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ConversationKey, (Arc<Notify>, usize)>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches a conversation until it is dropped.
#[derive(Debug)]
pub struct Watch {
    key: ConversationKey,
    watchers: Arc<Watchers>,
    bell: Arc<Notify>,
}

impl Watch {
    /// How many watch the conversation, this one too.
    #[must_use]
    pub fn count(&self) -> usize {
        self.watchers.lock().get(&self.key).map_or(1, |(_, watching)| *watching)
    }

    /// Rings when something happens in the conversation.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut bells = self.watchers.lock();
        if let Some((_, watching)) = bells.get_mut(&self.key) {
            *watching -= 1;
            if *watching == 0 {
                bells.remove(&self.key);
            }
        }
        self.watchers.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Bot {
    /// Watches a conversation.
    #[must_use]
    pub fn watch(&self, key: &ConversationKey) -> Watch {
        let bell = {
            let mut bells = self.watchers.lock();
            let (bell, watching) = bells.entry(key.clone()).or_default();
            *watching += 1;
            Arc::clone(bell)
        };
        self.watchers.count.fetch_add(1, Ordering::AcqRel);
        Watch { key: key.clone(), watchers: Arc::clone(&self.watchers), bell }
    }
}
