//! Small statistics over rounds, each an order statistic or a mean with a known answer.
//!
//! Rounds are few (3 to 10) and their noise is heavy-tailed, so the centre is the median and the
//! spread is said by minimum, maximum and MAD rather than by a standard deviation. Ratios between
//! two targets are taken round by round before the median: a slow minute hits both alike (paired
//! design; Chen, Revels, "Robust benchmarking in noisy environments", 2016).
//!
//! An interval of a median comes from order statistics alone: no distribution is assumed, and what few
//! rounds cannot promise is said instead of promised.
//!
//! ```text
//!   slices of a process pair --paired--> one effect per pair  --.
//!   rounds of an ABBA block  --paired--> one effect per block --+--bootstrap--> interval, p
//!                                                                                  |
//!   p of every metric of a gate ----------------- holm ---------> adjusted p <-----'
//!   false alarms of a calibration -- proportion --> rate with a bound
//! ```

mod bootstrap;
mod holm;
mod paired;
mod proportion;

pub use bootstrap::{Estimate, RESAMPLES, cluster_bootstrap, p_min, resamples_for};
pub use holm::holm;
pub use paired::{Side, abba_effect, abba_order, pair_effect};
pub use proportion::upper_bound;

/// The sum of numbers out of a file: one beyond 64 bits stays at their end.
pub(crate) fn sum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::saturating_add)
}

/// The middle value, the mean of the middle two for an even count; none when empty.
///
/// Hyndman, Fan, "Sample quantiles in statistical packages", 1996: type 7 at one half.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    })
}

/// Centre and spread of one number over rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many rounds.
    pub count: usize,
    /// Median.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Median absolute deviation from the median, unscaled (Hampel 1974).
    pub mad: f64,
    /// Where the median itself may be; none for one round.
    pub interval: Option<MedianInterval>,
}

impl Spread {
    /// The spread of `values`; none when empty.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let median_value = median(values)?;
        let deviations: Vec<f64> = values
            .iter()
            .map(|value| (value - median_value).abs())
            .collect();
        Some(Self {
            count: values.len(),
            median: median_value,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            mad: median(&deviations)?,
            interval: MedianInterval::of(values),
        })
    }

    /// (max - min) / median; 0 when all are equal.
    #[must_use]
    pub fn relative(&self) -> f64 {
        if self.max <= self.min {
            0.0
        } else if self.median == 0.0 {
            f64::INFINITY
        } else {
            (self.max - self.min) / self.median.abs()
        }
    }
}

/// Where the median of the rounds that were not run lies too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MedianInterval {
    /// Lower end: an order statistic of the rounds.
    pub low: f64,
    /// Upper end, as far from the largest as `low` is from the smallest.
    pub high: f64,
    /// How often such an interval holds the true median; below 0.95 for fewer than six rounds.
    pub confidence: f64,
}

impl MedianInterval {
    /// What is asked for, where there are rounds enough.
    pub const CONFIDENCE: f64 = 0.95;

    /// The narrowest interval of order statistics that holds the median with 95 %, or all of the range
    /// where that is less. None for fewer than two rounds, which say nothing of the next.
    ///
    /// The k smallest and k largest are left out; the median is outside with twice the probability that
    /// fewer than k of n fair coins show heads (David, Nagaraja, "Order Statistics", 2003, 7.1).
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let (left_out, confidence) = Self::cut(count);
        Some(Self {
            low: sorted[left_out],
            high: sorted[count - 1 - left_out],
            confidence,
        })
    }

    /// How many of so many rounds lie outside of the interval at each end.
    pub(crate) fn left_out(rounds: usize) -> usize {
        Self::cut(rounds).0
    }

    fn cut(count: usize) -> (usize, f64) {
        // Of one sequence of coins; beyond a thousand rounds it underflows to a wider interval.
        let mut term = 0.5_f64.powf(count as f64);
        let mut outside = 2.0 * term;
        let mut left_out = 0;
        loop {
            term *= (count - left_out) as f64 / (left_out + 1) as f64;
            let wider = outside + 2.0 * term;
            if 1.0 - wider < Self::CONFIDENCE || 2 * (left_out + 1) >= count {
                return (left_out, 1.0 - outside);
            }
            outside = wider;
            left_out += 1;
        }
    }

    /// Whether the two have a value in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The geometric mean of positive values; none when empty or when one is not positive.
///
/// The only mean under which ratios may be averaged: Fleming, Wallace, CACM 29(3), 1986.
#[must_use]
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| *value <= 0.0 || value.is_nan()) {
        return None;
    }
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    Some((logs / values.len() as f64).exp())
}

/// `left / right` of every round both have, in round order. A zero divisor drops its round.
#[must_use]
pub fn paired_ratios(left: &[(u32, f64)], right: &[(u32, f64)]) -> Vec<f64> {
    let mut rounds: Vec<(u32, f64)> = left
        .iter()
        .filter_map(|&(round, numerator)| {
            let &(_, divisor) = right.iter().find(|(other, _)| *other == round)?;
            (divisor != 0.0).then(|| (round, numerator / divisor))
        })
        .collect();
    rounds.sort_by_key(|(round, _)| *round);
    rounds.into_iter().map(|(_, ratio)| ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn spread_of_a_known_series() {
        // Deviations from 2: 1 1 0 0 2 4 7, sorted 0 0 1 1 2 4 7.
        let spread = Spread::of(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]).expect("not empty");
        assert_eq!((spread.median, spread.mad), (2.0, 1.0));
        assert_eq!((spread.min, spread.max, spread.count), (1.0, 9.0, 7));
        assert_eq!(spread.relative(), 4.0);
    }

    #[test]
    fn equal_rounds_have_no_spread_even_at_zero() {
        assert_eq!(Spread::of(&[0.0, 0.0]).expect("not empty").relative(), 0.0);
    }

    #[test]
    fn intervals_of_a_median_are_those_of_the_binomial_tables() {
        let of = |count: u32| {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            MedianInterval::of(&values).expect("two or more")
        };
        assert_eq!(MedianInterval::of(&[1.0]), None);
        for (count, low, high, confidence) in [
            (2, 1.0, 2.0, 0.5),
            (3, 1.0, 3.0, 0.75),
            (5, 1.0, 5.0, 0.9375),
            (6, 1.0, 6.0, 0.96875),
            (9, 2.0, 8.0, 0.9609),
            (20, 6.0, 15.0, 0.9586),
        ] {
            let found = of(count);
            assert_eq!((found.low, found.high), (low, high), "{count} rounds");
            assert!(
                (found.confidence - confidence).abs() < 1e-4,
                "{count} rounds: {}",
                found.confidence
            );
        }
        assert!(of(3).overlaps(&of(2)));
        let far = MedianInterval::of(&[4.0, 5.0]).expect("two");
        assert!(!of(3).overlaps(&far));
    }

    #[test]
    fn geometric_means_of_ratios_cancel() {
        let mean = geometric_mean(&[2.0, 0.5]).expect("positive");
        assert!((mean - 1.0).abs() < 1e-12);
        let mean = geometric_mean(&[1.0, 10.0, 100.0]).expect("positive");
        assert!((mean - 10.0).abs() < 1e-9);
        assert_eq!(geometric_mean(&[1.0, 0.0]), None);
    }

    #[test]
    fn ratios_pair_by_round_not_by_place() {
        let left = [(2, 20.0), (0, 10.0), (1, 12.0)];
        let right = [(0, 5.0), (1, 0.0), (2, 5.0), (3, 1.0)];
        assert_eq!(paired_ratios(&left, &right), [2.0, 4.0]);
    }
}
