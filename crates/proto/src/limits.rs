//! Everything that is bounded, with its default and the reason for it.

use std::time::Duration;

/// Limits and deadlines of one connection. Share one between many: `Connection` takes `impl Into<Arc<Config>>`.
///
/// ```
/// let config = openline_proto::Config { max_message_bytes: 16 << 20, max_frame_bytes: 16 << 20, ..Default::default() };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A frame may declare at most this many bytes; over it, 1009. Default 1 MiB, the same as a message.
    pub max_frame_bytes: u64,

    /// A message may have at most this many bytes, all fragments together; over it, 1009, before they arrive.
    /// Default 1 MiB: a hundred times what most applications send, and 10,000 hostile clients hold 10 GB at worst.
    pub max_message_bytes: u64,

    /// A message may have at most this many fragments without a byte in them; over it, 1008. They cost time, and no
    /// memory limit would ever stop them. Default 1,024: legal, pointless, and so never more than an accident.
    pub max_empty_fragments: u32,

    /// `Output` takes no further message while it holds this many bytes: one slow reader costs this much and the one
    /// message that crossed the line. Default 1 MiB.
    pub max_output_bytes: usize,

    /// Longer messages are sent in fragments of this size, so that a pong or a ping waits behind one fragment and not
    /// behind a whole message. Default 64 KiB: some 50 µs at 10 Gbit/s, and 0.02 % of overhead.
    pub fragment_bytes: usize,

    /// A ping is sent when nothing came for this long, give or take a tenth so that thousands of lines do not ping in
    /// step. `None`: never. Default 20 s: under the 30-60 s after which proxies and NATs forget an idle line.
    pub ping_interval: Option<Duration>,

    /// The line is given up (1011) when nothing at all came for this long after our ping was written. Default 20 s.
    pub pong_timeout: Duration,

    /// The peer has this long to answer our Close frame, and then to drop the line. Default 5 s.
    pub close_timeout: Duration,

    /// The line is given up when the peer takes not one byte of what is queued for this long. Default 30 s: longer than
    /// any pause of a live network, shorter than TCP's own quarter of an hour.
    pub write_timeout: Duration,

    /// The line is closed (1001) when no message came or went, nor any part of one, for this long. Default `None`: a
    /// quiet line is not a dead one, and pings tell the difference.
    pub idle_timeout: Option<Duration>,

    /// A begun message must get its next byte within this time; over it, 1008. Default 60 s: what it has so far is
    /// memory that the peer holds here.
    pub message_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame_bytes: 1 << 20,
            max_message_bytes: 1 << 20,
            max_empty_fragments: 1 << 10,
            max_output_bytes: 1 << 20,
            fragment_bytes: 64 << 10,
            ping_interval: Some(Duration::from_secs(20)),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            idle_timeout: None,
            message_timeout: Duration::from_secs(60),
        }
    }
}
