//! Many threads at once: everyone hears a sequence without a hole, from wherever they come in.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

use openline_hub::{ChannelName, Delivery, Draft, Hub, Limits, Namespaces, Position, Recovery, Subscribe};

const PUBLICATIONS: u64 = 20_000;

/// Wakes a thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Reads until all are heard, leaving and coming back in between.
fn listen(hub: &Hub, channel: &ChannelName, seed: u64, done: &AtomicBool) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut random = seed;
    let mut seen: Option<Position> = None;
    while seen.is_none_or(|seen| seen.offset < PUBLICATIONS) {
        let outbox = hub.outbox();
        let back = Subscribe { after: seen, ..Subscribe::default() };
        let subscribed = hub.subscribe(channel, &outbox, back, Instant::now()).unwrap();
        let mut at = match subscribed.recovery {
            Recovery::Live => subscribed.position,
            Recovery::Complete(missed) => {
                let from = seen.unwrap().offset;
                assert!(missed.iter().map(|one| one.offset).eq(from + 1..=subscribed.position.offset));
                subscribed.position
            }
            Recovery::Gap(_) => subscribed.position,
        };
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let stay = random >> 54;
        let mut taken = Vec::new();
        for _ in 0..stay {
            match outbox.poll_take(&mut Context::from_waker(&waker), 1000, &mut taken) {
                Poll::Ready(result) => result.unwrap(),
                Poll::Pending if at.offset == PUBLICATIONS || done.load(Ordering::Acquire) => break,
                Poll::Pending => thread::park(),
            }
            for delivery in taken.drain(..) {
                let Delivery::Publication { publication, skipped: 0, .. } = delivery else { panic!() };
                assert_eq!(publication.offset, at.offset + 1);
                at.offset += 1;
            }
        }
        seen = Some(at);
    }
}

#[test]
fn nobody_misses_anything_whatever_the_others_do() {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let channel: ChannelName = "busy".parse().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let listeners: Vec<_> = (0..4)
            .map(|seed| {
                scope.spawn({
                    let (hub, channel, done) = (&hub, &channel, &done);
                    move || listen(hub, channel, seed, done)
                })
            })
            .collect();
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..PUBLICATIONS / 2 {
                        hub.publish(&channel, Draft::text("x"), Instant::now()).unwrap();
                    }
                })
            })
            .collect();
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        done.store(true, Ordering::Release);
        listeners.iter().for_each(|listener| listener.thread().unpark());
    });
    assert_eq!((hub.stats().published, hub.stats().subscriptions, hub.stats().queued_bytes), (PUBLICATIONS, 0, 0));
}
