//! Times one by one: of whole ways from the acceptance of a write on, of single items in each stage, and how a schedule was kept.
//!
//! Both for the whole cell and phase by phase, where a record has that.

use super::summary::Summary;
use super::table::{Field, Table, marked, nothing, number, words};
use crate::metric::Unit;
use crate::record::{Cell, PhaseRecord, ScheduleRecord, SpanRecord, StageKind, StageRecord};
use crate::stats::{median, sum};

/// All of a cell, or its phases of one name.
type Scope<'a> = Option<&'a str>;

/// Until a write is accepted, at home, synced, at the point shown, and what a caller waited for a sync: medians over the rounds,
/// the longest of all.
pub(super) fn spans(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "phase", "from", "target", "how many", "mean", "p50", "p99", "max",
    ]);
    for target in &summary.targets {
        let Some(point) = target.shown() else {
            continue;
        };
        let cells = &point.cells;
        for scope in scopes(cells) {
            let mut row = |from: String, numbers: Option<[Field; 5]>| {
                let Some(numbers) = numbers else { return };
                let mut fields = vec![said(scope), words(from), words(&target.target.name)];
                fields.extend(numbers);
                table.row(fields);
            };
            for name in names(cells.iter().flat_map(|cell| &cell.spans)) {
                let named = |spans: &'_ [SpanRecord]| found(spans, name).cloned();
                let rounds = rounds(
                    cells,
                    scope,
                    |cell| named(&cell.spans),
                    |one| named(&one.spans),
                );
                row(meaning(name), numbers(&rounds));
            }
            for name in waits(cells) {
                let named = |stages: &'_ [StageRecord]| {
                    let stage = stages.iter().find(|stage| stage.name == name)?;
                    Some(
                        found(&stage.times, "running")
                            .cloned()
                            .unwrap_or_else(|| mean(stage)),
                    )
                };
                let rounds = rounds(
                    cells,
                    scope,
                    |cell| named(&cell.stages),
                    |one| named(&one.stages),
                );
                row(format!("a {name}'s call to its return"), numbers(&rounds));
            }
        }
    }
    table
}

/// How long single items took in each stage, part by part, at the point shown.
pub(super) fn items(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "phase", "stage", "part", "target", "items", "mean", "p50", "p99", "max",
    ]);
    for target in &summary.targets {
        let Some(point) = target.shown() else {
            continue;
        };
        let cells = &point.cells;
        for scope in scopes(cells) {
            for (stage, part) in stage_parts(cells) {
                let named = |stages: &'_ [StageRecord]| {
                    let stage = stages.iter().find(|known| known.name == stage)?;
                    found(&stage.times, part).cloned()
                };
                let rounds = rounds(
                    cells,
                    scope,
                    |cell| named(&cell.stages),
                    |one| named(&one.stages),
                );
                let Some(numbers) = numbers(&rounds) else {
                    continue;
                };
                let mut fields = vec![
                    said(scope),
                    words(stage),
                    words(part_words(part)),
                    words(&target.target.name),
                ];
                fields.extend(numbers);
                table.row(fields);
            }
        }
    }
    table
}

/// The whole cell, then its phases that have times of their own.
fn scopes<'a>(cells: &[&'a Cell]) -> Vec<Scope<'a>> {
    let mut scopes = vec![None];
    for phase in cells.iter().flat_map(|cell| cell.measured()) {
        let has_times = !phase.spans.is_empty() || !phase.stages.is_empty();
        let scope = Some(phase.name.as_str());
        if has_times && !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

fn said(scope: Scope<'_>) -> Field {
    words(scope.unwrap_or("(whole cell)"))
}

/// What the rounds say of one time; repetitions of a phase within a round are one.
fn rounds<'a>(
    cells: &[&'a Cell],
    scope: Scope<'_>,
    whole: impl Fn(&'a Cell) -> Option<SpanRecord>,
    of_phase: impl Fn(&'a PhaseRecord) -> Option<SpanRecord>,
) -> Vec<SpanRecord> {
    let of = |cell: &&'a Cell| match scope {
        None => whole(cell),
        Some(name) => {
            let phases = cell.measured().filter(|phase| phase.name == name);
            let spans: Vec<SpanRecord> = phases.filter_map(&of_phase).collect();
            SpanRecord::merged(&spans)
        }
    };
    cells.iter().filter_map(of).collect()
}

/// How many, mean, p50, p99 as medians, and the longest; none where nothing was.
fn numbers(rounds: &[SpanRecord]) -> Option<[Field; 5]> {
    let middle = |value: fn(&SpanRecord) -> f64| {
        let values: Vec<f64> = rounds.iter().map(value).collect();
        median(&values).unwrap_or(0.0)
    };
    let time = |ns: f64, is_edge: bool| {
        let edge = if is_edge { "\u{2264} " } else { "" };
        number(format!("{edge}{}", Unit::Nanoseconds.format(ns)), ns)
    };
    let longest = rounds.iter().max_by_key(|span| span.ns_max)?;
    let count = middle(|span| span.count as f64);
    if count <= 0.0 {
        return None;
    }
    let mut numbers = [
        number(Unit::Count.format(count), count),
        time(middle(|span| span.ns_mean), false),
        nothing(),
        nothing(),
        nothing(),
    ];
    // A mean alone has no longest.
    if longest.ns_max > 0 {
        let is_edge = rounds.iter().any(|span| span.coarse);
        numbers[2] = time(middle(|span| span.ns_p50 as f64), is_edge);
        numbers[3] = time(middle(|span| span.ns_p99 as f64), is_edge);
        numbers[4] = time(longest.ns_max as f64, longest.max_is_edge);
    }
    Some(numbers)
}

/// Of a stage whose record has no times, what there is.
fn mean(stage: &StageRecord) -> SpanRecord {
    SpanRecord {
        count: stage.items,
        ns_mean: stage.running_ns as f64 / stage.items.max(1) as f64,
        ..SpanRecord::default()
    }
}

/// The stages that are the whole wait of a caller.
fn waits<'a>(cells: &[&'a Cell]) -> Vec<&'a str> {
    let first = cells.iter().find(|cell| !cell.stages.is_empty());
    let stages = first.map_or(&[][..], |cell| &cell.stages);
    stages
        .iter()
        .filter(|stage| stage.kind() == StageKind::Caller)
        .map(|stage| stage.name.as_str())
        .collect()
}

/// The stages of any cell, part by part; what a caller waited is among the whole ways.
fn stage_parts<'a>(cells: &[&'a Cell]) -> Vec<(&'a str, &'a str)> {
    let mut parts = Vec::new();
    let stages = cells.iter().flat_map(|cell| &cell.stages);
    for stage in stages.filter(|stage| stage.kind() != StageKind::Caller) {
        for time in &stage.times {
            let part = (stage.name.as_str(), time.name.as_str());
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    parts
}

fn part_words(part: &str) -> &str {
    match part {
        "queued" => "waiting",
        "head_wait" => "waiting for the head of the line",
        other => other,
    }
}

/// The schedule of every phase that had one, and of those of several jobs that had, at the point shown: the worst round.
pub(super) fn schedules(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "phase or job",
        "target",
        "due",
        "generator late p50",
        "p99",
        "max",
        "later than tolerated",
        "tolerated",
        "due while busy",
        "not issued",
        "p99 is of",
    ]);
    for target in &summary.targets {
        let Some(point) = target.shown() else {
            continue;
        };
        let phases = point.cells.iter().flat_map(|cell| cell.measured());
        let mut kept: Vec<(String, Vec<(&ScheduleRecord, u64)>)> = Vec::new();
        for (whose, schedule, wall_ns) in phases.flat_map(schedules_of) {
            match kept.iter_mut().find(|(known, _)| *known == whose) {
                Some((_, rounds)) => rounds.push((schedule, wall_ns)),
                None => kept.push((whose, vec![(schedule, wall_ns)])),
            }
        }
        for (whose, rounds) in kept {
            let schedules = rounds.iter().map(|(schedule, _)| *schedule);
            let worst = schedules.max_by(|a, b| a.late_share().total_cmp(&b.late_share()));
            let Some(worst) = worst else { continue };
            let unissued = rounds
                .iter()
                .map(|(schedule, wall_ns)| schedule.unissued_share(*wall_ns))
                .fold(0.0, f64::max);
            let time = |ns: u64| number(Unit::Nanoseconds.format(ns as f64), ns as f64);
            let share = |share: f64| number(format!("{:.2} %", share * 100.0), share);
            let due = sum(rounds.iter().map(|(schedule, _)| schedule.due)) as f64;
            table.row(vec![
                words(whose),
                words(&target.target.name),
                number(Unit::Count.format(due), due),
                time(worst.late.ns_p50),
                time(worst.late.ns_p99),
                time(worst.late.ns_max),
                share(worst.late_share()),
                time(worst.tolerated_ns),
                share(worst.busy_share()),
                share(unissued),
                if worst.is_true_to_p99() {
                    words("the target")
                } else {
                    marked("the generator", "unknown")
                },
            ]);
        }
    }
    table
}

/// The schedule of a phase, then of each of its jobs, with whose it is and the time of the phase.
fn schedules_of(phase: &PhaseRecord) -> Vec<(String, &ScheduleRecord, u64)> {
    let of_phase = (phase.name.clone(), phase.schedule.as_ref());
    let of_jobs = phase.jobs.iter().map(|job| {
        (
            format!("{}.{}", phase.name, job.name),
            job.schedule.as_ref(),
        )
    });
    let all = std::iter::once(of_phase).chain(of_jobs);
    all.filter_map(|(whose, schedule)| Some((whose, schedule?, phase.wall_ns)))
        .collect()
}

/// Every name once, in the order in which they appear.
fn names<'a>(spans: impl Iterator<Item = &'a SpanRecord>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for span in spans {
        if !names.contains(&span.name.as_str()) {
            names.push(span.name.as_str());
        }
    }
    names
}

fn found<'a>(spans: &'a [SpanRecord], name: &str) -> Option<&'a SpanRecord> {
    spans.iter().find(|span| span.name == name)
}

fn meaning(name: &str) -> String {
    match name {
        "accepted" => "a write's call to its return (accepted)".to_owned(),
        "aged" => "acceptance to hand-off (aged)".to_owned(),
        "home" => "acceptance to on the device and mapped (home)".to_owned(),
        "synced" => "acceptance to the answer of a sync (synced)".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RunRecord, Target, Tool, Workload};

    fn time(name: &str, count: u64, ns: u64, max_is_edge: bool) -> SpanRecord {
        SpanRecord {
            coarse: true,
            max_is_edge,
            ..SpanRecord::spread(name, count, ns)
        }
    }

    fn stage(name: &str, times: Vec<SpanRecord>) -> StageRecord {
        StageRecord {
            name: name.to_owned(),
            items: 9,
            running_ns: 9_000,
            times,
            ..StageRecord::default()
        }
    }

    /// A cell of 9 items, of which a phase that was repeated has 2 and 3.
    fn record() -> RunRecord {
        let mut record =
            RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        record.targets.push(Target {
            name: "engine".to_owned(),
            ..Target::default()
        });
        let phase = |count: u64, ns: u64| PhaseRecord {
            name: "serve".to_owned(),
            stages: vec![stage("compress", vec![time("head_wait", count, ns, true)])],
            spans: vec![time("home", count, 10 * ns, false)],
            ..PhaseRecord::default()
        };
        record.cells.push(Cell {
            target: "engine".to_owned(),
            phases: vec![phase(2, 1000), phase(3, 4000)],
            stages: vec![
                stage("compress", vec![time("head_wait", 9, 8000, false)]),
                stage("sync", Vec::new()),
            ],
            spans: vec![time("home", 9, 90_000, false)],
            ..Cell::default()
        });
        record
    }

    fn rows(table: &Table) -> Vec<String> {
        let text = table.markdown();
        text.lines().skip(2).map(str::to_owned).collect()
    }

    #[test]
    fn single_items_are_shown_for_the_cell_and_for_each_phase() {
        let record = record();
        let rows = rows(&items(&Summary::of(&record, None)));
        assert_eq!(
            rows,
            [
                "| (whole cell) | compress | waiting for the head of the line | engine | 9 | 8 us | \u{2264} 8 us | \u{2264} 16 us | 24 us |",
                "| serve | compress | waiting for the head of the line | engine | 5 | 2.80 us | \u{2264} 4 us | \u{2264} 8 us | \u{2264} 12 us |",
            ]
        );
    }

    #[test]
    fn whole_ways_are_too_and_a_record_without_times_has_a_mean() {
        let record = record();
        let rows = rows(&spans(&Summary::of(&record, None)));
        assert_eq!(
            rows,
            [
                "| (whole cell) | acceptance to on the device and mapped (home) | engine | 9 | 90 us | \u{2264} 90 us | \u{2264} 180 us | 270 us |",
                "| (whole cell) | a sync's call to its return | engine | 9 | 1 us | \u{2013} | \u{2013} | \u{2013} |",
                "| serve | acceptance to on the device and mapped (home) | engine | 5 | 28 us | \u{2264} 40 us | \u{2264} 80 us | 120 us |",
            ]
        );
    }
}
