//! Who has a line to a hosted place.

use std::net::SocketAddr;

use openline::{Error, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::{exec, proxy, tcp};
use crate::demo::test::Echo;
use crate::edge::upgrade::{self, Serve};
use crate::lines::Line;

/// A line's endpoint, and its place among those that the route counts.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(super) kind: Kind,
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Echo,
    Exec(exec::Talk),
    Tcp(Box<tcp::Bridge>),
    Proxy(Box<proxy::Relay>),
}

impl Guest {
    /// Serves an open line until it ends. Each its own way: a line has the memory of its own endpoint, and not of the
    /// largest. Dropped before, whatever it needed ends, too.
    pub(crate) fn serve<S>(self, socket: WebSocket<S>, line: Line, peer: SocketAddr) -> crate::edge::Line
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { kind, slot } = self;
        match kind {
            Kind::Echo => upgrade::serve(socket, line, peer, Counted(Echo, slot)),
            Kind::Exec(talk) => upgrade::serve(socket, line, peer, Counted(talk, slot)),
            Kind::Proxy(relay) => upgrade::serve(socket, line, peer, Counted(relay, slot)),
            Kind::Tcp(bridge) => upgrade::serve(socket, line, peer, Counted(bridge, slot)),
        }
    }
}

/// What counts as one of its route's lines.
struct Counted<E>(E, Option<OwnedSemaphorePermit>);

impl<S: Send, E: Serve<S> + Send> Serve<S> for Counted<E> {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        let Self(endpoint, _slot) = self;
        endpoint.serve(socket).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for exec::Talk {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.run(socket).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Box<proxy::Relay> {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.run(socket).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Box<tcp::Bridge> {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.run(socket).await
    }
}

/// To the end of the closing handshake, when there is nothing more to say.
pub(super) async fn drain<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while socket.recv_ref().await?.is_some() {}
    Ok(())
}
