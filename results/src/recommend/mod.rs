//! Which sweep point serves an objective, and whether the rounds can tell it from the others.
//!
//! Pure: a candidate is its rounds' numbers, nothing else. The choice is by medians; whether it is
//! *clear* is by intervals. A point whose interval overlaps that of the chosen one is a rival: run again,
//! the two might change places. A limit that the chosen point's interval crosses is in doubt. With one round nothing is clear.
//!
//! Not here: what a point is, which operation leads, how a goal is computed (`goal.rs`), and words (report/advice.rs).

mod goal;
mod objective;

pub use goal::Goal;
pub use objective::{Objective, ObjectiveFault};

use crate::stats::{MedianInterval, median};

/// One point of a sweep: the same operation in each of its rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// Bytes or operations per second of each round.
    pub rates: Vec<f64>,
    /// p99 of each round in nanoseconds.
    pub p99s_ns: Vec<f64>,
    /// What the workload's own goal makes of it, where there is one.
    pub aim: Aim,
}

/// A point as a goal sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aim {
    /// Of each round; more is better.
    pub scores: Vec<f64>,
    /// What has to be kept.
    pub limits: Vec<Limit>,
}

/// Something that has to stay at or below a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Of each round.
    pub values: Vec<f64>,
    /// The bound.
    pub max: f64,
    /// The bound itself is too much.
    pub is_strict: bool,
}

/// What is recommended. Places are those of the candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// The point that serves the objective best by its medians.
    pub chosen: usize,
    /// The points it cannot be told from, nearest first. Empty where the choice is clear.
    pub rivals: Vec<usize>,
    /// A limit that it keeps by its median and may break in another round.
    pub has_limit_in_doubt: bool,
    /// Whether there was more than one round to tell anything by.
    pub has_intervals: bool,
}

impl Recommendation {
    /// Whether the rounds tell the chosen point from all others.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.has_intervals && self.rivals.is_empty() && !self.has_limit_in_doubt
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

impl Limit {
    fn allows(&self, value: f64) -> bool {
        value < self.max || (!self.is_strict && value <= self.max)
    }
}

/// The point that serves the objective; none where no candidate has numbers or none keeps the limits.
#[must_use]
pub fn recommend(candidates: &[Candidate], objective: &Objective) -> Option<Recommendation> {
    match objective {
        Objective::LowestP99 { rate_within } => {
            let seen = candidates
                .iter()
                .enumerate()
                .filter_map(|(place, candidate)| {
                    Some(Seen {
                        place,
                        rate: Estimate::of(&candidate.rates)?,
                        p99: Estimate::of(&candidate.p99s_ns)?,
                    })
                });
            lowest_p99(&seen.collect::<Vec<_>>(), *rate_within)
        }
        Objective::HighestRate { p99_ns_max } => {
            let aims = candidates.iter().map(|candidate| Aim {
                scores: candidate.rates.clone(),
                limits: vec![Limit {
                    values: candidate.p99s_ns.clone(),
                    max: p99_ns_max.map_or(f64::INFINITY, |ns| ns as f64),
                    is_strict: false,
                }],
            });
            best_within(&aims.collect::<Vec<_>>())
        }
        Objective::Goal(_) => {
            let aims = candidates.iter().map(|candidate| candidate.aim.clone());
            best_within(&aims.collect::<Vec<_>>())
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
    // The best rate is as little known as any: the floor is somewhere between the one that all rates surely ask for and
    // the one that the fastest round of another point would ask for. A point is held against others alone.
    let most = |rates: &mut dyn Iterator<Item = f64>| rates.fold(f64::NEG_INFINITY, f64::max);
    let floor_least = most(&mut seen.iter().map(|point| point.rate.low())) * (1.0 - rate_within);
    let others = seen.iter().filter(|point| point.place != chosen.place);
    let floor_most = most(&mut others.map(|point| point.rate.high())) * (1.0 - rate_within);
    // A point that may reach the floor and may have the lower tail could take its place.
    let rivals = seen.iter().filter(|point| {
        let may_be_lower = point.p99.overlaps(&chosen.p99) || point.p99.median < chosen.p99.median;
        point.rate.high() >= floor_least && may_be_lower
    });
    let mut rivals: Vec<&Seen> = rivals.filter(|point| point.place != chosen.place).collect();
    let distance = |point: &Seen| (point.p99.median - chosen.p99.median).abs();
    rivals.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    Some(Recommendation {
        chosen: chosen.place,
        rivals: rivals.into_iter().map(|point| point.place).collect(),
        has_limit_in_doubt: chosen.rate.low() < floor_most,
        has_intervals: chosen.p99.interval.is_some() && chosen.rate.interval.is_some(),
    })
}

/// The best score by medians among the points that keep every limit by theirs.
fn best_within(aims: &[Aim]) -> Option<Recommendation> {
    let aimed: Vec<Aimed<'_>> = aims.iter().enumerate().filter_map(Aimed::of).collect();
    let chosen = aimed.iter().filter(|point| point.keeps()).max_by(|a, b| {
        let score = a.score.median.total_cmp(&b.score.median);
        // Of equal ones the first.
        score.then(b.place.cmp(&a.place))
    })?;
    let mut rivals: Vec<&Aimed<'_>> = aimed
        .iter()
        .filter(|point| point.place != chosen.place && point.may_keep())
        .filter(|point| {
            point.score.overlaps(&chosen.score) || point.score.median > chosen.score.median
        })
        .collect();
    let distance = |point: &Aimed<'_>| (point.score.median - chosen.score.median).abs();
    rivals.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    Some(Recommendation {
        chosen: chosen.place,
        rivals: rivals.into_iter().map(|point| point.place).collect(),
        has_limit_in_doubt: !chosen.surely_keeps(),
        has_intervals: chosen.score.interval.is_some(),
    })
}

/// A point that has a score, and each of its limits as estimated.
struct Aimed<'a> {
    place: usize,
    score: Estimate,
    limits: Vec<(&'a Limit, Estimate)>,
}

impl<'a> Aimed<'a> {
    fn of((place, aim): (usize, &'a Aim)) -> Option<Self> {
        let limits = aim.limits.iter();
        let limits = limits.map(|limit| Some((limit, Estimate::of(&limit.values)?)));
        Some(Self {
            place,
            score: Estimate::of(&aim.scores)?,
            limits: limits.collect::<Option<_>>()?,
        })
    }

    fn all(&self, at: fn(&Estimate) -> f64) -> bool {
        let mut limits = self.limits.iter();
        limits.all(|(limit, estimate)| limit.allows(at(estimate)))
    }

    fn keeps(&self) -> bool {
        self.all(|estimate| estimate.median)
    }

    fn may_keep(&self) -> bool {
        self.all(Estimate::low)
    }

    fn surely_keeps(&self) -> bool {
        self.all(Estimate::high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(rates: &[f64], p99s_ns: &[f64]) -> Candidate {
        Candidate {
            rates: rates.to_vec(),
            p99s_ns: p99s_ns.to_vec(),
            ..Candidate::default()
        }
    }

    fn by_default(points: &[Candidate]) -> Recommendation {
        recommend(points, &Objective::default()).expect("a choice")
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
        let found = recommend(&points, &Objective::HighestRate { p99_ns_max: None });
        assert_eq!(found.expect("a choice").chosen, 0);
        let limit = Objective::HighestRate {
            p99_ns_max: Some(12),
        };
        assert_eq!(recommend(&points, &limit).expect("a choice").chosen, 1);
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
        assert_eq!(recommend(&points[2..], &Objective::default()), None);
        let limit = Objective::HighestRate {
            p99_ns_max: Some(9),
        };
        assert_eq!(recommend(&points, &limit), None);
    }

    #[test]
    fn a_floor_that_is_not_known_makes_a_choice_doubtful() {
        let points = [
            point(&[60.0, 100.0, 140.0], &[50.0, 51.0, 52.0]),
            point(&[96.0, 97.0, 98.0], &[10.0, 11.0, 12.0]),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.rivals.len()), (1, 0));
        assert!(found.has_limit_in_doubt && !found.is_clear());
        // Below the floor by medians, and perhaps not by what the best rate may be.
        let points = [
            point(&[60.0, 100.0, 140.0], &[50.0, 51.0, 52.0]),
            point(&[80.0, 81.0, 82.0], &[10.0, 11.0, 12.0]),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.rivals), (0, vec![1]));
        // Nobody is held against his own fast round.
        let alone = [point(&[60.0, 100.0, 140.0], &[50.0, 51.0, 52.0])];
        assert!(by_default(&alone).is_clear());
    }

    fn aim(scores: &[f64], limited: &[f64]) -> Candidate {
        Candidate {
            aim: Aim {
                scores: scores.to_vec(),
                limits: vec![Limit {
                    values: limited.to_vec(),
                    max: 1.0,
                    is_strict: true,
                }],
            },
            ..Candidate::default()
        }
    }

    #[test]
    fn a_limit_decides_and_one_that_is_crossed_is_in_doubt() {
        let goal = Objective::Goal(Goal::for_tests());
        let points = [
            aim(&[9.0, 9.1, 9.2], &[1.0, 1.0, 1.0]),
            aim(&[5.0, 5.1, 5.2], &[0.5, 0.6, 0.7]),
            aim(&[1.0, 1.1, 1.2], &[0.1, 0.1, 0.1]),
            Candidate::default(),
        ];
        let found = recommend(&points, &goal).expect("a choice");
        assert_eq!((found.chosen, found.is_clear()), (1, true));
        let points = [
            aim(&[9.0, 9.1, 9.2], &[0.8, 1.1, 1.2]),
            aim(&[5.0, 5.1, 5.2], &[0.5, 0.6, 1.2]),
        ];
        let found = recommend(&points, &goal).expect("a choice");
        assert_eq!((found.chosen, found.rivals.as_slice()), (1, &[0][..]));
        assert!(found.has_limit_in_doubt && !found.is_clear());
        assert_eq!(recommend(&points[..1], &goal), None);
    }

    #[test]
    fn a_rate_that_may_miss_the_floor_is_in_doubt() {
        let points = [
            point(&[100.0, 100.0, 100.0], &[50.0, 51.0, 52.0]),
            point(&[70.0, 96.0, 120.0], &[1.0, 1.0, 2.0]),
        ];
        let found = by_default(&points);
        assert_eq!((found.chosen, found.rivals.len()), (1, 0));
        assert!(found.has_limit_in_doubt && !found.is_clear());
        // One whose interval stays above it is not.
        let points = [
            point(&[100.0, 100.0, 100.0], &[50.0, 51.0, 52.0]),
            point(&[95.0, 98.0, 99.0], &[1.0, 1.0, 2.0]),
        ];
        assert!(by_default(&points).is_clear());
    }
}
