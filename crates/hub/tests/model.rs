//! Random operations on a hub and on a model too simple to be wrong: both must say the same.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use openline_hub::{
    Delivery, Draft, Epoch, Format, Gap, HistoryLimits, Hub, Limits, Namespaces, Outbox, Position, PublishError,
    Recovery, Settings, Subscribe, Subscription, Window,
};
use proptest::prelude::*;

const CHANNELS: usize = 3;
const CLIENTS: usize = 4;

fn settings() -> Settings {
    Settings {
        history: HistoryLimits { count: 5, bytes: 1200, age: Duration::from_secs(20) },
        idle: Duration::from_secs(30),
        max_publication_bytes: 2000,
        ..Settings::default()
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Publish { channel: usize, bytes: usize, idempotency_key: Option<u8> },
    Subscribe { client: usize, channel: usize, after: After },
    Unsubscribe { client: usize },
    Read { channel: usize, after: After, limit: usize },
    Clear { channel: usize },
    Take { client: usize, bytes: usize },
    Wait { seconds: u64 },
    Sweep,
}

/// Positions that somebody might come with.
#[derive(Clone, Copy, Debug)]
enum After {
    Nothing,
    /// This one of all that were ever handed out.
    Seen(prop::sample::Index),
    /// So far ahead of the newest that was seen.
    Ahead(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let channel = 0..CHANNELS;
    let client = 0..CLIENTS;
    let after = prop_oneof![
        2 => Just(After::Nothing),
        8 => any::<prop::sample::Index>().prop_map(After::Seen),
        1 => (1_u64..4).prop_map(After::Ahead),
    ];
    let bytes = prop_oneof![8 => 0_usize..300, 1 => 300_usize..2200];
    prop_oneof![
        10 => (channel.clone(), bytes, prop::option::weighted(0.2, 0_u8..6))
            .prop_map(|(channel, bytes, idempotency_key)| Operation::Publish { channel, bytes, idempotency_key }),
        3 => (client.clone(), channel.clone(), after.clone())
            .prop_map(|(client, channel, after)| Operation::Subscribe { client, channel, after }),
        1 => client.clone().prop_map(|client| Operation::Unsubscribe { client }),
        3 => (channel.clone(), after, 0_usize..8)
            .prop_map(|(channel, after, limit)| Operation::Read { channel, after, limit }),
        1 => channel.prop_map(|channel| Operation::Clear { channel }),
        6 => (client, 0_usize..2000).prop_map(|(client, bytes)| Operation::Take { client, bytes }),
        3 => (0_u64..25).prop_map(|seconds| Operation::Wait { seconds }),
        1 => Just(Operation::Sweep),
    ]
}

/// A channel as somebody would keep it who has all the time and memory of the world.
struct Model {
    epoch: Option<Epoch>,
    /// Every publication ever: payload and time.
    all: Vec<(Vec<u8>, Instant)>,
    /// Everything before was dropped by hand.
    cleared: usize,
    keys: BTreeMap<u8, (usize, Instant)>,
    used: Instant,
}

impl Model {
    fn new(now: Instant) -> Self {
        Self { epoch: None, all: Vec::new(), cleared: 0, keys: BTreeMap::new(), used: now }
    }

    /// Where the kept past begins.
    fn kept_from(&self, now: Instant) -> usize {
        let limits = settings().history;
        let (mut from, mut bytes) = (self.all.len(), 0);
        while from > self.cleared {
            let (payload, at) = &self.all[from - 1];
            bytes += payload.len() + 128;
            if self.all.len() - from == limits.count || bytes > limits.bytes || now - *at >= limits.age {
                break;
            }
            from -= 1;
        }
        from
    }
}

/// A client as it sees itself.
struct Client {
    outbox: Arc<Outbox>,
    subscription: Option<Subscription>,
    channel: usize,
    /// What it must hear next, in order.
    due: Vec<(u64, Vec<u8>)>,
}

struct Play {
    hub: Hub,
    now: Instant,
    models: HashMap<usize, Model>,
    clients: Vec<Client>,
    seen: Vec<(usize, Position)>,
    next: u32,
}

impl Play {
    fn new() -> Self {
        let hub = Hub::new(Namespaces::new(settings()), Limits { shards: 2, ..Limits::default() }, 42);
        let client = || Client { outbox: hub.outbox(), subscription: None, channel: 0, due: Vec::new() };
        let clients = (0..CLIENTS).map(|_| client()).collect();
        Self { hub, now: Instant::now(), models: HashMap::new(), clients, seen: Vec::new(), next: 0 }
    }

    fn model(&mut self, channel: usize, epoch: Epoch) -> &mut Model {
        let now = self.now;
        let model = self.models.entry(channel).or_insert_with(|| Model::new(now));
        assert_eq!(*model.epoch.get_or_insert(epoch), epoch, "a channel changed its epoch while it lived");
        model
    }

    fn after(&self, channel: usize, after: After) -> Option<Position> {
        match after {
            After::Nothing => None,
            // Of another channel, too: somebody may mix them up.
            After::Seen(index) => (!self.seen.is_empty()).then(|| self.seen[index.index(self.seen.len())].1),
            After::Ahead(by) => {
                let (_, position) = self.seen.iter().rev().find(|(of, _)| *of == channel)?;
                Some(Position { offset: position.offset + by + 100, ..*position })
            }
        }
    }

    /// What somebody who comes with this position must be told.
    fn expected(model: &Model, after: Position, now: Instant) -> Result<Vec<(u64, Vec<u8>)>, Gap> {
        let top = model.all.len() as u64;
        if Some(after.epoch) != model.epoch {
            return Err(Gap::Epoch);
        }
        if after.offset > top {
            return Err(Gap::Future);
        }
        let from = after.offset as usize;
        if from < model.kept_from(now) {
            return Err(Gap::Expired);
        }
        Ok((from..model.all.len()).map(|at| (at as u64 + 1, model.all[at].0.clone())).collect())
    }

    fn run(&mut self, operation: Operation) {
        let now = self.now;
        match operation {
            Operation::Publish { channel, bytes, idempotency_key } => {
                self.next += 1;
                // Under one key, by and by, two different payloads.
                let payload = match idempotency_key {
                    Some(key) => vec![key; bytes % 2],
                    None => self.next.to_be_bytes().into_iter().cycle().take(bytes).collect(),
                };
                let key = idempotency_key.map(|key| format!("key {key}"));
                let draft = Draft { idempotency_key: key.as_deref(), ..Draft::new(Format::Binary, payload.clone()) };
                let published = self.hub.publish(&name(channel), draft, now);
                if bytes > 2000 && idempotency_key.is_none() {
                    assert_eq!(published, Err(PublishError::TooBig { bytes, max: 2000 }));
                    return;
                }
                let known = idempotency_key
                    .and_then(|key| self.models.get(&channel)?.keys.get(&key).copied())
                    .filter(|(_, at)| now - *at < Duration::from_secs(300));
                if let Some((at, _)) = known {
                    let model = &self.models[&channel];
                    if model.all[at].0 == payload {
                        let published = published.unwrap();
                        assert!(published.repeated);
                        let position = Position { epoch: model.epoch.unwrap(), offset: at as u64 + 1 };
                        assert_eq!(published.position, position);
                    } else {
                        assert_eq!(published, Err(PublishError::IdempotencyKeyReused));
                    }
                    return;
                }
                let published = published.unwrap();
                let mut deliveries = 0;
                for client in self.clients.iter_mut().filter(|c| c.subscription.is_some() && c.channel == channel) {
                    client.due.push((published.position.offset, payload.clone()));
                    deliveries += 1;
                }
                let model = self.model(channel, published.position.epoch);
                model.all.push((payload, now));
                model.used = now;
                if let Some(key) = idempotency_key {
                    model.keys.insert(key, (model.all.len() - 1, now));
                }
                assert_eq!(published.position.offset, model.all.len() as u64);
                assert_eq!((published.repeated, published.deliveries), (false, deliveries));
                self.seen.push((channel, published.position));
            }
            Operation::Subscribe { client, channel, after } => {
                let after = self.after(channel, after);
                // The old subscription ends first, and with it what waits of it.
                self.clients[client].subscription = None;
                self.clients[client].due.clear();
                let outbox = self.clients[client].outbox.clone();
                let subscribe = Subscribe { after, ..Subscribe::default() };
                let subscribed = self.hub.subscribe(&name(channel), &outbox, subscribe, now).unwrap();
                let model = self.model(channel, subscribed.position.epoch);
                assert_eq!(subscribed.position.offset, model.all.len() as u64);
                match (after, subscribed.recovery) {
                    (None, Recovery::Live) => {}
                    (Some(after), Recovery::Complete(missed)) => {
                        let missed = missed.iter().map(|one| (one.offset, one.data.to_vec())).collect();
                        assert_eq!(Self::expected(model, after, now), Ok(missed));
                    }
                    (Some(after), Recovery::Gap(gap)) => assert_eq!(Self::expected(model, after, now), Err(gap)),
                    other => panic!("{other:?}"),
                }
                if after.is_some() {
                    model.used = now;
                }
                self.seen.push((channel, subscribed.position));
                let client = &mut self.clients[client];
                (client.subscription, client.channel) = (Some(subscribed.subscription), channel);
            }
            Operation::Unsubscribe { client } => {
                self.clients[client].subscription = None;
                self.clients[client].due.clear();
            }
            Operation::Read { channel, after, limit } => {
                let after = self.after(channel, after);
                let Window { publications, next, top, gap } =
                    self.hub.history(&name(channel), after, limit, now).unwrap();
                let read: Vec<_> = publications.iter().map(|one| (one.offset, one.data.to_vec())).collect();
                let model = self.model(channel, top.epoch);
                model.used = now;
                assert_eq!(top.offset, model.all.len() as u64);
                match after {
                    None => {
                        let from = model.kept_from(now).max(model.all.len().saturating_sub(limit));
                        let kept: Vec<_> =
                            (from..model.all.len()).map(|at| (at as u64 + 1, model.all[at].0.clone())).collect();
                        assert_eq!((read, next, gap), (kept, top, None));
                    }
                    Some(after) => match Self::expected(model, after, now) {
                        Err(expected) => assert_eq!((read, next, gap), (vec![], top, Some(expected))),
                        Ok(mut expected) => {
                            expected.truncate(limit);
                            let offset = after.offset + expected.len() as u64;
                            assert_eq!((read, next, gap), (expected, Position { offset, ..top }, None));
                        }
                    },
                }
                self.seen.push((channel, next));
            }
            Operation::Clear { channel } => {
                let exists = self.hub.clear_history(&name(channel));
                assert_eq!(exists, self.models.contains_key(&channel));
                if let Some(model) = self.models.get_mut(&channel) {
                    model.cleared = model.all.len();
                }
            }
            Operation::Take { client, bytes } => {
                let client = &mut self.clients[client];
                let mut taken = Vec::new();
                let mut context = Context::from_waker(Waker::noop());
                match client.outbox.poll_take_run(&mut context, bytes.max(1), &mut taken) {
                    Poll::Pending => assert!(client.due.is_empty()),
                    Poll::Ready(result) => {
                        if let Some(run) = result.unwrap() {
                            taken.extend(run.deliveries());
                        }
                        assert!(!taken.is_empty());
                        for (due, taken) in client.due.drain(..taken.len()).zip(taken) {
                            let Delivery::Publication { publication, skipped: 0, .. } = taken else { panic!() };
                            assert_eq!(due, (publication.offset, publication.data.to_vec()));
                        }
                    }
                }
            }
            Operation::Wait { seconds } => self.now += Duration::from_secs(seconds),
            Operation::Sweep => {
                for shard in 0.. {
                    if !self.hub.sweep(shard, now) {
                        break;
                    }
                }
                let clients = &self.clients;
                self.models.retain(|channel, model| {
                    model.keys.retain(|_, (_, at)| now - *at < Duration::from_secs(300));
                    if clients.iter().any(|client| client.subscription.is_some() && client.channel == *channel) {
                        model.used = now;
                        return true;
                    }
                    let empty = model.kept_from(now) == model.all.len() && model.keys.is_empty();
                    !(empty && now - model.used >= Duration::from_secs(30))
                });
                assert_eq!(self.hub.stats().channels, self.models.len());
            }
        }
        for channel in 0..CHANNELS {
            let position = self.hub.position(&name(channel));
            let expected = self.models.get(&channel).map(|model| (model.epoch.unwrap(), model.all.len() as u64));
            assert_eq!(position.map(|position| (position.epoch, position.offset)), expected);
        }
    }
}

fn name(channel: usize) -> openline_hub::ChannelName {
    format!("room/{channel}").parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_hub_says_what_the_model_says(operations in prop::collection::vec(operation(), 0..120)) {
        let mut play = Play::new();
        for operation in operations {
            play.run(operation);
        }
        drop(play.clients);
        prop_assert_eq!(play.hub.stats().queued_bytes, 0);
        prop_assert_eq!(play.hub.stats().subscriptions, 0);
    }
}
