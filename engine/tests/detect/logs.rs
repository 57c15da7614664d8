//! What only the log can do wrong: syncs beside a commit, batches that fail in part, and a ring that is
//! written over too early.

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultHandle, FaultOn, FaultRule, FaultSpan, MemBackend,
    Recorder, RequestKind,
};
use delalloc_engine::recover::check;
use delalloc_engine::{FormatOptions, Volume};

use super::case;
use super::device::Hold;
use super::meanwhile::crashed;
use crate::support::{Dice, config, open, pause};

/// Where the log begins, and how long this one is: four batches of a sector.
pub(super) const LOG: u64 = 256 << 10;
pub(super) const LOG_BYTES: u64 = 4 * 4096;
/// One that takes pages.
pub(super) const WIDE_LOG_BYTES: u64 = 64 * 4096;
/// What is not held back is done within this time.
pub(super) const DONE_WITHIN: Duration = Duration::from_millis(150);
/// Long against a sync, short against a test.
pub(super) const COMMIT_INTERVAL: (&str, &str) = ("commit.interval", "300ms");
pub(super) const ONE_AT_A_TIME: [(&str, &str); 2] =
    [("thread_pool_size", "1"), ("log.commit_at", "100")];

pub(super) fn blank(log_bytes: u64) -> MemBackend {
    let device = Arc::new(MemBackend::with_block(4 << 20, 512));
    let options = FormatOptions {
        node_bytes: 4096,
        log_bytes: Some(log_bytes),
        ..FormatOptions::default()
    };
    let backend: Arc<dyn Backend> = Arc::clone(&device) as Arc<dyn Backend>;
    Volume::format(&backend, &options).expect("a device can be formatted");
    device.fork()
}

struct Held {
    recorder: Arc<Recorder>,
    hold: Arc<Hold>,
    volume: Volume,
}

fn held(knobs: &[(&str, &str)]) -> Held {
    held_of(blank(LOG_BYTES), RequestKind::Flush, knobs)
}

fn held_of(device: MemBackend, kind: RequestKind, knobs: &[(&str, &str)]) -> Held {
    let recorder = Arc::new(Recorder::new(device));
    let base = Arc::clone(&recorder) as Arc<dyn Backend>;
    let hold = Arc::new(Hold::new(base, kind));
    let backend: Arc<dyn Backend> = Arc::clone(&hold) as Arc<dyn Backend>;
    let volume = open(
        &backend,
        &config(&[ONE_AT_A_TIME.as_slice(), knobs].concat()),
    );
    Held {
        recorder,
        hold,
        volume,
    }
}

/// A new file, synced.
pub(super) fn add(volume: &Volume, name: &str) {
    let file = volume.create(name).expect("a new file");
    file.sync().expect("a sync");
}

/// Every one of these files is there after a crash that lets all writes arrive.
pub(super) fn assert_there(image: &Arc<dyn Backend>, names: &[String], what: &str) {
    let volume = open(image, &config(&ONE_AT_A_TIME));
    for name in names {
        let found = volume.open_file(name);
        assert!(found.is_ok(), "{what}: {name} was synced and is gone");
    }
}

fn names(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|number| format!("file {number}")).collect()
}

/// While a commit waits for its flush, what the log had before is still what a crash falls back on.
pub(crate) fn the_log_outlives_a_running_commit() {
    case();
    let Held {
        recorder,
        hold,
        volume,
    } = held(&[]);
    for name in names(0, 3) {
        add(&volume, &name);
    }
    hold.hold(1);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| volume.sync());
        hold.wait_for(1);
        // The fourth batch fits; the next waits for the commit.
        let syncing = scope.spawn(|| names(3, 8).iter().for_each(|name| add(&volume, name)));
        pause(DONE_WITHIN);
        let image = crashed(&recorder);
        hold.release(hold.pass());
        committing.join().expect("no panic").expect("a commit");
        syncing.join().expect("no panic");
        assert_there(&image, &names(0, 4), "during a commit");
    });
    assert_there(&crashed(&recorder), &names(0, 8), "after it");
}

/// A sync beside a commit has records of two generations in its batch; both counts are right.
pub(crate) fn a_sync_beside_a_commit_counts_once() {
    case();
    let Held {
        recorder,
        hold,
        volume,
    } = held(&[]);
    // Made, and in no batch when the commit begins.
    drop(volume.create("file 0").expect("a new file"));
    hold.hold(1);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| volume.sync());
        hold.wait_for(1);
        add(&volume, "file 1");
        assert_there(&crashed(&recorder), &names(0, 2), "before the superblock");
        hold.release(hold.pass());
        committing.join().expect("no panic").expect("a commit");
    });
    assert_there(&crashed(&recorder), &names(0, 2), "behind the superblock");
}

/// A commit passes while the batch of a sync waits for its flush: its record is of the generation that
/// the superblock now includes, and its change is not.
pub(crate) fn a_commit_that_overtakes_a_sync_does_not_lose_it() {
    case();
    let Held {
        recorder,
        hold,
        volume,
    } = held(&[COMMIT_INTERVAL]);
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    hold.hold(1);
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(1);
        let before = volume.stats().meta.durable_generation;
        drop(volume.create("file 1").expect("a new file"));
        while volume.stats().meta.durable_generation == before {
            pause(Duration::from_millis(1));
        }
        hold.release(hold.pass());
        syncing.join().expect("no panic").expect("a sync");
    });
    let volume = open(&crashed(&recorder), &config(&ONE_AT_A_TIME));
    let file = volume.open_file("file 0").expect("it was committed");
    let mut found = [0; 4096];
    file.read_at(0, &mut found).expect("a read");
    assert!(found == [7; 4096], "a synced page is gone");
}

/// What a sync put into the log and nobody wrote home outlives the commit that passes it.
pub(crate) fn a_commit_keeps_what_only_the_log_has() {
    case();
    let Held {
        recorder, volume, ..
    } = held_of(
        blank(WIDE_LOG_BYTES),
        RequestKind::Flush,
        &[COMMIT_INTERVAL],
    );
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    for byte in [6, 7] {
        file.write_at(0, &[byte; 4096]).expect("a write fits");
        file.sync().expect("a sync");
    }
    let before = volume.stats().meta.durable_generation;
    drop(volume.create("file 1").expect("a new file"));
    while volume.stats().meta.durable_generation == before {
        pause(Duration::from_millis(1));
    }
    assert_eq!(volume.stats().meta.extents.extents, 0, "nothing came home");
    assert_page(&crashed(&recorder), 7, "only the log had it");
}

/// A page is written again and synced while its older bytes are on their way home.
pub(crate) fn a_page_logged_on_its_way_home_is_newer() {
    case();
    let Held {
        recorder,
        hold,
        volume,
    } = held_of(blank(WIDE_LOG_BYTES), RequestKind::Write, &[]);
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    file.write_at(0, &[6; 4096]).expect("a write fits");
    hold.hold(1);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| volume.sync());
        hold.wait_for(1);
        file.write_at(0, &[7; 4096]).expect("a write fits");
        file.sync().expect("a sync");
        let older = hold.pass();
        hold.hold(1);
        hold.release(older);
        // The older bytes are in the tree now, and the younger ones on their way.
        hold.wait_for(1);
        add(&volume, "file 1");
        assert_page(&crashed(&recorder), 7, "logged on its way home");
        hold.release(hold.pass());
        committing.join().expect("no panic").expect("a commit");
    });
}

/// The first page of `file 0` is full of `byte`.
pub(super) fn assert_page(image: &Arc<dyn Backend>, byte: u8, what: &str) {
    let volume = open(image, &config(&ONE_AT_A_TIME));
    let file = volume.open_file("file 0").expect("it was committed");
    let mut found = [0; 4096];
    let read = file.read_at(0, &mut found).expect("a read");
    assert!(
        read == 4096 && found == [byte; 4096],
        "{what}: a synced page is gone"
    );
}

/// A write of a page that was promised fails on its way home: nobody notices, and it is written again.
pub(crate) fn a_promised_page_outlives_a_failed_write() {
    case();
    let base: Arc<dyn Backend> = Arc::new(blank(WIDE_LOG_BYTES));
    let volume = failing(&base, LOG + WIDE_LOG_BYTES..u64::MAX);
    let file = volume.create("file 0").expect("a new file");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    file.sync().expect("the log takes it");
    volume.sync().expect("it is tried again");
    let mut found = [0; 4096];
    file.read_at(0, &mut found).expect("a read");
    assert!(found == [7; 4096], "a promised page is gone");
    assert_eq!(volume.stats().counters.kept_bytes, 4096);
}

/// The batch fails, and so does every place the page could go to: the log takes it after the commit.
pub(crate) fn a_page_that_cannot_go_home_goes_into_the_log() {
    case();
    let recorder = Arc::new(Recorder::new(blank(WIDE_LOG_BYTES)));
    let (handle, volume) = faulty(Arc::clone(&recorder) as Arc<dyn Backend>, &[]);
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    let log_end = LOG + WIDE_LOG_BYTES;
    fail(&handle, LOG..log_end, FaultSpan::Once);
    // Nodes are at the end of the device.
    fail(&handle, log_end..2 << 20, FaultSpan::Persistent);
    file.sync().expect("the log takes it in the end");
    assert_page(&crashed(&recorder), 7, "neither at home nor in the log");
}

/// One write fails under many pages that were promised apart from each other: it is one failure, and they go home.
pub(crate) fn one_failure_of_many_promises_is_one() {
    case();
    let (handle, volume) = faulty(Arc::new(blank(WIDE_LOG_BYTES)), &[]);
    let file = volume.create("file 0").expect("a new file");
    let write = |page: u64| file.write_at(page * 4096, &[7; 4096]);
    let pages = 0..24;
    for parity in [0, 1] {
        for page in pages.clone().filter(|page| page % 2 == parity) {
            write(page).expect("a write fits");
            // Every other page is promised; what is between them makes it one extent.
            if parity == 0 {
                file.sync().expect("the log takes it");
            }
        }
    }
    fail(&handle, LOG + WIDE_LOG_BYTES..u64::MAX, FaultSpan::Once);
    assert!(volume.sync().is_err(), "what was not promised is lost");
    volume.sync().expect("the volume is written to as before");
    let mut found = [0; 4096];
    for page in pages.step_by(2) {
        file.read_at(page * 4096, &mut found).expect("a read");
        assert!(found == [7; 4096], "promised page {page} is gone");
    }
}

/// A batch fails while an older page is only in the log: the next batch takes its place, and is found.
pub(crate) fn a_failed_batch_leaves_no_hole() {
    case();
    let recorder = Arc::new(Recorder::new(blank(WIDE_LOG_BYTES)));
    let (handle, volume) = faulty(Arc::clone(&recorder) as Arc<dyn Backend>, &[]);
    let first = volume.create("file 0").expect("a new file");
    let second = volume.create("file 1").expect("a new file");
    volume.sync().expect("a commit");
    first.write_at(0, &[7; 4096]).expect("a write fits");
    first.sync().expect("the log takes it");
    fail(&handle, LOG..LOG + WIDE_LOG_BYTES, FaultSpan::Once);
    for byte in [8, 9] {
        second.write_at(0, &[byte; 4096]).expect("a write fits");
        second.sync().expect("a commit, and the log again");
    }
    let image = crashed(&recorder);
    assert_page(&image, 7, "held over a failed batch");
    assert_holds(&image, "file 1", &[9; 4096], "behind a failed batch");
}

/// Data fails whose record reached into another sector: the batch is written again without it, and the next one is
/// found behind it.
pub(crate) fn a_batch_without_failed_data_is_as_long_as_before() {
    case();
    let recorder = Arc::new(Recorder::new(blank(WIDE_LOG_BYTES)));
    let base = Arc::clone(&recorder) as Arc<dyn Backend>;
    let (handle, volume) = faulty(base, &[("log.inline_max", "0")]);
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    // A header of 48 bytes, 16 records of 240 and one of 144 are 4032 bytes; that of the extent is 80.
    let names: Vec<String> = (0..16)
        .map(|number| format!("{number:0>200}"))
        .chain([format!("{:0>104}", 99)])
        .collect();
    for name in &names {
        drop(volume.create(name).expect("a new file"));
    }
    fail(&handle, LOG + WIDE_LOG_BYTES..u64::MAX, FaultSpan::Once);
    assert!(file.sync().is_err(), "its data failed");
    add(&volume, "file 1");
    let image = crashed(&recorder);
    assert_there(&image, &names, "in the batch of failed data");
    assert_there(&image, &["file 1".to_owned()], "behind it");
}

/// An extent goes through the express lane while one before it is on its way: its first record brings no size, and the
/// second, when both are there, that of both.
pub(crate) fn an_extent_that_is_logged_twice_brings_its_last_size() {
    case();
    let recorder = Arc::new(Recorder::new(blank(WIDE_LOG_BYTES)));
    let base = Arc::clone(&recorder) as Arc<dyn Backend>;
    let writes = Arc::new(Hold::new(base, RequestKind::Write));
    let flushes = Arc::new(Hold::new(
        Arc::clone(&writes) as Arc<dyn Backend>,
        RequestKind::Flush,
    ));
    let knobs = [
        ONE_AT_A_TIME.as_slice(),
        &[("log.inline_max", "0"), ("dirty.background", "32KiB")],
    ]
    .concat();
    let volume = open(&(Arc::clone(&flushes) as Arc<dyn Backend>), &config(&knobs));
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    const RUN: u64 = 64 << 10;
    let mut bytes = vec![7; 64 << 10];
    writes.hold(2);
    file.write_at(0, &bytes).expect("a write fits");
    writes.wait_for(1);
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        pause(DONE_WITHIN);
        // Begun while the sync waits for the first, so it does not wait for this one before it writes the last.
        file.write_at(RUN, &bytes).expect("a write fits");
        writes.wait_for(2);
        file.write_at(2 * RUN, &[8; 4096]).expect("a write fits");
        flushes.hold(1);
        let mut first = writes.pass();
        let second = first.split_off(1);
        writes.release(first);
        flushes.wait_for(1);
        writes.release(second);
        while volume.stats().meta.extents.extents < 2 {
            pause(Duration::from_millis(1));
        }
        flushes.release(flushes.pass());
        syncing.join().expect("no panic").expect("a sync");
    });
    file.sync().expect("a sync");
    bytes.extend_from_within(..);
    bytes.extend([8; 4096]);
    assert_holds(&crashed(&recorder), "file 0", &bytes, "logged twice");
}

/// A file is made longer, or shorter, while its page is on the way into the log: what the next sync answers for is
/// there.
pub(crate) fn a_size_that_no_logged_page_says_is_logged() {
    for (before, at, size) in [(0, 0, 100_000), (50_000, 57_344, 60_000)] {
        case();
        let Held {
            recorder,
            hold,
            volume,
        } = held_of(blank(WIDE_LOG_BYTES), RequestKind::Flush, &[]);
        let file = volume.create("file 0").expect("a new file");
        file.truncate(before).expect("room");
        volume.sync().expect("a commit");
        file.write_at(at, &[7; 4096]).expect("a write fits");
        hold.hold(1);
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| file.sync());
            hold.wait_for(1);
            file.truncate(size).expect("room");
            hold.release(hold.pass());
            syncing.join().expect("no panic").expect("a sync");
        });
        file.sync().expect("a sync");
        let volume = open(&crashed(&recorder), &config(&ONE_AT_A_TIME));
        let file = volume.open_file("file 0").expect("it was committed");
        assert_eq!(file.size_bytes(), size, "a size that was synced");
    }
}

/// A page waits for its batch while its file is cut and committed: it does not bring the old size back.
pub(crate) fn a_page_that_waits_does_not_undo_a_truncation() {
    case();
    let Held {
        recorder,
        hold,
        volume,
    } = held_of(
        blank(WIDE_LOG_BYTES),
        RequestKind::Flush,
        &[COMMIT_INTERVAL],
    );
    let file = volume.create("file 0").expect("a new file");
    let other = volume.create("file 1").expect("a new file");
    volume.sync().expect("a commit");
    other.write_at(0, &[6; 4096]).expect("a write fits");
    file.write_at(0, &[7; 8192]).expect("a write fits");
    hold.hold(1);
    std::thread::scope(|scope| {
        let leading = scope.spawn(|| other.sync());
        hold.wait_for(1);
        let waiting = scope.spawn(|| file.sync());
        pause(DONE_WITHIN);
        let before = volume.stats().meta.durable_generation;
        file.truncate(100).expect("room");
        while volume.stats().meta.durable_generation == before {
            pause(Duration::from_millis(1));
        }
        hold.release(hold.pass());
        leading.join().expect("no panic").expect("a sync");
        waiting.join().expect("no panic").expect("a sync");
    });
    assert_holds(
        &crashed(&recorder),
        "file 0",
        &[7; 100],
        "cut and committed",
    );
}

/// Extents wait for their batch while their file is cut behind them, in a hole: the batch does not bring the old size
/// back. Or the file is set to the size it has while only the log has its first page: that does not cut them off.
pub(crate) fn an_extent_that_waits_does_not_undo_a_truncation() {
    for (before, size) in [(100_000, 20_000), (0, 65_536)] {
        case();
        let Held {
            recorder,
            hold,
            volume,
        } = held_of(
            blank(WIDE_LOG_BYTES),
            RequestKind::Flush,
            &[("log.inline_max", "4KiB")],
        );
        let file = volume.create("file 0").expect("a new file");
        let other = volume.create("file 1").expect("a new file");
        file.truncate(before).expect("room");
        volume.sync().expect("a commit");
        other.write_at(0, &[6; 4096]).expect("a write fits");
        file.write_at(0, &[7; 4096]).expect("a write fits");
        if before < size {
            file.sync().expect("the log takes a page");
        }
        let end = size.min(65_536) / 4096 * 4096;
        file.write_at(4096, &vec![7; usize::try_from(end).expect("small") - 4096])
            .expect("a write fits");
        hold.hold(1);
        std::thread::scope(|scope| {
            let leading = scope.spawn(|| other.sync());
            hold.wait_for(1);
            let waiting = scope.spawn(|| file.sync());
            pause(DONE_WITHIN);
            if before < size {
                // Its batch is cut already, and waits for its own flush.
                let first = hold.pass();
                hold.hold(1);
                hold.release(first);
                hold.wait_for(1);
            }
            let cutting = scope.spawn(|| file.truncate(size));
            pause(DONE_WITHIN);
            hold.release(hold.pass());
            for acting in [leading, waiting, cutting] {
                acting.join().expect("no panic").expect("it works");
            }
        });
        file.sync().expect("a sync");
        let size = usize::try_from(size).expect("small");
        let mut bytes = vec![7; size / 4096 * 4096];
        bytes.resize(size, 0);
        assert_holds(&crashed(&recorder), "file 0", &bytes, "cut beside a sync");
    }
}

/// A file has these bytes and no others.
pub(super) fn assert_holds(image: &Arc<dyn Backend>, name: &str, bytes: &[u8], what: &str) {
    let volume = open(image, &config(&ONE_AT_A_TIME));
    let file = volume.open_file(name).expect("it was committed");
    assert_eq!(file.size_bytes(), bytes.len() as u64, "{what}: its size");
    let mut found = vec![0; bytes.len()];
    file.read_at(0, &mut found).expect("a read");
    assert!(found == bytes, "{what}: {name} has other bytes");
}

/// A volume whose device can be told to fail.
fn faulty(base: Arc<dyn Backend>, knobs: &[(&str, &str)]) -> (FaultHandle, Volume) {
    let faulty = FaultBackend::new(base);
    let handle = faulty.handle();
    let knobs = [ONE_AT_A_TIME.as_slice(), knobs].concat();
    let volume = open(&(Arc::new(faulty) as Arc<dyn Backend>), &config(&knobs));
    (handle, volume)
}

/// The next write within these bytes fails, or every one.
pub(super) fn fail(handle: &FaultHandle, within: std::ops::Range<u64>, span: FaultSpan) {
    handle.arm(FaultRule {
        on: FaultOn::Write,
        within: Some(within),
        nth: 1,
        span,
        action: FaultAction::Error,
    });
}

/// A volume on a device that fails its next write within these bytes.
fn failing(base: &Arc<dyn Backend>, within: std::ops::Range<u64>) -> Volume {
    let (handle, volume) = faulty(Arc::clone(base), &[]);
    fail(&handle, within, FaultSpan::Once);
    volume
}

/// Where the log cannot be written a sync commits, and keeps its promise.
pub(crate) fn a_failed_batch_is_no_sync() {
    case();
    let base: Arc<dyn Backend> = Arc::new(blank(LOG_BYTES));
    let volume = failing(&base, LOG..LOG + LOG_BYTES);
    add(&volume, "file 0");
    add(&volume, "file 1");
    drop(volume);
    assert_there(&base, &names(0, 2), "a batch failed");
}

/// Data fails, and so does the batch that is written again without its record: whoever is beside it commits.
pub(crate) fn a_batch_that_fails_the_second_time_is_no_sync() {
    case();
    let base: Arc<dyn Backend> = Arc::new(blank(LOG_BYTES));
    let (handle, volume) = faulty(Arc::clone(&base), &[]);
    let file = volume.create("file 0").expect("a new file");
    let other = volume.create("file 1").expect("a new file");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    fail(&handle, LOG + LOG_BYTES..u64::MAX, FaultSpan::Once);
    handle.arm(FaultRule {
        on: FaultOn::Write,
        within: Some(LOG..LOG + LOG_BYTES),
        nth: 2,
        span: FaultSpan::Once,
        action: FaultAction::Error,
    });
    assert!(file.sync().is_err(), "its data failed");
    other.sync().expect("a sync");
    drop((file, other));
    drop(volume);
    assert_there(&base, &names(0, 2), "a batch failed the second time");
}

/// In one lane a hole is before an extent, whose write fails: the hole is there, and the extent is lost.
pub(crate) fn a_hole_before_failed_data_is_no_failure() {
    case();
    let recorder = Arc::new(Recorder::new(blank(WIDE_LOG_BYTES)));
    let base = Arc::clone(&recorder) as Arc<dyn Backend>;
    let knobs = [
        ("log.inline_max", "0"),
        ("compression.extent_bytes", "16KiB"),
    ];
    let (handle, volume) = faulty(base, &knobs);
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    let data = Dice::new(1).noise(16 << 10);
    let written = [vec![0; 16 << 10], data].concat();
    file.write_at(0, &written).expect("a write fits");
    fail(&handle, LOG + WIDE_LOG_BYTES..u64::MAX, FaultSpan::Once);
    assert!(file.sync().is_err(), "its data failed");
    let mut found = vec![1; 32 << 10];
    let read = file.read_at(0, &mut found).expect("a read");
    assert_eq!(read, 32 << 10, "the size that was written");
    assert!(found.iter().all(|&byte| byte == 0), "a hole and lost bytes");
    assert!(volume.sync().is_err(), "its own caller was not told");
    volume.sync().expect("it was told");
    let image = crashed(&recorder);
    let report = check(image.as_ref());
    assert!(report.is_clean(), "{:?}", report.issues);
}

/// Data that fails takes its own record out of the batch and no other one.
pub(crate) fn failed_data_leaves_the_rest_of_its_batch() {
    case();
    let base: Arc<dyn Backend> = Arc::new(blank(LOG_BYTES));
    let volume = failing(&base, LOG + LOG_BYTES..u64::MAX);
    let file = volume.create("file 0").expect("a new file");
    let other = volume.create("file 1").expect("a new file");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    assert!(file.sync().is_err(), "its data failed");
    other.sync().expect("a sync");
    drop((file, other));
    drop(volume);
    assert_there(&base, &names(0, 2), "other data failed");
}
