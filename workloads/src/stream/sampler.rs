//! Values drawn from a distribution: think times, file sizes.
//!
//! Exponential by inversion; normal after Box and Muller 1958 (`random`); lognormal as its exponential. What is
//! outside the bounds of a law is drawn again, which the language says of each.

use crate::plan::Distribution;
use crate::random::{Dice, Weights};

/// Draws of one distribution.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    law: Distribution,
    /// Of a weighted one.
    weights: Option<Weights>,
}

impl Sampler {
    pub(crate) fn new(law: &Distribution) -> Self {
        let weights = match law {
            Distribution::Weighted(values) => {
                Some(Weights::new(values.iter().map(|value| value.weight)))
            }
            _ => None,
        };
        Self {
            law: law.clone(),
            weights,
        }
    }

    /// A value.
    pub(crate) fn draw(&self, dice: &mut Dice) -> u64 {
        match &self.law {
            Distribution::Fixed(value) => *value,
            Distribution::Uniform { from, to } => from + dice.below((to - from).saturating_add(1)),
            Distribution::Exponential { mean, max } => {
                below(*max, || *mean as f64 * dice.exponential())
            }
            Distribution::Normal { mean, deviation } => below(mean.saturating_mul(2), || {
                *mean as f64 + *deviation as f64 * dice.normal()
            }),
            Distribution::LogNormal { median, sigma, max } => {
                below(*max, || *median as f64 * libm::exp(sigma * dice.normal()))
            }
            Distribution::Weighted(values) => {
                let weights = self.weights.as_ref().expect("made with the law");
                values[weights.pick(dice.bits())].value
            }
        }
    }
}

/// The first draw from 0 to `max`, rounded. Each law keeps at least half of what it draws below its bound.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and a bound, by the test before"
)]
fn below(max: u64, mut draw: impl FnMut() -> f64) -> u64 {
    loop {
        let value = draw().round();
        if (0.0..=max as f64).contains(&value) {
            return (value as u64).min(max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::WeightedValue;

    fn draws(law: &Distribution) -> Vec<f64> {
        let sampler = Sampler::new(law);
        let mut dice = Dice::new(&[41]);
        let mut all: Vec<f64> = (0..200_000)
            .map(|_| sampler.draw(&mut dice) as f64)
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn laws_have_their_moments_and_bounds() {
        let uniform = draws(&Distribution::Uniform {
            from: 1000,
            to: 3000,
        });
        assert_eq!((uniform[0], uniform[199_999]), (1000.0, 3000.0));
        assert!((mean(&uniform) - 2000.0).abs() < 5.0);
        let exponential = draws(&Distribution::Exponential {
            mean: 1_000_000,
            max: 100_000_000,
        });
        assert!((mean(&exponential) / 1e6 - 1.0).abs() < 0.01);
        assert!((exponential[100_000] / 1e6 - std::f64::consts::LN_2).abs() < 0.01);
        let normal = draws(&Distribution::Normal {
            mean: 1_000_000,
            deviation: 100_000,
        });
        assert!((mean(&normal) / 1e6 - 1.0).abs() < 0.002);
        let lognormal = draws(&Distribution::LogNormal {
            median: 8192,
            sigma: 1.5,
            max: 1 << 20,
        });
        assert!((lognormal[100_000] / 8192.0 - 1.0).abs() < 0.02);
        assert!(lognormal[199_999] <= f64::from(1 << 20));
        let weighted = draws(&Distribution::Weighted(vec![
            WeightedValue {
                value: 1,
                weight: 3.0,
            },
            WeightedValue {
                value: 9,
                weight: 1.0,
            },
        ]));
        assert!((mean(&weighted) - 3.0).abs() < 0.03);
        assert_eq!(draws(&Distribution::Fixed(7))[0], 7.0);
    }
}
