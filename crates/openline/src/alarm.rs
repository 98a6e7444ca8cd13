//! One timer per connection that is rarely touched.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

/// Rings at or before the deadline. Deadlines of a busy line move back with every read, and following them would cost
/// each read a trip to the timer: it rings at the old time instead, and is told the new one then.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether it is time, by a look at the clock alone.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|sleep| sleep.deadline().into_std() <= now)
    }

    /// Whether it will ring.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Moves to the next deadline, unless it rings before that anyway.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let at = tokio::time::Instant::from_std(deadline);
        match &mut self.0 {
            None => self.0 = Some(Box::pin(tokio::time::sleep_until(at))),
            Some(sleep) if at < sleep.deadline() || sleep.is_elapsed() => sleep.as_mut().reset(at),
            Some(_) => {}
        }
    }

    /// Moves to the next deadline, sooner or later, if it is set at all. Without one it rings no more.
    pub(crate) fn expect(&mut self, deadline: Option<Instant>) {
        match (&mut self.0, deadline) {
            (Some(sleep), Some(deadline)) => sleep.as_mut().reset(deadline.into()),
            (_, None) => self.0 = None,
            (None, Some(_)) => {}
        }
    }

    /// `Ready` once it is time to look at the deadlines again.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// The time as the runtime's timers see it, so that tests can turn it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
