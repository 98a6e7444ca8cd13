//! What somebody missed and is still to be told: references into the channel's past, taken a little at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use openline_hub::{Delivery, Publication};

use super::Encoded;
use crate::turns::TAKE_BYTES;

/// In order, oldest first for each channel. Ten thousand who come back at once share the publications themselves, and each of
/// them turns only so many into bytes of its own as one write takes.
#[derive(Debug, Default)]
pub(super) struct Missed(VecDeque<(u32, Arc<Publication<Encoded>>)>);

impl Missed {
    /// Of a subscription, behind what there is.
    pub(super) fn extend(&mut self, tag: u32, publications: Vec<Arc<Publication<Encoded>>>) {
        self.0.extend(publications.into_iter().map(|publication| (tag, publication)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes some of it, as deliveries; `false` when nothing was left.
    pub(super) fn take(&mut self, taken: &mut Vec<Delivery<Encoded>>) -> bool {
        let (before, mut bytes) = (taken.len(), 0);
        while bytes < TAKE_BYTES
            && let Some((tag, publication)) = self.0.pop_front()
        {
            bytes += publication.data.len();
            taken.push(Delivery::Publication { tag, publication, skipped: 0 });
        }
        if self.0.is_empty() {
            // The line may stay open for days.
            self.0 = VecDeque::new();
        }
        taken.len() > before
    }
}
