//! One publishes, many receive: how long until they have it, and who never gets it.
//!
//! The publisher and the lines are in one process, so that one clock times both ends.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openline::CloseCode;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::line::Ended;
use super::open::Line;
use super::pacing::{Schedule, Timer};
use super::payload::Stamp;
use super::plan::{Load, Mode};
use super::worker::{News, Seat, Worker};

/// What was published, and who has it. A line reads it without a lock for each delivery.
#[derive(Debug)]
pub(super) struct Ledger {
    epoch: Instant,
    /// The messages that not every line has, by number. A place is taken again only when nobody is owed its message.
    places: Box<[Place]>,
    published: AtomicU64,
    /// Lines that receive. Held while a message is published, and while a line leaves.
    receivers: Mutex<u64>,
    /// A message has reached everyone.
    reached: Notify,
    is_finished: AtomicBool,
    finished: Notify,
}

#[derive(Debug, Default)]
struct Place {
    /// When it was due, in nanoseconds of the epoch.
    intended: AtomicU64,
    /// Lines that do not have it yet.
    owed: AtomicU64,
}

/// What a line hears.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// After `missed` others that never came; `last` if everyone has it now.
    New { after: Duration, missed: u64, last: bool },
    /// It was here before.
    Repeated,
    /// It was never published.
    Unknown,
}

impl Ledger {
    pub(super) fn new(in_flight: usize) -> Self {
        Self {
            epoch: Instant::now(),
            places: (0..in_flight).map(|_| Place::default()).collect(),
            published: AtomicU64::new(0),
            receivers: Mutex::new(0),
            reached: Notify::new(),
            is_finished: AtomicBool::new(false),
            finished: Notify::new(),
        }
    }

    /// Waits until nothing more will be published.
    pub(super) async fn finished(&self) {
        let finished = self.finished.notified();
        tokio::pin!(finished);
        finished.as_mut().enable();
        if !self.is_finished.load(Ordering::Acquire) {
            finished.await;
        }
    }

    fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
        self.finished.notify_waiters();
    }

    /// One more line is owed everything. To be told before the line is known to be open: publishing begins when all are.
    pub(super) fn join(&self) {
        *self.lock() += 1;
    }

    /// A line that has everything before `next` leaves. Returns how many messages it did not get.
    fn leave(&self, next: u64) -> u64 {
        let mut receivers = self.lock();
        *receivers -= 1;
        let published = self.published.load(Ordering::Acquire);
        for seq in next..published {
            self.pay(seq);
        }
        published.saturating_sub(next)
    }

    fn has_room(&self) -> bool {
        Self::is_free(self.place(self.published.load(Ordering::Acquire)))
    }

    /// Whether everyone has everything.
    fn is_empty(&self) -> bool {
        self.places.iter().all(Self::is_free)
    }

    fn is_free(place: &Place) -> bool {
        place.owed.load(Ordering::Acquire) == 0
    }

    /// Waits for messages to have reached everyone.
    async fn reached(&self, enough: fn(&Self) -> bool) {
        while !enough(self) {
            self.reached.notified().await;
        }
    }

    /// The next message, owed to everyone who is here. Returns its number, and how many they are.
    fn publish(&self, intended: Instant) -> (u64, u64) {
        let receivers = self.lock();
        let seq = self.published.load(Ordering::Acquire);
        let place = self.place(seq);
        place.intended.store((intended - self.epoch).as_nanos() as u64, Ordering::Release);
        place.owed.store(*receivers, Ordering::Release);
        self.published.store(seq + 1, Ordering::Release);
        (seq, *receivers)
    }

    /// Message `seq` came to a line that has everything before `next`.
    fn hear(&self, seq: u64, next: u64, now: Instant) -> Heard {
        if seq >= self.published.load(Ordering::Acquire) {
            return Heard::Unknown;
        }
        if seq < next {
            return Heard::Repeated;
        }
        // Before it is paid: afterwards its place may be taken.
        let intended = self.epoch + Duration::from_nanos(self.place(seq).intended.load(Ordering::Acquire));
        for missed in next..seq {
            self.pay(missed);
        }
        let last = self.pay(seq);
        Heard::New { after: now.saturating_duration_since(intended), missed: seq - next, last }
    }

    fn pay(&self, seq: u64) -> bool {
        let last = self.place(seq).owed.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.reached.notify_one();
        }
        last
    }

    fn place(&self, seq: u64) -> &Place {
        &self.places[(seq % self.places.len() as u64) as usize]
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Receives, from when the line is open until nothing more will come.
pub(super) async fn hear(worker: &Worker, seat: &Seat, line: &mut Line) -> Result<(), Ended> {
    let Some(ledger) = worker.ledger.as_deref() else { return Ok(()) };
    let mut next = 0;
    let ended = hear_all(worker, seat, line, ledger, &mut next).await;
    worker.tally.borrow_mut().messages.undelivered += ledger.leave(next);
    ended
}

async fn hear_all(worker: &Worker, seat: &Seat, line: &mut Line, ledger: &Ledger, next: &mut u64) -> Result<(), Ended> {
    let mut until = None;
    loop {
        // Orders to drain come when everything is published.
        if let Some((_, told)) = worker.draining() {
            if *next >= ledger.published.load(Ordering::Acquire) {
                return Ok(());
            }
            // A deadline that was told is for what is left of an interrupted run.
            until = until.or(Some(told.unwrap_or_else(|| Instant::now() + worker.plan.reply_timeout)));
        }
        if worker.is_closing() {
            return Ok(());
        }
        let overdue = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            received = line.recv_ref() => {
                let Some((message, _)) = received? else { return Err(Ended::ByServer(None)) };
                let now = Instant::now();
                let seq = worker.renderer.borrow().payload().marked_seq(message.as_bytes());
                let messages = &mut worker.tally.borrow_mut().messages;
                match seq.map(|seq| (seq, ledger.hear(seq, *next, now))) {
                    Some((seq, Heard::New { after, missed, last })) => {
                        *next = seq + 1;
                        messages.undelivered += missed;
                        messages.latency.record(after);
                        if last {
                            messages.completion.record(after);
                        }
                        match worker.draining() {
                            Some((at, _)) if now > at => messages.late += 1,
                            _ => {
                                messages.received += 1;
                                messages.received_bytes += message.as_bytes().len() as u64;
                            }
                        }
                    }
                    Some((_, Heard::Repeated)) => messages.repeated += 1,
                    Some((_, Heard::Unknown)) | None if worker.is_open() => {}
                    Some((_, Heard::Unknown)) | None => messages.unasked += 1,
                }
            }
            () = seat.bell.rung() => {}
            () = overdue => return Ok(()),
        }
    }
}

/// Publishes until it is told to stop, or has published everything.
pub(super) async fn publish(worker: Rc<Worker>) {
    let (Mode::FanOut { load, publisher, .. }, Some(ledger)) = (&worker.plan.mode, worker.ledger.clone()) else {
        return;
    };
    let mut line = match publisher.open().await {
        Ok((line, _)) => line,
        Err(error) => {
            ledger.finish();
            let _ = worker.news.send(News::NoPublisher(error));
            return;
        }
    };
    let ended = publish_all(&worker, &ledger, load, &mut line).await;
    ledger.finish();
    let _ = worker.news.send(News::Published);
    match ended {
        Ok(()) => {
            let _ = until(&mut line, &worker, Worker::is_closing).await;
            let _ = line.close(CloseCode::NORMAL, "").await;
        }
        Err(why) => worker.tally.borrow_mut().lines.lost.add(format!("the publisher: {why}"), String::new),
    }
}

/// Publishes; what it says when it has to give up.
async fn publish_all(worker: &Worker, ledger: &Ledger, load: &Load, line: &mut Line) -> Result<(), String> {
    until(line, worker, |worker| worker.load_began.get().is_some() || !worker.publishes.get()).await?;
    let Some(start) = worker.load_began.get() else { return Ok(()) };
    let timer = Timer::new().map_err(|error| error.to_string())?;
    let pace = load.rate.map(|rate| Schedule { start, rate });
    let mut seq = 0;
    while worker.budget_left() {
        let due = async {
            match pace {
                Some(pace) => timer.sleep_until(pace.due(seq)).await,
                None => Ok(()),
            }
        };
        let room = ledger.reached(Ledger::has_room);
        // The same message cannot be late for both reasons: what is due waits for room.
        let ready = async {
            due.await.map_err(|error| error.to_string())?;
            timeout(worker.plan.reply_timeout, room).await.map_err(|_| {
                let timeout = humantime::format_duration(worker.plan.reply_timeout);
                format!("a message had not reached everyone after {timeout}")
            })
        };
        let go_on = tokio::select! {
            biased;
            stopped = until(line, worker, |worker| !worker.publishes.get()) => {
                stopped?;
                false
            }
            ready = ready => {
                ready?;
                true
            }
        };
        let now = Instant::now();
        if !go_on {
            if let Some(pace) = pace {
                worker.tally.borrow_mut().messages.unsent += pace.count(now).saturating_sub(seq);
            }
            return Ok(());
        }
        let intended = pace.map_or(now, |pace| pace.due(seq));
        let (number, receivers) = ledger.publish(intended);
        if receivers == 0 {
            return Err("nobody is left to receive".to_owned());
        }
        let message = worker.renderer.borrow_mut().owned(Stamp { seq: number, ..Stamp::default() });
        {
            let messages = &mut worker.tally.borrow_mut().messages;
            messages.sent += 1;
            messages.sent_bytes += message.len() as u64;
            if pace.is_some() {
                messages.lateness.record(now.saturating_duration_since(intended));
            }
        }
        worker.spend();
        line.send(message).await.map_err(|error| error.to_string())?;
        seq += 1;
    }
    // What does not arrive in time, the lines will miss.
    tokio::select! {
        stopped = until(line, worker, |worker| !worker.publishes.get()) => stopped,
        _ = timeout(worker.plan.reply_timeout, ledger.reached(Ledger::is_empty)) => Ok(()),
    }
}

/// Receives, so that pings are answered, until it is time for something else. What comes to a publisher is dropped.
async fn until(line: &mut Line, worker: &Worker, wanted: fn(&Worker) -> bool) -> Result<(), String> {
    while !wanted(worker) {
        tokio::select! {
            received = line.recv_ref() => match received {
                Ok(Some(_)) => {}
                Ok(None) => return Err("the server closed its line".to_owned()),
                Err(error) => return Err(error.to_string()),
            },
            () = worker.publisher.rung() => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_everyone_has_its_message() {
        let ledger = Ledger::new(1);
        ledger.join();
        ledger.join();
        let start = Instant::now();
        assert_eq!(ledger.publish(start), (0, 2));
        assert!(!ledger.has_room());
        let now = start + Duration::from_millis(3);
        let heard = |last| Heard::New { after: Duration::from_millis(3), missed: 0, last };
        assert_eq!(ledger.hear(0, 0, now), heard(false));
        assert_eq!(ledger.hear(0, 0, now), heard(true));
        assert!(ledger.has_room());
        assert_eq!(ledger.hear(0, 1, now), Heard::Repeated);
        assert_eq!(ledger.hear(1, 1, now), Heard::Unknown);
    }

    #[test]
    fn what_is_skipped_is_missed_and_who_leaves_is_owed_nothing() {
        let ledger = Ledger::new(4);
        ledger.join();
        ledger.join();
        let start = Instant::now();
        for seq in 0..4 {
            assert_eq!(ledger.publish(start).0, seq);
        }
        assert_eq!(ledger.hear(2, 0, start), Heard::New { after: Duration::ZERO, missed: 2, last: false });
        assert_eq!(ledger.leave(3), 1);
        assert!(!ledger.has_room());
        assert_eq!(ledger.leave(0), 4);
        assert!(ledger.has_room());
    }
}
