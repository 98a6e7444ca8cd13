//! How much of a head we are willing to read.

use std::time::Duration;

/// What one head may cost: memory before anybody is known, and time before anything is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The whole head, first line to blank line; over it: 431. Default 16 KiB: room for cookies and tokens, whose own
    /// limits are at 8 KiB in most servers.
    pub max_bytes: usize,
    /// Header fields; over it: 431. Default 100, what hyper and Apache httpd allow; browsers send about twenty.
    pub max_headers: usize,
    /// From the first wait for the head to its blank line; over it: 408. Default 10 s, so that a client that dribbles
    /// holds a socket for no longer. Nothing here has a clock: whoever reads the socket keeps it.
    pub timeout: Duration,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 16 << 10, max_headers: 100, timeout: Duration::from_secs(10) }
    }
}

/// RFC 9112 §3: "It is RECOMMENDED that all HTTP senders and recipients support, at a minimum, request-line lengths of
/// 8000 octets." Over it: 414.
pub(super) const MAX_REQUEST_LINE: usize = 8 << 10;
