//! Two ends and the network between them, under a clock that only the test moves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openline_proto::{Closed, Config, Connection, IoState, Output, ProtocolError, TimedOut};

use crate::heard::{Heard, Mode, feed};
use crate::link;

pub(crate) struct Pair {
    pub(crate) client: End,
    pub(crate) server: End,
    began: Instant,
    pub(crate) now: Instant,
}

/// One end: a connection, its driver, its application, and the way to the other end.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) output: Output,
    /// What the application heard, and when.
    pub(crate) heard: Vec<(Duration, Heard)>,
    /// What went wrong, and when.
    pub(crate) timed_out: Option<(Duration, TimedOut)>,
    pub(crate) error: Option<(Duration, ProtocolError)>,
    /// When the socket was dropped.
    pub(crate) dropped: Option<Duration>,
    /// A message that the application sends whenever there is room.
    pub(crate) flood: Option<Vec<u8>>,
    /// Whether the application takes messages; its driver does not read when it does not.
    pub(crate) reads: bool,
    /// Until when nobody looks at this end at all.
    pub(crate) asleep: Option<Instant>,
    /// An end that never ends its side of TCP.
    pub(crate) never_drops: bool,
    pub(crate) link: Link,
}

/// One direction of a TCP connection.
pub(crate) struct Link {
    pub(crate) latency: Duration,
    /// How many bytes it takes before they are read at the other end.
    pub(crate) capacity: usize,
    /// Takes bytes, up to its capacity, and delivers none.
    pub(crate) stalled: bool,
    on_the_way: VecDeque<(Instant, Packet)>,
    bytes: usize,
    ended: bool,
}

enum Packet {
    Bytes(Vec<u8>),
    End,
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config) -> Self {
        let now = Instant::now();
        Self {
            client: End::new(Connection::client(&Default::default(), Arc::new(client), [9; 32], now)),
            server: End::new(Connection::server(&Default::default(), Arc::new(server), now)),
            began: now,
            now,
        }
    }

    /// Time since the beginning.
    pub(crate) fn time(&self) -> Duration {
        self.now - self.began
    }

    /// Lets `time` pass.
    pub(crate) fn drive(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Does all that is to be done now, then goes to the next moment at which something happens, or to `end`; whether that
    /// is yet to come.
    pub(crate) fn step(&mut self, end: Instant) -> bool {
        loop {
            let client = self.client.turn(&mut self.server.link, self.began, self.now);
            let server = self.server.turn(&mut self.client.link, self.began, self.now);
            if !client && !server {
                break;
            }
        }
        let next = [self.client.next(&self.server.link, self.now), self.server.next(&self.client.link, self.now)];
        let next = next.into_iter().flatten().min().map_or(end, |next| next.min(end));
        assert!(next > self.now || next == end, "time stands still");
        self.now = next;
        next < end
    }
}

impl End {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            output: Output::new(),
            heard: Vec::new(),
            timed_out: None,
            error: None,
            dropped: None,
            flood: None,
            reads: true,
            asleep: None,
            never_drops: false,
            link: Link {
                latency: Duration::from_millis(50),
                capacity: 64 << 10,
                stalled: false,
                on_the_way: VecDeque::new(),
                bytes: 0,
                ended: false,
            },
        }
    }

    pub(crate) fn closed(&self) -> &Closed {
        self.connection.closed().expect("not closed")
    }

    /// What the application heard, without when.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.iter().map(|(_, heard)| heard.clone()).collect()
    }

    /// One turn of the driver: read, write, look at the clock, write. Whether anything happened.
    fn turn(&mut self, from: &mut Link, began: Instant, now: Instant) -> bool {
        if self.asleep.is_some_and(|until| until > now) || self.dropped.is_some() {
            return false;
        }
        let time = now - began;
        let mut happened = false;
        if !self.reads {
            self.connection.hold_keepalive(now);
        }
        while self.reads
            && let Some(packet) = from.receive(now)
        {
            happened = true;
            let Packet::Bytes(bytes) = packet else {
                self.connection.receive_eof();
                break;
            };
            let mut heard = Vec::new();
            let result = feed(&mut self.connection, Mode::Whole, &bytes, now, &mut self.output, &mut heard);
            self.heard.extend(heard.into_iter().map(|heard| (time, heard)));
            if let Err(error) = result {
                self.error = Some((time, error));
            }
        }
        happened |= self.write(now);
        while self.connection.next_timeout(&self.output, now).is_some_and(|at| at <= now) {
            happened = true;
            if let Err(error) = self.connection.handle_timeout(now, &mut self.output) {
                self.timed_out = Some((time, error));
            }
        }
        happened |= self.write(now);
        match self.connection.io_state() {
            IoState::Shutdown if self.output.is_empty() && !self.link.ended && !self.never_drops => {
                self.link.end(now);
                happened = true;
            }
            IoState::Closed => {
                if !self.never_drops {
                    self.link.end(now);
                }
                self.dropped = Some(time);
                happened = true;
            }
            _ => {}
        }
        happened
    }

    fn write(&mut self, now: Instant) -> bool {
        let mut happened = false;
        loop {
            if let Some(message) = &self.flood {
                while self.connection.has_room(&self.output) {
                    if self.connection.send(&message[..], &mut self.output).is_err() {
                        break;
                    }
                }
            }
            let written = link::write(&mut self.output, self.link.room(), 16);
            if written.is_empty() {
                return happened;
            }
            self.link.send(written, now);
            happened = true;
        }
    }

    /// When this end has something to do.
    fn next(&mut self, from: &Link, now: Instant) -> Option<Instant> {
        if self.dropped.is_some() {
            return None;
        }
        if let Some(until) = self.asleep.filter(|until| *until > now) {
            return Some(until);
        }
        let arrives = if self.reads { from.arrives() } else { None };
        let times_out = self.connection.next_timeout(&self.output, now);
        [arrives, times_out].into_iter().flatten().min()
    }
}

impl Link {
    fn room(&self) -> usize {
        if self.ended { 0 } else { self.capacity - self.bytes }
    }

    fn send(&mut self, bytes: Vec<u8>, now: Instant) {
        self.bytes += bytes.len();
        self.on_the_way.push_back((now + self.latency, Packet::Bytes(bytes)));
    }

    fn end(&mut self, now: Instant) {
        if !self.ended {
            self.ended = true;
            self.on_the_way.push_back((now + self.latency, Packet::End));
        }
    }

    fn arrives(&self) -> Option<Instant> {
        self.on_the_way.front().filter(|_| !self.stalled).map(|(at, _)| *at)
    }

    fn receive(&mut self, now: Instant) -> Option<Packet> {
        self.arrives().filter(|at| *at <= now)?;
        let (_, packet) = self.on_the_way.pop_front()?;
        if let Packet::Bytes(bytes) = &packet {
            self.bytes -= bytes.len();
        }
        Some(packet)
    }
}
