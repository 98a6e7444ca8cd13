//! `/chat`: everyone hears everyone else.
//!
//! ```text
//! member's recv ─▶ Room: encode once ─▶ each other member's Outbox ─▶ its own task ─▶ its socket
//! ```
//! A message waits in the outbox of who is slow, and of nobody else. Whose outbox overflows has to leave.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openline::proto::handshake::{Acceptance, Offer};
use openline::proto::{CloseCode, Message, SharedMessage};
use openline::{Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::drain;
use crate::edge::upgrade::Serve;

const SUBPROTOCOL: &str = "chat";

/// 1013, "Try Again Later": nothing was wrong with what they said, and coming back is welcome.
const TOO_SLOW: (CloseCode, &str) = (CloseCode::TRY_AGAIN, "too slow: too much was waiting to be read");

/// `chat`, if it is offered; none, if not.
pub(super) fn accept(offer: &Offer) -> Acceptance {
    let subprotocol = offer.subprotocols().iter().find(|name| ***name == *SUBPROTOCOL);
    Acceptance { subprotocol: subprotocol.cloned(), ..Acceptance::default() }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Member {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        let ended = tokio::select! {
            biased;
            () = self.outbox.overflowed.notified() => None,
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
        tokio::select! {
            message = socket.recv() => match message? {
                Some(message) => member.say(&message),
                None => return Ok(()),
            },
            // Queued, and written by the next `recv` together with whatever else is heard until then.
            message = member.hear() => match socket.feed_shared(&message).await {
                // They are leaving, and hear no more.
                Err(Error::Send(SendError::Closed)) => return drain(socket).await,
                fed => fed?,
            },
        }
    }
}

/// Who is here.
#[derive(Debug, Default)]
pub(super) struct Room {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    outboxes: BTreeMap<u64, Arc<Outbox>>,
}

impl Room {
    pub(super) fn join(self: &Arc<Self>, max_outbox_bytes: usize) -> Member {
        let outbox = Arc::new(Outbox::new(max_outbox_bytes));
        let mut members = lock(&self.members);
        let id = members.next;
        members.next += 1;
        members.outboxes.insert(id, outbox.clone());
        Member { id, outbox, room: self.clone() }
    }
}

/// One who is here, until dropped.
#[derive(Debug)]
pub(crate) struct Member {
    id: u64,
    outbox: Arc<Outbox>,
    room: Arc<Room>,
}

impl Member {
    /// Tells all the others.
    fn say(&self, message: &Message) {
        let shared = SharedMessage::new(message);
        let mut members = lock(&self.room.members);
        // Who overflows hears no more, and is not asked again.
        members.outboxes.retain(|id, outbox| *id == self.id || outbox.put(&shared, message.len()));
    }

    /// Waits for what another one says.
    async fn hear(&self) -> SharedMessage {
        loop {
            if let Some(message) = self.outbox.take() {
                return message;
            }
            self.outbox.news.notified().await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        lock(&self.room.members).outboxes.remove(&self.id);
    }
}

/// What one member has still to hear.
#[derive(Debug)]
struct Outbox {
    max_bytes: usize,
    waiting: Mutex<Waiting>,
    news: Notify,
    overflowed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<(SharedMessage, usize)>,
    bytes: usize,
}

/// What a message in an outbox costs beside its payload, so that empty ones are bounded as well.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

impl Outbox {
    fn new(max_bytes: usize) -> Self {
        Self { max_bytes, waiting: Mutex::default(), news: Notify::new(), overflowed: Notify::new() }
    }

    /// Whether there was room.
    fn put(&self, message: &SharedMessage, payload_bytes: usize) -> bool {
        let cost = payload_bytes + MESSAGE_OVERHEAD_BYTES;
        let mut waiting = lock(&self.waiting);
        // One message of any size always has room: its own limit is --max-message-bytes.
        if !waiting.messages.is_empty() && waiting.bytes + cost > self.max_bytes {
            *waiting = Waiting::default();
            self.overflowed.notify_one();
            return false;
        }
        waiting.bytes += cost;
        waiting.messages.push_back((message.clone(), cost));
        self.news.notify_one();
        true
    }

    fn take(&self) -> Option<SharedMessage> {
        let mut waiting = lock(&self.waiting);
        let (message, cost) = waiting.messages.pop_front()?;
        waiting.bytes -= cost;
        Some(message)
    }
}

/// Nothing in here panics half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
