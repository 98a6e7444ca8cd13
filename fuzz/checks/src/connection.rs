//! A connection, and a script of what happens to it: bytes come, cut anywhere, messages go, sockets take a little, time
//! passes. Whatever comes, what goes out is legal and what was sent arrives.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use openline::deflate::{ContextMemory, Deflate, Inflated, Inflater};
use openline::handshake::{ClientHandshake, Negotiated, ServerHandshake};
use openline::proto::frame::{Header, Opcode};
use openline::proto::{Close, CloseCode, Config, Connection, Event, IoState, Kind, Output, Role, SendError, State};
use openline::proto::{Outgoing, SharedMessage};

/// A script for a server: pairs of what to do and how much, with the bytes that come behind the two that say so.
pub fn server_connection(script: &[u8]) {
    play(Role::Server, None, script);
}

/// A script for a client.
pub fn client_connection(script: &[u8]) {
    play(Role::Client, None, script);
}

/// A script for a server that agreed on compression, in the way that the first byte says.
pub fn compressed_server(script: &[u8]) {
    if let Some((how, script)) = script.split_first() {
        play(Role::Server, Some(deflate(*how)), script);
    }
}

/// A script for a client that agreed on compression, in the way that the first byte says.
pub fn compressed_client(script: &[u8]) {
    if let Some((how, script)) = script.split_first() {
        play(Role::Client, Some(deflate(*how)), script);
    }
}

fn deflate(how: u8) -> Deflate {
    // No room for takeover, room for windows only, for an inflater, for everything.
    let rooms = [0, 80 << 10, 200 << 10, 1 << 30];
    let base = match how & 1 {
        0 => Deflate::default(),
        _ => Deflate::with_takeover(ContextMemory::new(rooms[usize::from(how >> 1 & 3)])),
    };
    Deflate {
        level: 1 + how % 9,
        min_bytes: if how & 8 == 0 { 1 } else { 300 },
        window_bits: if how & 16 == 0 { 9 } else { 15 },
        peer_window_bits: if how & 32 == 0 { 9 } else { 15 },
        max_ratio: (how & 64 != 0).then_some(5),
        ..base
    }
}

/// What an end with these settings agrees on with one like it.
fn negotiate(role: Role, deflate: Deflate) -> Negotiated {
    let uri = "ws://a/".parse().expect("a URI");
    let client = ClientHandshake::new(&uri, [0; 16]).expect("for WebSockets").deflate(deflate.clone());
    let server = ServerHandshake { deflate: Some(deflate), ..ServerHandshake::default() };
    let (response, negotiated) = server.accept(&client.request()).expect("in order");
    match role {
        Role::Server => negotiated,
        Role::Client => client.finish(&response).expect("in order"),
    }
}

fn play(role: Role, deflate: Option<Deflate>, mut script: &[u8]) {
    let mut end = End::new(role, deflate);
    while let [what, much, rest @ ..] = script {
        let many = usize::from(*much);
        script = rest;
        match what % 10 {
            mode @ (0 | 1) => {
                let (bytes, rest) = script.split_at(many.min(script.len()));
                script = rest;
                end.hears(mode == 1, bytes);
            }
            2 => end.sends("é".repeat(many).as_str()),
            3 => end.sends(vec![*much; many * 40]),
            4 => end.sends_shared(SharedMessage::new(vec![*much; many * 40])),
            5 => end.sends_part(many),
            6 => end.pings(many),
            7 => end.closes(many),
            8 => end.writes(many * 20, 1 + many % 16),
            _ => end.waits(Duration::from_millis(*much as u64 * 250)),
        }
        end.keeps_its_promises();
    }
    end.finishes();
}

const MAX_MESSAGE_BYTES: usize = 1000;
const MAX_OUTPUT_BYTES: usize = 20_000;
const LARGEST_MESSAGE: usize = 255 * 40;
const SLACK: usize = 1000; // headers and masks of its fragments, the Close frame
const MAX_CONTROL_BYTES: usize = 4096 + 131;

struct End {
    connection: Connection,
    output: Output,
    now: Instant,
    /// Whether each message that it sends stands for itself; `None` where none is compressed.
    forgets: Option<bool>,
    failed: bool,
    /// What went out.
    wire: Vec<u8>,
    /// The messages that shall have gone out.
    sent: Vec<(Kind, Vec<u8>)>,
    /// The message that is begun and not finished.
    streamed: Option<Vec<u8>>,
}

impl End {
    fn new(role: Role, deflate: Option<Deflate>) -> Self {
        let now = Instant::now();
        let config = Config {
            max_frame_bytes: 800,
            max_message_bytes: MAX_MESSAGE_BYTES as u64,
            max_empty_fragments: 4,
            max_output_bytes: MAX_OUTPUT_BYTES,
            fragment_bytes: 5000,
            idle_timeout: Some(Duration::from_secs(100)),
            ..Default::default()
        };
        let negotiated = deflate.map(|deflate| negotiate(role, deflate)).unwrap_or_default();
        let forgets = negotiated.deflate().map(|params| !params.of(role).takeover);
        let connection = match role {
            Role::Server => Connection::server(&negotiated, config, now),
            Role::Client => Connection::client(&negotiated, config, [7; 32], now),
        };
        let (wire, sent) = Default::default();
        Self { connection, output: Output::new(), now, forgets, failed: false, wire, sent, streamed: None }
    }

    /// Bytes come.
    fn hears(&mut self, parts: bool, bytes: &[u8]) {
        let mut input = bytes.to_vec();
        let mut rest = &mut input[..];
        loop {
            let result = match parts {
                false => self.connection.receive(rest, self.now, &mut self.output),
                true => self.connection.receive_parts(rest, self.now, &mut self.output),
            };
            let Ok(received) = result else {
                assert!(!self.failed, "a connection fails once");
                self.failed = true;
                assert_eq!(self.connection.io_state(), IoState::Shutdown);
                return;
            };
            assert!(!self.failed || received.event.is_none(), "nothing is heard after a failure");
            match &received.event {
                Some(Event::Message(arrival)) => {
                    let message = arrival.lend(rest);
                    assert!(!parts && message.as_bytes().len() <= MAX_MESSAGE_BYTES);
                    assert_eq!(message.as_text().is_some(), message.kind() == Kind::Text);
                }
                Some(Event::Part { kind, payload, .. }) => {
                    assert!(parts && payload.lend(rest).len() <= MAX_MESSAGE_BYTES);
                    assert!(*kind == Kind::Binary || str::from_utf8(payload.lend(rest)).is_ok());
                }
                Some(Event::Ping(payload) | Event::Pong(payload)) => assert!(payload.lend(rest).len() <= 125),
                Some(Event::Close(_)) => assert!(self.connection.closed().is_some_and(|closed| closed.is_clean())),
                None => assert!(received.consumed > 0 || rest.is_empty(), "no progress"),
            }
            if received.event.is_none() && received.consumed == rest.len() {
                return;
            }
            rest = &mut rest[received.consumed..];
        }
    }

    fn sends<'a>(&mut self, message: impl Into<Outgoing<'a>>) {
        let message = message.into();
        let sent = (message.kind(), message.as_bytes().to_vec());
        let result = self.connection.send(message, &mut self.output);
        self.is_as_it_should_be(result);
        if result.is_ok() {
            self.sent.push(sent);
        }
    }

    fn sends_shared(&mut self, message: SharedMessage) {
        let result = self.connection.send_shared(&message, &mut self.output);
        self.is_as_it_should_be(result);
        if result.is_ok() {
            self.sent.push((message.kind(), message.as_bytes().to_vec()));
        }
    }

    fn is_as_it_should_be(&self, result: Result<(), SendError>) {
        match result {
            Ok(()) => assert!(self.connection.state() == State::Open && self.streamed.is_none()),
            Err(SendError::Closed) => assert_ne!(self.connection.state(), State::Open),
            Err(SendError::Full) => assert!(self.output.len() >= MAX_OUTPUT_BYTES),
            Err(SendError::Unfinished) => assert!(self.streamed.is_some()),
            Err(error) => panic!("{error}"),
        }
    }

    fn sends_part(&mut self, many: usize) {
        let (part, last) = (vec![many as u8; many * 30], many.is_multiple_of(3));
        if self.connection.send_part(&part, last, &mut self.output).is_ok() {
            let mut message = self.streamed.take().unwrap_or_default();
            message.extend(part);
            match last {
                true => self.sent.push((Kind::Binary, message)),
                false if message.is_empty() => {}
                false => self.streamed = Some(message),
            }
        }
    }

    fn pings(&mut self, many: usize) {
        match self.connection.ping(&vec![many as u8; many], &mut self.output) {
            Ok(()) => assert!(many <= 125 && self.connection.state() == State::Open),
            Err(SendError::LongControl) => assert!(many > 125),
            Err(SendError::Closed) => assert_ne!(self.connection.state(), State::Open),
            Err(SendError::Full) => assert!(self.output.len() > 4096 - 131),
            Err(error) => panic!("{error}"),
        }
    }

    fn closes(&mut self, many: usize) {
        match many {
            0..200 => {
                self.connection.close(Close::new(CloseCode::NORMAL, &"é".repeat(many)), self.now, &mut self.output)
            }
            200..240 => self.connection.close(Close::empty(), self.now, &mut self.output),
            _ => {
                self.connection.receive_eof();
                assert_eq!((self.connection.state(), self.connection.io_state()), (State::Closed, IoState::Closed));
            }
        }
    }

    /// The socket takes some bytes.
    fn writes(&mut self, bytes: usize, slices: usize) {
        let mut left = bytes.min(self.output.len());
        while left > 0 {
            let mut array = [IoSlice::new(&[]); 16];
            let used = self.output.slices(&mut array[..slices]);
            let mut written = 0;
            for slice in &array[..used] {
                let taken = slice.len().min(left - written);
                self.wire.extend_from_slice(&slice[..taken]);
                written += taken;
            }
            assert!(written > 0, "something waits, and nothing is shown");
            self.output.advance(written);
            left -= written;
        }
    }

    fn waits(&mut self, time: Duration) {
        self.now += time;
        if time.is_zero() {
            self.connection.hold_keepalive(self.now);
        }
        for _ in 0..8 {
            match self.connection.next_timeout(&self.output, self.now) {
                Some(at) if at <= self.now => {
                    let _ = self.connection.handle_timeout(self.now, &mut self.output);
                }
                _ => return,
            }
        }
        panic!("a deadline that does not go away");
    }

    fn keeps_its_promises(&mut self) {
        assert!(self.output.len() <= MAX_OUTPUT_BYTES + LARGEST_MESSAGE + SLACK + MAX_CONTROL_BYTES);
        let state = self.connection.state();
        let closed = state == State::Closed;
        assert_eq!(self.connection.io_state() == IoState::Closed, closed);
        assert_eq!(self.connection.next_timeout(&self.output, self.now).is_none(), closed, "until the end, one is due");
        assert!(self.connection.closed().is_some() || !closed);
        assert!(self.connection.closed().is_none() || state != State::Open);
    }

    /// All that waits is written, and then looked at.
    fn finishes(mut self) {
        self.writes(usize::MAX, 3);
        assert!(self.output.is_empty() && self.output.written() == self.wire.len() as u64);
        let masked = self.connection.role() == Role::Client;
        let mut messages = Vec::new();
        let mut message: Option<(Kind, bool, Vec<u8>)> = None;
        let mut inflater = Inflater::new();
        let mut closed = false;
        let mut rest = &mut self.wire[..];
        while !rest.is_empty() {
            let (header, length) = Header::parse(rest).expect("legal").expect("whole");
            let (payload, after) = rest[length..].split_at_mut(header.payload_bytes as usize);
            rest = after;
            let compressed = header.reserved == Header::RSV1;
            assert!(header.reserved == 0 || compressed && self.forgets.is_some());
            assert!(!compressed || matches!(header.opcode, Opcode::Text | Opcode::Binary));
            assert_eq!(header.key.is_some(), masked);
            if let Some(key) = header.key {
                openline::proto::mask(payload, key, 0);
            }
            assert!(!closed || header.opcode == Opcode::Pong, "behind a Close frame come no more than pongs");
            match (header.opcode, &mut message) {
                (Opcode::Close, _) => closed = true,
                (Opcode::Ping | Opcode::Pong, _) => {}
                (Opcode::Text, None) => message = Some((Kind::Text, compressed, payload.to_vec())),
                (Opcode::Binary, None) => message = Some((Kind::Binary, compressed, payload.to_vec())),
                (Opcode::Continuation, Some((_, _, begun))) => begun.extend_from_slice(payload),
                _ => panic!("a {:?} frame out of place", header.opcode),
            }
            if header.fin && !header.opcode.is_control() {
                messages.extend(message.take().map(|(kind, compressed, payload)| match compressed {
                    false => (kind, payload),
                    true => {
                        let inflated = inflate(&mut inflater, &payload);
                        inflater.finish().expect("whole");
                        if self.forgets == Some(true) {
                            inflater.reset();
                        }
                        (kind, inflated)
                    }
                }));
            }
        }
        assert!(messages == self.sent, "what was sent is not what went out");
        let begun = message.map(|(_, compressed, begun)| match compressed {
            false => begun,
            true => inflate(&mut inflater, &begun),
        });
        assert_eq!(begun, self.streamed);
        let said = self.connection.closed().is_some_and(|closed| closed.sent.is_some());
        assert!(!self.failed || said, "a peer that breaks a rule is told");
        assert!(!said || closed);
    }
}

/// What some of a message that we compressed inflates to.
fn inflate(inflater: &mut Inflater, mut payload: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    loop {
        let Inflated { taken, bytes, pending } = inflater.inflate(payload, usize::MAX).expect("we compressed it");
        inflated.extend_from_slice(bytes);
        payload = &payload[taken..];
        if payload.is_empty() && !pending {
            return inflated;
        }
    }
}
