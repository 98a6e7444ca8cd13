//! The demo: a page, and three endpoints to try WebSockets on, one file each.

mod chat;
mod increment;
pub(crate) mod page;
pub(crate) mod test;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use openline::proto::handshake::{Acceptance, Offer};
use openline::{Error, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::counts::Kind;
use crate::edge::answer::text;
use crate::edge::{self, upgrade};
use crate::lines::Line;
use crate::site::Site;

/// What a 404 and the start of the program say.
pub(crate) const OVERVIEW: &str = "There are / (a page), for WebSockets /test, /chat and /increment, channels at /c/NAME, and for clients and backends \
     of many channels /connection/websocket and /api.";

/// What speaks WebSocket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Socket {
    Test,
    Chat,
    Increment,
}

/// What the lines of the demo share.
#[derive(Debug)]
pub(crate) struct Demo {
    room: Arc<chat::Room>,
}

impl Demo {
    /// One in which so much may wait for each line.
    pub(crate) fn new(max_outbox_bytes: usize) -> Self {
        Self { room: Arc::new(chat::Room::new(max_outbox_bytes)) }
    }
}

impl Socket {
    /// Exactly there: `/test/` is somewhere else.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/test" => Some(Self::Test),
            "/chat" => Some(Self::Chat),
            "/increment" => Some(Self::Increment),
            _ => None,
        }
    }

    /// Decides about an opening handshake.
    pub(crate) fn accept(self, offer: &Offer) -> Result<Acceptance, Box<Response<Bytes>>> {
        match self {
            Self::Test => Ok(test::accept(offer)),
            Self::Chat => Ok(chat::accept(offer)),
            Self::Increment => increment::accept(offer).ok_or_else(|| {
                let needed = increment::SUBPROTOCOL;
                Box::new(text(
                    StatusCode::BAD_REQUEST,
                    format!("/increment speaks the subprotocol {needed:?}: offer it in Sec-WebSocket-Protocol."),
                ))
            }),
        }
    }

    /// Takes a place there. Before the handshake is answered: whoever reads the answer is in.
    pub(crate) fn enter(self, site: &Site) -> Place {
        match self {
            Self::Test => Place::Test,
            Self::Chat => Place::Chat(site.demo.room.join()),
            Self::Increment => Place::Increment,
        }
    }
}

/// What a line is to an endpoint.
#[derive(Debug)]
pub(crate) enum Place {
    Test,
    Chat(chat::Member),
    Increment,
}

impl Place {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Test => Kind::Test,
            Self::Chat(_) => Kind::Chat,
            Self::Increment => Kind::Increment,
        }
    }

    /// Serves an open line until it ends. Each its own way: a line has the memory of its own endpoint, and not of the
    /// largest.
    pub(crate) fn serve<S>(self, socket: WebSocket<S>, line: Line, peer: SocketAddr) -> edge::Line
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self {
            Self::Test => upgrade::serve(socket, line, peer, test::Echo),
            Self::Chat(member) => upgrade::serve(socket, line, peer, member),
            Self::Increment => upgrade::serve(socket, line, peer, increment::Count),
        }
    }
}

/// To the end of the closing handshake, when there is nothing more to say.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while socket.recv_ref().await?.is_some() {}
    Ok(())
}
