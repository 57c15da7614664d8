//! Where the newest of many runs stands among those before it. Advice, never a verdict: days lie between them, and machines do.
//!
//! The newest number is compared with the median of the last few before it, never with the one before: a lucky run would
//! make the next one look bad. A number that was 0 until now has no ratio, and is listed all the same. Runs that failed or
//! read wrong bytes are left out, aloud. Only runs of the newest run's workload count, and of its sort of time: virtual time and
//! the clock have one workload and nothing else in common.

use crate::metric::{Better, Unit};
use crate::record::{RunRecord, RunStatus, point_label};
use crate::stats::{Spread, median};
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs before the newest that make a median worth having.
const BEFORE_MIN: usize = 3;
/// Changes below this are not mentioned, however quiet the runs before were.
const FLOOR: f64 = 0.05;
/// From the median absolute deviation to the deviation of a normal distribution, three times.
const MAD_TIMES: f64 = 3.0 * 1.4826;

/// What a trend needs of one run.
#[derive(Clone, Debug)]
pub struct Run {
    started_at: String,
    workload_hash: String,
    deterministic: bool,
    /// Or why they are worth nothing.
    numbers: Result<BTreeMap<String, Number>, String>,
}

impl Run {
    /// The numbers of a record, which is not needed any more. `started_at` orders runs.
    #[must_use]
    pub fn of(record: &RunRecord, started_at: &str) -> Self {
        let why = match record.status {
            RunStatus::Complete if record.verified().1 > 0 => Some("read wrong bytes".to_owned()),
            RunStatus::Complete => None,
            _ => Some(format!("is {}", record.status.word())),
        };
        Self {
            started_at: started_at.to_owned(),
            workload_hash: record.workload.hash.clone(),
            deterministic: record.deterministic,
            numbers: why.map_or_else(|| Ok(numbers(record)), Err),
        }
    }
}

/// One number over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendRow {
    /// Target, point and name.
    pub number: String,
    /// Its unit.
    pub unit: Unit,
    /// Median of the last few before the newest.
    pub before: f64,
    /// How many those were.
    pub runs: usize,
    /// The newest.
    pub newest: f64,
    /// newest / before; none where that was 0.
    pub ratio: Option<f64>,
    /// Whether that is worth a look, and in which direction.
    pub advice: Advice,
}

/// What to make of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// As before.
    Usual,
    /// Out of the usual on the worse side.
    LooksWorse,
    /// Out of the usual on the better side.
    LooksBetter,
    /// Out of the usual.
    LooksDifferent,
}

impl Advice {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::LooksWorse => "looks worse",
            Self::LooksBetter => "looks better",
            Self::LooksDifferent => "looks different",
        }
    }
}

/// The newest of `runs` (by when they began) beside the median of the last `last` before it. What was left out and
/// why comes along. No row where fewer than three runs are left.
#[must_use]
pub fn trend(mut runs: Vec<Run>, last: usize) -> (Vec<TrendRow>, Vec<String>) {
    let mut notes = Vec::new();
    runs.sort_by(|a, b| a.started_at.cmp(&b.started_at));
    let mut whole = Vec::new();
    for run in runs {
        match run.numbers {
            Ok(numbers) => whole.push((run.workload_hash, run.deterministic, numbers)),
            Err(why) => notes.push(format!("left out: the run of {} {why}", run.started_at)),
        }
    }
    let Some((hash, deterministic, newest)) = whole.pop() else {
        return (Vec::new(), notes);
    };
    let before = whole.len();
    whole.retain(|run| run.0 == hash);
    if whole.len() < before {
        let foreign = before - whole.len();
        notes.push(format!("left out: {foreign} runs of other workloads"));
    }
    let before = whole.len();
    whole.retain(|run| run.1 == deterministic);
    if whole.len() < before {
        let other = before - whole.len();
        let time = match deterministic {
            true => "timed by the clock, and the newest is in virtual time",
            false => "in virtual time, and the newest is timed by the clock",
        };
        notes.push(format!("left out: {other} runs {time}"));
    }
    let before: Vec<_> = whole.iter().rev().take(last).collect();
    let mut rows = Vec::new();
    for (name, number) in newest {
        let values: Vec<f64> = before
            .iter()
            .filter_map(|(.., numbers)| Some(numbers.get(&name)?.value))
            .collect();
        let Some(spread) = Spread::of(&values).filter(|spread| spread.count >= BEFORE_MIN) else {
            continue;
        };
        rows.push(TrendRow {
            number: name,
            unit: number.unit,
            before: spread.median,
            runs: spread.count,
            newest: number.value,
            ratio: (spread.median != 0.0).then(|| number.value / spread.median),
            advice: advice(&spread, number.value, number.better),
        });
    }
    rows.sort_by_key(|row| row.advice == Advice::Usual);
    (rows, notes)
}

fn advice(spread: &Spread, newest: f64, better: Better) -> Advice {
    let off = newest - spread.median;
    if off.abs() <= (MAD_TIMES * spread.mad).max(FLOOR * spread.median.abs()) {
        return Advice::Usual;
    }
    match (better, off > 0.0) {
        (Better::Neither, _) => Advice::LooksDifferent,
        (Better::Higher, true) | (Better::Lower, false) => Advice::LooksBetter,
        (Better::Higher, false) | (Better::Lower, true) => Advice::LooksWorse,
    }
}

/// One number of one run.
#[derive(Clone, Copy, Debug)]
struct Number {
    value: f64,
    unit: Unit,
    better: Better,
}

/// Medians over the rounds of a run: its counters, and rate, median and 99th percentile of each kind of operation.
fn numbers(record: &RunRecord) -> BTreeMap<String, Number> {
    let mut rounds: BTreeMap<String, (Vec<f64>, Unit, Better)> = BTreeMap::new();
    let mut put = |name: String, value: f64, unit: Unit, better: Better| {
        let of_number = rounds
            .entry(name)
            .or_insert_with(|| (Vec::new(), unit, better));
        of_number.0.push(value);
    };
    for cell in record.cells.iter().filter(|cell| cell.fault.is_none()) {
        let place = match point_label(&cell.point) {
            label if cell.point.is_empty() || label.is_empty() => cell.target.clone(),
            label => format!("{} at {label}", cell.target),
        };
        for (name, value) in &cell.counters {
            let metric = record.metrics.get(name);
            let (unit, better) = metric.map_or((Unit::Plain, Better::Neither), |metric| {
                (metric.unit, metric.better)
            });
            put(format!("{place} {name}"), *value, unit, better);
        }
        for phase in cell.named_phases() {
            for op in phase.ops.iter().filter(|op| op.count > 0) {
                let name = format!("{place} {}.{}", phase.name, op.op);
                if let Some(rate) = phase.per_second(op.count) {
                    put(format!("{name}/s"), rate, Unit::PerSecond, Better::Higher);
                }
                for (what, ns) in [("p50", op.response.ns_p50), ("p99", op.response.ns_p99)] {
                    let name = format!("{name} {what}");
                    put(name, ns as f64, Unit::Nanoseconds, Better::Lower);
                }
            }
        }
    }
    let centre = |(name, (values, unit, better)): (String, (Vec<f64>, Unit, Better))| {
        let value = median(&values)?;
        let number = Number {
            value,
            unit,
            better,
        };
        Some((name, number))
    };
    rounds.into_iter().filter_map(centre).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LatencyHist;
    use crate::metric::Metric;
    use crate::record::{Cell, OpRecord, PhaseRecord, Tool, Workload};

    fn run(day: u32, bytes: f64) -> RunRecord {
        let workload = Workload {
            hash: "h1".to_owned(),
            ..Workload::default()
        };
        let mut record = RunRecord::begin(
            Tool::default(),
            format!("2026-01-{day:02}T00:00:00Z"),
            workload,
        );
        record.status = RunStatus::Complete;
        let metric = Metric::timed("cpu.ns", Unit::Nanoseconds, Better::Lower);
        record.metrics.insert(metric.name.clone(), metric);
        let mut cell = Cell {
            target: "engine".to_owned(),
            ..Cell::default()
        };
        cell.count("cpu.ns", bytes);
        record.cells.push(cell);
        record
    }

    fn trend(records: Vec<RunRecord>, last: usize) -> (Vec<TrendRow>, Vec<String>) {
        let runs = records.iter().map(|run| Run::of(run, &run.started_at));
        super::trend(runs.collect(), last)
    }

    #[test]
    fn a_lucky_run_does_not_make_the_next_one_look_bad() {
        let runs = vec![
            run(1, 100.0),
            run(2, 101.0),
            run(3, 99.0),
            run(4, 50.0),
            run(5, 102.0),
        ];
        let (rows, _) = trend(runs, 10);
        assert_eq!((rows[0].advice, rows[0].runs), (Advice::Usual, 4));
        assert_eq!(rows[0].before, 99.5);
    }

    #[test]
    fn what_is_out_of_the_usual_is_said_and_only_the_last_few_count() {
        let mut runs: Vec<RunRecord> = (1..=9).map(|day| run(day, 500.0)).collect();
        runs.extend((10..=14).map(|day| run(day, 100.0)));
        runs.push(run(15, 130.0));
        let (rows, _) = trend(runs, 5);
        assert_eq!(
            (rows[0].advice, rows[0].before),
            (Advice::LooksWorse, 100.0)
        );
        let ratio = rows[0].ratio.expect("not from zero");
        assert!((ratio - 1.3).abs() < 1e-12);
    }

    #[test]
    fn failed_runs_and_other_workloads_are_left_out_aloud() {
        let mut runs: Vec<RunRecord> = (1..=4).map(|day| run(day, 100.0)).collect();
        runs[0].workload.hash = "h2".to_owned();
        runs[1].status = RunStatus::Failed {
            reason: "no space".to_owned(),
        };
        let (rows, notes) = trend(runs, 5);
        assert!(rows.is_empty(), "one run before is no trend");
        assert_eq!(notes.len(), 2, "{notes:?}");
    }

    #[test]
    fn a_run_that_read_wrong_bytes_is_not_called_complete() {
        let mut runs: Vec<RunRecord> = (1..=5).map(|day| run(day, 100.0)).collect();
        runs[2].cells[0].verification.mismatches = 1;
        let (rows, notes) = trend(runs, 5);
        assert_eq!(rows[0].runs, 3);
        assert_eq!(
            notes,
            ["left out: the run of 2026-01-03T00:00:00Z read wrong bytes"]
        );
    }

    #[test]
    fn virtual_time_is_not_compared_with_the_clock() {
        let mut runs: Vec<RunRecord> = (1..=8).map(|day| run(day, 100.0)).collect();
        for virtual_run in &mut runs[..3] {
            virtual_run.deterministic = true;
            virtual_run.cells[0].count("cpu.ns", 1.0);
        }
        let (rows, notes) = trend(runs.clone(), 10);
        assert_eq!((rows[0].before, rows[0].runs), (100.0, 4));
        assert_eq!(
            notes,
            ["left out: 3 runs in virtual time, and the newest is timed by the clock"]
        );
        // One hash, and nothing of its sort of time before it.
        runs[7].deterministic = true;
        runs[0].deterministic = false;
        let (rows, notes) = trend(runs, 10);
        assert!(rows.is_empty(), "{rows:?}");
        assert!(
            notes[0].starts_with("left out: 5 runs timed by the clock"),
            "{notes:?}"
        );
    }

    #[test]
    fn a_number_that_leaves_zero_is_shown_without_a_ratio() {
        let mut runs: Vec<RunRecord> = (1..=3).map(|day| run(day, 0.0)).collect();
        runs.push(run(4, 500.0));
        let (rows, _) = trend(runs, 5);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].before, rows[0].newest), (0.0, 500.0));
        assert_eq!((rows[0].ratio, rows[0].advice), (None, Advice::LooksWorse));
    }

    #[test]
    fn a_tail_that_grows_is_seen_where_the_rate_is_as_before() {
        let of = |day: u32, slow_ns: u64| {
            let mut hist = LatencyHist::new();
            (0..98).for_each(|_| hist.record(1000));
            (0..2).for_each(|_| hist.record(slow_ns));
            let mut record = run(day, 100.0);
            record.cells[0].phases.push(PhaseRecord {
                name: "serve".to_owned(),
                wall_ns: 1_000_000_000,
                ops: vec![OpRecord::new("write", 4096, 0, &hist, &hist)],
                ..PhaseRecord::default()
            });
            record
        };
        let mut runs: Vec<RunRecord> = (1..=4).map(|day| of(day, 2000)).collect();
        runs.push(of(5, 40_000));
        let (rows, _) = trend(runs, 5);
        let advice = |number: &str| {
            let row = rows.iter().find(|row| row.number == number);
            row.map(|row| (row.advice, row.unit))
        };
        assert_eq!(
            advice("engine serve.write/s"),
            Some((Advice::Usual, Unit::PerSecond))
        );
        assert_eq!(
            advice("engine serve.write p50"),
            Some((Advice::Usual, Unit::Nanoseconds))
        );
        assert_eq!(
            advice("engine serve.write p99"),
            Some((Advice::LooksWorse, Unit::Nanoseconds))
        );
    }
}
