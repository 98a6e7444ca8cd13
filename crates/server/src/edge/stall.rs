//! A deadline that runs only while something makes no progress.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Counts from the first [`Stall::poll`] after a [`Stall::ended`]. The timer is made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Stall {
    timer: Option<Pin<Box<Sleep>>>,
    /// When this wait began.
    since: Option<Instant>,
}

impl Stall {
    /// Something moved: the next wait counts from its own beginning. Says how long this one was.
    pub(super) fn ended(&mut self) -> Duration {
        let since = self.since.take();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Nothing moves: ready when that has lasted for `limit`.
    pub(super) fn poll(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if self.since.is_none() {
            let now = Instant::now();
            timer.as_mut().reset(now + limit);
            self.since = Some(now);
        }
        ready!(timer.as_mut().poll(cx));
        self.since = None;
        Poll::Ready(())
    }
}
