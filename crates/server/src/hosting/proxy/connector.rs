//! Connections of hyper's client to one other server.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use openline::ClientStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Upstream;
use crate::hosting::dial::{DialError, Tls, dial};

/// Connects to one server, whatever the URL says.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) upstream: Arc<Upstream>,
    pub(super) tls: Option<Tls>,
    pub(super) timeout: Duration,
}

impl Connector {
    pub(super) async fn connect(&self) -> Result<ClientStream, DialError> {
        let tls = self.tls.as_ref().filter(|_| self.upstream.is_tls);
        dial(&self.upstream.address, tls, self.timeout).await
    }
}

/// A connection for hyper.
#[derive(Debug)]
pub(super) struct Dialed(ClientStream);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Dialed>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { Ok(TokioIo::new(Dialed(connector.connect().await?))) })
    }
}

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Dialed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
