//! What waits one by one: who comes and goes, publications of several channels, the newest of each key, what was skipped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::outbox::Delivery;

/// What a publication is the newest state of: the tag of its subscription, and its key.
pub(crate) type Place = (u32, Arc<str>);

/// A queue in which a newer publication takes the place of an older one.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// In order; none where one was replaced.
    entries: VecDeque<Option<Queued<E>>>,
    /// The number of the first in `entries`.
    first: u64,
    /// How many in `entries` are not replaced.
    waiting: usize,
    /// Where the newest publication with a key waits. Only of subscriptions that conflate.
    newest: HashMap<Place, u64>,
    /// How many publications were dropped ahead of those that wait, by tag.
    skipped: Vec<(u32, u64)>,
}

#[derive(Debug)]
struct Queued<E> {
    delivery: Delivery<E>,
    may_drop: bool,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), first: 0, waiting: 0, newest: HashMap::new(), skipped: Vec::new() }
    }
}

impl<E> Queue<E> {
    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0 && self.skipped.is_empty()
    }

    pub(crate) fn push(&mut self, delivery: Delivery<E>, may_drop: bool) {
        self.entries.push_back(Some(Queued { delivery, may_drop }));
        self.waiting += 1;
    }

    /// Puts in the newest state of something.
    pub(crate) fn push_newest(&mut self, place: Place, delivery: Delivery<E>) {
        self.newest.insert(place, self.first + self.entries.len() as u64);
        self.push(delivery, false);
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery<E>> {
        loop {
            let queued = self.entries.pop_front()?;
            self.first += 1;
            let Some(Queued { delivery, .. }) = queued else { continue };
            self.waiting -= 1;
            if !self.newest.is_empty()
                && let Some(place) = place(&delivery)
                && self.newest.get(&place).is_some_and(|number| *number < self.first)
            {
                self.newest.remove(&place);
            }
            return Some(delivery);
        }
    }

    /// Removes the older state of something, if it waits.
    pub(crate) fn replace(&mut self, place: &Place) -> Option<Delivery<E>> {
        let number = self.newest.remove(place)?;
        let old = self.entries.get_mut((number - self.first) as usize).and_then(Option::take)?;
        self.waiting -= 1;
        // Holes go when there are more of them than of anything else: so each costs little, and there are never many.
        if self.entries.len() > 2 * self.waiting + 16 {
            self.close_holes();
        }
        Some(old.delivery)
    }

    /// Removes the oldest publication that may be dropped, if there is one.
    pub(crate) fn drop_oldest(&mut self) -> Option<Delivery<E>> {
        let oldest = self.entries.iter().position(|queued| queued.as_ref().is_some_and(|queued| queued.may_drop))?;
        let old = self.entries.remove(oldest)??;
        self.waiting -= 1;
        if !self.newest.is_empty() {
            self.close_holes();
        }
        Some(old.delivery)
    }

    /// Notes that a publication was dropped ahead of those that wait.
    pub(crate) fn skip(&mut self, tag: u32) {
        match self.skipped.iter_mut().find(|(of, _)| *of == tag) {
            Some((_, skipped)) => *skipped += 1,
            None => self.skipped.push((tag, 1)),
        }
    }

    /// How many were dropped, for the next delivery to say so.
    pub(crate) fn take_skipped(&mut self, tag: u32) -> u64 {
        let at = self.skipped.iter().position(|(of, _)| *of == tag);
        at.map_or(0, |at| self.skipped.swap_remove(at).1)
    }

    /// Removes what waits for a subscription, and returns it.
    pub(crate) fn forget(&mut self, tag: u32) -> Vec<Delivery<E>> {
        let of_it = |place: &mut Option<Queued<E>>| place.take_if(|queued| queued.delivery.tag() == tag);
        let removed: Vec<_> = self.entries.iter_mut().filter_map(of_it).map(|queued| queued.delivery).collect();
        self.waiting -= removed.len();
        self.close_holes();
        self.skipped.retain(|(of, _)| *of != tag);
        removed
    }

    fn close_holes(&mut self) {
        self.entries.retain(Option::is_some);
        self.entries.shrink_to(2 * self.waiting);
        let conflates = !self.newest.is_empty();
        self.newest.clear();
        if conflates {
            for (at, queued) in self.entries.iter().flatten().enumerate() {
                if let Some(place) = place(&queued.delivery) {
                    self.newest.insert(place, self.first + at as u64);
                }
            }
        }
    }
}

/// What it is the newest state of.
fn place<E>(delivery: &Delivery<E>) -> Option<Place> {
    match delivery {
        Delivery::Publication { tag, publication, .. } => Some((*tag, publication.key.clone()?)),
        Delivery::Joined { .. } | Delivery::Left { .. } => None,
    }
}
