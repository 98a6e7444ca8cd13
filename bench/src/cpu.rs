//! Which core a process runs on, and how much time it has spent there.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// User and system time of every thread of a process, those that have ended included, to the nanosecond.
#[derive(Clone, Copy)]
pub(crate) struct CpuClock(ClockId);

impl CpuClock {
    pub(crate) fn of(process: Pid) -> Result<CpuClock> {
        clock_getcpuclockid(process).map(CpuClock).context("cannot read the CPU time of the server")
    }

    pub(crate) fn of_this_thread() -> CpuClock {
        CpuClock(ClockId::CLOCK_THREAD_CPUTIME_ID)
    }

    pub(crate) fn read(self) -> Result<Duration> {
        clock_gettime(self.0).map(Duration::from).context("cannot read the CPU time: has the server ended?")
    }
}

/// The cores this process may use, in order.
pub(crate) fn cores() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(THIS_THREAD)?;
    Ok((0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false)).collect())
}

/// Pins this thread, and with it every thread and process that it starts from now on.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    let mut only = CpuSet::new();
    for &core in cores {
        only.set(core)?;
    }
    sched_setaffinity(THIS_THREAD, &only).with_context(|| format!("cannot run on {cores:?}"))
}

const THIS_THREAD: Pid = Pid::from_raw(0);
