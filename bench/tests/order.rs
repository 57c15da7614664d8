//! The order of cells: every cell once, rounds whole, points together, nobody always first.

use std::collections::HashSet;

use delalloc::replay::order::{Place, interleaved};

#[test]
fn every_cell_runs_once() {
    let places = interleaved(1, 3, 4, 2);
    let different: HashSet<Place> = places.iter().copied().collect();
    assert_eq!((places.len(), different.len()), (24, 24));
}

#[test]
fn a_round_is_whole_before_the_next_begins() {
    let rounds: Vec<u32> = interleaved(9, 4, 3, 2)
        .iter()
        .map(|place| place.round)
        .collect();
    assert!(rounds.is_sorted());
}

#[test]
fn targets_of_one_point_are_neighbours() {
    for pair in interleaved(5, 3, 5, 2).chunks(2) {
        assert_eq!(
            (pair[0].point, pair[0].round),
            (pair[1].point, pair[1].round)
        );
        assert_ne!(pair[0].target, pair[1].target);
    }
}

#[test]
fn nobody_always_goes_first() {
    let places = interleaved(2, 40, 1, 2);
    let first = places.chunks(2).filter(|pair| pair[0].target == 0).count();
    assert!(
        (8..=32).contains(&first),
        "target 0 went first in {first} of 40 rounds"
    );
}

#[test]
fn the_seed_decides() {
    assert_eq!(interleaved(3, 3, 4, 3), interleaved(3, 3, 4, 3));
    assert_ne!(interleaved(3, 3, 4, 3), interleaved(4, 3, 4, 3));
}
