//! The load: connections that always have the same number of messages in flight, on one thread.
//!
//! A reply is answered with the next request at once, and all replies of one read with one write. Cheap enough to keep a server
//! busy that does nothing but copy: requests are built in advance, replies are compared with a prediction, nothing is allocated.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

use crate::{
    cell::Cell,
    child::Running,
    compressed::Compressed,
    cpu::CpuClock,
    line::Line,
    servers::Server,
    wire::{Progress, Wire},
};

/// What the server did in one stretch of time.
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) reply_bytes: u64,
    pub(crate) wall: Duration,
    pub(crate) server_cpu: Duration,
    pub(crate) load_cpu: Duration,
    pub(crate) latency_us: Histogram<u64>,
}

/// What speaks at the other end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protocol {
    WebSocket,
    Raw,
}

/// Loads `server` at `address` for `warm_up`, then for `time`, of which it reports, and ends the server.
pub(crate) fn run(
    running: Running,
    address: SocketAddr,
    server: &Server,
    cell: Cell,
    [warm_up, time]: [Duration; 2],
) -> Result<Measured> {
    let server_clock = CpuClock::of(running.pid())?;
    let mut load = Load::new(address, server, cell)?;
    load.run_for(warm_up)?;

    (load.messages, load.reply_bytes) = (0, 0);
    load.latency_us.reset();
    let load_clock = CpuClock::of_this_thread();
    let (started, server_before, load_before) = (Instant::now(), server_clock.read()?, load_clock.read()?);
    load.run_for(time)?;
    let (wall, server_after, load_after) = (started.elapsed(), server_clock.read()?, load_clock.read()?);
    ensure!(load.messages > 0, "no reply in {time:?}");

    // Before the connections: whoever closes first keeps their ports for a minute (TIME-WAIT), and the load would run out of them.
    drop(running);

    Ok(Measured {
        messages: load.messages,
        reply_bytes: load.reply_bytes,
        wall,
        server_cpu: server_after - server_before,
        load_cpu: load_after - load_before,
        latency_us: load.latency_us,
    })
}

/// Connections under load.
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    speech: Speech,
    /// As many requests as one connection may have in flight. They are numbered and sent from here.
    batch: Vec<u8>,
    input: Vec<u8>,
    epoch: Instant,
    /// Replies so far.
    pub(crate) messages: u64,
    /// Bytes of them that were read.
    reply_bytes: u64,
    latency_us: Histogram<u64>,
}

/// What is said and expected on every connection.
enum Speech {
    /// Replies are predicted byte by byte.
    Plain(Wire),
    Compressed(Box<Compressed>),
}

impl Load {
    /// Opens the connections, and sends the first messages on each.
    pub(crate) fn new(address: SocketAddr, server: &Server, cell: Cell) -> Result<Load> {
        let speech = match server.protocol {
            Protocol::WebSocket if cell.over.deflate => Speech::Compressed(Box::new(Compressed::new(cell)?)),
            Protocol::WebSocket => Speech::Plain(Wire::websocket(cell)),
            Protocol::Raw => Speech::Plain(Wire::raw(cell)),
        };
        let poll = Poll::new()?;
        let connections = (0..cell.connections)
            .map(|id| {
                let mut line =
                    Line::open(address, server, STALL_TIMEOUT).with_context(|| format!("connection {id}"))?;
                poll.registry().register(line.tcp(), Token(id), Interest::READABLE | Interest::WRITABLE)?;
                Ok(Connection::new(line, id, cell.in_flight))
            })
            .collect::<Result<_>>()?;
        let mut load = Load {
            poll,
            events: Events::with_capacity(cell.connections.min(1024)),
            connections,
            batch: match &speech {
                Speech::Plain(wire) => wire.batch(cell.in_flight),
                Speech::Compressed(_) => Vec::new(),
            },
            input: vec![0; INPUT_BYTES],
            speech,
            epoch: Instant::now(),
            messages: 0,
            reply_bytes: 0,
            latency_us: latencies()?,
        };
        for connection in &mut load.connections {
            connection.send(cell.in_flight, &load.speech, &mut load.batch, 0)?;
        }
        Ok(load)
    }

    /// Answers each reply with the next message, for so long.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.run_while(true, |_| Instant::now() < end)
    }

    /// Receives until nothing is on its way, and sends nothing: what is counted from here on is not of what was before.
    pub(crate) fn drain(&mut self) -> Result<()> {
        let on_their_way = |connection: &Connection| connection.next_reply < connection.next_request;
        self.run_while(false, |load| load.connections.iter().any(on_their_way))
    }

    /// Sends the first messages again, after a drain.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let now = self.epoch.elapsed().as_nanos() as u64;
        for connection in &mut self.connections {
            connection.send(connection.sent_at.len(), &self.speech, &mut self.batch, now)?;
        }
        Ok(())
    }

    fn run_while(&mut self, sends: bool, wanted: impl Fn(&Load) -> bool) -> Result<()> {
        let mut last_reply = Instant::now();
        while wanted(self) {
            let now = Instant::now();
            ensure!(now - last_reply < STALL_TIMEOUT, "no reply for {STALL_TIMEOUT:?}");
            // Never asleep: else a server would pay with each write for waking the load, the more the sooner the load is done.
            match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => done?,
            }
            let before = self.messages;
            for event in &self.events {
                let id = event.token().0;
                let connection = &mut self.connections[id];
                connection.line.flush()?;
                if !connection.unsent.is_empty() {
                    connection.write_unsent()?;
                }
                loop {
                    let length = match connection.line.read(&mut self.input) {
                        Ok(0) => bail!("the server closed connection {id}"),
                        Ok(length) => length,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        Err(error) => return Err(error).with_context(|| format!("connection {id}")),
                    };
                    let now = self.epoch.elapsed().as_nanos() as u64;
                    let replies =
                        connection.receive(&self.input[..length], &mut self.speech, now, &mut self.latency_us)?;
                    if sends {
                        connection.send(replies, &self.speech, &mut self.batch, now)?;
                    }
                    self.messages += replies as u64;
                    self.reply_bytes += length as u64;
                    // mio is edge-triggered, but a short read has seen the end of what is there: more will be a new event.
                    if length < self.input.len() && connection.line.reads_all() {
                        break;
                    }
                }
            }
            if self.messages > before {
                last_reply = now;
            }
        }
        Ok(())
    }
}

struct Connection {
    line: Line,
    /// The number of the next request; the connection's own number is in the upper half.
    next_request: u64,
    /// The number of the reply that is due, and how much of it has come.
    next_reply: u64,
    progress: Progress,
    /// The same of a compressed reply: its bytes.
    begun: Vec<u8>,
    /// When each request in flight was sent, in nanoseconds, at its number modulo the depth.
    sent_at: Box<[u64]>,
    /// What the kernel did not take, from `unsent_from` on.
    unsent: Vec<u8>,
    unsent_from: usize,
}

impl Connection {
    fn new(line: Line, id: usize, in_flight: usize) -> Connection {
        let first = (id as u64) << 32;
        let sent_at = vec![0; in_flight].into();
        Connection {
            line,
            next_request: first,
            next_reply: first,
            progress: Progress::default(),
            begun: Vec::new(),
            sent_at,
            unsent: Vec::new(),
            unsent_from: 0,
        }
    }

    /// Checks what came and returns how many replies it completed.
    fn receive(
        &mut self,
        mut input: &[u8],
        speech: &mut Speech,
        now: u64,
        latency_us: &mut Histogram<u64>,
    ) -> Result<usize> {
        let first = self.next_reply;
        while !input.is_empty() {
            ensure!(
                self.next_reply < self.next_request,
                "bytes after the last reply: {:02x?}",
                &input[..input.len().min(16)]
            );
            let (length, is_whole) = match speech {
                Speech::Plain(wire) => {
                    let length = wire.check(input, self.next_reply, &mut self.progress)?;
                    (length, self.progress.is_between())
                }
                Speech::Compressed(wire) => {
                    let length = wire.check(input, self.next_reply, &mut self.begun)?;
                    (length, self.begun.is_empty())
                }
            };
            input = &input[length..];
            if is_whole {
                let sent_at = self.sent_at[self.slot(self.next_reply)];
                latency_us.saturating_record((now - sent_at) / 1000);
                self.next_reply += 1;
            }
        }
        Ok((self.next_reply - first) as usize)
    }

    /// Sends the next `count` requests in one write.
    fn send(&mut self, count: usize, speech: &Speech, batch: &mut Vec<u8>, now: u64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let requests = match speech {
            Speech::Plain(wire) => wire.number(batch, self.next_request, count),
            Speech::Compressed(wire) => wire.number(batch, self.next_request, count),
        };
        for _ in 0..count {
            self.sent_at[self.slot(self.next_request)] = now;
            self.next_request += 1;
        }
        if !self.unsent.is_empty() {
            self.unsent.extend(requests);
            return self.write_unsent();
        }
        let sent = write(&mut self.line, requests)?;
        self.unsent.extend(&requests[sent..]);
        Ok(())
    }

    fn write_unsent(&mut self) -> Result<()> {
        self.unsent_from += write(&mut self.line, &self.unsent[self.unsent_from..])?;
        // Not after each write: what is left may be many megabytes.
        if self.unsent_from * 2 > self.unsent.len() {
            self.unsent.drain(..self.unsent_from);
            self.unsent_from = 0;
        }
        Ok(())
    }

    fn slot(&self, number: u64) -> usize {
        (number & 0xffff_ffff) as usize % self.sent_at.len()
    }
}

/// Bounded, so that recording never allocates: from a microsecond to more than `STALL_TIMEOUT`, to three digits.
fn latencies() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// Writes until done or until the kernel takes no more.
fn write(line: &mut Line, bytes: &[u8]) -> Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match line.write(&bytes[sent..]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot write to the server"),
        }
    }
    Ok(sent)
}

/// Holds every reply that is in flight on one connection in the cells measured by default.
const INPUT_BYTES: usize = 256 << 10;

/// An echo takes milliseconds; a server that is silent for this long has lost a message or a wake-up.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_from_microseconds_to_seconds() {
        for latency in [1, 75, 1330, 75_498, 4_999_000] {
            let mut latency_us = latencies().unwrap();
            latency_us.saturating_record(latency);
            assert!(latency_us.value_at_quantile(0.5).abs_diff(latency) <= latency / 1000, "{latency}");
        }
    }
}
