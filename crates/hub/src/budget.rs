//! The memory that everything that waits may take together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that many queues share.
///
/// No queue may hold more than what is free: with little in use each may grow to its own limit, and as it fills up the
/// longest queues meet the shrinking rest first. So those who are slow run into the limit, and not whoever comes next.
/// (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.)
#[derive(Debug)]
pub(crate) struct Budget {
    max_bytes: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, used: AtomicUsize::new(0) }
    }

    /// How many bytes are in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a queue that holds so many bytes may grow by so many. Queues that ask at the same time may together pass
    /// the limit by a publication each.
    pub(crate) fn allows(&self, held: usize, more: usize) -> bool {
        held.saturating_add(more) <= self.max_bytes.saturating_sub(self.used())
    }

    pub(crate) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
