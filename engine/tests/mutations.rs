//! Tests of the tests: each deliberate breakage of `delalloc_engine::mutation` is seen by a detector, and
//! without one none of them sees anything.
//!
//! Every breakage gets a process of its own, this binary again, told by its environment what to break and
//! which detectors to run: what they see may be a panic on any thread, or a hang. It prints a table of
//! who saw what, and after how many cases.
//!
//! ```sh
//! cargo test -p delalloc-engine --test mutations
//! DELALLOC_MUTATION=UnpinEarly cargo test ...     one breakage alone
//! ```
//!
//! To add a breakage: see `src/mutation.rs`; the detectors that are to see it go into `detectors_of`. A new
//! detector is a function in `detect/` that panics, and a line in `DETECTORS`.

mod crash;
mod detect;
mod support;

use std::env;
use std::io::Read;
use std::panic;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use delalloc_engine::mutation::{self, Mutation};
use detect::{failures, faults, logs, meanwhile, order, overwrite, reads, sequences, sizes};
use support::pause;

type Detector = (&'static str, fn());

const MODEL: Detector = ("model", sequences::files_read_as_written);
const ACE: Detector = ("ace", sequences::short_sequences);
const CRASH: Detector = ("crash", sequences::random_loads);
const BUSY: Detector = ("busy crash", sequences::busy_loads);
const FAULT: Detector = ("fault", faults::failed_writes_are_told_once);
const DATA_BITS: Detector = ("bits of data", faults::flipped_bits_of_data_are_seen);
const NODE_BITS: Detector = ("bits of nodes", faults::a_changed_node_is_seen);
const FULL: Detector = ("full volume", faults::accepted_writes_find_room);
const REPLAY_ROOM: Detector = ("replay room", faults::a_replay_has_the_room_of_its_changes);
const DOWNWARD: Detector = ("downward", faults::promises_are_kept_downward);
const ORDER: Detector = ("order", order::a_file_is_placed_in_its_order);
const OVERWRITE: Detector = ("overwrite", overwrite::pages_in_writeback_are_not_disturbed);
const LATE_READ: Detector = (
    "late read",
    reads::a_late_read_does_not_bring_old_bytes_back,
);
const SLOW_READ: Detector = ("slow read", reads::a_slow_read_does_not_show_another_file);
const TWO_READS: Detector = ("two reads", reads::mappings_of_one_extent_are_told_apart);
const REUSE: Detector = ("reuse", meanwhile::what_a_running_commit_frees_stays);
const OVERHANG: Detector = (
    "overhang",
    meanwhile::extents_past_the_end_are_not_found_again,
);

const FAILED_BATCH: Detector = ("failed batch", logs::a_failed_batch_is_no_sync);
const FAILED_DATA: Detector = (
    "failed data",
    logs::failed_data_leaves_the_rest_of_its_batch,
);
const LOG_OUTLIVES: Detector = ("full log", logs::the_log_outlives_a_running_commit);
const LOG_BESIDE: Detector = ("beside commit", logs::a_sync_beside_a_commit_counts_once);
const LOG_OVERTAKEN: Detector = (
    "overtaken",
    logs::a_commit_that_overtakes_a_sync_does_not_lose_it,
);

const LOG_ALONE: Detector = ("log alone", logs::a_commit_keeps_what_only_the_log_has);
const LOG_NEWER: Detector = ("logged later", logs::a_page_logged_on_its_way_home_is_newer);
const LOG_PROMISE: Detector = (
    "promised page",
    logs::a_promised_page_outlives_a_failed_write,
);

const LOG_LAST: Detector = (
    "log at last",
    logs::a_page_that_cannot_go_home_goes_into_the_log,
);

const LOG_HOLE: Detector = ("log goes on", logs::a_failed_batch_leaves_no_hole);
const LOG_SHORT: Detector = (
    "long batch",
    logs::a_batch_without_failed_data_is_as_long_as_before,
);
const LOG_TWICE: Detector = (
    "logged twice",
    logs::an_extent_that_is_logged_twice_brings_its_last_size,
);
const LOG_SIZE: Detector = (
    "size beside",
    logs::a_size_that_no_logged_page_says_is_logged,
);
const LOG_CUT: Detector = (
    "cut beside",
    logs::a_page_that_waits_does_not_undo_a_truncation,
);
const LOG_LANE: Detector = (
    "cut beside data",
    logs::an_extent_that_waits_does_not_undo_a_truncation,
);
const FLUSH_FAILED: Detector = (
    "failed flush",
    failures::what_follows_a_failed_flush_fails_too,
);
const LOG_AGAIN: Detector = (
    "newer than synced",
    failures::a_synced_page_outlives_what_was_written_over_it,
);
const LOG_REFUSED: Detector = (
    "refused by the tree",
    failures::a_tree_without_what_the_log_has_ends_the_volume,
);
const LOG_UNDER_WAY: Detector = (
    "volume beside sync",
    failures::a_sync_of_the_volume_waits_for_the_log,
);
const LOG_STALE: Detector = (
    "failed and whole",
    failures::of_two_batches_of_one_number_the_later_counts,
);
const LOG_HOME: Detector = (
    "home before its batch",
    failures::a_size_outlives_a_page_that_went_home_before_its_batch,
);
const REWRITTEN: Detector = (
    "rewritten and failed",
    failures::a_sync_is_told_of_bytes_that_were_written_again,
);
const LOG_SETTLED: Detector = (
    "logged by another",
    failures::a_sync_of_the_volume_has_the_size_of_what_only_the_log_has,
);
const LOG_FORGED: Detector = (
    "a page like a batch",
    failures::what_a_client_writes_is_no_batch,
);
const LOG_SECOND: Detector = (
    "failed twice",
    logs::a_batch_that_fails_the_second_time_is_no_sync,
);
const LANE_HOLE: Detector = (
    "hole before failed data",
    logs::a_hole_before_failed_data_is_no_failure,
);
const COMMIT_FAILED: Detector = (
    "failed commit",
    failures::a_commit_that_fails_fails_for_all_who_wait,
);
const SIZE_LEFT: Detector = (
    "size behind a failure",
    failures::a_size_that_a_failure_leaves_does_not_undo_a_sync,
);
const SIZE_OF_PAGE: Detector = (
    "written below a page",
    sizes::a_write_below_a_page_on_its_way_does_not_take_its_size,
);
const SIZE_OF_EXTENT: Detector = (
    "written below an extent",
    sizes::a_write_below_an_extent_on_its_way_does_not_take_its_size,
);
const SIZE_OF_VOLUME: Detector = (
    "written below a volume's sync",
    sizes::a_write_below_what_a_volume_syncs_does_not_take_its_size,
);
const SIZE_ARRIVED: Detector = (
    "arrived beside a commit",
    sizes::a_page_that_arrives_during_a_commit_does_not_take_a_size,
);
const TOLD_BOTH: Detector = (
    "one failure of two syncs",
    failures::a_failed_write_is_told_to_both_who_wait,
);
const TOLD_LATER: Detector = (
    "failed and closed",
    failures::a_failed_write_outlives_who_wrote_it,
);
const LOG_END: Detector = ("end of the log", failures::a_log_that_ends_early_is_refused);
const LOG_KEPT: Detector = ("promised pages", logs::one_failure_of_many_promises_is_one);

const DETECTORS: [Detector; 53] = [
    REUSE,
    OVERHANG,
    MODEL,
    ACE,
    CRASH,
    BUSY,
    FAULT,
    DATA_BITS,
    NODE_BITS,
    FULL,
    DOWNWARD,
    REPLAY_ROOM,
    ORDER,
    OVERWRITE,
    LATE_READ,
    SLOW_READ,
    TWO_READS,
    FAILED_BATCH,
    FAILED_DATA,
    LOG_OUTLIVES,
    LOG_BESIDE,
    LOG_OVERTAKEN,
    LOG_ALONE,
    LOG_NEWER,
    LOG_PROMISE,
    LOG_LAST,
    LOG_HOLE,
    LOG_SHORT,
    LOG_TWICE,
    LOG_SIZE,
    LOG_CUT,
    LOG_LANE,
    LOG_KEPT,
    FLUSH_FAILED,
    LOG_AGAIN,
    LOG_REFUSED,
    LOG_UNDER_WAY,
    LOG_STALE,
    LOG_END,
    LOG_HOME,
    LOG_FORGED,
    REWRITTEN,
    LOG_SETTLED,
    LOG_SECOND,
    LANE_HOLE,
    COMMIT_FAILED,
    SIZE_LEFT,
    SIZE_OF_PAGE,
    SIZE_OF_EXTENT,
    SIZE_OF_VOLUME,
    SIZE_ARRIVED,
    TOLD_BOTH,
    TOLD_LATER,
];

/// Who is to see it; in this order, up to the first that does.
fn detectors_of(mutation: Mutation) -> &'static [Detector] {
    match mutation {
        Mutation::FlushSkipped
        | Mutation::SuperblockFirst
        | Mutation::SuperblockCached
        | Mutation::SuperblockSameSlot
        | Mutation::SuperblockOldest
        | Mutation::SyncUnwaited
        | Mutation::SizePastPrefix
        | Mutation::ReplacedKept => &[ACE, CRASH],
        Mutation::OverhangKept => &[OVERHANG],
        Mutation::ExtentUnpinned | Mutation::NodeUnpinned => &[CRASH, ACE],
        Mutation::UnpinEarly => &[REUSE],
        Mutation::TailKept | Mutation::BookendFreed => &[MODEL, ACE],
        Mutation::ChecksumIgnored => &[DATA_BITS],
        Mutation::NodeChecksumIgnored => &[NODE_BITS],
        Mutation::WriteErrorDropped | Mutation::FailureUntold | Mutation::FailureToldAgain => {
            &[FAULT]
        }
        Mutation::OrderDropped => &[ORDER],
        Mutation::TicketByAddress => &[TWO_READS],
        Mutation::TicketKept => &[LATE_READ],
        Mutation::StaleAnswered => &[SLOW_READ],
        Mutation::PromiseUnchecked => &[FULL],
        Mutation::ReplayRoomGivenAway => &[REPLAY_ROOM],
        Mutation::NodeGivenAway => &[DOWNWARD],
        Mutation::FrameInPlace | Mutation::RedirtyLost => &[OVERWRITE],
        Mutation::LogFlushSkipped
        | Mutation::LogDataUnverified
        | Mutation::LogReversed
        | Mutation::LogCutUnlogged => &[ACE, CRASH],
        Mutation::LogFailureDropped => &[FAILED_BATCH],
        Mutation::LogRewriteSkipped => &[FAILED_DATA],
        Mutation::LogFreedEarly => &[LOG_OUTLIVES],
        Mutation::LogTagIgnored => &[LOG_BESIDE],
        Mutation::LogAgainSkipped => &[LOG_OVERTAKEN],
        Mutation::LogHeldForgotten | Mutation::LoggedSizeKept | Mutation::SyncedKept => {
            &[LOG_ALONE]
        }
        Mutation::LogDataSuperseded => &[LOG_NEWER],
        Mutation::LoggedPageDropped => &[LOG_PROMISE],
        Mutation::LogHoleLeft => &[LOG_HOLE],
        Mutation::LogRewriteShort => &[LOG_SHORT],
        Mutation::LogSizeSkipped => &[LOG_TWICE],
        Mutation::LoggedSizeUnsaid => &[LOG_SIZE],
        Mutation::LogSizeUncapped => &[LOG_CUT],
        Mutation::LogLaneUnwaited => &[LOG_LANE],
        Mutation::FlushFailureForgotten | Mutation::FlushBesideBelieved => &[FLUSH_FAILED],
        Mutation::CommitAwaitedBelieved => &[COMMIT_FAILED],
        Mutation::SizeLeftUncounted => &[SIZE_LEFT],
        Mutation::LaneEndsShifted => &[LANE_HOLE],
        Mutation::FailureToldToOne => &[TOLD_BOTH],
        Mutation::FailureGoneWithItsOpener => &[TOLD_LATER],
        Mutation::LoggedUnsettled => &[SIZE_ARRIVED],
        Mutation::SizeHeldBack => &[LOG_SETTLED, SIZE_OF_PAGE, SIZE_OF_EXTENT, SIZE_OF_VOLUME],
        Mutation::LogRewriteFailureDropped => &[LOG_SECOND],
        Mutation::LoggedPageForgotten => &[LOG_AGAIN],
        Mutation::LoggedRefusalKept => &[LOG_REFUSED],
        Mutation::LogUnderWayUnwaited => &[LOG_UNDER_WAY],
        Mutation::LoggedHomeUnsaid => &[LOG_HOME],
        Mutation::RewrittenFailureUnsaid => &[REWRITTEN],
        Mutation::LogMagicUnmasked => &[LOG_FORGED],
        Mutation::LogStaleBelieved => &[LOG_STALE],
        Mutation::LogEndUnsaid => &[LOG_END],
    }
}

/// What a child is told with.
const MUTATION: &str = "DELALLOC_MUTATION";
const CHILD: &str = "DELALLOC_MUTATION_CHILD";
/// Nothing is broken.
const NOTHING: &str = "nothing";
/// A child that saw something.
const SEEN: u8 = 3;
/// A child that takes longer hangs: each detector takes seconds.
const CHILD_TIME_MAX: Duration = Duration::from_secs(180);
/// So much of what a child says is printed. All that it says fits a pipe, which is read when it has ended.
const HOW_CHARS_MAX: usize = 110;
/// How often it is asked whether it is over.
const CHILD_TICK: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    if let Ok(names) = env::var(CHILD) {
        return child(&names);
    }
    let only = env::var(MUTATION).ok();
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let mut wrong = 0;
    println!("{:<22} {:<14} {:>7}  how", "broken", "seen by", "cases");
    if wanted(NOTHING) {
        wrong += u32::from(!row(NOTHING, &DETECTORS, Ended::Green));
    }
    for &mutation in Mutation::ALL {
        let name = format!("{mutation:?}");
        if wanted(&name) {
            wrong += u32::from(!row(&name, detectors_of(mutation), Ended::Red));
        }
    }
    println!("mutations: {} wrong={wrong}", Mutation::ALL.len());
    ExitCode::from(u8::from(wrong > 0))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Green,
    Red,
}

/// Runs one child and prints its row; true if it ended as expected.
fn row(broken: &str, detectors: &[Detector], expected: Ended) -> bool {
    let (ended, said) = run_child(broken, detectors);
    let field = |name: &str| {
        let line = said.lines().rev().find_map(|line| line.strip_prefix(name));
        line.unwrap_or("-").trim().to_owned()
    };
    let by = match ended {
        Ended::Green => "nobody".to_owned(),
        Ended::Red => field("detector"),
    };
    let as_expected = ended == expected;
    let how = field("how");
    let verdict = if as_expected { "" } else { "  <-- WRONG" };
    println!(
        "{broken:<22} {by:<14} {:>7}  {how}{verdict}",
        field("cases")
    );
    as_expected
}

fn run_child(broken: &str, detectors: &[Detector]) -> (Ended, String) {
    let names: Vec<&str> = detectors.iter().map(|(name, _)| *name).collect();
    let mut child = Command::new(env::current_exe().expect("this binary is a file"))
        .env(MUTATION, broken)
        .env(CHILD, names.join(","))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process starts");
    let mut ticks_left = CHILD_TIME_MAX.as_millis() / CHILD_TICK.as_millis();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            break Some(status);
        }
        if ticks_left == 0 {
            child.kill().expect("a child can be ended");
            child.wait().expect("a child that was ended ends");
            break None;
        }
        ticks_left -= 1;
        pause(CHILD_TICK);
    };
    let mut said = String::new();
    let mut output = child.stdout.take().expect("it was piped");
    output.read_to_string(&mut said).expect("a child says text");
    match status {
        Some(status) if status.success() => (Ended::Green, said),
        Some(status) => {
            if !said.contains("\nhow") {
                said.push_str(&format!("\nhow {status}\n"));
            }
            (Ended::Red, said)
        }
        None => {
            said.push_str("\nhow it hangs\n");
            (Ended::Red, said)
        }
    }
}

fn child(names: &str) -> ExitCode {
    let broken = env::var(MUTATION).expect("a child is told what is broken");
    let mutation = Mutation::ALL
        .iter()
        .find(|mutation| format!("{mutation:?}") == broken);
    assert!(mutation.is_some() || broken == NOTHING, "{broken}?");
    panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        let how = text.lines().skip(1).collect::<Vec<_>>().join(" ");
        let how: String = how.chars().take(HOW_CHARS_MAX).collect();
        println!("cases {}\nhow {how}", detect::cases());
        std::process::exit(i32::from(SEEN));
    }));
    mutation::set(mutation.copied());
    for name in names.split(',') {
        println!("detector {name}");
        let found = DETECTORS.iter().find(|(known, _)| *known == name);
        found.expect("a detector of this name").1();
    }
    println!("cases {}\nhow green", detect::cases());
    ExitCode::SUCCESS
}
