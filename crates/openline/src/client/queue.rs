//! §4.1 item 2: connections to one place are opened one after the other, and not too many in all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as Book, PoisonError, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Whoever opens connections through the same queue opens them as §4.1 asks: "There MUST be no more than one connection in a
/// CONNECTING state" to the same address and port, whatever name it was reached by, and "to a reasonably low number" at once in
/// all. Clones are the same queue. It is for whom connections are opened on others' behalf, as a browser does for its pages.
///
/// The wait is part of [`Client::timeout`](super::Client::timeout), and in no order.
///
/// ```
/// let queue = openline::Queue::new(16);
/// let client = openline::Client::new().queue(&queue);
/// ```
#[derive(Clone, Debug)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pending: Arc<Semaphore>,
    /// The places to which a connection is being opened, or about to be.
    places: Book<HashMap<Place, Weak<Mutex<()>>>>,
}

/// Where a connection leads: an address, or if a proxy looks it up, a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    Address(SocketAddr),
    Name(String, u16),
}

/// The right to open a connection, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Turn {
    _places: Vec<OwnedMutexGuard<()>>,
    _pending: Option<OwnedSemaphorePermit>,
}

impl Queue {
    /// At most so many connections are being opened at any time, at least one.
    pub fn new(most_pending: usize) -> Self {
        let pending = Arc::new(Semaphore::new(most_pending.clamp(1, Semaphore::MAX_PERMITS)));
        Self(Arc::new(Inner { pending, places: Book::default() }))
    }

    /// Waits until no other connection is being opened to any of these places.
    pub(super) async fn turn(&self, mut places: Vec<Place>) -> Turn {
        // In one order for everyone, so that nobody has what another waits for, and waits for what that one has.
        places.sort_unstable();
        places.dedup();
        let mut held = Vec::with_capacity(places.len());
        for place in places {
            held.push(self.place(place).lock_owned().await);
        }
        // Last: who waits for a place is in nobody's way.
        Turn { _places: held, _pending: self.0.pending.clone().acquire_owned().await.ok() }
    }

    fn place(&self, place: Place) -> Arc<Mutex<()>> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = places.get(&place).and_then(Weak::upgrade) {
            return known;
        }
        // As many as are being opened are left.
        places.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(Mutex::new(()));
        places.insert(place, Arc::downgrade(&new));
        new
    }
}
