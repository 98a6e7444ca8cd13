//! `/chat`: everyone hears everyone else.
//!
//! ```text
//! member's recv ─▶ Hub: encoded once ─▶ each other member's Outbox ─▶ its own task ─▶ its socket
//! ```
//! A message waits in the outbox of who is slow, and of nobody else. Whose outbox overflows has to leave.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openline::proto::handshake::{Acceptance, Offer};
use openline::proto::{CloseCode, Message};
use openline::{Error, SendError, WebSocket};
use openline_hub::{
    ChannelName, Delivery, Draft, Format, HistoryLimits, Hub, Limits, Namespaces, Outbox, Settings, Subscribe,
    Subscription, TooSlow,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::drain;
use crate::doors::{Encoded, batch, encoded};
use crate::edge::upgrade::Serve;

const SUBPROTOCOL: &str = "chat";

/// 1013, "Try Again Later": nothing was wrong with what they said, and coming back is welcome.
const TOO_SLOW: (CloseCode, &str) = (CloseCode::TRY_AGAIN, "too slow: too much was waiting to be read");

/// Taken out of an outbox at once, about: what is written by one system call.
const TAKE_BYTES: usize = 16 << 10;

/// `chat`, if it is offered; none, if not.
pub(super) fn accept(offer: &Offer) -> Acceptance {
    let subprotocol = offer.subprotocols().iter().find(|name| ***name == *SUBPROTOCOL);
    Acceptance { subprotocol: subprotocol.cloned(), ..Acceptance::default() }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Member {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        let ended = tokio::select! {
            biased;
            () = poll_fn(|cx| self.outbox.poll_too_slow(cx)) => None,
            ended = talk(socket, &self) => Some(ended),
        };
        match ended {
            Some(ended) => ended,
            None => socket.close(TOO_SLOW.0, TOO_SLOW.1).await.map(drop),
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>, member: &Member) -> Result<(), Error> {
    loop {
        let mut taken = Vec::new();
        tokio::select! {
            message = socket.recv() => match message? {
                Some(message) => member.say(message),
                None => return Ok(()),
            },
            // Queued, and written by the next `recv` together with whatever else is heard until then.
            heard = poll_fn(|cx| member.outbox.poll_take_run(cx, TAKE_BYTES, &mut taken)) => {
                let run = match heard {
                    Err(TooSlow) => return Ok(()), // as `serve` has seen, too
                    Ok(run) => run,
                };
                if let Some(run) = run {
                    let messages = batch::messages(&run);
                    if messages.is_none_or(|(messages, _)| socket.try_feed_all_shared(&messages).is_err()) {
                        taken.extend(run.deliveries());
                    }
                }
                for delivery in taken {
                    let Delivery::Publication { publication, .. } = delivery else { continue };
                    match socket.feed_shared(encoded::message(&publication)).await {
                        // They are leaving, and hear no more.
                        Err(Error::Send(SendError::Closed)) => return drain(socket).await,
                        fed => fed?,
                    }
                }
            }
        }
    }
}

/// Who is here: a hub of one channel that remembers nothing.
#[derive(Debug)]
pub(super) struct Room {
    hub: Hub<Encoded>,
    channel: ChannelName,
    next: AtomicU64,
}

impl Room {
    /// One in which so much may wait for each.
    pub(super) fn new(max_outbox_bytes: usize) -> Self {
        let settings = Settings {
            history: HistoryLimits { count: 0, ..HistoryLimits::default() },
            // A message has a limit of its own, --max-message-bytes, and so has a room: --max-connections.
            max_publication_bytes: usize::MAX,
            max_subscribers: usize::MAX,
            ..Settings::default()
        };
        let limits = Limits { max_channels: 1, max_outbox_bytes, shards: 1, ..Limits::default() };
        Self {
            hub: Hub::new(Namespaces::new(settings), limits, 0),
            channel: "chat".parse().expect("it is a name"),
            next: AtomicU64::new(0),
        }
    }

    /// One more. The subscription fails only where there are more channels, or subscribers, than there can be here.
    pub(super) fn join(self: &Arc<Self>) -> Member {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let own = Arc::new(openline_hub::Member::new(number.to_string(), ""));
        let outbox = self.hub.outbox();
        let subscribe = Subscribe { member: Some(own.clone()), hears_itself: false, ..Subscribe::default() };
        let subscribed = self.hub.subscribe(&self.channel, &outbox, subscribe, Instant::now().into_std());
        Member { own, outbox, room: self.clone(), _subscription: subscribed.ok().map(|one| one.subscription) }
    }
}

/// One who is here, until dropped.
#[derive(Debug)]
pub(crate) struct Member {
    own: Arc<openline_hub::Member>,
    outbox: Arc<Outbox<Encoded>>,
    room: Arc<Room>,
    _subscription: Option<Subscription<Encoded>>,
}

impl Member {
    /// Tells all the others.
    fn say(&self, message: Message) {
        let format = if message.as_text().is_some() { Format::Text } else { Format::Binary };
        let draft = Draft { publisher: Some(self.own.clone()), ..Draft::new(format, message.into_bytes()) };
        // Nothing that a room of one channel without a limit could refuse.
        let _ = self.room.hub.publish(&self.room.channel, draft, Instant::now().into_std());
    }
}
