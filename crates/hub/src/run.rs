//! Publications in a row, for all who wait for them: kept once, whatever number of outboxes they wait in.

use std::sync::{Arc, OnceLock};

use crate::outbox::Delivery;
use crate::publication::Publication;

/// A publication, and the one after it, once there is one.
///
/// Whoever keeps a link keeps all that comes after it. So only what is bounded keeps one: an outbox, which drops what is too
/// much, and the channel its newest.
#[derive(Debug)]
pub(crate) struct Link<E> {
    publication: Arc<Publication<E>>,
    /// Where the link before it is, or was.
    before: usize,
    next: OnceLock<Arc<Link<E>>>,
}

/// Publications of one subscription, one after the other without a hole: at least one, all of them shared.
///
/// It keeps in memory what is published after it as well, so it is not for keeping.
#[derive(Debug)]
pub struct Run<E = ()> {
    tag: u32,
    first: Arc<Link<E>>,
    /// Where the last one is.
    last: usize,
    count: usize,
}

impl<E> Link<E> {
    /// Puts a publication behind the newest one.
    pub(crate) fn behind(newest: Option<&Arc<Self>>, publication: Arc<Publication<E>>) -> Arc<Self> {
        let before = newest.map_or(0, Link::place);
        let link = Arc::new(Self { publication, before, next: OnceLock::new() });
        if let Some(newest) = newest {
            let first = newest.next.set(link.clone());
            debug_assert!(first.is_ok(), "there is one newest");
        }
        link
    }

    fn place(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    pub(crate) fn publication(&self) -> &Arc<Publication<E>> {
        &self.publication
    }
}

/// One after the other: a long chain that is dropped link by link, each from the one before, takes more stack than there is.
impl<E> Drop for Link<E> {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.next.take();
        }
    }
}

impl<E> Run<E> {
    pub(crate) fn of(tag: u32, first: &Arc<Link<E>>) -> Self {
        Self { tag, first: first.clone(), last: first.place(), count: 1 }
    }

    /// Goes on to `newest`, if that comes next.
    pub(crate) fn extend(&mut self, newest: &Arc<Link<E>>) -> bool {
        // What the run keeps is nowhere else, so a place is enough to know it by.
        let is_next = newest.before == self.last;
        if is_next {
            self.last = newest.place();
            self.count += 1;
        }
        is_next
    }

    /// Takes the publications at the beginning that `wanted` says are wanted, and at least one.
    pub(crate) fn split_off_front(&mut self, mut wanted: impl FnMut(&Publication<E>) -> bool) -> Self {
        let mut front = Self { tag: self.tag, first: self.first.clone(), last: self.first.place(), count: 0 };
        while self.count > 0 && wanted(&self.first.publication) {
            (front.last, front.count) = (self.first.place(), front.count + 1);
            self.step();
        }
        front
    }

    /// What the client called its subscription.
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// The first of them.
    pub fn first(&self) -> &Arc<Publication<E>> {
        &self.first.publication
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Publication<E>>> {
        let links = std::iter::successors(Some(&self.first), |link| link.next.get());
        links.map(|link| &link.publication).take(self.count)
    }

    /// All of them, in order, as [`Outbox::poll_take`](crate::Outbox::poll_take) gives them.
    pub fn deliveries(&self) -> impl Iterator<Item = Delivery<E>> {
        let tag = self.tag;
        self.iter().map(move |publication| Delivery::Publication { tag, publication: publication.clone(), skipped: 0 })
    }

    /// Takes the first of them.
    pub(crate) fn pop(&mut self) -> Option<Arc<Publication<E>>> {
        let publication = (self.count > 0).then(|| self.first.publication.clone())?;
        self.step();
        Some(publication)
    }

    /// Goes past the first one.
    fn step(&mut self) {
        self.count -= 1;
        if self.count > 0
            && let Some(next) = self.first.next.get().cloned()
        {
            self.first = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::publication::Format;

    fn publication(offset: u64) -> Arc<Publication<()>> {
        Arc::new(Publication {
            offset,
            format: Format::Text,
            data: "".into(),
            key: None,
            tags: None,
            publisher: None,
            at: Instant::now(),
            unix_ms: 0,
            encoded: (),
        })
    }

    #[test]
    fn a_run_is_what_comes_one_after_the_other() {
        let first = Link::behind(None, publication(1));
        let second = Link::behind(Some(&first), publication(2));
        let third = Link::behind(Some(&second), publication(3));
        let mut run = Run::of(1, &first);
        assert!(!run.extend(&third));
        assert!(run.extend(&second) && run.extend(&third));
        assert_eq!(run.len(), 3);
        let offsets = |run: &Run<()>| run.iter().map(|publication| publication.offset).collect::<Vec<_>>();
        assert_eq!(offsets(&run), [1, 2, 3]);
        let front = run.split_off_front(|publication| publication.offset < 3);
        assert_eq!((offsets(&front), offsets(&run)), (vec![1, 2], vec![3]));
        assert_eq!((run.first().offset, run.pop().unwrap().offset), (3, 3));
        assert!(run.pop().is_none());
    }

    #[test]
    fn a_million_in_a_row_are_dropped_from_the_first_on() {
        let first = Link::behind(None, publication(1));
        let mut newest = first.clone();
        for offset in 2..=1_000_000 {
            newest = Link::behind(Some(&newest), publication(offset));
        }
        drop(first);
        assert_eq!(Arc::strong_count(&newest), 1);
    }
}
