//! Readers, a writer, syncs and evictions on one file at once.
//!
//! The writer fills pages with ever higher versions and publishes a version once `write_at` has
//! returned. A reader notes what is published for a page, reads it, and must find one whole version,
//! that one or a later one: a page is never torn, and never goes back.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use delalloc_engine::{File, Volume};
use support::{Dice, config, formatted, open};

const PAGES: u64 = 96;
const PAGE: usize = 4096;

struct Shared {
    volume: Volume,
    file: File,
    published: Vec<AtomicU64>,
    over: AtomicBool,
}

/// A page of `version`: compressible, and different in every word from other versions.
fn page(version: u64) -> Vec<u8> {
    version.to_le_bytes().repeat(PAGE / 8)
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("an index")
}

fn write(shared: &Shared, dice: &mut Dice, writes: u64) {
    for version in 1..=writes {
        let first = dice.below(PAGES);
        let count = 1 + dice.below((PAGES - first).min(40));
        shared
            .file
            .write_at(first * PAGE as u64, &page(version).repeat(index(count)))
            .expect("a write fits");
        for number in first..first + count {
            shared.published[index(number)].store(version, Ordering::SeqCst);
        }
        if dice.once_in(20) {
            shared.file.sync().expect("a sync");
        }
    }
    shared.over.store(true, Ordering::SeqCst);
}

fn read(shared: &Shared, dice: &mut Dice, seed: u64) {
    let mut found = vec![0; 4 * PAGE];
    while !shared.over.load(Ordering::SeqCst) {
        let first = dice.below(PAGES - 3);
        let floors: Vec<u64> = (first..first + 4)
            .map(|number| shared.published[index(number)].load(Ordering::SeqCst))
            .collect();
        let count = shared
            .file
            .read_at(first * PAGE as u64, &mut found)
            .expect("a read");
        assert_eq!(count, found.len(), "seed {seed}: the file keeps its size");
        for (number, (bytes, floor)) in (first..).zip(found.chunks(PAGE).zip(&floors)) {
            let version = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
            assert!(
                version >= *floor,
                "seed {seed}: page {number} went back to {version} from {floor}"
            );
            assert!(bytes == page(version), "seed {seed}: page {number} is torn");
        }
    }
}

fn evict(shared: &Shared) {
    while !shared.over.load(Ordering::SeqCst) {
        shared.volume.drop_caches().expect("caches drop");
    }
}

fn run(seed: u64, writes: u64, knobs: &[(&str, &str)]) {
    let backend = formatted(64 << 20);
    let volume = open(&backend, &config(knobs));
    let file = volume.create("shared").expect("a new file");
    file.write_at(0, &page(0).repeat(index(PAGES)))
        .expect("a write fits");
    let published = (0..PAGES).map(|_| AtomicU64::new(0)).collect();
    let shared = Arc::new(Shared {
        volume,
        file,
        published,
        over: AtomicBool::new(false),
    });
    thread::scope(|scope| {
        scope.spawn(|| write(&shared, &mut Dice::new(seed), writes));
        scope.spawn(|| evict(&shared));
        for reader in 1..4 {
            let shared = &shared;
            scope.spawn(move || read(shared, &mut Dice::new(seed + reader), seed));
        }
    });
    let shared = Arc::into_inner(shared).expect("every thread has ended");
    drop(shared.file);
    shared.volume.close().expect("a close");
    assert!(
        delalloc_engine::recover::check(backend.as_ref()).is_clean(),
        "seed {seed}"
    );
}

#[test]
fn a_page_is_never_torn_and_never_goes_back() {
    for seed in 0..4 {
        run(seed * 100, 400, &[("read.populate", "both")]);
    }
}

#[test]
fn not_even_in_a_cache_too_small_for_the_file() {
    let knobs = [
        ("cache.bytes", "512KiB"),
        ("read.ahead_max", "128KiB"),
        ("compression.item_bytes", "128KiB"),
        ("dirty.background", "64KiB"),
        ("dirty.limit", "128KiB"),
        ("order.scope", "none"),
    ];
    for seed in 0..4 {
        run(1000 + seed * 100, 400, &knobs);
    }
}

/// Two handles of one volume are closed at once: neither is told before the bytes are durable.
#[test]
fn who_closes_beside_another_waits_for_it() {
    for seed in 0..20 {
        let backend = formatted(16 << 20);
        let volume = open(&backend, &config(&[]));
        let file = volume.create("file").expect("a new file");
        let bytes = Dice::new(seed).noise(1 << 20);
        file.write_at(0, &bytes).expect("a write fits");
        let other = volume.clone();
        thread::scope(|scope| {
            let both = [volume, other].map(|volume| scope.spawn(move || volume.close()));
            for closing in both {
                closing.join().expect("no panic").expect("a close");
            }
        });
        drop(file);
        let volume = open(&backend, &config(&[]));
        let file = volume.open_file("file").expect("it was written");
        let mut found = vec![0; bytes.len()];
        assert_eq!(file.read_at(0, &mut found).expect("a read"), bytes.len());
        assert!(found == bytes, "seed {seed}");
    }
}
