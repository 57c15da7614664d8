//! The jobs of each phase that has several, at the point shown of each target.
//!
//! Medians over rounds, like the key numbers, which are of all jobs of a phase together: two jobs that write share a p99
//! there, and so do an open loop and a closed one. Here they are apart. Rates are over the time of the phase, so that they
//! add up to its own.

use super::summary::Summary;
use super::table::{Field, Table, number, words};
use super::tables::{longest, spread_field};
use crate::metric::Unit;
use crate::record::{NamedPhase, OpRecord};
use crate::stats::Spread;

/// One kind of operation of one job.
struct Row<'a> {
    phase: &'a str,
    job: &'a str,
    op: String,
    clients: u32,
    is_open: bool,
}

/// A row for each kind of operation of each job.
pub(super) fn jobs(summary: &Summary<'_>) -> Table {
    let mut table = Table::new(&[
        "phase",
        "job",
        "operation",
        "target",
        "clients",
        "loop",
        "rate",
        "p50",
        "p99",
        "p99.9",
        "max",
    ]);
    for target in &summary.targets {
        let Some(point) = target.shown() else {
            continue;
        };
        let cells = point.cells.iter();
        let rounds: Vec<Vec<NamedPhase<'_>>> = cells.map(|cell| cell.named_phases()).collect();
        for row in rows(&rounds) {
            let Some(numbers) = numbers(&rounds, &row) else {
                continue;
            };
            let mut fields = vec![
                words(row.phase),
                words(row.job),
                words(&row.op),
                words(&target.target.name),
                number(row.clients.to_string(), f64::from(row.clients)),
                words(if row.is_open { "open" } else { "closed" }),
            ];
            fields.extend(numbers);
            table.row(fields);
        }
    }
    table
}

/// Every job and kind of operation of any round, once, in order of appearance.
fn rows<'a>(rounds: &[Vec<NamedPhase<'a>>]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for phase in rounds.iter().flatten() {
        for job in &phase.jobs {
            for op in &job.ops {
                let is_known = |row: &&mut Row<'a>| {
                    row.phase == phase.name && row.job == job.name && row.op == op.op
                };
                match rows.iter_mut().find(is_known) {
                    Some(row) => row.is_open |= job.is_open,
                    None => rows.push(Row {
                        phase: phase.name,
                        job: job.name,
                        op: op.op.clone(),
                        clients: job.clients,
                        is_open: job.is_open,
                    }),
                }
            }
        }
    }
    rows
}

/// Rate, p50, p99 and p99.9 as medians, and the longest; none where nothing ended well.
fn numbers(rounds: &[Vec<NamedPhase<'_>>], row: &Row<'_>) -> Option<[Field; 5]> {
    let found: Vec<(&NamedPhase<'_>, &OpRecord)> = rounds
        .iter()
        .filter_map(|phases| {
            let phase = phases.iter().find(|phase| phase.name == row.phase)?;
            Some((phase, phase.op_of(Some(row.job), &row.op)?))
        })
        .filter(|(_, op)| op.response.count > 0)
        .collect();
    let moves_bytes = found.iter().any(|(_, op)| op.bytes > 0);
    let rates: Vec<f64> = found
        .iter()
        .filter_map(|(phase, op)| phase.per_second(if moves_bytes { op.bytes } else { op.count }))
        .collect();
    let unit = if moves_bytes {
        Unit::BytesPerSecond
    } else {
        Unit::PerSecond
    };
    let over = |ns: fn(&OpRecord) -> u64| {
        let values: Vec<f64> = found.iter().map(|(_, op)| ns(op) as f64).collect();
        Spread::of(&values)
    };
    let time = |spread: Spread| spread_field(&spread, Unit::Nanoseconds);
    Some([
        spread_field(&Spread::of(&rates)?, unit),
        time(over(|op| op.response.ns_p50)?),
        time(over(|op| op.response.ns_p99)?),
        time(over(|op| op.response.ns_p999)?),
        longest(&over(|op| op.response.ns_max)?),
    ])
}
