//! Many seeds, each a volume of its own, on a few threads; and a watch over them, because a volume
//! that waits for ever fails no comparison.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use delalloc_backends::{Clock, OsClock};

use super::ops::{Ops, Step};
use super::report::{self, Mismatch};
use super::run::{Counts, drive};
use super::setup::{Setup, of_seed};
use super::shrink::shrink;

/// Without a step for so long, a volume hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// Sequences tried on the way to a shorter one, and the time for it.
const SHRINK_TRIES_MAX: usize = 1500;
const SHRINK_NS_MAX: u64 = 60_000_000_000;
/// How often a sequence is run before it counts as good.
const SHRINK_RUNS: usize = 3;

/// The first `steps` of a seed on its setup, or the whole report of the failure.
pub(crate) fn seed(seed: u64, steps: u64, done: &AtomicU64) -> Result<Counts, String> {
    let setup = of_seed(seed);
    sequence(seed, &setup, steps, done)
}

/// The same on a setup that the seed does not choose.
pub(crate) fn sequence(
    seed: u64,
    setup: &Setup,
    steps: u64,
    done: &AtomicU64,
) -> Result<Counts, String> {
    let ops = || Ops::new(seed, setup).take(usize::try_from(steps).expect("a count"));
    drive(setup, ops(), done).map_err(|mismatch| {
        eprintln!("seed {seed}: {}; looking for fewer steps", mismatch.what);
        let number = mismatch.number;
        let steps: Vec<Step> = ops().take_while(|step| step.number <= number).collect();
        let (minimal, mismatch) = minimal(setup, steps, *mismatch, done);
        report::failure(seed, setup, &mismatch, &minimal)
    })
}

fn minimal(
    setup: &Setup,
    steps: Vec<Step>,
    first: Mismatch,
    done: &AtomicU64,
) -> (Vec<Step>, Mismatch) {
    let mut last = first;
    let clock = OsClock::new();
    let began = clock.now();
    let minimal = shrink(steps, SHRINK_TRIES_MAX, |steps| {
        let run = |last: &mut Mismatch| match drive(setup, steps.iter().copied(), done) {
            Ok(_) => false,
            Err(mismatch) => {
                last.what = mismatch.what;
                last.number = mismatch.number;
                true
            }
        };
        clock.now().ns_since(began) < SHRINK_NS_MAX && (0..SHRINK_RUNS).any(|_| run(&mut last))
    });
    (minimal, last)
}

/// What each setup did, and how long that took.
pub(crate) type Totals = BTreeMap<&'static str, (Counts, u64)>;

/// Seeds from `first` on until `steps` are done, at most `steps_each` of each, on `threads`.
///
/// # Panics
/// At the first failure, with its report.
pub(crate) fn run(first: u64, seeds: u64, steps_each: u64, threads: usize) -> Totals {
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let left = AtomicUsize::new(threads);
    let totals = std::sync::Mutex::new(Totals::new());
    let clock = OsClock::new();
    let watched: Vec<(AtomicU64, AtomicU64)> = (0..threads).map(|_| Default::default()).collect();
    std::thread::scope(|scope| {
        for (own_seed, done) in &watched {
            let (next, failed, left, totals) = (&next, &failed, &left, &totals);
            let clock = &clock;
            scope.spawn(move || {
                let _leaves = Leaves(left);
                while !failed.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + seeds {
                        return;
                    }
                    own_seed.store(number, Ordering::Relaxed);
                    let began = clock.now();
                    match seed(number, steps_each, done) {
                        Ok(counts) => add(totals, number, counts, clock.now().ns_since(began)),
                        Err(report) => {
                            failed.store(true, Ordering::Relaxed);
                            panic!("{report}");
                        }
                    }
                }
            });
        }
        watch(&watched, &left);
    });
    totals.into_inner().expect("nobody panicked with it")
}

struct Leaves<'l>(&'l AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add(totals: &std::sync::Mutex<Totals>, seed: u64, counts: Counts, ns: u64) {
    let mut totals = totals.lock().expect("nobody panicked with it");
    let (sum, ns_sum) = totals.entry(of_seed(seed).name).or_default();
    *ns_sum += ns;
    sum.steps += counts.steps;
    sum.refused += counts.refused;
    sum.reopened += counts.reopened;
    sum.written_bytes += counts.written_bytes;
    sum.read_bytes += counts.read_bytes;
}

/// Ends the process where one of `watched` makes no step any more: its thread cannot be ended.
fn watch(watched: &[(AtomicU64, AtomicU64)], left: &AtomicUsize) {
    let mut seen: Vec<(u64, Duration)> = vec![Default::default(); watched.len()];
    while left.load(Ordering::Relaxed) > 0 {
        std::thread::park_timeout(LOOKS_EVERY);
        for ((seed, done), (before, still)) in watched.iter().zip(&mut seen) {
            let now = done.load(Ordering::Relaxed);
            *still = if now == *before {
                *still + LOOKS_EVERY
            } else {
                Duration::ZERO
            };
            *before = now;
            if *still > HANGS_AFTER && left.load(Ordering::Relaxed) == watched.len() {
                eprintln!("seed {} hangs", seed.load(Ordering::Relaxed));
                std::process::exit(101);
            }
        }
    }
}
