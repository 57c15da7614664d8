//! The phases of one name in a cell, as one: a phase that a workload repeats, or names twice.
//!
//! Whoever takes a number of a phase takes it here, so that a table, an assertion, a comparison and a gate mean the same
//! number, and repetitions within one process never pass for rounds: counts, bytes and times add, histograms merge.
//!
//! Not here: the phases one by one, which the time series and the tables of raw rows show.

use super::cell::{Cell, OpRecord, PhaseRecord};
use super::job::JobRecord;
use super::span::SpanRecord;
use crate::hist::{Latency, LatencyHist};
use crate::stats::sum;
use std::borrow::Cow;

/// All measured phases of one name in one cell.
#[derive(Clone, Debug)]
pub struct NamedPhase<'a> {
    /// Their name.
    pub name: &'a str,
    /// Their times, added.
    pub wall_ns: u64,
    /// One row per kind of operation, in the order in which they appear.
    pub ops: Vec<Cow<'a, OpRecord>>,
    /// Each of its jobs by itself, where it has several.
    pub jobs: Vec<NamedJob<'a>>,
}

/// One job of several, over all measured phases of one name in one cell.
#[derive(Clone, Debug)]
pub struct NamedJob<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many clients did it side by side.
    pub clients: u32,
    /// Its operations had a time to begin at.
    pub is_open: bool,
    /// One row per kind of operation, in the order in which they appear.
    pub ops: Vec<Cow<'a, OpRecord>>,
}

impl Cell {
    /// The phases that count, by name, in the order in which the names appear.
    #[must_use]
    pub fn named_phases(&self) -> Vec<NamedPhase<'_>> {
        let mut groups: Vec<Vec<&PhaseRecord>> = Vec::new();
        for phase in self.measured() {
            match groups.iter_mut().find(|group| group[0].name == phase.name) {
                Some(group) => group.push(phase),
                None => groups.push(vec![phase]),
            }
        }
        groups.iter().map(|group| NamedPhase::of(group)).collect()
    }

    /// The whole ways of writes in the measured phases of this name, in the order in which they appear.
    #[must_use]
    pub fn spans_of(&self, phase: &str) -> Vec<SpanRecord> {
        let phases: Vec<&PhaseRecord> = self.measured().filter(|one| one.name == phase).collect();
        let mut names: Vec<&str> = Vec::new();
        for span in phases.iter().flat_map(|phase| &phase.spans) {
            if !names.contains(&span.name.as_str()) {
                names.push(&span.name);
            }
        }
        let of = |name: &str| {
            let spans = phases.iter().flat_map(|phase| &phase.spans);
            SpanRecord::merged(spans.filter(|span| span.name == name))
        };
        names.into_iter().filter_map(of).collect()
    }
}

impl<'a> NamedPhase<'a> {
    /// The row of this kind of operation.
    #[must_use]
    pub fn op(&self, op: &str) -> Option<&OpRecord> {
        let row = self.ops.iter().find(|row| row.op == op)?;
        Some(row)
    }

    /// The row of this kind of operation, of one of several jobs or of all.
    #[must_use]
    pub fn op_of(&self, job: Option<&str>, op: &str) -> Option<&OpRecord> {
        let Some(job) = job else { return self.op(op) };
        let job = self.jobs.iter().find(|one| one.name == job)?;
        let row = job.ops.iter().find(|row| row.op == op)?;
        Some(row)
    }

    /// So many in a second; none where it took no time.
    #[must_use]
    pub fn per_second(&self, amount: u64) -> Option<f64> {
        (self.wall_ns > 0).then(|| amount as f64 * 1e9 / self.wall_ns as f64)
    }

    fn of(phases: &[&'a PhaseRecord]) -> Self {
        let mut jobs: Vec<Vec<&'a JobRecord>> = Vec::new();
        for job in phases.iter().flat_map(|phase| &phase.jobs) {
            match jobs.iter_mut().find(|group| group[0].name == job.name) {
                Some(group) => group.push(job),
                None => jobs.push(vec![job]),
            }
        }
        Self {
            name: &phases[0].name,
            wall_ns: sum(phases.iter().map(|phase| phase.wall_ns)),
            ops: rows(phases.iter().flat_map(|phase| &phase.ops)),
            jobs: jobs.iter().map(|group| NamedJob::of(group)).collect(),
        }
    }
}

impl<'a> NamedJob<'a> {
    fn of(jobs: &[&'a JobRecord]) -> Self {
        Self {
            name: &jobs[0].name,
            clients: jobs[0].clients,
            is_open: jobs.iter().any(|job| job.schedule.is_some()),
            ops: rows(jobs.iter().flat_map(|job| &job.ops)),
        }
    }
}

/// One row per kind of operation, in the order in which they appear.
fn rows<'a>(ops: impl Iterator<Item = &'a OpRecord>) -> Vec<Cow<'a, OpRecord>> {
    let mut rows: Vec<Vec<&'a OpRecord>> = Vec::new();
    for op in ops {
        match rows.iter_mut().find(|row| row[0].op == op.op) {
            Some(row) => row.push(op),
            None => rows.push(vec![op]),
        }
    }
    rows.iter().map(|row| merged(row)).collect()
}

fn merged<'a>(rows: &[&'a OpRecord]) -> Cow<'a, OpRecord> {
    if let [row] = rows {
        return Cow::Borrowed(row);
    }
    let total = |amount: fn(&OpRecord) -> u64| sum(rows.iter().map(|row| amount(row)));
    Cow::Owned(OpRecord {
        op: rows[0].op.clone(),
        count: total(|row| row.count),
        bytes: total(|row| row.bytes),
        errors: total(|row| row.errors),
        response: latency(rows.iter().map(|row| &row.response)),
        service: latency(rows.iter().map(|row| &row.service)),
    })
}

/// A histogram that does not decode is left out, as everywhere.
fn latency<'a>(parts: impl Iterator<Item = &'a Latency>) -> Latency {
    let mut all = LatencyHist::new();
    for part in parts.filter_map(|part| part.hist().ok()) {
        all.merge(&part);
    }
    Latency::from(&all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PhaseRole;

    fn phase(name: &str, op: &str, ns: u64, count: u64) -> PhaseRecord {
        let mut hist = LatencyHist::new();
        hist.record_n(ns, count);
        PhaseRecord {
            name: name.to_owned(),
            wall_ns: 500_000_000,
            ops: vec![OpRecord::new(op, 4096 * count, 0, &hist, &hist)],
            ..PhaseRecord::default()
        }
    }

    #[test]
    fn repetitions_are_one_phase_and_its_p99_is_of_all() {
        let mut cell = Cell {
            phases: vec![
                phase("load", "write", 1_000, 98),
                phase("serve", "read", 5_000, 10),
                phase("load", "write", 1_000_000, 2),
                phase("load", "sync", 7_000, 1),
            ],
            ..Cell::default()
        };
        let named = cell.named_phases();
        let names: Vec<&str> = named.iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["load", "serve"]);
        let load = &named[0];
        assert_eq!(load.wall_ns, 1_500_000_000);
        let write = load.op("write").expect("it was written");
        assert_eq!((write.count, write.bytes), (100, 409_600));
        assert_eq!(load.per_second(150), Some(100.0));
        assert_eq!(write.response.ns_p50, 1_000);
        assert!(write.response.ns_p99 >= 999_000, "{:?}", write.response);
        assert_eq!(load.ops.len(), 2);

        cell.phases[2].role = PhaseRole::WarmUp;
        let write_count = |cell: &Cell| cell.named_phases()[0].op("write").map(|row| row.count);
        assert_eq!(write_count(&cell), Some(98));
    }

    #[test]
    fn a_job_of_repetitions_is_one_job() {
        let mut cell = Cell::default();
        for count in [3, 4] {
            let mut phase = phase("load", "write", 1_000, 10);
            phase.jobs = ["a", "b"]
                .map(|name| JobRecord {
                    name: name.to_owned(),
                    clients: 2,
                    ops: phase_ops(count),
                    ..JobRecord::default()
                })
                .to_vec();
            cell.phases.push(phase);
        }
        let named = cell.named_phases();
        assert_eq!(named[0].jobs.len(), 2);
        let count = |job| named[0].op_of(job, "write").map(|row| row.count);
        assert_eq!(count(Some("a")), Some(7));
        assert_eq!((count(None), count(Some("c"))), (Some(20), None));
    }

    fn phase_ops(count: u64) -> Vec<OpRecord> {
        phase("load", "write", 1_000, count).ops
    }
}
