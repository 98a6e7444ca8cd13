//! What happened so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what happens, for ever.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    published: AtomicU64,
    repeated: AtomicU64,
    delivered: AtomicU64,
    conflated: AtomicU64,
    dropped: AtomicU64,
    too_slow: AtomicU64,
    recovered: AtomicU64,
    gaps: AtomicU64,
}

/// What happened since the hub was made, and what there is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Channels that exist now.
    pub channels: usize,
    /// Subscriptions that exist now.
    pub subscriptions: usize,
    /// Bytes that wait in all outboxes now.
    pub queued_bytes: usize,
    /// Publications.
    pub published: u64,
    /// Publications that had been published before, by their idempotency key.
    pub repeated: u64,
    /// Publications put into outboxes, each counted for each.
    pub delivered: u64,
    /// Publications that a newer one with the same key replaced while they waited.
    pub conflated: u64,
    /// Publications dropped from outboxes that were full.
    pub dropped: u64,
    /// Clients that were given up because too much waited for them.
    pub too_slow: u64,
    /// Subscriptions and reads that went on without a hole.
    pub recovered: u64,
    /// Subscriptions and reads that could not.
    pub gaps: u64,
}

impl Counters {
    pub(crate) fn published(&self, deliveries: usize) {
        self.published.fetch_add(1, Ordering::Relaxed);
        self.delivered.fetch_add(deliveries as u64, Ordering::Relaxed);
    }

    pub(crate) fn repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn conflated(&self) {
        self.conflated.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn too_slow(&self) {
        self.too_slow.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn resumed(&self, complete: bool) {
        let counter = if complete { &self.recovered } else { &self.gaps };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            published: read(&self.published),
            repeated: read(&self.repeated),
            delivered: read(&self.delivered),
            conflated: read(&self.conflated),
            dropped: read(&self.dropped),
            too_slow: read(&self.too_slow),
            recovered: read(&self.recovered),
            gaps: read(&self.gaps),
            ..Stats::default()
        }
    }
}
