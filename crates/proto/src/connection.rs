//! One end of an open WebSocket: bytes in, events out; messages in, bytes out; time as an argument.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::clock::{Clock, Due};
use crate::close::{Close, CloseCode, Closed, Initiator};
use crate::deflate::{Codecs, Compression};
use crate::error::{ProtocolError, SendError, TimedOut};
use crate::event::{Arrival, Event, Received};
use crate::frame::{Header, Opcode};
use crate::handshake::Negotiated;
use crate::limits::Config;
use crate::masker::Masker;
use crate::message::{self, Kind, Outgoing, SharedMessage, SharedMessages, Wish};
use crate::output::Output;
use crate::receive::{Mode, Reader};
use crate::role::Role;
use crate::state::{Closing, IoState, State, after};

/// One end of an open WebSocket, without a socket.
///
/// There are four kinds of method: [`receive`](Self::receive) and its kin take what the network brought,
/// [`send`](Self::send) and its kin what the application wants, [`handle_timeout`](Self::handle_timeout) what the clock
/// says, and the rest tell. What must reach the peer, replies included, is appended to the caller's [`Output`].
///
/// ```
/// use openline_proto::{Config, Connection, Event, Output};
/// use std::time::Instant;
///
/// let mut output = Output::new();
/// let mut connection = Connection::server(&Default::default(), Config::default(), Instant::now());
/// let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; // §5.7: a masked "Hello"
///
/// let received = connection.receive(&mut input, Instant::now(), &mut output).unwrap();
/// let Some(Event::Message(arrival)) = received.event else { panic!() };
/// connection.send(arrival.lend(&input), &mut output).unwrap();
/// assert_eq!(output.to_vec(), b"\x81\x05Hello");
/// ```
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    /// A client's source of masking keys; a server has none.
    masker: Option<Box<Masker>>,
    reader: Reader,
    closing: Closing,
    clock: Clock,
    /// The kind of the streamed message that is begun.
    streaming: Option<Kind>,
    /// Boxed: most connections have none, and it has to cost them nothing.
    compression: Option<Box<Compression>>,
}

impl Connection {
    /// Payloads that are owned and at least this long are queued by reference: below, a copy is cheaper than another
    /// slice in a vectored write.
    const SHARE_BYTES: usize = 4096;

    /// The server's end of a connection whose opening handshake agreed on `negotiated`.
    pub fn server(negotiated: &Negotiated, config: impl Into<Arc<Config>>, now: Instant) -> Self {
        Self::new(negotiated, None, config.into(), now)
    }

    /// The client's end. Masking keys come from a generator seeded with `mask_seed`, which must be secret and fresh:
    /// §5.3 wants them "derived from a strong source of entropy".
    pub fn client(negotiated: &Negotiated, config: impl Into<Arc<Config>>, mask_seed: [u8; 32], now: Instant) -> Self {
        Self::new(negotiated, Some(Box::new(Masker::new(mask_seed))), config.into(), now)
    }

    fn new(negotiated: &Negotiated, masker: Option<Box<Masker>>, config: Arc<Config>, now: Instant) -> Self {
        let role = if masker.is_some() { Role::Client } else { Role::Server };
        let compression = negotiated.deflate.as_ref().map(|agreed| Box::new(Compression::new(agreed, role)));
        Self {
            config,
            masker,
            reader: Reader::default(),
            closing: Closing::new(),
            clock: Clock::new(now),
            streaming: None,
            compression,
        }
    }

    /// Has compressors and inflaters come from there, if compression was agreed on.
    pub fn codecs(&mut self, codecs: &'static dyn Codecs) {
        if let Some(compression) = &mut self.compression {
            compression.set_codecs(codecs);
        }
    }

    /// Spreads this connection's pings by up to a tenth of their interval, in a way that `seed` decides.
    pub fn jitter(&mut self, seed: u32) {
        self.clock.seed(seed);
    }

    // What the network brings.

    /// Takes some of `input`, unmasking it in place, and yields at most one event. Call it again with the rest until
    /// nothing is left: it takes at least one byte of an input that has one.
    ///
    /// After the peer's Close frame, or an error, whatever comes is taken and discarded (§1.4, §7.1.7).
    ///
    /// # Errors
    /// The rule that the peer broke. The Close frame that says so is in `output`; write it, then see
    /// [`io_state`](Self::io_state).
    #[inline]
    pub fn receive(&mut self, input: &mut [u8], now: Instant, output: &mut Output) -> Result<Received, ProtocolError> {
        if let Some((kind, range)) = self.receive_whole(input, now) {
            return Ok(Received { consumed: range.end, event: Some(Event::Message(Arrival::Lent { kind, range })) });
        }
        self.step(input, now, output, Mode::Whole)
    }

    /// The common case of [`receive`](Self::receive), for who has many short messages in one input: it begins with a frame that
    /// is a whole message, with nothing wrong about it. Unmasks that where it lies, and says where; it ends what was taken.
    /// `None`: nothing has happened, and `receive` finds out what it is.
    #[inline(always)] // with what it calls some 60 instructions, and as many again for a call and its results
    pub fn receive_whole(&mut self, input: &mut [u8], now: Instant) -> Option<(Kind, Range<usize>)> {
        if self.closing.discards {
            return None;
        }
        let message = self.reader.whole_message(input, self.role(), &self.config)?;
        self.clock.heard(now);
        self.clock.data(false, now);
        Some(message)
    }

    /// As [`receive`](Self::receive), but yields messages in [`Event::Part`]s as they come, so that a message of any
    /// length needs no memory. What was assembled already comes first, and may come from an empty `input`.
    ///
    /// Call `receive` after the first part of a message, and what comes of it then is checked and dropped, to its end.
    ///
    /// # Errors
    /// As `receive`.
    pub fn receive_parts(
        &mut self,
        input: &mut [u8],
        now: Instant,
        output: &mut Output,
    ) -> Result<Received, ProtocolError> {
        self.step(input, now, output, Mode::Parts)
    }

    /// TCP ended. Unless both Close frames crossed, that is an abnormal closure: 1006 (§7.1.5).
    pub fn receive_eof(&mut self) {
        self.closing.gone(Initiator::Peer);
    }

    // What the application wants.

    /// Queues a message. A long one goes in fragments of `Config::fragment_bytes` (§5.4).
    ///
    /// # Errors
    /// [`SendError::Closed`] after a Close frame in either direction, [`SendError::Full`] while `output` is over its
    /// limit, [`SendError::Unfinished`] inside a streamed message. Nothing is queued then.
    #[inline]
    pub fn send<'a>(&mut self, message: impl Into<Outgoing<'a>>, output: &mut Output) -> Result<(), SendError> {
        self.may_send(output)?;
        if self.streaming.is_some() {
            return Err(SendError::Unfinished);
        }
        let message = message.into();
        if let message::Payload::Lent(bytes) = message.payload
            && self.compression.is_none()
            && bytes.len() <= self.config.fragment_bytes
        {
            self.clock.sent = true;
            self.write_frame(message.kind.opcode(), true, bytes, output);
        } else {
            self.send_long(message, output);
        }
        Ok(())
    }

    /// Queues a message that is compressed, fragmented, or shared.
    #[inline(never)]
    fn send_long(&mut self, message: Outgoing<'_>, output: &mut Output) {
        if self.compression.is_none() || !self.send_compressed(&message, output) {
            self.write(message.kind.opcode(), message.payload, true, output);
        }
    }

    /// Queues the next part of a streamed message; the first part begins it, and `last` ends it. Whether the message is
    /// compressed is the first part's affair: what later parts say about it does not count. Each part is flushed, which
    /// takes some 5 bytes: compressed parts should be longer than that.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::MixedKinds`] when a part is of another kind than the first.
    pub fn send_part<'a>(
        &mut self,
        part: impl Into<Outgoing<'a>>,
        last: bool,
        output: &mut Output,
    ) -> Result<(), SendError> {
        self.may_send(output)?;
        let part = part.into();
        let opcode = match self.streaming {
            None => part.kind.opcode(),
            Some(kind) if kind == part.kind => Opcode::Continuation,
            Some(_) => return Err(SendError::MixedKinds),
        };
        if !last && part.as_bytes().is_empty() {
            return Ok(());
        }
        let first = self.streaming.is_none();
        self.streaming = (!last).then_some(part.kind);
        if self.compression.is_some() && self.send_compressed_part(&part, first, last, output) {
            return Ok(());
        }
        self.write(opcode, part.payload, last, output);
        Ok(())
    }

    /// Queues a message that was encoded once for many connections.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_shared(&mut self, message: &SharedMessage, output: &mut Output) -> Result<(), SendError> {
        self.may_send(output)?;
        if self.streaming.is_some() {
            return Err(SendError::Unfinished);
        }
        self.share(message, output);
        Ok(())
    }

    /// Queues messages that were encoded once for many connections, one after the other. There has to be room for the first.
    ///
    /// # Errors
    /// As [`send`](Self::send); then none of them is queued.
    pub fn send_all_shared(&mut self, messages: &SharedMessages, output: &mut Output) -> Result<(), SendError> {
        self.may_send(output)?;
        if self.streaming.is_some() {
            return Err(SendError::Unfinished);
        }
        if self.masker.is_some() || self.compression.is_some() {
            messages.iter().for_each(|message| self.share(message, output));
            return Ok(());
        }
        self.clock.sent = true;
        match messages.encoded() {
            frames if frames.len() < Self::SHARE_BYTES => output.append(|flat| flat.extend_from_slice(frames)),
            frames => output.append_frame(frames.clone()),
        }
        Ok(())
    }

    /// Queues a Ping ahead of the messages that wait (§5.5.2).
    ///
    /// # Errors
    /// [`SendError::LongControl`] over 125 bytes, [`SendError::Closed`], and [`SendError::Full`] when many wait.
    pub fn ping(&mut self, payload: &[u8], output: &mut Output) -> Result<(), SendError> {
        if payload.len() > 125 {
            return Err(SendError::LongControl);
        }
        if self.closing.state != State::Open {
            return Err(SendError::Closed);
        }
        let frame = self.control(Opcode::Ping, payload);
        output.ping(&frame).then_some(()).ok_or(SendError::Full)
    }

    /// Begins the closing handshake (§7.1.2), behind the messages that wait. Later calls do nothing: the first
    /// counts.
    pub fn close(&mut self, close: impl Into<Close>, now: Instant, output: &mut Output) {
        let close = close.into();
        let deadline = after(now, self.config.close_timeout);
        if self.closing.state != State::Closed && self.closing.sent(&close, self.role(), deadline) {
            let frame = self.control(Opcode::Close, &close.body());
            output.append(|flat| flat.extend_from_slice(&frame));
        }
    }

    // What the clock says.

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens before. Ask each time before you
    /// wait: it also notes since when the peer has taken nothing of `output`, and when it took our ping.
    pub fn next_timeout(&mut self, output: &Output, now: Instant) -> Option<Instant> {
        match self.closing.state {
            State::Open => {
                let due = self.clock.next(&self.config, output, now).map(|(at, _)| at);
                let quiet = self.compression.as_mut().and_then(|compression| compression.quiet_at(now));
                [due, quiet].into_iter().flatten().min()
            }
            State::Closing => self.closing.deadline(),
            State::Closed => None,
        }
    }

    /// Whether deadlines only move back from here as long as nothing is queued and no message begins: a timer set to an
    /// earlier [`next_timeout`](Self::next_timeout) rings soon enough, so a busy line need not ask at each read.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.closing.state == State::Open
            && self.clock.is_quiet()
            && self.compression.as_ref().is_none_or(|compression| !compression.holds_context())
    }

    /// Does what is due by `now`; harmless when nothing is. Read what there is to read first, and write what can be
    /// written: bytes that came in time satisfy the pong deadline, however late they are looked at, and a peer that
    /// takes bytes does not stall.
    ///
    /// # Errors
    /// The deadline that ended the connection.
    pub fn handle_timeout(&mut self, now: Instant, output: &mut Output) -> Result<(), TimedOut> {
        match self.closing.state {
            State::Closed => Ok(()),
            State::Closing => match self.closing.deadline() {
                Some(deadline) if deadline <= now => {
                    let answered = self.closing.io != IoState::Open;
                    self.closing.gone(Initiator::Us);
                    answered.then_some(()).ok_or(TimedOut::Close)
                }
                _ => Ok(()),
            },
            State::Open => {
                if let Some(compression) = &mut self.compression
                    && compression.quiet_at(now).is_some_and(|at| at <= now)
                {
                    compression.quiet(self.reader.in_message(), now);
                }
                match self.clock.next(&self.config, output, now) {
                    Some((at, due)) if at <= now => self.handle_due(due, now, output),
                    _ => Ok(()),
                }
            }
        }
    }

    /// All that was queued is written, and the next `output` may be another one: how long the peer has taken nothing is
    /// counted anew from there.
    #[inline]
    pub fn wrote_everything(&mut self) {
        self.clock.wrote_everything();
    }

    /// Reading has stopped because the application, or a full output, takes no more: silence is then not the peer's
    /// fault, so the deadlines of a pong and of a begun message start anew.
    pub fn hold_keepalive(&mut self, now: Instant) {
        self.clock.hold(now);
    }

    // What there is to know.

    /// Which end this is.
    pub fn role(&self) -> Role {
        if self.masker.is_some() { Role::Client } else { Role::Server }
    }

    /// The limits it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Open, closing or closed.
    pub fn state(&self) -> State {
        self.closing.state
    }

    /// What to do with the socket.
    pub fn io_state(&self) -> IoState {
        self.closing.io
    }

    /// Whether a message may be queued now. Control frames, which are bounded on their own, take nothing of that room: it does not
    /// go away by what the peer sends.
    #[inline]
    pub fn has_room(&self, output: &Output) -> bool {
        output.data_len() < self.config.max_output_bytes
    }

    /// How the connection ended: `None` until the closing handshake is over, failed or cut off.
    pub fn closed(&self) -> Option<&Closed> {
        if self.closing.io == IoState::Open { None } else { self.closing.closed() }
    }

    // How.

    fn step(
        &mut self,
        input: &mut [u8],
        now: Instant,
        output: &mut Output,
        mode: Mode,
    ) -> Result<Received, ProtocolError> {
        if self.closing.discards {
            return Ok(Received { consumed: input.len(), event: None });
        }
        if !input.is_empty() {
            self.clock.heard(now);
        }
        let role = self.role();
        let received = self.reader.step(input, mode, role, &self.config, self.compression.as_deref_mut());
        if self.reader.took_data() && !input.is_empty() {
            self.clock.data(self.reader.in_message(), now);
        }
        match &received {
            Ok(Received { event: None | Some(Event::Message(_) | Event::Part { .. }), .. }) => {}
            Ok(Received { event: Some(event), .. }) => self.answer(event, input, now, output),
            Err(error) => {
                self.fail(Close::new(error.close_code(), &error.to_string()), Initiator::Us, now, output);
            }
        }
        received
    }

    fn answer(&mut self, event: &Event, input: &[u8], now: Instant, output: &mut Output) {
        match event {
            Event::Ping(payload) => {
                // §5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it
                // already received a Close frame": then this is not reached.
                let frame = self.control(Opcode::Pong, payload.lend(input));
                output.pong(&frame);
            }
            Event::Close(close) => self.answer_close(close.clone(), now, output),
            Event::Message(_) | Event::Part { .. } | Event::Pong(_) => {}
        }
    }

    /// §5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send
    /// a Close frame in response. (When sending a Close frame in response, the endpoint typically echos the status code
    /// it received.)"
    fn answer_close(&mut self, close: Close, now: Instant, output: &mut Output) {
        let deadline = after(now, self.config.close_timeout);
        self.closing.received(close.clone(), self.role(), deadline);
        self.close(close, now, output);
        self.forget_messages();
    }

    /// §7.1.7: "_Fail the WebSocket Connection_".
    #[cold]
    fn fail(&mut self, close: Close, by: Initiator, now: Instant, output: &mut Output) {
        self.close(close, now, output);
        self.closing.failed(by, after(now, self.config.close_timeout));
        self.forget_messages();
    }

    /// None will come or go any more.
    fn forget_messages(&mut self) {
        self.reader = Reader::default();
        self.compression = None;
    }

    fn handle_due(&mut self, due: Due, now: Instant, output: &mut Output) -> Result<(), TimedOut> {
        let (timed_out, code) = match due {
            Due::Ping => {
                let frame = self.control(Opcode::Ping, &[]);
                match output.ping(&frame) {
                    true => self.clock.pinged(),
                    // There is no room among what the peer has not taken: once more after another interval.
                    false => self.clock.heard(now),
                }
                return Ok(());
            }
            Due::Idle => {
                self.close(Close::new(CloseCode::GOING_AWAY, "idle for too long"), now, output);
                return Ok(());
            }
            Due::Write => {
                // Nothing more can be said to a peer that takes nothing.
                self.closing.gone(Initiator::Us);
                return Err(TimedOut::Write);
            }
            Due::Pong => (TimedOut::Pong, CloseCode::INTERNAL),
            Due::Message => (TimedOut::Message, CloseCode::POLICY),
        };
        self.fail(Close::new(code, &timed_out.to_string()), Initiator::Us, now, output);
        Err(timed_out)
    }

    #[inline]
    fn may_send(&self, output: &Output) -> Result<(), SendError> {
        // §5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
        if self.closing.state != State::Open {
            return Err(SendError::Closed);
        }
        if !self.has_room(output) {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Queues a message compressed; `false` when it is to be sent as it is.
    #[inline(never)]
    fn send_compressed(&mut self, message: &Outgoing<'_>, output: &mut Output) -> bool {
        let Some(compression) = &mut self.compression else { return false };
        let bytes = message.as_bytes();
        if !compression.wants(message.wish, bytes.len()) {
            return false;
        }
        let mut deflater = compression.take_deflater();
        let compressed = compression.compress(&mut deflater, bytes, bytes.len() - 1);
        if let Some(compressed) = compressed {
            self.write_compressed(message.kind.opcode(), compressed, true, output);
        }
        let shrank = compressed.is_some();
        if let Some(compression) = &mut self.compression {
            compression.put_deflater(deflater);
        }
        shrank
    }

    /// Queues a part of a streamed message compressed, flushed so that the peer can inflate all of it. Whether that shrinks
    /// the first part decides for all of them, unless it is to be compressed anyhow; `false` when they are to be sent as they
    /// are.
    #[inline(never)]
    fn send_compressed_part(&mut self, part: &Outgoing<'_>, first: bool, last: bool, output: &mut Output) -> bool {
        if first && last {
            return self.send_compressed(part, output);
        }
        let Some(compression) = &mut self.compression else { return false };
        let bytes = part.as_bytes();
        let mut deflater = match first {
            true if compression.wants(part.wish, bytes.len()) => compression.take_deflater(),
            true => return false,
            false => match compression.take_streaming() {
                Some(deflater) => deflater,
                None => return false,
            },
        };
        let opcode = if first { part.kind.opcode() } else { Opcode::Continuation };
        let compressed = if last { deflater.end(bytes) } else { deflater.part(bytes) };
        if first && part.wish == Wish::None && compressed.len() >= bytes.len() {
            deflater.reset();
            compression.put_deflater(deflater);
            return false;
        }
        self.write_compressed(opcode, compressed, last, output);
        if let Some(compression) = &mut self.compression {
            match last {
                true => compression.put_deflater(deflater),
                false => compression.stream_with(deflater),
            }
        }
        true
    }

    /// Queues compressed bytes: a message, or a part of one.
    fn write_compressed(&mut self, mut opcode: Opcode, mut bytes: &[u8], last: bool, output: &mut Output) {
        self.clock.sent = true;
        let limit = self.config.fragment_bytes.max(1);
        loop {
            let (fragment, rest) = bytes.split_at(bytes.len().min(limit));
            // RFC 7692 §6.1: RSV1 is the first fragment's.
            let reserved = if opcode == Opcode::Continuation { 0 } else { Header::RSV1 };
            self.write_reserved(opcode, reserved, last && rest.is_empty(), fragment, output);
            if rest.is_empty() {
                break;
            }
            (opcode, bytes) = (Opcode::Continuation, rest);
        }
    }

    /// Queues a shared message, which may be sent.
    fn share(&mut self, message: &SharedMessage, output: &mut Output) {
        if self.masker.is_some() {
            return self.send_long(message.lend(), output);
        }
        if let Some(compression) = &mut self.compression
            && compression.wants(message.wish, message.as_bytes().len())
        {
            let (kind, codecs) = compression.shared();
            if let Some(frames) = message.compressed_frames(kind, codecs) {
                compression.forget_ours();
                return self.share_frames(frames, output);
            }
        }
        match message.encoded() {
            frames if frames.len() < Self::SHARE_BYTES => {
                self.clock.sent = true;
                output.append(|flat| flat.extend_from_slice(frames));
            }
            _ => self.share_frames(message.frames(), output),
        }
    }

    fn share_frames(&mut self, frames: impl Iterator<Item = Bytes>, output: &mut Output) {
        self.clock.sent = true;
        for frame in frames {
            match frame.len() {
                ..Self::SHARE_BYTES => output.append(|flat| flat.extend_from_slice(&frame)),
                _ => output.append_frame(frame),
            }
        }
    }

    /// Queues one message, or one part of one, in as many frames as its length asks for.
    #[inline]
    fn write(&mut self, mut opcode: Opcode, payload: message::Payload<'_>, last: bool, output: &mut Output) {
        self.clock.sent = true;
        let limit = self.config.fragment_bytes.max(1);
        match payload {
            message::Payload::Lent(bytes) if bytes.len() <= limit => self.write_frame(opcode, last, bytes, output),
            message::Payload::Lent(mut bytes) => loop {
                let (fragment, rest) = bytes.split_at(bytes.len().min(limit));
                self.write_frame(opcode, last && rest.is_empty(), fragment, output);
                if rest.is_empty() {
                    break;
                }
                (opcode, bytes) = (Opcode::Continuation, rest);
            },
            message::Payload::Owned(bytes) if self.masker.is_some() || bytes.len() < Self::SHARE_BYTES => {
                self.write(opcode, message::Payload::Lent(&bytes), last, output);
            }
            message::Payload::Owned(mut bytes) => loop {
                let fragment = bytes.split_to(bytes.len().min(limit));
                self.share_frame(opcode, last && bytes.is_empty(), fragment, output);
                if bytes.is_empty() {
                    break;
                }
                opcode = Opcode::Continuation;
            },
        }
    }

    #[inline]
    fn write_frame(&mut self, opcode: Opcode, fin: bool, payload: &[u8], output: &mut Output) {
        self.write_reserved(opcode, 0, fin, payload, output);
    }

    #[inline]
    fn write_reserved(&mut self, opcode: Opcode, reserved: u8, fin: bool, payload: &[u8], output: &mut Output) {
        let key = self.masker.as_mut().map(|masker| masker.next_key());
        let header = Header { fin, reserved, opcode, key, payload_bytes: payload.len() as u64 };
        output.append(|flat| {
            flat.reserve(Header::MAX_BYTES + payload.len());
            header.write(flat);
            flat.extend_from_slice(payload);
            if let Some(key) = key {
                let at = flat.len() - payload.len();
                crate::mask::mask(&mut flat[at..], key, 0);
            }
        });
    }

    fn share_frame(&mut self, opcode: Opcode, fin: bool, payload: Bytes, output: &mut Output) {
        let header = Header { fin, reserved: 0, opcode, key: None, payload_bytes: payload.len() as u64 };
        output.append(|flat| header.write(flat));
        output.append_payload(payload);
    }

    /// A control frame, whole.
    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        debug_assert!(payload.len() <= 125);
        let key = self.masker.as_mut().map(|masker| masker.next_key());
        let mut frame = Vec::with_capacity(6 + payload.len());
        Header { fin: true, reserved: 0, opcode, key, payload_bytes: payload.len() as u64 }.write(&mut frame);
        frame.extend_from_slice(payload);
        if let Some(key) = key {
            crate::mask::mask(&mut frame[6..], key, 0);
        }
        frame
    }
}
