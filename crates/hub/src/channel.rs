//! One channel: its sequence, its recent past, and who listens.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

use slab::Slab;

use crate::history::History;
use crate::idempotency::Idempotency;
use crate::outbox::{Delivery, Outbox};
use crate::position::{Epoch, Position};
use crate::presence::{Member, PresenceStats};
use crate::publication::Publication;
use crate::recovery::{Gap, Window};
use crate::run::Link;
use crate::settings::Settings;

/// The state of a channel. Whoever calls holds the lock of its shard.
#[derive(Debug)]
pub(crate) struct Channel<E> {
    epoch: Epoch,
    top: u64,
    history: History<E>,
    /// The newest publication, as long as it waits for somebody.
    newest: Weak<Link<E>>,
    subscribers: Slab<Subscriber<E>>,
    /// Boxed: most channels never see an idempotency key.
    pub(crate) idempotency: Option<Box<Idempotency>>,
    /// When it was last of use to anybody.
    used: Instant,
}

/// Somebody who listens.
#[derive(Debug)]
pub(crate) struct Subscriber<E> {
    pub(crate) outbox: Arc<Outbox<E>>,
    pub(crate) tag: u32,
    /// Whether its own publications are for it as well.
    pub(crate) hears_itself: bool,
    /// Whether it is told who comes and goes.
    pub(crate) hears_members: bool,
    /// As others see it, if they do.
    pub(crate) member: Option<Arc<Member>>,
}

/// Whom to wake, once no lock is held.
pub(crate) type Wakers = Vec<Waker>;

impl<E> Channel<E> {
    pub(crate) fn new(epoch: Epoch, now: Instant) -> Self {
        let (history, subscribers) = (History::new(), Slab::new());
        Self { epoch, top: 0, history, newest: Weak::new(), subscribers, idempotency: None, used: now }
    }

    /// Appends to the sequence and puts the publication into every outbox. Returns its position and the number of those.
    pub(crate) fn publish(
        &mut self,
        publication: Publication<E>,
        settings: &Settings,
        wakers: &mut Wakers,
    ) -> (Position, usize) {
        let now = publication.at;
        self.top += 1;
        let publication = Arc::new(Publication { offset: self.top, ..publication });
        self.history.expire(&settings.history, now);
        self.history.push(publication.clone(), &settings.history);
        self.used = now;
        let deliveries = self.deliver(publication, settings, wakers);
        (self.position(), deliveries)
    }

    /// Puts the newest publication into every outbox, and returns how many those are.
    fn deliver(&mut self, publication: Arc<Publication<E>>, settings: &Settings, wakers: &mut Wakers) -> usize {
        if self.subscribers.is_empty() {
            self.newest = Weak::new();
            return 0;
        }
        let newest = Link::behind(self.newest.upgrade().as_ref(), publication);
        self.newest = Arc::downgrade(&newest);
        let publisher = newest.publication().publisher.as_deref().map(|publisher| &publisher.client);
        let mut deliveries = 0;
        for (_, Subscriber { outbox, tag, hears_itself, member, .. }) in &self.subscribers {
            let own = !hears_itself && member.as_deref().is_some_and(|member| Some(&member.client) == publisher);
            if !own {
                deliveries += usize::from(outbox.publish(*tag, &newest, settings.overflow, wakers));
            }
        }
        deliveries
    }

    /// Adds somebody, and tells the others.
    pub(crate) fn join(&mut self, subscriber: Subscriber<E>, settings: &Settings, wakers: &mut Wakers) -> usize {
        if settings.presence
            && let Some(member) = &subscriber.member
        {
            self.tell(|tag| Delivery::Joined { tag, member: member.clone() }, settings, wakers);
        }
        self.subscribers.insert(subscriber)
    }

    /// Removes somebody, and tells the others.
    pub(crate) fn leave(&mut self, slot: usize, settings: &Settings, wakers: &mut Wakers) {
        let Some(subscriber) = self.subscribers.try_remove(slot) else { return };
        subscriber.outbox.forget(subscriber.tag);
        if settings.presence
            && let Some(member) = &subscriber.member
        {
            self.tell(|tag| Delivery::Left { tag, member: member.clone() }, settings, wakers);
        }
        // Only many slots are worth giving back: what a crowd left behind.
        if self.subscribers.capacity() > 64 && self.subscribers.len() < self.subscribers.capacity() / 4 {
            self.subscribers.shrink_to_fit();
        }
    }

    fn tell(&self, delivery: impl Fn(u32) -> Delivery<E>, settings: &Settings, wakers: &mut Wakers) {
        for (_, subscriber) in self.subscribers.iter().filter(|(_, subscriber)| subscriber.hears_members) {
            subscriber.outbox.tell(delivery(subscriber.tag), settings.overflow, wakers);
        }
    }

    /// What came after `after`, or all there is; the first `limit` of it, or without a position the last.
    pub(crate) fn window(
        &mut self,
        after: Option<Position>,
        limit: usize,
        settings: &Settings,
        now: Instant,
    ) -> Window<E> {
        self.used = now;
        self.history.expire(&settings.history, now);
        let top = self.position();
        let Some(after) = after else {
            let skip = self.history.all().len().saturating_sub(limit);
            let publications = self.history.all().skip(skip).cloned().collect();
            return Window { publications, next: top, top, gap: None };
        };
        let found = match () {
            () if after.epoch != self.epoch => Err(Gap::Epoch),
            () if after.offset > self.top => Err(Gap::Future),
            () => self.history.after(after.offset, self.top).ok_or(Gap::Expired),
        };
        match found {
            Ok(missed) => {
                let publications: Vec<_> = missed.take(limit).cloned().collect();
                let offset = after.offset + publications.len() as u64;
                Window { publications, next: Position { offset, ..top }, top, gap: None }
            }
            Err(gap) => Window { publications: Vec::new(), next: top, top, gap: Some(gap) },
        }
    }

    /// Forgets the past; the sequence goes on.
    pub(crate) fn clear(&mut self) {
        self.history.clear();
    }

    /// Forgets what is too old. Returns whether nobody would notice if the channel were forgotten as well.
    pub(crate) fn sweep(&mut self, settings: &Settings, now: Instant) -> bool {
        self.history.expire(&settings.history, now);
        if self.idempotency.as_mut().is_some_and(|keys| keys.expire(now)) {
            self.idempotency = None;
        }
        if !self.subscribers.is_empty() {
            self.used = now;
        }
        self.history.is_empty()
            && self.idempotency.is_none()
            && self.subscribers.is_empty()
            && now.saturating_duration_since(self.used) >= settings.idle
    }

    /// The newest place.
    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.top }
    }

    /// How many listen.
    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    /// Who is there, each client once, up to `limit`.
    pub(crate) fn members(&self, limit: usize) -> Vec<Arc<Member>> {
        let mut seen = HashSet::new();
        let members = self.subscribers.iter().filter_map(|(_, subscriber)| subscriber.member.as_ref());
        members.filter(|member| seen.insert(&member.client)).take(limit).cloned().collect()
    }

    pub(crate) fn presence_stats(&self) -> PresenceStats {
        let members = || self.subscribers.iter().filter_map(|(_, subscriber)| subscriber.member.as_ref());
        PresenceStats {
            clients: members().map(|member| &member.client).collect::<HashSet<_>>().len(),
            users: members().map(|member| &member.user).collect::<HashSet<_>>().len(),
        }
    }
}
