//! What every message goes through in the core, each on its own: for criterion, which times it (`benches/hot_paths.rs`), and for
//! callgrind, which counts its instructions (`src/main.rs`).
//!
//! Every path does the same each time it is run, allocates nothing that it does not free, and checks nothing that the compiler could
//! not also leave out: what it computes goes through `black_box`.

mod codecs;
mod wire;

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use openline_proto::frame::{Header, Opcode};
use openline_proto::handshake::{Negotiated, Origins, ServerHandshake};
use openline_proto::{Config, Connection, Event, Message, Output, SharedMessage, mask};

use self::codecs::Lent;
use self::wire::{client_frame, client_message};

/// One of them.
pub struct HotPath {
    /// What it is called, and what its count is recorded under.
    pub name: &'static str,
    /// Payload bytes that go through it in one run; 0 where there is no payload.
    pub bytes: u64,
    /// Does it once.
    pub run: Box<dyn FnMut()>,
}

/// All of them.
pub fn all() -> Vec<HotPath> {
    vec![
        header_parse(),
        header_write(),
        masking("mask_20", 20),
        masking("mask_1024", 1024),
        masking("mask_16384", 16 << 10),
        echo("echo_20", 20, 1),
        echo("echo_20_x16", 20, 16),
        echo("echo_1024", 1024, 1),
        echo("echo_1024_x16", 1024, 16),
        echo("echo_16384", 16 << 10, 1),
        text("text_ascii_1024", "live lines in front of any back end "),
        text("text_mixed_1024", "línea · линия · 線路 · रेखा · 🧵 · "),
        assemble(),
        client_send(),
        fan_out(),
        ping(),
        deflate(),
        inflate(),
        opening_handshake(),
    ]
}

/// §5.2: the header of a small message from a client.
fn header_parse() -> HotPath {
    let frame = client_frame(0x82, &[7; 20]);
    path("header_parse", 0, move || {
        let _ = black_box(Header::parse(black_box(&frame)));
    })
}

fn header_write() -> HotPath {
    let header = Header { fin: true, reserved: 0, opcode: Opcode::Binary, key: None, payload_bytes: 1024 };
    let mut output = Vec::with_capacity(Header::MAX_BYTES);
    path("header_write", 0, move || {
        output.clear();
        black_box(&header).write(&mut output);
        black_box(&output);
    })
}

/// §5.3, in place. Twice the same key gives back what was there.
fn masking(name: &'static str, bytes: usize) -> HotPath {
    let mut payload = vec![0x5a; bytes];
    path(name, bytes, move || mask(black_box(&mut payload), black_box([1, 2, 3, 4]), 0))
}

/// A server's answer to what one read brought: `count` messages, to be written at once.
fn echo(name: &'static str, bytes: usize, count: usize) -> HotPath {
    let frames = client_frame(0x82, &vec![0x5a; bytes]).repeat(count);
    let mut server = Server::new();
    path(name, bytes * count, move || server.echo(&frames))
}

/// A text message: unmasked, and checked to be UTF-8 (§8.1).
fn text(name: &'static str, phrase: &str) -> HotPath {
    let mut text = phrase.repeat(1024 / phrase.len());
    text.push_str(&"x".repeat(1024 - text.len()));
    let frame = client_frame(0x81, text.as_bytes());
    let mut server = Server::new();
    path(name, 1024, move || server.receive(&frame))
}

/// §5.4: 16 KiB in 16 fragments.
fn assemble() -> HotPath {
    let frames = client_message(0x2, &vec![0x5a; 16 << 10], 1 << 10);
    let mut server = Server::new();
    path("assemble_16384_of_16", 16 << 10, move || server.receive(&frames))
}

/// A client masks what it sends.
fn client_send() -> HotPath {
    let now = Instant::now();
    let mut client = Connection::client(&Negotiated::default(), quiet(), [7; 32], now);
    let (mut output, payload) = (Output::with_capacity(2048), vec![0x5a; 1024]);
    path("client_send_1024", 1024, move || {
        client.send(black_box(&payload[..]), &mut output).expect("the connection is open");
        take(&mut output);
        client.wrote_everything();
    })
}

/// One publication to a hundred subscribers: encoded once, queued a hundred times.
fn fan_out() -> HotPath {
    const SUBSCRIBERS: usize = 100;
    let mut servers: Vec<Server> = (0..SUBSCRIBERS).map(|_| Server::new()).collect();
    path("fan_out_100_to_100", 100 * SUBSCRIBERS, move || {
        let message = SharedMessage::new(Message::Binary(Bytes::from_static(&[0x5a; 100])));
        for Server { connection, output, .. } in &mut servers {
            connection.send_shared(black_box(&message), output).expect("the connection is open");
            take(output);
            connection.wrote_everything();
        }
    })
}

/// §5.5.2: a Ping, and its Pong.
fn ping() -> HotPath {
    let frame = client_frame(0x89, &[7; 8]);
    let mut server = Server::new();
    path("ping_pong", 0, move || server.receive(&frame))
}

/// RFC 7692: a server compresses 1 KiB of JSON, at the level and the window of the default.
fn deflate() -> HotPath {
    let (mut server, json) = (Server::compressing(), json());
    path("deflate_json_1024", 1024, move || {
        server.connection.send(black_box(&json), &mut server.output).expect("the connection is open");
        take(&mut server.output);
        server.connection.wrote_everything();
    })
}

/// The same, on its way in.
fn inflate() -> HotPath {
    let (mut server, json) = (Server::compressing(), json());
    server.connection.send(&json, &mut server.output).expect("the connection is open");
    let frame = server.output.to_vec();
    let (header, length) = Header::parse(&frame).expect("a good header").expect("all of it");
    assert_eq!(header.reserved, Header::RSV1, "it is compressed");
    // What a server compresses, a client may send back: masked.
    let frame = client_frame(0xc1, &frame[length..]);
    let mut server = Server::compressing();
    path("inflate_json_1024", 1024, move || server.receive(&frame))
}

fn json() -> String {
    let ticks = (0..).map(|n| format!("{{\"id\":{n},\"symbol\":\"ABC\",\"price\":{}.25}},", 100 + n * 7 % 13));
    let mut json = String::from("[");
    json.extend(ticks.take(30));
    json.truncate(1023);
    json + "]"
}

/// §4.2: a browser's request, checked and answered.
fn opening_handshake() -> HotPath {
    let request = browser();
    let handshake = ServerHandshake { origins: Origins::SameHost, ..ServerHandshake::default() };
    path("opening_handshake", 0, move || {
        let accepted = black_box(&handshake).accept(black_box(&request));
        let _ = black_box(accepted.expect("a good request"));
    })
}

fn browser() -> http::Request<()> {
    http::Request::builder()
        .uri("/test")
        .header("Host", "localhost:8080")
        .header("Upgrade", "websocket")
        .header("Connection", "keep-alive, Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .header("Origin", "http://localhost:8080")
        .header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
        .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .body(())
        .expect("a request")
}

/// One side of a connection, with the buffers that a driver would lend it.
struct Server {
    connection: Connection,
    input: Vec<u8>,
    output: Output,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        let now = Instant::now();
        let connection = Connection::server(&Negotiated::default(), quiet(), now);
        Self { connection, input: Vec::with_capacity(64 << 10), output: Output::with_capacity(64 << 10), now }
    }

    /// Both sides have agreed on compression.
    fn compressing() -> Self {
        let (_, negotiated) = ServerHandshake { origins: Origins::Any, ..ServerHandshake::default() }
            .accept(&browser())
            .expect("a good request");
        let mut server = Self::new();
        server.connection = Connection::server(&negotiated, quiet(), server.now);
        server.connection.codecs(&Lent);
        server
    }

    fn echo(&mut self, frames: &[u8]) {
        self.each(frames, |connection, event, input, output| {
            if let Event::Message(arrival) = event {
                connection.send(arrival.lend(input), output).expect("the connection is open");
            }
        });
        take(&mut self.output);
        self.connection.wrote_everything();
    }

    fn receive(&mut self, frames: &[u8]) {
        self.each(frames, |_, event, _, _| {
            black_box(event);
        });
        take(&mut self.output);
        self.connection.wrote_everything();
    }

    fn each(&mut self, frames: &[u8], mut handle: impl FnMut(&mut Connection, &Event, &[u8], &mut Output)) {
        // As a read would: unmasking in place spoils the original.
        self.input.clear();
        self.input.extend_from_slice(black_box(frames));
        let mut input = &mut self.input[..];
        while !input.is_empty() {
            let received = self.connection.receive(input, self.now, &mut self.output).expect("good frames");
            if let Some(event) = &received.event {
                handle(&mut self.connection, event, input, &mut self.output);
            }
            input = &mut input[received.consumed..];
        }
    }
}

/// As a socket that takes everything.
fn take(output: &mut Output) {
    black_box(&output);
    output.advance(output.len());
}

/// Nothing is due while it is measured.
fn quiet() -> Config {
    Config { ping_interval: None, ..Config::default() }
}

fn path(name: &'static str, bytes: usize, run: impl FnMut() + 'static) -> HotPath {
    HotPath { name, bytes: bytes as u64, run: Box::new(run) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_run_again_and_again() {
        let mut paths = all();
        for path in &mut paths {
            (0..3).for_each(|_| (path.run)());
        }
        let mut names: Vec<&str> = paths.iter().map(|path| path.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), paths.len());
    }

    #[test]
    fn an_echo_is_an_echo() {
        let mut server = Server::new();
        let frames = client_frame(0x82, b"hello").repeat(2);
        server.each(&frames, |connection, event, input, output| match event {
            Event::Message(arrival) => connection.send(arrival.lend(input), output).unwrap(),
            other => panic!("{other:?}"),
        });
        assert_eq!(server.output.to_vec(), b"\x82\x05hello\x82\x05hello");
    }
}
