//! A room: what is said there all hear, each at its own pace.
//!
//! ```text
//! tell ─▶ Room: encoded once ─▶ each member's Outbox ─▶ its own task ─▶ its socket
//! ```
//! A message waits in the outbox of who is slow, and of nobody else. Whose outbox overflows has to leave.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openline::proto::{Message, SharedMessage};
use tokio::sync::Notify;

/// Who is here.
#[derive(Debug, Default)]
pub(crate) struct Room {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    outboxes: BTreeMap<u64, Arc<Outbox>>,
}

impl Room {
    pub(crate) fn join(self: &Arc<Self>, max_outbox_bytes: usize) -> Member {
        let outbox = Arc::new(Outbox::new(max_outbox_bytes));
        let mut members = lock(&self.members);
        let id = members.next;
        members.next += 1;
        members.outboxes.insert(id, outbox.clone());
        Member { id, outbox, room: self.clone() }
    }

    /// Tells everyone.
    pub(crate) fn tell(&self, message: &Message) {
        let shared = SharedMessage::new(message);
        // Who overflows hears no more, and is not asked again.
        lock(&self.members).outboxes.retain(|_, outbox| outbox.put(&shared, message.len()));
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
    /// Waits for what is said.
    pub(crate) async fn hear(&self) -> SharedMessage {
        loop {
            if let Some(message) = self.outbox.take() {
                return message;
            }
            self.outbox.news.notified().await;
        }
    }

    /// Waits until it was too slow, and hears no more.
    pub(crate) async fn overflowed(&self) {
        self.outbox.overflowed.notified().await;
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
        // One message of any size always has room: its own limit is the line's.
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
