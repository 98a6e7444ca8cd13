//! A stream that writes when there is nothing left to read: however often a library flushes, what one read brought is answered in one
//! write. It is what its users can do for a library that writes each message on its own.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Holds back what is written until a read has to wait.
#[derive(Debug)]
pub struct Corked {
    stream: TcpStream,
    held: Vec<u8>,
    /// How much of it the stream has taken.
    written: usize,
}

impl Corked {
    /// Nothing is held yet, and no memory for it.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, held: Vec::new(), written: 0 }
    }

    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.held[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(length)) => self.written += length,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        // An idle connection keeps little.
        if self.held.capacity() > KEPT_BYTES {
            self.held = Vec::new();
        }
        self.held.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Corked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending()
            && let Poll::Ready(Err(error)) = self.poll_release(context)
        {
            return Poll::Ready(Err(error));
        }
        read
    }
}

/// A last Close frame: nobody reads after it.
impl Drop for Corked {
    fn drop(&mut self) {
        if self.written < self.held.len() {
            let _ = self.stream.try_write(&self.held[self.written..]);
        }
    }
}

impl AsyncWrite for Corked {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() >= MOST_BYTES {
            std::task::ready!(self.poll_release(context))?;
        }
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.held.len() >= MOST_BYTES {
            std::task::ready!(self.poll_release(context))?;
        }
        let before = self.held.len();
        pieces.iter().for_each(|piece| self.held.extend_from_slice(piece));
        Poll::Ready(Ok(self.held.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The next read, which every echo server begins at once, does it.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_release(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Enough for everything that a read of the usual 64 KiB brings.
const MOST_BYTES: usize = 64 << 10;

/// Sixteen small messages.
const KEPT_BYTES: usize = 4 << 10;
