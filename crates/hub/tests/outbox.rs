//! What waits for those who are slow, and what becomes of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use openline_hub::{
    ChannelName, Delivery, Draft, Hub, Limits, Member, Namespaces, Outbox, Overflow, Settings, Stats, Subscribe,
    Subscription, TooSlow,
};

fn channel(name: &str) -> ChannelName {
    name.parse().unwrap()
}

fn hub(overflow: Overflow, limits: Limits) -> Hub {
    let settings = Settings { overflow, presence: true, ..Settings::default() };
    Hub::new(Namespaces::new(settings), limits, 1)
}

fn small() -> Limits {
    Limits { max_outbox_bytes: 1000, ..Limits::default() }
}

fn subscribe(hub: &Hub, name: &str, outbox: &Arc<Outbox>, tag: u32) -> Subscription {
    hub.subscribe(&channel(name), outbox, Subscribe { tag, ..Subscribe::default() }, Instant::now())
        .unwrap()
        .subscription
}

fn publish(hub: &Hub, name: &str, text: &str) {
    hub.publish(&channel(name), Draft::text(text), Instant::now()).unwrap();
}

fn publish_key(hub: &Hub, name: &str, key: &str, text: &str) {
    hub.publish(&channel(name), Draft { key: Some(key), ..Draft::text(text) }, Instant::now()).unwrap();
}

/// Everything that waits, as `tag offset text`, with `+n` where n were skipped before it.
fn taken(outbox: &Outbox) -> Result<Vec<String>, TooSlow> {
    let mut taken = Vec::new();
    match outbox.poll_take(&mut Context::from_waker(Waker::noop()), usize::MAX, &mut taken) {
        Poll::Pending => {}
        Poll::Ready(result) => result?,
    }
    Ok(taken
        .iter()
        .map(|delivery| match delivery {
            Delivery::Publication { tag, publication, skipped } => {
                let skipped = if *skipped > 0 { format!("+{skipped} ") } else { String::new() };
                let text = std::str::from_utf8(&publication.data).unwrap();
                format!("{skipped}{tag} {} {}", publication.offset, &text[..text.len().min(3)])
            }
            Delivery::Joined { tag, member } => format!("{tag} joined {}", member.client),
            Delivery::Left { tag, member } => format!("{tag} left {}", member.client),
            other => format!("{other:?}"),
        })
        .collect())
}

#[test]
fn a_slow_client_is_given_up_and_holds_nothing() {
    let hub = hub(Overflow::Disconnect, small());
    let outbox = hub.outbox();
    let _subscription = subscribe(&hub, "a", &outbox, 0);
    // A delivery counts for 64 bytes and its payload: 936 bytes fit, and not one more.
    publish(&hub, "a", &"x".repeat(936));
    assert_eq!((outbox.bytes(), hub.stats().queued_bytes), (1000, 1000));
    publish(&hub, "a", "");
    assert_eq!((outbox.bytes(), hub.stats().queued_bytes), (0, 0));
    assert_eq!(taken(&outbox), Err(TooSlow));
    publish(&hub, "a", "");
    assert_eq!(taken(&outbox), Err(TooSlow));
    assert_eq!(hub.stats().too_slow, 1);
}

/// What is taken at once, as offsets, and one by one.
fn taken_in_a_row(outbox: &Outbox, max_bytes: usize) -> (Option<(u32, Vec<u64>)>, usize) {
    let mut taken = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    match outbox.poll_take_run(&mut context, max_bytes, &mut taken) {
        Poll::Pending => (None, 0),
        Poll::Ready(run) => {
            let offsets = |run: &openline_hub::Run| run.iter().map(|publication| publication.offset).collect();
            (run.unwrap().map(|run| (run.tag(), offsets(&run))), taken.len())
        }
    }
}

#[test]
fn what_comes_in_a_row_can_be_taken_at_once() {
    let hub = hub(Overflow::Disconnect, Limits::default());
    let outbox = hub.outbox();
    let _a = subscribe(&hub, "a", &outbox, 1);
    let _b = subscribe(&hub, "b", &outbox, 2);
    for n in 1..=5 {
        publish(&hub, "a", &n.to_string()); // 65 bytes each
    }
    assert_eq!(taken_in_a_row(&outbox, 100), (Some((1, vec![1, 2])), 0));
    assert_eq!((outbox.bytes(), hub.stats().queued_bytes), (195, 195));
    assert_eq!(taken_in_a_row(&outbox, 1000), (Some((1, vec![3, 4, 5])), 0));
    assert_eq!((outbox.bytes(), hub.stats().queued_bytes), (0, 0));
    assert_eq!(taken_in_a_row(&outbox, 1000), (None, 0));
    // Where others wait as well, and where there is one alone, they come one by one.
    publish(&hub, "a", "6");
    assert_eq!(taken_in_a_row(&outbox, 1000), (None, 1));
    publish(&hub, "a", "7");
    publish(&hub, "a", "8");
    publish(&hub, "b", "1");
    publish(&hub, "a", "9");
    publish(&hub, "a", "10");
    assert_eq!(taken_in_a_row(&outbox, 1000), (None, 5));
    publish(&hub, "a", "11");
    publish(&hub, "a", "12");
    assert_eq!(taken_in_a_row(&outbox, 1000), (Some((1, vec![11, 12])), 0));
}

#[test]
fn what_was_skipped_is_said_before_a_row() {
    let hub = hub(Overflow::DropOldest, small());
    let outbox = hub.outbox();
    let _subscription = subscribe(&hub, "a", &outbox, 0);
    for n in 1..=12 {
        publish(&hub, "a", &format!("{n:<36}")); // 100 bytes each
    }
    let (run, taken) = taken_in_a_row(&outbox, 100);
    assert_eq!((run, taken), (None, 1)); // "2 skipped" comes with the third
    assert_eq!(taken_in_a_row(&outbox, 10_000), (Some((0, (4..=12).collect())), 0));
}

#[test]
fn a_subscription_that_ends_takes_its_row_along() {
    let hub = hub(Overflow::Disconnect, Limits::default());
    let outbox = hub.outbox();
    let a = subscribe(&hub, "a", &outbox, 1);
    publish(&hub, "a", "1");
    publish(&hub, "a", "2");
    drop(a);
    assert_eq!((outbox.bytes(), hub.stats().queued_bytes), (0, 0));
    assert_eq!(taken_in_a_row(&outbox, 1000), (None, 0));
}

#[test]
fn the_oldest_are_dropped_and_the_next_says_so() {
    let hub = hub(Overflow::DropOldest, small());
    let outbox = hub.outbox();
    let _a = subscribe(&hub, "a", &outbox, 1);
    let _b = subscribe(&hub, "b", &outbox, 2);
    publish(&hub, "b", "b1");
    for n in 1..=20 {
        publish(&hub, "a", &format!("a{n:<35}")); // 36 + 64 bytes: ten of them fit alone
    }
    let waits = taken(&outbox).unwrap();
    assert_eq!((waits.len(), waits[0].as_str(), waits[9].as_str()), (10, "+10 1 11 a11", "1 20 a20"));
    publish(&hub, "a", "a21");
    publish(&hub, "b", "b2");
    // Each subscription learns what it missed, once.
    assert_eq!(taken(&outbox).unwrap(), ["1 21 a21", "+1 2 2 b2"]);
    assert_eq!(hub.stats().dropped, 11);
}

#[test]
fn who_comes_and_goes_is_not_dropped() {
    let hub = hub(Overflow::DropOldest, small());
    let outbox = hub.outbox();
    let listen = Subscribe { hears_members: true, ..Subscribe::default() };
    let _subscription = hub.subscribe(&channel("a"), &outbox, listen, Instant::now()).unwrap();
    let other = hub.outbox();
    let ann = Subscribe { member: Some(Arc::new(Member::new("c1", "ann"))), ..Subscribe::default() };
    let ann = hub.subscribe(&channel("a"), &other, ann, Instant::now()).unwrap();
    for _ in 0..30 {
        publish(&hub, "a", &"x".repeat(36));
    }
    drop(ann);
    let waits = taken(&outbox).unwrap();
    assert_eq!((waits[0].as_str(), waits[waits.len() - 1].as_str()), ("0 joined c1", "0 left c1"));
}

#[test]
fn only_the_newest_of_a_key_waits() {
    let hub = hub(Overflow::LatestPerKey, small());
    let outbox = hub.outbox();
    let _subscription = subscribe(&hub, "a", &outbox, 0);
    let other = subscribe(&hub, "b", &outbox, 1);
    publish_key(&hub, "b", "x", "bx1");
    for n in 1..=100 {
        publish_key(&hub, "a", "x", &format!("x{n}"));
        publish_key(&hub, "a", "y", &format!("y{n}"));
        if n % 50 == 0 {
            publish(&hub, "a", "all");
        }
    }
    // Without a key it is nobody's newer state; another channel's key is another key.
    assert_eq!(taken(&outbox).unwrap(), ["1 1 bx1", "0 101 all", "0 200 x10", "0 201 y10", "0 202 all"]);
    assert_eq!(hub.stats().conflated, 198);
    // What was taken is not replaced.
    publish_key(&hub, "a", "x", "x");
    assert_eq!(taken(&outbox).unwrap(), ["0 203 x"]);
    // A subscription that ended leaves nothing behind, the other one's keys still work.
    publish_key(&hub, "b", "x", "bx2");
    publish_key(&hub, "a", "x", "x1");
    drop(other);
    publish_key(&hub, "a", "x", "x2");
    assert_eq!(taken(&outbox).unwrap(), ["0 205 x2"]);
    // Too many keys are too much.
    for n in 0..20 {
        publish_key(&hub, "a", &n.to_string(), "state");
    }
    assert_eq!(taken(&outbox), Err(TooSlow));
    assert_eq!(hub.stats().queued_bytes, 0);
}

#[test]
fn those_who_are_slow_meet_the_common_limit_before_those_who_are_not() {
    let limits = Limits { max_outbox_bytes: 1 << 20, max_queued_bytes: 100_000, ..Limits::default() };
    let hub = hub(Overflow::Disconnect, limits);
    let slow: Vec<_> = (0..9).map(|_| hub.outbox()).collect();
    let _subscriptions: Vec<_> = slow.iter().map(|outbox| subscribe(&hub, "a", outbox, 0)).collect();
    let reads = hub.outbox();
    let _subscription = subscribe(&hub, "a", &reads, 0);
    for _ in 0..1000 {
        publish(&hub, "a", &"x".repeat(936));
        assert!(taken(&reads).is_ok(), "somebody who reads was given up for those who do not");
        assert!(hub.stats().queued_bytes <= 100_000);
    }
    assert!(hub.stats().too_slow > 0);
}

#[test]
fn an_outbox_that_is_dropped_gives_back_what_it_held() {
    let hub = hub(Overflow::Disconnect, Limits::default());
    let outbox = hub.outbox();
    let subscription = subscribe(&hub, "a", &outbox, 0);
    publish(&hub, "a", "x");
    drop(subscription);
    assert_eq!((hub.stats().queued_bytes, taken(&outbox)), (0, Ok(vec![])));
    let subscription = subscribe(&hub, "a", &outbox, 0);
    publish(&hub, "a", "x");
    drop(outbox);
    assert_eq!(hub.stats().queued_bytes, 65, "the channel still holds it");
    drop(subscription);
    assert_eq!(hub.stats().queued_bytes, 0);
}

#[test]
fn a_taker_is_woken_once_for_whatever_comes() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let hub = hub(Overflow::Disconnect, Limits::default());
    let outbox = hub.outbox();
    let _subscription = subscribe(&hub, "a", &outbox, 0);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let mut all = Vec::new();
    assert!(outbox.poll_take(&mut context, 1, &mut all).is_pending());
    publish(&hub, "a", "1");
    publish(&hub, "a", "2");
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    // At least one at a time, however little is wanted.
    assert!(outbox.poll_take(&mut context, 1, &mut all).is_ready());
    assert_eq!(all.len(), 1);
    assert!(outbox.poll_take(&mut context, 1, &mut all).is_ready());
    assert!(outbox.poll_take(&mut context, 1, &mut all).is_pending());
    publish(&hub, "a", "3");
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
}

#[test]
fn who_publishes_need_not_hear_itself() {
    let hub = hub(Overflow::Disconnect, Limits::default());
    let outbox = hub.outbox();
    let ann = Arc::new(Member::new("c1", "ann"));
    let deaf = Subscribe { member: Some(ann.clone()), hears_itself: false, ..Subscribe::default() };
    let _subscription = hub.subscribe(&channel("a"), &outbox, deaf, Instant::now()).unwrap();
    let by_ann = Draft { publisher: Some(ann), ..Draft::text("mine") };
    assert_eq!(hub.publish(&channel("a"), by_ann, Instant::now()).unwrap().deliveries, 0);
    publish(&hub, "a", "theirs");
    assert_eq!(taken(&outbox).unwrap(), ["0 2 the"]);
}

#[test]
fn everything_is_counted() {
    let hub = hub(Overflow::Disconnect, Limits::default());
    let outbox = hub.outbox();
    let _subscription = subscribe(&hub, "a", &outbox, 0);
    publish(&hub, "a", "1");
    publish(&hub, "b", "1");
    let Stats { channels, subscriptions, published, delivered, .. } = hub.stats();
    assert_eq!((channels, subscriptions, published, delivered), (2, 1, 2, 1));
}

/// The limit of a publication's length is its namespace's, and may be more than an outbox holds of short ones.
#[test]
fn where_nothing_waits_one_publication_has_room() {
    for overflow in [Overflow::Disconnect, Overflow::DropOldest, Overflow::LatestPerKey] {
        let hub = hub(overflow, small());
        let outbox = hub.outbox();
        let _subscription = subscribe(&hub, "a", &outbox, 0);
        publish(&hub, "a", &"x".repeat(5000));
        assert_eq!(taken(&outbox).unwrap(), ["0 1 xxx"]);
        publish(&hub, "a", "1");
        publish(&hub, "a", &"y".repeat(5000));
        match overflow {
            Overflow::DropOldest => assert_eq!(taken(&outbox).unwrap(), ["+1 0 3 yyy"]),
            _ => assert_eq!(taken(&outbox), Err(TooSlow)),
        }
    }
}
