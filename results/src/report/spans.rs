//! Times that no stage shows: from the acceptance of a write on, and how a schedule was kept.

use super::summary::Summary;
use super::table::{Table, marked, nothing, number, words};
use crate::metric::Unit;
use crate::record::{Cell, PhaseRecord, ScheduleRecord, SpanRecord, StageKind, StageRecord};
use crate::stats::{median, sum};

/// Until a write is accepted, at home, synced, at the point shown: medians over the rounds, the longest of all. And what
/// a caller waited for a sync, of which there is a mean alone.
pub(super) fn spans(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&["from", "target", "how many", "mean", "p50", "p99", "max"]);
    for target in &summary.targets {
        let Some(point) = target.shown() else {
            continue;
        };
        for first in names(&point.cells) {
            let over = |value: fn(&SpanRecord) -> f64| {
                let values: Vec<f64> = found(&point.cells, &first.name).map(value).collect();
                median(&values).unwrap_or(0.0)
            };
            let time = |ns: f64, is_edge: bool| {
                let edge = if is_edge { "\u{2264} " } else { "" };
                let text = Unit::Nanoseconds.format(ns);
                number(format!("{edge}{text}"), ns)
            };
            let longest = found(&point.cells, &first.name)
                .map(|span| span.ns_max)
                .max()
                .unwrap_or(0);
            let count = over(|span| span.count as f64);
            table.row(vec![
                words(meaning(&first.name)),
                words(&target.target.name),
                number(Unit::Count.format(count), count),
                time(over(|span| span.ns_mean), false),
                time(over(|span| span.ns_p50 as f64), first.coarse),
                time(over(|span| span.ns_p99 as f64), first.coarse),
                time(longest as f64, false),
            ]);
        }
        for name in waits(&point.cells) {
            let of = |cell: &&Cell| cell.stages.iter().find(|stage| stage.name == name).cloned();
            let rounds: Vec<StageRecord> = point.cells.iter().filter_map(of).collect();
            let middle = |value: fn(&StageRecord) -> f64| {
                let values: Vec<f64> = rounds.iter().map(value).collect();
                median(&values).unwrap_or(0.0)
            };
            let count = middle(|stage| stage.items as f64);
            let mean = middle(|stage| stage.running_ns as f64 / stage.items.max(1) as f64);
            if count > 0.0 {
                table.row(vec![
                    words(format!("a {name}'s call to its return")),
                    words(&target.target.name),
                    number(Unit::Count.format(count), count),
                    number(Unit::Nanoseconds.format(mean), mean),
                    nothing(),
                    nothing(),
                    nothing(),
                ]);
            }
        }
    }
    table
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

/// The schedule of every phase that had one, at the point shown: the worst round.
pub(super) fn schedules(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "phase",
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
        let mut phases: Vec<(&str, Vec<(&ScheduleRecord, u64)>)> = Vec::new();
        for phase in point.cells.iter().flat_map(|cell| cell.measured()) {
            let PhaseRecord {
                name,
                schedule,
                wall_ns,
                ..
            } = phase;
            let Some(schedule) = schedule.as_ref().map(|schedule| (schedule, *wall_ns)) else {
                continue;
            };
            match phases.iter_mut().find(|(known, _)| known == name) {
                Some((_, rounds)) => rounds.push(schedule),
                None => phases.push((name, vec![schedule])),
            }
        }
        for (phase, rounds) in phases {
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
                words(phase),
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

/// The spans of the first cell that has any.
fn names<'a>(cells: &[&'a Cell]) -> &'a [SpanRecord] {
    let first = cells.iter().find(|cell| !cell.spans.is_empty());
    first.map_or(&[], |cell| &cell.spans)
}

fn found<'a>(cells: &'a [&Cell], name: &'a str) -> impl Iterator<Item = &'a SpanRecord> {
    let of = move |cell: &&'a Cell| cell.spans.iter().find(|span| span.name == name);
    cells.iter().filter_map(of)
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
