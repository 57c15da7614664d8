//! Percentile bootstrap over clusters: an interval for a typical effect, from independent units.
//!
//! The unit is the process pair or the ABBA block, never the slice within it: slices of one process share
//! its layout, its caches and its minute, and resampling them claims a precision that a second process
//! does not have. So a cluster arrives here as *one* number, and only clusters are drawn.
//!
//! The statistic is the median of the drawn clusters, so that one loud pair does not decide. The
//! generator is seeded and the seed is recorded: the same numbers give the same interval.
//!
//! A p-value is never below what so many clusters can say. Where every effect lies above a limit no redrawing leaves it,
//! however few they are; but an effect lies above the true median with one half, so n of them lie there by chance with
//! 2^-n, the smallest p of the sign test. Nothing is assumed for that but that clusters are independent.
//!
//! Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.

use super::median;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// How often clusters are redrawn for one number.
pub const RESAMPLES: usize = 10_000;
/// For each of many: twice what Holm's correction takes to stay below one half per cent.
const RESAMPLES_PER_NUMBER: usize = 400;
/// More numbers than this allows cannot be told from chance.
const RESAMPLES_MAX: usize = 200_000;

/// How often clusters are redrawn where so many numbers are judged together. No p-value is smaller than 1 in one more
/// than that, and it has to be below the level after it was multiplied by as many as there are numbers. That is
/// necessary and not enough: nor is it smaller than [`p_min`] of the clusters, however often they are redrawn.
#[must_use]
pub fn resamples_for(numbers: usize) -> usize {
    numbers
        .saturating_mul(RESAMPLES_PER_NUMBER)
        .clamp(RESAMPLES, RESAMPLES_MAX)
}

/// The smallest p-value that so many independent clusters support.
#[must_use]
pub fn p_min(clusters: usize) -> f64 {
    0.5_f64.powf(clusters as f64)
}

/// An effect with its uncertainty.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Median over clusters.
    pub centre: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Clusters it rests on.
    pub clusters: usize,
    /// Medians of the redrawn clusters, ascending.
    resampled: Vec<f64>,
}

impl Estimate {
    /// Half the width of the interval.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// One-sided p-value of "the effect is at most `limit`".
    #[must_use]
    pub fn p_above(&self, limit: f64) -> f64 {
        self.p(self.resampled.partition_point(|value| *value <= limit))
    }

    /// One-sided p-value of "the effect is at least `limit`".
    #[must_use]
    pub fn p_below(&self, limit: f64) -> f64 {
        let below = self.resampled.partition_point(|value| *value < limit);
        self.p(self.resampled.len() - below)
    }

    /// Of so many redrawn medians on the other side.
    fn p(&self, beyond: usize) -> f64 {
        let redrawn = (beyond + 1) as f64 / (self.resampled.len() + 1) as f64;
        redrawn.max(p_min(self.clusters))
    }
}

/// The median of `effects`, one per cluster, with the interval that holds it with `confidence` (0.99), from so many
/// `resamples` (`resamples_for`). None without a cluster, or where an effect is no number.
#[must_use]
pub fn cluster_bootstrap(
    effects: &[f64],
    confidence: f64,
    resamples: usize,
    seed: u64,
) -> Option<Estimate> {
    if effects.iter().any(|effect| !effect.is_finite()) {
        return None;
    }
    let centre = median(effects)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut drawn = vec![0.0; effects.len()];
    let mut resampled: Vec<f64> = (0..resamples)
        .map(|_| {
            for slot in &mut drawn {
                *slot = effects[below(&mut rng, effects.len())];
            }
            median(&drawn).expect("as many as there are effects")
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Some(Estimate {
        centre,
        low: quantile(&resampled, tail),
        high: quantile(&resampled, 1.0 - tail),
        clusters: effects.len(),
        resampled,
    })
}

/// The order statistic next outside `part`: an interval is rather too wide than too narrow.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = (sorted.len() - 1) as f64;
    let place = part * last;
    let place = if part < 0.5 {
        place.floor()
    } else {
        place.ceil()
    };
    #[expect(clippy::cast_possible_truncation, reason = "an index")]
    let index = place.clamp(0.0, last) as usize;
    sorted[index]
}

fn below(rng: &mut impl Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % bound as u64).expect("below a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_everywhere_has_no_width() {
        let estimate = cluster_bootstrap(&[0.05; 12], 0.99, RESAMPLES, 1).expect("clusters");
        assert_eq!(
            (estimate.centre, estimate.low, estimate.high),
            (0.05, 0.05, 0.05)
        );
        assert_eq!(estimate.half_width(), 0.0);
        // All 10,000 redrawn medians are above 0.03 and none above 0.05; twelve coins fall alike with 2^-12.
        assert_eq!(estimate.p_above(0.03), 1.0 / 4096.0);
        assert_eq!(estimate.p_below(0.07), 1.0 / 4096.0);
        let many = cluster_bootstrap(&[0.05; 20], 0.99, RESAMPLES, 1).expect("clusters");
        assert_eq!(many.p_above(0.03), 1.0 / 10_001.0);
        assert_eq!(estimate.p_above(0.05), 1.0);
        assert_eq!(estimate.p_below(0.05), 1.0);
    }

    #[test]
    fn three_clusters_give_the_probabilities_of_the_multinomial() {
        // Of the 27 draws of three from {1, 2, 3}, the median is 1 in 7, 2 in 13 and 3 in 7.
        let estimate = cluster_bootstrap(&[1.0, 2.0, 3.0], 0.99, RESAMPLES, 7).expect("clusters");
        assert!((estimate.p_above(1.0) - 7.0 / 27.0).abs() < 0.015);
        assert!((estimate.p_above(2.0) - 20.0 / 27.0).abs() < 0.015);
        assert_eq!((estimate.low, estimate.high), (1.0, 3.0));
    }

    #[test]
    fn a_seed_gives_one_interval_and_nothing_gives_none() {
        let effects: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7)).collect();
        let of = |seed| cluster_bootstrap(&effects, 0.99, RESAMPLES, seed);
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert_eq!(cluster_bootstrap(&[], 0.99, RESAMPLES, 1), None);
        assert_eq!(
            cluster_bootstrap(&[f64::NAN, 1.0], 0.99, RESAMPLES, 1),
            None
        );
    }

    /// Gauss by the sum of twelve uniforms: close enough within three deviations.
    fn gauss(rng: &mut Xoshiro256PlusPlus) -> f64 {
        (0..12)
            .map(|_| rng.next_u64() as f64 / u64::MAX as f64)
            .sum::<f64>()
            - 6.0
    }

    /// How many of `trials` intervals lie wholly above `limit`, and how many wholly below it.
    fn alarms(
        trials: u32,
        limit: f64,
        effects: impl Fn(&mut Xoshiro256PlusPlus) -> Vec<f64>,
    ) -> [u32; 2] {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
        let mut fired = [0, 0];
        for trial in 0..trials {
            let drawn = effects(&mut rng);
            let estimate =
                cluster_bootstrap(&drawn, 0.99, RESAMPLES, u64::from(trial)).expect("clusters");
            fired[0] += u32::from(estimate.low > limit);
            fired[1] += u32::from(estimate.high < limit);
        }
        fired
    }

    #[test]
    fn drawing_slices_claims_a_precision_that_drawing_processes_does_not() {
        // Each process has a bias of its own, far above the noise of its slices; no true difference.
        let pair = |rng: &mut Xoshiro256PlusPlus| -> Vec<f64> {
            let bias = 0.02 * gauss(rng);
            (0..8).map(|_| bias + 0.001 * gauss(rng)).collect()
        };
        let one = |rng: &mut _| median(&pair(rng)).expect("slices");
        let by_process: u32 = alarms(25, 0.0, |rng| (0..12).map(|_| one(rng)).collect())
            .iter()
            .sum();
        let by_slice: u32 = alarms(25, 0.0, |rng| (0..12).flat_map(|_| pair(rng)).collect())
            .iter()
            .sum();
        assert!(by_process <= 1, "{by_process} of 25 at a nominal 1 %");
        assert!(by_slice >= 4, "{by_slice} of 25: slices are no replicates");
    }

    #[test]
    fn five_per_cent_is_seen_over_a_floor_of_three_and_nothing_is_not() {
        let pairs = |shift: f64| {
            move |rng: &mut Xoshiro256PlusPlus| {
                (0..12).map(|_| shift + 0.006 * gauss(rng)).collect()
            }
        };
        assert_eq!(alarms(25, 0.03, pairs(0.0))[0], 0);
        assert!(alarms(25, 0.03, pairs(0.05))[0] >= 23);
    }
}
