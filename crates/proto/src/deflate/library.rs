//! What compresses.

/// What compresses messages that stand for themselves. Messages that refer to those before them (context takeover), and
/// messages that are sent in parts, are zlib-rs's in any case: it alone can stop in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Library {
    /// zlib in Rust. The default.
    #[default]
    ZlibRs,
    /// libdeflate, in C. Its level 1 is as small as zlib-rs's levels 2 and 3, and takes half of their time. It ends each
    /// message with a block that has BFINAL set, which RFC 7692 §7.2.3.4 allows and few others send. Messages longer than
    /// the window are zlib-rs's, because libdeflate has only the one of 32 KiB.
    #[cfg(feature = "libdeflate")]
    Libdeflate,
}

/// All that tells one [`Deflater`](super::Deflater) that remembers nothing from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeflaterKind {
    /// From 1, fast, to 9, small.
    pub level: u8,
    /// How far back it refers, as a power of two: 9 to 15.
    pub window_bits: u8,
    /// What compresses messages that stand for themselves.
    pub library: Library,
}
