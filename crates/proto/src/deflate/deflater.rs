//! Compressing the messages of one end (RFC 7692 §7.2.1).

use std::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::{DeflaterKind, Library};

/// Compresses messages. Each refers to those before it; a [`reset`](Self::reset) forgets them, and then it serves any
/// connection with the same level and window.
///
/// ```
/// use openline_proto::deflate::Deflater;
/// let mut deflater = Deflater::new(6, 15);
/// assert_eq!(deflater.message(b"Hello", usize::MAX), Some(&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..])); // §7.2.3.1
/// assert_eq!(deflater.message(b"Hello", usize::MAX), Some(&b"\xf2\x00\x11\x00\x00"[..])); // §7.2.3.2
/// ```
pub struct Deflater {
    kind: DeflaterKind,
    /// Made when it is first needed: libdeflate may do all there is.
    zlib: Option<Deflate>,
    /// Whether `zlib` has seen anything: a reset clears a table of 128 KiB.
    remembers: bool,
    #[cfg(feature = "libdeflate")]
    libdeflate: Option<libdeflater::Compressor>,
    /// What came of the last message.
    output: Vec<u8>,
}

impl Deflater {
    /// What a flush ends with, and a message leaves out.
    const TAIL: &[u8] = b"\x00\x00\xff\xff";

    /// A compressor that refers at most 2^`window_bits` bytes back.
    ///
    /// # Panics
    /// When the level is not in 1 to 9 or the window not in 9 to 15.
    pub fn new(level: u8, window_bits: u8) -> Self {
        Self::of(DeflaterKind { level, window_bits, library: Library::ZlibRs })
    }

    /// A compressor of this kind.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn of(kind: DeflaterKind) -> Self {
        let DeflaterKind { level, window_bits, .. } = kind;
        assert!((1..=9).contains(&level) && (9..=15).contains(&window_bits), "zlib has no such level or window");
        Self {
            kind,
            zlib: None,
            remembers: false,
            #[cfg(feature = "libdeflate")]
            libdeflate: None,
            output: Vec::new(),
        }
    }

    /// About how much memory one with such a window takes, as measured with zlib-rs 0.6.
    pub fn bytes(window_bits: u8) -> usize {
        (136 << 10) + (15 << (window_bits.clamp(9, 15) - 1))
    }

    /// What it was made to be.
    pub fn kind(&self) -> DeflaterKind {
        self.kind
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        if let Some(zlib) = &mut self.zlib
            && std::mem::take(&mut self.remembers)
        {
            zlib.reset();
        }
    }

    /// Compresses a whole message that refers to none before it, nor any after it to it, to at most `max_bytes` bytes;
    /// `None` when it would take more. To be called on one that remembers nothing, which then still remembers nothing.
    pub fn alone(&mut self, message: &[u8], max_bytes: usize) -> Option<&[u8]> {
        #[cfg(feature = "libdeflate")]
        if self.kind.library == Library::Libdeflate
            && message.len() <= 1 << self.kind.window_bits
            && !message.is_empty()
        {
            return self.with_libdeflate(message, max_bytes);
        }
        self.message(message, max_bytes)?; // or was reset
        self.reset();
        Some(&self.output)
    }

    /// §7.2.3.4: a block with BFINAL, then the header of an empty one without.
    #[cfg(feature = "libdeflate")]
    fn with_libdeflate(&mut self, message: &[u8], max_bytes: usize) -> Option<&[u8]> {
        use libdeflater::{CompressionLvl, Compressor};

        let level = i32::from(self.kind.level);
        let compressor = self
            .libdeflate
            .get_or_insert_with(|| Compressor::new(CompressionLvl::new(level).expect("1 to 9 are among its 0 to 12")));
        let room = compressor.deflate_compress_bound(message.len()).min(max_bytes.saturating_sub(1));
        self.output.resize(room, 0);
        let bytes = compressor.deflate_compress(message, &mut self.output).ok()?;
        self.output.truncate(bytes);
        self.output.push(0);
        Some(&self.output)
    }

    fn zlib(&mut self) -> &mut Deflate {
        self.remembers = true;
        let DeflaterKind { level, window_bits, .. } = self.kind;
        self.zlib.get_or_insert_with(|| {
            Deflate::new_with_config(DeflateConfig {
                level: level.into(),
                window_bits: -i32::from(window_bits),  // raw: no header, no checksum
                mem_level: i32::from(window_bits) - 7, // 8, zlib's default, for its default window
                ..DeflateConfig::default()
            })
        })
    }

    /// Compresses a whole message to at most `max_bytes` bytes. `None` when it would take more: then the peer will never
    /// see what it might be referred to, so everything is forgotten.
    pub fn message(&mut self, message: &[u8], max_bytes: usize) -> Option<&[u8]> {
        self.output.clear();
        if message.is_empty() {
            // §7.2.3.6; a second flush in a row, zlib would refuse.
            self.output.push(0);
        } else if !self.flush(message, max_bytes.saturating_add(Self::TAIL.len())) {
            self.drain();
            self.reset();
            return None;
        }
        if self.output.ends_with(Self::TAIL) {
            // §7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
            self.output.truncate(self.output.len() - Self::TAIL.len());
        }
        Some(&self.output)
    }

    /// Compresses the last part of a message, which may be empty.
    pub fn end(&mut self, part: &[u8]) -> &[u8] {
        self.message(part, usize::MAX).unwrap_or_default()
    }

    /// Compresses a part of a message that is not its last, so that all of it can be inflated at once.
    pub fn part(&mut self, part: &[u8]) -> &[u8] {
        self.output.clear();
        if !part.is_empty() {
            self.flush(part, usize::MAX);
        }
        &self.output
    }

    /// Frees the memory for the last message, if it is more than `max_bytes`.
    pub fn shrink(&mut self, max_bytes: usize) {
        if self.output.capacity() > max_bytes {
            self.output = Vec::new();
        }
    }

    /// Ends the flush, and throws away what comes of it. A reset of zlib-rs 0.6.8 in the middle of one forgets neither the
    /// block that was begun nor how much of its buffer was taken: what is compressed next is corrupt, or finds no room.
    fn drain(&mut self) {
        const STEP_BYTES: usize = 32 << 10;
        let mut drained = std::mem::take(&mut self.output);
        drained.resize(STEP_BYTES, 0);
        let zlib = self.zlib();
        loop {
            let before = zlib.total_out();
            // An error says that there is nothing to flush.
            let flushed = zlib.compress(&[], &mut drained, DeflateFlush::SyncFlush);
            if flushed.is_err() || ((zlib.total_out() - before) as usize) < STEP_BYTES {
                break;
            }
        }
        drained.clear();
        self.output = drained;
    }

    /// `false` when it stopped because more than `max_bytes` came of it.
    fn flush(&mut self, mut input: &[u8], max_bytes: usize) -> bool {
        let step = (input.len() / 2).clamp(256, 32 << 10);
        let mut output = std::mem::take(&mut self.output);
        let zlib = self.zlib();
        let done = loop {
            let start = output.len();
            output.resize(start + step, 0);
            let (in_before, out_before) = (zlib.total_in(), zlib.total_out());
            zlib.compress(input, &mut output[start..], DeflateFlush::SyncFlush)
                .expect("a compressor that was set up compresses whatever comes");
            input = &input[(zlib.total_in() - in_before) as usize..];
            let bytes = (zlib.total_out() - out_before) as usize;
            output.truncate(start + bytes);
            if output.len() > max_bytes {
                break false;
            }
            // zlib.h: a flush is complete when there is room left.
            if bytes < step {
                break true;
            }
        };
        self.output = output;
        done
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inflated, Inflater};
    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        let next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    fn inflate(inflater: &mut Inflater, mut input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let mut more = true;
        while more {
            let Inflated { taken, bytes, pending } = inflater.inflate(input, usize::MAX).unwrap();
            output.extend_from_slice(bytes);
            input = &input[taken..];
            more = pending || !input.is_empty();
        }
        inflater.finish().unwrap();
        output
    }

    #[test]
    fn what_is_compressed_inflates_at_every_level_and_window() {
        let mut messages: Vec<Vec<u8>> =
            vec![vec![], b"a".to_vec(), b"{\"n\":1}".repeat(1000), noise(40_000), vec![0; 100_000]];
        messages.extend((0..50).map(|n| format!("{{\"sequence\":{n},\"kind\":\"tick\"}}").into_bytes()));
        for level in [1, 2, 3, 4, 6, 9] {
            for window_bits in [9, 10, 12, 15] {
                let (mut deflater, mut inflater) = (Deflater::new(level, window_bits), Inflater::new());
                for message in &messages {
                    let compressed = deflater.message(message, usize::MAX).unwrap();
                    assert!(compressed.len() <= message.len() + message.len() / 8 + 256);
                    assert_eq!(inflate(&mut inflater, compressed), *message, "level {level}, {window_bits} bits");
                }
            }
        }
    }

    /// The peer never saw it, so the next must not refer to it.
    #[test]
    fn a_message_that_does_not_shrink_is_forgotten() {
        let (mut deflater, mut inflater) = (Deflater::new(6, 15), Inflater::new());
        let noise = noise(10_000);
        let hello = deflater.message(b"hello hello hello", usize::MAX).unwrap();
        inflate(&mut inflater, hello);
        assert_eq!(deflater.message(&noise, noise.len() - 1), None);
        let twice = [&noise[..500], &noise[..500], b"hello hello hello"].concat();
        assert_eq!(inflate(&mut inflater, deflater.message(&twice, usize::MAX).unwrap()), twice);
    }

    /// What zlib-rs 0.6.8 keeps when it is reset in the middle of a flush made the next messages corrupt, or panic.
    #[test]
    fn given_up_at_any_place_it_starts_anew() {
        for level in [1, 2, 6] {
            let (mut deflater, mut inflater) = (Deflater::new(level, 15), Inflater::new());
            for bytes in (500..70_000).step_by(997) {
                let noise = noise(bytes);
                assert_eq!(deflater.message(&noise, bytes / 2), None);
                assert!(inflate(&mut inflater, deflater.message(&noise, usize::MAX).unwrap()) == noise, "{bytes}");
                deflater.reset();
                assert_eq!(deflater.message(&noise, bytes - 1), None);
            }
        }
    }

    #[test]
    fn parts_make_a_message() {
        let (mut deflater, mut inflater) = (Deflater::new(1, 15), Inflater::new());
        for _ in 0..2 {
            let mut compressed = deflater.part(b"one, two, ").to_vec();
            compressed.extend_from_slice(deflater.part(b"one, two, three"));
            compressed.extend_from_slice(deflater.part(b""));
            compressed.extend_from_slice(deflater.end(b""));
            assert_eq!(inflate(&mut inflater, &compressed), b"one, two, one, two, three");
        }
    }

    /// RFC 7692 §7.2.3.4, and messages longer than the window, shorter than a byte, and not to be compressed.
    #[cfg(feature = "libdeflate")]
    #[test]
    fn libdeflate_ends_each_message_with_bfinal() {
        let kind = DeflaterKind { level: 1, window_bits: 15, library: Library::Libdeflate };
        let mut deflater = Deflater::of(kind);
        let ticks = b"tick ".repeat(20);
        let compressed = deflater.alone(&ticks, 20).unwrap();
        assert_eq!((compressed[0] & 1, compressed.last()), (1, Some(&0)));
        assert_eq!(inflate(&mut Inflater::new(), compressed), ticks);
        assert_eq!(deflater.alone(b"", usize::MAX), Some(&b"\0"[..]));

        let json = b"{\"sequence\":1,\"kind\":\"tick\"}".repeat(3000);
        for window_bits in [9, 12, 15] {
            let (mut deflater, mut inflater) = (Deflater::of(DeflaterKind { window_bits, ..kind }), Inflater::new());
            for bytes in [0, 1, 100, 512, 513, 4096, 32 << 10, (32 << 10) + 1, json.len()] {
                let compressed = deflater.alone(&json[..bytes], usize::MAX).unwrap().to_vec();
                assert_eq!(inflate(&mut inflater, &compressed), &json[..bytes], "{window_bits} bits, {bytes} bytes");
                inflater.reset();
                if bytes < 100 {
                    continue;
                }
                assert_eq!(deflater.alone(&noise(bytes), bytes - 1), None);
                assert_eq!(deflater.alone(&json[..bytes], compressed.len()), Some(&compressed[..]));
                assert_eq!(deflater.alone(&json[..bytes], compressed.len() - 1), None);
            }
        }
    }
}
