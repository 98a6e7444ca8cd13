//! Messages that come in pieces.

use bytes::Bytes;
use openline_proto::Kind;

/// A piece of a message, from [`WebSocket::recv_part`](crate::WebSocket::recv_part).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The message's kind.
    pub kind: Kind,
    /// At most 64 KiB of it; whole code points when it is text.
    pub bytes: Bytes,
    /// Whether the message ends here.
    pub last: bool,
}
