//! The stream that hyper lets go of after an upgrade.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use openline_proto::handshake::Negotiated;
use openline_proto::{Config, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::websocket::WebSocket;

/// A stream on which hyper spoke HTTP before: TCP itself where hyper has that to give back, whatever else otherwise.
#[derive(Debug)]
pub struct UpgradedStream(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Other(TokioIo<upgrade::Upgraded>),
}

impl WebSocket<UpgradedStream> {
    /// A connection on a stream that hyper upgraded, for either end of it. [`upgrade`](crate::upgrade()) does all of a
    /// server's part.
    ///
    /// A client's, with any of hyper's clients:
    ///
    /// ```no_run
    /// # async fn example(
    /// #     mut sender: hyper::client::conn::http1::SendRequest<String>,
    /// #     nonce: [u8; 16], // random (§4.1)
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use openline::{Config, Role, WebSocket, handshake::ClientHandshake};
    ///
    /// let handshake = ClientHandshake::new(&"ws://example.com/chat".parse()?, nonce)?;
    /// let response = sender.send_request(handshake.request().map(|()| String::new())).await?;
    /// let (head, body) = response.into_parts();
    /// let response = http::Response::from_parts(head, ());
    /// let negotiated = handshake.finish(&response)?;
    /// let upgraded = hyper::upgrade::on(response).await?;
    /// let mut socket = WebSocket::from_upgraded(upgraded, Role::Client, &negotiated, Config::default());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// As [`from_parts`](Self::from_parts).
    pub fn from_upgraded(
        upgraded: upgrade::Upgraded,
        role: Role,
        negotiated: &Negotiated,
        config: impl Into<Arc<Config>>,
    ) -> Self {
        let (stream, leftover) = take_back(upgraded);
        Self::from_parts(UpgradedStream(stream), &leftover, role, negotiated, config)
    }
}

/// The stream without hyper's box around it, when it is TCP; and what hyper read of it too much.
fn take_back(upgraded: upgrade::Upgraded) -> (Inner, bytes::Bytes) {
    let (io, leftover) = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => (parts.io, parts.read_buf),
        // What hyper-util serves with either version of HTTP, and axum with it, is wrapped once more.
        Err(upgraded) => match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (parts.io, parts.read_buf),
            Err(upgraded) => return (Inner::Other(TokioIo::new(upgraded)), bytes::Bytes::new()),
        },
    };
    let stream = io.into_inner();
    // HTTP can wait for an acknowledgement before its next small packet, messages should not. A socket that refuses the
    // option is a socket that is gone, and the first read will say so.
    let _ = stream.set_nodelay(true);
    (Inner::Tcp(stream), leftover)
}

impl UpgradedStream {
    /// The TCP connection, when there is nothing between it and the WebSocket.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Inner::Tcp(stream) => Some(stream),
            Inner::Other(_) => None,
        }
    }
}

impl AsyncRead for UpgradedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::Other(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Other(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Inner::Other(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Tcp(stream) => stream.is_write_vectored(),
            Inner::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
