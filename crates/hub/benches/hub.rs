//! What publishing, subscribing and recovering cost: `cargo bench -p openline-hub`.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openline_hub::{ChannelName, Draft, Format, Hub, Limits, Namespaces, Outbox, Position, Subscribe, Subscription};

fn channel(name: &str) -> ChannelName {
    name.parse().expect("a name")
}

fn draft() -> Draft<'static> {
    Draft::new(Format::Binary, &[7; 100][..])
}

fn crowd(hub: &Hub, name: &ChannelName, size: usize) -> Vec<(Arc<Outbox>, Subscription)> {
    let join = |_| {
        let outbox = hub.outbox();
        let subscribed = hub.subscribe(name, &outbox, Subscribe::default(), Instant::now()).expect("room");
        (outbox, subscribed.subscription)
    };
    (0..size).map(join).collect()
}

/// One publication to everybody, and everybody takes it.
fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish and take");
    for subscribers in [0, 1, 1_000, 100_000] {
        let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
        let name = channel("news");
        let crowd = crowd(&hub, &name, subscribers);
        let (now, mut taken) = (Instant::now(), Vec::new());
        group.throughput(Throughput::Elements(subscribers.max(1) as u64));
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            bencher.iter(|| {
                hub.publish(&name, draft(), now).expect("room");
                for (outbox, _) in &crowd {
                    let _ = black_box(outbox.poll_take(&mut Context::from_waker(Waker::noop()), 4096, &mut taken));
                    taken.clear();
                }
            });
        });
    }
    group.finish();
}

/// With a million channels, to one of them after the other.
fn many_channels(criterion: &mut Criterion) {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let now = Instant::now();
    let names: Vec<ChannelName> = (0..1_000_000).map(|n| channel(&format!("user:{n}"))).collect();
    for name in &names {
        hub.history(name, None, 0, now).expect("room");
    }
    let mut next = (0..names.len()).cycle().step_by(7_919);
    criterion.bench_function("publish to one of 1,000,000 channels", |bencher| {
        bencher.iter(|| {
            let name = &names[next.next().unwrap_or(0)];
            hub.publish(name, draft(), now).expect("room")
        });
    });
    criterion.bench_function("sweep a shard of 15,625 channels", |bencher| bencher.iter(|| hub.sweep(0, now)));
}

/// Coming back after a hundred publications, and leaving.
fn recover(criterion: &mut Criterion) {
    let hub: Hub = Hub::new(Namespaces::default(), Limits::default(), 1);
    let (name, now) = (channel("news"), Instant::now());
    let start = hub.publish(&name, draft(), now).expect("room").position;
    for _ in 0..99 {
        hub.publish(&name, draft(), now).expect("room");
    }
    let after = Some(Position { offset: start.offset, ..start });
    criterion.bench_function("subscribe, recover 99 and leave", |bencher| {
        bencher.iter_batched(
            || hub.outbox(),
            |outbox| hub.subscribe(&name, &outbox, Subscribe { after, ..Subscribe::default() }, now).expect("room"),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, publish, many_channels, recover);
criterion_main!(benches);
