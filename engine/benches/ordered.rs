//! What order and queues cost by themselves: items that do nothing, through lines and through pools.
//!
//! `lines` is the price of order on one thread; `pool` that of a whole item, hand-over between threads
//! included, by discipline and order. Divide one second by items per second and compare with the time of a
//! real item: 128 KiB of lz4 are about 200 us.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use delalloc_backends::OsClock;
use delalloc_engine::pool::{Order, Ordered, PoolConfig, PoolKind, WorkItem, start};

/// Does nothing in both phases.
struct Nothing;

impl WorkItem for Nothing {
    fn run(&mut self) {}

    fn complete(self: Box<Self>) {}
}

const LINE_ITEMS: usize = 64;

/// Items finish in their order, in the reverse (all wait for the head), and alone in their lines.
fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lines");
    group.throughput(Throughput::Elements(LINE_ITEMS as u64));
    let ordered: Ordered<usize> = Ordered::new();
    let run = |keys: u64, reverse: bool| {
        let mut places: Vec<_> = (0..LINE_ITEMS)
            .map(|item| (ordered.enter(item as u64 % keys), item))
            .collect();
        if reverse {
            places.reverse();
        }
        for (place, item) in places {
            let mut head = ordered.finish(place, item);
            while let Some((place, item)) = head {
                black_box(item);
                head = ordered.advance(place);
            }
        }
    };
    group.bench_function("in order", |bencher| bencher.iter(|| run(1, false)));
    group.bench_function("reversed", |bencher| bencher.iter(|| run(1, true)));
    group.bench_function("a key each", |bencher| {
        bencher.iter(|| run(LINE_ITEMS as u64, false));
    });
    group.finish();
}

const POOL_ITEMS: u64 = 2_000;
const THREADS: usize = 2;

fn pools(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    group.throughput(Throughput::Elements(POOL_ITEMS));
    for kind in PoolKind::ALL {
        for (name, idle_thresh, keys) in [
            ("unordered", 2, None),
            ("one key", 2, Some(1)),
            ("16 keys", 2, Some(16)),
            ("one key, batches of 64", 64, Some(1)),
        ] {
            let config = PoolConfig::new("bench", kind, THREADS, idle_thresh);
            let pool = start(config, Arc::new(OsClock::new()));
            group.bench_function(BenchmarkId::new(kind.name(), name), |bencher| {
                bencher.iter(|| {
                    for item in 0..POOL_ITEMS {
                        let order = keys.map_or(Order::Unordered, |keys| Order::Key(item % keys));
                        pool.submit(Box::new(Nothing), order);
                    }
                    pool.drain();
                });
            });
            pool.shutdown();
        }
    }
    group.finish();
}

criterion_group!(benches, lines, pools);
criterion_main!(benches);
