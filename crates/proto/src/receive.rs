//! Frames into events (§5, §6.2): the receiving half of a connection, which neither answers nor closes.

use std::ops::Range;

use bytes::Bytes;

use crate::assemble::Assembler;
use crate::close::Close;
use crate::deflate::{Compression, Inflated};
use crate::error::ProtocolError;
use crate::event::{Arrival, Event, Payload, Received};
use crate::frame::{Header, Opcode};
use crate::limits::Config;
use crate::mask::mask;
use crate::message::Kind;
use crate::role::Role;
use crate::utf8::Checker;

/// Whether the application wants messages whole or in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Whole,
    Parts,
}

/// What is known of the frame and the message that are coming in. Between messages it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// A header of which a part has come.
    header: [u8; Header::MAX_BYTES],
    header_bytes: u8,
    /// A frame whose header has come, and not all of its payload.
    frame: Option<Frame>,
    /// A control frame's payload, when it comes in pieces, which is rare: so it costs a pointer.
    control: Option<Box<Pieces>>,
    /// A message of which a part has come.
    message: Option<Box<Message>>,
    /// Whether the last step took a part of a data frame.
    took_data: bool,
}

/// What has come of a payload.
#[derive(Debug, Default)]
struct Pieces(Vec<u8>);

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    key: Option<[u8; 4]>,
    /// How much of its payload has come.
    at: u64,
    /// How much is to come. Only a compressed frame is kept when that is nothing: more can be inflated of it.
    rest: u64,
    /// It begins a compressed message.
    compressed: bool,
}

#[derive(Debug)]
struct Message {
    kind: Kind,
    /// Every payload byte declared so far.
    bytes: u64,
    empty_fragments: u32,
    /// It is inflated as it comes (RFC 7692).
    deflated: Option<Deflated>,
    body: Body,
}

/// How far a compressed message is inflated.
#[derive(Clone, Copy, Debug, Default)]
struct Deflated {
    /// Compressed bytes that were taken.
    taken: u64,
    /// What came of them.
    inflated: u64,
}

/// What some of a compressed message came to.
struct Inflation {
    taken: usize,
    /// There is more to be had of what was taken.
    pending: bool,
    event: Option<Event>,
}

#[derive(Debug)]
enum Body {
    /// It is put together.
    Whole(Assembler),
    /// It goes to the application as it comes; `begun` once something went.
    Parts { checker: Checker, begun: bool },
    /// Some of it went in parts, and then some came that nobody asked for in parts: the rest is only checked.
    Dropped(Checker),
}

impl Reader {
    /// Compressed bytes that are unmasked at once where parts are wanted.
    const PART_BYTES: usize = 4 << 10;

    /// Whether a message is begun and not finished.
    pub(crate) fn in_message(&self) -> bool {
        self.message.is_some()
    }

    /// Whether the last step took a part of a data frame.
    pub(crate) fn took_data(&self) -> bool {
        self.took_data
    }

    /// The common case: the input begins with one frame that is a whole message, with nothing wrong about it. Unmasks it
    /// where it lies. On `None` nothing has happened, and [`step`](Self::step) finds out what it is instead.
    #[inline(always)] // see `Connection::receive_whole`
    pub(crate) fn whole_message(&self, input: &mut [u8], role: Role, config: &Config) -> Option<(Kind, Range<usize>)> {
        if self.frame.is_some() || self.message.is_some() || self.header_bytes > 0 {
            return None;
        }
        let (header, start) = Header::parse(input).ok()??;
        let kind = match header.opcode {
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            _ => return None,
        };
        let expected = header.fin && header.reserved == 0 && header.key.is_some() == (role == Role::Server);
        let limit = config.max_frame_bytes.min(config.max_message_bytes);
        if !expected || header.payload_bytes > limit || header.payload_bytes > (input.len() - start) as u64 {
            return None;
        }
        let range = start..start + header.payload_bytes as usize;
        let payload = &mut input[range.clone()];
        if let Some(key) = header.key {
            mask(payload, key, 0);
        }
        if kind == Kind::Text && simdutf8::basic::from_utf8(payload).is_err() {
            if let Some(key) = header.key {
                mask(payload, key, 0);
            }
            return None;
        }
        Some((kind, range))
    }

    /// Takes at least one byte of an input that has one, and yields at most one event.
    pub(crate) fn step(
        &mut self,
        input: &mut [u8],
        mode: Mode,
        role: Role,
        config: &Config,
        mut compression: Option<&mut Compression>,
    ) -> Result<Received, ProtocolError> {
        self.took_data = false;
        match mode {
            Mode::Whole => self.take_back(),
            Mode::Parts => {
                if let Some(event) = self.hand_over() {
                    return Ok(Received { consumed: 0, event: Some(event) });
                }
            }
        }
        if let Some(frame) = self.frame.take_if(|frame| frame.rest == 0) {
            let event = self.inflated(frame, &mut [], mode, config, compression.as_deref_mut())?.1;
            if event.is_some() {
                return Ok(Received { consumed: 0, event });
            }
        }
        let mut start = 0;
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => match self.read_header(input)? {
                Some((header, bytes)) => {
                    start = bytes;
                    self.admit(header, role, config, compression.is_some())?
                }
                None => return Ok(Received { consumed: input.len(), event: None }),
            },
        };
        let mut end = start + usize::try_from(frame.rest).map_or(usize::MAX, |rest| rest.min(input.len() - start));
        if let Some(limit) = self.straddler_bytes(frame) {
            end = end.min(start + limit);
        }
        if self.is_compressed(frame) {
            let (taken, event) = self.inflated(frame, &mut input[start..end], mode, config, compression)?;
            return Ok(Received { consumed: start + taken, event });
        }
        let range = start..end;
        let piece = &mut input[range.clone()];
        if let Some(key) = frame.key {
            mask(piece, key, (frame.at % 4) as usize);
        }
        frame.at += piece.len() as u64;
        frame.rest -= piece.len() as u64;
        let whole = frame.rest == 0;
        self.took_data = !frame.opcode.is_control();
        if !whole {
            self.frame = Some(frame);
        }
        let event = match self.took_data {
            false => self.control(frame.opcode, piece, range, whole)?,
            true => self.data(frame, piece, range, whole, mode)?,
        };
        Ok(Received { consumed: end, event })
    }

    /// Reads a header from the input, or from what came of it before and the input.
    fn read_header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let before = usize::from(self.header_bytes);
        if before == 0 {
            if let Some(read) = Header::parse(input)? {
                return Ok(Some(read));
            }
            self.header[..input.len()].copy_from_slice(input);
            self.header_bytes = input.len() as u8;
            return Ok(None);
        }
        let added = input.len().min(Header::MAX_BYTES - before);
        self.header[before..before + added].copy_from_slice(&input[..added]);
        match Header::parse(&self.header[..before + added])? {
            Some((header, bytes)) => {
                self.header_bytes = 0;
                Ok(Some((header, bytes - before)))
            }
            None => {
                self.header_bytes += added as u8;
                Ok(None)
            }
        }
    }

    /// Holds a header against the connection and its limits, before any of its payload is looked at.
    fn admit(
        &mut self,
        header: Header,
        role: Role,
        config: &Config,
        compression: bool,
    ) -> Result<Frame, ProtocolError> {
        let Header { fin, reserved, opcode, key, payload_bytes } = header;
        // §5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values." RFC 7692 §6.1: RSV1
        // is set on the first fragment of a compressed message, and on no other and no control frame.
        let begins = matches!(opcode, Opcode::Text | Opcode::Binary);
        let compressed = reserved == Header::RSV1 && begins && compression;
        if reserved != 0 && !compressed {
            return Err(ProtocolError::ReservedBits);
        }
        // §5.1: "The server MUST close the connection upon receiving a frame that is not masked", and a client one that is.
        match (role, key) {
            (Role::Server, None) => return Err(ProtocolError::UnmaskedFrame),
            (Role::Client, Some(_)) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        if !opcode.is_control() {
            self.admit_data(opcode, fin, payload_bytes, compressed, config)?;
        }
        Ok(Frame { opcode, fin, key, at: 0, rest: payload_bytes, compressed })
    }

    fn admit_data(
        &mut self,
        opcode: Opcode,
        fin: bool,
        bytes: u64,
        compressed: bool,
        config: &Config,
    ) -> Result<(), ProtocolError> {
        // §5.4: fragments of one message are not interleaved with those of another.
        match (opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::InterleavedMessage),
            _ => {}
        }
        // §10.4: limits on "the frame size and the total message size after reassembly", met before memory is.
        // Compressed bytes are not what is limited, but more of them than the longest message compresses to are too many.
        let compressed = compressed || self.message.as_ref().is_some_and(|message| message.deflated.is_some());
        let limit = |max: u64| if compressed { Compression::expanded(max) } else { max };
        if bytes > limit(config.max_frame_bytes) {
            return Err(ProtocolError::FrameTooBig { bytes, max: config.max_frame_bytes });
        }
        let (before, empty) = self.message.as_ref().map_or((0, 0), |message| (message.bytes, message.empty_fragments));
        if before.saturating_add(bytes) > limit(config.max_message_bytes) {
            return Err(ProtocolError::MessageTooBig { max: config.max_message_bytes });
        }
        let empty = empty + u32::from(bytes == 0 && !fin);
        if empty > config.max_empty_fragments {
            return Err(ProtocolError::TooManyEmptyFragments { max: config.max_empty_fragments });
        }
        if let Some(message) = &mut self.message {
            message.bytes = before + bytes;
            message.empty_fragments = empty;
        }
        Ok(())
    }

    fn control(
        &mut self,
        opcode: Opcode,
        piece: &[u8],
        range: Range<usize>,
        whole: bool,
    ) -> Result<Option<Event>, ProtocolError> {
        if !whole || self.control.is_some() {
            self.control.get_or_insert_default().0.extend_from_slice(piece);
        }
        if !whole {
            return Ok(None);
        }
        let payload = match self.control.take() {
            None => Payload::Input(range),
            Some(pieces) => Payload::Owned(Bytes::from(pieces.0)),
        };
        Ok(Some(match opcode {
            Opcode::Ping => Event::Ping(payload),
            Opcode::Pong => Event::Pong(payload),
            _ => match &payload {
                Payload::Owned(bytes) => Event::Close(Close::parse(bytes)?),
                Payload::Input(_) => Event::Close(Close::parse(piece)?),
            },
        }))
    }

    /// A piece of a data frame that is not a message by itself.
    fn data(
        &mut self,
        frame: Frame,
        piece: &[u8],
        range: Range<usize>,
        whole: bool,
        mode: Mode,
    ) -> Result<Option<Event>, ProtocolError> {
        let message = self.message.get_or_insert_with(|| Box::new(Message::new(frame, mode)));
        let last = whole && frame.fin;
        let kind = message.kind;
        if mode == Mode::Whole
            && !piece.is_empty()
            && let Body::Parts { checker, .. } = &mut message.body
        {
            message.body = Body::Dropped(std::mem::take(checker));
        }
        let event = match &mut message.body {
            Body::Whole(assembler) => {
                assembler.push(piece)?;
                if last && let Some(message) = self.message.take() {
                    let Body::Whole(assembler) = message.body else { return Ok(None) };
                    return Ok(Some(Event::Message(Arrival::Owned(Box::new(assembler.finish()?)))));
                }
                return Ok(None);
            }
            Body::Parts { checker, begun } => {
                let payload = part(kind, checker, piece, range, last)?;
                let empty = matches!(&payload, Payload::Input(range) if range.is_empty());
                *begun |= !empty;
                (mode == Mode::Parts && (last || !empty)).then_some(Event::Part { kind, payload, last })
            }
            Body::Dropped(checker) => {
                part(kind, checker, piece, range, last)?;
                None
            }
        };
        if last {
            self.message = None;
        }
        Ok(event)
    }

    fn is_compressed(&self, frame: Frame) -> bool {
        let continues = |message: &Message| frame.opcode == Opcode::Continuation && message.deflated.is_some();
        frame.compressed || self.message.as_deref().is_some_and(continues)
    }

    /// A piece of a frame of a compressed message: unmasks and takes all of it, or when parts are wanted, as much as a part
    /// is made of.
    fn inflated(
        &mut self,
        mut frame: Frame,
        piece: &mut [u8],
        mode: Mode,
        config: &Config,
        compression: Option<&mut Compression>,
    ) -> Result<(usize, Option<Event>), ProtocolError> {
        // What is not taken is masked again, so little is unmasked where little may be taken.
        let piece = match mode {
            Mode::Whole => piece,
            Mode::Parts => {
                let bytes = piece.len().min(Self::PART_BYTES);
                &mut piece[..bytes]
            }
        };
        let compression = compression.expect("a compressed message was admitted");
        if let Some(key) = frame.key {
            mask(piece, key, (frame.at % 4) as usize);
        }
        self.took_data = true;
        let Inflation { taken, pending, event } = self.inflate(frame, piece, mode, config, compression)?;
        frame.at += taken as u64;
        frame.rest -= taken as u64;
        if let Some(key) = frame.key {
            mask(&mut piece[taken..], key, (frame.at % 4) as usize);
        }
        if frame.rest > 0 || pending {
            self.frame = Some(frame);
        }
        Ok((taken, event))
    }

    /// RFC 7692 §7.2.2, a piece at a time. The limits hold while it inflates: nobody knows before what it comes to.
    fn inflate(
        &mut self,
        frame: Frame,
        piece: &[u8],
        mode: Mode,
        config: &Config,
        compression: &mut Compression,
    ) -> Result<Inflation, ProtocolError> {
        let limits = compression.limits(config.max_message_bytes);
        let message = self.message.get_or_insert_with(|| Box::new(Message::new(frame, mode)));
        let kind = message.kind;
        let mut at = 0;
        loop {
            let deflated = message.deflated.get_or_insert_default();
            let inflated = compression.inflater().inflate(&piece[at..], limits.room(deflated.inflated));
            let Inflated { taken, bytes, pending } = inflated.map_err(ProtocolError::Inflate)?;
            at += taken;
            deflated.taken += taken as u64;
            deflated.inflated += bytes.len() as u64;
            limits.check(deflated.taken, deflated.inflated)?;
            if mode == Mode::Whole
                && !bytes.is_empty()
                && let Body::Parts { checker, .. } = &mut message.body
            {
                message.body = Body::Dropped(std::mem::take(checker));
            }
            let done = at == piece.len() && !pending;
            let last = done && frame.fin && frame.rest == piece.len() as u64;
            let mut event = None;
            match &mut message.body {
                Body::Whole(assembler) => assembler.push(bytes)?,
                Body::Parts { checker, begun } => {
                    let payload = owned_part(kind, checker, bytes, last)?;
                    *begun |= !payload.is_empty();
                    let wanted = mode == Mode::Parts && (last || !payload.is_empty());
                    event = wanted.then_some(Event::Part { kind, payload: Payload::Owned(payload), last });
                }
                Body::Dropped(checker) => {
                    owned_part(kind, checker, bytes, last)?;
                }
            }
            if last {
                compression.finish_inflating().map_err(ProtocolError::Inflate)?;
                if let Some(message) = self.message.take()
                    && let Body::Whole(assembler) = message.body
                {
                    event = Some(Event::Message(Arrival::Owned(Box::new(assembler.finish()?))));
                }
                return Ok(Inflation { taken: at, pending: false, event });
            }
            if done || event.is_some() {
                return Ok(Inflation { taken: at, pending, event });
            }
        }
    }

    /// Text that goes out in parts is never cut inside a code point. One that straddles two pieces is a part by itself,
    /// so this step takes no more than its missing bytes.
    fn straddler_bytes(&self, frame: Frame) -> Option<usize> {
        if frame.opcode.is_control() {
            return None;
        }
        match &self.message.as_ref().filter(|message| message.deflated.is_none())?.body {
            Body::Parts { checker, .. } => checker.missing_bytes(),
            Body::Whole(_) | Body::Dropped(_) => None,
        }
    }

    /// What was put together of a message that shall from now on go out in parts.
    fn hand_over(&mut self) -> Option<Event> {
        let message = self.message.as_deref_mut()?;
        let Body::Whole(assembler) = &mut message.body else { return None };
        let (bytes, checker) = match std::mem::replace(assembler, Assembler::new(message.kind)) {
            Assembler::Text(text, checker) => (text.into_bytes(), checker),
            Assembler::Binary(bytes) => (bytes, Checker::default()),
        };
        message.body = Body::Parts { checker, begun: !bytes.is_empty() };
        (!bytes.is_empty()).then(|| Event::Part {
            kind: message.kind,
            payload: Payload::Owned(Bytes::from(bytes)),
            last: false,
        })
    }

    /// A message that should have gone out in parts, of which none did, can still be put together.
    fn take_back(&mut self) {
        if let Some(message) = self.message.as_deref_mut()
            && let Body::Parts { checker, begun: false } = &mut message.body
        {
            message.body = Body::Whole(Assembler::resume(message.kind, std::mem::take(checker)));
        }
    }
}

/// The part that a piece makes.
fn part(
    kind: Kind,
    checker: &mut Checker,
    piece: &[u8],
    range: Range<usize>,
    last: bool,
) -> Result<Payload, ProtocolError> {
    if kind == Kind::Binary {
        return Ok(Payload::Input(range));
    }
    let text = checker.push(piece).map_err(|_| ProtocolError::InvalidUtf8)?;
    // §5.6: "the whole message MUST contain valid UTF-8", so it cannot end inside a code point.
    if last && !checker.is_whole() {
        return Err(ProtocolError::InvalidUtf8);
    }
    Ok(match text.straddler() {
        "" => Payload::Input(range.start..range.start + text.text.len()),
        straddler => Payload::Owned(Bytes::copy_from_slice(straddler.as_bytes())),
    })
}

/// The part that inflated bytes make, which has to be copied.
fn owned_part(kind: Kind, checker: &mut Checker, bytes: &[u8], last: bool) -> Result<Bytes, ProtocolError> {
    if kind == Kind::Binary {
        return Ok(Bytes::copy_from_slice(bytes));
    }
    let text = checker.push(bytes).map_err(|_| ProtocolError::InvalidUtf8)?;
    if last && !checker.is_whole() {
        return Err(ProtocolError::InvalidUtf8);
    }
    Ok(match text.straddler() {
        "" => Bytes::copy_from_slice(text.text.as_bytes()),
        straddler => [straddler, text.text].concat().into(),
    })
}

impl Message {
    fn new(frame: Frame, mode: Mode) -> Self {
        let kind = kind_of(frame.opcode);
        let body = match mode {
            Mode::Whole => Body::Whole(Assembler::new(kind)),
            Mode::Parts => Body::Parts { checker: Checker::default(), begun: false },
        };
        let bytes = frame.at + frame.rest;
        let deflated = frame.compressed.then(Deflated::default);
        Self { kind, bytes, empty_fragments: u32::from(bytes == 0 && !frame.fin), deflated, body }
    }
}

/// The kind of message that a first frame begins.
fn kind_of(opcode: Opcode) -> Kind {
    if opcode == Opcode::Text { Kind::Text } else { Kind::Binary }
}
