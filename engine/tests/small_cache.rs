//! A cache that is smaller than what a volume was written with.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend,
};
use delalloc_engine::{File, FormatOptions, Volume};
use support::{config, formatted, open};

/// The smallest cache there is: 32 pages.
const SMALLEST: [(&str, &str); 6] = [
    ("cache.bytes", "128KiB"),
    ("dirty.background", "32KiB"),
    ("dirty.limit", "64KiB"),
    ("read.ahead_max", "0"),
    ("compression.item_bytes", "64KiB"),
    ("compression.extent_bytes", "16KiB"),
];
/// Long against writing as much as the cache.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);

/// Writes as much as the smallest cache has, beside `meanwhile`, which is asked to stop when that has ended or takes too long;
/// whether it ended. What never ends hangs the test after that.
fn ends(file: &File, meanwhile: impl Fn(&AtomicBool) + Sync) -> bool {
    let (ended, end) = mpsc::channel();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Refused or not.
            let _written = file.write_at(0, &[7; 128 << 10]);
            let _nobody = ended.send(());
        });
        scope.spawn(|| meanwhile(&stop));
        let in_time = end.recv_timeout(WRITTEN_WITHIN).is_ok();
        stop.store(true, Ordering::Relaxed);
        in_time
    })
}

/// Somebody writes one page again and again: it is never clean, and never all of the cache is free.
#[test]
fn a_long_write_is_not_kept_from_the_smallest_cache() {
    let faulty = FaultBackend::new(formatted(8 << 20));
    // Longer than the time between two writes of the page.
    faulty.handle().arm(FaultRule::persistent(
        FaultOn::Write,
        1,
        FaultAction::Delay(Duration::from_millis(20)),
    ));
    let backend: Arc<dyn Backend> = Arc::new(faulty);
    let volume = open(&backend, &config(&SMALLEST));
    let [page, long] = ["page", "long"].map(|name| volume.create(name).expect("a new file"));
    page.write_at(0, &[8; 4096]).expect("a write fits");
    let in_time = ends(&long, |stop| {
        while !stop.load(Ordering::Relaxed) {
            page.write_at(0, &[8; 4096]).expect("a write fits");
        }
    });
    assert!(in_time, "it never had its turn");
}

/// A page that only the log has cannot go home while somebody waits for room, and then never, for the volume only reads.
#[test]
fn a_long_write_ends_beside_a_page_that_cannot_go() {
    let faulty = FaultBackend::new(formatted(8 << 20));
    let faults = faulty.handle();
    let backend: Arc<dyn Backend> = Arc::new(faulty);
    let volume = open(&backend, &config(&SMALLEST));
    let [page, long] = ["page", "long"].map(|name| volume.create(name).expect("a new file"));
    volume.sync().expect("a commit");
    page.write_at(0, &[8; 4096]).expect("a write fits");
    page.sync().expect("the log takes it");
    faults.arm(FaultRule {
        on: FaultOn::Write,
        within: None,
        nth: 1,
        span: FaultSpan::Persistent,
        action: FaultAction::Error,
    });
    assert!(ends(&long, |_| ()), "it waits for room that never comes");
}

/// An extent of more pages than the cache has is read, all of it.
#[test]
fn an_extent_larger_than_the_cache_is_read() {
    const BYTES: usize = 512 << 10;
    let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(8 << 20));
    Volume::format(&backend, &FormatOptions::default()).expect("a device can be formatted");
    let written: Vec<u8> = (0..=u8::MAX)
        .flat_map(|page| [page; 4096])
        .take(BYTES)
        .collect();
    {
        let large = [
            ("compression.extent_bytes", "512KiB"),
            ("compression.item_bytes", "512KiB"),
        ];
        let volume = open(&backend, &config(&large));
        let file = volume.create("large").expect("a new file");
        file.write_at(0, &written).expect("a write fits");
        volume.sync().expect("a commit");
        assert_eq!(volume.stats().meta.extents.extents, 1);
    }
    let small = [
        ("cache.bytes", "256KiB"),
        ("dirty.background", "64KiB"),
        ("dirty.limit", "128KiB"),
        ("read.ahead_max", "0"),
        ("compression.item_bytes", "64KiB"),
        ("compression.extent_bytes", "64KiB"),
    ];
    let volume = open(&backend, &config(&small));
    let file = volume.open_file("large").expect("it is there");
    let mut found = vec![0; 4096];
    for at in (0..BYTES).rev().step_by(4096) {
        let from = at / 4096 * 4096;
        file.read_at(from as u64, &mut found).expect("a read");
        assert!(found == written[from..from + 4096], "page {}", from / 4096);
    }
}
