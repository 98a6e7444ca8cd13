//! Stands between a connection and hyper, and lets it see only requests that were read strictly.
//!
//! hyper is lenient where an upgrade must be strict, and answers what it refuses with an empty 400. So every head, the
//! first of a connection and each later one, is read here first:
//!
//! ```text
//!            ┌───────────────────────── HeadGuard ─────────────────────────┐
//!   peer ──▶ │ head ─▶ verified ─▶ body, to its end ─▶ next head ─▶ ...    │ ──▶ hyper
//!            │   └──▶ an upgrade, malformed, too slow: the end, for hyper  │ ──▶ End, for us
//!            └─────────────────────────────────────────────────────────────┘
//! ```
//!
//! At the end hyper reads EOF, finishes what it owes for earlier requests and gives the guard back. What ended it, and
//! every byte that hyper was not shown, is then [`HeadGuard::into_end`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::CONNECTION;
use http::{Request, Version};
use openline::http1::{HeadError, HeadLimits, RequestReader};
use openline::proto::handshake::asks_for_websocket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::stall::Stall;
use crate::config::Config;
use crate::doors::sse;

/// A kept-alive connection without a request is closed after this long: nginx's default, which every client has met.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// A request's body may be waited for so long, and as much longer as it brings at [`BODY_BYTES_PER_SECOND`]: whoever sends a
/// byte every ten seconds to hold a connection is given up as soon as whoever sends none.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What Apache's mod_reqtimeout asks for: a tenth of the slowest modem's.
const BODY_BYTES_PER_SECOND: u32 = 500;

/// Bytes read from the socket at once: a browser's whole head is 0.5-2 KiB.
const READ_BYTES: usize = 4096;

/// A connection of which hyper sees only verified requests.
#[derive(Debug)]
pub(super) struct HeadGuard<S> {
    io: S,
    limits: HeadLimits,
    /// A peer that takes not one byte of an answer for this long is dropped, as an open line's peer is.
    write_timeout: Duration,
    /// What the peer sent and hyper has not taken: first what is verified, then what is not.
    buffer: BytesMut,
    verified: usize,
    next: Next,
    reader: RequestReader,
    end: Option<End>,
    /// The last request that was shown asks for an event stream.
    wants_events: bool,
    /// Somebody wants to know when the peer hangs up.
    gone: Option<CancellationToken>,
    read_stall: Stall,
    write_stall: Stall,
}

/// What the next unverified byte belongs to.
#[derive(Debug)]
enum Next {
    FirstHead,
    LaterHead,
    /// A request's body; `last`: nothing is read after it.
    Body {
        body: Body,
        last: bool,
        /// How long it may be waited for from now on.
        patience: Duration,
    },
    Nothing,
}

/// Why hyper sees no more requests.
#[derive(Debug)]
pub(super) enum End {
    /// The peer sent EOF between two requests, or asked for the connection to be closed after its last one.
    Closed,
    /// Nothing came for longer than a connection may wait for its next request.
    Idle,
    /// A request asks for another protocol. Its head is verified; the bytes that followed it are the leftover.
    Upgrade(Box<Request<()>>),
    /// A head is not HTTP, or not strictly enough.
    Malformed(HeadError),
    /// EOF in the middle of a head.
    HalfHead,
    /// A head began and did not end in time.
    SlowHead,
    /// A body broke off, is malformed, or did not come in time: its request was answered, or is beyond an answer.
    Body,
}

impl<S> HeadGuard<S> {
    pub(super) fn new(io: S, config: &Config) -> Self {
        let limits = config.head.clone();
        Self {
            io,
            buffer: BytesMut::new(),
            verified: 0,
            next: Next::FirstHead,
            reader: RequestReader::new(&limits),
            limits,
            write_timeout: config.line.write_timeout,
            end: None,
            wants_events: false,
            gone: None,
            read_stall: Stall::default(),
            write_stall: Stall::default(),
        }
    }

    /// What ended it (`None`: hyper did, on its own), what was read and not shown to hyper, and the connection.
    pub(super) fn into_end(mut self) -> (Option<End>, Bytes, S) {
        self.buffer.advance(self.verified);
        (self.end, self.buffer.freeze(), self.io)
    }

    /// Cancelled when the peer ends its direction: what waits for news on its behalf need not any more.
    pub(super) fn gone(&mut self) -> CancellationToken {
        self.gone.get_or_insert_default().clone()
    }

    /// Whether the request that is shown asks for an event stream.
    pub(super) fn wants_events(&self) -> bool {
        self.wants_events
    }

    /// Whether hyper has something to read.
    pub(super) fn shows_something(&self) -> bool {
        self.verified > 0
    }

    /// Whether the peer has sent anything that hyper has not seen.
    pub(super) fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Moves the border between what is verified and what is not, as far as the bytes that are here allow.
    fn verify(&mut self) {
        while self.end.is_none() {
            let unverified = &self.buffer[self.verified..];
            match &mut self.next {
                Next::FirstHead | Next::LaterHead => {
                    if unverified.is_empty() {
                        return;
                    }
                    match self.reader.read(unverified) {
                        Ok(None) => return,
                        Ok(Some((request, head_bytes))) => self.admit(request, head_bytes),
                        Err(error) => self.end = Some(End::Malformed(error)),
                    }
                }
                Next::Body { body, last, patience } => match body.take(unverified) {
                    Ok((taken, ended)) => {
                        self.verified += taken;
                        if !ended {
                            let earned = Duration::from_secs(taken as u64) / BODY_BYTES_PER_SECOND;
                            *patience = patience
                                .saturating_sub(self.read_stall.ended())
                                .saturating_add(earned)
                                .min(BODY_TIMEOUT);
                            return;
                        }
                        self.next = if *last { Next::Nothing } else { Next::LaterHead };
                        self.read_stall.ended();
                    }
                    Err(_) => self.end = Some(End::Body),
                },
                // RFC 9112 §9.6: after a request that says "close" nothing more is read as a request.
                Next::Nothing => self.end = Some(End::Closed),
            }
        }
    }

    /// A whole head is here: shows it to hyper, or keeps it.
    fn admit(&mut self, request: Request<()>, head_bytes: usize) {
        self.read_stall.ended();
        if asks_for_websocket(&request) {
            self.skip(head_bytes);
            self.end = Some(End::Upgrade(Box::new(request)));
            return;
        }
        self.wants_events = sse::is_wanted(request.headers());
        match Body::of(request.headers(), self.limits.max_bytes) {
            Ok(body) => {
                self.verified += head_bytes;
                self.next = Next::Body { body, last: !keeps_alive(&request), patience: BODY_TIMEOUT };
            }
            Err(error) => self.end = Some(End::Malformed(error)),
        }
    }

    /// Takes an upgrade's head out of the buffer: behind the verified bytes the leftover follows at once.
    fn skip(&mut self, head_bytes: usize) {
        let mut unverified = self.buffer.split_off(self.verified);
        unverified.advance(head_bytes);
        self.buffer.unsplit(unverified);
    }

    fn end_of_file(&self) -> End {
        match &self.next {
            Next::FirstHead | Next::LaterHead if self.buffer.len() > self.verified => End::HalfHead,
            Next::Body { .. } => End::Body,
            _ => End::Closed,
        }
    }

    /// How long may nothing come, and what has ended when it does.
    fn patience(&self) -> (Duration, fn() -> End) {
        let begun = self.buffer.len() > self.verified;
        match &self.next {
            Next::FirstHead | Next::LaterHead if begun => (self.limits.timeout, || End::SlowHead),
            Next::FirstHead => (self.limits.timeout, || End::Idle),
            Next::LaterHead | Next::Nothing => (IDLE_TIMEOUT, || End::Idle),
            Next::Body { patience, .. } => (*patience, || End::Body),
        }
    }
}

/// RFC 9112 §9.3: unless it says "close"; in HTTP/1.0, only if it says "keep-alive".
fn keeps_alive(request: &Request<()>) -> bool {
    let mut options =
        request.headers().get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut says = |option: &str| options.any(|said| said.trim_ascii().eq_ignore_ascii_case(option.as_bytes()));
    if request.version() == Version::HTTP_10 { says("keep-alive") } else { !says("close") }
}

impl<S: AsyncRead + Unpin> HeadGuard<S> {
    /// Waits until hyper has something to read, or never will.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_ready(cx)).await
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.verify();
            if self.verified > 0 || self.end.is_some() {
                return Poll::Ready(Ok(()));
            }
            if self.poll_more(cx)?.is_pending() {
                let (limit, end) = self.patience();
                ready!(self.read_stall.poll(limit, cx));
                self.end = Some(end());
            }
        }
    }

    /// Reads once: more bytes, or the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_BYTES];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            self.end = Some(self.end_of_file());
            if let Some(gone) = &self.gone {
                gone.cancel();
            }
            return Poll::Ready(Ok(()));
        }
        // The deadline of a head counts from its first byte, not from the last answer.
        if self.buffer.is_empty() && matches!(self.next, Next::LaterHead) {
            self.read_stall.ended();
        }
        self.buffer.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(()))
    }

    /// While an answer goes out, hyper does not read. Somebody must, to see whether the peer is still there.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.verify();
        while self.gone.is_some() && self.verified == 0 && self.end.is_none() {
            if self.poll_more(cx)?.is_pending() {
                break;
            }
            self.verify();
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(cx))?;
        // Nothing verified: the end, and to hyper an EOF.
        let shown = self.verified.min(into.remaining());
        into.put_slice(&self.buffer[..shown]);
        self.buffer.advance(shown);
        self.verified -= shown;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> HeadGuard<S> {
    fn unless_stalled<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_stall.ended();
            return written;
        }
        ready!(self.write_stall.poll(self.write_timeout, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.unless_stalled(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.unless_stalled(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        let flushed = self.unless_stalled(flushed, cx)?;
        self.look_ahead(cx)?;
        flushed.map(Ok)
    }

    /// Only flushes: when hyper is done the connection is still needed, for the answer to what ended the guard.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
