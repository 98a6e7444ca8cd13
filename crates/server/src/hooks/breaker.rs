//! A circuit breaker: a backend that fails is left alone for a while.
//!
//! ```text
//! Closed ──(FAILURES in a row)──▶ Open until ──(then one question)──▶ Closed, or Open again
//! ```

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many failures in a row, and it is left alone. One may be bad luck.
const FAILURES: u32 = 5;

/// For this long; then one question shows whether it is back.
const PAUSE: Duration = Duration::from_secs(5);

/// The state of one backend.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
}

impl Breaker {
    /// Whether it may be asked now.
    pub(super) fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // This one shows whether it is back; until it has, nobody else asks.
                state.until = Some(now + PAUSE);
                true
            }
        }
    }

    /// It answered, whatever it said.
    pub(super) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// It did not.
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        if state.failures >= FAILURES {
            state.until = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_left_alone_and_then_asked_once() {
        let breaker = Breaker::default();
        let start = Instant::now();
        for _ in 1..FAILURES {
            breaker.failed(start);
            assert!(breaker.lets_through(start));
        }
        breaker.failed(start);
        assert!(!breaker.lets_through(start + PAUSE - Duration::from_millis(1)));
        assert!(breaker.lets_through(start + PAUSE));
        assert!(!breaker.lets_through(start + PAUSE));
        breaker.failed(start + PAUSE);
        assert!(!breaker.lets_through(start + PAUSE * 2 - Duration::from_millis(1)));
        assert!(breaker.lets_through(start + PAUSE * 2));
        breaker.answered();
        assert!(breaker.lets_through(start + PAUSE * 2));
    }
}
