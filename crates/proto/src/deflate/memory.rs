//! A cap on what context takeover may hold, all connections together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes compression contexts may hold, all connections together that share this. Cloning it shares it.
///
/// With context takeover (§7.1.1) a connection remembers what was said, so that the next message may refer to it. What
/// that may take is asked for here first: where there is no room, the connection does without takeover, which costs
/// bandwidth and never a connection.
///
/// ```
/// use openline_proto::deflate::ContextMemory;
/// let memory = ContextMemory::new(256 << 20);
/// assert_eq!((memory.used(), memory.max()), (0, 256 << 20));
/// ```
#[derive(Clone)]
pub struct ContextMemory(Arc<Cap>);

struct Cap {
    used: AtomicUsize,
    max: usize,
}

impl ContextMemory {
    /// At most this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Cap { used: AtomicUsize::new(0), max: max_bytes }))
    }

    /// How many bytes are taken.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// Takes `bytes`, if there are so many; they are given back when the reservation is dropped.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let take = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.max);
        // A count: nothing else is ordered by it.
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Reservation { memory: self.clone(), bytes })
    }
}

impl fmt::Debug for ContextMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextMemory").field("used", &self.used()).field("max", &self.max()).finish()
    }
}

/// The same memory, not as much of it.
impl PartialEq for ContextMemory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ContextMemory {}

/// Bytes taken of a [`ContextMemory`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    memory: ContextMemory,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let memory = ContextMemory::new(100);
        let first = memory.reserve(60);
        assert!(first.is_some());
        assert_eq!(memory.reserve(41), None);
        let second = memory.clone().reserve(40);
        assert_eq!(memory.used(), 100);
        drop(first);
        drop(second);
        assert_eq!(memory.used(), 0);
        assert_eq!(memory.reserve(usize::MAX), None);
    }
}
