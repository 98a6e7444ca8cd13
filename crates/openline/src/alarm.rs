//! One alarm per connection, a place in the thread's timer wheel, that is rarely touched.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::timers::Timers;

/// Rings at or before the deadline. Deadlines of a busy line move back with every read, and following them would cost
/// each read a trip to the wheel: it rings at the old time instead, and is told the new one then.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    deadline: Option<Instant>,
    /// None before it was first waited for.
    place: Option<Place>,
}

/// A place in a wheel.
#[derive(Debug)]
struct Place {
    timers: Arc<Timers>,
    key: u32,
    /// A copy of the wheel's.
    waker: Waker,
}

impl Alarm {
    /// Whether it is time, by a look at the clock alone.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_none_or(|deadline| deadline <= now)
    }

    /// Whether it will ring.
    pub(crate) fn is_set(&self) -> bool {
        self.deadline.is_some()
    }

    /// Moves to the next deadline, unless it rings before that anyway.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.deadline.is_none_or(|before| deadline < before) || self.has_rung() {
            self.move_to(deadline);
        }
    }

    /// Moves to the next deadline, sooner or later, if it is set at all. Without one it rings no more.
    pub(crate) fn expect(&mut self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) if self.is_set() => self.move_to(deadline),
            Some(_) => {}
            None => *self = Self::default(),
        }
    }

    /// `Ready` once it is time to look at the deadlines again.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let Some(place) = &mut self.place else {
            let timers = Timers::here();
            let waker = cx.waker().clone();
            let key = timers.enter(timers.tick(deadline), waker.clone());
            self.place = Some(Place { timers, key, waker });
            return Poll::Pending;
        };
        if place.timers.is_past(place.timers.tick(deadline)) {
            return Poll::Ready(());
        }
        if !place.waker.will_wake(cx.waker()) {
            place.waker = cx.waker().clone();
            place.timers.set_waker(place.key, place.waker.clone());
            if place.timers.is_past(place.timers.tick(deadline)) {
                return Poll::Ready(()); // and whoever waited before was woken in our stead
            }
        }
        Poll::Pending
    }

    fn has_rung(&self) -> bool {
        match (self.deadline, &self.place) {
            (Some(deadline), Some(place)) => place.timers.is_past(place.timers.tick(deadline)),
            _ => false,
        }
    }

    fn move_to(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        match &self.place {
            Some(place) if place.timers.is_over() => self.place = None,
            Some(place) => place.timers.put_off(place.key, place.timers.tick(deadline)),
            None => {}
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.timers.leave(self.key);
    }
}

/// The time as the runtime's timers see it, so that tests can turn it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle, Runtime};
    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    fn set(deadline: Instant) -> Alarm {
        let mut alarm = Alarm::default();
        alarm.set(Some(deadline));
        alarm
    }

    async fn ring(alarm: &mut Alarm) -> Instant {
        poll_fn(|cx| alarm.poll(cx)).await;
        now()
    }

    async fn joined<T>(task: JoinHandle<T>) -> T {
        tokio::time::timeout(Duration::from_secs(1_000_000), task).await.expect("it rings").unwrap()
    }

    fn tasks() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_many_rings_at_its_time_and_all_of_them_share_one_timer() {
        let start = now();
        let waiting: Vec<_> = (0..1_000_u64)
            .map(|turn| {
                let deadline = start + Duration::from_millis(turn * 7_919 % 60_000);
                tokio::spawn(async move { (deadline, ring(&mut set(deadline)).await) })
            })
            .collect();
        yield_now().await;
        assert_eq!(tasks(), 1_001);
        for waiting in waiting {
            let (deadline, rung) = joined(waiting).await;
            assert!(rung >= deadline && rung <= deadline + Duration::from_millis(1), "{:?} late", rung - deadline);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_turned_while_nobody_waits() {
        assert!(poll_fn(|cx| Poll::Ready(Alarm::default().poll(cx))).await.is_pending());
        assert_eq!(tasks(), 0);
        let mut alarm = set(now() + Duration::from_secs(30));
        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending());
        assert_eq!(tasks(), 1);
        drop(alarm);
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert_eq!(tasks(), 0);
        ring(&mut set(now() + Duration::from_secs(1))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_is_not_overslept() {
        let start = now();
        let late = tokio::spawn(async move { ring(&mut set(start + Duration::from_secs(60))).await });
        yield_now().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(ring(&mut set(start + Duration::from_millis(10))).await - start, Duration::from_millis(10));
        let mut moved = set(start + Duration::from_secs(50));
        assert!(poll_fn(|cx| Poll::Ready(moved.poll(cx))).await.is_pending());
        moved.set(Some(start + Duration::from_millis(20)));
        assert_eq!(ring(&mut moved).await - start, Duration::from_millis(20));
        moved.set(Some(start + Duration::from_secs(2)));
        assert_eq!(ring(&mut moved).await - start, Duration::from_secs(2), "set again after it rang");
        moved.expect(Some(start + Duration::from_secs(3)));
        moved.set(Some(start + Duration::from_secs(5)));
        assert_eq!(ring(&mut moved).await - start, Duration::from_secs(3), "a later deadline is told when it rings");
        moved.expect(None);
        assert!(!moved.is_set());
        assert_eq!(joined(late).await - start, Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn who_polls_last_is_woken() {
        let start = now();
        let mut alarm = set(start + Duration::from_secs(1));
        assert!(alarm.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let other = tokio::spawn(async move { ring(&mut alarm).await });
        assert_eq!(joined(other).await - start, Duration::from_secs(1));
    }

    #[test]
    fn an_alarm_outlives_the_runtime_that_it_was_set_in() {
        let runtime = || Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let pending = |runtime: &Runtime, alarm: &mut Alarm| {
            runtime.block_on(async {
                assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending());
            });
        };
        let first = runtime();
        let mut alarm = first.block_on(async { set(now() + Duration::from_secs(1)) });
        pending(&first, &mut alarm);
        drop(first);
        let second = runtime();
        second.block_on(async {
            ring(&mut alarm).await; // early, so that the deadlines are looked at
            let deadline = now() + Duration::from_secs(5);
            alarm.expect(Some(deadline));
            assert_eq!(ring(&mut alarm).await, deadline);
        });
        // A thread that works for two runtimes in turn.
        let third = runtime();
        let mut others =
            [&second, &third].map(|runtime| (runtime, runtime.block_on(async { set(now() + Duration::from_secs(1)) })));
        others.iter_mut().for_each(|(runtime, alarm)| pending(runtime, alarm));
        others.iter_mut().for_each(|(runtime, alarm)| {
            runtime.block_on(ring(alarm));
        });
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn alarms_that_move_between_threads_all_ring() {
        let tasks: Vec<_> = (0..2_000_u64)
            .map(|turn| {
                tokio::spawn(async move {
                    let mut alarm = set(now() + Duration::from_millis(turn % 50));
                    for _ in 0..turn % 5 {
                        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending() || alarm.has_rung());
                        yield_now().await;
                    }
                    let deadline = now() + Duration::from_millis(turn % 40);
                    alarm.expect(Some(deadline));
                    assert!(ring(&mut alarm).await >= deadline);
                })
            })
            .collect();
        for task in tasks {
            joined(task).await;
        }
    }
}
