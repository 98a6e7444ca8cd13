//! What waits to be written, in order, with the frame borders kept so that control frames can overtake data.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::frame::Header;

/// The bytes that one connection owes its peer. The caller owns it, looks at [`slices`](Self::slices), writes what the
/// socket takes and says so with [`advance`](Self::advance).
///
/// Small frames are copied into one flat buffer; large payloads and shared frames are kept by reference between its
/// bytes. Pings and pongs go out at the next frame border, ahead of the messages that wait (§5.4: "Control frames MAY be
/// injected in the middle of a fragmented message"). Empty, it keeps the memory it grew to: drop it, or share it with
/// other connections that have something to say only now and then.
#[derive(Debug, Default)]
pub struct Output {
    /// Headers and small payloads.
    flat: Vec<u8>,
    /// How much of `flat` is written.
    flat_at: usize,
    /// A place in `flat`, at or before `flat_at`, where a frame begins.
    border: usize,
    /// Bytes kept by reference, in order.
    shared: VecDeque<Shared>,
    /// How much of the first of `shared` is written.
    shared_at: usize,
    /// Pings and pongs.
    control: Vec<u8>,
    control_at: usize,
    /// Where in `control` the newest pong lies, while nothing came behind it.
    last_pong: Option<usize>,
    /// Everything that is not written.
    pending: usize,
    /// Everything that ever was.
    written: u64,
    /// What was written waits in the socket's own buffer.
    flushing: bool,
}

/// Bytes that follow `flat[..at]`.
#[derive(Debug)]
struct Shared {
    at: usize,
    bytes: Bytes,
    /// A whole frame, or the payload of the frame whose header ends at `flat[at]`.
    whole: bool,
}

impl Output {
    /// Pongs wait in order up to this many bytes; beyond, the newest replaces the one before (§5.5.3: an endpoint "MAY
    /// elect to send a Pong frame for only the most recently processed Ping frame"). 32 of the largest.
    const MAX_CONTROL_BYTES: usize = 4096;

    /// Written bytes are dropped from the front of `flat` once they are this many and more than half of it.
    const COMPACT_BYTES: usize = 16 << 10;

    /// Nothing to write, and no memory held.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing to write, and memory for so many bytes: for a pool that many connections share.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { flat: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.pending
    }

    /// How many of them are not of pings and pongs.
    #[inline]
    pub(crate) fn data_len(&self) -> usize {
        self.pending - (self.control.len() - self.control_at)
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// How many bytes were ever written: it moves as long as the peer reads.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Says whether what is written waits in a buffer of the socket's own, as TLS has one, which a peer that does not read
    /// keeps from being flushed.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// What [`set_flushing`](Self::set_flushing) said last.
    pub fn is_flushing(&self) -> bool {
        self.flushing
    }

    /// Whether a ping or pong waits.
    pub fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// How much fits before its memory grows.
    pub fn capacity(&self) -> usize {
        self.flat.capacity()
    }

    /// Fills `slices` with what to write next and returns how many it used; 0 when nothing waits.
    pub fn slices<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filler = Filler { slices, used: 0 };
        let mut limit = usize::MAX;
        if !self.control.is_empty() {
            limit = self.until_border();
            if limit == 0 {
                filler.push(&self.control[self.control_at..]);
                limit = usize::MAX;
            }
        }
        let (mut flat_at, mut shared_at) = (self.flat_at, self.shared_at);
        for shared in &self.shared {
            limit -= filler.push_up_to(&self.flat[flat_at..shared.at], limit);
            limit -= filler.push_up_to(&shared.bytes[shared_at..], limit);
            (flat_at, shared_at) = (shared.at, 0);
        }
        filler.push_up_to(&self.flat[flat_at..], limit);
        filler.used
    }

    /// Says that the first `bytes` of what [`slices`](Self::slices) showed are written.
    ///
    /// # Panics
    /// When that is more than waits.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.pending, "more written than waits");
        self.pending -= bytes;
        self.written += bytes as u64;
        if self.pending == 0 {
            self.clear();
            return;
        }
        let mut rest = bytes;
        if !self.control.is_empty() && self.until_border() == 0 {
            let control = rest.min(self.control.len() - self.control_at);
            self.control_at += control;
            rest -= control;
            if self.control_at == self.control.len() {
                // Control frames are rare, so this memory goes when they are written.
                (self.control, self.control_at, self.last_pong) = (Vec::new(), 0, None);
            }
        }
        while rest > 0 {
            let flat_end = self.shared.front().map_or(self.flat.len(), |shared| shared.at);
            let flat = rest.min(flat_end - self.flat_at);
            self.flat_at += flat;
            rest -= flat;
            let Some(shared) = self.shared.front().filter(|_| rest > 0) else { break };
            let taken = rest.min(shared.bytes.len() - self.shared_at);
            self.shared_at += taken;
            rest -= taken;
            if self.shared_at == shared.bytes.len() {
                self.walk_past_front();
            }
        }
        if self.flat_at > Self::COMPACT_BYTES && self.flat_at > self.flat.len() / 2 {
            self.compact();
        }
    }

    /// Everything that waits, in one piece; for tests and examples.
    pub fn to_vec(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.pending);
        while self.pending > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let used = self.slices(&mut slices);
            let before = bytes.len();
            slices[..used].iter().for_each(|slice| bytes.extend_from_slice(slice));
            self.advance(bytes.len() - before);
        }
        bytes
    }

    /// A place to append whole frames to; the caller says how many bytes it appended by `grew`.
    #[inline]
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.flat.len();
        write(&mut self.flat);
        self.pending += self.flat.len() - before;
    }

    /// Appends the payload of the frame whose header was appended last, by reference.
    pub(crate) fn append_payload(&mut self, bytes: Bytes) {
        self.pending += bytes.len();
        self.shared.push_back(Shared { at: self.flat.len(), bytes, whole: false });
    }

    /// Appends a whole frame by reference.
    pub(crate) fn append_frame(&mut self, bytes: Bytes) {
        self.pending += bytes.len();
        self.shared.push_back(Shared { at: self.flat.len(), bytes, whole: true });
    }

    /// Queues a whole Pong frame ahead of the messages that wait.
    pub(crate) fn pong(&mut self, frame: &[u8]) {
        self.drop_written_control();
        if self.control.len() + frame.len() > Self::MAX_CONTROL_BYTES
            && let Some(at) = self.last_pong
        {
            self.pending -= self.control.len() - at;
            self.control.truncate(at);
        }
        self.last_pong = Some(self.control.len());
        self.control.extend_from_slice(frame);
        self.pending += frame.len();
    }

    /// Queues a whole Ping frame ahead of the messages that wait; `false` when too many wait already.
    pub(crate) fn ping(&mut self, frame: &[u8]) -> bool {
        self.drop_written_control();
        if self.control.len() + frame.len() > Self::MAX_CONTROL_BYTES {
            return false;
        }
        self.last_pong = None;
        self.control.extend_from_slice(frame);
        self.pending += frame.len();
        true
    }

    /// Makes room for what comes. A frame of which a part is written can no longer be replaced.
    fn drop_written_control(&mut self) {
        let written = std::mem::take(&mut self.control_at);
        self.control.drain(..written);
        self.last_pong = self.last_pong.and_then(|at| at.checked_sub(written));
    }

    /// How many bytes there are from the place written up to, to the next border between two frames.
    fn until_border(&mut self) -> usize {
        if let Some(front) = self.shared.front()
            && front.at == self.flat_at
            && (self.shared_at > 0 || !front.whole)
        {
            self.border = front.at;
            return front.bytes.len() - self.shared_at;
        }
        while self.border < self.flat_at {
            let header = Header::parse(&self.flat[self.border..]);
            let (header, header_bytes) = header.expect("we wrote it").expect("whole headers are appended");
            let header_end = self.border + header_bytes;
            let by_reference = self.shared.iter().find(|shared| !shared.whole && shared.at == header_end);
            match by_reference {
                // The header is being written and its payload follows by reference: the border is behind both.
                Some(shared) if header_end > self.flat_at => return header_end - self.flat_at + shared.bytes.len(),
                Some(_) => self.border = header_end,
                None => self.border = header_end + header.payload_bytes as usize,
            }
        }
        self.border - self.flat_at
    }

    /// The first of `shared` is written: a border lies behind it.
    fn walk_past_front(&mut self) {
        if let Some(front) = self.shared.pop_front() {
            self.border = self.border.max(front.at);
        }
        self.shared_at = 0;
    }

    fn compact(&mut self) {
        self.until_border();
        // The walk over headers must be able to go on from `border`, so bytes are kept from there.
        let drop = self.border.min(self.flat_at);
        self.flat.drain(..drop);
        self.flat_at -= drop;
        self.border -= drop;
        self.shared.iter_mut().for_each(|shared| shared.at -= drop);
    }

    fn clear(&mut self) {
        self.flat.clear();
        self.shared.clear();
        (self.flat_at, self.border, self.shared_at) = (0, 0, 0);
        if !self.control.is_empty() {
            (self.control, self.control_at, self.last_pong) = (Vec::new(), 0, None);
        }
    }
}

/// Puts slices into an array as long as there is room.
struct Filler<'s, 'a> {
    slices: &'s mut [IoSlice<'a>],
    used: usize,
}

impl<'a> Filler<'_, 'a> {
    fn push(&mut self, bytes: &'a [u8]) {
        self.push_up_to(bytes, usize::MAX);
    }

    /// Takes at most `limit` bytes and returns how many; once the array is full, later bytes are for the next write.
    fn push_up_to(&mut self, bytes: &'a [u8], limit: usize) -> usize {
        let bytes = &bytes[..bytes.len().min(limit)];
        if !bytes.is_empty() && self.used < self.slices.len() {
            self.slices[self.used] = IoSlice::new(bytes);
            self.used += 1;
        }
        bytes.len()
    }
}
