//! A stream in TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream in TLS, of either side.
///
/// As a value it is one pointer: TLS keeps 1-2 KiB of state, and 4 KiB to read into.
#[derive(Debug)]
pub struct TlsStream<S>(Box<tokio_rustls::TlsStream<S>>);

impl<S> TlsStream<S> {
    pub(super) fn new(stream: tokio_rustls::TlsStream<S>) -> Self {
        Self(Box::new(stream))
    }

    /// The stream below, to ask it for addresses and the like.
    pub fn get_ref(&self) -> &S {
        self.0.get_ref().0
    }

    /// The peer's certificate, and those that it showed to vouch for it. A server has that of a client only if it demanded
    /// one ([`client_ca_pem`](super::ServerTls::client_ca_pem)): then it is there, and was checked.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.state().peer_certificates()
    }

    /// What both agreed to speak (ALPN), if they did: `http/1.1`, `h2`.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.state().alpn_protocol()
    }

    /// Which version of TLS it is.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.state().protocol_version()
    }

    /// To a server: the name that the client asked for (SNI).
    pub fn server_name(&self) -> Option<&str> {
        match &*self.0 {
            tokio_rustls::TlsStream::Server(stream) => stream.get_ref().1.server_name(),
            tokio_rustls::TlsStream::Client(_) => None,
        }
    }

    fn state(&self) -> &CommonState {
        self.0.get_ref().1
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    /// RFC 8446 §6.1: a `close_notify`, then the end of our direction of the stream below.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
