//! The lines about time below the table of a replay: the ways of a write, and how schedules were kept.

use delalloc_results::metric::Unit;
use delalloc_results::record::{Cell, NamedPhase, ScheduleRecord, SpanRecord, point_label};
use delalloc_results::{RunRecord, stats};

/// A run without a sweep has a line for each of so many phases.
const PHASES_SHOWN_MAX: usize = 4;

/// A line per target and point whose writes have more than one latency: until accepted, at home, synced. Phase by phase as well,
/// where that is not many lines.
pub(super) fn writes(record: &RunRecord) -> Vec<String> {
    let is_swept = record.points().len() > 1;
    let mut lines = Vec::new();
    for (who, cells) in groups(record) {
        let of_cells: Vec<&[SpanRecord]> = cells.iter().map(|cell| &*cell.spans).collect();
        if !of_cells.iter().any(|spans| spans.len() > 1) {
            continue;
        }
        lines.push(format!(
            "writes on {who}, whole cell (p50, p99): {}; held up {}",
            ways(&of_cells),
            ns(middle(cells.iter().map(|cell| held_up_ns(cell))))
        ));
        let first = cells
            .first()
            .map_or_else(Vec::new, |cell| cell.named_phases());
        if is_swept || first.len() > PHASES_SHOWN_MAX {
            continue;
        }
        for NamedPhase { name, .. } in first {
            let of_phase: Vec<Vec<SpanRecord>> =
                cells.iter().map(|cell| cell.spans_of(name)).collect();
            let of_phase: Vec<&[SpanRecord]> = of_phase.iter().map(|spans| &**spans).collect();
            if of_phase.iter().any(|spans| spans.len() > 1) {
                lines.push(format!(
                    "writes on {who}, ended in {name}: {}",
                    ways(&of_phase)
                ));
            }
        }
    }
    lines
}

/// Medians over the rounds, of those spans that the first round with more than one has.
fn ways(rounds: &[&[SpanRecord]]) -> String {
    let names = rounds.iter().find(|spans| spans.len() > 1);
    let way = |first: &SpanRecord| {
        let median = |value: fn(&SpanRecord) -> u64| {
            let same = rounds.iter().copied().flatten();
            middle(same.filter(|span| span.name == first.name).map(value))
        };
        let p50 = first.text(median(|span| span.ns_p50));
        let p99 = first.text(median(|span| span.ns_p99));
        format!("{} {p50}, {p99}", first.name)
    };
    let ways = names.copied().unwrap_or_default().iter().map(way);
    ways.collect::<Vec<_>>().join("; ")
}

/// A line per phase with a schedule: how late the generator was, in the worst round; and one where the target did not
/// follow it. The same for each job where several of a phase have one.
pub(super) fn schedules(record: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    for (who, cells) in groups(record) {
        let Some(first) = cells.first() else { continue };
        for NamedPhase { name, jobs, .. } in first.named_phases() {
            let rounds = || cells.iter().flat_map(|cell| cell.phases_named(name));
            let of_phase = rounds().filter_map(|one| Some((one.schedule.as_ref()?, one.wall_ns)));
            lines.extend(lines_of(name, &who, of_phase.collect()));
            let open = jobs.iter().filter(|job| job.is_open);
            if open.clone().count() < 2 {
                continue;
            }
            for job in open {
                let of_job =
                    rounds().filter_map(|one| Some((one.job(job.name)?.schedule?, one.wall_ns)));
                let whose = format!("{name}.{}", job.name);
                lines.extend(lines_of(&whose, &who, of_job.collect()));
            }
        }
    }
    lines
}

/// What the rounds say of one schedule, each with the time of its phase.
fn lines_of(whose: &str, who: &str, rounds: Vec<(&ScheduleRecord, u64)>) -> Vec<String> {
    let schedules = rounds.iter().map(|(schedule, _)| *schedule);
    let worst = schedules.max_by(|a, b| a.late_share().total_cmp(&b.late_share()));
    let mut lines: Vec<String> = worst
        .map(|worst| line(whose, who, worst))
        .into_iter()
        .collect();
    let overloaded = rounds
        .iter()
        .filter(|(schedule, wall_ns)| schedule.is_overloaded(*wall_ns));
    let shares = overloaded.map(|(schedule, wall_ns)| schedule.unissued_share(*wall_ns));
    let share = shares.fold(0.0_f64, f64::max);
    if share > 0.0 {
        lines.push(format!(
            "overload in {whose} on {who}: what was due in the last {:.1} % of its time was never issued, and is in no latency",
            share * 100.0
        ));
    }
    lines
}

fn line(whose: &str, who: &str, schedule: &ScheduleRecord) -> String {
    let late = &schedule.late;
    let spoilt = if schedule.is_true_to_p99() {
        ""
    } else {
        "; the p99 is the generator's"
    };
    format!(
        "generator late in {whose} on {who}: p50 {}, p99 {}, max {}; {:.2} % of {} later than {}{spoilt}; {:.1} % due while busy",
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
