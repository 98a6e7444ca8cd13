//! Bytes that were read and not looked at yet.

/// What one read can bring. 64 KiB: sixteen frames of 4 KiB in one system call, and the kernel rarely has more at hand.
const READ_BYTES: usize = 64 << 10;

/// A read buffer and how far it was looked at. It belongs to the thread's pool while there is nothing in it.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
    /// Where the input of the last step began: what an event's range counts from.
    base: usize,
}

impl Input {
    /// An empty buffer.
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; READ_BYTES], at: 0, end: 0, base: 0 }
    }

    /// Bytes that came with the opening handshake, in a buffer of their own size.
    pub(crate) fn holding(leftover: &[u8]) -> Self {
        Self { bytes: leftover.to_vec(), at: 0, end: leftover.len(), base: 0 }
    }

    /// Whether it can be read into: what came with the opening handshake has no room for more.
    pub(crate) fn is_roomy(&self) -> bool {
        self.bytes.len() == READ_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// What was not looked at yet; ranges count from its start.
    #[inline]
    pub(crate) fn begin(&mut self) -> &mut [u8] {
        self.base = self.at;
        &mut self.bytes[self.at..self.end]
    }

    /// The first of it was looked at.
    #[inline]
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// All of it was.
    pub(crate) fn discard(&mut self) {
        self.at = self.end;
    }

    /// What [`begin`](Self::begin) gave last.
    #[inline]
    pub(crate) fn last(&self) -> &[u8] {
        &self.bytes[self.base..self.end]
    }

    /// Where to read to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// So much was read.
    pub(crate) fn filled(&mut self, bytes: usize) {
        (self.at, self.end, self.base) = (0, bytes, 0);
    }
}
