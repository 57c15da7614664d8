//! Long random sequences of every operation on volumes of every kind, against a model in memory.
//!
//! Proves: whatever is done in whatever order, on which knobs ever, a volume holds what was written
//! and nothing else, in memory, after it is opened again, and on the device. By default a few seconds
//! of it. `DELALLOC_OPS` says how many operations, `DELALLOC_SEED` runs one seed again.
//! `scripts/exercise-long` is the long form. The seed of a failure, what had touched the bytes that
//! differ, and the shortest sequence that was found to fail are in its message.

#[path = "exerciser/mod.rs"]
mod exerciser;
mod support;

use std::sync::atomic::AtomicU64;

use exerciser::run::Counts;
use exerciser::{fleet, setup};

/// Operations of one volume before the next seed begins.
const STEPS_EACH_MAX: u64 = 50_000;
const OPS_DEFAULT: u64 = 60_000;
const THREADS: usize = 2;

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
    let threads = std::thread::available_parallelism().map_or(THREADS, usize::from);
    let totals = fleet::run(0, seeds, ops.div_ceil(seeds), threads.max(THREADS));
    let mut sum = Counts::default();
    for (name, counts) in &totals {
        println!(
            "{:>10} operations, {:>8} refused, {:>6} reopened, {:>6} MiB written, {:>6} MiB read: {name}",
            counts.steps,
            counts.refused,
            counts.reopened,
            counts.written_bytes >> 20,
            counts.read_bytes >> 20
        );
        sum.steps += counts.steps;
    }
    println!("{:>10} operations in all, 0 mismatches", sum.steps);
    assert_eq!(totals.len() as u64, setups, "every setup had its turn");
    assert!(sum.steps >= ops);
}
