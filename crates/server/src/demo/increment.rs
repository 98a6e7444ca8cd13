//! `/increment`: a number every 50 ms, from 0; the text `reset` starts again.
//!
//! The old demonstration of libwebsockets, with its subprotocol: who does not offer it did not mean this.

use std::time::Duration;

use openline::proto::handshake::{Acceptance, Offer};
use openline::{Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval};

use super::drain;
use crate::edge::upgrade::Serve;

pub(super) const SUBPROTOCOL: &str = "dumb-increment-protocol";

const TICK: Duration = Duration::from_millis(50);

pub(super) fn accept(offer: &Offer) -> Option<Acceptance> {
    let subprotocol = offer.subprotocols().iter().find(|name| ***name == *SUBPROTOCOL)?;
    Some(Acceptance { subprotocol: Some(subprotocol.clone()), ..Acceptance::default() })
}

/// The endpoint.
pub(super) struct Count;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Count {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        count(socket).await
    }
}

async fn count<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    let mut number = 0_u64;
    let mut clock = interval(TICK);
    // Whoever stalled gets the next number, and not all the missed ones at once.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = socket.recv() => match message? {
                // The subprotocol says "reset\n"; people type it without.
                Some(message) if message.as_text().is_some_and(|text| text.trim_end() == "reset") => number = 0,
                Some(_) => {}
                None => return Ok(()),
            },
            _ = clock.tick() => {
                match socket.send(number.to_string()).await {
                    Err(Error::Send(SendError::Closed)) => return drain(socket).await,
                    sent => sent?,
                }
                number += 1;
            }
        }
    }
}
