//! What channels, subscriptions and publications take of the heap: `cargo run --release -p openline-hub --example memory`.

use std::alloc::System;
use std::time::Instant;

use openline_hub::{ChannelName, Draft, Format, Hub, Limits, Namespaces, Subscribe};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MANY: usize = 100_000;

fn live() -> usize {
    let heap = HEAP.stats();
    heap.bytes_allocated - heap.bytes_deallocated
}

/// Prints the bytes for each of `count` that `make` leaves behind.
fn measure<T>(what: &str, count: usize, make: impl FnOnce() -> T) -> T {
    let before = live();
    let made = make();
    println!("{what:<60} {:>6} bytes", (live() - before) / count);
    made
}

fn main() {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let now = Instant::now();
    let names: Vec<ChannelName> = (0..MANY).map(|n| format!("user:{n:011}").parse().expect("a name")).collect(); // 16 bytes each
    let name = &names[0];
    // The table of channels doubles now and then: this is the mean of just before and just after.
    measure("an empty channel (name of 16 bytes)", MANY, || {
        for name in &names {
            hub.history(name, None, 0, now).expect("room");
        }
    });
    measure("a subscription with an outbox of its own", MANY, || {
        let subscribe = |_| {
            let outbox = hub.outbox();
            (hub.subscribe(name, &outbox, Subscribe::default(), now).expect("room"), outbox)
        };
        std::mem::forget((0..MANY).map(subscribe).collect::<Vec<_>>());
    });
    measure("a kept publication of 100 bytes", MANY, || {
        for name in &names[1..] {
            hub.publish(name, Draft::new(Format::Binary, vec![7; 100]), now).expect("room");
        }
    });
}
