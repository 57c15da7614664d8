//! A volume against a map of byte arrays: a few hundred random operations for each codec, each pool
//! and order, and caches so small that eviction and throttling happen, with reopening in between. The
//! seed of a failure is in its message, with the steps that were enough for it.
//!
//! Quick and in the same order each time; the long form of it is `exerciser`.

#[path = "exerciser/mod.rs"]
mod exerciser;
mod support;

use std::sync::atomic::AtomicU64;

use exerciser::fleet;
use exerciser::setup::{self, Setup};

/// `seeds` sequences of `steps` on each of `setups`; seeds begin at `first`.
fn run(first: u64, seeds: u64, steps: u64, setups: &[Setup]) {
    for (index, setup) in setups.iter().enumerate() {
        let first = first + 100 * index as u64;
        for seed in first..first + seeds {
            fleet::sequence(seed, setup, steps, &AtomicU64::new(0))
                .unwrap_or_else(|report| panic!("{report}"));
        }
    }
}

#[test]
fn every_codec() {
    run(1000, 3, 400, &setup::codecs());
}

#[test]
fn every_pool_and_order() {
    run(10_000, 1, 400, &setup::pools());
}

#[test]
fn caches_too_small_for_the_files_and_extents_of_other_sizes() {
    run(20_000, 3, 400, &setup::bounds());
}

#[test]
fn trees_of_several_levels() {
    run(30_000, 2, 400, &setup::nodes());
}

#[test]
fn devices_that_fill() {
    run(40_000, 2, 400, &setup::fullness());
}
