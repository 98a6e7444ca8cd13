//! What waits for one client, bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::{error, fmt};

use crate::budget::Budget;
use crate::channel::Wakers;
use crate::counters::Counters;
use crate::presence::Member;
use crate::publication::Publication;
use crate::queue::{Place, Queue};
use crate::run::{Link, Run};
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
    /// Publications of one channel in a row, behind all of `queue`: all that waits for most clients.
    run: Option<Waiting<E>>,
    /// In a box, because most clients have none.
    queue: Option<Box<Queue<E>>>,
    /// How many there are in `queue` and `run`.
    waiting: usize,
    bytes: usize,
    waker: Option<Waker>,
    too_slow: bool,
}

/// Publications of one subscription in a row.
#[derive(Debug)]
struct Waiting<E> {
    may_drop: bool,
    run: Run<E>,
}

/// What an empty delivery counts for.
const DELIVERY_BYTES: usize = 64;

impl<E> Delivery<E> {
    /// What it counts for. A publication is counted for everyone it waits for, although they share it: what may happen is
    /// bounded, not what does.
    fn cost(&self) -> usize {
        match self {
            Self::Publication { publication, .. } => cost(publication),
            Self::Joined { .. } | Self::Left { .. } => DELIVERY_BYTES,
        }
    }

    pub(crate) fn tag(&self) -> u32 {
        match self {
            Self::Publication { tag, .. } | Self::Joined { tag, .. } | Self::Left { tag, .. } => *tag,
        }
    }
}

fn cost<E>(publication: &Publication<E>) -> usize {
    DELIVERY_BYTES + publication.data.len()
}

impl<E> Outbox<E> {
    pub(crate) fn new(max_bytes: usize, budget: Arc<Budget>, counters: Arc<Counters>) -> Self {
        let state = State { run: None, queue: None, waiting: 0, bytes: 0, waker: None, too_slow: false };
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
        taken.reserve(state.waiting.min(max_bytes / DELIVERY_BYTES + 1));
        let before = state.bytes;
        while before - state.bytes < max_bytes
            && let Some(delivery) = state.pop()
        {
            taken.push(delivery);
        }
        self.budget.give(before - state.bytes);
        Poll::Ready(Ok(()))
    }

    /// The same for whoever can pass on many at once: where all that waits are publications of one subscription in a row, two or
    /// more, it returns those of them that have about `max_bytes`, and `taken` stays as it is.
    ///
    /// # Errors
    /// [`TooSlow`], ever after.
    pub fn poll_take_run(
        &self,
        cx: &mut Context<'_>,
        max_bytes: usize,
        taken: &mut Vec<Delivery<E>>,
    ) -> Poll<Result<Option<Run<E>>, TooSlow>> {
        let mut state = self.lock();
        let before = state.bytes;
        let Some(run) = state.pop_many(max_bytes) else {
            drop(state);
            return self.poll_take(cx, max_bytes, taken).map_ok(|()| None);
        };
        self.budget.give(before - state.bytes);
        Poll::Ready(Ok(Some(run)))
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
        state.forget(tag);
        self.budget.give(before - state.bytes);
    }

    /// Puts the newest publication of a channel in, and returns whether it is in there; whom to wake for it, once no lock is held,
    /// goes to `wakers`.
    pub(crate) fn publish(&self, tag: u32, newest: &Arc<Link<E>>, overflow: Overflow, wakers: &mut Wakers) -> bool {
        let publication = newest.publication();
        let mut state = self.lock();
        if state.too_slow {
            return false;
        }
        let key = match overflow {
            Overflow::LatestPerKey => publication.key.clone(),
            Overflow::Disconnect | Overflow::DropOldest => None,
        };
        if let Some(key) = &key
            && let Some(freed) = state.replace(&(tag, key.clone()))
        {
            self.budget.give(freed);
            self.counters.conflated();
        }
        let cost = cost(publication);
        let has_room = self.make_room(&mut state, cost, overflow);
        if has_room {
            let may_drop = overflow == Overflow::DropOldest;
            match key {
                Some(key) => {
                    let publication = publication.clone();
                    state.queue().push_newest((tag, key), Delivery::Publication { tag, publication, skipped: 0 });
                }
                None => state.go_on(tag, newest, may_drop),
            }
            state.waiting += 1;
            state.bytes += cost;
        }
        wakers.extend(state.waker.take());
        has_room
    }

    /// The same for who comes and goes.
    pub(crate) fn tell(&self, delivery: Delivery<E>, overflow: Overflow, wakers: &mut Wakers) {
        let mut state = self.lock();
        if state.too_slow {
            return;
        }
        let cost = delivery.cost();
        if self.make_room(&mut state, cost, overflow) {
            state.queue().push(delivery, false);
            state.waiting += 1;
            state.bytes += cost;
        }
        wakers.extend(state.waker.take());
    }

    /// Takes room for so many bytes more, and gives the client up where there is none.
    fn make_room(&self, state: &mut State<E>, cost: usize, overflow: Overflow) -> bool {
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
        } else {
            self.budget.give(state.bytes);
            self.counters.too_slow();
            state.give_up();
        }
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

    /// For what cannot go on with the run, which is put in before it.
    fn queue(&mut self) -> &mut Queue<E> {
        let queue = self.queue.get_or_insert_default();
        if let Some(Waiting { may_drop, run }) = self.run.take() {
            run.deliveries().for_each(|delivery| queue.push(delivery, may_drop));
        }
        queue
    }

    /// Goes on with the run, or begins another one.
    fn go_on(&mut self, tag: u32, newest: &Arc<Link<E>>, may_drop: bool) {
        match &mut self.run {
            None => self.run = Some(Waiting { may_drop, run: Run::of(tag, newest) }),
            Some(waiting) => {
                if (waiting.run.tag(), waiting.may_drop) != (tag, may_drop) || !waiting.run.extend(newest) {
                    let publication = newest.publication().clone();
                    self.queue().push(Delivery::Publication { tag, publication, skipped: 0 }, may_drop);
                }
            }
        }
    }

    fn pop(&mut self) -> Option<Delivery<E>> {
        let queued = self.queue.as_mut().and_then(|queue| queue.pop());
        let mut delivery = queued.or_else(|| self.pop_run())?;
        self.waiting -= 1;
        self.bytes -= delivery.cost();
        if let Some(queue) = &mut self.queue {
            if let Delivery::Publication { tag, skipped, .. } = &mut delivery {
                *skipped = queue.take_skipped(*tag);
            }
            if queue.is_empty() {
                // Who was slow once does not keep the memory.
                self.queue = None;
            }
        }
        Some(delivery)
    }

    /// The beginning of the run, if it is more than one publication and there is nothing else to say.
    fn pop_many(&mut self, max_bytes: usize) -> Option<Run<E>> {
        let Waiting { run, .. } = self.run.as_mut()?;
        if self.queue.is_some() || run.len() < 2 {
            return None;
        }
        // Most of the time, all of it.
        let (many, bytes) = if self.bytes < max_bytes {
            (self.run.take()?.run, self.bytes)
        } else {
            let mut bytes = 0;
            let split = run.split_off_front(|publication| {
                let more = bytes < max_bytes.max(1);
                bytes += if more { cost(publication) } else { 0 };
                more
            });
            if run.len() == 0 {
                self.run = None;
            }
            (split, bytes)
        };
        self.waiting -= many.len();
        self.bytes -= bytes;
        Some(many)
    }

    fn pop_run(&mut self) -> Option<Delivery<E>> {
        let Waiting { run, .. } = self.run.as_mut()?;
        let (tag, next) = (run.tag(), run.pop());
        if run.len() == 0 {
            self.run = None;
        }
        next.map(|publication| Delivery::Publication { tag, publication, skipped: 0 })
    }

    /// Removes the publication that this one makes obsolete, if there is one; returns what it cost.
    fn replace(&mut self, place: &Place) -> Option<usize> {
        let cost = self.queue.as_mut()?.replace(place)?.cost();
        self.waiting -= 1;
        self.bytes -= cost;
        Some(cost)
    }

    /// Drops the oldest publication that may be dropped, if there is one; returns what it cost.
    fn drop_oldest(&mut self) -> Option<usize> {
        let queued = self.queue.as_mut().and_then(|queue| queue.drop_oldest());
        let old = match queued {
            Some(old) => old,
            None if self.run.as_ref().is_some_and(|waiting| waiting.may_drop) => self.pop_run()?,
            None => return None,
        };
        let cost = old.cost();
        self.waiting -= 1;
        self.bytes -= cost;
        self.queue.get_or_insert_default().skip(old.tag());
        Some(cost)
    }

    /// Drops what waits for a subscription.
    fn forget(&mut self, tag: u32) {
        let mut forgotten = self.queue.as_mut().map_or_else(Vec::new, |queue| queue.forget(tag));
        if let Some(Waiting { run, .. }) = self.run.take_if(|waiting| waiting.run.tag() == tag) {
            forgotten.extend(run.deliveries());
        }
        self.waiting -= forgotten.len();
        self.bytes -= forgotten.iter().map(Delivery::cost).sum::<usize>();
        self.queue.take_if(|queue| queue.is_empty());
    }

    fn give_up(&mut self) {
        self.too_slow = true;
        (self.run, self.queue) = (None, None);
        (self.waiting, self.bytes) = (0, 0);
    }
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too much waited for a client that was too slow")
    }
}

impl error::Error for TooSlow {}
