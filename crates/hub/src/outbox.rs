//! What waits for one client, bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::{error, fmt};

use crate::budget::Budget;
use crate::channel::Wakers;
use crate::counters::Counters;
use crate::presence::Member;
use crate::publication::Publication;
use crate::settings::Overflow;

/// What waits for one client, whatever number of channels it subscribed to.
///
/// The hub puts in, the client's own task takes out with [`poll_take`](Self::poll_take). It is made by
/// [`Hub::outbox`](crate::Hub::outbox) and given to every [`Hub::subscribe`](crate::Hub::subscribe) of the client.
#[derive(Debug)]
pub struct Outbox<E = ()> {
    state: Mutex<State<E>>,
    max_bytes: usize,
    budget: Arc<Budget>,
    counters: Arc<Counters>,
}

/// Something for a client.
#[derive(Debug)]
#[non_exhaustive]
pub enum Delivery<E = ()> {
    /// It was published.
    Publication {
        /// What the client called its subscription.
        tag: u32,
        /// What was published.
        publication: Arc<Publication<E>>,
        /// How many publications before it were dropped because the client was slow.
        skipped: u64,
    },
    /// Somebody came.
    Joined {
        /// What the client called its subscription.
        tag: u32,
        /// Who.
        member: Arc<Member>,
    },
    /// Somebody went.
    Left {
        /// What the client called its subscription.
        tag: u32,
        /// Who.
        member: Arc<Member>,
    },
}

/// Too much waited: everything was dropped, and nothing more will come. Come back with the position of the publication
/// that was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

#[derive(Debug)]
struct State<E> {
    queue: VecDeque<Option<Queued<E>>>,
    /// The number of the first in `queue`.
    first: u64,
    /// How many in `queue` are not replaced.
    waiting: usize,
    bytes: usize,
    /// Where the newest publication with a key waits, by its subscription's tag. Only of subscriptions that conflate.
    newest: HashMap<(u32, Arc<str>), u64>,
    /// How many publications were dropped ahead of those that wait, by tag; few clients have any.
    skipped: Vec<(u32, u64)>,
    waker: Option<Waker>,
    too_slow: bool,
}

#[derive(Debug)]
struct Queued<E> {
    delivery: Delivery<E>,
    may_drop: bool,
}

/// What an empty delivery counts for.
const DELIVERY_BYTES: usize = 64;

impl<E> Delivery<E> {
    /// What it counts for. A publication is counted for everyone it waits for, although they share it: what may happen is
    /// bounded, not what does.
    fn cost(&self) -> usize {
        DELIVERY_BYTES
            + match self {
                Self::Publication { publication, .. } => publication.data.len(),
                Self::Joined { .. } | Self::Left { .. } => 0,
            }
    }

    fn tag(&self) -> u32 {
        match self {
            Self::Publication { tag, .. } | Self::Joined { tag, .. } | Self::Left { tag, .. } => *tag,
        }
    }
}

impl<E> Outbox<E> {
    pub(crate) fn new(max_bytes: usize, budget: Arc<Budget>, counters: Arc<Counters>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            first: 0,
            waiting: 0,
            bytes: 0,
            newest: HashMap::new(),
            skipped: Vec::new(),
            waker: None,
            too_slow: false,
        };
        Self { state: Mutex::new(state), max_bytes, budget, counters }
    }

    /// Moves what waits to the end of `taken`, oldest first, until it has about `max_bytes` more; at least one.
    ///
    /// # Errors
    /// [`TooSlow`], ever after.
    pub fn poll_take(
        &self,
        cx: &mut Context<'_>,
        max_bytes: usize,
        taken: &mut Vec<Delivery<E>>,
    ) -> Poll<Result<(), TooSlow>> {
        let mut state = self.lock();
        if state.too_slow {
            return Poll::Ready(Err(TooSlow));
        }
        if state.waiting == 0 {
            state.remember(cx);
            return Poll::Pending;
        }
        let before = state.bytes;
        while before - state.bytes < max_bytes
            && let Some(queued) = state.pop()
        {
            taken.push(queued.delivery);
        }
        self.budget.give(before - state.bytes);
        Poll::Ready(Ok(()))
    }

    /// Ready once the client is given up, for whoever is busy with what it took.
    pub fn poll_too_slow(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.too_slow {
            return Poll::Ready(());
        }
        state.remember(cx);
        Poll::Pending
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Drops what waits for a subscription that has ended.
    pub(crate) fn forget(&self, tag: u32) {
        let mut state = self.lock();
        let before = state.bytes;
        state.retain(|delivery| delivery.tag() != tag);
        state.skipped.retain(|(of, _)| *of != tag);
        self.budget.give(before - state.bytes);
    }

    /// Puts something in, and returns whether it is in there; whom to wake for it, once no lock is held, goes to `wakers`.
    pub(crate) fn put(&self, delivery: Delivery<E>, overflow: Overflow, wakers: &mut Wakers) -> bool {
        let mut state = self.lock();
        if state.too_slow {
            return false;
        }
        if overflow == Overflow::LatestPerKey
            && let Some(freed) = state.replace(&delivery)
        {
            self.budget.give(freed);
            self.counters.conflated();
        }
        let cost = delivery.cost();
        // One publication has a limit of its own: where nothing waits, it always has room.
        let fits = |held: usize| (held == 0 || held + cost <= self.max_bytes) && self.budget.allows(held, cost);
        while !fits(state.bytes)
            && overflow == Overflow::DropOldest
            && let Some(freed) = state.drop_oldest()
        {
            self.budget.give(freed);
            self.counters.dropped();
        }
        let has_room = fits(state.bytes);
        if has_room {
            self.budget.take(cost);
            state.push(delivery, cost, overflow);
        } else {
            self.budget.give(state.bytes);
            self.counters.too_slow();
            state.give_up();
        }
        wakers.extend(state.waker.take());
        has_room
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // A panic while it is held would be a mistake of ours, and no worse for going on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Drop for Outbox<E> {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.budget.give(bytes);
    }
}

impl<E> State<E> {
    /// One task waits for it.
    fn remember(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    fn push(&mut self, delivery: Delivery<E>, cost: usize, overflow: Overflow) {
        let may_drop = overflow == Overflow::DropOldest && matches!(delivery, Delivery::Publication { .. });
        if overflow == Overflow::LatestPerKey
            && let Some(place) = place(&delivery)
        {
            self.newest.insert(place, self.first + self.queue.len() as u64);
        }
        self.queue.push_back(Some(Queued { delivery, may_drop }));
        self.waiting += 1;
        self.bytes += cost;
    }

    fn pop(&mut self) -> Option<Queued<E>> {
        loop {
            let queued = self.queue.pop_front()?;
            self.first += 1;
            let Some(mut queued) = queued else { continue };
            self.waiting -= 1;
            self.bytes -= queued.delivery.cost();
            if !self.newest.is_empty()
                && let Some(place) = place(&queued.delivery)
                && self.newest.get(&place).is_some_and(|number| *number < self.first)
            {
                self.newest.remove(&place);
            }
            if let Delivery::Publication { tag, skipped, .. } = &mut queued.delivery
                && let Some(at) = self.skipped.iter().position(|(of, _)| of == tag)
            {
                *skipped = self.skipped.swap_remove(at).1;
            }
            if self.waiting == 0 {
                // Who was slow once does not keep the memory.
                (self.queue, self.newest) = (VecDeque::new(), HashMap::new());
            }
            return Some(queued);
        }
    }

    /// Removes the publication that this one makes obsolete, if there is one; returns what it cost.
    fn replace(&mut self, delivery: &Delivery<E>) -> Option<usize> {
        let number = self.newest.remove(&place(delivery)?)?;
        let old = self.queue.get_mut((number - self.first) as usize).and_then(Option::take)?;
        let cost = old.delivery.cost();
        self.waiting -= 1;
        self.bytes -= cost;
        // Holes go when there are more of them than of anything else: so each costs little, and there are never many.
        if self.queue.len() > 2 * self.waiting + 16 {
            self.close_holes();
        }
        Some(cost)
    }

    /// Drops the oldest publication that may be dropped, if there is one; returns what it cost.
    fn drop_oldest(&mut self) -> Option<usize> {
        let oldest = self.queue.iter().position(|queued| queued.as_ref().is_some_and(|queued| queued.may_drop))?;
        let old = self.queue.remove(oldest)??;
        let cost = old.delivery.cost();
        self.waiting -= 1;
        self.bytes -= cost;
        let tag = old.delivery.tag();
        match self.skipped.iter_mut().find(|(of, _)| *of == tag) {
            Some((_, skipped)) => *skipped += 1,
            None => self.skipped.push((tag, 1)),
        }
        if !self.newest.is_empty() {
            self.close_holes();
        }
        Some(cost)
    }

    fn retain(&mut self, keep: impl Fn(&Delivery<E>) -> bool) {
        for place in &mut self.queue {
            if let Some(queued) = place.take_if(|queued| !keep(&queued.delivery)) {
                self.waiting -= 1;
                self.bytes -= queued.delivery.cost();
            }
        }
        self.close_holes();
    }

    fn close_holes(&mut self) {
        self.queue.retain(Option::is_some);
        self.queue.shrink_to(2 * self.waiting);
        let conflates = !self.newest.is_empty();
        self.newest.clear();
        if conflates {
            for (at, queued) in self.queue.iter().flatten().enumerate() {
                if let Some(place) = place(&queued.delivery) {
                    self.newest.insert(place, self.first + at as u64);
                }
            }
        }
    }

    fn give_up(&mut self) {
        self.too_slow = true;
        (self.queue, self.newest, self.skipped) = Default::default();
        (self.waiting, self.bytes) = (0, 0);
    }
}

/// What it is the newest state of.
fn place<E>(delivery: &Delivery<E>) -> Option<(u32, Arc<str>)> {
    match delivery {
        Delivery::Publication { tag, publication, .. } => Some((*tag, publication.key.clone()?)),
        Delivery::Joined { .. } | Delivery::Left { .. } => None,
    }
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too much waited for a client that was too slow")
    }
}

impl error::Error for TooSlow {}
