//! Two runs side by side: every number both have, and what differs between the runs themselves.
//!
//! A look, not a verdict: the runs were made at different times, and a machine that changed in between
//! shows as a difference here. So a number is called better or worse only where the intervals of its
//! median over rounds have nothing in common, and everything that makes the two unlike is listed. Only
//! `gate` judges.
//!
//! Not here: terminals (the binary), the page (report/side_by_side.rs).

mod formats;
mod shape;
mod unlike;

pub use formats::{csv, markdown};
pub use shape::{SLOTS, Shape};
pub use unlike::Unlike;

use crate::metric::{Better, Unit};
use crate::record::{Cell, RunRecord, point_label};
use crate::stats::{MedianInterval, Spread};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a number of the second run stands to that of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The intervals are apart, the good way.
    Better,
    /// The intervals are apart, the bad way.
    Worse,
    /// The intervals are apart, and neither way is good or bad.
    Differs,
    /// The same in every round of both.
    Same,
    /// The intervals overlap, or there is one round.
    CannotTell,
}

/// One number of both runs.
#[derive(Clone, Debug)]
pub struct Row {
    /// The target's name.
    pub target: String,
    /// The sweep point in a line.
    pub point: String,
    /// `p99(serve.read)`, or a counter's name.
    pub number: String,
    /// Whether it belongs to an operation rather than to a counter.
    pub is_of_operation: bool,
    /// Of both values.
    pub unit: Unit,
    /// Over the rounds of the first run.
    pub before: Spread,
    /// Over the rounds of the second run.
    pub after: Spread,
    /// Median over median; none where the first is zero.
    pub ratio: Option<f64>,
    /// What may be said.
    pub standing: Standing,
}

/// Two runs side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Whether both replayed the same stream of operations.
    pub same_workload: bool,
    /// What may make the numbers incomparable, in sentences.
    pub cautions: Vec<String>,
    /// Everything that is not the same.
    pub unlike: Vec<Unlike>,
    /// Every number both have, by target, point and name.
    pub rows: Vec<Row>,
    /// Throughput over time of what both have.
    pub shapes: Vec<Shape>,
    /// How many numbers only one of them has.
    pub only_one: usize,
}

impl Standing {
    /// The words for it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Differs => "differs",
            Self::Same => "same",
            Self::CannotTell => "cannot tell",
        }
    }

    fn of(before: &Spread, after: &Spread, better: Better) -> Self {
        let is_fixed = |spread: &Spread| spread.max <= spread.min;
        if is_fixed(before) && is_fixed(after) && before.median.total_cmp(&after.median).is_eq() {
            return Self::Same;
        }
        let apart = before
            .interval
            .zip(after.interval)
            .is_some_and(|(before, after)| !before.overlaps(&after));
        if !apart {
            return Self::CannotTell;
        }
        match (better, after.median > before.median) {
            (Better::Neither, _) => Self::Differs,
            (Better::Higher, true) | (Better::Lower, false) => Self::Better,
            (Better::Higher, false) | (Better::Lower, true) => Self::Worse,
        }
    }
}

impl Comparison {
    /// Of two records.
    #[must_use]
    pub fn of(before: &RunRecord, after: &RunRecord) -> Self {
        let (left, mut right) = (numbers(before), numbers(after));
        let mut rows = Vec::new();
        let mut only_one = 0;
        for (key, number) in left {
            let Some(other) = right.remove(&key) else {
                only_one += 1;
                continue;
            };
            let spreads = Spread::of(&number.rounds).zip(Spread::of(&other.rounds));
            let Some((before, after)) = spreads else {
                continue;
            };
            let (target, point, name) = key;
            rows.push(Row {
                target,
                point,
                number: name,
                is_of_operation: number.is_of_operation,
                unit: number.unit,
                before,
                after,
                ratio: (before.median != 0.0).then(|| after.median / before.median),
                standing: Standing::of(&before, &after, number.better),
            });
        }
        only_one += right.len();
        Self {
            same_workload: before.workload.hash == after.workload.hash,
            cautions: unlike::cautions(before, after),
            unlike: unlike::unlike(before, after),
            shapes: shape::shapes(before, after),
            rows,
            only_one,
        }
    }

    /// How many numbers would be told apart if nothing had changed: with few rounds and many numbers
    /// some are, by chance alone.
    #[must_use]
    pub fn told_by_chance(&self) -> f64 {
        let moves = |spread: &Spread| spread.max > spread.min;
        self.rows
            .iter()
            .filter(|row| moves(&row.before) || moves(&row.after))
            .map(|row| apart_by_chance(row.before.count, row.after.count))
            .sum()
    }

    /// How many numbers stand so.
    #[must_use]
    pub fn count(&self, standing: Standing) -> usize {
        self.rows
            .iter()
            .filter(|row| row.standing == standing)
            .count()
    }
}

/// How often the intervals of two runs of the same thing, with so many rounds each, have nothing in common.
///
/// Exact for numbers without ties: all orders of the rounds are equally likely then. The a-th of n rounds is below the
/// b-th of m others where fewer than b of those are below it, and exactly j are with the probability
/// C(a-1+j, j) C(n-a+m-j, m-j) / C(n+m, m) (negative hypergeometric).
fn apart_by_chance(left: usize, right: usize) -> f64 {
    if left.min(right) < 2 {
        return 0.0;
    }
    let below = |n: usize, m: usize| {
        let (highest, lowest) = (
            n - MedianInterval::left_out(n),
            MedianInterval::left_out(m) + 1,
        );
        let all = ln_choose(n + m, m);
        let exactly = |j: usize| {
            let (under, over) = (
                ln_choose(highest - 1 + j, j),
                ln_choose(n - highest + m - j, m - j),
            );
            (under + over - all).exp()
        };
        (0..lowest).map(exactly).sum::<f64>()
    };
    below(left, right) + below(right, left)
}

/// The logarithm of the ways to choose so many.
fn ln_choose(of: usize, chosen: usize) -> f64 {
    let factor = |nth: usize| ((of - chosen + nth) as f64 / nth as f64).ln();
    (1..=chosen).map(factor).sum()
}

/// Target, point, name of the number.
type Key = (String, String, String);

struct Number {
    unit: Unit,
    better: Better,
    is_of_operation: bool,
    rounds: Vec<f64>,
}

fn numbers(record: &RunRecord) -> BTreeMap<Key, Number> {
    let mut numbers: BTreeMap<Key, Number> = BTreeMap::new();
    for cell in record.cells.iter().filter(|cell| cell.fault.is_none()) {
        let point = point_label(&record.own_point(cell));
        let mut put = |name: String, is_of_operation: bool, unit, better, value: f64| {
            let key = (cell.target.clone(), point.clone(), name);
            let number = numbers.entry(key).or_insert_with(|| Number {
                unit,
                better,
                is_of_operation,
                rounds: Vec::new(),
            });
            number.rounds.push(value);
        };
        operations(cell, &mut |name, unit, better, value| {
            put(name, true, unit, better, value);
        });
        for (name, value) in &cell.counters {
            let metric = record.metrics.get(name);
            let unit = metric.map_or(Unit::Plain, |metric| metric.unit);
            let better = metric.map_or(Better::Neither, |metric| metric.better);
            put(name.clone(), false, unit, better, *value);
        }
    }
    numbers
}

fn operations(cell: &Cell, put: &mut impl FnMut(String, Unit, Better, f64)) {
    for phase in cell.named_phases() {
        let of_phase = phase.ops.iter().map(|op| (phase.name.to_owned(), op));
        let of_jobs = phase.jobs.iter().flat_map(|job| {
            let ops = job.ops.iter();
            ops.map(|op| (format!("{}.{}", phase.name, job.name), op))
        });
        for (whose, op) in of_phase.chain(of_jobs) {
            let name = |what: &str| format!("{what}({whose}.{})", op.op);
            if let Some(rate) = phase.per_second(op.count) {
                put(name("iops"), Unit::PerSecond, Better::Higher, rate);
            }
            if let Some(rate) = phase.per_second(op.bytes).filter(|rate| *rate > 0.0) {
                let unit = Unit::BytesPerSecond;
                put(name("throughput"), unit, Better::Higher, rate);
            }
            if op.response.count == 0 {
                continue;
            }
            for (what, ns) in [
                ("p50", op.response.ns_p50),
                ("p99", op.response.ns_p99),
                ("p999", op.response.ns_p999),
                ("max", op.response.ns_max),
            ] {
                put(name(what), Unit::Nanoseconds, Better::Lower, ns as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::LatencyHist;
    use crate::metric::Metric;
    use crate::record::{JobRecord, Knob, OpRecord, PhaseRecord, RunStatus, Target};

    /// One target; a round per latency.
    pub(super) fn record(latencies_ns: &[u64], stored_ratio: f64) -> RunRecord {
        let mut record = RunRecord::of_an_engine();
        let metric = Metric::counted("stored_ratio", Unit::Ratio, Better::Higher);
        record.metrics.insert("stored_ratio".to_owned(), metric);
        for (round, ns) in (0..).zip(latencies_ns) {
            let mut hist = LatencyHist::new();
            hist.record_n(*ns, 1000);
            let phase = PhaseRecord {
                name: "load".to_owned(),
                wall_ns: 1_000_000_000,
                ops: vec![OpRecord::new("write", 1 << 20, 0, &hist, &hist)],
                ..PhaseRecord::default()
            };
            let mut cell = Cell {
                target: "engine".to_owned(),
                round,
                phases: vec![phase],
                ..Cell::default()
            };
            cell.count("stored_ratio", stored_ratio);
            record.cells.push(cell);
        }
        record
    }

    fn standing(comparison: &Comparison, number: &str) -> Standing {
        let row = comparison.rows.iter().find(|row| row.number == number);
        row.expect("both have it").standing
    }

    #[test]
    fn only_intervals_that_are_apart_say_better_or_worse() {
        let before = record(&[1000, 1100, 1200], 2.0);
        let slower = Comparison::of(&before, &record(&[1500, 1600, 1700], 2.1));
        assert_eq!(standing(&slower, "p99(load.write)"), Standing::Worse);
        assert_eq!(standing(&slower, "stored_ratio"), Standing::Better);
        assert_eq!(standing(&slower, "iops(load.write)"), Standing::Same);
        let near = Comparison::of(&before, &record(&[1190, 1300, 1400], 2.0));
        assert_eq!(standing(&near, "p99(load.write)"), Standing::CannotTell);
        let once = Comparison::of(&record(&[1000], 2.0), &record(&[9000], 2.0));
        assert_eq!(standing(&once, "p99(load.write)"), Standing::CannotTell);
        assert_eq!(once.count(Standing::Worse), 0);
    }

    #[test]
    fn what_makes_the_runs_unlike_is_listed() {
        let before = record(&[1000], 2.0);
        let mut after = before.clone();
        assert!(Comparison::of(&before, &after).unlike.is_empty());
        after.workload.hash = "other".to_owned();
        after.machine.logical_cores = 64;
        after.status = RunStatus::Interrupted {
            reason: "signal".to_owned(),
        };
        after.targets[0].knobs.push(Knob {
            name: "order.scope".to_owned(),
            value: "file".into(),
            unit: String::new(),
            is_default: false,
        });
        after.targets.push(Target {
            name: "raw".to_owned(),
            ..Target::default()
        });
        let found = Comparison::of(&before, &after);
        assert!(!found.same_workload);
        let unlike: Vec<&str> = found.unlike.iter().map(|one| one.what.as_str()).collect();
        let knob = "knob engine.order.scope";
        assert_eq!(unlike, ["workload hash", "cores", knob, "target raw"]);
        assert_eq!(found.cautions.len(), 3, "{:?}", found.cautions);
    }

    #[test]
    fn what_chance_alone_tells_apart_is_known() {
        assert!((apart_by_chance(2, 2) - 1.0 / 3.0).abs() < 1e-12);
        assert!((apart_by_chance(3, 3) - 0.1).abs() < 1e-12);
        assert_eq!(apart_by_chance(1, 9), 0.0);
        // The tenth is left out at both ends: of 66 orders, those where both others are beyond the ninth.
        assert!((apart_by_chance(10, 2) - 6.0 / 66.0).abs() < 1e-12);
        assert!((apart_by_chance(2, 10) - 6.0 / 66.0).abs() < 1e-12);
        assert!((apart_by_chance(9, 9) - 0.0034).abs() < 1e-4);
        let before = record(&[1000, 1100, 1200], 2.0);
        // p50, p99, p999 and max move; the rates and the ratio do not.
        let chance = Comparison::of(&before, &before).told_by_chance();
        assert!((chance - 0.4).abs() < 1e-9, "{chance}");
    }

    #[test]
    fn repetitions_of_a_phase_are_no_rounds() {
        let mut once = record(&[1000], 2.0);
        let mut again = once.cells[0].phases[0].clone();
        again.ops[0].response.ns_p99 = 5000;
        once.cells[0].phases.push(again);
        let compared = Comparison::of(&once, &once);
        let rate = compared
            .rows
            .iter()
            .find(|row| row.number == "iops(load.write)");
        let rate = rate.expect("both have it");
        assert_eq!((rate.before.count, rate.before.median), (1, 1000.0));
        assert_eq!(rate.before.interval, None);
    }

    #[test]
    fn each_of_several_jobs_is_compared_beside_its_phase() {
        let of = |ns: u64| {
            let mut record = record(&[1000, 1100, 1200], 2.0);
            for cell in &mut record.cells {
                let phase = &mut cell.phases[0];
                let mut hist = LatencyHist::new();
                hist.record_n(ns, 10);
                phase.jobs = vec![
                    JobRecord {
                        name: "steady".to_owned(),
                        ops: phase.ops.clone(),
                        ..JobRecord::default()
                    },
                    JobRecord {
                        name: "late".to_owned(),
                        ops: vec![OpRecord::new("write", 0, 0, &hist, &hist)],
                        ..JobRecord::default()
                    },
                ];
            }
            record
        };
        let compared = Comparison::of(&of(1000), &of(5000));
        assert_eq!(standing(&compared, "p99(load.late.write)"), Standing::Worse);
        let same = standing(&compared, "p99(load.steady.write)");
        assert_eq!(same, standing(&compared, "p99(load.write)"));
        assert_ne!(same, Standing::Worse);
    }

    #[test]
    fn numbers_that_one_lacks_are_counted() {
        let before = record(&[1000], 2.0);
        let mut after = before.clone();
        after.cells[0].count("new", 1.0);
        after.cells[0].counters.remove("stored_ratio");
        assert_eq!(Comparison::of(&before, &after).only_one, 2);
    }
}
