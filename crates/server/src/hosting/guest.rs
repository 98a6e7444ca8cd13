//! Who has a line to a hosted place.

use std::net::SocketAddr;

use openline::proto::{Close, CloseCode};
use openline::{Error, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::{exec, proxy, tcp};
use crate::demo::test::Echo;
use crate::edge::upgrade::{self, Serve};
use crate::lines::Line;
use crate::rates::{Spending, TooMuch};

/// A line's endpoint, and its place among those that the route counts.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(super) kind: Kind,
    pub(super) slot: Option<OwnedSemaphorePermit>,
    pub(super) says: Says,
}

/// What its client may say in a time.
#[derive(Debug, Default)]
pub(super) struct Says(pub(super) Option<Box<Spending>>);

impl Says {
    /// A message of so many bytes; `false`: it is too much, and the line is told so.
    pub(super) fn allows<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        bytes: usize,
        socket: &mut WebSocket<S>,
    ) -> bool {
        match self.message(bytes) {
            Ok(()) => true,
            Err(too_much) => {
                socket.start_close(too_much_said(&too_much));
                false
            }
        }
    }

    /// The same, for whoever tells it later.
    pub(super) fn message(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.0.as_mut().map_or(Ok(()), |spending| spending.message(None, bytes))
    }
}

/// RFC 6455 §7.4.1: 1008 is for a message that "violates its policy"; the codes from 4000 on are those of what is behind.
pub(super) fn too_much_said(too_much: &TooMuch) -> Close {
    Close::new(CloseCode::POLICY, &too_much.to_string())
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
        let Self { kind, slot, says } = self;
        match kind {
            Kind::Echo if says.0.is_none() => upgrade::serve(socket, line, peer, Counted(Echo, slot)),
            Kind::Echo => upgrade::serve(socket, line, peer, Counted(MeteredEcho(says), slot)),
            Kind::Exec(talk) => upgrade::serve(socket, line, peer, Counted((talk, says), slot)),
            Kind::Proxy(relay) => upgrade::serve(socket, line, peer, Counted((relay, says), slot)),
            Kind::Tcp(bridge) => upgrade::serve(socket, line, peer, Counted((bridge, says), slot)),
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

/// An echo whose client may say so much.
struct MeteredEcho(Says);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for MeteredEcho {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        let Self(mut says) = self;
        while let Some((message, mut reply)) = socket.recv_ref().await? {
            if let Err(too_much) = says.message(message.as_bytes().len()) {
                socket.start_close(too_much_said(&too_much));
                return drain(socket).await;
            }
            reply.feed(message)?;
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for (exec::Talk, Says) {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.0.run(socket, self.1).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for (Box<proxy::Relay>, Says) {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.0.run(socket, self.1).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for (Box<tcp::Bridge>, Says) {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.0.run(socket, self.1).await
    }
}

/// To the end of the closing handshake, when there is nothing more to say.
pub(super) async fn drain<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while socket.recv_ref().await?.is_some() {}
    Ok(())
}
