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

    /// Moves to the next deadline; the timer is made, if there is none yet, when it is polled.
    pub(crate) fn expect(&mut self, deadline: Option<Instant>) {
        if let (Some(sleep), Some(deadline)) = (&mut self.0, deadline) {
            sleep.as_mut().reset(deadline.into());
        }
    }

    /// `Ready` once it is time to look at the deadlines again.
    pub(crate) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let at = tokio::time::Instant::from_std(deadline);
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if at < sleep.deadline() || sleep.is_elapsed() {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The time as the runtime's timers see it, so that tests can turn it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
