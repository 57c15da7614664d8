//! What the harness must notice.
//!
//! A target that loses, tears or flips writes must be caught, whatever the timing looks like. And a
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

const STALL: Duration = Duration::from_millis(300);

#[test]
fn a_stall_shows_in_the_response_of_everybody_behind_it() {
    let workload = "version: 1
name: stall
targets: { nothing: { null: {} } }
files: { table: { size: 1MiB } }
phases:
  - name: serve
    jobs: [ { write: table, pattern: random, block: 4KiB, rate: 1000/s, ops: 800 } ]
";
    let record = replay(workload, Lie::Stall(200, STALL)).record;
    let write = &record.cells[0].phases[0].ops[0];
    let stall_ns = u64::try_from(STALL.as_nanos()).unwrap();
    assert_eq!(write.count, 800);
    // Some 300 of 800 were due during the stall, the first of them waited for nearly all of it.
    assert!(write.response.ns_p90 > stall_ns / 3, "{:?}", write.response);
    assert!(write.response.ns_max >= stall_ns);
    assert!(write.service.ns_p90 < stall_ns / 3, "{:?}", write.service);
    assert!(record.cells[0].counters["schedule.busy_share"] > 0.2);
}
