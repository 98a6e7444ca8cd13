//! What a client's line runs on: TCP, a Unix socket, or TLS over either.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// The stream below a client's line: TCP, a Unix socket, or TLS over either, to the server or to a proxy.
///
/// A line without TLS is as small and as fast as on the socket itself: what it is, is asked once for each read and write.
#[derive(Debug)]
pub struct ClientStream(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// One pointer; TLS through a proxy that is itself reached by TLS is one within the other.
    #[cfg(feature = "tls")]
    Tls(TlsStream<ClientStream>),
}

impl ClientStream {
    /// The TCP connection, whether there is TLS on it or not. To a proxy, if there is one.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Inner::Tcp(stream) => Some(stream),
            #[cfg(unix)]
            Inner::Unix(_) => None,
            #[cfg(feature = "tls")]
            Inner::Tls(stream) => stream.get_ref().as_tcp(),
        }
    }

    /// TLS with the server, if there is: its version, and the server's certificates.
    #[cfg(feature = "tls")]
    pub fn as_tls(&self) -> Option<&TlsStream<Self>> {
        match &self.0 {
            Inner::Tls(stream) => Some(stream),
            _ => None,
        }
    }
}

impl From<TcpStream> for ClientStream {
    fn from(stream: TcpStream) -> Self {
        Self(Inner::Tcp(stream))
    }
}

#[cfg(unix)]
impl From<UnixStream> for ClientStream {
    fn from(stream: UnixStream) -> Self {
        Self(Inner::Unix(stream))
    }
}

#[cfg(feature = "tls")]
impl From<TlsStream<ClientStream>> for ClientStream {
    fn from(stream: TlsStream<ClientStream>) -> Self {
        Self(Inner::Tls(stream))
    }
}

/// The same call on whichever stream it is.
macro_rules! on_inner {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.0 {
            Inner::Tcp($stream) => $call,
            #[cfg(unix)]
            Inner::Unix($stream) => $call,
            #[cfg(feature = "tls")]
            Inner::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for ClientStream {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for ClientStream {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_inner!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_inner!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Inner::Unix(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Inner::Tls(stream) => stream.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
