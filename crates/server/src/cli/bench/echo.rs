//! Messages and their replies on one line.

use std::collections::VecDeque;
use std::pin::pin;

use openline::{Message, MessageRef};
use tokio::time::{Instant, sleep_until};

use super::args::Expect;
use super::line::Ended;
use super::open::Line;
use super::payload::Stamp;
use super::plan::Load;
use super::worker::{Seat, Worker};

/// Sends and receives until there is nothing more to send and nothing to wait for.
pub(super) async fn talk(
    worker: &Worker,
    seat: &Seat,
    line: &mut Line,
    load: &Load,
    expect: Expect,
) -> Result<(), Ended> {
    let mut talk = Talk { worker, seat, load, expect, seq: 0, flight: VecDeque::with_capacity(load.in_flight.min(64)) };
    let ended = talk.run(line).await;
    talk.settle();
    ended
}

struct Talk<'a> {
    worker: &'a Worker,
    seat: &'a Seat,
    load: &'a Load,
    expect: Expect,
    /// Of the next message.
    seq: u64,
    /// What was sent and is not answered, the oldest first.
    flight: VecDeque<Sent>,
}

struct Sent {
    stamp: Stamp,
    /// When it was due, or without a rate when it left.
    intended: Instant,
    left: Instant,
}

impl Talk<'_> {
    async fn run(&mut self, line: &mut Line) -> Result<(), Ended> {
        let timeout = self.worker.plan.reply_timeout;
        // Set to the oldest message only when it fires: once in a timeout, and not once for each message.
        let mut overdue = pin!(sleep_until(Instant::now() + timeout));
        loop {
            while let Some((intended, now)) = self.due() {
                let message = self.depart(intended, now);
                line.feed(message).await?;
            }
            if self.flight.is_empty() && self.is_done() {
                return Ok(());
            }
            if self.worker.is_closing() {
                self.abandon();
                return Ok(());
            }
            tokio::select! {
                biased;
                received = line.recv_ref() => {
                    let Some((message, mut reply)) = received? else { return Err(Ended::ByServer(None)) };
                    let now = Instant::now();
                    self.receive(message, now);
                    // In the same write as the answers to everything else that this read brought.
                    if self.load.rate.is_none() && self.may_send() {
                        let stamp = self.leaves(now, now);
                        let mut renderer = self.worker.renderer.borrow_mut();
                        let message = renderer.message(stamp);
                        self.count_sent(message.as_bytes().len());
                        reply.feed(message).map_err(|error| Ended::ByServer(Some(error.into())))?;
                    }
                }
                () = self.seat.bell.rung() => {
                    if let Some((_, Some(until))) = self.worker.draining() {
                        let until = until.min(overdue.deadline());
                        overdue.as_mut().reset(until);
                    }
                }
                () = &mut overdue => {
                    let now = Instant::now();
                    if let Some((_, Some(until))) = self.worker.draining() && now >= until {
                        self.abandon();
                        return Ok(());
                    }
                    match self.flight.front() {
                        Some(oldest) if now >= oldest.left + timeout => return Err(Ended::Silent),
                        Some(oldest) => overdue.as_mut().reset(oldest.left + timeout),
                        None => overdue.as_mut().reset(now + timeout),
                    }
                }
            }
        }
    }

    /// Waits no more for what is on its way.
    fn abandon(&mut self) {
        let abandoned = self.flight.drain(..).count();
        self.worker.tally.borrow_mut().messages.abandoned += abandoned as u64;
    }

    /// Whether the next message may leave, as far as others are concerned.
    fn may_send(&self) -> bool {
        self.flight.len() < self.load.in_flight && self.worker.is_loading() && self.worker.budget_left()
    }

    /// When the next message was due, and now, if it is.
    fn due(&self) -> Option<(Instant, Instant)> {
        if self.flight.len() >= self.load.in_flight || !self.worker.budget_left() {
            return None;
        }
        let Some(pace) = self.seat.pace.get() else {
            return self.worker.is_loading().then(Instant::now).map(|now| (now, now));
        };
        let (now, due) = (Instant::now(), pace.due(self.seq));
        let in_time = match self.worker.draining() {
            // What was due before the end is sent after it rather than never, or a stall at the end would not show.
            Some((at, _)) => due < at,
            None => self.worker.is_loading(),
        };
        (in_time && due <= now).then_some((due, now))
    }

    /// Whether no further message will leave.
    fn is_done(&self) -> bool {
        !self.worker.budget_left() || !self.worker.is_loading()
    }

    fn depart(&mut self, intended: Instant, now: Instant) -> Message {
        let stamp = self.leaves(intended, now);
        let message = self.worker.renderer.borrow_mut().owned(stamp);
        self.count_sent(message.len());
        message
    }

    fn leaves(&mut self, intended: Instant, now: Instant) -> Stamp {
        let stamp = self.worker.stamp(self.seat.id, self.seq, now);
        self.seq += 1;
        self.worker.spend();
        self.flight.push_back(Sent { stamp, intended, left: now });
        if self.load.rate.is_some() {
            self.worker.tally.borrow_mut().messages.lateness.record(now - intended);
        }
        stamp
    }

    fn count_sent(&self, bytes: usize) {
        let messages = &mut self.worker.tally.borrow_mut().messages;
        messages.sent += 1;
        messages.sent_bytes += bytes as u64;
    }

    fn receive(&mut self, reply: MessageRef<'_>, now: Instant) {
        let messages = &mut self.worker.tally.borrow_mut().messages;
        let Some(sent) = self.flight.pop_front() else {
            messages.unasked += 1;
            return;
        };
        if self.expect == Expect::Echo
            && let Err(wrong) = self.worker.renderer.borrow_mut().check(sent.stamp, reply)
        {
            messages.wrong.add(wrong.sort(), || wrong.detail());
            return;
        }
        messages.latency.record(now - sent.intended);
        match self.worker.draining() {
            Some((at, _)) if now > at => messages.late += 1,
            _ => {
                messages.received += 1;
                messages.received_bytes += reply.as_bytes().len() as u64;
            }
        }
    }

    /// Counts what will not happen any more.
    fn settle(&mut self) {
        let messages = &mut self.worker.tally.borrow_mut().messages;
        messages.unanswered += self.flight.len() as u64;
        if let (Some(pace), true) = (self.seat.pace.get(), self.worker.budget_left()) {
            let end = self.worker.draining().map_or_else(Instant::now, |(at, _)| at);
            messages.unsent += pace.count(end).saturating_sub(self.seq);
        }
    }
}
