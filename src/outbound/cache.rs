//! Answers that are kept for a while, as many as memory is meant for.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use rustc_hash::FxHashMap;

/// Answers kept at once; the oldest makes room.
const MOST: usize = 10_000;

/// Answers by what was asked.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    lasts: Duration,
    answers: FxHashMap<K, (Timestamp, V)>,
    /// What was kept when, oldest first; a key stands in it as often as it was kept.
    order: VecDeque<(Timestamp, K)>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub fn new(lasts: Duration) -> Self {
        Self { lasts, answers: FxHashMap::default(), order: VecDeque::new() }
    }

    /// The answer to this, when it is fresh.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let (kept, answer) = self.answers.get(key)?;
        self.is_fresh(*kept, now).then(|| answer.clone())
    }

    /// Keeps an answer, and drops what is not fresh any more.
    pub fn keep(&mut self, key: K, answer: V, now: Timestamp) {
        self.order.push_back((now, key.clone()));
        self.answers.insert(key, (now, answer));
        while self.order.len() > MOST || self.order.front().is_some_and(|(kept, _)| !self.is_fresh(*kept, now)) {
            let Some((kept, key)) = self.order.pop_front() else { break };
            if self.answers.get(&key).is_some_and(|(newest, _)| *newest == kept) {
                self.answers.remove(&key);
            }
        }
    }

    /// A clock that was set back makes nothing fresh for longer.
    fn is_fresh(&self, kept: Timestamp, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(kept)).is_ok_and(|age| age < self.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn an_answer_is_kept_for_a_while() {
        let mut cache = Cache::new(Duration::from_secs(30));
        cache.keep("a", 1, at(0));
        assert_eq!(cache.get(&"a", at(29)), Some(1));
        assert_eq!(cache.get(&"a", at(30)), None);
        assert_eq!(cache.get(&"a", at(-1)), None, "the clock was set back");
        assert_eq!(cache.get(&"b", at(0)), None);
        cache.keep("a", 2, at(30));
        assert_eq!(cache.get(&"a", at(30)), Some(2));
        cache.keep("b", 3, at(90));
        assert_eq!((cache.answers.len(), cache.order.len()), (1, 1), "what is old is dropped");
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut cache = Cache::new(Duration::from_secs(30));
        for key in 0..MOST + 10 {
            cache.keep(key, (), at(0));
        }
        for _ in 0..MOST / 2 {
            cache.keep(MOST, (), at(1));
        }
        assert!(cache.answers.len() <= MOST && cache.order.len() == MOST);
        assert_eq!(cache.get(&9, at(1)), None);
        assert_eq!(cache.get(&MOST, at(1)), Some(()));
        assert_eq!(cache.get(&(MOST + 9), at(1)), Some(()));
    }

    #[test]
    fn what_lasts_no_time_is_not_kept() {
        let mut cache = Cache::new(Duration::ZERO);
        cache.keep("a", 1, at(0));
        assert!(cache.get(&"a", at(0)).is_none() && cache.answers.is_empty());
    }
}
