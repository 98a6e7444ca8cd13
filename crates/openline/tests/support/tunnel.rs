//! A WebSocket as a stream of bytes, which another WebSocket may run over: each write is a binary message.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_sink::Sink;
use openline::{Error, Message, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug)]
pub(crate) struct Tunnel<S> {
    socket: WebSocket<S>,
    unread: Bytes,
}

impl<S> Tunnel<S> {
    pub(crate) fn new(socket: WebSocket<S>) -> Self {
        Self { socket, unread: Bytes::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tunnel<S> {
    fn sink(&mut self) -> Pin<&mut (impl Sink<Message, Error = Error> + use<S>)> {
        Pin::new(&mut self.socket)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.socket.poll_recv(cx)).map_err(io::Error::other)? {
                Some(message) => self.unread = message.into_bytes(),
                None => return Poll::Ready(Ok(())),
            }
        }
        let bytes = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..bytes]);
        self.unread.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.sink().poll_ready(cx)).map_err(io::Error::other)?;
        let message = Message::from(bytes.to_vec());
        self.sink().start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sink().poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sink().poll_close(cx).map_err(io::Error::other)
    }
}
