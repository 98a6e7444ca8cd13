//! What arrives: plain data that names a range of the input, so that nothing is copied before someone wants to own it.

use std::ops::Range;

use bytes::Bytes;

use crate::close::Close;
use crate::message::{Kind, Message, MessageRef};

/// What one call of [`Connection::receive`](crate::Connection::receive) did.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes of the input it took.
    pub consumed: usize,
    /// What they completed, if anything. Ranges in it count from the start of the same input.
    pub event: Option<Event>,
}

/// Something the application may want to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Arrival),
    /// The next piece of a message, from [`receive_parts`](crate::Connection::receive_parts).
    Part {
        /// The message's kind.
        kind: Kind,
        /// The piece. A piece of text holds whole code points.
        payload: Payload,
        /// Whether the message ends with it.
        last: bool,
    },
    /// A Ping; its Pong is queued already (§5.5.2).
    Ping(Payload),
    /// A Pong, asked for or not (§5.5.3).
    Pong(Payload),
    /// The peer's Close frame; it is answered already (§5.5.1). Nothing more arrives.
    Close(Close),
}

/// A whole message: in the input when it came in one frame and one piece, else put together.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The payload is this range of the input.
    Lent {
        /// Text, checked, or binary.
        kind: Kind,
        /// Where it is.
        range: Range<usize>,
    },
    /// The payload was assembled. Boxed, because an arrival is passed on far more often than it is owned.
    Owned(Box<Message>),
}

impl Arrival {
    /// Lends the message. `input` is what `receive` was given.
    #[inline]
    pub fn lend<'a>(&'a self, input: &'a [u8]) -> MessageRef<'a> {
        match self {
            Self::Lent { kind, range } => MessageRef::checked(*kind, &input[range.clone()]),
            Self::Owned(message) => MessageRef::checked(message.kind(), message.as_bytes()),
        }
    }

    /// Owns the message, copying it if it lies in the input.
    pub fn into_message(self, input: &[u8]) -> Message {
        match self {
            Self::Owned(message) => *message,
            lent => lent.lend(input).to_message(),
        }
    }
}

/// Bytes that lie in the input or were put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// This range of the input.
    Input(Range<usize>),
    /// Bytes of their own.
    Owned(Bytes),
}

impl Payload {
    /// Lends the bytes. `input` is what `receive` was given.
    pub fn lend<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Input(range) => &input[range.clone()],
            Self::Owned(bytes) => bytes,
        }
    }

    /// Owns the bytes, copying them if they lie in the input.
    pub fn into_bytes(self, input: &[u8]) -> Bytes {
        match self {
            Self::Input(range) => Bytes::copy_from_slice(&input[range]),
            Self::Owned(bytes) => bytes,
        }
    }
}
