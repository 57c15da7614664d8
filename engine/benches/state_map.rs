//! The extent-state map with 100,000 intervals: what a random write, a hand-off and a search cost.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use delalloc_engine::extent::{State, StateMap};
use delalloc_engine::{FileRange, PAGE_BYTES};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const INTERVALS: u64 = 100_000;
const UNPLACED: State = State::DIRTY.union(State::DELALLOC);

fn page(index: u64) -> FileRange {
    FileRange::new(index * PAGE_BYTES, (index + 1) * PAGE_BYTES)
}

/// Every other page dirty: no two intervals touch.
fn sparse() -> StateMap {
    let mut map = StateMap::new();
    for index in 0..INTERVALS {
        map.set(page(2 * index), UNPLACED);
    }
    assert_eq!(map.interval_count() as u64, INTERVALS);
    map
}

fn state_map(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state_map");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut index = move || random.next_u64() % INTERVALS;

    let mut map = sparse();
    group.bench_function(
        "set and clear a page in a gap, merging and splitting three",
        |b| {
            b.iter(|| {
                let gap = page(2 * index() + 1);
                black_box(map.set(gap, UNPLACED));
                black_box(map.clear(gap, UNPLACED));
            });
        },
    );
    group.bench_function("set a page that is set", |b| {
        b.iter(|| black_box(map.set(page(2 * index()), UNPLACED)));
    });
    group.bench_function("find from a random page", |b| {
        b.iter(|| {
            let from = page(2 * index() + 1).start;
            black_box(map.find_first(
                FileRange::new(from, FileRange::WHOLE.end),
                UNPLACED,
                State::WRITEBACK,
                128 << 20,
            ))
        });
    });
    group.bench_function("append 128 KiB and hand it off", |b| {
        let mut at = page(4 * INTERVALS).start;
        b.iter(|| {
            let range = FileRange::new(at, at + (128 << 10));
            map.set(range, UNPLACED);
            map.set(range, State::WRITEBACK);
            map.clear(range, UNPLACED);
            map.clear(range, State::WRITEBACK);
            at += 128 << 10;
        });
    });
    group.sample_size(10);
    group.bench_function("fill 100,000 intervals and hand all off at once", |b| {
        b.iter_batched(
            StateMap::new,
            |mut map| {
                for index in 0..INTERVALS {
                    map.set(page(2 * index), UNPLACED);
                }
                map.clear(FileRange::new(0, 2 * INTERVALS * PAGE_BYTES), UNPLACED);
                map
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, state_map);
criterion_main!(benches);
