//! Which sweep point serves an objective, and whether the rounds can tell it from the others.
//!
//! Pure: a candidate is its rounds' rate and p99, nothing else. The choice is by medians; whether it is
//! *clear* is by intervals. A point whose interval overlaps that of the chosen one is a rival: run again,
//! the two might change places. With one round nothing is clear.
//!
//! Not here: what a point is, which operation leads, and words (report/advice.rs).

use crate::stats::{MedianInterval, median};
use std::fmt;
use std::str::FromStr;

/// What the reader wants of the operation the page leads with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// The lowest p99 among the points whose rate is within this part of the best.
    LowestP99 {
        /// 0.05: at most 5 % below.
        rate_within: f64,
    },
    /// The highest rate, where p99 stays at or below a limit.
    HighestRate {
        /// In nanoseconds; none for any.
        p99_ns_max: Option<u64>,
    },
}

/// The default's share of the best rate that may be given up for the tail.
const RATE_WITHIN: f64 = 0.05;

impl Default for Objective {
    fn default() -> Self {
        Self::LowestP99 {
            rate_within: RATE_WITHIN,
        }
    }
}

/// One point of a sweep: the same operation in each of its rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// Bytes or operations per second of each round.
    pub rates: Vec<f64>,
    /// p99 of each round in nanoseconds.
    pub p99s_ns: Vec<f64>,
}

/// What is recommended. Places are those of the candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// The point that serves the objective best by its medians.
    pub chosen: usize,
    /// The points it cannot be told from, nearest first. Empty where the choice is clear.
    pub rivals: Vec<usize>,
    /// Whether there was more than one round to tell anything by.
    pub has_intervals: bool,
}

impl Recommendation {
    /// Whether the rounds tell the chosen point from all others.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.has_intervals && self.rivals.is_empty()
    }
}

/// A candidate with its medians and intervals.
struct Seen {
    place: usize,
    rate: Estimate,
    p99: Estimate,
}

#[derive(Clone, Copy)]
struct Estimate {
    median: f64,
    interval: Option<MedianInterval>,
}

impl Estimate {
    fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(values)?,
            interval: MedianInterval::of(values),
        })
    }

    fn high(&self) -> f64 {
        self.interval.map_or(self.median, |interval| interval.high)
    }

    fn low(&self) -> f64 {
        self.interval.map_or(self.median, |interval| interval.low)
    }

    /// Without an interval nothing is known of the next round, so it may be anywhere.
    fn overlaps(&self, other: &Self) -> bool {
        self.interval
            .zip(other.interval)
            .is_none_or(|(own, other)| own.overlaps(&other))
    }
}

/// The point that serves the objective; none where no candidate has numbers or none keeps the limit.
#[must_use]
pub fn recommend(candidates: &[Candidate], objective: Objective) -> Option<Recommendation> {
    let seen: Vec<Seen> = candidates
        .iter()
        .enumerate()
        .filter_map(|(place, candidate)| {
            Some(Seen {
                place,
                rate: Estimate::of(&candidate.rates)?,
                p99: Estimate::of(&candidate.p99s_ns)?,
            })
        })
        .collect();
    match objective {
        Objective::LowestP99 { rate_within } => lowest_p99(&seen, rate_within),
        Objective::HighestRate { p99_ns_max } => {
            highest_rate(&seen, p99_ns_max.map_or(f64::INFINITY, |ns| ns as f64))
        }
    }
}

fn lowest_p99(seen: &[Seen], rate_within: f64) -> Option<Recommendation> {
    let best = seen
        .iter()
        .map(|point| point.rate.median)
        .fold(f64::NEG_INFINITY, f64::max);
    let floor = best * (1.0 - rate_within);
    let chosen = seen
        .iter()
        .filter(|point| point.rate.median >= floor)
        .min_by(|a, b| {
            let tail = a.p99.median.total_cmp(&b.p99.median);
            tail.then(b.rate.median.total_cmp(&a.rate.median))
        })?;
    // A point that may reach the floor and may have the lower tail could take its place.
    let rivals = seen.iter().filter(|point| {
        let may_be_lower = point.p99.overlaps(&chosen.p99) || point.p99.median < chosen.p99.median;
        point.rate.high() >= floor && may_be_lower
    });
    let distance = |point: &Seen| (point.p99.median - chosen.p99.median).abs();
    Some(recommendation(chosen, rivals, distance))
}

fn highest_rate(seen: &[Seen], p99_ns_max: f64) -> Option<Recommendation> {
    let chosen = seen
        .iter()
        .filter(|point| point.p99.median <= p99_ns_max)
        .max_by(|a, b| {
            let rate = a.rate.median.total_cmp(&b.rate.median);
            rate.then(b.p99.median.total_cmp(&a.p99.median))
        })?;
    let rivals = seen.iter().filter(|point| {
        let may_be_faster =
            point.rate.overlaps(&chosen.rate) || point.rate.median > chosen.rate.median;
        point.p99.low() <= p99_ns_max && may_be_faster
    });
    let distance = |point: &Seen| (point.rate.median - chosen.rate.median).abs();
    Some(recommendation(chosen, rivals, distance))
}

fn recommendation<'a>(
    chosen: &Seen,
    rivals: impl Iterator<Item = &'a Seen>,
    distance: impl Fn(&Seen) -> f64,
) -> Recommendation {
    let mut rivals: Vec<&Seen> = rivals.filter(|point| point.place != chosen.place).collect();
    rivals.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    Recommendation {
        chosen: chosen.place,
        rivals: rivals.into_iter().map(|point| point.place).collect(),
        has_intervals: chosen.p99.interval.is_some() && chosen.rate.interval.is_some(),
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LowestP99 { rate_within } => write!(
                f,
                "lowest p99 with a rate within {} % of the best",
                rate_within * 100.0
            ),
            Self::HighestRate { p99_ns_max: None } => f.write_str("highest rate"),
            Self::HighestRate {
                p99_ns_max: Some(ns),
            } => write!(
                f,
                "highest rate with p99 at or below {}",
                crate::metric::Unit::Nanoseconds.format(*ns as f64)
            ),
        }
    }
}

/// Not an objective.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an objective: {text:?}; one of `p99` (the lowest, with a rate within 5 % of the best), `p99 within 10%`, \
     `rate` (the highest), `rate p99<=20ms`"
)]
pub struct ObjectiveFault {
    text: String,
}

impl FromStr for Objective {
    type Err = ObjectiveFault;

    fn from_str(text: &str) -> Result<Self, ObjectiveFault> {
        let fault = || ObjectiveFault {
            text: text.to_owned(),
        };
        let words = text.replace(' ', "");
        if let Some(rest) = words.strip_prefix("p99") {
            if rest.is_empty() {
                return Ok(Self::default());
            }
            let percent: f64 = rest
                .strip_prefix("within")
                .and_then(|rest| rest.strip_suffix('%'))
                .and_then(|number| number.parse().ok())
                .filter(|percent| (0.0..=100.0).contains(percent))
                .ok_or_else(fault)?;
            return Ok(Self::LowestP99 {
                rate_within: percent / 100.0,
            });
        }
        let rest = words
            .strip_prefix("rate")
            .or_else(|| words.strip_prefix("throughput"))
            .ok_or_else(fault)?;
        if rest.is_empty() {
            return Ok(Self::HighestRate { p99_ns_max: None });
        }
        let limit = rest.strip_prefix("p99<=").ok_or_else(fault)?;
        Ok(Self::HighestRate {
            p99_ns_max: Some(nanoseconds(limit).ok_or_else(fault)?),
        })
    }
}

/// A time with its unit.
fn nanoseconds(text: &str) -> Option<u64> {
    let units = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (number, factor) = units
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let ns = number.parse::<f64>().ok()? * factor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^53"
    )]
    let whole = (0.0..9e15).contains(&ns).then_some(ns as u64);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(rates: &[f64], p99s_ns: &[f64]) -> Candidate {
        Candidate {
            rates: rates.to_vec(),
            p99s_ns: p99s_ns.to_vec(),
        }
    }

    fn by_default(points: &[Candidate]) -> Recommendation {
        recommend(points, Objective::default()).expect("a choice")
    }

    #[test]
    fn a_little_rate_is_given_up_for_a_much_better_tail() {
        let points = [
            point(&[100.0, 101.0, 102.0], &[50.0, 51.0, 52.0]),
            point(&[97.0, 98.0, 99.0], &[10.0, 11.0, 12.0]),
            point(&[80.0, 81.0, 82.0], &[1.0, 2.0, 3.0]),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.is_clear()), (1, true));
        let found = recommend(&points, Objective::HighestRate { p99_ns_max: None });
        assert_eq!(found.expect("a choice").chosen, 0);
        let limit = Objective::HighestRate {
            p99_ns_max: Some(12),
        };
        assert_eq!(recommend(&points, limit).expect("a choice").chosen, 1);
    }

    #[test]
    fn overlapping_intervals_cannot_be_told_apart() {
        let points = [
            point(&[100.0, 101.0, 102.0], &[10.0, 20.0, 30.0]),
            point(&[100.0, 101.0, 102.0], &[12.0, 19.0, 40.0]),
            point(&[100.0, 101.0, 102.0], &[41.0, 42.0, 43.0]),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.rivals.as_slice()), (1, &[0][..]));
        assert!(!found.is_clear());
    }

    #[test]
    fn a_noisy_point_below_the_floor_may_still_be_the_best() {
        let points = [
            point(&[100.0, 100.0, 100.0], &[10.0, 10.0, 10.0]),
            point(&[60.0, 90.0, 99.0], &[1.0, 1.0, 2.0]),
            point(&[60.0, 61.0, 62.0], &[1.0, 1.0, 2.0]),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.rivals), (0, vec![1]));
    }

    #[test]
    fn one_round_tells_nothing_and_no_round_recommends_nothing() {
        let points = [
            point(&[100.0], &[10.0]),
            point(&[100.0], &[900.0]),
            Candidate::default(),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.rivals.as_slice()), (0, &[1][..]));
        assert!(!found.is_clear() && !found.has_intervals);
        assert!(!by_default(&points[..1]).is_clear());
        assert_eq!(recommend(&points[2..], Objective::default()), None);
        let limit = Objective::HighestRate {
            p99_ns_max: Some(9),
        };
        assert_eq!(recommend(&points, limit), None);
    }

    #[test]
    fn objectives_read_as_they_are_written_and_others_are_refused() {
        let parsed = |text: &str| text.parse::<Objective>();
        assert_eq!(parsed("p99").expect("known"), Objective::default());
        assert_eq!(
            parsed("p99 within 10%").expect("known"),
            Objective::LowestP99 { rate_within: 0.1 }
        );
        assert_eq!(
            parsed("throughput p99 <= 1.5ms").expect("known"),
            Objective::HighestRate {
                p99_ns_max: Some(1_500_000)
            }
        );
        for text in [
            "",
            "p98",
            "p99 within",
            "p99 within 200%",
            "rate p99<=9",
            "rate p99<=-1s",
        ] {
            let error = parsed(text).expect_err("refused").to_string();
            assert!(error.contains("one of"), "{error}");
        }
    }
}
