//! The tree and the hot path of metadata, in memory: what one finished extent costs.
//!
//! Smoke parameters run under `cargo test`; `cargo bench` takes the canonical ones.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::alloc::Reserve;
use delalloc_engine::meta::{
    CODEC_RAW, FormatOptions, ItemKind, Key, MetaConfig, Metadata, NewExtent, Tree,
};
use delalloc_engine::{FileId, FileRange};

const ITEMS: u64 = 100_000;
const EXTENT_BYTES: u64 = 128 << 10;

fn key(n: u64) -> Key {
    Key {
        object: 1,
        kind: ItemKind::FileExtent,
        offset: n,
    }
}

/// Spreads numbers over all keys: each is met once.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn filled(order: impl Fn(u64) -> u64) -> Tree {
    let mut tree = Tree::empty_on(Arc::new(MemBackend::new(256 << 20)), 16 << 10, 64 << 20);
    for n in 0..ITEMS {
        let mut change = tree.change(1, 1, Reserve::Kept).expect("room");
        change.insert(&key(order(n)), &[7; 40]).expect("memory");
    }
    tree
}

fn tree(c: &mut Criterion) {
    let mut group = c.benchmark_group("btree");
    group.throughput(Throughput::Elements(1));
    let mut n = ITEMS;
    let mut grown = filled(scattered);
    group.bench_function("insert_and_remove_scattered", |b| {
        b.iter(|| {
            n += 1;
            let mut change = grown.change(2, 1, Reserve::Kept).expect("room");
            change.insert(&key(scattered(n)), &[7; 40]).expect("memory");
            change.remove(&key(scattered(n - ITEMS))).expect("memory")
        });
    });
    let mut n = 0;
    let fixed = filled(scattered);
    group.bench_function("get", |b| {
        b.iter(|| {
            n = (n + 1) % ITEMS;
            fixed.get(black_box(&key(scattered(n)))).expect("memory")
        });
    });
    group.throughput(Throughput::Elements(ITEMS));
    group.bench_function("insert_ascending_from_empty", |b| {
        b.iter_batched(|| (), |()| filled(|n| n), BatchSize::PerIteration);
    });
    group.finish();
}

fn volume() -> (Arc<Metadata>, FileId) {
    let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(1 << 40));
    Metadata::format(backend.as_ref(), &FormatOptions::default()).expect("memory");
    let meta = Metadata::open(backend, MetaConfig::default()).expect("a volume");
    let file = meta.create("bench").expect("room");
    (meta, file)
}

/// One extent through reserve, allocate and finish, without its bytes.
fn finish(meta: &Metadata, file: FileId, start: u64, stored_bytes: u64, size_bytes: u64) {
    let mut reservation = meta.reserve(EXTENT_BYTES).expect("room");
    let disk = meta
        .space()
        .allocate_contiguous(&mut reservation, stored_bytes, None)
        .expect("room");
    let sectors = usize::try_from(stored_bytes / 4096).expect("small");
    let extent = NewExtent {
        range: FileRange::new(start, start + EXTENT_BYTES),
        disk,
        ram_bytes: EXTENT_BYTES,
        codec: if stored_bytes == EXTENT_BYTES {
            CODEC_RAW
        } else {
            1
        },
        checksums: vec![0; sectors],
    };
    meta.finish_extent(file, &extent, Some(size_bytes))
        .expect("room");
}

fn metadata(c: &mut Criterion) {
    let mut group = c.benchmark_group("metadata");
    group.throughput(Throughput::Elements(1));
    let (meta, file) = volume();
    let mut end = 0;
    group.bench_function("finish_extent_appending", |b| {
        b.iter(|| {
            finish(&meta, file, end, 40 << 10, end + EXTENT_BYTES);
            end += EXTENT_BYTES;
        });
    });
    let (meta, file) = volume();
    let extents = 8192;
    for n in 0..extents {
        finish(
            &meta,
            file,
            n * EXTENT_BYTES,
            40 << 10,
            (n + 1) * EXTENT_BYTES,
        );
    }
    let mut n = 0;
    group.bench_function("finish_extent_overwriting", |b| {
        b.iter(|| {
            n += 1;
            let start = scattered(n) % extents * EXTENT_BYTES;
            finish(&meta, file, start, 40 << 10, extents * EXTENT_BYTES);
            if n.is_multiple_of(4096) {
                meta.commit().expect("memory");
            }
        });
    });
    group.bench_function("lookup", |b| {
        b.iter(|| {
            n += 1;
            let offset = scattered(n) % (extents * EXTENT_BYTES);
            meta.lookup(file, black_box(offset)).expect("memory")
        });
    });
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! {
    name = benches;
    config = quick();
    targets = tree, metadata
}
criterion_main!(benches);
