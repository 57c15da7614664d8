//! What a recommended point of a sweep serves, and how it is written on a command line.

use std::fmt;
use std::str::FromStr;

use super::Goal;
use crate::assertion::AssertionFault;
use crate::record::RunRecord;

/// What is wanted: of the operation the page leads with, or of what the workload names.
#[derive(Clone, Debug, PartialEq)]
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
    /// What the workload says in its own words.
    Goal(Goal),
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

impl Objective {
    /// What the workload of a record wants; the default where it says nothing.
    pub fn of(record: &RunRecord) -> Result<Self, AssertionFault> {
        match &record.objective {
            Some(objective) => Ok(Self::Goal(Goal::parse(objective)?)),
            None => Ok(Self::default()),
        }
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
            Self::Goal(goal) => goal.fmt(f),
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
