//! All channels, and what can be done to them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::budget::Budget;
use crate::channel::{Channel, Subscriber, Wakers};
use crate::counters::{Counters, Stats};
use crate::error::{PublishError, ReadError, SubscribeError};
use crate::idempotency::{self, Known, MAX_IDEMPOTENCY_KEY_BYTES};
use crate::name::ChannelName;
use crate::outbox::Outbox;
use crate::position::{Epoch, Position};
use crate::presence::{Member, PresenceStats};
use crate::publication::{Draft, Publication};
use crate::recovery::{Recovery, Window};
use crate::settings::{Namespaces, Settings};

/// All channels of a server. Clones are the same hub; it can be used from any thread.
///
/// Time is an argument: give it the present, which must not go backwards by much.
///
/// ```
/// use openline_hub::{Draft, Hub, Limits, Namespaces, Recovery, Subscribe};
/// use std::time::Instant;
///
/// let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 7);
/// let channel = "news".parse().unwrap();
/// let now = Instant::now();
/// let published = hub.publish(&channel, Draft::text("one"), now).unwrap();
/// hub.publish(&channel, Draft::text("two"), now).unwrap();
///
/// // Somebody has seen the first and comes back:
/// let outbox = hub.outbox();
/// let back = Subscribe { after: Some(published.position), ..Subscribe::default() };
/// let subscribed = hub.subscribe(&channel, &outbox, back, now).unwrap();
/// let Recovery::Complete(missed) = subscribed.recovery else { panic!() };
/// assert_eq!(missed[0].data, "two");
/// ```
#[derive(Debug)]
pub struct Hub<E = ()>(Arc<Shared<E>>);

#[derive(Debug)]
struct Shared<E> {
    shards: Box<[Mutex<Shard<E>>]>,
    /// Decides which shard a channel is in, and tells drafts apart.
    hasher: RandomState,
    namespaces: RwLock<Arc<Namespaces>>,
    limits: Limits,
    /// Where the sequence of epochs is; it never meets itself.
    epochs: AtomicU64,
    channels: AtomicUsize,
    subscriptions: AtomicUsize,
    budget: Arc<Budget>,
    counters: Arc<Counters>,
}

type Shard<E> = HashMap<ChannelName, Box<Channel<E>>>;

/// What a hub may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Channels. Default 1,000,000; that many empty ones take some 200 MB.
    pub max_channels: usize,
    /// What may wait for one client, or one publication, if that is more. Default 1 MiB: some seconds of a busy channel.
    pub max_outbox_bytes: usize,
    /// What may wait for all of them. Default 256 MiB.
    pub max_queued_bytes: usize,
    /// Locks that channels are spread over. Default 64, several for each core of a large machine.
    pub shards: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_channels: 1_000_000, max_outbox_bytes: 1 << 20, max_queued_bytes: 256 << 20, shards: 64 }
    }
}

/// How to subscribe.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// What the client calls the subscription; it comes with each delivery.
    pub tag: u32,
    /// What was seen last: everything after it is recovered.
    pub after: Option<Position>,
    /// As others see it. Where the namespace has no presence, only to know its own publications.
    pub member: Option<Arc<Member>>,
    /// Whether its own publications are for it as well. Default: yes.
    pub hears_itself: bool,
    /// Whether it is told who comes and goes, where the namespace has presence. Default: no.
    pub hears_members: bool,
}

impl Default for Subscribe {
    fn default() -> Self {
        Self { tag: 0, after: None, member: None, hears_itself: true, hears_members: false }
    }
}

/// A subscription has begun.
#[derive(Debug)]
pub struct Subscribed<E = ()> {
    /// It ends when this is dropped.
    pub subscription: Subscription<E>,
    /// The newest place in the channel. What comes after it comes through the outbox.
    pub position: Position,
    /// What was missed.
    pub recovery: Recovery<E>,
}

/// A subscription; it ends when this is dropped, and what still waits of it is dropped, too.
#[derive(Debug)]
pub struct Subscription<E = ()> {
    hub: Hub<E>,
    channel: ChannelName,
    slot: usize,
}

/// Something was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place.
    pub position: Position,
    /// It had been published before, and was not again.
    pub repeated: bool,
    /// Into how many outboxes it was put.
    pub deliveries: usize,
}

impl<E> Hub<E> {
    /// An empty hub. `seed` begins its sequence of epochs: random, or else another life of the server may have had the same.
    pub fn new(namespaces: Namespaces, limits: Limits, seed: u64) -> Self {
        let shards = (0..limits.shards.max(1)).map(|_| Mutex::default()).collect();
        Self(Arc::new(Shared {
            shards,
            hasher: RandomState::new(),
            namespaces: RwLock::new(Arc::new(namespaces)),
            epochs: AtomicU64::new(seed),
            channels: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
            budget: Arc::new(Budget::new(limits.max_queued_bytes)),
            counters: Arc::default(),
            limits,
        }))
    }

    /// Other settings from now on. What is over a new limit goes with the next publication, read or sweep of its channel.
    pub fn configure(&self, namespaces: Namespaces) {
        *self.0.namespaces.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(namespaces);
    }

    /// An outbox for one client.
    pub fn outbox(&self) -> Arc<Outbox<E>> {
        Arc::new(Outbox::new(self.0.limits.max_outbox_bytes, self.0.budget.clone(), self.0.counters.clone()))
    }

    /// Publishes: gives it the channel's next offset, keeps it, and puts it into every subscriber's outbox.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has happened then.
    pub fn publish(&self, channel: &ChannelName, draft: Draft<'_>, now: Instant) -> Result<Published, PublishError>
    where
        E: Default,
    {
        let settings = self.settings(channel).ok_or(PublishError::UnknownNamespace)?;
        let bytes = draft.data.len();
        if bytes > settings.max_publication_bytes {
            return Err(PublishError::TooBig { bytes, max: settings.max_publication_bytes });
        }
        if draft.idempotency_key.is_some_and(|key| key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY_BYTES) {
            return Err(PublishError::IdempotencyKey);
        }
        let once = draft.idempotency_key.map(|key| (key, idempotency::digest(&self.0.hasher, &draft)));
        let publication = Publication {
            offset: 0,
            format: draft.format,
            data: draft.data,
            key: draft.key.map(Arc::from),
            tags: draft.tags,
            publisher: draft.publisher,
            at: now,
            unix_ms: draft.unix_ms,
            encoded: E::default(),
        };
        let mut wakers = Wakers::new();
        let mut shard = self.shard(channel);
        let state = self.entry(&mut shard, channel, now).ok_or(PublishError::TooManyChannels)?;
        if let (Some((key, digest)), Some(keys)) = (once, &state.idempotency) {
            match keys.look(key, digest, now) {
                Known::No => {}
                Known::Same(offset) => {
                    self.0.counters.repeated();
                    let position = Position { offset, ..state.position() };
                    return Ok(Published { position, repeated: true, deliveries: 0 });
                }
                Known::Other => return Err(PublishError::IdempotencyKeyReused),
            }
        }
        let (position, deliveries) = state.publish(publication, &settings, &mut wakers);
        if let Some((key, digest)) = once {
            state.idempotency.get_or_insert_default().remember(key, digest, position.offset, now);
        }
        drop(shard);
        self.0.counters.published(deliveries);
        wakers.into_iter().for_each(|waker| waker.wake());
        Ok(Published { position, repeated: false, deliveries })
    }

    /// Subscribes: from the position on, nothing is missed and nothing comes twice.
    ///
    /// # Errors
    /// [`SubscribeError`]; nothing has happened then.
    pub fn subscribe(
        &self,
        channel: &ChannelName,
        outbox: &Arc<Outbox<E>>,
        subscribe: Subscribe,
        now: Instant,
    ) -> Result<Subscribed<E>, SubscribeError> {
        let settings = self.settings(channel).ok_or(SubscribeError::UnknownNamespace)?;
        let Subscribe { tag, after, member, hears_itself, hears_members } = subscribe;
        let subscriber = Subscriber { outbox: outbox.clone(), tag, hears_itself, hears_members, member };
        let mut wakers = Wakers::new();
        let mut shard = self.shard(channel);
        let state = self.entry(&mut shard, channel, now).ok_or(SubscribeError::TooManyChannels)?;
        if state.subscribers() >= settings.max_subscribers {
            return Err(SubscribeError::TooManySubscribers { max: settings.max_subscribers });
        }
        let recovery = match after {
            None => Recovery::Live,
            Some(after) => match state.window(Some(after), usize::MAX, &settings, now) {
                Window { gap: Some(gap), .. } => Recovery::Gap(gap),
                Window { publications, .. } => Recovery::Complete(publications),
            },
        };
        let slot = state.join(subscriber, &settings, &mut wakers);
        let position = state.position();
        drop(shard);
        match &recovery {
            Recovery::Live => {}
            Recovery::Complete(_) => self.0.counters.resumed(true),
            Recovery::Gap(_) => self.0.counters.resumed(false),
        }
        self.0.subscriptions.fetch_add(1, Ordering::Relaxed);
        wakers.into_iter().for_each(|waker| waker.wake());
        let subscription = Subscription { hub: self.clone(), channel: channel.clone(), slot };
        Ok(Subscribed { subscription, position, recovery })
    }

    /// What was published after a position, the first `limit` of it; without a position, the last `limit` that are kept.
    ///
    /// A channel that does not exist is created: so that there is a position to go on from.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn history(
        &self,
        channel: &ChannelName,
        after: Option<Position>,
        limit: usize,
        now: Instant,
    ) -> Result<Window<E>, ReadError> {
        let settings = self.settings(channel).ok_or(ReadError::UnknownNamespace)?;
        let mut shard = self.shard(channel);
        let state = self.entry(&mut shard, channel, now).ok_or(ReadError::TooManyChannels)?;
        let window = state.window(after, limit, &settings, now);
        if after.is_some() {
            self.0.counters.resumed(window.gap.is_none());
        }
        Ok(window)
    }

    /// The newest place of a channel, if it exists.
    pub fn position(&self, channel: &ChannelName) -> Option<Position> {
        self.shard(channel).get(channel).map(|state| state.position())
    }

    /// Drops what is kept of a channel's past; offsets go on. Whether the channel exists.
    pub fn clear_history(&self, channel: &ChannelName) -> bool {
        self.shard(channel).get_mut(channel).map(|state| state.clear()).is_some()
    }

    /// Who is in a channel, each client once, up to `limit`.
    pub fn presence(&self, channel: &ChannelName, limit: usize) -> Vec<Arc<Member>> {
        self.shard(channel).get(channel).map_or_else(Vec::new, |state| state.members(limit))
    }

    /// How many are in a channel.
    pub fn presence_stats(&self, channel: &ChannelName) -> PresenceStats {
        self.shard(channel).get(channel).map_or_else(PresenceStats::default, |state| state.presence_stats())
    }

    /// How many subscribers a channel has.
    pub fn subscribers(&self, channel: &ChannelName) -> usize {
        self.shard(channel).get(channel).map_or(0, |state| state.subscribers())
    }

    /// The channels that exist and match, each with its number of subscribers, up to `limit`. It looks at all of them.
    pub fn channels(&self, matches: impl Fn(&ChannelName) -> bool, limit: usize) -> Vec<(ChannelName, usize)> {
        let mut found = Vec::new();
        for shard in &self.0.shards {
            let shard = lock(shard);
            let room = limit - found.len();
            let matching = shard.iter().filter(|(name, _)| matches(name));
            found.extend(matching.take(room).map(|(name, state)| (name.clone(), state.subscribers())));
        }
        found
    }

    /// Forgets what is too old, and channels that nobody uses, in one of the shards. Call it for shard 0, 1, 2 and so on,
    /// and from the beginning when it returns `false`: all of them every few seconds.
    pub fn sweep(&self, shard: usize, now: Instant) -> bool {
        let Some(shard) = self.0.shards.get(shard) else { return false };
        let namespaces = self.namespaces();
        let mut shard = lock(shard);
        let before = shard.len();
        // The channels of a namespace that was taken away go like all others, by the rules of the default one.
        let fallback = Settings::default();
        shard.retain(|name, state| !state.sweep(namespaces.of(name).map_or(&fallback, |settings| settings), now));
        let dropped = before - shard.len();
        if shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit();
        }
        self.0.channels.fetch_sub(dropped, Ordering::Relaxed);
        true
    }

    /// What happened, and what there is.
    pub fn stats(&self) -> Stats {
        Stats {
            channels: self.0.channels.load(Ordering::Relaxed),
            subscriptions: self.0.subscriptions.load(Ordering::Relaxed),
            queued_bytes: self.0.budget.used(),
            ..self.0.counters.stats()
        }
    }

    /// The settings of a channel, if its namespace exists.
    pub fn settings(&self, channel: &ChannelName) -> Option<Arc<Settings>> {
        self.namespaces().of(channel).cloned()
    }

    fn namespaces(&self) -> Arc<Namespaces> {
        self.0.namespaces.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn shard(&self, channel: &ChannelName) -> MutexGuard<'_, Shard<E>> {
        let index = self.0.hasher.hash_one(channel) as usize % self.0.shards.len();
        lock(&self.0.shards[index])
    }

    /// A channel, created if need be; `None` when there are too many.
    fn entry<'a>(&self, shard: &'a mut Shard<E>, channel: &ChannelName, now: Instant) -> Option<&'a mut Channel<E>> {
        if !shard.contains_key(channel) {
            let created = self.0.channels.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |channels| {
                (channels < self.0.limits.max_channels).then_some(channels + 1)
            });
            created.ok()?;
            shard.insert(channel.clone(), Box::new(Channel::new(self.next_epoch(), now)));
        }
        shard.get_mut(channel).map(|state| &mut **state)
    }

    /// SplitMix64: each number leads to another one, so that no two lives of channels have the same epoch.
    fn next_epoch(&self) -> Epoch {
        let mut mixed = self.0.epochs.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Epoch::new(mixed ^ mixed >> 31)
    }
}

impl<E> Clone for Hub<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Subscription<E> {
    /// What it listens to.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }
}

impl<E> Drop for Subscription<E> {
    fn drop(&mut self) {
        let hub = &self.hub;
        let settings = hub.settings(&self.channel).unwrap_or_default();
        let mut wakers = Wakers::new();
        if let Some(state) = hub.shard(&self.channel).get_mut(&self.channel) {
            state.leave(self.slot, &settings, &mut wakers);
        }
        hub.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
        wakers.into_iter().for_each(|waker| waker.wake());
    }
}

/// A panic while it is held would be a mistake of ours, and no worse for going on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
