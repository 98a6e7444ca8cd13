//! A connection for HTTP/2 that keeps going: its first bytes come in time, and what it is owed is taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::super::stall::Stall;

/// RFC 9113 §3.4: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".
const PREFACE_BYTES: usize = 24;

/// A stream whose connection preface is here.
#[derive(Debug)]
pub(super) struct Steady<S> {
    io: S,
    preface: Bytes,
    stall: Stall,
    write_timeout: Duration,
}

impl<S: AsyncRead + Unpin> Steady<S> {
    /// Waits for the preface, as long as for the head of a request: before it h2 has no deadline of its own.
    pub(super) async fn open(mut io: S, patience: Duration, write_timeout: Duration) -> io::Result<Self> {
        let mut preface = [0; PREFACE_BYTES];
        timeout(patience, io.read_exact(&mut preface)).await??;
        Ok(Self { io, preface: Bytes::copy_from_slice(&preface), stall: Stall::default(), write_timeout })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Steady<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.preface.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, into);
        }
        let shown = self.preface.len().min(into.remaining());
        into.put_slice(&self.preface[..shown]);
        self.preface.advance(shown);
        Poll::Ready(Ok(()))
    }
}

impl<S> Steady<S> {
    fn unless_stalled<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall.ended();
            return written;
        }
        ready!(self.stall.poll(self.write_timeout, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Steady<S> {
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
        self.unless_stalled(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.unless_stalled(shut, cx)
    }
}
