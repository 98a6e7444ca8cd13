//! The recent past of a channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::publication::Publication;
use crate::settings::HistoryLimits;

/// The newest publications, without a hole: the last of them is the channel's top.
#[derive(Debug)]
pub(crate) struct History<E> {
    publications: VecDeque<Arc<Publication<E>>>,
    bytes: usize,
}

impl<E> History<E> {
    pub(crate) fn new() -> Self {
        Self { publications: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn push(&mut self, publication: Arc<Publication<E>>, limits: &HistoryLimits) {
        self.bytes += publication.cost();
        self.publications.push_back(publication);
        while self.publications.len() > limits.count || self.bytes > limits.bytes {
            self.drop_oldest();
        }
    }

    /// Drops what is older than `limits.age`.
    pub(crate) fn expire(&mut self, limits: &HistoryLimits, now: Instant) {
        while self.publications.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) >= limits.age) {
            self.drop_oldest();
        }
        // A burst does not keep its memory for ever.
        if self.publications.is_empty() {
            self.publications = VecDeque::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.publications.is_empty()
    }

    /// All there is of it.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Publication<E>>> + DoubleEndedIterator {
        self.publications.iter()
    }

    /// What came after `offset`; `None` when some of it is gone. `top` is the channel's newest offset.
    pub(crate) fn after(&self, offset: u64, top: u64) -> Option<impl ExactSizeIterator<Item = &Arc<Publication<E>>>> {
        let missing = usize::try_from(top.checked_sub(offset)?).ok()?;
        let start = self.publications.len().checked_sub(missing)?;
        Some(self.publications.range(start..))
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.publications.pop_front() {
            self.bytes -= oldest.cost();
        }
    }
}
