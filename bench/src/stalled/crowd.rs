//! Those who listen, on one thread: each hears every message, in order and once, until it stops reading.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};

use crate::{
    frame::{self, PING, PONG, TEXT, client_frame},
    opening,
    overhead::publisher,
};

pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    ears: Vec<Ear>,
    /// The first so many go on; the others stop.
    readers: usize,
    /// Of each message.
    bytes: usize,
    input: Vec<u8>,
}

/// Somebody who listens.
struct Ear {
    stream: TcpStream,
    /// Of a frame that has not come to its end.
    rest: Vec<u8>,
    next: u32,
}

impl Crowd {
    pub(super) fn open(address: SocketAddr, readers: u32, stalled: u32, bytes: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut ears = Vec::new();
        for id in 0..readers + stalled {
            let mut stream = TcpStream::from_std(connect(address, false)?);
            poll.registry().register(&mut stream, Token(id as usize), Interest::READABLE)?;
            ears.push(Ear { stream, rest: Vec::new(), next: 0 });
        }
        let events = Events::with_capacity(1024);
        Ok(Self { poll, events, ears, readers: readers as usize, bytes, input: vec![0; 64 << 10] })
    }

    /// Some read nothing from now on: they come anew, each with so small buffers that what waits for it waits in the server, and not
    /// in the systems of both ends, which take megabytes.
    pub(super) fn stall(&mut self, address: SocketAddr) -> Result<()> {
        for ear in &mut self.ears[self.readers..] {
            // The old one is closed, and so no longer polled; the new one never is.
            *ear = Ear { stream: TcpStream::from_std(connect(address, true)?), rest: Vec::new(), next: 0 };
        }
        Ok(())
    }

    /// Until all who go on have heard the messages below `end`. How late, in microseconds.
    pub(super) fn listen(&mut self, end: u32, start: Instant, given_up: &AtomicBool) -> Result<Histogram<u64>> {
        let mut delays = Histogram::new(3)?;
        let mut waiting = self.ears[..self.readers].iter().filter(|ear| ear.next < end).count();
        let mut last = Instant::now();
        while waiting > 0 {
            ensure!(!given_up.load(Ordering::Relaxed), "the publisher has given up");
            ensure!(last.elapsed() < STALL_TIMEOUT, "{waiting} hear nothing for {STALL_TIMEOUT:?}");
            match self.poll.poll(&mut self.events, Some(Duration::from_secs(1))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => done?,
            }
            for event in &self.events {
                let id = event.token().0;
                let Some(ear) = self.ears.get_mut(id) else { continue };
                let was_waiting = ear.next < end;
                let goes_on = id < self.readers;
                ear.hear(&mut self.input, |text| {
                    let (number, sent) = publisher::read(text, self.bytes)
                        .with_context(|| format!("nobody published {:?}", text.get(..40)))?;
                    if goes_on {
                        let delay = start.elapsed().saturating_sub(sent);
                        delays.record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX))?;
                    }
                    Ok(number)
                })?;
                waiting -= usize::from(goes_on && was_waiting && ear.next >= end);
                last = Instant::now();
            }
        }
        Ok(delays)
    }
}

impl Ear {
    /// Reads what is there. `said` is told the text of each message, and says its number.
    fn hear(&mut self, input: &mut [u8], mut said: impl FnMut(&str) -> Result<u32>) -> Result<()> {
        loop {
            let length = match self.stream.read(input) {
                Ok(0) => bail!("the server closed a reader that reads"),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("a reader"),
            };
            self.rest.extend_from_slice(&input[..length]);
            let mut unread = &self.rest[..];
            while let Some((opcode, payload, taken)) = whole_frame(unread)? {
                match opcode {
                    TEXT => {
                        let number = said(std::str::from_utf8(payload)?)?;
                        ensure!(number == self.next, "message {number} came in the place of {}", self.next);
                        self.next += 1;
                    }
                    PING => drop(self.stream.write(&client_frame(PONG, payload))?),
                    opcode => bail!("the server sent a frame of opcode {opcode:#x} to a reader that reads"),
                }
                unread = &unread[taken..];
            }
            let left = unread.len();
            self.rest.drain(..self.rest.len() - left);
            if self.rest.is_empty() {
                // Ten thousand of them would keep what the longest burst took.
                self.rest = Vec::new();
            }
        }
    }
}

/// The first frame, if all of it is there, and how long it is.
fn whole_frame(bytes: &[u8]) -> Result<Option<(u8, &[u8], usize)>> {
    let header = frame::header_bytes(bytes);
    if bytes.len() < header {
        return Ok(None);
    }
    let length = usize::try_from(frame::payload_bytes(&bytes[..header]))?;
    let Some(payload) = bytes.get(header..header + length) else { return Ok(None) };
    ensure!(bytes[0] & 0xf0 == 0x80, "a frame begins with {:#04x}", bytes[0]);
    Ok(Some((bytes[0] & 0x0f, payload, header + length)))
}

/// `narrow`: the systems of both ends keep as little for it as they can.
fn connect(address: SocketAddr, narrow: bool) -> Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if narrow {
        // The least of both that there may be: the server's system then takes half a megabyte.
        socket.set_recv_buffer_size(1)?;
        socket.set_tcp_mss(88)?;
    }
    socket.connect(&address.into())?;
    let mut stream = std::net::TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALL_TIMEOUT))?;
    opening::open(&mut stream, address, super::CHANNEL, false)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Messages come several times a second; ten seconds allow for a machine that does something else.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::server_frame;

    #[test]
    fn frames_are_taken_when_all_of_them_is_there() {
        let two = [server_frame(TEXT, &[b'a'; 200]), server_frame(PING, b"b")].concat();
        for length in 0..204 {
            assert!(whole_frame(&two[..length]).unwrap().is_none());
        }
        let (opcode, payload, taken) = whole_frame(&two).unwrap().unwrap();
        assert_eq!((opcode, payload.len(), taken), (TEXT, 200, 204));
        assert_eq!(whole_frame(&two[taken..]).unwrap(), Some((PING, &b"b"[..], 3)));
        assert!(whole_frame(b"\x01\x01a").is_err(), "a fragment");
    }
}
