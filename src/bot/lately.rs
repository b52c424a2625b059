//! What was told in the log lately: strangers who knock, and platforms that fail, must not fill it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// The same thing is told so often at most.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Whom something is about, and what it is.
type Matter = (String, &'static str);

/// When each matter was told last, and how often it has happened since.
#[derive(Debug, Default)]
pub(super) struct Lately(Mutex<HashMap<Matter, (Timestamp, u64)>>);

impl Lately {
    /// Whether it is to be told now, and how often it happened untold before; accounts and outcomes are few, so nothing is
    /// forgotten.
    pub fn tell(&self, about: &str, what: &'static str, now: Timestamp) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get_mut(&(about.to_owned(), what)) {
            Some((at, untold)) if now.duration_since(*at) < AGAIN => {
                *untold += 1;
                None
            }
            Some(last) => Some(std::mem::replace(last, (now, 0)).1),
            None => {
                told.insert((about.to_owned(), what), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_a_minute_with_how_often_it_was() {
        let (lately, now) = (Lately::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(lately.tell("a", "x", now), Some(0));
        assert_eq!((lately.tell("a", "y", now), lately.tell("b", "x", now)), (Some(0), Some(0)));
        assert_eq!((lately.tell("a", "x", now), lately.tell("a", "x", now)), (None, None));
        assert_eq!(lately.tell("a", "x", now + AGAIN), Some(2));
        assert_eq!(lately.tell("a", "x", now + AGAIN + AGAIN), Some(0));
    }
}
