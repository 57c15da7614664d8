//! The numbers of the page as tables: what a chart cannot hold and a reader wants to sort.
//!
//! Each is a pure function of the summary. A table without rows is left out by the template.

use super::pipeline::{Pipeline, Stage};
use super::summary::{Path, Summary, TargetSummary};
use super::table::{Field, Table, marked, nothing, number, prose, words};
use crate::assertion::Standing;
use crate::metric::Unit;
use crate::record::{Cell, ContentRecord, PoolRecord, RunRecord, StageKind, point_label};
use crate::stats::{Spread, median, paired_ratios};
use crate::verdict::RunVerdict;

pub(super) fn assertions(verdict: &RunVerdict) -> Table {
    let mut table = Table::new(&[
        "assertion",
        "stands",
        "left against right, where it is closest",
    ]);
    for outcome in &verdict.assertions {
        let (word, class) = match outcome.standing {
            Standing::Held => ("held", "held"),
            Standing::Violated => ("violated", "violated"),
            Standing::Unknown => ("unknown", "unknown"),
        };
        table.row(vec![
            prose(&outcome.text),
            marked(word, class),
            prose(&outcome.reason),
        ]);
    }
    table
}

/// A median with its spread: half the range in percent, or the range itself where it is wide.
pub(super) fn spread_field(spread: &Spread, unit: Unit) -> Field {
    // Infinite where the median is zero and something is not.
    let half = 50.0 * spread.relative();
    let centre = unit.format(spread.median);
    let text = if spread.count < 2 || half < 0.5 {
        centre
    } else if half < 50.0 {
        format!("{centre} \u{b1}{half:.0} %")
    } else {
        format!(
            "{centre} ({} to {})",
            unit.format(spread.min),
            unit.format(spread.max)
        )
    };
    number(text, spread.median)
}

/// The longest of all rounds: a median of longest times hides the one that was waited for.
pub(super) fn longest(spread: &Spread) -> Field {
    number(Unit::Nanoseconds.format(spread.max), spread.max)
}

pub(super) fn key_numbers(summary: &Summary<'_>) -> Table {
    // One target has nothing to be held against.
    let is_compared = summary.targets.len() > 1;
    let mut table = Table::new(&["operation", "target", "rate"]);
    if is_compared {
        table.column("against first");
    }
    for name in ["p50", "p99", "p99.9", "max"] {
        table.column(name);
    }
    for path in &summary.paths {
        let first = summary
            .targets
            .first()
            .and_then(|target| rounds_of(target, path));
        for target in &summary.targets {
            let Some(point) = target.shown() else {
                continue;
            };
            let Some(numbers) = path.numbers(&point.cells) else {
                continue;
            };
            let ratio = first
                .as_ref()
                .zip(rounds_of(target, path))
                .and_then(|(first, own)| median(&paired_ratios(&own, first)));
            let time = |spread: &Spread| spread_field(spread, Unit::Nanoseconds);
            let mut fields = vec![
                words(path.text()),
                words(&target.target.name),
                spread_field(&numbers.rate, path.unit()),
            ];
            if is_compared {
                let ratio = ratio.map(|ratio| number(format!("{ratio:.2} x"), ratio));
                fields.push(ratio.unwrap_or_else(nothing));
            }
            fields.extend([&numbers.p50, &numbers.p99, &numbers.p999].map(time));
            fields.push(longest(&numbers.max));
            table.row(fields);
        }
    }
    table
}

/// The rate of each round at the point shown.
fn rounds_of(target: &TargetSummary<'_>, path: &Path) -> Option<Vec<(u32, f64)>> {
    let point = target.shown()?;
    let rate = |cell: &Cell| Some((cell.round, path.numbers(&[cell])?.rate.median));
    Some(point.cells.iter().filter_map(|cell| rate(cell)).collect())
}

pub(super) fn stages(pipelines: &[Pipeline]) -> Table {
    let mut table = Table::new(&[
        "stage",
        "target",
        "on the way of",
        "items",
        "bytes",
        "queued",
        "running",
        "head of line",
        "deepest",
        "most held",
    ]);
    for pipeline in pipelines {
        // What a caller waited is among the whole ways.
        let of_parts = |stage: &&Stage| stage.kind != StageKind::Caller;
        for stage in pipeline.stages.iter().filter(of_parts) {
            let time = |ns: f64| number(Unit::Nanoseconds.format(ns), ns);
            table.row(vec![
                words(&stage.name),
                words(&pipeline.target),
                words(stage.kind.word()),
                number(Unit::Count.format(stage.items), stage.items),
                number(Unit::Bytes.format(stage.bytes), stage.bytes),
                time(stage.queued_ns),
                time(stage.running_ns),
                time(stage.head_wait_ns),
                number(Unit::Count.format(stage.depth_max), stage.depth_max),
                number(
                    Unit::Bytes.format(stage.bytes_held_max),
                    stage.bytes_held_max,
                ),
            ]);
        }
    }
    table
}

/// Counters whose unit is wanted, one column per target, at the point shown.
pub(super) fn counters(summary: &Summary<'_>, wanted: impl Fn(Unit) -> bool) -> Table {
    let record = summary.record;
    let unit_of = |name: &str| {
        record
            .metrics
            .get(name)
            .map_or(Unit::Plain, |metric| metric.unit)
    };
    let mut names: Vec<&String> = summary
        .targets
        .iter()
        .filter_map(TargetSummary::shown)
        .flat_map(|point| &point.cells)
        .flat_map(|cell| cell.counters.keys())
        .filter(|name| wanted(unit_of(name)))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut table = Table::new(&["counter"]);
    for target in &summary.targets {
        table.column(&target.target.name);
    }
    table.column("what it is");
    for name in names {
        let unit = unit_of(name);
        let mut fields = vec![words(name)];
        for target in &summary.targets {
            let values: Vec<f64> = target
                .shown()
                .into_iter()
                .flat_map(|point| &point.cells)
                .filter_map(|cell| cell.counters.get(name).copied())
                .collect();
            let spread = Spread::of(&values);
            fields.push(spread.map_or_else(nothing, |spread| spread_field(&spread, unit)));
        }
        let doc = record
            .metrics
            .get(name)
            .map_or("", |metric| metric.doc.as_str());
        fields.push(prose(doc));
        table.row(fields);
    }
    table
}

pub(super) fn pools(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "pool",
        "target",
        "kind",
        "workers",
        "items",
        "wake-ups",
        "idle to busy",
        "busy to idle",
        "deepest",
        "busy time",
    ]);
    for target in &summary.targets {
        let Some(cell) = target
            .shown()
            .and_then(|point| point.typical(summary.headline.as_ref()))
        else {
            continue;
        };
        for pool in &cell.pools {
            table.row(pool_row(&target.target.name, pool));
        }
    }
    table
}

fn pool_row(target: &str, pool: &PoolRecord) -> Vec<Field> {
    let count = |value: u64| number(Unit::Count.format(value as f64), value as f64);
    vec![
        words(&pool.name),
        words(target),
        words(&pool.kind),
        number(
            format!("{} of {}", pool.workers_peak, pool.workers_max),
            f64::from(pool.workers_peak),
        ),
        count(pool.items),
        count(pool.wakeups),
        count(pool.to_busy),
        count(pool.to_idle),
        count(pool.depth_max),
        number(
            Unit::Nanoseconds.format(pool.running_ns as f64),
            pool.running_ns as f64,
        ),
    ]
}

/// What was written: how far it was to compress and repeat, and how far it does.
pub(super) fn contents(record: &RunRecord) -> Table {
    let mut table = Table::new(&[
        "content",
        "files",
        "measured with",
        "ratio asked",
        "ratio",
        "ratio as written",
        "duplicates asked",
        "duplicates",
    ]);
    let ratio = |ratio: f64| number(Unit::Ratio.format(ratio), ratio);
    let share = |share: f64| number(format!("{:.1} %", share * 100.0), share);
    for content in &record.contents {
        table.row(vec![
            prose(&content.describe),
            prose(files_text(content)),
            words(&content.codec),
            content.ratio_asked.map_or_else(nothing, ratio),
            ratio(content.ratio),
            prose(written_text(content)),
            content.dedupe_asked.map_or_else(nothing, share),
            content.dedupe.map_or_else(nothing, share),
        ]);
    }
    table
}

/// The ratio in the pieces that writes give a codec, by size of the write.
fn written_text(content: &ContentRecord) -> String {
    let bytes = |bytes: u64| Unit::Bytes.format(bytes as f64);
    let texts = content.written.iter().map(|written| {
        let ratio = Unit::Ratio.format(written.ratio);
        let block = bytes(written.block_bytes);
        if written.block_bytes == written.extent_bytes {
            format!("{block}: {ratio}")
        } else {
            format!("{block}, {} at once: {ratio}", bytes(written.extent_bytes))
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn files_text(content: &ContentRecord) -> String {
    let more = content
        .file_count
        .saturating_sub(content.files.len() as u64);
    match (content.files.join(", "), more) {
        (names, _) if names.is_empty() => "all without their own".to_owned(),
        (names, 0) => names,
        (names, more) => format!("{names} and {more} more"),
    }
}

/// Cells that did not end well, and operations that ended with an error.
pub(super) fn faults(record: &RunRecord) -> Table {
    let mut table = Table::new(&["target", "point", "round", "what happened"]);
    for cell in &record.cells {
        let mut row = |what: String| {
            table.row(vec![
                words(&cell.target),
                prose(point_label(&cell.point)),
                number((cell.round + 1).to_string(), f64::from(cell.round)),
                prose(what),
            ]);
        };
        if let Some(fault) = &cell.fault {
            row(fault.clone());
        }
        if cell.verification.mismatches > 0 {
            let place = &cell.verification.first_mismatch;
            row(format!(
                "{} blocks read back wrong, the first: {place}",
                cell.verification.mismatches
            ));
        }
        for phase in &cell.phases {
            for op in phase.ops.iter().filter(|op| op.errors > 0) {
                row(format!(
                    "{} of {} {}.{} ended with an error",
                    op.errors, op.count, phase.name, op.op
                ));
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(values: &[f64], unit: Unit) -> String {
        let spread = Spread::of(values).expect("rounds");
        serde_json::to_string(&spread_field(&spread, unit)).expect("plain")
    }

    #[test]
    fn a_median_of_zero_hides_no_spread() {
        let count = |values: &[f64]| text(values, Unit::Count);
        assert!(count(&[0.0, 0.0, 4000.0]).contains("\"0 (0 to 4000)\""));
        assert!(count(&[0.0, 0.0]).contains("\"0\""));
        assert!(count(&[100.0, 100.0, 110.0]).contains("\"100 \u{b1}5 %\""));
        assert!(count(&[4000.0]).contains("\"4000\""));
    }
}
