//! Long random sequences of every operation on volumes of every kind, against a model in memory.
//!
//! Proves: whatever is done in whatever order, on whatever knobs, a volume holds what was written and
//! nothing else: in memory, after it is opened again, and on the device. By default a few seconds of
//! it; `DELALLOC_OPS` says how many operations, `DELALLOC_SEED` runs one seed again, and
//! `scripts/exercise-long` is the long form. The message of a failure has its seed, what had touched
//! the bytes that differ, and the shortest sequence that was found to fail as well.
//!
//! Sequences that failed once are here too, and proof that a device which loses bytes is noticed.

#[path = "exerciser/mod.rs"]
mod exerciser;
mod support;

use std::sync::atomic::AtomicU64;

use delalloc_backends::FaultAction;
use exerciser::content::Fill;
use exerciser::ops::{Op, Reopen, Step};
use exerciser::run::{Counts, drive};
use exerciser::setup::{self, Setup};
use exerciser::shrink::shrink;
use exerciser::{fleet, report};

/// Operations of one volume before the next seed begins.
const STEPS_EACH_MAX: u64 = 50_000;
const OPS_DEFAULT: u64 = 37_000;
const THREADS_MIN: usize = 2;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

#[test]
fn random_operations_match_the_model() {
    if let Some(seed) = number("DELALLOC_SEED") {
        let counts = fleet::seed(seed, STEPS_EACH_MAX, &AtomicU64::new(0));
        let counts = counts.unwrap_or_else(|report| panic!("{report}"));
        println!("seed {seed}: {counts:?}");
        return;
    }
    let ops = number("DELALLOC_OPS").unwrap_or(OPS_DEFAULT);
    let setups = setup::all().len() as u64;
    // Every setup has as many seeds as any other.
    let rounds = ops.div_ceil(setups * STEPS_EACH_MAX);
    let seeds = rounds * setups;
    let threads = std::thread::available_parallelism().map_or(THREADS_MIN, usize::from);
    let totals = fleet::run(0, seeds, ops.div_ceil(seeds), threads.max(THREADS_MIN));
    let mut sum = Counts::default();
    for (name, (counts, ns)) in &totals {
        println!(
            "{:>9} operations, {:>6} /s, {:>7} refused, {:>6} reopened, {:>6} MiB written, {:>7} MiB read: {name}",
            counts.steps,
            counts.steps * 1_000_000_000 / ns.max(&1),
            counts.refused,
            counts.reopened,
            counts.written_bytes >> 20,
            counts.read_bytes >> 20
        );
        sum.steps += counts.steps;
    }
    println!("{:>9} operations in all, 0 mismatches", sum.steps);
    assert_eq!(totals.len() as u64, setups, "every setup had its turn");
    assert!(sum.steps >= ops);
}

fn steps(ops: &[Op]) -> Vec<Step> {
    (1..)
        .zip(ops)
        .map(|(number, &op)| Step { number, op })
        .collect()
}

fn holds(setup: &Setup, ops: &[Op]) -> Counts {
    let steps = steps(ops);
    drive(setup, steps.iter().copied(), &AtomicU64::new(0))
        .unwrap_or_else(|mismatch| panic!("{}", report::failure(0, setup, &mismatch, &steps)))
}

fn write(slot: usize, offset: u64, len: u64, fill: Fill) -> Op {
    Op::Write {
        slot,
        offset,
        len,
        fill,
    }
}

/// A volume of 1 MiB that stores raw.
fn small_volume() -> Setup {
    Setup::new("full", &[("compression.codec", "none")])
        .nodes(1024)
        .full(5 << 18)
}

/// A write over a gap first writes zeros behind the old end; a refused one left those as a longer file.
#[test]
fn a_refused_write_does_not_move_the_end_of_the_file() {
    let mut ops = vec![write(1, 524_288, 1, Fill::Noise)];
    for page in 0..256 {
        ops.push(write(0, page * 4096, 4096, Fill::Noise));
        if page > 100 && page % 8 == 0 {
            ops.push(write(1, 600_000, 500_000, Fill::Noise));
        }
    }
    assert!(holds(&small_volume(), &ops).refused > 0, "the device fills");
}

/// Zeros at one edge of a hole were there already when there was no room for those at the other.
#[test]
fn a_refused_punch_changes_nothing() {
    for before in 0..6 {
        let mut ops = vec![
            write(0, 0, 600_000, Fill::Noise),
            write(1, 0, before * 4096 + 1, Fill::Noise),
            Op::SyncVolume,
        ];
        for at in 0..48 {
            ops.push(Op::Append {
                slot: 2,
                len: 4096,
                fill: Fill::Noise,
            });
            ops.push(Op::Punch {
                slot: 0,
                start: at * 8192 + 10,
                end: at * 8192 + 8000,
            });
        }
        assert!(holds(&small_volume(), &ops).refused > 0, "the device fills");
    }
}

/// A batch larger than the whole cache had its frames asked for at once, which no cache can give.
#[test]
fn a_write_may_be_larger_than_the_cache() {
    let setup = Setup::new(
        "tiny cache",
        &[
            ("cache.bytes", "128KiB"),
            ("dirty.background", "0"),
            ("dirty.limit", "64KiB"),
            ("compression.item_bytes", "64KiB"),
            ("compression.extent_bytes", "16KiB"),
            ("read.ahead_max", "0"),
        ],
    );
    holds(
        &setup,
        &[
            write(0, 52_221, 900_000, Fill::Text),
            write(0, 4095, 300_001, Fill::Mixed),
            Op::Sync { slot: 0 },
        ],
    );
}

/// What a codec made of an extent could be more than an item of the tree can have checksums for.
#[test]
fn a_compressed_extent_may_be_longer_than_an_item_can_describe() {
    let knobs = &[
        ("compression.extent_bytes", "1MiB"),
        ("compression.item_bytes", "1MiB"),
        ("compression.heuristic", "false"),
    ];
    let ops = [write(0, 0, 1 << 20, Fill::Mixed), Op::SyncVolume];
    holds(&Setup::new("long extents", knobs), &ops);
    holds(&Setup::new("long extents", knobs).nodes(1024), &ops);
}

#[test]
fn a_device_that_loses_or_changes_a_write_is_noticed() {
    for action in [FaultAction::Lose, FaultAction::FlipBit] {
        let setup = Setup {
            fault: Some(action),
            ..Setup::new("faulty", &[])
        };
        let steps = steps(&[
            write(0, 0, 60_000, Fill::Noise),
            Op::DropCaches,
            Op::Read {
                slot: 0,
                offset: 0,
                len: 60_000,
            },
            Op::Reopen {
                how: Reopen::Close,
                held: false,
                knobs: 0,
            },
        ]);
        let mismatch = drive(&setup, steps.into_iter(), &AtomicU64::new(0))
            .expect_err("what is read is not what was written");
        assert_eq!(mismatch.number, 3, "{mismatch:?}");
        assert!(!mismatch.history.is_empty(), "{mismatch:?}");
    }
}

#[test]
fn shrinking_keeps_what_a_failure_needs_and_nothing_else() {
    let all = steps(&[Op::List; 100]);
    for needed in [&[40][..], &[1, 100], &[7, 8, 63]] {
        let fails = |steps: &[Step]| {
            let there = |number: &u32| steps.iter().any(|step| step.number == *number);
            needed.iter().all(there)
        };
        let kept: Vec<u32> = shrink(all.clone(), 10_000, fails)
            .iter()
            .map(|step| step.number)
            .collect();
        assert_eq!(kept, needed);
    }
}
