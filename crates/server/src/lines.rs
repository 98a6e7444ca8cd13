//! Every open line (an accepted WebSocket, an event stream, a poll that waits), so that all of them can be told to close.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use openline::proto::CloseCode;
use tokio::sync::{oneshot, watch};

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
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    /// Those who have not been told yet.
    untold: BTreeMap<u64, oneshot::Sender<Goodbye>>,
    /// Set once and for good: whoever opens a line after that is told at once.
    farewell: Option<Goodbye>,
}

impl Lines {
    /// None.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { book: Mutex::default(), count: watch::Sender::new(0) })
    }

    /// Enters a line; it is struck out when the returned [`Line`] is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> Line {
        let (tell, told) = oneshot::channel();
        let mut book = self.book();
        let id = book.next;
        book.next += 1;
        match book.farewell {
            // The receiver is here, so it arrives.
            Some(goodbye) => drop(tell.send(goodbye)),
            None => drop(book.untold.insert(id, tell)),
        }
        self.count.send_modify(|count| *count += 1);
        Line { id, told, lines: self.clone() }
    }

    /// From now on every line that opens is told `goodbye`. Returns those that are open, to be told one by one.
    pub(crate) fn farewell(&self, goodbye: Goodbye) -> Vec<oneshot::Sender<Goodbye>> {
        let mut book = self.book();
        book.farewell = Some(goodbye);
        std::mem::take(&mut book.untold).into_values().collect()
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

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        // Nothing in here panics half-way.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open line's entry.
#[derive(Debug)]
pub(crate) struct Line {
    id: u64,
    told: oneshot::Receiver<Goodbye>,
    lines: Arc<Lines>,
}

impl Line {
    /// Waits until the server wants this line closed; for ever, if it never does.
    pub(crate) async fn told_to_close(&mut self) -> Goodbye {
        match (&mut self.told).await {
            Ok(goodbye) => goodbye,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Line {
    /// The same for code without `async`.
    pub(crate) fn poll_told_to_close(&mut self, cx: &mut Context<'_>) -> Poll<Goodbye> {
        match Pin::new(&mut self.told).poll(cx) {
            Poll::Ready(Ok(goodbye)) => Poll::Ready(goodbye),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.book().untold.remove(&self.id);
        self.lines.count.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOODBYE: Goodbye = Goodbye { code: CloseCode::RESTART, reason: "" };

    #[tokio::test]
    async fn the_open_are_told_in_turn_and_the_late_at_once() {
        let lines = Lines::new();
        let (mut first, mut second) = (lines.open(), lines.open());
        drop(lines.open());
        assert_eq!(lines.count(), 2);

        let untold = lines.farewell(GOODBYE);
        assert_eq!(untold.len(), 2);
        let mut late = lines.open();
        assert_eq!(late.told_to_close().await, GOODBYE);

        let mut untold = untold.into_iter();
        untold.next().unwrap().send(GOODBYE).unwrap();
        assert_eq!(first.told_to_close().await, GOODBYE);
        assert!(second.told.try_recv().is_err());
        drop((first, second, late));
        lines.none().await;
    }
}
