//! What an application hears from a connection, owned, so that it can be compared.

use std::time::Instant;

use openline_proto::{Close, Connection, Event, Kind, Message, Output, ProtocolError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Message(Message),
    Part(Kind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Close),
}

impl Heard {
    pub(crate) fn text(text: &str) -> Self {
        Self::Message(Message::from(text))
    }

    pub(crate) fn binary(bytes: &[u8]) -> Self {
        Self::Message(Message::from(bytes.to_vec()))
    }

    fn of(event: Event, input: &[u8]) -> Self {
        match event {
            Event::Message(arrival) => Self::Message(arrival.into_message(input)),
            Event::Part { kind, payload, last } => {
                let part = payload.lend(input);
                assert!(kind == Kind::Binary || str::from_utf8(part).is_ok(), "a part of a text is cut in a character");
                Self::Part(kind, part.to_vec(), last)
            }
            Event::Ping(payload) => Self::Ping(payload.lend(input).to_vec()),
            Event::Pong(payload) => Self::Pong(payload.lend(input).to_vec()),
            Event::Close(close) => Self::Close(close),
        }
    }
}

/// Whether the application asks for messages whole or in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Whole,
    Parts,
}

/// Feeds all of `input`, in steps, and checks what every step promises.
pub(crate) fn feed(
    connection: &mut Connection,
    mode: Mode,
    input: &[u8],
    now: Instant,
    output: &mut Output,
    heard: &mut Vec<Heard>,
) -> Result<(), ProtocolError> {
    let mut input = input.to_vec();
    let mut rest = &mut input[..];
    loop {
        let received = match mode {
            Mode::Whole => connection.receive(rest, now, output)?,
            Mode::Parts => connection.receive_parts(rest, now, output)?,
        };
        assert!(received.consumed <= rest.len());
        let stuck = received.consumed == 0 && received.event.is_none();
        assert!(!stuck || rest.is_empty(), "a step that takes nothing and yields nothing");
        if let Some(event) = received.event {
            heard.push(Heard::of(event, rest));
        }
        if stuck || (rest.len() == received.consumed && mode == Mode::Whole) {
            return Ok(());
        }
        rest = &mut rest[received.consumed..];
    }
}
