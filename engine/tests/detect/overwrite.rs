//! Pages that are written again while they are in writeback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use delalloc_backends::{Backend, Recorder, Survivors, Tear};

use super::case;
use crate::crash::stage::blank;
use crate::support::{Dice, config, open, pause};

const PAGES: usize = 16;
const LEN: usize = PAGES * 4096;
/// The writeback of the small file is begun within this time, and waits behind the large one.
const BEGUN_WITHIN: Duration = Duration::from_millis(20);
/// Crashes looked at.
const CRASHES_MAX: usize = 40;

/// At every commit each page on the device is as it was at some moment, never parts of two; and the newer
/// content is there once it was synced.
pub(crate) fn pages_in_writeback_are_not_disturbed() {
    for seed in 0..5 {
        one(seed);
    }
}

fn one(seed: u64) {
    let recorder = Arc::new(Recorder::new(blank(16 << 20, 4096)));
    let backend: Arc<dyn Backend> = Arc::clone(&recorder) as Arc<dyn Backend>;
    // One worker, kept busy by the first file while the second one is written again.
    let knobs = [
        ("thread_pool_size", "1"),
        ("compression.level", "19"),
        ("compression.heuristic", "false"),
        // The small file has to wait in the line.
        ("log.express_max", "0"),
    ];
    let volume = open(&backend, &config(&knobs));
    let mut dice = Dice::new(seed);
    let [large, small, empty] =
        ["large", "small", "empty"].map(|name| volume.create(name).expect("a new file"));
    large
        .write_at(0, &dice.text(2 << 20))
        .expect("a write fits");
    let (before, after) = (dice.text(LEN), dice.text(LEN));
    small.write_at(0, &before).expect("a write fits");
    let over = AtomicBool::new(false);
    let mut marks = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| large.sync().expect("a sync"));
        pause(BEGUN_WITHIN);
        let syncing = scope.spawn(|| {
            small.sync().expect("a sync");
            over.store(true, Ordering::SeqCst);
        });
        pause(BEGUN_WITHIN);
        small.write_at(0, &after).expect("a write fits");
        // Commits of nothing but what the others have finished by then.
        let mut size_bytes = 0;
        while !over.load(Ordering::SeqCst) {
            size_bytes += 4096;
            empty.truncate(size_bytes).expect("a truncate");
            empty.sync().expect("a sync");
            marks.push(recorder.events());
            pause(Duration::from_micros(200));
        }
        syncing.join().expect("a sync");
    });
    small.sync().expect("a sync");
    let synced_at = recorder.events();
    drop((large, small, empty, volume));
    for at in marks.into_iter().rev().take(CRASHES_MAX) {
        case();
        look(&recorder, at, &[&before, &after], seed);
    }
    case();
    look(&recorder, synced_at, &[&after], seed);
}

/// Each page is as it was in one of `contents`, or the file ends before it.
fn look(recorder: &Recorder, at: u64, contents: &[&Vec<u8>], seed: u64) {
    let point = recorder.crash_point(at);
    let image: Arc<dyn Backend> = Arc::new(point.image(&Survivors::None, Tear::Whole));
    let volume = open(&image, &config(&[]));
    let file = volume.open_file("small").expect("it was synced");
    let mut found = vec![0; LEN];
    let bytes = file.read_at(0, &mut found).expect("it is readable");
    assert!(
        bytes == LEN || contents.len() > 1,
        "seed {seed}: a synced size is lost"
    );
    for (number, page) in found[..bytes].chunks(4096).enumerate() {
        let range = number * 4096..number * 4096 + page.len();
        assert!(
            contents
                .iter()
                .any(|content| content[range.clone()] == *page),
            "seed {seed}: page {number} is lost or torn"
        );
    }
}
