//! `delalloc compare A B`: what both measured, side by side.
//!
//! A look, not a verdict: times of two runs differ for many reasons, and only `gate` says what
//! is worse. Numbers are medians over rounds.

use std::collections::BTreeMap;

use delalloc_results::metric::Unit;
use delalloc_results::record::{Cell, point_label};
use delalloc_results::{ExitCode, RunRecord, stats};

use super::find_record;
use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::table::Table;

/// What is compared: target, point, name of the number.
type Key = (String, String, String);

pub(super) fn compare(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let (before, _) = find_record(&args.before)?;
    let (after, _) = find_record(&args.after)?;
    let (left, right) = (numbers(&before), numbers(&after));
    let both = left
        .iter()
        .filter_map(|(key, (unit, left))| Some((key, *unit, *left, right.get(key)?.1)));
    if args.json {
        let rows: Vec<_> = both
            .map(|((target, point, name), unit, left, right)| {
                serde_json::json!({
                    "target": target, "point": point, "number": name, "unit": unit,
                    "before": left, "after": right,
                    "ratio": (left != 0.0).then(|| right / left),
                })
            })
            .collect();
        println!(
            "{}",
            serde_json::json!({ "same_workload": same(&before, &after), "rows": rows })
        );
        return Ok(ExitCode::Good);
    }
    let mut table = Table::new(
        3,
        &["target", "point", "number", "before", "after", "ratio"],
    );
    for ((target, point, name), unit, left, right) in both {
        let ratio = if left == 0.0 {
            "-".to_owned()
        } else {
            format!("{:.3}", right / left)
        };
        table.row(vec![
            target.clone(),
            point.clone(),
            name.clone(),
            unit.format(left),
            unit.format(right),
            ratio,
        ]);
    }
    if !same(&before, &after) {
        println!(
            "different workloads: {} and {}",
            before.workload.name, after.workload.name
        );
    }
    print!("{table}");
    Ok(ExitCode::Good)
}

fn same(before: &RunRecord, after: &RunRecord) -> bool {
    before.workload.hash == after.workload.hash
}

fn numbers(record: &RunRecord) -> BTreeMap<Key, (Unit, f64)> {
    let mut rounds: BTreeMap<Key, (Unit, Vec<f64>)> = BTreeMap::new();
    for cell in record.cells.iter().filter(|cell| cell.fault.is_none()) {
        let mut put = |name: String, unit, number| {
            let key = (cell.target.clone(), point_label(&cell.point), name);
            rounds
                .entry(key)
                .or_insert_with(|| (unit, Vec::new()))
                .1
                .push(number);
        };
        latencies(cell, &mut put);
        for (name, number) in &cell.counters {
            let unit = record
                .metrics
                .get(name)
                .map_or(Unit::Plain, |metric| metric.unit);
            put(name.clone(), unit, *number);
        }
    }
    rounds
        .into_iter()
        .filter_map(|(key, (unit, numbers))| Some((key, (unit, stats::median(&numbers)?))))
        .collect()
}

fn latencies(cell: &Cell, put: &mut impl FnMut(String, Unit, f64)) {
    for phase in cell.measured() {
        let seconds = phase.wall_ns as f64 / 1e9;
        for op in &phase.ops {
            let name = |what: &str| format!("{what}({}.{})", phase.name, op.op);
            put(name("iops"), Unit::PerSecond, op.count as f64 / seconds);
            if op.bytes > 0 {
                put(
                    name("throughput"),
                    Unit::BytesPerSecond,
                    op.bytes as f64 / seconds,
                );
            }
            put(name("p50"), Unit::Nanoseconds, op.response.ns_p50 as f64);
            put(name("p99"), Unit::Nanoseconds, op.response.ns_p99 as f64);
            put(name("max"), Unit::Nanoseconds, op.response.ns_max as f64);
        }
    }
}
