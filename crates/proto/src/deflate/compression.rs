//! What one connection keeps for compression: the parameters, and as long as messages refer to each other, contexts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::codecs::{Codecs, Fresh};
use super::memory::{ContextMemory, Reservation};
use super::negotiate::Agreed;
use super::settings::MIN_WINDOW_BITS;
use super::{Deflate, Deflater, DeflaterKind, Direction, InflateError, Inflater};
use crate::error::ProtocolError;
use crate::message::Wish;
use crate::role::Role;

/// One connection's compression. Between two messages without context takeover it is this struct and nothing else.
#[derive(Debug)]
pub(crate) struct Compression {
    codecs: &'static dyn Codecs,
    /// In use for the message that is coming in, or between messages while the peer may refer to them.
    inflater: Option<Box<Inflater>>,
    /// In use for the message that is streamed out, or between messages while ours may refer to them.
    deflater: Option<Box<Deflater>>,
    takeover: Option<Box<Takeover>>,
    min_bytes: usize,
    max_ratio: Option<u32>,
    deflaters: DeflaterKind,
    ours: Direction,
    theirs: Direction,
    /// The streamed message that goes out is compressed.
    streaming: bool,
}

/// What only connections with context takeover have.
#[derive(Debug)]
struct Takeover {
    memory: Option<ContextMemory>,
    /// The room that our context has.
    ours: Option<Reservation>,
    /// The room that an inflater has between messages.
    theirs: Option<Reservation>,
    /// The room that `history` has.
    _history: Option<Arc<Reservation>>,
    /// What the peer's next message may refer to, while there is no inflater that knows.
    history: Box<[u8]>,
    quiet_after: Duration,
    /// When a context was last used; `touched` since this was last looked at, as most uses have no time of their own.
    used: Option<Instant>,
    touched: bool,
}

impl Compression {
    /// What is known of a message's length before it is compressed, and DEFLATE may add to it: an eighth, where a
    /// compressor writes each byte in nine bits, and some for headers.
    const EXPANSION_BYTES: u64 = 1 << 10;

    pub(crate) fn new(agreed: &Agreed, role: Role) -> Self {
        let Agreed { params, settings, remembered } = agreed;
        let theirs = params.of(role.other());
        let ours = params.of(role);
        let takeover = (ours.takeover || theirs.takeover).then(|| {
            Box::new(Takeover {
                memory: settings.takeover.clone(),
                ours: None,
                theirs: None,
                _history: remembered.clone(),
                history: Box::default(),
                quiet_after: settings.quiet_after,
                used: None,
                touched: false,
            })
        });
        Self {
            codecs: &Fresh,
            inflater: None,
            deflater: None,
            takeover,
            min_bytes: settings.min_bytes,
            max_ratio: settings.max_ratio,
            deflaters: DeflaterKind {
                level: settings.level(),
                window_bits: ours.window_bits.max(MIN_WINDOW_BITS),
                library: settings.library,
            },
            ours,
            theirs,
            streaming: false,
        }
    }

    pub(crate) fn set_codecs(&mut self, codecs: &'static dyn Codecs) {
        self.codecs = codecs;
    }

    // What comes in.

    /// How many bytes of compressed payload a limit on inflated bytes stands for: what does not shrink may grow.
    pub(crate) fn expanded(bytes: u64) -> u64 {
        bytes.saturating_add(bytes / 8).saturating_add(Self::EXPANSION_BYTES)
    }

    /// What inflates the message that is coming in.
    pub(crate) fn inflater(&mut self) -> &mut Inflater {
        let Self { inflater, codecs, takeover, .. } = self;
        inflater.get_or_insert_with(|| {
            let mut inflater = codecs.take_inflater();
            if let Some(takeover) = takeover {
                inflater.resume(&std::mem::take(&mut takeover.history));
            }
            inflater
        })
    }

    /// The limits that a compressed message is held to while it inflates.
    pub(crate) fn limits(&self, max_message_bytes: u64) -> Limits {
        Limits { max_message_bytes, max_ratio: self.max_ratio }
    }

    /// A message has come in, whole.
    pub(crate) fn finish_inflating(&mut self) -> Result<(), InflateError> {
        self.inflater().finish()?;
        match &mut self.takeover {
            Some(takeover) if self.theirs.takeover => {
                takeover.touched = true;
                if takeover.theirs.is_none() {
                    takeover.theirs = takeover.memory.as_ref().and_then(|memory| memory.reserve(Inflater::BYTES));
                }
                if takeover.theirs.is_none() {
                    self.set_inflater_aside();
                }
            }
            _ => self.put_inflater(),
        }
        Ok(())
    }

    // What goes out.

    /// Whether a message of this length is to be compressed, as far as one can say without trying.
    pub(crate) fn wants(&self, wish: Wish, bytes: usize) -> bool {
        let long_enough = match wish {
            Wish::None => bytes >= self.min_bytes.max(1),
            Wish::Compressed => bytes > 0,
            Wish::Uncompressed => false,
        };
        // zlib cannot compress with a window of 256 bytes, so a client that was told to does not compress at all.
        long_enough && self.ours.window_bits >= MIN_WINDOW_BITS
    }

    /// The compressor for the next message: with takeover our own, as long as there is memory.
    pub(crate) fn take_deflater(&mut self) -> Box<Deflater> {
        if let Some(deflater) = self.deflater.take() {
            return deflater;
        }
        let window_bits = self.ours.window_bits;
        if self.ours.takeover
            && let Some(takeover) = &mut self.takeover
        {
            takeover.ours = takeover.memory.as_ref().and_then(|memory| memory.reserve(Deflater::bytes(window_bits)));
        }
        self.codecs.take_deflater(self.deflaters)
    }

    /// Gives it back when the message is done, or keeps it for the next.
    pub(crate) fn put_deflater(&mut self, mut deflater: Box<Deflater>) {
        match &mut self.takeover {
            Some(takeover) if takeover.ours.is_some() => {
                takeover.touched = true;
                deflater.shrink(4 << 10);
                self.deflater = Some(deflater);
            }
            _ => {
                deflater.reset();
                self.codecs.put_deflater(deflater);
            }
        }
    }

    /// Keeps it for the next part of a streamed message.
    pub(crate) fn stream_with(&mut self, deflater: Box<Deflater>) {
        self.deflater = Some(deflater);
        self.streaming = true;
    }

    /// The compressor of the streamed message, if that is compressed.
    pub(crate) fn take_streaming(&mut self) -> Option<Box<Deflater>> {
        if std::mem::take(&mut self.streaming) { self.deflater.take() } else { None }
    }

    /// Compresses a whole message to at most `max_bytes` bytes; `None` when it would take more.
    pub(crate) fn compress<'a>(
        &self,
        deflater: &'a mut Deflater,
        message: &[u8],
        max_bytes: usize,
    ) -> Option<&'a [u8]> {
        match &self.takeover {
            Some(takeover) if takeover.ours.is_some() => deflater.message(message, max_bytes),
            _ => deflater.alone(message, max_bytes),
        }
    }

    /// What a message for many is compressed by, and where that comes from.
    pub(crate) fn shared(&self) -> (DeflaterKind, &'static dyn Codecs) {
        (self.deflaters, self.codecs)
    }

    /// The peer was sent what our context does not know, so the next message must not refer to what was before it.
    pub(crate) fn forget_ours(&mut self) {
        debug_assert!(!self.streaming, "a message is begun");
        if let Some(mut deflater) = self.deflater.take() {
            deflater.reset();
            self.codecs.put_deflater(deflater);
        }
        if let Some(takeover) = &mut self.takeover {
            takeover.ours = None;
        }
    }

    // What the clock says.

    /// Whether there is anything to drop when messages stop.
    pub(crate) fn holds_context(&self) -> bool {
        self.takeover.is_some() && (self.inflater.is_some() || self.deflater.is_some())
    }

    /// When that is.
    pub(crate) fn quiet_at(&mut self, now: Instant) -> Option<Instant> {
        if !self.holds_context() {
            return None;
        }
        let takeover = self.takeover.as_mut()?;
        if std::mem::take(&mut takeover.touched) || takeover.used.is_none() {
            takeover.used = Some(now);
        }
        takeover.used.map(|used| crate::state::after(used, takeover.quiet_after))
    }

    /// Nothing came or went for a while: what is needed is kept in the least memory. `receiving` while a message is
    /// begun.
    pub(crate) fn quiet(&mut self, receiving: bool, now: Instant) {
        if !self.streaming {
            self.forget_ours();
        }
        if let Some(takeover) = &mut self.takeover {
            takeover.used = Some(now);
        }
        if !receiving {
            self.set_inflater_aside();
        }
    }

    /// Keeps of the inflater what the peer's next message may refer to.
    fn set_inflater_aside(&mut self) {
        if let (Some(takeover), Some(inflater)) = (&mut self.takeover, &self.inflater) {
            takeover.theirs = None;
            takeover.history = inflater.history(self.theirs.window_bytes()).into();
        }
        self.put_inflater();
    }

    fn put_inflater(&mut self) {
        if let Some(mut inflater) = self.inflater.take() {
            inflater.reset();
            self.codecs.put_inflater(inflater);
        }
    }
}

/// What a message may inflate to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    max_message_bytes: u64,
    max_ratio: Option<u32>,
}

impl Limits {
    /// How much more a message may inflate to that has inflated to `inflated` bytes, and the byte that is too much.
    pub(crate) fn room(self, inflated: u64) -> usize {
        usize::try_from(self.max_message_bytes.saturating_sub(inflated).saturating_add(1)).unwrap_or(usize::MAX)
    }

    /// Holds a message against them: `deflated` bytes came, and `inflated` came of them.
    pub(crate) fn check(self, deflated: u64, inflated: u64) -> Result<(), ProtocolError> {
        if inflated > self.max_message_bytes {
            return Err(ProtocolError::MessageTooBig { max: self.max_message_bytes });
        }
        match self.max_ratio {
            Some(max) if inflated > deflated.saturating_mul(max.into()).saturating_add(Deflate::FREE_BYTES) => {
                Err(ProtocolError::InflateRatio { max })
            }
            _ => Ok(()),
        }
    }
}

/// What was lent goes back, whatever it was in the middle of.
impl Drop for Compression {
    fn drop(&mut self) {
        self.put_inflater();
        if let Some(mut deflater) = self.deflater.take() {
            deflater.reset();
            self.codecs.put_deflater(deflater);
        }
    }
}
