//! Who listens: one client, by each of the three doors, until it has heard everything.

use std::{
    net::SocketAddr,
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{
    Door, ended,
    http::{BROWSER, Wire},
    publisher,
};
use crate::frame::{self, PING, PONG, TEXT, client_frame};

/// What one client got, and what it took.
pub(super) struct Heard {
    /// Both ways, before there was anything to hear.
    pub(super) opening_bytes: u64,
    pub(super) down_bytes: u64,
    pub(super) up_bytes: u64,
    pub(super) requests: u64,
    /// From just before it was published.
    pub(super) delays: Vec<Duration>,
}

/// Opens, waits until everybody has, and listens. Whoever cannot open still waits, so that nobody waits for ever.
pub(super) fn listen(
    door: Door,
    address: SocketAddr,
    messages: u32,
    bytes: usize,
    start: Instant,
    ready: &Barrier,
) -> Result<Heard> {
    let opened = open(door, address);
    ready.wait();
    let (mut wire, mut after) = opened?;
    let mut ear = Ear { next: 0, bytes, start, delays: Vec::new() };
    let (down, up) = wire.counts();
    let mut requests = 0;
    let mut event_bytes = Vec::new();
    while ear.next < messages {
        match door {
            Door::WebSocket => match frame::read_server_frame(wire.reader())? {
                (TEXT, payload) => ear.hears(std::str::from_utf8(&payload)?)?,
                (PING, payload) => wire.write(&client_frame(PONG, &payload))?,
                _ => return Err(ended(door)),
            },
            Door::EventStream => {
                event_bytes.extend(wire.chunk()?.ok_or_else(|| ended(door))?);
                while let Some(end) = event_bytes.windows(2).position(|two| two == b"\n\n") {
                    let event: Vec<u8> = event_bytes.drain(..end + 2).collect();
                    // Who comes and goes is an event of another name.
                    let lines = std::str::from_utf8(&event)?.lines();
                    let is_message = !lines.clone().any(|line| line.starts_with("event:"));
                    let data = lines.filter(|_| is_message).find_map(|line| line.strip_prefix("data: "));
                    data.map_or(Ok(()), |data| ear.hears(data))?;
                }
            }
            Door::LongPoll => {
                let asked =
                    format!("GET /c/overhead?after={after}&wait=25 HTTP/1.1\r\nHost: {address}\r\n{BROWSER}\r\n");
                wire.write(asked.as_bytes())?;
                requests += 1;
                let head = wire.head()?;
                ensure!(head.status == 200, "a poll was answered with {}", head.status);
                let polled: Polled = serde_json::from_slice(&wire.body(&head)?)?;
                for publication in &polled.publications {
                    ear.hears(&publication.text)?;
                }
                after = polled.next;
            }
        }
    }
    let (down_after, up_after) = wire.counts();
    Ok(Heard {
        opening_bytes: down + up,
        down_bytes: down_after - down,
        up_bytes: up_after - up,
        requests,
        delays: ear.delays,
    })
}

#[derive(Deserialize)]
struct Polled {
    publications: Vec<Publication>,
    next: String,
}

#[derive(Deserialize)]
struct Publication {
    text: String,
}

/// Up to where there is something to hear: an answer, or for long polling a position to ask from.
fn open(door: Door, address: SocketAddr) -> Result<(Wire, String)> {
    let (method, more, status) = match door {
        Door::WebSocket => (
            "GET",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            101,
        ),
        Door::EventStream => ("GET", "Accept: text/event-stream\r\n", 200),
        Door::LongPoll => ("HEAD", "", 200),
    };
    // For a handshake "keep-alive" is not said, and for an event stream not that anything else would do.
    let browser: String = BROWSER
        .split_inclusive("\r\n")
        .filter(|field| door == Door::LongPoll || !field.starts_with("Connection:") && !field.starts_with("Accept:"))
        .collect();
    let mut wire = Wire::connect(address)?;
    wire.write(format!("{method} /c/overhead HTTP/1.1\r\nHost: {address}\r\n{browser}{more}\r\n").as_bytes())?;
    let head = wire.head()?;
    ensure!(head.status == status, "{} was answered with {}", door.name(), head.status);
    let position = head.field("openline-position").unwrap_or_default().to_owned();
    Ok((wire, position))
}

/// Holds what comes against what has to come.
struct Ear {
    next: u32,
    bytes: usize,
    start: Instant,
    delays: Vec<Duration>,
}

impl Ear {
    fn hears(&mut self, message: &str) -> Result<()> {
        let now = self.start.elapsed();
        let (number, sent) =
            publisher::read(message, self.bytes).with_context(|| format!("nobody published {message:?}"))?;
        ensure!(number == self.next, "message {number} came in the place of {}", self.next);
        self.next += 1;
        self.delays.push(now.saturating_sub(sent));
        Ok(())
    }
}
