//! Every open line (an accepted WebSocket, an event stream, a poll that waits), so that all of them can be told to close.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use openline::proto::CloseCode;
use slab::Slab;
use tokio::sync::watch;

use crate::counts::Kind;

/// What a line is told to close with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goodbye {
    /// The close code that the peer gets.
    pub(crate) code: CloseCode,
    /// The reason beside it.
    pub(crate) reason: &'static str,
}

/// The lines that are open now.
#[derive(Debug)]
pub struct Lines {
    book: Mutex<Book>,
    count: watch::Sender<usize>,
    /// Whether anybody was told to close yet. All that a line looks at while it is in use.
    ending: AtomicBool,
}

#[derive(Debug, Default)]
struct Book {
    entries: Slab<Entry>,
    /// Of each kind, how many there are, and how many there ever were.
    counts: [(usize, u64); Kind::ALL.len()],
    /// Set once and for good: whoever opens a line after that is told at once.
    farewell: Option<Goodbye>,
}

#[derive(Debug)]
struct Entry {
    told: bool,
    kind: Kind,
    /// Who waits to be told.
    waker: Option<Waker>,
}

/// A line that was open when the end began, and is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untold(usize);

impl Lines {
    /// None.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { book: Mutex::default(), count: watch::Sender::new(0), ending: AtomicBool::new(false) })
    }

    /// Enters a line; it is struck out when the returned [`Line`] is dropped.
    pub(crate) fn open(self: &Arc<Self>, kind: Kind) -> Line {
        let mut book = self.book();
        let told = book.farewell.is_some();
        let key = book.entries.insert(Entry { told, kind, waker: None });
        let (now, ever) = &mut book.counts[kind as usize];
        (*now, *ever) = (*now + 1, *ever + 1);
        drop(book);
        self.count.send_modify(|count| *count += 1);
        Line { key, waker: None, lines: self.clone() }
    }

    /// From now on every line that opens is told `goodbye`. Returns those that are open, to be told one by one.
    pub(crate) fn farewell(&self, goodbye: Goodbye) -> Vec<Untold> {
        let mut book = self.book();
        book.farewell = Some(goodbye);
        self.ending.store(true, Ordering::Relaxed);
        book.entries.iter().map(|(key, _)| Untold(key)).collect()
    }

    /// Tells one of them. Should it have hung up meanwhile, whoever has its place now was told already.
    pub(crate) fn tell(&self, untold: Untold) {
        let waker = self.book().entries.get_mut(untold.0).and_then(|entry| {
            entry.told = true;
            entry.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Of each kind, how many are open, and how many ever were.
    pub(crate) fn counts(&self) -> [(usize, u64); Kind::ALL.len()] {
        self.book().counts
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until none is open.
    pub(crate) async fn none(&self) {
        // An error would mean that the sender is gone, and `self` has it.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing in here panics half-way.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open line's entry.
#[derive(Debug)]
pub(crate) struct Line {
    key: usize,
    /// A copy of what the book has.
    waker: Option<Waker>,
    lines: Arc<Lines>,
}

impl Line {
    /// Waits until the server wants this line closed; for ever, if it never does.
    pub(crate) async fn told_to_close(&mut self) -> Goodbye {
        poll_fn(|cx| self.poll_told_to_close(cx)).await
    }

    /// The same for code without `async`. Looks into the book only for who is new here, and at the end: lines that are in
    /// use share no lock.
    pub(crate) fn poll_told_to_close(&mut self, cx: &mut Context<'_>) -> Poll<Goodbye> {
        let is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_known && !self.lines.ending.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let mut book = self.lines.book();
        let goodbye = book.farewell;
        let entry = &mut book.entries[self.key];
        if entry.told
            && let Some(goodbye) = goodbye
        {
            return Poll::Ready(goodbye);
        }
        // Wakers may be the last that keep a task's memory: they are dropped without the lock.
        let before = entry.waker.replace(cx.waker().clone());
        drop(book);
        drop(before);
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The waker may be the last that keeps its task's memory: it is dropped without the lock.
        let mut book = self.lines.book();
        let entry = book.entries.remove(self.key);
        book.counts[entry.kind as usize].0 -= 1;
        drop(book);
        self.lines.count.send_modify(|count| *count -= 1);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOODBYE: Goodbye = Goodbye { code: CloseCode::RESTART, reason: "" };

    #[tokio::test]
    async fn the_open_are_told_in_turn_and_the_late_at_once() {
        let lines = Lines::new();
        let (mut first, mut second) = (lines.open(Kind::Test), lines.open(Kind::Test));
        drop(lines.open(Kind::Poll));
        assert_eq!(lines.counts()[Kind::Test as usize], (2, 2));
        assert_eq!(lines.counts()[Kind::Poll as usize], (0, 1));
        assert_eq!(lines.count(), 2);
        let first = tokio::spawn(async move { first.told_to_close().await });
        let is_told = |line: &mut Line| line.poll_told_to_close(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_told(&mut second));
        tokio::task::yield_now().await; // the first waits

        let untold = lines.farewell(GOODBYE);
        assert_eq!(untold.len(), 2);
        let mut late = lines.open(Kind::Test);
        assert_eq!(late.told_to_close().await, GOODBYE);

        lines.tell(untold[0]);
        assert_eq!(first.await.unwrap(), GOODBYE);
        assert!(!is_told(&mut second));
        lines.tell(untold[1]);
        assert!(is_told(&mut second));
        drop((second, late));
        lines.none().await;
    }
}
