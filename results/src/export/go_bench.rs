//! A record in the Go benchmark format, so that `benchstat` and what is built on it read our rounds.
//!
//! One line per cell, phase (repetitions as one) and operation, and of several jobs in a phase one for each, which `job=` in
//! its name tells; the rounds of one point have one name, as repeated runs of a
//! benchmark have. Names hold no space: what the format cannot carry is written as `_`. Times keep
//! `ns` in their unit, which benchstat scales; rates say that higher is better.

use crate::record::{Cell, NamedPhase, OpRecord, RunRecord};
use std::fmt::Write as _;

/// The lines; `label` is written as the configuration key `run`, by which benchstat can tell two apart
/// (`benchstat -col run`).
#[must_use]
pub fn go_bench(record: &RunRecord, label: &str) -> String {
    let mut text = String::new();
    for unit in ["B/s", "ops/s"] {
        let _ = writeln!(text, "Unit {unit} better=higher");
    }
    let machine = &record.machine;
    for (key, value) in [
        ("run", label),
        ("workload", &record.workload.name),
        ("workload-hash", &record.workload.hash),
        ("revision", &record.tool.revision),
        ("cpu", &machine.cpu_model),
        ("kernel", &machine.kernel),
    ] {
        let _ = writeln!(text, "{key}: {}", one_line(value));
    }
    text.push('\n');
    for cell in record.cells.iter().filter(|cell| cell.fault.is_none()) {
        for phase in cell.named_phases() {
            let jobs = phase.jobs.iter().map(|job| (Some(job.name), &job.ops));
            for (job, ops) in std::iter::once((None, &phase.ops)).chain(jobs) {
                for op in ops.iter().filter(|op| op.response.count > 0) {
                    line(&mut text, cell, &phase, job, op);
                }
            }
        }
    }
    text
}

fn line(text: &mut String, cell: &Cell, phase: &NamedPhase<'_>, job: Option<&str>, op: &OpRecord) {
    let Some(ops_per_s) = phase.per_second(op.count) else {
        return;
    };
    let job = job.map_or_else(String::new, |job| format!("/job={}", word(job)));
    let mut name = format!(
        "BenchmarkReplay/target={}/phase={}{job}/op={}",
        word(&cell.target),
        word(phase.name),
        word(&op.op)
    );
    for setting in &cell.point {
        let value = word(&setting.value.to_string());
        let _ = write!(name, "/{}={value}", word(&setting.knob));
    }
    let _ = write!(
        text,
        "{name} {} {:.1} ns/op {} p50-ns {} p99-ns {} max-ns {ops_per_s:.3} ops/s",
        op.count, op.response.ns_mean, op.response.ns_p50, op.response.ns_p99, op.response.ns_max,
    );
    if let Some(bytes_per_s) = phase.per_second(op.bytes).filter(|rate| *rate > 0.0) {
        let _ = write!(text, " {bytes_per_s:.1} B/s");
    }
    text.push('\n');
}

/// A part of a name.
fn word(text: &str) -> String {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '/';
    text.chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect()
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::LatencyHist;
    use crate::record::{JobRecord, PhaseRecord, Setting, Tool, Workload};

    #[test]
    fn a_line_has_a_name_without_spaces_and_pairs_of_value_and_unit() {
        let mut hist = LatencyHist::new();
        hist.record_n(1000, 4);
        let phase = PhaseRecord {
            name: "my load".to_owned(),
            wall_ns: 2_000_000_000,
            ops: vec![OpRecord::new("write", 4096, 0, &hist, &hist)],
            ..PhaseRecord::default()
        };
        let mut record =
            RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        record.workload.name = "two\nlines".to_owned();
        record.cells.push(Cell {
            target: "on/btrfs".to_owned(),
            point: vec![Setting {
                knob: "threads".to_owned(),
                value: 2_i64.into(),
            }],
            phases: vec![phase],
            ..Cell::default()
        });
        let text = go_bench(&record, "before");
        assert!(
            text.contains("run: before\nworkload: two lines\n"),
            "{text}"
        );
        let line = text.lines().last().expect("lines");
        assert_eq!(
            line,
            "BenchmarkReplay/target=on_btrfs/phase=my_load/op=write/threads=2 4 1000.0 ns/op 1000 p50-ns \
             1000 p99-ns 1000 max-ns 2.000 ops/s 2048.0 B/s"
        );
        let phase = &mut record.cells[0].phases[0];
        phase.jobs = ["a/b", "c"]
            .map(|name| JobRecord {
                name: name.to_owned(),
                ops: phase.ops.clone(),
                ..JobRecord::default()
            })
            .to_vec();
        let text = go_bench(&record, "before");
        let named = "/phase=my_load/job=a_b/op=write/threads=2 4 1000.0 ns/op ";
        assert!(text.contains(named), "{text}");
        assert_eq!(text.matches("\nBenchmarkReplay/").count(), 3);
    }
}
