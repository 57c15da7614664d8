//! A cache that is smaller than what a volume was written with.

mod support;

use std::sync::Arc;

use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::{FormatOptions, Volume};
use support::{config, open};

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
