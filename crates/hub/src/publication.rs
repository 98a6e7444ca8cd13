//! What is published.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::presence::Member;

/// How the bytes of a publication are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
    /// A JSON value, as UTF-8.
    Json,
}

/// Names and values, in their order.
pub type Tags = Arc<[(Box<str>, Box<str>)]>;

/// A message in a channel's sequence, shared by all who hear it.
///
/// `E` is for whoever delivers it: a place to keep what it was encoded to, so that this is done once.
#[derive(Debug)]
#[non_exhaustive]
pub struct Publication<E = ()> {
    /// Its place: the first of an epoch is 1, and each is one more than the one before.
    pub offset: u64,
    /// How `data` is to be read.
    pub format: Format,
    /// The payload.
    pub data: Bytes,
    /// What it is the newest state of, where only the newest counts.
    pub key: Option<Arc<str>>,
    /// What else is said about it: names and values.
    pub tags: Option<Tags>,
    /// Who published it, when that is known.
    pub publisher: Option<Arc<Member>>,
    /// When, in the time that was given to `publish`.
    pub at: Instant,
    /// The same in milliseconds since 1970, for people.
    pub unix_ms: u64,
    /// What it was encoded to.
    pub encoded: E,
}

impl<E> Publication<E> {
    /// What it counts for against the limits of histories and outboxes, in bytes: its payload, and what surrounds it.
    pub fn cost(&self) -> usize {
        let tags = self.tags.iter().flat_map(|tags| tags.iter()).map(|(name, value)| name.len() + value.len() + 32);
        let key = self.key.as_ref().map_or(0, |key| key.len());
        self.data.len() + key + tags.sum::<usize>() + Self::SURROUNDINGS_BYTES
    }

    /// So that a million empty publications are not free.
    const SURROUNDINGS_BYTES: usize = 128;
}

/// What is to be published.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// How `data` is to be read; whoever makes a draft has checked it.
    pub format: Format,
    /// The payload.
    pub data: Bytes,
    /// What it is the newest state of: see [`Overflow::LatestPerKey`](crate::Overflow::LatestPerKey).
    pub key: Option<&'a str>,
    /// What else is said about it.
    pub tags: Option<Tags>,
    /// Two publications with the same idempotency key within a while are one: the second does nothing.
    pub idempotency_key: Option<&'a str>,
    /// Who publishes.
    pub publisher: Option<Arc<Member>>,
    /// The time of day, in milliseconds since 1970.
    pub unix_ms: u64,
}

impl Draft<'_> {
    /// Of bytes alone.
    pub fn new(format: Format, data: impl Into<Bytes>) -> Self {
        Self { format, data: data.into(), key: None, tags: None, idempotency_key: None, publisher: None, unix_ms: 0 }
    }

    /// Of text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Format::Text, text.into())
    }
}
