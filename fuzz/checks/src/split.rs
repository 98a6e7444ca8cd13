//! However bytes are cut, the application hears the same and the same is written.

use std::time::Instant;

use openline::proto::{Close, Config, Connection, Event, Kind, Message, Output, ProtocolError};

/// The first bytes say whose end it is, where to cut, and how the application reads; the rest comes from the network.
pub fn any_split(bytes: &[u8]) {
    let [how, cut, switch, wire @ ..] = bytes else { return };
    let (server, parts_first, parts_then) = (how & 1 == 0, how & 2 != 0, how & 4 != 0);
    let (before, after) = wire.split_at(usize::from(*switch).min(wire.len()));
    let play = |piece_bytes: usize| {
        let mut end = End::new(server);
        for (input, parts) in [(before, parts_first), (after, parts_then)] {
            input.chunks(piece_bytes).for_each(|piece| end.hears(parts, piece));
            end.hears(parts, b"");
        }
        end.outcome()
    };
    let whole = play(wire.len().max(1));
    assert_eq!(play(1), whole);
    assert_eq!(play(1 + usize::from(*cut)), whole);
}

#[derive(Debug, PartialEq)]
enum Heard {
    Message(Message),
    Part(Kind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Close),
}

struct End {
    connection: Connection,
    output: Output,
    now: Instant,
    heard: Vec<Heard>,
    error: Option<ProtocolError>,
}

impl End {
    fn new(server: bool) -> Self {
        let now = Instant::now();
        let config = Config { max_message_bytes: 300, max_empty_fragments: 2, ..Default::default() };
        let connection = match server {
            true => Connection::server(&Default::default(), config, now),
            false => Connection::client(&Default::default(), config, [7; 32], now),
        };
        Self { connection, output: Output::new(), now, heard: Vec::new(), error: None }
    }

    fn hears(&mut self, parts: bool, piece: &[u8]) {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            let result = match parts {
                false => self.connection.receive(rest, self.now, &mut self.output),
                true => self.connection.receive_parts(rest, self.now, &mut self.output),
            };
            match result {
                Ok(received) => {
                    let done = received.event.is_none() && received.consumed == rest.len();
                    if let Some(event) = received.event {
                        self.push(event, rest);
                    }
                    if done {
                        return;
                    }
                    rest = &mut rest[received.consumed..];
                }
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    /// Neighbouring parts of one message are put together: only how many there are may depend on the cuts.
    fn push(&mut self, event: Event, input: &[u8]) {
        let heard = match event {
            Event::Message(arrival) => Heard::Message(arrival.into_message(input)),
            Event::Ping(payload) => Heard::Ping(payload.lend(input).to_vec()),
            Event::Pong(payload) => Heard::Pong(payload.lend(input).to_vec()),
            Event::Close(close) => Heard::Close(close),
            Event::Part { kind, payload, last } => {
                if let Some(Heard::Part(before, bytes, ended @ false)) = self.heard.last_mut() {
                    assert_eq!(*before, kind);
                    bytes.extend(payload.lend(input));
                    *ended = last;
                    return;
                }
                Heard::Part(kind, payload.lend(input).to_vec(), last)
            }
        };
        self.heard.push(heard);
    }

    fn outcome(mut self) -> (Vec<Heard>, Option<ProtocolError>, Vec<u8>) {
        // Of a text that turns out wrong, more or less may have gone out before.
        if self.error == Some(ProtocolError::InvalidUtf8) {
            self.heard.pop_if(|last| matches!(last, Heard::Part(_, _, false)));
        }
        (self.heard, self.error, self.output.to_vec())
    }
}
