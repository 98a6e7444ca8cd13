//! What happened, and whether that was enough to have tested anything.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Report {
    /// Connections that the faults cut, reset or stalled for good.
    pub(crate) broken: AtomicU64,
    /// Requests to publish that were sent again.
    pub(crate) retries: AtomicU64,
    /// Of those, which had been published already.
    pub(crate) repeated: AtomicU64,
    pub(crate) received: AtomicU64,
    /// Returns that missed nothing.
    pub(crate) recovered: AtomicU64,
    /// Gaps that were announced, and the messages in them.
    pub(crate) gaps: AtomicU64,
    pub(crate) missing: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Report {
    /// Faults must have happened, and most returns must have been complete.
    pub(crate) fn check(&self, messages: u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert!(read(&self.broken) > messages / 100, "the faults were not at work: {self}");
        assert!(read(&self.retries) > 0, "{self}");
        assert!(read(&self.recovered) > 2 * read(&self.gaps), "hardly anybody recovered: {self}");
        assert_eq!(read(&self.received) + read(&self.missing), messages * 3 * crate::CLIENTS as u64, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} connections broken; {} publishing requests repeated, {} of them known; {} messages received, {} returns \
             missed nothing, {} gaps announced with {} messages in them",
            read(&self.broken),
            read(&self.retries),
            read(&self.repeated),
            read(&self.received),
            read(&self.recovered),
            read(&self.gaps),
            read(&self.missing),
        )
    }
}
