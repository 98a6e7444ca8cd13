//! `/test`: every message comes back as it came, text as text and binary as binary.

use openline::proto::handshake::{Acceptance, Offer};
use openline::{Error, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::edge::upgrade::Serve;

/// An echo speaks whatever the client speaks: the first subprotocol offered.
pub(super) fn accept(offer: &Offer) -> Acceptance {
    Acceptance { subprotocol: offer.subprotocols().first().cloned(), ..Acceptance::default() }
}

/// The endpoint.
#[derive(Debug)]
pub(crate) struct Echo;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Echo {
    /// Each message is lent from the read buffer and queued; what came in one read goes back in one write.
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        while let Some((message, mut reply)) = socket.recv_ref().await? {
            reply.feed(message)?;
        }
        Ok(())
    }
}
