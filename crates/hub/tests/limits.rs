//! What a hub refuses, and what it forgets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use openline_hub::{
    ChannelName, Draft, Format, HistoryLimits, Hub, Limits, Member, Namespaces, PresenceStats, PublishError, ReadError,
    Settings, Subscribe, SubscribeError,
};

fn channel(name: &str) -> ChannelName {
    name.parse().unwrap()
}

fn sweep(hub: &Hub, now: Instant) {
    let mut shard = 0;
    while hub.sweep(shard, now) {
        shard += 1;
    }
}

#[test]
fn there_are_so_many_channels_and_no_more() {
    let hub: Hub = Hub::new(Namespaces::default(), Limits { max_channels: 2, ..Limits::default() }, 1);
    let now = Instant::now();
    hub.publish(&channel("a"), Draft::text(""), now).unwrap();
    hub.history(&channel("b"), None, 1, now).unwrap();
    let outbox = hub.outbox();
    let new = channel("c");
    assert_eq!(hub.publish(&new, Draft::text(""), now), Err(PublishError::TooManyChannels));
    assert_eq!(hub.history(&new, None, 1, now).unwrap_err(), ReadError::TooManyChannels);
    let refused = hub.subscribe(&new, &outbox, Subscribe::default(), now).unwrap_err();
    assert_eq!(refused, SubscribeError::TooManyChannels);
    // The others go on, and when one is forgotten there is room.
    hub.publish(&channel("b"), Draft::text(""), now).unwrap();
    let later = now + Duration::from_secs(600);
    let _subscribed = hub.subscribe(&channel("b"), &outbox, Subscribe::default(), later).unwrap();
    sweep(&hub, later);
    assert_eq!(hub.stats().channels, 1);
    hub.publish(&new, Draft::text(""), later).unwrap();
}

#[test]
fn a_channel_that_comes_back_is_another_one() {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let now = Instant::now();
    let first = hub.publish(&channel("a"), Draft::text(""), now).unwrap().position;
    let later = now + Duration::from_secs(600);
    sweep(&hub, later);
    assert_eq!(hub.position(&channel("a")), None);
    let second = hub.publish(&channel("a"), Draft::text(""), later).unwrap().position;
    assert_eq!(first.offset, second.offset);
    assert_ne!(first.epoch, second.epoch);
}

#[test]
fn a_channel_has_so_many_subscribers_and_no_more() {
    let settings = Settings { max_subscribers: 1, ..Settings::default() };
    let hub: Hub = Hub::new(Namespaces::new(settings), Limits::default(), 1);
    let (outbox, now) = (hub.outbox(), Instant::now());
    let first = hub.subscribe(&channel("a"), &outbox, Subscribe::default(), now).unwrap();
    let refused = hub.subscribe(&channel("a"), &outbox, Subscribe::default(), now).unwrap_err();
    assert_eq!(refused, SubscribeError::TooManySubscribers { max: 1 });
    drop(first);
    hub.subscribe(&channel("a"), &outbox, Subscribe::default(), now).unwrap();
}

#[test]
fn namespaces_have_settings_of_their_own() {
    let small = Settings { max_publication_bytes: 3, ..Settings::default() };
    let namespaces = Namespaces::default().with("small", small).closed();
    let hub: Hub = Hub::new(namespaces, Limits::default(), 1);
    let now = Instant::now();
    let publish = |name: &str, text: &str| hub.publish(&channel(name), Draft::text(text), now).map(|_| ());
    assert_eq!(publish("small:a", "123"), Ok(()));
    assert_eq!(publish("small:a", "1234"), Err(PublishError::TooBig { bytes: 4, max: 3 }));
    assert_eq!(publish("small", "1234"), Ok(()));
    assert_eq!(publish("other:a", ""), Err(PublishError::UnknownNamespace));
    // They may change while the channels live.
    hub.configure(Namespaces::default());
    assert_eq!(publish("small:a", "1234"), Ok(()));
    assert_eq!(publish("other:a", ""), Ok(()));
}

#[test]
fn a_smaller_history_counts_from_the_next_publication() {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let now = Instant::now();
    for n in 0..10 {
        hub.publish(&channel("a"), Draft::text(n.to_string()), now).unwrap();
    }
    let history = HistoryLimits { count: 2, ..HistoryLimits::default() };
    hub.configure(Namespaces::new(Settings { history, ..Settings::default() }));
    hub.publish(&channel("a"), Draft::text("10"), now).unwrap();
    assert_eq!(hub.history(&channel("a"), None, 100, now).unwrap().publications.len(), 2);
}

#[test]
fn idempotency_keys_are_bounded() {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let now = Instant::now();
    let publish = |key: &str, text: &str, now| {
        hub.publish(&channel("a"), Draft { idempotency_key: Some(key), ..Draft::text(text) }, now)
    };
    assert_eq!(publish("", "x", now), Err(PublishError::IdempotencyKey));
    assert_eq!(publish(&"k".repeat(129), "x", now), Err(PublishError::IdempotencyKey));
    let first = publish(&"k".repeat(128), "x", now).unwrap();
    assert_eq!(publish(&"k".repeat(128), "x", now).unwrap().position, first.position);
    assert_eq!(publish(&"k".repeat(128), "y", now), Err(PublishError::IdempotencyKeyReused));
    // The same bytes as something else are something else.
    let binary = Draft { idempotency_key: Some("f"), ..Draft::new(Format::Binary, "x") };
    hub.publish(&channel("a"), binary, now).unwrap();
    assert_eq!(publish("f", "x", now), Err(PublishError::IdempotencyKeyReused));
    // After five minutes, or 256 others, it is forgotten.
    assert!(!publish("f", "x", now + Duration::from_secs(300)).unwrap().repeated);
    for n in 0..256 {
        publish(&n.to_string(), "x", now).unwrap();
    }
    assert!(!publish(&"k".repeat(128), "x", now).unwrap().repeated);
}

#[test]
fn a_client_is_present_once() {
    let settings = Settings { presence: true, ..Settings::default() };
    let hub: Hub = Hub::new(Namespaces::new(settings), Limits::default(), 1);
    let (outbox, now) = (hub.outbox(), Instant::now());
    let subscribe = |client: &str, user: &str| {
        let member = Some(Arc::new(Member::new(client, user)));
        hub.subscribe(&channel("a"), &outbox, Subscribe { member, ..Subscribe::default() }, now).unwrap()
    };
    let _all = [subscribe("1", "ann"), subscribe("1", "ann"), subscribe("2", "ann"), subscribe("3", "bob")];
    assert_eq!(hub.presence_stats(&channel("a")), PresenceStats { clients: 3, users: 2 });
    assert_eq!(hub.presence(&channel("a"), 2).len(), 2);
    assert_eq!(hub.presence(&channel("a"), 9).len(), 3);
    assert_eq!(hub.subscribers(&channel("a")), 4);
    assert_eq!(hub.channels(|name| name.as_str() == "a", 10), [(channel("a"), 4)]);
    assert!(hub.channels(|_| true, 0).is_empty());
}
