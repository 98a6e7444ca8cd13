//! A timer wheel for each thread, and the task that turns it.
//!
//! Thousands of idle lines share one timer of the runtime. A line enters the wheel of the thread it is first polled on, so that
//! threads share no lock; it leaves that wheel wherever it goes.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};
use tokio::time::Sleep;

use crate::alarm::now;
use crate::wheel::Wheel;

thread_local! {
    /// The wheel of this thread, for as long as it works for that runtime.
    static HERE: RefCell<Option<(Id, Arc<Timers>)>> = const { RefCell::new(None) };
}

/// A wheel with its clock.
#[derive(Debug)]
pub(crate) struct Timers {
    /// Tick zero; each tick is a millisecond.
    start: Instant,
    /// A copy of the wheel's: read without the lock.
    elapsed: AtomicU64,
    turning: Mutex<Turning>,
}

#[derive(Debug)]
struct Turning {
    wheel: Wheel<Waker>,
    /// Whether a task turns it: one does while anything may come due.
    is_turned: bool,
    /// When that task looks again, and how it is told to look sooner.
    looks_at: u64,
    turner: Option<Waker>,
}

/// All ticks are past: the runtime that turned the wheel is gone.
const OVER: u64 = u64::MAX;

impl Timers {
    /// The wheel of this thread.
    pub(crate) fn here() -> Arc<Self> {
        let runtime = Handle::current().id();
        HERE.with_borrow_mut(|here| match here {
            Some((id, timers)) if *id == runtime && !timers.is_over() => timers.clone(),
            _ => {
                let timers = Arc::new(Self::new());
                *here = Some((runtime, timers.clone()));
                timers
            }
        })
    }

    fn new() -> Self {
        let turning = Turning { wheel: Wheel::new(), is_turned: false, looks_at: 0, turner: None };
        Self { start: now(), elapsed: AtomicU64::new(0), turning: Mutex::new(turning) }
    }

    /// The first tick that is not before an instant.
    pub(crate) fn tick(&self, at: Instant) -> u64 {
        let after = at.saturating_duration_since(self.start);
        after.as_secs() * 1_000 + u64::from(after.subsec_nanos().div_ceil(1_000_000))
    }

    /// Whether a tick is past, as far as the wheel was turned.
    pub(crate) fn is_past(&self, tick: u64) -> bool {
        self.elapsed.load(Ordering::Acquire) >= tick
    }

    /// Whether nothing will come due here any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_past(OVER)
    }

    /// Has `waker` woken at a tick.
    pub(crate) fn enter(self: &Arc<Self>, tick: u64, waker: Waker) -> u32 {
        let mut turning = self.turning();
        let key = turning.wheel.insert(tick, waker);
        self.turn(turning, tick);
        key
    }

    /// Has the waker of a key woken at another tick.
    pub(crate) fn put_off(self: &Arc<Self>, key: u32, tick: u64) {
        let mut turning = self.turning();
        turning.wheel.put_off(key, tick);
        self.turn(turning, tick);
    }

    /// Has another waker woken.
    pub(crate) fn set_waker(&self, key: u32, waker: Waker) {
        // Wakers may be the last that keep a task's memory: they are dropped without the lock.
        let before = std::mem::replace(self.turning().wheel.value_mut(key), waker);
        drop(before);
    }

    /// Wakes nobody.
    pub(crate) fn leave(&self, key: u32) {
        let waker = self.turning().wheel.remove(key);
        drop(waker);
    }

    /// Sees to it that the wheel is turned in time.
    fn turn(self: &Arc<Self>, mut turning: MutexGuard<'_, Turning>, tick: u64) {
        if !turning.is_turned {
            turning.is_turned = true;
            drop(turning);
            let sleep = Box::pin(tokio::time::sleep_until(now().into()));
            tokio::spawn(Turner { timers: self.clone(), sleep, is_done: false });
        } else if tick < turning.looks_at
            && let Some(turner) = turning.turner.take()
        {
            drop(turning);
            turner.wake();
        }
    }

    fn turning(&self) -> MutexGuard<'_, Turning> {
        // Nothing in here panics half-way.
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns a wheel until it is empty.
#[derive(Debug)]
struct Turner {
    timers: Arc<Timers>,
    sleep: Pin<Box<Sleep>>,
    is_done: bool,
}

impl Future for Turner {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { timers, sleep, is_done } = &mut *self;
        loop {
            let elapsed = now().saturating_duration_since(timers.start).as_millis() as u64;
            let mut due = Vec::new();
            let mut turning = timers.turning();
            turning.wheel.advance(elapsed, |waker| due.push(waker.clone()));
            timers.elapsed.store(turning.wheel.elapsed(), Ordering::Release);
            let next = turning.wheel.next();
            match next {
                Some(next) => {
                    turning.looks_at = next;
                    if !turning.turner.as_ref().is_some_and(|turner| turner.will_wake(cx.waker())) {
                        turning.turner = Some(cx.waker().clone());
                    }
                }
                None => {
                    *is_done = true;
                    turning.is_turned = false;
                    turning.turner = None;
                }
            }
            drop(turning);
            due.into_iter().for_each(Waker::wake);
            let Some(next) = next else { return Poll::Ready(()) };
            sleep.as_mut().reset((timers.start + Duration::from_millis(next)).into());
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Turner {
    /// The runtime ends: whoever outlives it finds another wheel.
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut turning = self.timers.turning();
        self.timers.elapsed.store(OVER, Ordering::Release);
        turning.is_turned = false;
        let turner = turning.turner.take();
        let left: Vec<_> = turning.wheel.values().cloned().collect();
        drop(turning);
        drop(turner);
        left.into_iter().for_each(Waker::wake);
    }
}
