//! Reads that are under way while something else happens to their file.

use std::sync::Arc;

use delalloc_backends::{Backend, RequestKind};
use delalloc_engine::{File, Volume};

use super::case;
use super::device::Hold;
use crate::support::{Dice, config, formatted, open};

const EXTENT: usize = 128 << 10;
const PAGE: usize = 4096;

/// A file of which nothing is stored.
fn hole(volume: &Volume) -> File {
    let hole = volume.create("hole").expect("a new file");
    hole.truncate(PAGE as u64).expect("a truncate");
    hole
}

/// Empties the caches but for the tree, whose one node comes with a look at the hole.
fn drop_pages(volume: &Volume, hole: &File) {
    volume.drop_caches().expect("caches drop");
    hole.read_at(0, &mut [0; PAGE]).expect("a read");
}

/// A read brings an extent while the middle of it is overwritten: the cache shows the new bytes.
pub(crate) fn a_late_read_does_not_bring_old_bytes_back() {
    for seed in 0..4 {
        case();
        let device = Arc::new(Hold::new(formatted(16 << 20), RequestKind::Read));
        let backend: Arc<dyn Backend> = Arc::clone(&device) as Arc<dyn Backend>;
        let knobs = [("read.ahead_max", "0"), ("read.populate", "both")];
        let volume = open(&backend, &config(&knobs));
        let file = volume.create("file").expect("a new file");
        let mut dice = Dice::new(seed);
        let mut expected = dice.text(EXTENT);
        file.write_at(0, &expected).expect("a write fits");
        drop_pages(&volume, &hole(&volume));
        device.hold(2);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut page = vec![0; PAGE];
                file.read_at(0, &mut page).expect("a read");
            });
            device.wait_for(1);
            let held = device.pass();
            let newer = dice.text(4 * PAGE);
            file.write_at(8 * PAGE as u64, &newer)
                .expect("a write fits");
            expected[8 * PAGE..12 * PAGE].copy_from_slice(&newer);
            volume.drop_caches().expect("caches drop");
            device.release(held);
            reader.join().expect("the reader ends");
        });
        let mut found = vec![0; EXTENT];
        file.read_at(0, &mut found).expect("a read");
        assert!(found == expected, "seed {seed}: a read brought old bytes");
    }
}

/// Two mappings show the head and the tail of one stored extent; both are read at once.
pub(crate) fn mappings_of_one_extent_are_told_apart() {
    for seed in 0..4 {
        case();
        let device = Arc::new(Hold::new(formatted(16 << 20), RequestKind::Read));
        let backend: Arc<dyn Backend> = Arc::clone(&device) as Arc<dyn Backend>;
        let knobs = [("read.ahead_max", "0")];
        let volume = open(&backend, &config(&knobs));
        let file = volume.create("file").expect("a new file");
        let mut dice = Dice::new(seed);
        let mut expected = dice.text(EXTENT);
        file.write_at(0, &expected).expect("a write fits");
        file.sync().expect("a sync");
        let middle = dice.text(4 * PAGE);
        file.write_at(8 * PAGE as u64, &middle)
            .expect("a write fits");
        expected[8 * PAGE..12 * PAGE].copy_from_slice(&middle);
        drop_pages(&volume, &hole(&volume));
        device.hold(2);
        std::thread::scope(|scope| {
            let read = |page: usize| {
                let mut found = vec![0; PAGE];
                file.read_at((page * PAGE) as u64, &mut found)
                    .expect("a read");
                let range = page * PAGE..(page + 1) * PAGE;
                assert!(
                    found == expected[range],
                    "seed {seed}: page {page} is wrong"
                );
            };
            let head = scope.spawn(move || read(0));
            device.wait_for(1);
            let tail = scope.spawn(move || read(20));
            // The tail is a mapping of its own and so has a read of its own.
            device.wait_for(2);
            device.release(device.pass());
            head.join().expect("the head is read");
            tail.join().expect("the tail is read");
        });
    }
}

/// A read is slow; meanwhile its page is overwritten, the old place freed by a commit, and given to other files,
/// whose bytes agree with the checksums that are there now.
pub(crate) fn a_slow_read_does_not_show_another_file() {
    for seed in 0..4 {
        case();
        let device = Arc::new(Hold::new(formatted(4 << 20), RequestKind::Read));
        let backend: Arc<dyn Backend> = Arc::clone(&device) as Arc<dyn Backend>;
        let knobs = [("read.ahead_max", "0"), ("compression.codec", "none")];
        let volume = open(&backend, &config(&knobs));
        let file = volume.create("file").expect("a new file");
        let mut dice = Dice::new(seed);
        let versions = [dice.noise(PAGE), dice.noise(PAGE)];
        file.write_at(0, &versions[0]).expect("a write fits");
        drop_pages(&volume, &hole(&volume));
        device.hold(1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut page = vec![0; PAGE];
                file.read_at(0, &mut page).expect("a read");
                page
            });
            device.wait_for(1);
            let held = device.pass();
            file.write_at(0, &versions[1]).expect("a write fits");
            volume.sync().expect("a commit");
            for other in 0..1000 {
                let other = volume.create(&format!("other {other}"));
                if other
                    .and_then(|other| other.write_at(0, &dice.noise(PAGE)))
                    .is_err()
                {
                    break;
                }
            }
            volume.sync().expect("a commit");
            volume.drop_caches().expect("caches drop");
            device.release(held);
            let found = reader.join().expect("the reader ends");
            assert!(
                versions.contains(&found),
                "seed {seed}: a read shows another file"
            );
        });
    }
}
