//! A device that fails while somebody else waits for it, and what the log has then.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultHandle, FaultOn, FaultRule, FaultSpan, Recorder,
    RequestKind, Survivors, Tear,
};
use delalloc_engine::recover::check;
use delalloc_engine::{File, Volume};

use super::case;
use super::device::Hold;
use super::logs::{
    COMMIT_INTERVAL, DONE_WITHIN, LOG, ONE_AT_A_TIME, WIDE_LOG_BYTES, add, assert_holds,
    assert_page, assert_there, blank, fail,
};
use super::meanwhile::crashed;
use crate::support::{config, open, pause};

/// Behind the log; nodes are at the end of the device.
const DATA: std::ops::Range<u64> = LOG + WIDE_LOG_BYTES..2 << 20;

/// A volume whose requests of one kind can be held back, and those that are not can fail.
pub(super) struct Stand {
    pub(super) recorder: Arc<Recorder>,
    faults: FaultHandle,
    pub(super) hold: Arc<Hold>,
    pub(super) volume: Volume,
}

impl Stand {
    pub(super) fn holding(kind: RequestKind, knobs: &[(&str, &str)]) -> Self {
        let recorder = Arc::new(Recorder::new(blank(WIDE_LOG_BYTES)));
        let faulty = FaultBackend::new(Arc::clone(&recorder) as Arc<dyn Backend>);
        let faults = faulty.handle();
        let hold = Arc::new(Hold::new(Arc::new(faulty), kind));
        let knobs = [ONE_AT_A_TIME.as_slice(), knobs].concat();
        let volume = open(&(Arc::clone(&hold) as Arc<dyn Backend>), &config(&knobs));
        Self {
            recorder,
            faults,
            hold,
            volume,
        }
    }
}

fn write(file: &File, byte: u8) {
    file.write_at(0, &[byte; 4096]).expect("a write fits");
}

/// One FLUSH fails, of a batch or of a commit, and another beside it goes well afterwards. Nobody is told that anything is
/// durable: not who waited for the first, not who was beside it; and no later superblock is written.
pub(crate) fn what_follows_a_failed_flush_fails_too() {
    // A sync of a name alone has nothing to do behind its FLUSH that could fail.
    for (by_commit, name_alone) in [(false, false), (true, false), (true, true)] {
        case();
        let stand = Stand::holding(RequestKind::Flush, &[]);
        let Stand { hold, volume, .. } = &stand;
        let first = volume.create("file 0").expect("a new file");
        let second = volume.create("file 1").expect("a new file");
        volume.sync().expect("a commit");
        let before = volume.stats().meta.durable_generation;
        let log = || {
            match name_alone {
                true => volume.rename("file 0", "file 4").expect("it is there"),
                false => write(&first, 7),
            }
            first.sync()
        };
        let commit = || {
            drop(volume.create("file 2").expect("a new file"));
            volume.sync()
        };
        thread::scope(|scope| {
            hold.hold(2);
            let failing = match by_commit {
                true => scope.spawn(commit),
                false => scope.spawn(log),
            };
            hold.wait_for(1);
            let beside = match by_commit {
                true => scope.spawn(log),
                false => scope.spawn(commit),
            };
            hold.wait_for(2);
            // A name needs no page: nothing else of this sync could fail.
            volume.rename("file 1", "file 3").expect("it is there");
            let waiting = scope.spawn(|| second.sync());
            pause(DONE_WITHIN);
            let mut fails = hold.pass();
            let goes_well = fails.split_off(1);
            stand
                .faults
                .arm(FaultRule::once(FaultOn::Flush, 1, FaultAction::Error));
            hold.release(fails);
            let failed = failing.join().expect("no panic");
            hold.release(goes_well);
            let told = [beside, waiting].map(|one| one.join().expect("no panic"));
            assert!(
                failed.is_err() && told.iter().all(Result::is_err),
                "durable beside a FLUSH that failed ({by_commit}, {name_alone}): {told:?}"
            );
        });
        assert!(volume.read_only().is_some());
        assert_eq!(volume.stats().meta.durable_generation, before);
    }
}

/// A commit is waited for by somebody who has nothing to add to it, and its FLUSH fails: both are told.
pub(crate) fn a_commit_that_fails_fails_for_all_who_wait() {
    case();
    let stand = Stand::holding(RequestKind::Flush, &[]);
    let Stand { hold, volume, .. } = &stand;
    drop(volume.create("file 0").expect("a new file"));
    hold.hold(1);
    thread::scope(|scope| {
        let committing = scope.spawn(|| volume.sync());
        hold.wait_for(1);
        let waiting = scope.spawn(|| volume.sync());
        pause(DONE_WITHIN);
        stand
            .faults
            .arm(FaultRule::once(FaultOn::Flush, 1, FaultAction::Error));
        hold.release(hold.pass());
        let told = [committing, waiting].map(|one| one.join().expect("no panic"));
        assert!(
            told.iter().all(Result::is_err),
            "durable in a commit that failed: {told:?}"
        );
    });
}

/// The records of an extent behind a hole are on their way into the log, as is the size that they bring, when a page at the
/// beginning of the file fails and leaves another size. The next sync that goes well has the larger one.
pub(crate) fn a_size_that_a_failure_leaves_does_not_undo_a_sync() {
    case();
    const FAR: u64 = 64 << 10;
    let knobs = [("log.inline_max", "0"), ("dirty.expire", "50ms")];
    let stand = Stand::holding(RequestKind::Flush, &knobs);
    let Stand { hold, volume, .. } = &stand;
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    file.write_at(FAR, &[7; 4096]).expect("a write fits");
    hold.hold(1);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(1);
        fail(&stand.faults, DATA, FaultSpan::Once);
        write(&file, 8);
        let under_way = || {
            let dirty = volume.stats().dirty;
            dirty.dirty_bytes > 0 || dirty.writeback_bytes > 4096
        };
        while under_way() {
            pause(Duration::from_millis(1));
        }
        hold.release(hold.pass());
        let told = syncing.join().expect("no panic");
        assert!(told.is_err(), "a page failed before it was through");
    });
    file.sync().expect("it was told");
    let far = usize::try_from(FAR).expect("small");
    let mut wanted = vec![0; far];
    wanted.resize(far + 4096, 7);
    let image = crashed(&stand.recorder);
    assert_holds(&image, "file 0", &wanted, "behind a page that failed");
}

/// A write fails for which two syncs wait, of one opener or of the volume: it may be the bytes of either.
pub(crate) fn a_failed_write_is_told_to_both_who_wait() {
    for of_volume in [false, true] {
        case();
        let stand = Stand::holding(
            RequestKind::Write,
            &[("log.inline_max", "0"), ("log.express_max", "0")],
        );
        let Stand { hold, volume, .. } = &stand;
        let file = volume.create("file 0").expect("a new file");
        volume.sync().expect("a commit");
        write(&file, 7);
        hold.hold(1);
        let sync = || match of_volume {
            true => volume.sync(),
            false => file.sync(),
        };
        thread::scope(|scope| {
            let both = [(); 2].map(|()| scope.spawn(sync));
            hold.wait_for(1);
            pause(DONE_WITHIN);
            fail(&stand.faults, DATA, FaultSpan::Once);
            hold.release(hold.pass());
            let told = both.map(|one| one.join().expect("no panic"));
            assert!(
                told.iter().all(Result::is_err),
                "a write failed (volume: {of_volume}): {told:?}"
            );
        });
        sync().expect("it was told");
    }
}

/// A file is written and closed, its bytes are lost, and it is opened again: its sync says so.
pub(crate) fn a_failed_write_outlives_who_wrote_it() {
    case();
    let stand = Stand::holding(RequestKind::Discard, &[("dirty.background", "0")]);
    let volume = &stand.volume;
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    fail(&stand.faults, DATA, FaultSpan::Once);
    write(&file, 7);
    drop(file);
    while volume.stats().dirty.dirty_bytes + volume.stats().dirty.writeback_bytes > 0 {
        pause(Duration::from_millis(1));
    }
    let again = volume.open_file("file 0").expect("it is there");
    assert!(again.sync().is_err(), "nobody was told of lost bytes");
    again.sync().expect("it was told");
    let late = volume.open_file("file 0").expect("it is there");
    late.sync().expect("somebody was told");
}

/// A synced page is written over, and that write fails: the bytes that were synced are still there, for readers, for the
/// next sync, and for who opens the volume next.
pub(crate) fn a_synced_page_outlives_what_was_written_over_it() {
    case();
    let stand = Stand::holding(RequestKind::Discard, &[]);
    let volume = &stand.volume;
    let file = volume.create("file 0").expect("a new file");
    write(&file, 7);
    file.sync().expect("the log takes it");
    file.write_at(0, &[8]).expect("a write fits");
    fail(&stand.faults, DATA, FaultSpan::Once);
    assert!(volume.sync().is_err(), "a newer page failed");
    let mut found = [0; 4096];
    file.read_at(0, &mut found).expect("a read");
    assert!(found[1..] == [7; 4095], "a synced page is gone");
    assert!(file.sync().is_err(), "its opener was not told");
    file.write_at(1, &[9]).expect("a write fits");
    file.sync().expect("it was told");
    let mut wanted = [7; 4096];
    wanted[..2].copy_from_slice(&[8, 9]);
    let image = crashed(&stand.recorder);
    assert_holds(&image, "file 0", &wanted, "written over a failed write");
    volume.sync().expect("it was told");
}

/// An extent is in the log and cannot be read into the tree. A volume that went on would show the old bytes, and the new
/// ones after a crash.
pub(crate) fn a_tree_without_what_the_log_has_ends_the_volume() {
    case();
    let stand = Stand::holding(RequestKind::Flush, &[("log.inline_max", "0")]);
    let Stand { hold, volume, .. } = &stand;
    // So many that the tree has more than a root.
    for number in 0..200 {
        drop(volume.create(&format!("file {number}")).expect("room"));
    }
    let file = volume.open_file("file 0").expect("it is there");
    volume.drop_caches().expect("nothing fails yet");
    write(&file, 7);
    hold.hold(1);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(1);
        stand
            .faults
            .arm(FaultRule::persistent(FaultOn::Read, 1, FaultAction::Error));
        hold.release(hold.pass());
        let told = syncing.join().expect("no panic");
        assert!(told.is_err(), "the tree has not what was synced");
    });
    assert!(
        volume.read_only().is_some(),
        "it goes on without what its log has"
    );
}

/// A page is on its way into the log and cannot go home: the volume is not synced before it is in the log.
pub(crate) fn a_sync_of_the_volume_waits_for_the_log() {
    case();
    let stand = Stand::holding(RequestKind::Write, &[]);
    let Stand { hold, volume, .. } = &stand;
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    write(&file, 7);
    hold.hold(1);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(1);
        fail(&stand.faults, DATA, FaultSpan::Persistent);
        let whole = scope.spawn(|| volume.sync());
        pause(DONE_WITHIN);
        if whole.is_finished() {
            // Then it has to be true.
            assert_page(&crashed(&stand.recorder), 7, "synced and nowhere");
        }
        stand.faults.disarm();
        hold.release(hold.pass());
        syncing.join().expect("no panic").expect("the log takes it");
        whole.join().expect("no panic").expect("so does this");
    });
    assert_page(
        &crashed(&stand.recorder),
        7,
        "neither at home nor in the log",
    );
}

/// The last batch that fits behind the head is whole on the device and reported as failed. The next one takes its number
/// and goes to the start, where it has room.
pub(crate) fn of_two_batches_of_one_number_the_later_counts() {
    case();
    let stand = Stand::holding(RequestKind::Discard, &[]);
    let volume = &stand.volume;
    let sectors = WIDE_LOG_BYTES / 4096;
    for number in 0..sectors - 1 {
        if number % 16 == 0 {
            volume.sync().expect("a commit frees the log");
        }
        add(volume, &format!("one {number}"));
    }
    volume.sync().expect("a commit frees the log");
    let at = volume.stats().meta.log_bytes;
    assert_eq!(at, (sectors - 1) * 4096, "one sector is left at the end");
    stand.faults.arm(FaultRule {
        on: FaultOn::Write,
        within: Some(LOG..LOG + WIDE_LOG_BYTES),
        nth: 1,
        span: FaultSpan::Once,
        // Half of a sector, and a record is shorter.
        action: FaultAction::Short,
    });
    add(volume, "last");
    let file = volume.create("file 0").expect("a new file");
    write(&file, 7);
    file.sync().expect("the log takes it");
    let image = crashed(&stand.recorder);
    assert_there(&image, &["last".to_owned()], "its batch failed");
    assert_page(&image, 7, "behind a batch that failed and is there");
}

/// A page that only the log has is covered by a commit; then a bit of its batch, the last one, flips. Nothing is shown in
/// its place.
pub(crate) fn a_log_that_ends_early_is_refused() {
    case();
    let stand = Stand::holding(RequestKind::Discard, &[COMMIT_INTERVAL]);
    let volume = &stand.volume;
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    let at = LOG + volume.stats().meta.log_bytes;
    write(&file, 7);
    file.sync().expect("the log takes it");
    let before = volume.stats().meta.durable_generation;
    drop(volume.create("file 1").expect("a new file"));
    while volume.stats().meta.durable_generation == before {
        pause(Duration::from_millis(1));
    }
    let point = stand.recorder.crash_point(stand.recorder.events());
    let sound = point.image(&Survivors::All, Tear::Whole);
    let mut bytes = sound.image();
    bytes[usize::try_from(at).expect("small") + 100] ^= 1;
    let damaged = delalloc_backends::MemBackend::from_image(&bytes, 512);
    assert!(
        !check(&damaged).is_clean(),
        "half a log passes for a whole one"
    );
    let damaged: Arc<dyn Backend> = Arc::new(damaged);
    let opened = Volume::open(
        damaged,
        Arc::new(delalloc_backends::OsClock::new()),
        config(&ONE_AT_A_TIME),
    );
    assert!(opened.is_err(), "a page is missing and nobody says so");
    let sound: Arc<dyn Backend> = Arc::new(sound);
    assert_page(&sound, 7, "only the log had it");
}

/// A page behind the end of its file is on its way into the log when a commit begins, goes home in the generation behind that commit,
/// and its batch is through then. After a crash to that commit the file has the size that its sync answered for.
pub(crate) fn a_size_outlives_a_page_that_went_home_before_its_batch() {
    case();
    let stand = Stand::holding(RequestKind::Flush, &[COMMIT_INTERVAL]);
    let (hold, volume) = (&stand.hold, &stand.volume);
    let file = volume.create("file 0").expect("a new file");
    write(&file, 6);
    volume.sync().expect("a commit");
    file.write_at(4096, &[7; 4096]).expect("a write fits");
    hold.hold(2);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(1);
        let before = volume.stats().meta.durable_generation;
        // The committer has something to do.
        drop(volume.create("file 1").expect("a new file"));
        hold.wait_for(2);
        let committing = scope.spawn(|| volume.sync());
        pause(DONE_WITHIN);
        let mut flushes = hold.pass();
        let of_the_commit = flushes.split_off(1);
        hold.release(flushes);
        syncing.join().expect("no panic").expect("a sync");
        hold.hold(1);
        hold.release(of_the_commit);
        while volume.stats().meta.durable_generation == before {
            pause(Duration::from_millis(1));
        }
        let image = crashed(&stand.recorder);
        hold.wait_for(1);
        hold.release(hold.pass());
        committing.join().expect("no panic").expect("a commit");
        let bytes = [[6; 4096], [7; 4096]].concat();
        assert_holds(&image, "file 0", &bytes, "behind the older commit");
    });
}

/// A page with the header of a later batch where a sector of the log begins in it: it is synced, and the volume opens again.
pub(crate) fn what_a_client_writes_is_no_batch() {
    case();
    let stand = Stand::holding(RequestKind::Flush, &[]);
    let file = stand.volume.create("file 0").expect("a new file");
    stand.volume.sync().expect("a commit");
    write(&file, 6);
    file.sync().expect("a sync");
    let now = stand.recorder.crash_point(stand.recorder.events());
    let image = now.image(&Survivors::All, Tear::Whole).image();
    let log = &image[usize::try_from(LOG).expect("an address")..];
    // That batch takes two sectors, and the next one is behind it.
    let begins = |at: &usize| &log[at + 4..at + 8] == b"DLOG";
    let last = (0..log.len()).step_by(4096).rfind(begins);
    let last = last.expect("a page was logged");
    let mut header = log[last..last + 48].to_vec();
    let own_address = LOG + last as u64 + 3 * 4096;
    for (at, word) in [(16, 1000), (24, own_address), (32, 0)] {
        header[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
    }
    let crc = crc32c::crc32c(&header[4..]);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    let mut page = [7; 4096];
    // Behind the header of the batch and those of the record.
    page[4096 - 48 - 48..4096 - 48].copy_from_slice(&header);
    file.write_at(0, &page).expect("a write fits");
    file.sync().expect("a sync");
    assert_holds(&crashed(&stand.recorder), "file 0", &page, "like a batch");
}

/// A page is being written for a sync, is written again meanwhile, and that write fails: the sync is told, or its bytes are there.
pub(crate) fn a_sync_is_told_of_bytes_that_were_written_again() {
    case();
    let stand = Stand::holding(RequestKind::Write, &[("log.inline_max", "0")]);
    let (hold, volume) = (&stand.hold, &stand.volume);
    let file = volume.create("file 0").expect("a new file");
    write(&file, 7);
    volume.sync().expect("a commit");
    write(&file, 8);
    hold.hold(2);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        // The extent and the batch that has its record.
        hold.wait_for(2);
        file.write_at(1, &[9]).expect("a write fits");
        fail(&stand.faults, DATA, FaultSpan::Once);
        hold.release(hold.pass());
        if syncing.join().expect("no panic").is_ok() {
            let mut wanted = [8; 4096];
            wanted[1] = 9;
            let image = crashed(&stand.recorder);
            assert_holds(&image, "file 0", &wanted, "a sync that was told nothing");
        }
    });
    file.sync().expect("it was told once");
    let mut wanted = [8; 4096];
    wanted[1] = 9;
    assert_holds(
        &crashed(&stand.recorder),
        "file 0",
        &wanted,
        "the next sync",
    );
}

/// A sync puts a page behind the end of its file on its way into the log and is told of an older failure instead of an end; the
/// batch of another file takes it along. It cannot go home: a sync of the volume that goes well has the file as long as the page says.
pub(crate) fn a_sync_of_the_volume_has_the_size_of_what_only_the_log_has() {
    case();
    let stand = Stand::holding(RequestKind::Discard, &[]);
    let volume = &stand.volume;
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    fail(&stand.faults, DATA, FaultSpan::Persistent);
    write(&file, 6);
    assert!(volume.sync().is_err(), "its data failed");
    file.write_at(4096, &[7; 4096]).expect("a write fits");
    assert!(file.sync().is_err(), "its opener was not told");
    add(volume, "file 1");
    volume.sync().expect("the log has it");
    let image = crashed(&stand.recorder);
    let volume = open(&image, &config(&ONE_AT_A_TIME));
    let file = volume.open_file("file 0").expect("it was committed");
    assert_eq!(file.size_bytes(), 8192, "the size of a synced page");
    let mut found = [0; 4096];
    file.read_at(4096, &mut found).expect("a read");
    assert!(found == [7; 4096], "a synced page is gone");
}
