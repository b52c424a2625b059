//! Leaves an endpoint alone that keeps failing: nobody waits for what will not come.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row after which the endpoint rests.
const FAILURES: u32 = 5;

/// How long it rests; afterwards one question tries it.
const REST: Duration = Duration::from_secs(10);

/// The health of one endpoint: after 5 failures in a row nobody asks for 10 seconds.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// When the next question may try.
    resting_until: Option<Instant>,
}

impl Breaker {
    /// Whether a question may be asked. While the endpoint rests, one question a rest may.
    pub fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.resting_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.resting_until = Some(now + REST);
                true
            }
            None => true,
        }
    }

    /// Takes note of an outcome; tells whether the endpoint has just been sent to rest.
    pub fn tells(&self, succeeded: bool, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if succeeded {
            *state = State::default();
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES && state.resting_until.is_none() {
            state.resting_until = Some(now + REST);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_after_failures_in_a_row_and_tries_again() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for failure in 1..=FAILURES {
            assert!(breaker.lets_through(start));
            assert_eq!(breaker.tells(false, start), failure == FAILURES);
        }
        assert!(!breaker.lets_through(start + REST / 2));
        assert!(breaker.lets_through(start + REST), "one question tries");
        assert!(!breaker.lets_through(start + REST), "the others do not wait with it");
        breaker.tells(true, start + REST);
        assert!(breaker.lets_through(start + REST));
    }

    #[test]
    fn a_success_forgives() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breaker.tells(false, start);
            }
            breaker.tells(true, start);
        }
        assert!(breaker.lets_through(start));
    }
}
