//! Publications that may come twice.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::publication::Draft;

/// The newest idempotency keys of a channel.
#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    recent: VecDeque<Once>,
}

#[derive(Debug)]
struct Once {
    key: Box<str>,
    /// Of what was published under it.
    digest: u64,
    offset: u64,
    at: Instant,
}

/// The longest idempotency key. A UUID has 36 bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Keys that a channel remembers, at most: 40 KB of them, and whoever repeats a request does so within seconds.
const MAX_KEYS: usize = 256;

/// How long a key is remembered: what gave up by then is not tried again.
const WINDOW: Duration = Duration::from_secs(300);

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    No,
    /// The same was published under it, with this offset.
    Same(u64),
    /// Something else was.
    Other,
}

impl Idempotency {
    pub(crate) fn look(&self, key: &str, digest: u64, now: Instant) -> Known {
        let fresh = |once: &&Once| now.saturating_duration_since(once.at) < WINDOW;
        match self.recent.iter().filter(fresh).find(|once| &*once.key == key) {
            None => Known::No,
            Some(once) if once.digest == digest => Known::Same(once.offset),
            Some(_) => Known::Other,
        }
    }

    pub(crate) fn remember(&mut self, key: &str, digest: u64, offset: u64, now: Instant) {
        if self.recent.len() == MAX_KEYS {
            self.recent.pop_front();
        }
        self.recent.push_back(Once { key: key.into(), digest, offset, at: now });
    }

    /// Forgets what is too old; whether nothing is left.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|once| now.saturating_duration_since(once.at) >= WINDOW) {
            self.recent.pop_front();
        }
        self.recent.is_empty()
    }
}

/// Tells drafts apart.
pub(crate) fn digest(hasher: &RandomState, draft: &Draft<'_>) -> u64 {
    let data: &Bytes = &draft.data;
    hasher.hash_one((draft.format, draft.key, &draft.tags, data))
}
