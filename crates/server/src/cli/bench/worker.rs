//! One thread of the load: a runtime of its own with a share of the lines, which nobody else touches. What it counts, it tells
//! ten times a second; what it is to do, it is told.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::{Instant, interval};
use tokio_util::task::TaskTracker;

use super::bell::Bell;
use super::busy;
use super::fan_out::{self, Ledger};
use super::line;
use super::pacing::{Schedule, Timer};
use super::payload::{Payload, Renderer, Stamp};
use super::plan::{End, Plan};
use super::tally::Tally;

/// What all threads are told.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Open the lines, and hold them.
    Open,
    /// Send. Each thread's lines take their turns behind those of the threads before it.
    Load { start: Instant, turns: Arc<Turns>, measured: bool },
    /// Send on; from now on it counts.
    Measure,
    /// What was due by `at` is sent, and then nothing more; replies are waited for, until `until` at most.
    Drain { at: Instant, until: Option<Instant> },
    /// Close the lines.
    Close,
}

/// Whose turn it is, at a fixed rate: the first of each thread, and how many there are.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) firsts: Vec<usize>,
    pub(super) lines: usize,
}

/// What a thread tells.
#[derive(Debug)]
pub(super) enum News {
    /// What it counted since it last told.
    Counted { tally: Box<Tally>, measured: bool },
    /// Each of its lines is open or never will be; so many are.
    Opened { worker: usize, lines: usize },
    /// Why nobody will publish.
    NoPublisher(openline::ConnectError),
    /// The publisher is done, or lost its line.
    Published,
    /// Its lines have sent everything and have every answer that they will get.
    Quiet,
    /// How busy its processor was while it was measured, of 1.
    Busy(f64),
    /// Its lines are closed.
    Done,
}

/// What the lines of one thread share.
pub(super) struct Worker {
    pub(super) plan: Arc<Plan>,
    pub(super) ledger: Option<Arc<Ledger>>,
    pub(super) tally: RefCell<Tally>,
    pub(super) renderer: RefCell<Renderer>,
    pub(super) news: mpsc::UnboundedSender<News>,
    id: usize,
    order: RefCell<Order>,
    measured: Cell<bool>,
    seats: RefCell<Vec<Rc<Seat>>>,
    /// Lines that are not yet known to open or fail.
    unsettled: Cell<usize>,
    /// How many lines have something to send or to wait for.
    talking: Cell<usize>,
    /// Messages that may still be sent.
    budget: Cell<u64>,
    began: (Instant, u64),
    /// For the publisher: that one of the next two has changed, or the order.
    pub(super) publisher: Bell,
    pub(super) load_began: Cell<Option<Instant>>,
    pub(super) publishes: Cell<bool>,
}

/// A line's place in its thread.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) bell: Bell,
    pub(super) pace: Cell<Option<Schedule>>,
    open: Cell<bool>,
    /// Has something to send or to wait for.
    talks: Cell<bool>,
}

/// Starts thread `id` of those in the plan.
pub(super) fn start(
    id: usize,
    plan: Arc<Plan>,
    ledger: Option<Arc<Ledger>>,
    orders: mpsc::UnboundedReceiver<Order>,
    news: mpsc::UnboundedSender<News>,
) -> io::Result<JoinHandle<()>> {
    let (started, starting) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(format!("load {id}")).spawn(move || {
        // A local runtime cannot leave its thread, so it is made here.
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        let _ = started.send(Ok(()));
        runtime.block_on(Worker::new(id, plan, ledger, news).work(orders));
    })?;
    starting.recv().map_err(io::Error::other)??;
    Ok(thread)
}

impl Worker {
    fn new(id: usize, plan: Arc<Plan>, ledger: Option<Arc<Ledger>>, news: mpsc::UnboundedSender<News>) -> Rc<Self> {
        let none = Payload::none();
        let payload = plan.load().map_or(&none, |load| &load.payload);
        let budget = match plan.end {
            // The publisher is with the first.
            End::Messages(all) if plan.is_fan_out() => all,
            End::Messages(all) => share(all, id as u64, plan.threads as u64),
            End::After(_) => u64::MAX,
        };
        let seats = share(plan.connections as u64, id as u64, plan.threads as u64);
        let unix_ms = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        Rc::new(Self {
            tally: RefCell::default(),
            renderer: RefCell::new(Renderer::new(payload)),
            news,
            id,
            order: RefCell::new(Order::Open),
            measured: Cell::new(false),
            seats: RefCell::default(),
            unsettled: Cell::new(seats as usize),
            talking: Cell::new(0),
            budget: Cell::new(budget),
            began: (Instant::now(), unix_ms),
            publisher: Bell::default(),
            load_began: Cell::new(None),
            publishes: Cell::new(true),
            ledger,
            plan,
        })
    }

    async fn work(self: Rc<Self>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let tasks = TaskTracker::new();
        let opening = spawn_local(self.clone().open_lines(tasks.clone()));
        if self.id == 0 && self.ledger.is_some() {
            tasks.spawn_local(fan_out::publish(self.clone()));
        }
        let telling = spawn_local(self.clone().tell_regularly());
        let mut pacing = None;
        let mut busy = None;
        while let Some(order) = orders.recv().await {
            match &order {
                Order::Load { start, turns, measured } => {
                    self.measured.set(*measured);
                    if *measured {
                        busy = busy::Meter::start();
                    }
                    let seats = self.begin(*start, turns);
                    self.load_began.set(Some(*start));
                    if self.plan.load().is_some_and(|load| load.rate.is_some()) && self.ledger.is_none() {
                        pacing = Some(spawn_local(pace(seats, self.plan.clone(), *start, turns.clone(), self.id)));
                    }
                }
                Order::Measure => {
                    self.tell();
                    self.measured.set(true);
                    busy = busy::Meter::start();
                }
                Order::Drain { .. } | Order::Close => {
                    opening.abort();
                    if let Some(share) = busy.take().and_then(|busy| busy.share()) {
                        let _ = self.news.send(News::Busy(share));
                    }
                    self.publishes.set(false);
                    self.publisher.ring();
                    if let Some(ledger) = &self.ledger {
                        // Only then it is known what is owed to the lines.
                        ledger.finished().await;
                    }
                }
                Order::Open => {}
            }
            let is_last = matches!(order, Order::Close);
            *self.order.borrow_mut() = order;
            self.publisher.ring();
            for seat in self.seats.borrow().iter() {
                seat.bell.ring();
            }
            if is_last {
                break;
            }
        }
        if let Some(pacing) = pacing {
            pacing.abort();
        }
        tasks.close();
        tasks.wait().await;
        telling.abort();
        self.tell();
        let _ = self.news.send(News::Done);
    }

    /// Opens the lines of this thread: at the connect rate, and a bounded number at once.
    async fn open_lines(self: Rc<Self>, tasks: TaskTracker) {
        let seats = self.unsettled.get();
        let at_once = share(self.plan.opening as u64, self.id as u64, self.plan.threads as u64).max(1);
        let slots = Arc::new(Semaphore::new(at_once as usize));
        let schedule = self
            .plan
            .connect_rate
            .map(|rate| Schedule { start: Instant::now(), rate }.share(self.id, self.plan.threads));
        for n in 0..seats {
            if let Some(schedule) = schedule {
                tokio::time::sleep_until(schedule.due(n as u64)).await;
            }
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let id = (n * self.plan.threads + self.id) as u64;
            let seat = Rc::new(Seat {
                id,
                bell: Bell::default(),
                pace: Cell::new(None),
                open: Cell::new(false),
                talks: Cell::new(false),
            });
            self.seats.borrow_mut().push(seat.clone());
            tasks.spawn_local(line::run(self.clone(), seat, slot));
        }
    }

    /// The lines that are open take their turns. Returns them.
    fn begin(&self, start: Instant, turns: &Turns) -> Vec<Rc<Seat>> {
        let seats: Vec<Rc<Seat>> = self.seats.borrow().iter().filter(|seat| seat.open.get()).cloned().collect();
        self.talking.set(seats.len());
        seats.iter().for_each(|seat| seat.talks.set(true));
        if let Some(rate) = self.plan.load().and_then(|load| load.rate) {
            let all = Schedule { start, rate };
            for (n, seat) in seats.iter().enumerate() {
                seat.pace.set(Some(all.share(turns.firsts[self.id] + n, turns.lines)));
            }
        }
        if seats.is_empty() {
            let _ = self.news.send(News::Quiet);
        }
        seats
    }

    /// A line is open, or never will be.
    pub(super) fn settled(&self, seat: &Seat, is_open: bool) {
        seat.open.set(is_open);
        self.unsettled.set(self.unsettled.get() - 1);
        if self.unsettled.get() == 0 {
            let lines = self.seats.borrow().iter().filter(|seat| seat.open.get()).count();
            let _ = self.news.send(News::Opened { worker: self.id, lines });
        }
    }

    /// A line ended before it was told to.
    pub(super) fn lost(&self, seat: &Seat) {
        seat.open.set(false);
        self.fell_quiet(seat);
    }

    /// A line has nothing more to send or to wait for.
    pub(super) fn fell_quiet(&self, seat: &Seat) {
        if seat.talks.replace(false) {
            self.talking.set(self.talking.get() - 1);
            if self.talking.get() == 0 {
                let _ = self.news.send(News::Quiet);
            }
        }
    }

    /// Whether the load has not begun.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.order.borrow(), Order::Open)
    }

    pub(super) fn is_loading(&self) -> bool {
        matches!(*self.order.borrow(), Order::Load { .. } | Order::Measure)
    }

    /// What was due by the first time is still sent, and waited for until the second.
    pub(super) fn draining(&self) -> Option<(Instant, Option<Instant>)> {
        match *self.order.borrow() {
            Order::Drain { at, until } => Some((at, until)),
            _ => None,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(*self.order.borrow(), Order::Close)
    }

    pub(super) fn budget_left(&self) -> bool {
        self.budget.get() > 0
    }

    /// One message less to send.
    pub(super) fn spend(&self) {
        self.budget.set(self.budget.get().saturating_sub(1));
    }

    pub(super) fn stamp(&self, line: u64, seq: u64, now: Instant) -> Stamp {
        let (began, unix_ms) = self.began;
        Stamp { line, seq, unix_ms: unix_ms + (now - began).as_millis() as u64 }
    }

    async fn tell_regularly(self: Rc<Self>) {
        let mut ticks = interval(TELL_INTERVAL);
        loop {
            ticks.tick().await;
            self.tell();
        }
    }

    fn tell(&self) {
        let tally = Box::new(self.tally.take());
        let _ = self.news.send(News::Counted { tally, measured: self.measured.get() });
    }
}

/// Rings each line's bell when its next message is due.
async fn pace(seats: Vec<Rc<Seat>>, plan: Arc<Plan>, start: Instant, turns: Arc<Turns>, worker: usize) {
    let Some(rate) = plan.load().and_then(|load| load.rate) else { return };
    let all = Schedule { start, rate };
    let Ok(timer) = Timer::new() else { return };
    for round in 0.. {
        for (n, seat) in seats.iter().enumerate() {
            let due = all.due(round * turns.lines as u64 + (turns.firsts[worker] + n) as u64);
            let now = Instant::now();
            if due > now && timer.sleep_until(due.max(now + MIN_PAUSE)).await.is_err() {
                tokio::time::sleep_until(due).await;
            }
            seat.bell.ring();
        }
        if seats.is_empty() {
            return;
        }
    }
}

/// The part of `all` that is number `id` of `parts`.
fn share(all: u64, id: u64, parts: u64) -> u64 {
    all / parts + u64::from(id < all % parts)
}

/// A live view that people look at is no quicker.
const TELL_INTERVAL: Duration = Duration::from_millis(100);

/// Sleeping and waking costs some microseconds; waking up more often than this would be most of the work.
const MIN_PAUSE: Duration = Duration::from_micros(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_whole() {
        for (all, parts) in [(10, 3), (2, 3), (0, 2), (7, 7), (100_001, 8)] {
            let shares: Vec<u64> = (0..parts).map(|id| share(all, id, parts)).collect();
            assert_eq!(shares.iter().sum::<u64>(), all);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
