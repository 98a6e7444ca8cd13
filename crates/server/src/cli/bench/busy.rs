//! How busy a thread keeps its processor: the load says when it is itself what is slow.

use std::time::Duration;

use tokio::time::Instant;

/// From when it was started.
pub(super) struct Meter {
    wall: Instant,
    cpu: Duration,
}

impl Meter {
    /// `None` where the system does not tell.
    pub(super) fn start() -> Option<Self> {
        Some(Self { wall: Instant::now(), cpu: cpu_time()? })
    }

    /// The share of the time that this thread ran, of 1. To be asked on the thread that started it.
    pub(super) fn share(&self) -> Option<f64> {
        let wall = self.wall.elapsed().as_secs_f64();
        (wall > 0.0).then_some((cpu_time()?.saturating_sub(self.cpu)).as_secs_f64() / wall)
    }
}

/// User and system time of this thread.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}
