//! The open lines of an endpoint that is written in Rust: how many there are, what all hear, and who has to leave.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openline::proto::{Close, CloseCode, Message};
use openline::{Error, SendError, WebSocket};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use crate::hosting::Leave;
use crate::rights::Identity;
use crate::room::{Member, Room};

/// What may wait for one slow line, as elsewhere; over it the line is closed with 1013.
const MAX_OUTBOX_BYTES: usize = 1 << 20;

/// The open lines of one endpoint. Clones are the same registry: keep one in the application's state, beside axum's routes.
///
/// ```no_run
/// use openline_server::{Identity, Registry};
///
/// #[derive(serde::Deserialize)]
/// struct Say { text: String }
/// #[derive(serde::Serialize)]
/// struct Said { who: String, text: String }
///
/// async fn chat(registry: Registry, who: &str, mut socket: openline::WebSocket) -> Result<(), openline::Error> {
///     let seat = registry.enter(Identity::User(who.into()));
///     seat.serve(&mut socket, |Say { text }| {
///         let _ = registry.broadcast(&Said { who: who.to_owned(), text });
///     })
///     .await
/// }
///
/// fn logout(registry: &Registry, who: &str) {
///     let code = openline::CloseCode::POLICY;
///     registry.close(&Identity::User(who.into()), code, "you logged out");
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    room: Arc<Room>,
    seats: Arc<Mutex<Seats>>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, (Identity, Option<oneshot::Sender<Close>>)>,
}

impl Registry {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters somebody's line; it is struck out when the seat is dropped.
    pub fn enter(&self, identity: Identity) -> Seat {
        let (tell, told) = oneshot::channel();
        let mut seats = self.seats();
        let key = seats.next;
        seats.next += 1;
        seats.taken.insert(key, (identity, Some(tell)));
        drop(seats);
        Seat { key, told, leave: None, member: self.room.join(MAX_OUTBOX_BYTES), registry: self.clone() }
    }

    /// How many lines are open.
    pub fn count(&self) -> usize {
        self.seats().taken.len()
    }

    /// How many of them are somebody's.
    pub fn count_of(&self, identity: &Identity) -> usize {
        self.seats().taken.values().filter(|(own, _)| own == identity).count()
    }

    /// Tells all of them, as JSON in a text message that is encoded once. It waits in the outbox of who is slow, and of nobody
    /// else; whose outbox has over 1 MiB is closed with 1013.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn broadcast(&self, message: &impl Serialize) -> Result<(), serde_json::Error> {
        self.room.tell(&Message::Text(serde_json::to_string(message)?.into()));
        Ok(())
    }

    /// Closes every line of somebody, as at a logout, and says how many there were.
    pub fn close(&self, identity: &Identity, code: CloseCode, reason: &str) -> usize {
        let mut seats = self.seats();
        let own = seats.taken.values_mut().filter(|(own, _)| own == identity);
        let told = own.filter_map(|(_, tell)| tell.take()).filter_map(|tell| tell.send(Close::new(code, reason)).ok());
        told.count()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // Nothing in here panics half-way.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line's entry in a [`Registry`], until it is dropped.
#[derive(Debug)]
pub struct Seat {
    key: u64,
    told: oneshot::Receiver<Close>,
    leave: Option<Leave>,
    member: Member,
    registry: Registry,
}

impl Seat {
    /// Closes the line when the server says so, too: at its end, or when [`Lines::close`](crate::Lines::close) closes it.
    pub fn leave_when(mut self, leave: Leave) -> Self {
        self.leave = Some(leave);
        self
    }

    /// Serves the line until it ends: what it sends is decoded from JSON and handed over, what is broadcast it hears.
    ///
    /// What does not decode closes the line with 1007 and the reason, a binary message with 1003.
    ///
    /// # Errors
    /// As [`WebSocket::recv`].
    pub async fn serve<S, M>(mut self, socket: &mut WebSocket<S>, mut on_message: impl FnMut(M)) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        M: DeserializeOwned,
    {
        let close = loop {
            tokio::select! {
                biased;
                Ok(close) = &mut self.told => break close,
                close = told(&mut self.leave) => break close,
                () = self.member.overflowed() => {
                    break Close::new(CloseCode::TRY_AGAIN, "too slow: too much was waiting to be read");
                }
                message = self.member.hear() => match socket.feed_shared(&message).await {
                    Err(Error::Send(SendError::Closed)) => break Close::empty(),
                    fed => fed?,
                },
                message = socket.recv() => match message? {
                    Some(Message::Text(text)) => match serde_json::from_str(text.as_str()) {
                        Ok(message) => on_message(message),
                        Err(error) => break Close::new(CloseCode::INVALID, &error.to_string()),
                    },
                    Some(Message::Binary(_)) => break Close::new(CloseCode::UNSUPPORTED, "JSON in text messages is spoken here"),
                    None => return Ok(()),
                },
            }
        };
        socket.start_close(close);
        while socket.recv_ref().await?.is_some() {}
        Ok(())
    }
}

async fn told(leave: &mut Option<Leave>) -> Close {
    match leave {
        Some(leave) => leave.told().await,
        None => pending().await,
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.seats().taken.remove(&self.key);
    }
}
