//! How long a file is after a crash, where somebody writes below the end that a sync answers for while it runs.

use std::thread;
use std::time::Duration;

use delalloc_backends::{Done, Request, RequestKind};
use delalloc_engine::File;

use super::case;
use super::device::Hold;
use super::failures::Stand;
use super::logs::{COMMIT_INTERVAL, DONE_WITHIN, assert_holds};
use super::meanwhile::crashed;
use crate::support::{Dice, pause};

/// A page behind a hole is on its way into the log when the hole is written, and a commit follows that does not have those
/// bytes.
pub(crate) fn a_write_below_a_page_on_its_way_does_not_take_its_size() {
    below(4096, RequestKind::Flush, &[COMMIT_INTERVAL], 1);
}

/// The same of an extent that goes home while its record goes into the log.
pub(crate) fn a_write_below_an_extent_on_its_way_does_not_take_its_size() {
    let knobs = [COMMIT_INTERVAL, ("log.inline_max", "0")];
    // The extent and the batch.
    below(64 << 10, RequestKind::Write, &knobs, 2);
}

fn below(bytes: u64, kind: RequestKind, knobs: &[(&str, &str)], requests: usize) {
    case();
    let stand = Stand::holding(kind, knobs);
    let (hold, volume) = (&stand.hold, &stand.volume);
    let file = volume.create("file 0").expect("a new file");
    volume.sync().expect("a commit");
    let far = Dice::new(7).noise(usize::try_from(bytes).expect("small"));
    file.write_at(4096, &far).expect("a write fits");
    hold.hold(requests);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(requests);
        file.write_at(0, &[8; 4096]).expect("a write fits");
        hold.release(hold.pass());
        syncing.join().expect("no panic").expect("a sync");
    });
    let wanted = [vec![0; 4096], far].concat();
    let image = crashed(&stand.recorder);
    assert_holds(&image, "file 0", &wanted, "behind its sync");
    let before = volume.stats().meta.durable_generation;
    drop(volume.create("file 1").expect("a new file"));
    while volume.stats().meta.durable_generation == before {
        pause(Duration::from_millis(1));
    }
    let image = crashed(&stand.recorder);
    assert_holds(&image, "file 0", &wanted, "behind a commit");
}

/// A file whose third page is dirty, on a device that holds the next write.
fn page_behind_a_hole() -> (Stand, File) {
    case();
    let stand = Stand::holding(RequestKind::Write, &[]);
    let file = stand.volume.create("file 0").expect("a new file");
    stand.volume.sync().expect("a commit");
    write_page(&file, 2, 7);
    stand.hold.hold(1);
    (stand, file)
}

fn write_page(file: &File, page: u64, byte: u8) {
    let written = file.write_at(page * 4096, &[byte; 4096]);
    written.expect("a write fits");
}

/// What is held, and the next request is.
fn next(hold: &Hold) -> Vec<(Request, Done)> {
    let held = hold.pass();
    hold.hold(1);
    held
}

/// Bytes go home below the end of a file while a sync of the volume waits for others above them, twice.
pub(crate) fn a_write_below_what_a_volume_syncs_does_not_take_its_size() {
    let (stand, file) = page_behind_a_hole();
    let (hold, volume) = (&stand.hold, &stand.volume);
    let write = |page, byte| write_page(&file, page, byte);
    thread::scope(|scope| {
        let syncing = scope.spawn(|| volume.sync());
        hold.wait_for(1);
        write(0, 8);
        hold.release(next(hold));
        hold.wait_for(1);
        write(1, 9);
        hold.release(hold.pass());
        syncing.join().expect("no panic").expect("a sync");
    });
    let wanted = [[8; 4096], [0; 4096], [7; 4096]].concat();
    let image = crashed(&stand.recorder);
    assert_holds(&image, "file 0", &wanted, "behind a sync of the volume");
}

/// A page of another sync is on its way into the log when a sync of the volume looks, and has arrived when its commit is through.
/// That commit has the file without the size that the sync of the volume answers for.
pub(crate) fn a_page_that_arrives_during_a_commit_does_not_take_a_size() {
    let (stand, file) = page_behind_a_hole();
    let (hold, volume) = (&stand.hold, &stand.volume);
    let write = |page, byte| write_page(&file, page, byte);
    thread::scope(|scope| {
        let whole = scope.spawn(|| volume.sync());
        hold.wait_for(1);
        // It takes this along, in its second pass.
        write(0, 8);
        hold.release(next(hold));
        hold.wait_for(1);
        write(1, 9);
        let home = next(hold);
        let syncing = scope.spawn(|| file.sync());
        hold.wait_for(1);
        let batch = next(hold);
        hold.release(home);
        // A node of the commit.
        hold.wait_for(1);
        let node = next(hold);
        hold.release(batch);
        // The batch that says the size.
        hold.wait_for(1);
        let size = hold.pass();
        hold.release(node);
        pause(DONE_WITHIN);
        let image = whole.is_finished().then(|| crashed(&stand.recorder));
        hold.release(size);
        for acting in [whole, syncing] {
            acting.join().expect("no panic").expect("a sync");
        }
        let image = image.unwrap_or_else(|| crashed(&stand.recorder));
        let wanted = [[8; 4096], [9; 4096], [7; 4096]].concat();
        assert_holds(&image, "file 0", &wanted, "behind a sync of the volume");
    });
}
