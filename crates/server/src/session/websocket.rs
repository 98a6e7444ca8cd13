//! A session on a WebSocket: a message is a frame of commands, or of replies.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use openline::proto::handshake::{Acceptance, Offer};
use openline::proto::{Close, CloseCode};
use openline::{Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use super::codes::Disconnect;
use super::push;
use super::seat::Seat;
use super::session::{Arrival, Out, Transport};
use super::wire::Encoding;
use crate::lines::Goodbye;
use crate::site::Site;
use crate::turns::{Turn, Turns};

/// The subprotocols that choose an encoding; without one it is JSON.
const PROTOBUF: &str = "centrifuge-protobuf";
const JSON: &str = "centrifuge-json";

/// Decides about an opening handshake.
pub(crate) fn accept(offer: &Offer) -> Acceptance {
    let known = offer.subprotocols().iter().find(|name| matches!(name.as_str(), PROTOBUF | JSON));
    let subprotocol = known.cloned();
    Acceptance { subprotocol, ..Acceptance::default() }
}

/// A line that is a session's, before it is open.
pub(crate) struct Connection {
    seat: Seat,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn begin<B>(
        request: &Request<B>,
        acceptance: &Acceptance,
        site: &Arc<Site>,
    ) -> Result<Self, Box<Response<Bytes>>> {
        let is_protobuf = acceptance.subprotocol.as_deref().is_some_and(|name| name == PROTOBUF);
        let encoding = if is_protobuf { Encoding::Protobuf } else { Encoding::Json };
        let arrival = Arrival::of(request, site)?;
        Ok(Self { seat: Seat::new(Transport::WebSocket, encoding, arrival, site) })
    }

    /// Serves an open line until it ends.
    pub(crate) async fn run<S>(mut self: Box<Self>, socket: &mut WebSocket<S>) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let seat = &mut self.seat;
        let outbox = seat.session.outbox().clone();
        let too_slow = poll_fn(|cx| outbox.poll_too_slow(cx));
        let ended = tokio::select! {
            biased;
            () = too_slow => None,
            ended = talk(seat, socket) => Some(ended),
        };
        match ended {
            Some(ended) => ended,
            None => {
                drop(self);
                socket.close(code(Disconnect::SLOW.code), &Disconnect::SLOW.reason).await.map(drop)
            }
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(seat: &mut Seat, socket: &mut WebSocket<S>) -> Result<(), Error> {
    let mut turns = Turns::default();
    loop {
        let out = if seat.session.takes_commands() {
            match turns.next(socket, |cx| seat.poll_next(cx)).await {
                Turn::Ours(out) => out,
                Turn::Theirs(message) => match message? {
                    Some(message) => {
                        seat.receive(message.into_bytes());
                        continue;
                    }
                    None => return Ok(()),
                },
            }
        } else {
            // Nobody reads now, and reading is what writes.
            socket.flush().await?;
            let out = poll_fn(|cx| match seat.poll_next(cx) {
                Poll::Ready(out) => Poll::Ready(Some(out)),
                // What it waited for has come, and there is nothing to say about it.
                Poll::Pending if seat.session.takes_commands() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match out.await {
                Some(out) => out,
                None => continue,
            }
        };
        // Queued, and written by the next `recv` together with whatever else there is by then.
        let fed = match out {
            Out::Publication(publication, channel) => {
                socket.feed_shared(push::message(&publication, &channel, seat.session.encoding)).await
            }
            Out::Replies(bytes) => match seat.session.encoding {
                Encoding::Json => socket.feed(String::from_utf8_lossy(&bytes).into_owned()).await,
                Encoding::Protobuf => socket.feed(bytes).await,
            },
            Out::Disconnect(disconnect) => {
                socket.start_close(close(&disconnect));
                return drain(socket).await;
            }
        };
        match fed {
            // They are leaving, and hear no more.
            Err(Error::Send(SendError::Closed)) => return drain(socket).await,
            fed => fed?,
        }
    }
}

fn close(disconnect: &Disconnect) -> Close {
    Close::new(code(disconnect.code), &disconnect.reason)
}

/// The numbers of disconnects are those of Close frames that are free for applications and libraries (§7.4.2).
pub(crate) fn code(code: u16) -> CloseCode {
    CloseCode::try_from(code).unwrap_or(CloseCode::POLICY)
}

/// What a session is told when the server ends.
pub(crate) fn goodbye() -> Goodbye {
    Goodbye { code: code(Disconnect::SHUTDOWN.code), reason: "shutdown".into() }
}

/// To the end of the closing handshake, when there is nothing more to say.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while socket.recv_ref().await?.is_some() {}
    Ok(())
}
