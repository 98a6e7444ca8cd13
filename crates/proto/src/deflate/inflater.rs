//! Inflating the messages of one peer (RFC 7692 §7.2.2), a piece at a time.

use std::{error, fmt};

use zlib_rs::{Inflate, InflateFlush, Status};

/// Inflates messages. Between two of them it remembers the last 32 KiB, for peers with context takeover; a
/// [`reset`](Self::reset) forgets them, and then it serves any connection.
///
/// ```
/// use openline_proto::deflate::Inflater;
/// let mut inflater = Inflater::new();
/// let inflated = inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", usize::MAX)?; // §7.2.3.1
/// assert_eq!((inflated.taken, inflated.bytes), (7, &b"Hello"[..]));
/// inflater.finish()?;
/// # Ok::<(), openline_proto::deflate::InflateError>(())
/// ```
pub struct Inflater {
    inflate: Inflate,
    /// What was inflated: the history first, the newest piece at its end.
    buffer: Box<[u8]>,
    at: usize,
    /// A block with BFINAL ended, and nothing was inflated since.
    ended: bool,
    final_blocks: u32,
}

/// What one call of [`Inflater::inflate`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflated<'a> {
    /// How many bytes of the input it took.
    pub taken: usize,
    /// What came of them.
    pub bytes: &'a [u8],
    /// Whether there was no room for more.
    pub pending: bool,
}

impl Inflater {
    /// DEFLATE refers at most this far back.
    const HISTORY_BYTES: usize = 32 << 10;

    /// At most this much is inflated in one call: what comes of it is looked at before there is more.
    pub const PIECE_BYTES: usize = 16 << 10;

    /// What one takes in memory: zlib-rs's state with a window of its own, and this buffer.
    pub const BYTES: usize = (48 << 10) + Self::HISTORY_BYTES + Self::PIECE_BYTES;

    /// Blocks with BFINAL that a message may have. Each costs a microsecond for two bytes, where senders have one at the
    /// end of a message, or of a fragment; over it, the message is refused. 1,024 cost a millisecond.
    const MAX_FINAL_BLOCKS: u32 = 1 << 10;

    /// Allocates [`BYTES`](Self::BYTES).
    pub fn new() -> Self {
        Self {
            inflate: Inflate::new(false, 15),
            buffer: vec![0; Self::HISTORY_BYTES + Self::PIECE_BYTES].into_boxed_slice(),
            at: 0,
            ended: false,
            final_blocks: 0,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.inflate.reset(false);
        (self.at, self.ended, self.final_blocks) = (0, false, 0);
    }

    /// Goes on where another inflater was, between two messages; `history` is what that one remembered.
    pub fn resume(&mut self, history: &[u8]) {
        self.reset();
        let history = &history[history.len().saturating_sub(Self::HISTORY_BYTES)..];
        self.buffer[..history.len()].copy_from_slice(history);
        self.at = history.len();
        self.set_history();
    }

    /// The last bytes that were inflated, at most `bytes` of them.
    pub fn history(&self, bytes: usize) -> &[u8] {
        &self.buffer[self.at.saturating_sub(bytes.min(Self::HISTORY_BYTES))..self.at]
    }

    /// Inflates some of `input`, to at most `max_bytes` bytes and [`PIECE_BYTES`](Self::PIECE_BYTES), which are lent. Call
    /// it again with the rest until all is taken and nothing is pending.
    ///
    /// # Errors
    /// The bytes are not DEFLATE (RFC 1951).
    pub fn inflate(&mut self, input: &[u8], max_bytes: usize) -> Result<Inflated<'_>, InflateError> {
        // Rarely: it costs what 32 KiB cost to move, and a message may be a byte.
        if self.buffer.len() - self.at < Self::PIECE_BYTES / 4 {
            self.buffer.copy_within(self.at - Self::HISTORY_BYTES..self.at, 0);
            self.at = Self::HISTORY_BYTES;
        }
        if self.ended && !input.is_empty() {
            self.begin_again()?;
        }
        let room = &mut self.buffer[self.at..];
        let room_bytes = room.len().min(max_bytes).min(Self::PIECE_BYTES);
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, &mut room[..room_bytes], InflateFlush::NoFlush);
        let status = status.map_err(|_| InflateError::Corrupt)?;
        let taken = (self.inflate.total_in() - in_before) as usize;
        let bytes = (self.inflate.total_out() - out_before) as usize;
        self.ended = status == Status::StreamEnd;
        let pending = bytes == room_bytes && !self.ended;
        let start = self.at;
        self.at += bytes;
        Ok(Inflated { taken, bytes: &self.buffer[start..self.at], pending })
    }

    /// The message has no more bytes. §7.2.2: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of
    /// the message", which ends it between two blocks, or it was cut.
    ///
    /// A message that ends with a block with BFINAL is whole, too: §7.2.3.4 wants a further octet, which not every sender
    /// appends.
    ///
    /// # Errors
    /// [`InflateError::Truncated`].
    pub fn finish(&mut self) -> Result<(), InflateError> {
        self.final_blocks = 0;
        if self.ended {
            return Ok(());
        }
        // One byte more than belongs to it: zlib stops before it at the end of a block, and nowhere else.
        let in_before = self.inflate.total_in();
        let out_before = self.inflate.total_out();
        let tail = self.inflate.decompress(b"\0\0\xff\xff\0", &mut [0; 16], InflateFlush::Block);
        let stopped = (self.inflate.total_in() - in_before, self.inflate.total_out() - out_before);
        match tail {
            Ok(Status::Ok) if stopped == (4, 0) => Ok(()),
            _ => Err(InflateError::Truncated),
        }
    }

    /// §7.2.3.4: a block with BFINAL set is not the end of anything, and what comes next may refer to what was before.
    fn begin_again(&mut self) -> Result<(), InflateError> {
        self.final_blocks += 1;
        if self.final_blocks > Self::MAX_FINAL_BLOCKS {
            return Err(InflateError::TooManyFinalBlocks);
        }
        self.ended = false;
        self.inflate.reset(false);
        self.set_history();
        Ok(())
    }

    /// Has zlib remember what we do: its own reset forgets.
    fn set_history(&mut self) {
        let history = &self.buffer[self.at.saturating_sub(Self::HISTORY_BYTES)..self.at];
        if !history.is_empty() {
            self.inflate.set_dictionary(history).expect("a raw stream takes a dictionary between any two blocks");
        }
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("remembers", &self.at.min(Self::HISTORY_BYTES)).finish_non_exhaustive()
    }
}

/// What is wrong with a compressed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// Not DEFLATE (RFC 1951), or a reference to what was never sent.
    Corrupt,
    /// It ends inside a block.
    Truncated,
    /// More blocks with BFINAL set than any sender has a use for.
    TooManyFinalBlocks,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "a compressed message is corrupt",
            Self::Truncated => "a compressed message is cut short",
            Self::TooManyFinalBlocks => "a compressed message has too many final blocks",
        })
    }
}

impl error::Error for InflateError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(inflater: &mut Inflater, mut input: &[u8]) -> Result<Vec<u8>, InflateError> {
        let mut output = Vec::new();
        let mut more = true;
        while more {
            let Inflated { taken, bytes, pending } = inflater.inflate(input, usize::MAX)?;
            output.extend_from_slice(bytes);
            input = &input[taken..];
            more = pending || !input.is_empty();
        }
        inflater.finish()?;
        Ok(output)
    }

    /// §7.2.3: all of its examples.
    #[test]
    fn the_examples_of_the_rfc() {
        let examples: [&[u8]; 4] = [
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ];
        for example in examples {
            assert_eq!(inflate(&mut Inflater::new(), example).as_deref(), Ok(&b"Hello"[..]), "{example:x?}");
        }
    }

    /// §7.2.3.2: the second message refers to the first, across a BFINAL block and from one inflater to another, too.
    #[test]
    fn history_is_kept_between_messages_and_over_final_blocks() {
        for first in
            [&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"\xf3\x48\xcd\xc9\xc9\x07\x00"]
        {
            let mut inflater = Inflater::new();
            assert_eq!(inflate(&mut inflater, first).as_deref(), Ok(&b"Hello"[..]));
            let mut other = Inflater::new();
            other.resume(inflater.history(1 << 15));
            for mut inflater in [inflater, other] {
                assert_eq!(inflate(&mut inflater, b"\xf2\x00\x11\x00\x00").as_deref(), Ok(&b"Hello"[..]), "{first:x?}");
                inflater.reset();
                assert_eq!(inflate(&mut inflater, b"\xf2\x00\x11\x00\x00"), Err(InflateError::Corrupt));
            }
        }
    }

    #[test]
    fn an_empty_message_is_one_octet_or_two() {
        for empty in [&b"\x00"[..], b"\x02\x00", b"\x03\x00", b"\x03\x00\x00"] {
            assert_eq!(inflate(&mut Inflater::new(), empty).as_deref(), Ok(&b""[..]), "{empty:x?}");
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_noticed() {
        let whole = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
        for cut in (0..whole.len()).filter(|cut| *cut != 4) {
            // After four octets, an empty stored block begins: "H" is a whole message, too.
            assert!(inflate(&mut Inflater::new(), &whole[..cut]).is_err(), "cut at {cut}");
        }
        // §7.2.1: the last four octets are to be removed.
        assert_eq!(inflate(&mut Inflater::new(), b"\x00\x00\x00\xff\xff"), Err(InflateError::Truncated));
    }

    #[test]
    fn final_blocks_are_counted_in_each_message() {
        let mut inflater = Inflater::new();
        for _ in 0..2 {
            let mut many = b"\x03\x00".repeat(1024);
            many.push(0);
            assert_eq!(inflate(&mut inflater, &many).as_deref(), Ok(&b""[..]));
        }
        let too_many = b"\x03\x00".repeat(1026);
        assert_eq!(inflate(&mut inflater, &too_many), Err(InflateError::TooManyFinalBlocks));
    }
}
