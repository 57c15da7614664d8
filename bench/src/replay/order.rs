//! In which order the cells of a run are replayed.
//!
//! A machine drifts: caches fill, neighbours come and go, a device slows down when it is full. Cells
//! that follow each other see the same machine, so what will be compared is kept together: a round
//! is a whole pass over the grid; within it, the targets of one point are neighbours. Points, and
//! targets within a point, are shuffled anew in each round, so that nobody always goes first. The
//! refused alternative, all rounds of a cell in a row, measures the drift.
//!
//! The order is a pure function of the seed and the sizes.

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

/// Every cell once.
pub fn interleaved(seed: u64, rounds: u32, points: usize, targets: usize) -> Vec<Place> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut places = Vec::new();
    for round in 0..rounds {
        for point in shuffled(points, &mut rng) {
            for target in shuffled(targets, &mut rng) {
                places.push(Place {
                    round,
                    point,
                    target,
                });
            }
        }
    }
    places
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
