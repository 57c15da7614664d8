//! The page cache under hits: one page at random, a run of pages, and a page that comes and goes.
//! The table of the standard library, page by page, stands beside it.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use delalloc_engine::PageIndex;
use delalloc_engine::cache::{Frame, FramePool, Page, PageMap, Reclaim, Reclaimed};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// 128 MiB of a file.
const FRAMES: usize = 32 * 1024;
const PAGES: u64 = FRAMES as u64;
/// 128 KiB.
const RUN_PAGES: u64 = 32;

struct Never;

impl Reclaim for Never {
    fn reclaim(&self, _: usize) -> Reclaimed {
        Reclaimed {
            frames: 0,
            more: false,
        }
    }
}

fn cache_lookup(criterion: &mut Criterion) {
    let pool = FramePool::new(FRAMES + 1);
    let mut map = PageMap::new();
    let mut table: HashMap<u64, Frame> = HashMap::new();
    for index in 0..PAGES {
        let frame = pool.charge(1, &Never).frame();
        table.insert(index, frame.clone());
        map.insert(PageIndex(index), Page::new(frame));
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut index = move || random.next_u64() % (PAGES - RUN_PAGES);

    let mut group = criterion.benchmark_group("cache_lookup");
    group.bench_function("hit", |b| {
        b.iter(|| {
            black_box(
                map.get(PageIndex(index()))
                    .map(|page| page.frame.bytes()[0]),
            )
        });
    });
    group.bench_function("hit, standard table", |b| {
        b.iter(|| black_box(table.get(&index()).map(|frame| frame.bytes()[0])));
    });
    group.bench_function("miss", |b| {
        b.iter(|| black_box(map.contains(PageIndex(index() + PAGES))));
    });
    group.throughput(Throughput::Elements(RUN_PAGES));
    group.bench_function("run of 32 pages, handles taken", |b| {
        let mut frames = Vec::new();
        b.iter(|| {
            let start = index();
            frames.clear();
            let run = PageIndex(start)..PageIndex(start + RUN_PAGES);
            black_box(map.touch_run(run, |frame| frames.push(frame.clone())));
        });
    });
    group.bench_function("run of 32 pages, handles taken, standard table", |b| {
        let mut frames = Vec::new();
        b.iter(|| {
            let start = index();
            frames.clear();
            frames.extend((start..start + RUN_PAGES).map_while(|index| table.get(&index).cloned()));
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("charge, fill, insert, remove a page", |b| {
        let bytes = [7; 4096];
        b.iter(|| {
            let at = PageIndex(PAGES + index());
            let frame = pool.charge(1, &Never).frame_from(&bytes);
            map.insert(at, Page::new(frame));
            map.remove(at)
        });
    });
    group.finish();
}

criterion_group!(benches, cache_lookup);
criterion_main!(benches);
