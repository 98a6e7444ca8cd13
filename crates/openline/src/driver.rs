//! The one place where bytes meet the socket: reads feed the connection, what it owes is written, timers run.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use openline_proto::{Arrival, Connection, Event, IoState, Kind, Output, Payload, Received, SendError, TimedOut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::alarm::{Alarm, now};
use crate::error::Error;
use crate::input::Input;
use crate::pool;

/// A connection, its socket, and what is on the way between them.
#[derive(Debug)]
pub(crate) struct Driver<S> {
    pub(crate) stream: S,
    pub(crate) connection: Connection,
    /// What is owed to the peer; the pool's while that is nothing.
    output: Option<Box<Output>>,
    /// What was read; the pool's while everything was looked at.
    input: Option<Box<Input>>,
    /// What arrived last: it waits here for room in `output`, and lies here while it is lent.
    incoming: Option<Incoming>,
    /// Whether `incoming` was lent, and so is done with.
    lent: bool,
    alarm: Alarm,
    /// When bytes were last read.
    heard: Instant,
    /// Something was written since the stream was last flushed.
    unflushed: bool,
    /// The peer's direction of the stream is ended, while ours is still of use.
    heard_end: bool,
    /// Our direction of the stream is ended.
    shut: bool,
    /// A write failed: whatever came next would begin inside the frame that was cut.
    broken: Option<io::ErrorKind>,
    /// The connection ended before all that was queued was written.
    unsent: bool,
    /// Why the connection failed; told once its last words are written.
    failure: Option<Box<Error>>,
    /// The end was told.
    ended: bool,
    /// What the opening handshake agreed on.
    pub(crate) subprotocol: Option<Box<str>>,
}

/// A message, or a part of one.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Arrival),
    /// Boxed: parts are long, and whole messages pass here far more often.
    Part(Box<(Kind, Payload, bool)>),
}

/// Whether messages are wanted whole or in parts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    Messages,
    Parts,
}

impl<S> Driver<S> {
    /// `leftover` came with the opening handshake and belongs to the connection.
    pub(crate) fn new(stream: S, connection: Connection, leftover: &[u8], subprotocol: Option<Box<str>>) -> Self {
        Self {
            stream,
            connection,
            output: None,
            input: (!leftover.is_empty()).then(|| Box::new(Input::holding(leftover))),
            incoming: None,
            lent: false,
            alarm: Alarm::default(),
            heard: now(),
            unflushed: false,
            heard_end: false,
            shut: false,
            broken: None,
            unsent: false,
            failure: None,
            ended: false,
            subprotocol,
        }
    }

    /// Queues something. Was it nothing, the output is the pool's again: a long time may pass before the next poll.
    #[inline]
    pub(crate) fn queue<T>(&mut self, queue: impl FnOnce(&mut Connection, &mut Output) -> T) -> T {
        let output = self.output.get_or_insert_with(pool::take_output);
        let queued = queue(&mut self.connection, output);
        if output.is_empty() && !output.is_flushing() {
            self.return_output();
        }
        queued
    }

    /// Queues a message, unless what was queued before it will never be written.
    pub(crate) fn try_queue(
        &mut self,
        queue: impl FnOnce(&mut Connection, &mut Output) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        if self.unsent { Err(SendError::Closed) } else { self.queue(queue) }
    }

    /// Whether something is queued.
    fn owes(&self) -> bool {
        self.output.as_ref().is_some_and(|output| !output.is_empty())
    }

    /// How many bytes are queued.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.len())
    }

    /// Whether a message may be queued.
    #[inline]
    fn has_room(&self) -> bool {
        self.output.as_ref().is_none_or(|output| self.connection.has_room(output))
    }

    fn has_unread(&self) -> bool {
        self.input.as_ref().is_some_and(|input| !input.is_empty())
    }

    /// Whether nothing will be written any more.
    pub(crate) fn is_over(&self) -> bool {
        self.broken.is_some() || self.connection.io_state() == IoState::Closed
    }

    /// The first thing that went wrong is what is told.
    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert_with(|| Box::new(error));
    }

    /// What the ranges of the last event count from.
    pub(crate) fn last_input(&self) -> &[u8] {
        self.input.as_ref().map_or(&[], |input| input.last())
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        match &self.output {
            Some(output) => self.connection.next_timeout(output, now),
            None => self.connection.next_timeout(&Output::new(), now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), TimedOut> {
        self.queue(|connection, output| connection.handle_timeout(now, output))
    }

    fn return_output(&mut self) {
        if let Some(output) = self.output.take() {
            pool::put_output(output);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Advances everything until a message, or the end, is there: `false` after a clean end, and ever after.
    ///
    /// Every frame that was read is handled before what is queued is written, in one write if the socket takes it; then
    /// it reads again. Dropping the future that polls this loses nothing: all state is here.
    pub(crate) fn poll_io(&mut self, want: Want, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if mem::take(&mut self.lent) {
            self.incoming = None;
        }
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        loop {
            if self.incoming.is_none() {
                self.next_incoming(want);
            }
            if self.incoming.is_some() && self.has_room() {
                return Poll::Ready(Ok(true));
            }
            if self.connection.io_state() == IoState::Closed {
                return Poll::Ready(self.end(None));
            }
            let written = self.poll_write(cx);
            if let Poll::Ready(Err(error)) = written {
                // What the peer sent before it went is still worth reading; then this is told.
                self.fail(Error::Io(error));
                continue;
            }
            if self.incoming.is_some() {
                if self.has_room() {
                    continue;
                }
                // The peer does not read: no more is read from it, and its silence is not its fault.
                self.connection.hold_keepalive(now());
            } else if written.is_ready() && self.connection.io_state() != IoState::Open {
                return self.poll_end(cx);
            } else if self.heard_end {
                if written.is_ready() {
                    return Poll::Ready(self.end(None));
                }
                // It cannot answer a ping any more.
                self.connection.hold_keepalive(now());
            } else {
                // Under a flood of control frames the timer would never be polled.
                if self.alarm.is_due(self.heard) {
                    self.run_due(self.heard);
                }
                match self.poll_read(cx) {
                    // It said all it had to say, and may be waiting for what we owe it.
                    Poll::Ready(Ok(0)) if written.is_pending() => {
                        self.heard_end = true;
                        continue;
                    }
                    Poll::Ready(Ok(0)) => return Poll::Ready(self.end(None)),
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(self.end(Some(error))),
                    Poll::Pending if matches!(self.failure.as_deref(), Some(Error::Io(_))) => {
                        return Poll::Ready(self.end(None));
                    }
                    Poll::Pending => {}
                }
            }
            ready!(self.poll_alarm(cx));
            self.run_due(now());
        }
    }

    /// Writes until `output` is empty and the stream flushed.
    ///
    /// Waiting here, nothing is read, so only the peer's refusal to read can end the wait: `Config::write_timeout`.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_output(cx, |driver| !driver.owes() && !driver.unflushed)
    }

    /// Writes until another message may be queued.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_output(cx, |driver| driver.has_room())
    }

    fn poll_output(&mut self, cx: &mut Context<'_>, enough: impl Fn(&Self) -> bool) -> Poll<Result<(), Error>> {
        loop {
            if self.unsent {
                return Poll::Ready(Err(Error::Send(SendError::Closed)));
            }
            if enough(self) {
                return Poll::Ready(Ok(()));
            }
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => {
                    // Whoever receives is told as well, when there is nothing left to receive.
                    self.fail(Error::Io(error.kind().into()));
                    return Poll::Ready(Err(Error::Io(error)));
                }
                Poll::Pending if enough(self) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    self.connection.hold_keepalive(now());
                    ready!(self.poll_alarm(cx));
                    if let Err(timed_out) = self.handle_timeout(now()) {
                        self.fail(Error::TimedOut(timed_out));
                        self.drop_output();
                        return Poll::Ready(Err(Error::TimedOut(timed_out)));
                    }
                    if self.is_over() {
                        self.drop_output();
                    }
                }
            }
        }
    }

    fn discard_input(&mut self) {
        if let Some(input) = self.input.take() {
            pool::put_input(input);
        }
    }

    fn drop_output(&mut self) {
        self.unsent |= self.owes() || self.unflushed;
        self.output = None;
        self.unflushed = false;
    }

    /// Whether what arrived is a part of a message.
    pub(crate) fn has_part(&self) -> bool {
        matches!(self.incoming, Some(Incoming::Part(..)))
    }

    /// What arrived, for the application to own.
    pub(crate) fn take_incoming(&mut self) -> Option<Incoming> {
        self.incoming.take()
    }

    /// What arrived, for the application to look at until it asks for more.
    #[inline]
    pub(crate) fn lend_incoming(&mut self) -> Option<(&Incoming, &[u8], &mut Connection, &mut Output)> {
        self.lent = true;
        let Self { incoming, input, connection, output, .. } = self;
        let input = input.as_ref().map_or(&[][..], |input| input.last());
        let output = output.get_or_insert_with(pool::take_output);
        incoming.as_ref().map(|incoming| (incoming, input, connection, &mut **output))
    }

    /// Whether what was read already begins with a whole message, which is then `incoming`: without a look at the socket.
    #[inline(always)] // see `poll_whole`
    pub(crate) fn next_read(&mut self) -> bool {
        if mem::take(&mut self.lent) {
            self.incoming = None;
        }
        let Some(input) = &mut self.input else { return false };
        if self.incoming.is_some() || self.ended {
            return false;
        }
        if self.output.as_ref().is_some_and(|output| !self.connection.has_room(output)) {
            return false;
        }
        let Some((kind, range)) = self.connection.receive_whole(input.begin(), self.heard) else { return false };
        input.consume(range.end);
        self.incoming = Some(Incoming::Message(Arrival::Lent { kind, range }));
        true
    }

    /// Handles what was read, frame by frame, until a message is whole.
    #[inline]
    fn next_incoming(&mut self, want: Want) {
        if matches!(want, Want::Messages) && !self.has_unread() {
            return;
        }
        let output = self.output.get_or_insert_with(pool::take_output);
        loop {
            let unread = self.input.as_mut().map_or(&mut [][..], |input| input.begin());
            let any = !unread.is_empty();
            let received = match want {
                Want::Messages => self.connection.receive(unread, self.heard, output),
                Want::Parts => self.connection.receive_parts(unread, self.heard, output),
            };
            let Some(input) = &mut self.input else {
                self.incoming = received.ok().and_then(|received| Incoming::of(received.event?));
                return;
            };
            match received {
                // Piece by piece: a value that is moved whole right after it was written in pieces makes the processor
                // wait until they are all in the cache, for as long as it takes to parse a frame.
                Ok(Received { consumed, event: Some(Event::Message(Arrival::Lent { kind, range })) }) => {
                    input.consume(consumed);
                    let range = range.start..range.end;
                    self.incoming = Some(Incoming::Message(Arrival::Lent { kind, range }));
                }
                Ok(received) => {
                    input.consume(received.consumed);
                    self.incoming = received.event.and_then(Incoming::of);
                }
                Err(error) => {
                    self.failure.get_or_insert_with(|| Box::new(Error::Protocol(error)));
                    input.discard();
                }
            }
            if self.incoming.is_some() || !any || input.is_empty() {
                return;
            }
        }
    }

    /// The closing handshake is over, or failed: what is queued was written. Ends our direction, then waits for the
    /// peer to end its own, so that a reset does not overtake our last frames (§7.1.1).
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            if self.connection.io_state() == IoState::Closed {
                return Poll::Ready(self.end(None));
            }
            if self.connection.io_state() == IoState::Shutdown && !self.shut {
                match Pin::new(&mut self.stream).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => self.shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(self.end(None)),
                    Poll::Pending => {}
                }
            }
            let read = match self.heard_end {
                true if self.shut || self.connection.io_state() == IoState::AwaitEof => Poll::Ready(Ok(0)),
                true => Poll::Pending,
                false => self.poll_read(cx),
            };
            match read {
                Poll::Ready(Ok(1..)) => {
                    self.discard_input();
                    if self.alarm.is_due(self.heard) {
                        self.run_due(self.heard);
                    }
                }
                Poll::Ready(Ok(0)) if !self.shut => {
                    // RFC 8446 §6.1: in TLS each side says close_notify. TCP ends with the stream; nothing waits for either.
                    let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                    return Poll::Ready(self.end(None));
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(self.end(None)),
                Poll::Pending => {
                    ready!(self.poll_alarm(cx));
                    self.run_due(now());
                }
            }
        }
    }

    /// TCP is gone, or is no longer worth anything. Says how it ended, once.
    fn end(&mut self, error: Option<io::Error>) -> Result<bool, Error> {
        self.connection.receive_eof();
        self.ended = true;
        self.discard_input();
        self.drop_output();
        let clean = self.connection.closed().is_some_and(|closed| closed.is_clean());
        match (self.failure.take().map(|failure| *failure), error) {
            (Some(Error::Io(_)), _) | (None, _) if clean => Ok(false),
            (Some(failure), _) => Err(failure),
            // TCP ended without TLS's close_notify: whoever cut it, this is no more than that.
            (None, Some(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(Error::Io(error)),
            (None, _) => Err(Error::Aborted),
        }
    }

    /// `Ready` when it is time to run what is due.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.output.is_some() || !self.alarm.is_set() || !self.connection.is_quiet() {
            let deadline = self.next_timeout(now());
            self.alarm.set(deadline);
        }
        self.alarm.poll(cx)
    }

    fn run_due(&mut self, now: Instant) {
        if let Err(timed_out) = self.handle_timeout(now) {
            self.fail(Error::TimedOut(timed_out));
        }
        let next = self.next_timeout(now);
        self.alarm.expect(next);
    }

    /// Writes what is queued and flushes the stream. After an error nothing is queued any more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = match self.broken {
            None => self.try_write(cx),
            Some(_) if !self.owes() => Poll::Ready(Ok(())),
            Some(kind) => Poll::Ready(Err(kind.into())),
        };
        if let Poll::Ready(Err(error)) = &written {
            self.broken = Some(error.kind());
            self.drop_output();
        }
        written
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(output) = &mut self.output {
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); 16];
                let written = match output.slices(&mut slices) {
                    1 => ready!(Pin::new(&mut self.stream).poll_write(cx, &slices[0])),
                    used => ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used])),
                };
                match written {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Ok(bytes) => output.advance(bytes),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
                self.unflushed = true;
            }
        }
        if self.unflushed {
            let flushed = Pin::new(&mut self.stream).poll_flush(cx);
            if let Some(output) = &mut self.output {
                output.set_flushing(flushed.is_pending());
            }
            ready!(flushed)?;
            self.unflushed = false;
        }
        if self.output.is_some() {
            self.connection.wrote_everything();
            self.return_output();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into a buffer of the pool, which goes back at once when nothing came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        debug_assert!(!self.has_unread());
        let mut input = match self.input.take() {
            Some(input) if input.is_roomy() => input,
            _ => pool::take_input(),
        };
        let mut buffer = ReadBuf::new(input.room());
        let read = loop {
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let bytes = buffer.filled().len();
        match read {
            Poll::Ready(Ok(())) if bytes > 0 => {
                input.filled(bytes);
                self.input = Some(input);
                self.heard = now();
                Poll::Ready(Ok(bytes))
            }
            read => {
                pool::put_input(input);
                read.map_ok(|()| 0)
            }
        }
    }
}

impl Incoming {
    /// Pings, Pongs and Close frames were answered by the connection, and nobody here asks for them.
    fn of(event: Event) -> Option<Self> {
        match event {
            Event::Message(arrival) => Some(Self::Message(arrival)),
            Event::Part { kind, payload, last } => Some(Self::Part(Box::new((kind, payload, last)))),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => None,
        }
    }
}
