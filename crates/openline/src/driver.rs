//! The one place where bytes meet the socket: reads feed the connection, what it owes is written, timers run.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use openline_proto::{Arrival, Connection, Event, IoState, Output, Payload, SendError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::alarm::{Alarm, now};
use crate::error::Error;
use crate::pool;

/// A connection, its socket, and what is on the way between them.
#[derive(Debug)]
pub(crate) struct Driver<S> {
    pub(crate) stream: S,
    pub(crate) connection: Connection,
    pub(crate) output: Output,
    pub(crate) input: Input,
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
    failure: Option<Error>,
    /// The end was told.
    ended: bool,
}

/// Bytes that were read and not looked at yet. The buffer is the pool's while there are none.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
    /// Where the input of the last step began: what an event's range counts from.
    base: usize,
}

/// A message, or a part of one.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Arrival),
    Part(openline_proto::Kind, Payload, bool),
}

/// Whether messages are wanted whole or in parts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    Messages,
    Parts,
}

impl<S> Driver<S> {
    /// `leftover` came with the opening handshake and belongs to the connection.
    pub(crate) fn new(stream: S, connection: Connection, leftover: &[u8]) -> Self {
        Self {
            stream,
            connection,
            output: Output::new(),
            input: Input::new(leftover),
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
        }
    }

    /// Lends the output a buffer before something is queued.
    #[inline]
    pub(crate) fn prepare_output(&mut self) -> (&mut Connection, &mut Output) {
        if !self.output.has_buffer() && !self.ended {
            self.output.lend_buffer(pool::take_write());
        }
        (&mut self.connection, &mut self.output)
    }

    /// Whether nothing will be written any more.
    pub(crate) fn is_over(&self) -> bool {
        self.broken.is_some() || self.connection.io_state() == IoState::Closed
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
            if self.incoming.is_some() && self.connection.has_room(&self.output) {
                return Poll::Ready(Ok(true));
            }
            if self.connection.io_state() == IoState::Closed {
                return Poll::Ready(self.end(None));
            }
            let written = self.poll_write(cx);
            if let Poll::Ready(Err(error)) = written {
                // What the peer sent before it went is still worth reading; then this is told.
                self.failure.get_or_insert(Error::Io(error));
                continue;
            }
            if self.incoming.is_some() {
                if self.connection.has_room(&self.output) {
                    continue;
                }
                // The peer does not read: no more is read from it, and its silence is not its fault.
                self.connection.hold_keepalive(now());
            } else if written.is_ready() && self.connection.io_state() != IoState::Open {
                return self.poll_end(cx);
            } else if !self.heard_end {
                // Under a flood of control frames the timer would never be polled.
                if self.alarm.is_due(self.heard) {
                    self.run_due(self.heard);
                }
                match self.poll_read(cx) {
                    // It said all it had to say, and may be waiting for our last words.
                    Poll::Ready(Ok(0)) if self.connection.io_state() != IoState::Open => self.heard_end = true,
                    Poll::Ready(Ok(0)) => return Poll::Ready(self.end(None)),
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(self.end(Some(error))),
                    Poll::Pending if matches!(self.failure, Some(Error::Io(_))) => {
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
        self.poll_output(cx, |driver| driver.output.is_empty() && !driver.unflushed)
    }

    /// Writes until another message may be queued.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_output(cx, |driver| driver.connection.has_room(&driver.output))
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
                    self.failure.get_or_insert(Error::Io(error.kind().into()));
                    return Poll::Ready(Err(Error::Io(error)));
                }
                Poll::Pending if enough(self) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    self.connection.hold_keepalive(now());
                    ready!(self.poll_alarm(cx));
                    if let Err(timed_out) = self.connection.handle_timeout(now(), &mut self.output) {
                        self.failure.get_or_insert(Error::TimedOut(timed_out));
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

    fn drop_output(&mut self) {
        self.unsent |= !self.output.is_empty() || self.unflushed;
        self.output = Output::new();
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
        incoming.as_ref().map(|incoming| (incoming, input.last(), connection, output))
    }

    /// Handles what was read, frame by frame, until a message is whole.
    #[inline]
    fn next_incoming(&mut self, want: Want) {
        if matches!(want, Want::Messages) && self.input.is_empty() {
            return;
        }
        loop {
            let unread = self.input.begin();
            let any = !unread.is_empty();
            let received = match want {
                Want::Messages => self.connection.receive(unread, self.heard, &mut self.output),
                Want::Parts => self.connection.receive_parts(unread, self.heard, &mut self.output),
            };
            match received {
                Ok(received) => {
                    self.input.at += received.consumed;
                    match received.event {
                        Some(Event::Message(arrival)) => self.incoming = Some(Incoming::Message(arrival)),
                        Some(Event::Part { kind, payload, last }) => {
                            self.incoming = Some(Incoming::Part(kind, payload, last));
                        }
                        // Answered by the connection; nobody here asks for the others.
                        Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => {}
                    }
                }
                Err(error) => {
                    self.failure.get_or_insert(Error::Protocol(error));
                    self.input.at = self.input.end;
                }
            }
            if self.incoming.is_some() || !any || self.input.is_empty() {
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
                    self.input.at = self.input.end;
                    if self.alarm.is_due(self.heard) {
                        self.run_due(self.heard);
                    }
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
        self.input.put_back();
        self.drop_output();
        let clean = self.connection.closed().is_some_and(|closed| closed.is_clean());
        match (self.failure.take(), error) {
            (Some(Error::Io(_)), _) | (None, _) if clean => Ok(false),
            (Some(failure), _) => Err(failure),
            (None, Some(error)) => Err(Error::Io(error)),
            (None, None) => Err(Error::Aborted),
        }
    }

    /// `Ready` when it is time to run what is due.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.connection.next_timeout(&self.output, now());
        self.alarm.poll(deadline, cx)
    }

    fn run_due(&mut self, now: Instant) {
        if let Err(timed_out) = self.connection.handle_timeout(now, &mut self.output) {
            self.failure.get_or_insert(Error::TimedOut(timed_out));
        }
        self.alarm.expect(self.connection.next_timeout(&self.output, now));
    }

    /// Writes what is queued and flushes the stream. After an error nothing is queued any more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = match self.broken {
            None => self.try_write(cx),
            Some(_) if self.output.is_empty() => Poll::Ready(Ok(())),
            Some(kind) => Poll::Ready(Err(kind.into())),
        };
        if let Poll::Ready(Err(error)) = &written {
            self.broken = Some(error.kind());
            self.drop_output();
        }
        written
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            let written = match self.output.slices(&mut slices) {
                1 => ready!(Pin::new(&mut self.stream).poll_write(cx, &slices[0])),
                used => ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used])),
            };
            match written {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => self.output.advance(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            self.unflushed = true;
        }
        if let Some(buffer) = self.output.take_buffer() {
            pool::put_write(buffer);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into a buffer of the pool, which goes back at once when nothing came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        debug_assert!(self.input.is_empty());
        let mut bytes = self.input.take();
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = loop {
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let end = buffer.filled().len();
        match read {
            Poll::Ready(Ok(())) if end > 0 => {
                self.input = Input { bytes, at: 0, end, base: 0 };
                self.heard = now();
                Poll::Ready(Ok(end))
            }
            read => {
                pool::put_read(bytes);
                read.map_ok(|()| 0)
            }
        }
    }
}

impl Input {
    fn new(leftover: &[u8]) -> Self {
        let (at, end) = (0, leftover.len());
        Self { bytes: leftover.to_vec(), at, end, base: 0 }
    }

    fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// What was not looked at yet; ranges count from its start.
    #[inline]
    fn begin(&mut self) -> &mut [u8] {
        self.base = self.at;
        &mut self.bytes[self.at..self.end]
    }

    #[inline]
    pub(crate) fn last(&self) -> &[u8] {
        &self.bytes[self.base..self.end]
    }

    /// A buffer to read into: the one that is here and read to its end, or one of the pool's.
    fn take(&mut self) -> Vec<u8> {
        let input = mem::take(self);
        // What came with the opening handshake lies in a buffer of its own, which is not the pool's.
        if input.bytes.len() == pool::READ_BYTES { input.bytes } else { pool::take_read() }
    }

    fn put_back(&mut self) {
        let input = mem::take(self);
        if input.bytes.len() == pool::READ_BYTES {
            pool::put_read(input.bytes);
        }
    }
}
