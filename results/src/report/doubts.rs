//! What may have disturbed this run, the gravest first.
//!
//! The machine's doubts were taken before the run (the record has them); the others are read from the
//! rounds themselves: spread, drift, few operations, little time, what of a trace is missing, the harness's own share. Pure.

use super::summary::{Summary, TargetSummary};
use crate::metric::Unit;
use crate::query::Quantity;
use crate::record::{Cell, PhaseRole, RunRecord};
use crate::stats::median;
use serde::Serialize;

/// How far a doubt reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    /// Numbers may be wrong by more than what is looked for.
    Grave,
    /// Small differences may be noise.
    Worth,
    /// Good to know.
    Slight,
}

/// One doubt as the page shows it.
#[derive(Debug, Serialize)]
pub(super) struct RankedDoubt {
    pub(super) grade: &'static str,
    pub(super) class: &'static str,
    pub(super) code: String,
    pub(super) seen: String,
    pub(super) advice: String,
}

impl RankedDoubt {
    pub(super) fn is_grave(&self) -> bool {
        self.class == "violated"
    }
}

/// Rounds of one point further apart than this tell nothing about small differences.
const SPREAD_GRAVE: f64 = 0.25;
const SPREAD_WORTH: f64 = 0.08;
/// The last round against the first.
const DRIFT_WORTH: f64 = 0.10;
/// Operations beyond a quantile that make it a number.
const BEYOND_LEAST: f64 = 10.0;
/// A phase shorter than this has seen no slow cycle of a device.
const PHASE_SHORT_NS: u64 = 5_000_000_000;
/// Of all processor time.
const STOLEN_PART: f64 = 0.01;
/// A generator later than this is in the tail of fast operations.
const LATE_NS: f64 = 500_000.0;
/// Of a recording; where more of it is missing, the replay is of another load.
const MISSING_GRAVE: f64 = 0.01;
/// The harness's share of a median operation.
const HARNESS_PART: f64 = 0.10;

/// All doubts, ranked.
pub(super) fn ranked(summary: &Summary<'_>) -> Vec<RankedDoubt> {
    let record = summary.record;
    let mut found: Vec<(Grade, String, String, String)> = record
        .machine
        .doubts
        .iter()
        .map(|doubt| {
            let grade = grade_of(&doubt.code);
            let (code, seen) = (doubt.code.clone(), doubt.seen.clone());
            (grade, code, seen, doubt.advice.clone())
        })
        .collect();
    let mut doubt = |grade, code: &str, seen: String, advice: &str| {
        found.push((grade, code.to_owned(), seen, advice.to_owned()));
    };
    if let Some((grade, seen)) = spread(summary) {
        doubt(grade, "spread", seen, "more rounds, or a quieter machine");
    }
    if let Some(seen) = drift(summary) {
        doubt(
            Grade::Worth,
            "drift",
            seen,
            "rounds are interleaved, so ratios within a round still hold; absolute numbers do not",
        );
    }
    if let Some(seen) = few_operations(summary) {
        doubt(Grade::Worth, "few-operations", seen, "a longer phase");
    }
    if let Some(seen) = short(record) {
        doubt(
            Grade::Worth,
            "short",
            seen,
            "a longer duration, until caches and devices have left their first state",
        );
    }
    if let Some(seen) = harness(summary) {
        doubt(
            Grade::Worth,
            "harness-share",
            seen,
            "compare points with one another; the operation itself is faster than the number",
        );
    }
    if let Some(seen) = stolen(record) {
        doubt(
            Grade::Grave,
            "steal",
            seen,
            "measure again when the host is quiet",
        );
    }
    if let Some(seen) = overloaded(record) {
        doubt(
            Grade::Grave,
            "overload",
            seen,
            "a lower rate, or a closed loop: latencies of an open loop that the target cannot follow grow with its duration",
        );
    }
    if let Some(seen) = late(record) {
        doubt(
            Grade::Worth,
            "late-generator",
            seen,
            "fewer clients than processors, or a lower rate: response times hold this delay",
        );
    }
    if let Some(seen) = few_clients(record) {
        doubt(
            Grade::Worth,
            "few-clients",
            seen,
            "more `clients:` of the job that replays the recording, as many as it has requests on their way at once: where each waits \
             for the one before it, response times are of a queue that the recording did not have",
        );
    }
    if let Some(seen) = reads_of_nothing(record) {
        doubt(
            Grade::Grave,
            "reads-of-nothing",
            seen,
            "such reads take no time and stand in every latency and rate of reads; write the files first, in a phase before; \
             `filled: true` of a trace does that for what the recording reads before it writes it",
        );
    }
    for (grade, code, seen) in traces(record) {
        doubt(
            grade,
            code,
            seen,
            "delalloc import FILE shows what is lost of the trace; these requests took no part in any number",
        );
    }
    if !record.cells.is_empty() && record.verified().0 == 0 {
        doubt(
            Grade::Slight,
            "not-verified",
            "nothing was read back and compared".to_owned(),
            "leave verify on for one run at least",
        );
    }
    found.sort_by_key(|(grade, ..)| *grade);
    found
        .into_iter()
        .map(|(grade, code, seen, advice)| RankedDoubt {
            grade: match grade {
                Grade::Grave => "grave",
                Grade::Worth => "worth knowing",
                Grade::Slight => "slight",
            },
            class: match grade {
                Grade::Grave => "violated",
                Grade::Worth => "unknown",
                Grade::Slight => "slight",
            },
            code,
            seen,
            advice,
        })
        .collect()
}

/// Reads beyond the end of files, where they are more than one byte in a hundred; of the worst cell.
fn reads_of_nothing(record: &RunRecord) -> Option<String> {
    let of = |cell: &Cell, name: &str| cell.counters.get(name).copied().unwrap_or(0.0);
    let worst = record.cells.iter().filter_map(|cell| {
        let missing = of(cell, "user.read_missing_bytes");
        let share = missing / (missing + of(cell, "user.read_bytes"));
        (share > 0.01).then_some((cell, share))
    });
    let (cell, share) = worst.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(format!(
        "{:.0} % of the bytes that {} was asked to read lie beyond the end of their files",
        share * 100.0,
        cell.target
    ))
}

/// Codes of the machine. One that a later version adds is worth knowing.
fn grade_of(code: &str) -> Grade {
    match code {
        "debug-build" | "busy-machine" | "low-memory" => Grade::Grave,
        "swap" | "no-governor" | "virtual-machine" => Grade::Slight,
        _ => Grade::Worth,
    }
}

/// How far apart the rounds of a typical point are.
fn spread(summary: &Summary<'_>) -> Option<(Grade, String)> {
    let numbers: Vec<_> = summary
        .targets
        .iter()
        .flat_map(|target| &target.points)
        .filter_map(|point| point.headline)
        .collect();
    let path = summary.headline.as_ref()?.text();
    if !numbers.is_empty() && numbers.iter().all(|numbers| numbers.rate.count < 2) {
        let seen = format!("{path} was measured in one round, so nothing is known of its spread");
        return Some((Grade::Grave, seen));
    }
    let repeated = numbers.iter().filter(|numbers| numbers.rate.count > 1);
    let parts: Vec<f64> = repeated.map(|numbers| numbers.rate.relative()).collect();
    let typical = median(&parts)?;
    let widest = parts.iter().copied().fold(0.0_f64, f64::max);
    let grade = if typical > SPREAD_GRAVE {
        Grade::Grave
    } else if typical > SPREAD_WORTH {
        Grade::Worth
    } else {
        return None;
    };
    let seen = format!(
        "rounds of one point are {:.0} % apart in the rate of {path} (median over points; the widest {:.0} %)",
        100.0 * typical,
        100.0 * widest
    );
    Some((grade, seen))
}

/// Whether the last round differs from the first at most points alike.
fn drift(summary: &Summary<'_>) -> Option<String> {
    const POINTS_LEAST: usize = 3;
    let path = summary.headline.as_ref()?;
    let ratios: Vec<f64> = summary
        .targets
        .iter()
        .flat_map(|target| &target.points)
        .filter_map(|point| {
            let (first, last) = (point.rounds.rates.first()?, point.rounds.rates.last()?);
            (point.rounds.rates.len() > 1 && *first > 0.0).then(|| last / first)
        })
        .collect();
    if ratios.len() < POINTS_LEAST {
        return None;
    }
    let typical = median(&ratios)?;
    let alike = ratios
        .iter()
        .filter(|ratio| (**ratio > 1.0) == (typical > 1.0))
        .count();
    ((typical - 1.0).abs() > DRIFT_WORTH && alike * 4 >= ratios.len() * 3).then(|| {
        format!(
            "the last round of {} was {:.2} x the first at a typical point",
            path.text(),
            typical
        )
    })
}

fn few_operations(summary: &Summary<'_>) -> Option<String> {
    let shown = summary.targets.iter().filter_map(TargetSummary::shown);
    let rows = shown.flat_map(|point| &point.cells).flat_map(|cell| {
        cell.named_phases().into_iter().flat_map(|phase| {
            let name = phase.name;
            let rows = phase.ops.into_iter();
            rows.map(move |op| (format!("{name}.{}", op.op), op.response.count))
        })
    });
    let mut few: Vec<String> = rows
        .filter(|(_, count)| *count > 0 && (*count as f64) * 0.01 < BEYOND_LEAST)
        .map(|(path, _)| path)
        .collect();
    few.sort_unstable();
    few.dedup();
    (!few.is_empty()).then(|| {
        format!(
            "p99 of {} rests on fewer than {BEYOND_LEAST:.0} operations beyond it in a round",
            few.join(", ")
        )
    })
}

fn short(record: &RunRecord) -> Option<String> {
    let longest_ns = record
        .cells
        .iter()
        .flat_map(|cell| &cell.phases)
        .filter(|phase| phase.role == PhaseRole::Steady)
        .map(|phase| phase.wall_ns)
        .max()?;
    (longest_ns < PHASE_SHORT_NS).then(|| {
        format!(
            "the longest measured phase took {}",
            Unit::Nanoseconds.format(longest_ns as f64)
        )
    })
}

/// Processor time that the hypervisor kept, of all there was.
fn stolen(record: &RunRecord) -> Option<String> {
    let stolen_ns: f64 = record
        .cells
        .iter()
        .filter_map(|cell| cell.counters.get("machine.stolen_ns"))
        .sum();
    let all_ns = record.wall_ns as f64 * f64::from(record.machine.logical_cores);
    let part = stolen_ns / all_ns;
    (all_ns > 0.0 && part > STOLEN_PART).then(|| {
        format!(
            "{:.1} % of processor time was taken by other guests",
            100.0 * part
        )
    })
}

/// Recordings that were not replayed whole, or by guesses.
fn traces(record: &RunRecord) -> Vec<(Grade, &'static str, String)> {
    let rows = record.traces().into_iter();
    rows.filter_map(|trace| {
        let (grade, code) = match trace.missing() {
            0 => (Grade::Slight, "trace-guessed"),
            _ if trace.missing_share() > MISSING_GRAVE => (Grade::Grave, "trace-incomplete"),
            _ => (Grade::Worth, "trace-incomplete"),
        };
        Some((grade, code, trace.text()?))
    })
    .collect()
}

/// The phase of which most was due and never issued.
fn overloaded(record: &RunRecord) -> Option<String> {
    let phases = record.cells.iter().flat_map(|cell| {
        let phases = cell.measured();
        phases.filter_map(move |phase| {
            let schedule = phase.schedule.as_ref()?;
            let is_overloaded = schedule.is_overloaded(phase.wall_ns);
            is_overloaded.then(|| (cell, phase, schedule.unissued_share(phase.wall_ns)))
        })
    });
    let (cell, phase, share) = phases.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(format!(
        "the target did not follow the schedule of {} on {}: what was due in the last {:.1} % of its time was never issued, \
         and is in no latency",
        phase.name,
        cell.target,
        share * 100.0
    ))
}

/// The recording of which most was due while its client was busy.
fn few_clients(record: &RunRecord) -> Option<String> {
    let phases = record.cells.iter().flat_map(|cell| {
        let traces = cell.traces.iter();
        traces.flat_map(move |trace| {
            let phases = cell.measured().filter(|phase| phase.name == trace.phase);
            phases.filter_map(move |phase| {
                let job = phase.job(&trace.job);
                let schedule = job.map_or(phase.schedule.as_ref(), |job| job.schedule)?;
                let is_short = schedule.is_short_of_clients();
                is_short.then(|| (cell, phase, schedule.busy_share()))
            })
        })
    });
    let (cell, phase, share) = phases.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(format!(
        "{:.0} % of what was due in {} on {} found its client busy with a request before",
        share * 100.0,
        phase.name,
        cell.target
    ))
}

/// How late operations began by the generator's fault.
fn late(record: &RunRecord) -> Option<String> {
    let lates: Vec<f64> = record
        .cells
        .iter()
        .filter_map(|cell| cell.counters.get("generator.late_ns_p99").copied())
        .collect();
    let late_ns = median(&lates).filter(|late_ns| *late_ns > LATE_NS)?;
    Some(format!(
        "one operation in a hundred began {} later than on a generator that costs nothing",
        Unit::Nanoseconds.format(late_ns)
    ))
}

/// Of the operation with the shortest median.
fn harness(summary: &Summary<'_>) -> Option<String> {
    let cost_ns = summary.record.harness.as_ref()?.ns_per_op;
    let shown = summary.targets.iter().filter_map(TargetSummary::shown);
    let cells: Vec<_> = shown
        .flat_map(|point| point.cells.iter().copied())
        .collect();
    let (path, p50_ns) = summary
        .paths
        .iter()
        .filter_map(|path| {
            let text = path.text();
            let medians = cells
                .iter()
                .filter_map(|cell| Quantity::P50.of(cell, &text).ok());
            let p50_ns = median(&medians.collect::<Vec<f64>>())?;
            Some((text, p50_ns))
        })
        .filter(|(_, p50_ns)| *p50_ns > 0.0)
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    (cost_ns > HARNESS_PART * p50_ns).then(|| {
        format!(
            "the harness costs {} per operation, and the median {path} takes {}",
            Unit::Nanoseconds.format(cost_ns),
            Unit::Nanoseconds.format(p50_ns)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::LatencyHist;
    use crate::record::{
        Cell, Doubt, OpRecord, PhaseRecord, ScheduleRecord, Target, Tool, TraceLoss, TraceRecord,
        Workload,
    };

    /// One target, one round per wall time, as many writes of 1 ms each.
    fn record(walls_s: &[u64], operations: u64) -> RunRecord {
        let mut record =
            RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        record.targets.push(Target {
            name: "engine".to_owned(),
            ..Target::default()
        });
        for (round, wall_s) in (0_u32..).zip(walls_s) {
            let mut hist = LatencyHist::new();
            hist.record_n(1_000_000, operations);
            let phase = PhaseRecord {
                name: "load".to_owned(),
                wall_ns: wall_s * 1_000_000_000,
                ops: vec![OpRecord::new("write", 1 << 30, 0, &hist, &hist)],
                ..PhaseRecord::default()
            };
            let mut cell = Cell {
                target: "engine".to_owned(),
                round,
                phases: vec![phase],
                ..Cell::default()
            };
            cell.verification.bytes_verified = 1;
            record.cells.push(cell);
        }
        record
    }

    fn codes(record: &RunRecord) -> Vec<String> {
        let summary = Summary::of(record, None);
        ranked(&summary)
            .into_iter()
            .map(|doubt| format!("{} {}", doubt.grade, doubt.code))
            .collect()
    }

    #[test]
    fn a_calm_long_verified_run_has_no_doubts() {
        assert_eq!(codes(&record(&[10, 10, 10], 5000)), Vec::<String>::new());
    }

    #[test]
    fn reads_beyond_the_end_of_files_are_no_reads() {
        let mut record = record(&[10, 10, 10], 5000);
        for (missing, codes_then) in [(1.0, 0), (99.0, 1)] {
            let cell = &mut record.cells[2];
            cell.count("user.read_bytes", 100.0);
            cell.count("user.read_missing_bytes", missing);
            assert_eq!(codes(&record).len(), codes_then, "{missing}");
        }
        assert_eq!(codes(&record), ["grave reads-of-nothing"]);
    }

    #[test]
    fn a_recording_with_more_on_its_way_than_clients_wants_more_of_them() {
        let mut busy = record(&[10, 10], 5000);
        let mut late = LatencyHist::new();
        late.record_n(1000, 5000);
        for (due_while_busy, codes_then) in [(2500, 0), (2501, 1)] {
            busy.cells[1].phases[0].schedule =
                Some(ScheduleRecord::new(due_while_busy, &late, 1_000_000));
            assert_eq!(codes(&busy).len(), 0, "no recording, no doubt");
            busy.cells[1].traces = vec![TraceRecord {
                phase: "load".to_owned(),
                ..TraceRecord::default()
            }];
            assert_eq!(codes(&busy).len(), codes_then, "{due_while_busy}");
            if codes_then > 0 {
                assert_eq!(codes(&busy), ["worth knowing few-clients"]);
            }
            busy.cells[1].traces.clear();
        }
    }

    #[test]
    fn each_disturbance_is_named_and_the_gravest_comes_first() {
        assert_eq!(codes(&record(&[10], 5000)), ["grave spread"]);
        assert_eq!(codes(&record(&[10, 20, 15], 5000)), ["grave spread"]);
        assert_eq!(codes(&record(&[100, 110], 5000)), ["worth knowing spread"]);
        assert_eq!(
            codes(&record(&[1, 1], 50)),
            ["worth knowing few-operations", "worth knowing short"]
        );
        let mut lossy = record(&[10, 10], 5000);
        lossy.cells[1].traces = [(0, 9), (1, 0), (20, 0)]
            .into_iter()
            .zip(["a", "b", "c"])
            .map(|((malformed, guesses), path)| TraceRecord {
                path: path.to_owned(),
                requests: 1000,
                malformed,
                guessed: (0..guesses)
                    .map(|nth: u64| (nth.to_string(), TraceLoss::default()))
                    .collect(),
                ..TraceRecord::default()
            })
            .collect();
        assert_eq!(
            codes(&lossy),
            [
                "grave trace-incomplete",
                "worth knowing trace-incomplete",
                "slight trace-guessed"
            ]
        );
        let mut unverified = record(&[10, 10], 5000);
        for cell in &mut unverified.cells {
            cell.verification.bytes_verified = 0;
        }
        let doubt = |code: &str| Doubt {
            code: code.to_owned(),
            ..Doubt::default()
        };
        unverified.machine.doubts = ["swap", "of-later", "debug-build"].map(doubt).to_vec();
        assert_eq!(
            codes(&unverified),
            [
                "grave debug-build",
                "worth knowing of-later",
                "slight swap",
                "slight not-verified"
            ]
        );
    }
}
