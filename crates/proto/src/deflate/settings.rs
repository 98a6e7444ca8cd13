//! What to negotiate, and how to compress.

use std::time::Duration;

use super::{ContextMemory, Library};

/// permessage-deflate as one side wants it. The default offers and accepts it without context takeover, so that an idle
/// connection holds no memory for it.
///
/// ```
/// use openline_proto::deflate::{ContextMemory, Deflate};
/// let bounded = Deflate { level: 6, ..Deflate::default() };
/// let remembering = Deflate::with_takeover(ContextMemory::new(256 << 20)); // for all connections together
/// ```
///
/// A secret that is compressed together with what an attacker may choose can be guessed from lengths (CRIME, BREACH;
/// §8): send such a message as [`Outgoing::uncompressed`](crate::Outgoing::uncompressed), or turn compression off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// From 1, fast, to 9, small. Default 1: it is on unless turned off, so it has to be cheap. What each level costs and
    /// gives is in `docs/decisions/0011-deflate.md`.
    pub level: u8,

    /// What compresses messages that stand for themselves. Default: zlib-rs.
    pub library: Library,

    /// Shorter messages are sent as they are. Default 512: below, a message saves part of a packet and no packet, and
    /// 128 bytes of JSON lose a tenth of themselves for 5 µs. With takeover they lose more: 64.
    pub min_bytes: usize,

    /// How far back our compressor looks, as a power of two: 9 to 15. Default 15, all that DEFLATE has.
    pub window_bits: u8,

    /// How far back the peer's compressor may look, which with takeover is what we remember for it: 9 to 15. Default 15.
    /// A peer that cannot be told must do without takeover instead.
    pub peer_window_bits: u8,

    /// Context takeover, within this memory; `None`: each message stands for itself. Default `None`: takeover halves what
    /// small messages take, for up to 450 kB per connection (`docs/compression.md` has the numbers).
    pub takeover: Option<ContextMemory>,

    /// With takeover, the contexts of a connection whose messages have stopped for this long are dropped: ours whole, the
    /// peer's down to its window. Default 30 s: bursts keep theirs, and most connections are quiet most of the time.
    pub quiet_after: Duration,

    /// A message may inflate to at most this many times what came, and 64 KiB; over it, 1009. Held while it inflates, so a
    /// message whose beginning shrank more than this is refused, however little the rest of it did. Default `None`: DEFLATE
    /// itself stops at 1,032, `Config::max_message_bytes` bounds a message whatever its ratio, and messages that repeat
    /// themselves are legal.
    pub max_ratio: Option<u32>,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            level: 1,
            library: Library::default(),
            min_bytes: 512,
            window_bits: 15,
            peer_window_bits: 15,
            takeover: None,
            quiet_after: Duration::from_secs(30),
            max_ratio: None,
        }
    }
}

impl Deflate {
    /// What a message may inflate to whatever its ratio.
    pub(crate) const FREE_BYTES: u64 = 64 << 10;

    /// With context takeover, as long as `memory` has room, and for shorter messages too.
    pub fn with_takeover(memory: ContextMemory) -> Self {
        Self { takeover: Some(memory), min_bytes: 64, ..Self::default() }
    }

    /// What zlib can do, whatever is asked.
    pub(crate) fn level(&self) -> u8 {
        self.level.clamp(1, 9)
    }

    pub(super) fn window_bits(&self) -> u8 {
        self.window_bits.clamp(MIN_WINDOW_BITS, 15)
    }

    pub(super) fn peer_window_bits(&self) -> u8 {
        self.peer_window_bits.clamp(MIN_WINDOW_BITS, 15)
    }
}

/// zlib, and zlib-rs like it, compress with a window of 512 bytes when asked for 256: whoever asks for 8 would be lied
/// to.
pub(super) const MIN_WINDOW_BITS: u8 = 9;
