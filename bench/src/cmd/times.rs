//! The lines about time below the table of a replay: the ways of a write, and how schedules were kept.

use delalloc_results::metric::Unit;
use delalloc_results::record::{Cell, NamedPhase, ScheduleRecord, SpanRecord, point_label};
use delalloc_results::{RunRecord, stats};

/// A line per target and point whose writes have more than one latency: until accepted, at home, synced.
pub(super) fn writes(record: &RunRecord) -> Vec<String> {
    groups(record)
        .into_iter()
        .filter_map(|(who, cells)| {
            let names = &cells.iter().find(|cell| cell.spans.len() > 1)?.spans;
            let spans: Vec<String> = names
                .iter()
                .map(|first| {
                    let median = |value: fn(&SpanRecord) -> u64| {
                        let spans = cells.iter().flat_map(|cell| &cell.spans);
                        let same = spans.filter(|span| span.name == first.name);
                        middle(same.map(value))
                    };
                    let p50 = first.text(median(|span| span.ns_p50));
                    let p99 = first.text(median(|span| span.ns_p99));
                    format!("{} {p50}, {p99}", first.name)
                })
                .collect();
            let held_up_ns = middle(cells.iter().map(|cell| held_up_ns(cell)));
            Some(format!(
                "writes on {who}, whole cell (p50, p99): {}; held up {}",
                spans.join("; "),
                ns(held_up_ns)
            ))
        })
        .collect()
}

/// A line per phase with a schedule: how late the generator was, in the worst round; and one where the target did not
/// follow it.
pub(super) fn schedules(record: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    for (who, cells) in groups(record) {
        let Some(first) = cells.first() else { continue };
        for NamedPhase { name, .. } in first.named_phases() {
            let rounds = cells.iter().flat_map(|cell| cell.phases_named(name));
            let schedules = rounds.filter_map(|phase| phase.schedule.as_ref());
            let worst = schedules.max_by(|a, b| a.late_share().total_cmp(&b.late_share()));
            lines.extend(worst.map(|worst| line(name, &who, worst)));
            let unissued = cells.iter().flat_map(|cell| cell.phases_named(name));
            let unissued = unissued.filter_map(|phase| {
                let schedule = phase.schedule.as_ref()?;
                let is_overloaded = schedule.is_overloaded(phase.wall_ns);
                is_overloaded.then(|| schedule.unissued_share(phase.wall_ns))
            });
            let share = unissued.fold(0.0_f64, f64::max);
            if share > 0.0 {
                lines.push(format!(
                    "overload in {name} on {who}: what was due in the last {:.1} % of its time was never issued, and is in no latency",
                    share * 100.0
                ));
            }
        }
    }
    lines
}

fn line(phase: &str, who: &str, schedule: &ScheduleRecord) -> String {
    let late = &schedule.late;
    let whose = if schedule.is_true_to_p99() {
        ""
    } else {
        "; the p99 is the generator's"
    };
    format!(
        "generator late in {phase} on {who}: p50 {}, p99 {}, max {}; {:.2} % of {} later than {}{whose}; {:.1} % due while busy",
        ns(late.ns_p50),
        ns(late.ns_p99),
        ns(late.ns_max),
        schedule.late_share() * 100.0,
        schedule.due,
        ns(schedule.tolerated_ns),
        schedule.busy_share() * 100.0
    )
}

/// The whole cells of each target and point, with what they are called.
fn groups(record: &RunRecord) -> Vec<(String, Vec<&Cell>)> {
    let mut groups = Vec::new();
    for point in record.points() {
        for target in &record.targets {
            let mut cells = record.rounds(&target.name, &point);
            cells.retain(|cell| cell.fault.is_none());
            let who = if point.is_empty() {
                target.name.clone()
            } else {
                format!("{} {}", target.name, point_label(&point))
            };
            groups.push((who, cells));
        }
    }
    groups
}

fn held_up_ns(cell: &Cell) -> u64 {
    let samples = cell.phases.iter().flat_map(|phase| &phase.series);
    let stalls = samples.map(|sample| sample.stalled_ns());
    stalls.fold(0, u64::saturating_add)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a median of what fits"
)]
fn middle(numbers: impl Iterator<Item = u64>) -> u64 {
    let numbers: Vec<f64> = numbers.map(|number| number as f64).collect();
    stats::median(&numbers).unwrap_or(0.0) as u64
}

fn ns(number: u64) -> String {
    Unit::Nanoseconds.format(number as f64)
}
