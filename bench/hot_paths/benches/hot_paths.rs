//! The hot paths, timed: `cargo bench -p openline-hot-paths [NAME]`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn hot_paths(criterion: &mut Criterion) {
    for mut path in openline_hot_paths::all() {
        let mut group = criterion.benchmark_group("core");
        if path.bytes > 0 {
            group.throughput(Throughput::Bytes(path.bytes));
        }
        group.bench_function(path.name, |bencher| bencher.iter(|| (path.run)()));
        group.finish();
    }
}

criterion_group!(benches, hot_paths);
criterion_main!(benches);
