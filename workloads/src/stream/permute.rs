//! A permutation of 0..n that needs no memory: each place once, in an order that looks random.
//!
//! A Feistel network on the next even number of bits is a bijection whatever its round function is; results outside 0..n are put
//! through again until they fall inside, which takes four turns at most on average.

use crate::random::{mix, mix_all};

const ROUNDS: usize = 4;

/// One permutation.
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    places: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    pub(crate) fn new(places: u64, seed: &[u64]) -> Self {
        assert!(places > 0, "a permutation of nothing");
        let bits = 64 - (places - 1).leading_zeros();
        let seed = mix_all(seed);
        Self {
            places,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|round| mix_all(&[seed, round as u64])),
        }
    }

    /// Where `index` goes.
    pub(crate) fn at(&self, index: u64) -> u64 {
        debug_assert!(index < self.places, "{index} of {}", self.places);
        let mut place = index;
        loop {
            place = self.turn(place);
            if place < self.places {
                return place;
            }
        }
    }

    fn turn(&self, x: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_comes_once() {
        for places in [1u64, 2, 3, 7, 64, 65, 1000, 4097] {
            let order = Permutation::new(places, &[5]);
            let mut seen: Vec<u64> = (0..places).map(|index| order.at(index)).collect();
            if places > 60 {
                assert_ne!(seen, (0..places).collect::<Vec<u64>>());
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..places).collect::<Vec<u64>>());
        }
    }
}
