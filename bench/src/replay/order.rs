//! In which order the cells of a run are replayed.
//!
//! A machine drifts: caches fill, neighbours come and go, a device slows down when it is full. Cells
//! that follow each other see the same machine, so what will be compared is kept together: a round
//! is a whole pass over the grid; within it, the targets of one point are neighbours. Points, and
//! targets within a point, are shuffled anew in each round, so that nobody always goes first. The
//! refused alternative, all rounds of a cell in a row, measures the drift.
//!
//! A target without knobs does the same at every point of one load. It is run once for each load and round, beside a
//! point drawn anew each time.
//!
//! The order is a pure function of the seed and the sizes.

use std::collections::HashSet;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// One cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which round, from 0.
    pub round: u32,
    /// Index of the sweep point.
    pub point: usize,
    /// Index of the target.
    pub target: usize,
}

/// Every cell once. `loads` is what each point replays, `have_knobs` says it of each target.
pub fn interleaved(seed: u64, rounds: u32, loads: &[usize], have_knobs: &[bool]) -> Vec<Place> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut places = Vec::new();
    for round in 0..rounds {
        // At which point of its load each target without knobs is run.
        let hosts: Vec<HashSet<usize>> = have_knobs
            .iter()
            .map(|has_knobs| match has_knobs {
                true => HashSet::new(),
                false => one_of_each(loads, &mut rng),
            })
            .collect();
        for point in shuffled(loads.len(), &mut rng) {
            for target in shuffled(have_knobs.len(), &mut rng) {
                if have_knobs[target] || hosts[target].contains(&point) {
                    places.push(Place {
                        round,
                        point,
                        target,
                    });
                }
            }
        }
    }
    places
}

/// A point of each load.
fn one_of_each(loads: &[usize], rng: &mut impl Rng) -> HashSet<usize> {
    let mut seen = HashSet::new();
    let points = shuffled(loads.len(), rng).into_iter();
    points.filter(|point| seen.insert(loads[*point])).collect()
}

/// 0..`count` in random order (Fisher and Yates).
pub fn shuffled(count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let bound = last as u64 + 1;
        let pick = usize::try_from(rng.next_u64() % bound).expect("below a usize");
        order.swap(last, pick);
    }
    order
}
