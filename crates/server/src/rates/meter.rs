//! What somebody has used up of a rate.
//!
//! The generic cell rate algorithm (ITU-T I.371): for each thing that is limited one number, the time at which all that was
//! done is paid for. A rate of 600 in a minute lets 600 pass at once, and then one each tenth of a second.

use std::time::Duration;

use super::Rate;

/// What somebody has used up of a rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// When all of it is paid for, in nanoseconds since its clock began.
    pub(super) paid: u64,
}

impl Meter {
    /// Takes so much, if it is there.
    ///
    /// # Errors
    /// How long until it is; nothing is taken then.
    pub(crate) fn take(&mut self, rate: Rate, amount: u64, now: u64) -> Result<(), Duration> {
        let period = nanos(rate.per);
        let cost = u128::from(period) * u128::from(amount) / u128::from(rate.amount.max(1));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let from = self.paid.max(now);
        let paid = from.saturating_add(cost);
        // What is more than a whole period's worth passes when nothing else was taken: otherwise it never would.
        if paid - now <= period || self.paid <= now {
            self.paid = paid;
            return Ok(());
        }
        Err(Duration::from_nanos((paid - now - period).min(self.paid - now)))
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_periods_worth_at_once_and_then_evenly() {
        let rate = Rate::per_second(10);
        let mut meter = Meter::default();
        let start = 5 * SECOND;
        for _ in 0..10 {
            assert_eq!(meter.take(rate, 1, start), Ok(()));
        }
        assert_eq!(meter.take(rate, 1, start), Err(Duration::from_millis(100)));
        assert_eq!(meter.take(rate, 1, start + SECOND / 10), Ok(()));
        assert!(meter.take(rate, 1, start + SECOND / 10).is_err());
        // Silence saves up no more than a period's worth.
        let later = start + 100 * SECOND;
        let passed = (0..50).filter(|_| meter.take(rate, 1, later).is_ok()).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn over_a_long_time_no_more_passes_than_the_rate() {
        let rate = Rate::per_minute(90);
        let mut meter = Meter::default();
        let passed = (0..600_u64).filter(|tenth| meter.take(rate, 1, SECOND + tenth * SECOND / 10).is_ok()).count();
        assert!((90 + 88..=90 + 90).contains(&passed), "{passed} in a minute, the first minute's worth at once");
    }

    #[test]
    fn one_that_is_larger_than_all_passes_alone() {
        let rate = Rate::per_second(1000);
        let mut meter = Meter::default();
        assert_eq!(meter.take(rate, 5000, SECOND), Ok(()));
        assert!(meter.take(rate, 1, 2 * SECOND).is_err());
        assert!(meter.take(rate, 5000, 5 * SECOND).is_err());
        assert_eq!(meter.take(rate, 5000, 6 * SECOND), Ok(()));
    }
}
