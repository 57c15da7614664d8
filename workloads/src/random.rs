//! Randomness of the crate: one generator, one mixer, and how seeds of parts come from the seed of the whole.
//!
//! The golden tests pin what both give: a workload of last year has to give the operations of last year. So that another
//! machine gives them too, logarithms and powers here are libm's, never those of the system.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Spreads every bit of `x` over all of the result; a bijection (the finaliser of splitmix64).
pub(crate) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One number from several, order included.
pub(crate) fn mix_all(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, part| {
        mix(sum.rotate_left(23) ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    })
}

/// A number that stands for a name.
pub(crate) fn name_hash(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes())
}

/// A generator of its own for the part that `parts` name.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn new(parts: &[u64]) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(mix_all(parts)))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `n`. The bias is below n / 2^64, which no workload can see.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(n);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits fits in 64")
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean 1: the inverse of its distribution function.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - self.unit())
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958, "A Note on the Generation of Random Normal Deviates"; one of
    /// the pair is used).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }
}

/// An index drawn by weight.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    /// Sums up to and with each index, scaled so that the last is 2^64 - 1.
    upto: Vec<u64>,
}

impl Weights {
    pub(crate) fn new(weights: impl Iterator<Item = f64> + Clone) -> Self {
        let all: f64 = weights.clone().sum();
        let mut sum = 0.0;
        let mut upto: Vec<u64> = weights
            .map(|weight| {
                sum += weight;
                scaled(sum / all)
            })
            .collect();
        *upto.last_mut().expect("weights of nothing") = u64::MAX;
        Self { upto }
    }

    /// The index whose share `bits` fall into.
    pub(crate) fn pick(&self, bits: u64) -> usize {
        if self.upto.len() == 1 {
            return 0;
        }
        self.upto.partition_point(|upto| *upto < bits)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share of 2^64, saturating at both ends"
)]
fn scaled(share: f64) -> u64 {
    (share * u64::MAX as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept() {
        let weights = Weights::new([70.0, 20.0, 10.0].into_iter());
        let mut dice = Dice::new(&[7]);
        let mut counts = [0u32; 3];
        for _ in 0..100_000 {
            counts[weights.pick(dice.bits())] += 1;
        }
        for (count, share) in counts.iter().zip([70_000.0, 20_000.0, 10_000.0]) {
            assert!((f64::from(*count) - share).abs() < 600.0, "{counts:?}");
        }
    }

    #[test]
    fn parts_make_different_generators() {
        assert_ne!(Dice::new(&[1, 2]).bits(), Dice::new(&[2, 1]).bits());
        assert_ne!(Dice::new(&[1]).bits(), Dice::new(&[1, 0]).bits());
    }
}
