//! Every deadline of an open connection, with time as an argument. Nothing here reads a clock.

use std::time::{Duration, Instant};

use crate::limits::Config;
use crate::output::Output;
use crate::state::{CENTURY, after};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing came for `ping_interval`.
    Ping,
    /// Nothing came for `pong_timeout` after our ping was written.
    Pong,
    /// A begun message got no byte for `message_timeout`.
    Message,
    /// No message came or went, nor any part of one, for `idle_timeout`.
    Idle,
    /// The peer took no byte for `write_timeout`.
    Write,
}

/// What the deadlines are counted from.
#[derive(Debug)]
pub(crate) struct Clock {
    /// When bytes last came.
    heard: Instant,
    ping: Ping,
    /// When a begun message last got a byte.
    grew: Option<Instant>,
    /// When a message, or a part of one, last came or went.
    spoke: Instant,
    /// Whether one went since this was last looked at: sending has no time of its own.
    pub(crate) sent: bool,
    /// What `Output` had written, and since when it has not moved.
    stalled: Option<(u64, Instant)>,
    /// Spreads the pings of connections that were opened together.
    jitter: u32,
}

/// Our ping, since bytes last came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ping {
    None,
    /// Queued, and not written when this was last looked at.
    Waits,
    /// Seen to be written.
    Sent(Instant),
}

impl Clock {
    pub(crate) fn new(now: Instant) -> Self {
        Self { heard: now, ping: Ping::None, grew: None, spoke: now, sent: false, stalled: None, jitter: 1 << 31 }
    }

    /// Begins the sequence of jitter elsewhere.
    pub(crate) fn seed(&mut self, seed: u32) {
        self.jitter = seed;
    }

    /// Any byte shows that the peer lives: more is not asked of a busy line.
    #[inline]
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.ping = Ping::None;
    }

    /// Nobody listens: what would have been heard is unknown.
    pub(crate) fn hold(&mut self, now: Instant) {
        self.heard(now);
        self.grew = self.grew.map(|_| now);
    }

    /// Some of a message came, or all of it; whether one is begun now.
    #[inline]
    pub(crate) fn data(&mut self, begun: bool, now: Instant) {
        self.spoke = now;
        self.grew = begun.then_some(now);
    }

    /// Our ping was queued.
    pub(crate) fn pinged(&mut self) {
        self.ping = Ping::Waits;
        self.jitter = self.jitter.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }

    /// The earliest deadline and what it is for.
    pub(crate) fn next(&mut self, config: &Config, output: &Output, now: Instant) -> Option<(Instant, Due)> {
        if std::mem::take(&mut self.sent) {
            self.spoke = now;
        }
        self.watch(output, now);
        if self.ping == Ping::Waits && !output.has_control() {
            self.ping = Ping::Sent(now);
        }
        let keepalive = config.ping_interval.and_then(|interval| match self.ping {
            Ping::None => Some((after(self.heard, self.spread(interval)), Due::Ping)),
            // A ping that is not written yet cannot be answered: whether the peer reads is another deadline's question.
            Ping::Waits => None,
            Ping::Sent(at) => Some((after(at, config.pong_timeout), Due::Pong)),
        });
        let message = self.grew.map(|grew| (after(grew, config.message_timeout), Due::Message));
        let idle = config.idle_timeout.map(|idle| (after(self.spoke, idle), Due::Idle));
        let write = self.stalled.map(|(_, since)| (after(since, config.write_timeout), Due::Write));
        [keepalive, message, idle, write].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether the deadlines there are can only move back: only the peer's silence and our own are timed.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.ping == Ping::None && self.grew.is_none() && self.stalled.is_none()
    }

    /// Nothing waits for the peer.
    #[inline]
    pub(crate) fn wrote_everything(&mut self) {
        self.stalled = None;
    }

    /// Notes since when the peer has taken nothing of what waits.
    fn watch(&mut self, output: &Output, now: Instant) {
        self.stalled = match self.stalled {
            _ if output.is_empty() && !output.is_flushing() => None,
            Some((written, since)) if written == output.written() => Some((written, since)),
            _ => Some((output.written(), now)),
        };
    }

    /// 90 % to 110 % of the interval.
    fn spread(&self, interval: Duration) -> Duration {
        interval.min(CENTURY).mul_f64(0.9 + 0.2 * f64::from(self.jitter) / f64::from(u32::MAX))
    }
}
