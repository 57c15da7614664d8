//! The workload's own objective: a measure to bring as high or as low as it goes, and what has to be kept meanwhile.
//!
//! Both are written as assertions are. They name no target, since a point is recommended for each target by itself.

use std::fmt;

use super::{Aim, Limit};
use crate::assertion::{Assertion, AssertionFault, Context, Expr, Kind, parse_sum};
use crate::metric::Better;
use crate::record::{Cell, ObjectiveRecord, RunRecord};

/// A goal, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// Higher or lower.
    better: Better,
    measure: Expr,
    text: String,
    limits: Vec<Assertion>,
}

impl Goal {
    /// Reads what a record carries.
    pub fn parse(objective: &ObjectiveRecord) -> Result<Self, AssertionFault> {
        let (better, text) = match objective {
            ObjectiveRecord {
                maximise: Some(text),
                minimise: None,
                ..
            } => (Better::Higher, text),
            ObjectiveRecord {
                maximise: None,
                minimise: Some(text),
                ..
            } => (Better::Lower, text),
            _ => {
                return Err(AssertionFault::new(
                    1,
                    "an objective has one of maximise and minimise",
                ));
            }
        };
        let limits = objective.subject_to.iter().map(|text| Self::limit(text));
        Ok(Self {
            better,
            measure: Self::measure(text)?,
            text: text.trim().to_owned(),
            limits: limits.collect::<Result<_, _>>()?,
        })
    }

    /// Reads a measure, such as `throughput(serve.write)`.
    pub fn check_measure(text: &str) -> Result<(), AssertionFault> {
        Self::measure(text).map(drop)
    }

    /// Reads a limit, such as `p99(serve.write) <= 20ms`.
    pub fn check_limit(text: &str) -> Result<(), AssertionFault> {
        Self::limit(text).map(drop)
    }

    fn measure(text: &str) -> Result<Expr, AssertionFault> {
        let measure = parse_sum(text)?;
        refuse_targets(&measure.targets())?;
        Ok(measure)
    }

    fn limit(text: &str) -> Result<Assertion, AssertionFault> {
        let limit = Assertion::parse(text)?;
        refuse_targets(&limit.targets())?;
        if limit.is_equality() {
            let fault = AssertionFault::new(1, "a limit leaves room on one side");
            return Err(fault.suggest("compare with <= or >="));
        }
        Ok(limit)
    }

    /// A point as this goal sees it: one number for each of its whole rounds. Where one of them cannot be computed, why.
    pub(crate) fn aim(&self, record: &RunRecord, cells: &[&Cell]) -> Result<Aim, String> {
        let sign = if self.better == Better::Lower {
            -1.0
        } else {
            1.0
        };
        let scores = self.rounds(record, cells)?.0;
        let limits = self.limits.iter().map(|limit| {
            let standings = cells.iter().map(|cell| limit.standing_in(record, cell));
            let standings = standings.collect::<Result<Vec<_>, _>>()?;
            let (max, is_strict) = standings
                .first()
                .map_or((0.0, false), |(_, max, strict)| (*max, *strict));
            Ok(Limit {
                values: standings.iter().map(|(badness, ..)| *badness).collect(),
                max,
                is_strict,
            })
        });
        Ok(Aim {
            limits: limits.collect::<Result<_, String>>()?,
            scores: scores.into_iter().map(|value| sign * value).collect(),
        })
    }

    /// What is to be brought up or down, round by round, in bytes and seconds.
    pub(crate) fn rounds(
        &self,
        record: &RunRecord,
        cells: &[&Cell],
    ) -> Result<(Vec<f64>, Kind), String> {
        let mut kind = self.measure.kind();
        let mut amounts = Vec::new();
        for cell in cells {
            let value = Context::of_cell(record, cell).value(&self.measure)?;
            kind = value.kind;
            amounts.push(value.amount);
        }
        Ok((amounts, kind))
    }
}

fn refuse_targets(targets: &[&str]) -> Result<(), AssertionFault> {
    match targets.first() {
        None => Ok(()),
        Some(target) => Err(AssertionFault::new(
            1,
            format!("an objective is asked of each target by itself, and this names {target}"),
        )
        .suggest("leave the target out")),
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.better == Better::Lower {
            "lowest"
        } else {
            "highest"
        };
        write!(f, "{word} {}", self.text)?;
        for (limit, joint) in self
            .limits
            .iter()
            .zip(std::iter::once(" with ").chain(std::iter::repeat(" and ")))
        {
            write!(f, "{joint}{}", limit.text())?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Goal {
    /// Some goal.
    pub(super) fn for_tests() -> Self {
        Self::parse(&ObjectiveRecord {
            maximise: Some("throughput(serve.write)".to_owned()),
            ..ObjectiveRecord::default()
        })
        .expect("a goal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(maximise: &str, minimise: &str, subject_to: &[&str]) -> ObjectiveRecord {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ObjectiveRecord {
            maximise: some(maximise),
            minimise: some(minimise),
            subject_to: subject_to.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn a_goal_reads_as_it_is_written() {
        let goal = Goal::parse(&objective(
            "",
            "p99(serve.read) ",
            &["throughput(serve.write) >= 10MiB/s", "stored_ratio > 2"],
        ));
        assert_eq!(
            goal.expect("a goal").to_string(),
            "lowest p99(serve.read) with throughput(serve.write) >= 10MiB/s and stored_ratio > 2"
        );
    }

    #[test]
    fn what_is_no_goal_is_refused_with_its_remedy() {
        let refused = |objective| Goal::parse(&objective).expect_err("refused").to_string();
        for (faulty, said) in [
            (objective("", "", &[]), "one of maximise and minimise"),
            (objective("a", "b", &[]), "one of maximise and minimise"),
            (objective("p99(serve.read) <= 2ms", "", &[]), "column 17"),
            (objective("2", "", &[]), "nothing here is measured"),
            (
                objective("p99(engine, serve.read)", "", &[]),
                "leave the target out",
            ),
            (
                objective("a", "", &["engine:b <= 2"]),
                "leave the target out",
            ),
            (objective("a", "", &["b == 2"]), "<= or >="),
            (objective("a", "", &["p99(serve.read) <= 2"]), "like 20ms"),
        ] {
            let error = refused(faulty);
            assert!(error.contains(said), "{error}");
        }
    }

    fn cell(round: u32, ratio: f64) -> Cell {
        let mut cell = Cell {
            target: "second".to_owned(),
            round,
            ..Cell::default()
        };
        cell.count("stored_ratio", ratio);
        cell
    }

    #[test]
    fn a_goal_is_asked_of_the_cells_own_target_round_by_round() {
        let record = RunRecord::begin(
            crate::record::Tool::default(),
            "",
            crate::record::Workload::default(),
        );
        let cells = [cell(0, 2.0), cell(1, 4.0)];
        let cells: Vec<&Cell> = cells.iter().collect();
        let goal =
            Goal::parse(&objective("", "stored_ratio", &["stored_ratio >= 3"])).expect("a goal");
        let aim = goal.aim(&record, &cells).expect("computed");
        assert_eq!(
            aim.scores,
            [-2.0, -4.0],
            "less is better, and more of a score is"
        );
        assert_eq!(aim.limits[0].max, -1.0);
        assert!(aim.limits[0].values[0] > -1.0 && aim.limits[0].values[1] < -1.0);
        let other = Goal::parse(&objective("no_such_counter", "", &[])).expect("a goal");
        assert!(other.aim(&record, &cells).is_err());
    }
}
