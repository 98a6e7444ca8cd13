//! All sessions of a server, by who they are, so that a backend can reach them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use openline_hub::{ChannelName, Position};

use super::codes::{Disconnect, Unsubscribed};

/// A session, unlike any other: 16 random bytes. As a client it is known to others; for the secret behind emulated
/// transports there is another one, which is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id([u8; 16]);

impl Id {
    /// # Panics
    /// When the system has no entropy: nothing can be told apart then.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has entropy");
        Self(bytes)
    }

    #[cfg(test)]
    pub(crate) fn of(byte: u8) -> Self {
        Self([byte; 16])
    }

    /// From 0 to 255, for what shall not happen to all at once.
    pub(super) fn spread(self) -> u32 {
        self.0[0].into()
    }

    /// As it is written, if that is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let digits = <[u8; 32]>::try_from(digits).ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| (digit as char).to_digit(16);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        let id = Self(bytes);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for Id {
    /// As UUIDs are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    /// Some of them are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}…", self.0[0])
    }
}

/// What a session is told by others.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Disconnect(Disconnect),
    Unsubscribe(ChannelName, Unsubscribed),
    Subscribe(Box<Admitted>),
    /// The session expires then (in seconds since 1970), or has.
    Refresh {
        expire_at: Option<u64>,
        expired: bool,
        info: Option<Bytes>,
    },
    /// Something that a backend says, in no channel.
    Message(Bytes),
    /// Commands that came beside a stream.
    Commands(Bytes),
}

/// A channel that somebody is let into, and what goes with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) channel: Option<ChannelName>,
    /// What others in the channel know about it.
    pub(crate) info: Bytes,
    /// What it is told when it is in.
    pub(crate) data: Bytes,
    /// In seconds since 1970.
    pub(crate) expire_at: Option<u64>,
    pub(crate) since: Option<Position>,
    pub(crate) presence: Option<bool>,
    pub(crate) join_leave: Option<bool>,
}

/// Where a session finds its orders.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    orders: VecDeque<Order>,
    command_bytes: usize,
    message_bytes: usize,
    waker: Option<Waker>,
}

/// Commands that wait for a session, in bytes: more is refused, and the client told.
const MAX_COMMAND_BYTES: usize = 256 << 10;

/// Messages of backends that wait for a session, in bytes: as much as may wait of channels. One may be larger, alone.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Orders that wait for a session: it takes them at once, unless its line is stuck.
const MAX_ORDERS: usize = 1000;

impl Mailbox {
    /// Whether there was room. Where there is none, commands are refused, and whoever does not take its orders is disconnected
    /// for being too slow: none is lost in silence.
    pub(crate) fn put(&self, order: Order) -> bool {
        let mut inbox = lock(&self.0);
        let has_room = inbox.has_room(&order);
        if !has_room && matches!(order, Order::Commands(_)) {
            return false;
        }
        if !has_room {
            inbox.clear();
        }
        let is_taken = has_room || matches!(order, Order::Disconnect(_));
        inbox.push(if is_taken { order } else { Order::Disconnect(Disconnect::SLOW) });
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        is_taken
    }

    /// Takes the next order; while commands are not taken, they wait, and all that comes behind them.
    pub(super) fn poll_take(&self, cx: &Context<'_>, takes_commands: bool) -> Poll<Order> {
        let mut inbox = lock(&self.0);
        let waits = matches!(inbox.orders.front(), Some(Order::Commands(_))) && !takes_commands;
        if !waits && let Some(order) = inbox.orders.pop_front() {
            match &order {
                Order::Commands(bytes) => inbox.command_bytes -= bytes.len(),
                Order::Message(bytes) => inbox.message_bytes -= bytes.len(),
                _ => {}
            }
            if inbox.orders.is_empty() {
                inbox.orders = VecDeque::new();
            }
            return Poll::Ready(order);
        }
        if !inbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inbox.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Inbox {
    fn has_room(&self, order: &Order) -> bool {
        let (waiting, more, most) = match order {
            Order::Commands(bytes) => (self.command_bytes, bytes.len(), MAX_COMMAND_BYTES),
            Order::Message(bytes) if self.message_bytes > 0 => (self.message_bytes, bytes.len(), MAX_MESSAGE_BYTES),
            _ => (0, 0, 0),
        };
        self.orders.len() < MAX_ORDERS && waiting + more <= most
    }

    fn push(&mut self, order: Order) {
        match &order {
            Order::Commands(bytes) => self.command_bytes += bytes.len(),
            Order::Message(bytes) => self.message_bytes += bytes.len(),
            _ => {}
        }
        self.orders.push_back(order);
    }

    fn clear(&mut self) {
        self.orders.clear();
        (self.command_bytes, self.message_bytes) = (0, 0);
    }
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// This life of the server.
    pub(crate) node: Id,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    clients: HashMap<Id, Entry>,
    /// Of users with a name.
    users: HashMap<Arc<str>, Vec<Id>>,
    /// Of emulated transports, by their secret.
    secrets: HashMap<Id, Arc<Mailbox>>,
}

#[derive(Debug)]
struct Entry {
    mailbox: Arc<Mailbox>,
    user: Option<Arc<str>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { node: Id::random(), book: Mutex::default() }
    }

    /// Enters a session that has connected.
    pub(super) fn enter(&self, client: Id, user: Option<Arc<str>>, mailbox: Arc<Mailbox>) {
        let mut book = lock(&self.book);
        if let Some(user) = &user {
            book.users.entry(user.clone()).or_default().push(client);
        }
        book.clients.insert(client, Entry { mailbox, user });
    }

    pub(crate) fn leave(&self, client: Id) {
        let mut book = lock(&self.book);
        let Some(Entry { user: Some(user), .. }) = book.clients.remove(&client) else { return };
        if let Some(clients) = book.users.get_mut(&user) {
            clients.retain(|other| *other != client);
            if clients.is_empty() {
                book.users.remove(&user);
            }
        }
    }

    /// Lets commands in for an emulated transport, from whoever knows its secret.
    pub(super) fn open_beside(&self, secret: Id, mailbox: Arc<Mailbox>) {
        lock(&self.book).secrets.insert(secret, mailbox);
    }

    pub(super) fn close_beside(&self, secret: Id) {
        lock(&self.book).secrets.remove(&secret);
    }

    /// Where commands for an emulated transport go.
    pub(super) fn beside(&self, secret: Id) -> Option<Arc<Mailbox>> {
        lock(&self.book).secrets.get(&secret).cloned()
    }

    /// Gives an order to the sessions of a user; with `only`, to that one, which must be the user's (an empty name: nobody's).
    /// To how many.
    pub(crate) fn tell(&self, user: &str, only: Option<Id>, except: &[Id], order: &Order) -> usize {
        let mailboxes: Vec<Arc<Mailbox>> = {
            let book = lock(&self.book);
            let of = |client: &Id| {
                let entry = book.clients.get(client)?;
                (entry.user.as_deref().unwrap_or_default() == user && !except.contains(client))
                    .then(|| entry.mailbox.clone())
            };
            match only {
                Some(client) => of(&client).into_iter().collect(),
                None => book.users.get(user).into_iter().flatten().filter_map(of).collect(),
            }
        };
        mailboxes.iter().filter(|mailbox| mailbox.put(order.clone())).count()
    }

    /// How many there are, and of how many users with a name.
    pub(crate) fn count(&self) -> (usize, usize) {
        let book = lock(&self.book);
        (book.clients.len(), book.users.len())
    }
}

/// Nothing in here panics half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_as_they_are_written() {
        let id = Id::random();
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!(Id::of(0xab).to_string(), "abababab-abab-abab-abab-abababababab");
        for bad in ["", "ab", "ABABABAB-abab-abab-abab-abababababab", "abababababababababababababababab"] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
        assert!(!format!("{id:?}").contains(&id.to_string()[2..8]));
    }

    #[test]
    fn who_does_not_take_its_orders_is_gone_and_a_goodbye_always_fits() {
        let taken = |mailbox: &Mailbox| {
            let mut taken = Vec::new();
            while let Poll::Ready(order) = mailbox.poll_take(&Context::from_waker(Waker::noop()), true) {
                taken.push(order);
            }
            taken
        };
        let message = |bytes: usize| Order::Message(vec![b'1'; bytes].into());
        let mailbox = Mailbox::default();
        assert!(mailbox.put(message(2 << 20)), "one is always possible");
        assert!(!mailbox.put(message(1)));
        assert!(matches!(&taken(&mailbox)[..], [Order::Disconnect(slow)] if *slow == Disconnect::SLOW));
        assert!(mailbox.put(message(500_000)) && mailbox.put(message(500_000)), "and what was dropped counts no more");
        assert_eq!(taken(&mailbox).len(), 2);

        for _ in 0..MAX_ORDERS {
            assert!(mailbox.put(message(1)));
        }
        assert!(mailbox.put(Order::Disconnect(Disconnect::FORCED)));
        assert!(matches!(&taken(&mailbox)[..], [Order::Disconnect(forced)] if *forced == Disconnect::FORCED));

        assert!(mailbox.put(Order::Commands(vec![b' '; MAX_COMMAND_BYTES].into())));
        assert!(!mailbox.put(Order::Commands(Bytes::from_static(b" "))), "commands are refused, and their client told");
        assert_eq!(taken(&mailbox).len(), 1);
    }

    #[test]
    fn orders_reach_those_they_are_for() {
        let sessions = Sessions::new();
        let mailboxes: Vec<Arc<Mailbox>> = (0..3).map(|_| Arc::default()).collect();
        for (client, (user, mailbox)) in [Some("ann"), Some("ann"), None].iter().zip(&mailboxes).enumerate() {
            sessions.enter(Id::of(client as u8), user.map(Arc::from), mailbox.clone());
        }
        let order = Order::Disconnect(Disconnect::FORCED);
        assert_eq!(sessions.count(), (3, 1));
        assert_eq!(sessions.tell("ann", None, &[], &order), 2);
        assert_eq!(sessions.tell("ann", None, &[Id::of(0)], &order), 1);
        assert_eq!(sessions.tell("ann", Some(Id::of(2)), &[], &order), 0);
        assert_eq!(sessions.tell("", Some(Id::of(2)), &[], &order), 1);
        assert_eq!(sessions.tell("", None, &[], &order), 0);
        sessions.leave(Id::of(0));
        sessions.leave(Id::of(1));
        assert_eq!(sessions.count(), (1, 0));
        assert_eq!(sessions.tell("ann", None, &[], &order), 0);
    }
}
