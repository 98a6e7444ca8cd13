//! Messages that come in pieces.

use bytes::Bytes;
use openline_proto::Kind;

/// A piece of a message, from [`WebSocket::recv_part`](crate::WebSocket::recv_part).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The message's kind.
    pub kind: Kind,
    /// What one read brought of it, at most 64 KiB, or what `recv` had put together before it was given up for `recv_part`.
    /// Whole code points when it is text.
    pub bytes: Bytes,
    /// Whether the message ends here.
    pub last: bool,
}
