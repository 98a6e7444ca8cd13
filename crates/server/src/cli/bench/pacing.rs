//! When things are due at a fixed rate, and a timer that is exact enough for it.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// Things that are due one after the other, in equal steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    pub(super) start: Instant,
    /// A second.
    pub(super) rate: f64,
}

impl Schedule {
    /// When number `n` is due. Computed from the start, so that nothing adds up.
    pub(super) fn due(&self, n: u64) -> Instant {
        self.start + Duration::from_secs_f64(n as f64 / self.rate)
    }

    /// How many are due by then.
    pub(super) fn count(&self, at: Instant) -> u64 {
        if at < self.start {
            return 0;
        }
        // A float may come out one off next to a border.
        let guess = ((at - self.start).as_secs_f64() * self.rate) as u64;
        (guess.saturating_sub(1)..=guess + 1).find(|&n| self.due(n) > at).unwrap_or(guess + 2)
    }

    /// The part of `share` among `shares` who take turns: every how-many-th thing is theirs.
    pub(super) fn share(&self, share: usize, shares: usize) -> Self {
        Self { start: self.due(share as u64), rate: self.rate / shares as f64 }
    }
}

/// Sleeps to within some 50 µs. tokio's own timer has steps of a millisecond, which would be a large part of what is measured.
#[cfg(target_os = "linux")]
pub(super) struct Timer(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // The other constructor is `unsafe`, for types that may close what they name; an `OwnedFd` does not.
        #[expect(deprecated)]
        let timer = tokio::io::unix::AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)?;
        Ok(Self(timer))
    }

    pub(super) async fn sleep_until(&self, at: Instant) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get_ref(), &mut [0; 8]) {
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                read => {
                    ready.clear_ready();
                    return read.map(drop).map_err(io::Error::from);
                }
            }
        }
    }
}

/// tokio's timer.
#[cfg(not(target_os = "linux"))]
pub(super) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn sleep_until(&self, at: Instant) -> io::Result<()> {
        tokio::time::sleep_until(at).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_counts_what_it_says_is_due() {
        for rate in [0.3, 1.0, 7.0, 1000.0, 33_333.3, 1e6] {
            let schedule = Schedule { start: Instant::now(), rate };
            for n in [0, 1, 2, 9, 100, 12_345] {
                let due = schedule.due(n);
                assert_eq!(schedule.count(due), n + 1, "{rate} {n}");
                if n > 0 {
                    assert_eq!(schedule.count(due - Duration::from_nanos(1)), n, "{rate} {n}");
                }
            }
            assert_eq!(schedule.count(schedule.start - Duration::from_nanos(1)), 0);
        }
    }

    #[test]
    fn those_who_take_turns_together_do_the_whole() {
        let all = Schedule { start: Instant::now(), rate: 300.0 };
        let mut parts: Vec<Instant> =
            (0..3).flat_map(|share| (0..4).map(move |n| all.share(share, 3).due(n))).collect();
        parts.sort();
        for (n, part) in parts.iter().enumerate() {
            assert!(part.duration_since(all.due(n as u64)) < Duration::from_nanos(10));
        }
    }

    #[tokio::test]
    async fn the_timer_does_not_wake_early() {
        let timer = Timer::new().unwrap();
        for micros in [0, 80, 3_000] {
            let at = Instant::now() + Duration::from_micros(micros);
            timer.sleep_until(at).await.unwrap();
            // The kernel counts in whole nanoseconds from when it was asked.
            assert!(Instant::now() + Duration::from_micros(5) >= at);
        }
    }
}
