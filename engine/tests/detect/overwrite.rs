//! Pages that are written again while they are in writeback.

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::Backend;

use super::case;
use crate::support::{Dice, config, formatted, open};

const PAGES: usize = 16;
const LEN: usize = PAGES * 4096;
/// The writeback of the small file is begun within this time, and waits behind the large one.
const BEGUN_WITHIN: Duration = Duration::from_millis(40);

/// What is on the device is each page as it was at some moment, never parts of two; and the newer
/// content is there once it was synced.
pub(crate) fn pages_in_writeback_are_not_disturbed() {
    for seed in 0..6 {
        case();
        one(seed, false);
        case();
        one(seed, true);
    }
}

fn one(seed: u64, sync_again: bool) {
    let base = formatted(32 << 20);
    // One worker, kept busy by the first file while the second one is written again.
    let knobs = [
        ("thread_pool_size", "1"),
        ("compression.level", "19"),
        ("compression.heuristic", "false"),
    ];
    let volume = open(&base, &config(&knobs));
    let mut dice = Dice::new(seed);
    let large = volume.create("large").expect("a new file");
    let small = volume.create("small").expect("a new file");
    large
        .write_at(0, &dice.text(2 << 20))
        .expect("a write fits");
    let (before, after) = (dice.text(LEN), dice.text(LEN));
    small.write_at(0, &before).expect("a write fits");
    std::thread::scope(|scope| {
        scope.spawn(|| large.sync().expect("a sync"));
        std::thread::sleep(BEGUN_WITHIN);
        let syncing = scope.spawn(|| small.sync().expect("a sync"));
        std::thread::sleep(BEGUN_WITHIN);
        small.write_at(0, &after).expect("a write fits");
        syncing.join().expect("a sync");
    });
    if sync_again {
        small.sync().expect("a sync");
    }
    // No close: what was not synced is lost.
    drop((large, small, volume));
    let backend: Arc<dyn Backend> = Arc::clone(&base);
    let volume = open(&backend, &config(&[]));
    let file = volume.open_file("small").expect("it was synced");
    let mut found = vec![0; LEN];
    file.read_at(0, &mut found).expect("it is readable");
    for (number, page) in found.chunks(4096).enumerate() {
        let range = number * 4096..(number + 1) * 4096;
        let (old, new) = (&before[range.clone()], &after[range]);
        assert!(
            page == new || (page == old && !sync_again),
            "seed {seed}: page {number} is lost or torn"
        );
    }
}
