//! The order of cells: every cell once, rounds whole, points together, nobody always first.

use std::collections::HashSet;

use delalloc::replay::order::{Place, interleaved};

/// Two targets that have knobs.
const BOTH: [bool; 2] = [true; 2];

#[test]
fn every_cell_runs_once() {
    let places = interleaved(1, 3, &[0; 4], &BOTH);
    let different: HashSet<Place> = places.iter().copied().collect();
    assert_eq!((places.len(), different.len()), (24, 24));
}

#[test]
fn a_round_is_whole_before_the_next_begins() {
    let rounds: Vec<u32> = interleaved(9, 4, &[0; 3], &BOTH)
        .iter()
        .map(|place| place.round)
        .collect();
    assert!(rounds.is_sorted());
}

#[test]
fn targets_of_one_point_are_neighbours() {
    for pair in interleaved(5, 3, &[0; 5], &BOTH).chunks(2) {
        assert_eq!(
            (pair[0].point, pair[0].round),
            (pair[1].point, pair[1].round)
        );
        assert_ne!(pair[0].target, pair[1].target);
    }
}

#[test]
fn nobody_always_goes_first() {
    let places = interleaved(2, 40, &[0], &BOTH);
    let first = places.chunks(2).filter(|pair| pair[0].target == 0).count();
    assert!(
        (8..=32).contains(&first),
        "target 0 went first in {first} of 40 rounds"
    );
}

#[test]
fn the_seed_decides() {
    let with = |seed| interleaved(seed, 3, &[0, 0, 1, 1], &[true, false, true]);
    assert_eq!(with(3), with(3));
    assert_ne!(with(3), with(4));
}

#[test]
fn a_target_without_knobs_runs_once_for_each_load_and_not_always_at_the_same_point() {
    let loads = [0, 1, 0, 1, 0, 1];
    let places = interleaved(7, 40, &loads, &[true, false]);
    let mut hosts = HashSet::new();
    for round in 0..40 {
        let of = |target: usize| {
            let cells = places.iter().filter(move |place| place.round == round);
            cells.filter(move |place| place.target == target)
        };
        assert_eq!(of(0).count(), loads.len(), "at every point");
        let mut replayed: Vec<usize> = of(1).map(|place| loads[place.point]).collect();
        replayed.sort_unstable();
        assert_eq!(replayed, [0, 1], "once for each load");
        hosts.extend(of(1).map(|place| place.point));
    }
    assert_eq!(hosts.len(), loads.len());
}
