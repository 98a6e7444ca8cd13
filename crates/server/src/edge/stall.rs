//! A deadline that runs only while something makes no progress.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Counts from the first [`Stall::poll`] after a [`Stall::ended`]. The timer is made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Stall {
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Stall {
    /// Something moved: the next wait counts from its own beginning.
    pub(super) fn ended(&mut self) {
        self.running = false;
    }

    /// Nothing moves: ready when that has lasted for `limit`.
    pub(super) fn poll(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.running {
            timer.as_mut().reset(Instant::now() + limit);
            self.running = true;
        }
        ready!(timer.as_mut().poll(cx));
        self.running = false;
        Poll::Ready(())
    }
}
