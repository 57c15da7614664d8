//! Ranks drawn by Zipf's law: rank k of n in proportion to 1 / k^theta.
//!
//! Rejection-inversion after Hoermann and Derflinger (1996): exact for every exponent from 0 up and every n, in constant time
//! and memory. The usual shortcut, a sum over the first few million ranks, was refused: it is wrong beyond them, and
//! a region of a terabyte has 268 million pages.

use crate::random::Dice;

/// The law for one n and theta.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    ranks: u64,
    theta: f64,
    integral_first: f64,
    integral_last: f64,
    accept: f64,
}

impl Zipf {
    pub(crate) fn new(ranks: u64, theta: f64) -> Self {
        assert!(ranks > 0, "ranks of nothing");
        let mut law = Self {
            ranks,
            theta,
            integral_first: 0.0,
            integral_last: 0.0,
            accept: 0.0,
        };
        law.integral_first = law.integral(1.5) - 1.0;
        law.integral_last = law.integral(ranks as f64 + 0.5);
        law.accept = 2.0 - law.inverse(law.integral(2.5) - law.density(2.0));
        law
    }

    /// A rank from 0; 0 is the most wanted.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to 1..=ranks before; ranks beyond 2^53 lose their last bits"
    )]
    pub(crate) fn draw(&self, dice: &mut Dice) -> u64 {
        loop {
            let u = self.integral_last + dice.unit() * (self.integral_first - self.integral_last);
            let x = self.inverse(u);
            let rank = (x + 0.5).clamp(1.0, self.ranks as f64).floor();
            if rank - x <= self.accept || u >= self.integral(rank + 0.5) - self.density(rank) {
                return (rank as u64).clamp(1, self.ranks) - 1;
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        libm::exp(-self.theta * libm::log(x))
    }

    /// The area under the density, up to a constant.
    fn integral(&self, x: f64) -> f64 {
        let log = libm::log(x);
        exp_m1_over((1.0 - self.theta) * log) * log
    }

    fn inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.theta)).max(-1.0);
        libm::exp(ln_1p_over(t) * area)
    }
}

/// (e^x - 1) / x, also at 0.
fn exp_m1_over(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        libm::expm1(x) / x
    } else {
        1.0 + x * 0.5
    }
}

/// ln(1 + x) / x, also at 0.
fn ln_1p_over(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        libm::log1p(x) / x
    } else {
        1.0 - x * 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(ranks: u64, theta: f64, draws: u32) -> Vec<u32> {
        let law = Zipf::new(ranks, theta);
        let mut dice = Dice::new(&[11]);
        let mut counts = vec![0; usize::try_from(ranks).unwrap()];
        for _ in 0..draws {
            counts[usize::try_from(law.draw(&mut dice)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn the_shares_are_those_of_the_law() {
        for theta in [0.0, 0.5, 0.99, 1.0, 1.1, 2.0] {
            let draws = 400_000;
            let counts = histogram(1000, theta, draws);
            let sum: f64 = (1..=1000).map(|k| f64::from(k).powf(-theta)).sum();
            for rank in [1u32, 2, 3, 10, 100, 500] {
                let expected = f64::from(rank).powf(-theta) / sum * f64::from(draws);
                let found = f64::from(counts[rank as usize - 1]);
                let slack = 5.0 * expected.sqrt() + 1.0;
                assert!(
                    (found - expected).abs() < slack,
                    "theta {theta} rank {rank}: {found} for {expected}"
                );
            }
        }
    }

    #[test]
    fn one_rank_is_always_drawn() {
        assert_eq!(histogram(1, 1.1, 100), [100]);
    }

    #[test]
    fn a_large_space_is_reached_to_its_end() {
        let law = Zipf::new(1 << 40, 0.2);
        let mut dice = Dice::new(&[12]);
        let highest = (0..10_000).map(|_| law.draw(&mut dice)).max().unwrap();
        assert!(highest > (1 << 40) - (1 << 34), "{highest}");
        assert!(highest < 1 << 40);
    }
}
