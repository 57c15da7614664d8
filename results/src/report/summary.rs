//! What the page is about: which operations, which sweep point is best, which round is typical.
//!
//! Taken once from the record so that every chart and table of the page speaks of the same point
//! and the same operation. Cells with a fault count nowhere; a target left without whole cells
//! keeps its place and says so. The best point of a target is the recommended one (`recommend.rs`).

use super::canvas::SERIES_COUNT;
use crate::metric::Unit;
use crate::query::Quantity;
use crate::recommend::{Aim, Candidate, Objective, Recommendation, recommend};
use crate::record::{Cell, PhaseRole, RunRecord, Setting, Target};
use crate::stats::Spread;

/// The numbers behind the page.
pub(super) struct Summary<'a> {
    pub(super) record: &'a RunRecord,
    /// What the reader wants, or the workload; or why that cannot be read.
    pub(super) objective: Result<Objective, String>,
    /// Every phase and operation that was measured, in order of appearance.
    pub(super) paths: Vec<Path>,
    /// The operation the page leads with: the one that moved most in the longest phase.
    pub(super) headline: Option<Path>,
    pub(super) targets: Vec<TargetSummary<'a>>,
}

/// One operation of one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) phase: String,
    pub(super) op: String,
    /// Whether it moves bytes, and so has a throughput rather than only a rate.
    pub(super) moves_bytes: bool,
}

pub(super) struct TargetSummary<'a> {
    pub(super) target: &'a Target,
    /// Its colour.
    pub(super) series: u8,
    pub(super) points: Vec<PointSummary<'a>>,
    /// What serves the objective; none where nothing does, there are no numbers, or bytes were wrong.
    pub(super) advice: Option<Recommendation>,
    /// Why a point could not be asked for the goal.
    pub(super) unasked: Option<String>,
    /// Index of the point that is shown where one has to be: the recommended one, where there is one.
    pub(super) best: Option<usize>,
}

pub(super) struct PointSummary<'a> {
    pub(super) point: Vec<Setting>,
    /// Its whole cells by round.
    pub(super) cells: Vec<&'a Cell>,
    /// How many cells did not end well.
    pub(super) faults: usize,
    /// The headline operation here.
    pub(super) headline: Option<Numbers>,
    /// The same, round by round.
    pub(super) rounds: Candidate,
    /// Whether no other point of any target is better in both throughput and p99.
    pub(super) on_front: bool,
}

/// One operation over the rounds of one point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) rate: Spread,
    pub(super) p50: Spread,
    pub(super) p99: Spread,
    pub(super) p999: Spread,
    pub(super) max: Spread,
}

impl Path {
    pub(super) fn text(&self) -> String {
        format!("{}.{}", self.phase, self.op)
    }

    pub(super) const fn unit(&self) -> Unit {
        if self.moves_bytes {
            Unit::BytesPerSecond
        } else {
            Unit::PerSecond
        }
    }

    /// What its rate is called.
    pub(super) const fn rate_name(&self) -> &'static str {
        if self.moves_bytes {
            "throughput"
        } else {
            "operations"
        }
    }

    const fn rate(&self) -> Quantity {
        if self.moves_bytes {
            Quantity::Throughput
        } else {
            Quantity::Iops
        }
    }

    /// Rate and p99 of each cell that has them.
    fn rounds(&self, cells: &[&Cell]) -> Candidate {
        let path = self.text();
        let over = |quantity: Quantity| {
            let values = cells
                .iter()
                .filter_map(|cell| quantity.of(cell, &path).ok());
            values.collect()
        };
        Candidate {
            rates: over(self.rate()),
            p99s_ns: over(Quantity::P99),
            aim: Aim::default(),
        }
    }

    /// This operation over some cells; none when any number is missing.
    pub(super) fn numbers(&self, cells: &[&Cell]) -> Option<Numbers> {
        let path = self.text();
        let over = |quantity: Quantity| {
            let values: Vec<f64> = cells
                .iter()
                .filter_map(|cell| quantity.of(cell, &path).ok())
                .collect();
            Spread::of(&values)
        };
        Some(Numbers {
            rate: over(self.rate())?,
            p50: over(Quantity::P50)?,
            p99: over(Quantity::P99)?,
            p999: over(Quantity::P999)?,
            max: over(Quantity::Max)?,
        })
    }
}

impl<'a> Summary<'a> {
    /// Without an objective that of the workload counts, and without that the default.
    pub(super) fn of(record: &'a RunRecord, objective: Option<Objective>) -> Self {
        let objective = objective.map_or_else(
            || Objective::of(record).map_err(|fault| fault.to_string()),
            Ok,
        );
        let paths = paths(record);
        let headline = headline(record, &paths);
        let points = record.points();
        let mut targets: Vec<TargetSummary<'a>> = (0_u8..)
            .zip(&record.targets)
            .map(|(index, target)| TargetSummary {
                target,
                series: index % SERIES_COUNT,
                points: points
                    .iter()
                    .filter_map(|point| summarize(record, target, point, headline.as_ref()))
                    .collect(),
                advice: None,
                unasked: None,
                best: None,
            })
            .collect();
        mark_front(&mut targets);
        let (_, mismatches) = record.verified();
        for target in &mut targets {
            target.advise(record, &objective);
            // What a target does quickly and wrongly says nothing of its settings.
            target.advice.take_if(|_| mismatches > 0);
        }
        Self {
            record,
            objective,
            paths,
            headline,
            targets,
        }
    }

    /// Whether more than one sweep point ran.
    pub(super) fn is_swept(&self) -> bool {
        self.targets.iter().any(|target| target.points.len() > 1)
    }
}

impl<'a> TargetSummary<'a> {
    fn advise(&mut self, record: &RunRecord, objective: &Result<Objective, String>) {
        if let Ok(Objective::Goal(goal)) = objective {
            for point in &mut self.points {
                match goal.aim(record, &point.cells) {
                    Ok(aim) => point.rounds.aim = aim,
                    Err(why) => {
                        self.unasked.get_or_insert(why);
                    }
                }
            }
        }
        let points = self.points.iter();
        let candidates: Vec<Candidate> = points.map(|point| point.rounds.clone()).collect();
        let wanted = objective.as_ref().ok();
        self.advice = wanted.and_then(|objective| recommend(&candidates, objective));
        // Where no point serves, one is shown all the same.
        let shown = || recommend(&candidates, &Objective::default());
        self.best = self.advice.clone().or_else(shown).map(|one| one.chosen);
    }

    /// The point shown where one has to be chosen: the best, or the first that has cells.
    pub(super) fn shown(&self) -> Option<&PointSummary<'a>> {
        match self.best {
            Some(index) => self.points.get(index),
            None => self.points.iter().find(|point| !point.cells.is_empty()),
        }
    }
}

impl<'a> PointSummary<'a> {
    /// The round whose headline rate is nearest to the median.
    pub(super) fn typical(&self, headline: Option<&Path>) -> Option<&'a Cell> {
        let (Some(path), Some(numbers)) = (headline, self.headline) else {
            return self.cells.first().copied();
        };
        let distance = |cell: &Cell| {
            path.numbers(&[cell]).map_or(f64::INFINITY, |one| {
                (one.rate.median - numbers.rate.median).abs()
            })
        };
        self.cells
            .iter()
            .copied()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

fn paths(record: &RunRecord) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    for phase in record.cells.iter().flat_map(Cell::measured) {
        for op in &phase.ops {
            let known = paths
                .iter_mut()
                .find(|path| path.phase == phase.name && path.op == op.op);
            match known {
                Some(path) => path.moves_bytes |= op.bytes > 0,
                None => paths.push(Path {
                    phase: phase.name.clone(),
                    op: op.op.clone(),
                    moves_bytes: op.bytes > 0,
                }),
            }
        }
    }
    paths
}

/// Of the steady phase that took longest, the operation that moved most bytes.
fn headline(record: &RunRecord, paths: &[Path]) -> Option<Path> {
    let longest = record
        .cells
        .iter()
        .filter(|cell| cell.fault.is_none())
        .flat_map(Cell::measured)
        .filter(|phase| phase.role == PhaseRole::Steady && !phase.ops.is_empty())
        .max_by_key(|phase| phase.wall_ns)?;
    let op = longest.ops.iter().max_by_key(|op| (op.bytes, op.count))?;
    paths
        .iter()
        .find(|path| path.phase == longest.name && path.op == op.op)
        .cloned()
}

fn summarize<'a>(
    record: &'a RunRecord,
    target: &Target,
    point: &[Setting],
    headline: Option<&Path>,
) -> Option<PointSummary<'a>> {
    let all = record.rounds(&target.name, point);
    if all.is_empty() {
        return None;
    }
    let count = all.len();
    let cells: Vec<&Cell> = all
        .into_iter()
        .filter(|cell| cell.fault.is_none())
        .collect();
    Some(PointSummary {
        point: point.to_vec(),
        faults: count - cells.len(),
        headline: headline.and_then(|path| path.numbers(&cells)),
        rounds: headline.map_or_else(Candidate::default, |path| path.rounds(&cells)),
        cells,
        on_front: false,
    })
}

/// Each target has a front of its own: a knob's trade-off is a matter within one target.
fn mark_front(targets: &mut [TargetSummary<'_>]) {
    for target in targets {
        let all: Vec<(f64, f64)> = target
            .points
            .iter()
            .filter_map(|point| point.headline)
            .map(|numbers| (numbers.rate.median, numbers.p99.median))
            .collect();
        for point in &mut target.points {
            let Some(numbers) = point.headline else {
                continue;
            };
            let (rate, p99) = (numbers.rate.median, numbers.p99.median);
            point.on_front = !all.iter().any(|&(other_rate, other_p99)| {
                other_rate >= rate && other_p99 <= p99 && (other_rate > rate || other_p99 < p99)
            });
        }
    }
}
