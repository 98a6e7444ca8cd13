//! How long to wait before the next attempt: at random, up to a ceiling that grows ("full jitter").

use std::time::Duration;

/// How long to wait before an attempt: a random time up to a ceiling, which is `first`, then twice that, and so on up to
/// `max`. Thousands of clients that a restart cut off together come back spread out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first ceiling. Default 5 s: RFC 6455 §7.2.3, "a value chosen randomly between 0 and 5 seconds is a reasonable
    /// initial delay".
    pub first: Duration,
    /// The highest ceiling. Default 60 s: what somebody who waits puts up with.
    pub max: Duration,
    /// The least to wait for a server that says "later" without saying when: 1013, 503. Default 10 s.
    pub later: Duration,
    /// The most that a server's `Retry-After` is believed. Default 5 min: a mistake of the server's must not keep everybody
    /// away for a day.
    pub max_retry_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            max: Duration::from_secs(60),
            later: Duration::from_secs(10),
            max_retry_after: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The ceiling before the attempt that follows so many failures.
    pub(super) fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.min(31); // beyond any `max`, and within u32
        self.first.saturating_mul(1 << doublings).min(self.max)
    }

    /// A time at random below the ceiling, after the least that has to pass. `random` is below 2^32.
    pub(super) fn wait(&self, failures: u32, least: Duration, random: u32) -> Duration {
        least + self.ceiling(failures).mul_f64(f64::from(random) / (f64::from(u32::MAX) + 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_7_2_3_the_ceiling_doubles_and_the_wait_is_anywhere_below() {
        let backoff = Backoff::default();
        let ceilings: Vec<u64> = (0..6).map(|failures| backoff.ceiling(failures).as_secs()).collect();
        assert_eq!(ceilings, [5, 10, 20, 40, 60, 60]);
        assert_eq!(backoff.ceiling(u32::MAX), backoff.max);
        assert_eq!(backoff.wait(0, Duration::ZERO, 0), Duration::ZERO);
        assert_eq!(backoff.wait(1, Duration::ZERO, 1 << 31), Duration::from_secs(5));
        assert!(backoff.wait(9, Duration::ZERO, u32::MAX) < backoff.max);
        assert_eq!(backoff.wait(0, Duration::from_secs(30), 0), Duration::from_secs(30));
    }
}
