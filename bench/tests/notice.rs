//! What the harness must notice.
//!
//! A target that loses, tears or flips writes, or loses a size, must be caught, whatever the timing looks like. And a
//! stall in an open loop belongs to everybody who was due meanwhile: a harness that measures from
//! when it got round to an operation would report a single slow one.

#[path = "support/memory.rs"]
mod memory;

use std::time::Duration;

use delalloc_results::ExitCode;
use memory::{Lie, replay};

const WORKLOAD: &str = "version: 1
name: liar
targets: { nothing: { null: {} } }
files: { table: { size: 1MiB } }
phases:
  - name: load
    jobs: [ { write: table, pattern: sequential, block: 64KiB } ]
  - name: churn
    jobs: [ { mix: { read: 50, write: 50 }, file: table, pattern: random, block: 4KiB, ops: 300, clients: 3 } ]
";

#[test]
fn an_honest_target_passes() {
    assert_eq!(
        replay(WORKLOAD, Lie::None).verdict.exit.code,
        ExitCode::Good
    );
}

#[test]
fn every_lie_ends_with_4() {
    for lie in [Lie::Forget(7), Lie::Tear(16), Lie::Flip(3), Lie::ForgetCut] {
        let exit = replay(WORKLOAD, lie).verdict.exit;
        assert_eq!(
            exit.code,
            ExitCode::Failed,
            "{lie:?} was not caught: {}",
            exit.reason
        );
    }
}

#[test]
fn a_lost_size_is_noticed_where_the_file_ends_with_a_hole() {
    let workload = "version: 1
name: sizes
targets: { nothing: { null: {} } }
files: { grown: {}, punched: { size: 1MiB } }
phases:
  - name: fill
    jobs: [ { append: grown, block: 4KiB, ops: 1 }, { write: punched, block: 64KiB } ]
  - name: change
    jobs: [ { truncate: grown, to: 1MiB }, { trim: punched, offset: 512KiB, block: 64KiB } ]
";
    for (lie, mismatches) in [(Lie::None, 0), (Lie::IgnoreGrowth, 1), (Lie::EndAtData, 2)] {
        let finished = replay(workload, lie);
        let cell = &finished.record.cells[0];
        assert_eq!(
            (cell.verification.mismatches, &cell.fault),
            (mismatches, &None),
            "{lie:?}"
        );
        if mismatches > 0 {
            let exit = finished.verdict.exit;
            assert_eq!(exit.code, ExitCode::Failed, "{lie:?}");
            assert!(
                exit.reason.contains("size 4096, expected 1048576"),
                "{lie:?}: {}",
                exit.reason
            );
        }
    }
}

/// A stall of one second in six, at 1000 operations a second: what is due at its beginning waits for all of
/// it, so of a hundred operations of the run the worst waits for nine tenths and more.
#[test]
fn a_stall_is_in_the_p99_of_what_was_due_and_not_of_what_was_issued() {
    const STALL: Duration = Duration::from_secs(1);
    let workload = "version: 1
name: stall
targets: { nothing: { null: {} } }
files: { table: { size: 1MiB } }
phases:
  - name: serve
    jobs: [ { write: table, pattern: random, block: 4KiB, rate: 1000/s, ops: 6000 } ]
";
    let record = replay(workload, Lie::Stall(300, STALL)).record;
    let phase = &record.cells[0].phases[0];
    let write = &phase.ops[0];
    let schedule = phase.schedule.as_ref().expect("it has a schedule");
    assert_eq!(
        (write.count, write.service.count, schedule.due),
        (6000, 6000, 6000)
    );
    let stall_ns = u64::try_from(STALL.as_nanos()).unwrap();
    let response_ns = write.response.ns_p99;
    assert!(
        response_ns >= stall_ns / 10 * 9,
        "{response_ns} of {stall_ns}"
    );
    // Nobody waits longer than for the stall, every other operation, and the generator.
    let served_ns = write.service.ns_mean * write.service.count as f64;
    let waited_ns_max = served_ns * 1.01 + schedule.late.ns_max as f64 * 1.01;
    assert!((response_ns as f64) <= waited_ns_max, "{response_ns}");
    assert!(write.service.ns_p99 < 1_000_000, "{:?}", write.service);
    assert!(
        schedule.busy_share() > 0.1,
        "a sixth was due during the stall: {schedule:?}"
    );
}
