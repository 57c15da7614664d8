//! What only the log can do wrong: syncs beside a commit, batches that fail in part, and a ring that is
//! written over too early.

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend, Recorder,
    RequestKind,
};
use delalloc_engine::{FormatOptions, Volume};

use super::case;
use super::device::Hold;
use super::meanwhile::crashed;
use crate::support::{config, open, pause};

/// Where the log begins, and how long this one is: four batches of a sector.
const LOG: u64 = 256 << 10;
const LOG_BYTES: u64 = 4 * 4096;
/// One that takes pages.
const WIDE_LOG_BYTES: u64 = 64 * 4096;
/// What is not held back is done within this time.
const DONE_WITHIN: Duration = Duration::from_millis(150);
/// Long against a sync, short against a test.
const COMMIT_INTERVAL: (&str, &str) = ("commit.interval", "300ms");
const ONE_AT_A_TIME: [(&str, &str); 2] = [("thread_pool_size", "1"), ("log.commit_at", "100")];

fn blank(log_bytes: u64) -> MemBackend {
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
fn add(volume: &Volume, name: &str) {
    let file = volume.create(name).expect("a new file");
    file.sync().expect("a sync");
}

/// Every one of these files is there after a crash that lets all writes arrive.
fn assert_there(image: &Arc<dyn Backend>, names: &[String], what: &str) {
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
fn assert_page(image: &Arc<dyn Backend>, byte: u8, what: &str) {
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
    let base = Arc::clone(&recorder) as Arc<dyn Backend>;
    let faulty = FaultBackend::new(base);
    let handle = faulty.handle();
    let volume = open(
        &(Arc::new(faulty) as Arc<dyn Backend>),
        &config(&ONE_AT_A_TIME),
    );
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    file.write_at(0, &[7; 4096]).expect("a write fits");
    let log_end = LOG + WIDE_LOG_BYTES;
    for (within, span) in [
        (LOG..log_end, FaultSpan::Once),
        // Nodes are at the end of the device.
        (log_end..2 << 20, FaultSpan::Persistent),
    ] {
        handle.arm(FaultRule {
            on: FaultOn::Write,
            within: Some(within),
            nth: 1,
            span,
            action: FaultAction::Error,
        });
    }
    file.sync().expect("the log takes it in the end");
    assert_page(&crashed(&recorder), 7, "neither at home nor in the log");
}

/// A device that fails its next write within these bytes.
fn failing(base: &Arc<dyn Backend>, within: std::ops::Range<u64>) -> Volume {
    let faulty = FaultBackend::new(Arc::clone(base));
    let handle = faulty.handle();
    let volume = open(
        &(Arc::new(faulty) as Arc<dyn Backend>),
        &config(&ONE_AT_A_TIME),
    );
    handle.arm(FaultRule {
        on: FaultOn::Write,
        within: Some(within),
        nth: 1,
        span: FaultSpan::Once,
        action: FaultAction::Error,
    });
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
