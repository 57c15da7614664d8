//! What was promised beside what came of it: when a write is safe, and what the workload asked for.

use super::summary::Summary;
use super::table::{Table, nothing, number, prose, words};
use super::tables::{longest, spread_field};
use crate::metric::Unit;
use crate::stats::Spread;

/// What an operation's end means to whoever wrote. Operations that promise nothing are not in the table.
fn promise_of(op: &str) -> Option<(&'static str, &'static str)> {
    Some(match op {
        "write" | "append" => (
            "accepted",
            "the call returned: read back, yet lost in a crash",
        ),
        "sync" | "fsync" | "fdatasync" | "sync_all" => {
            ("synced", "sync returned: it survives any crash")
        }
        _ => return None,
    })
}

/// When a write was accepted and synced. When its bytes are at home no operation tells; the target's spans do.
pub(super) fn safety(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "operation",
        "target",
        "a write is",
        "p50",
        "p99",
        "p99.9",
        "max",
        "that is",
    ]);
    for path in &summary.paths {
        let Some((word, meaning)) = promise_of(&path.op) else {
            continue;
        };
        for target in &summary.targets {
            let numbers = target.shown().and_then(|point| path.numbers(&point.cells));
            let Some(numbers) = numbers else { continue };
            let time = |spread: &Spread| spread_field(spread, Unit::Nanoseconds);
            table.row(vec![
                words(path.text()),
                words(&target.target.name),
                words(word),
                time(&numbers.p50),
                time(&numbers.p99),
                time(&numbers.p999),
                longest(&numbers.max),
                prose(meaning),
            ]);
        }
    }
    table
}

/// What the workload asked for beside what came of it: counters `X_asked` with `X_achieved` or `X`.
pub(super) fn asked(summary: &Summary<'_>) -> Table {
    const SUFFIX: &str = "_asked";
    let mut table = Table::new(&["what", "target", "asked", "achieved", "achieved / asked"]);
    for target in &summary.targets {
        let Some(point) = target.shown() else {
            continue;
        };
        let spread = |name: &str| {
            let values = point
                .cells
                .iter()
                .filter_map(|cell| cell.counters.get(name));
            Spread::of(&values.copied().collect::<Vec<f64>>())
        };
        let mut names: Vec<&str> = point
            .cells
            .iter()
            .flat_map(|cell| cell.counters.keys())
            .filter_map(|name| name.strip_suffix(SUFFIX))
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(wanted) = spread(&format!("{name}{SUFFIX}")) else {
                continue;
            };
            let metrics = &summary.record.metrics;
            let metric = metrics.get(&format!("{name}{SUFFIX}"));
            let unit = metric.map_or(Unit::Plain, |metric| metric.unit);
            let came = spread(&format!("{name}_achieved")).or_else(|| spread(name));
            let ratio = came
                .map(|came| came.median / wanted.median)
                .filter(|ratio| ratio.is_finite());
            table.row(vec![
                words(name.replace('_', " ")),
                words(&target.target.name),
                spread_field(&wanted, unit),
                came.map_or_else(nothing, |came| spread_field(&came, unit)),
                ratio.map_or_else(nothing, |ratio| number(format!("{ratio:.3}"), ratio)),
            ]);
        }
    }
    table
}
