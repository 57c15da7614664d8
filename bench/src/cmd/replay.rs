//! `delalloc replay`: plan, run, and a short table of what came out.

use delalloc_results::assertion::Standing;
use delalloc_results::metric::Unit;
use delalloc_results::printable::{lines, one_line};
use delalloc_results::record::{Cell, HarnessCost, NamedPhase, OpRecord, point_label};
use delalloc_results::{ExitCode, RunRecord, recommendations, stats};
use delalloc_workloads::plan::TargetKind;
use delalloc_workloads::{Estimate, WorkloadPlan, dry_run_text};

use super::times;
use crate::args::ReplayArgs;
use crate::failure::{Failure, OrExit, allowing};
use crate::out;
use crate::plan::{self, RunPlan};
use crate::replay::calibrate::OPS_ENOUGH;
use crate::run::{self, Finished};
use crate::signals::Signals;
use crate::table::Table;
use crate::targets::{self, EngineKnobs, Opening, Plant};

/// What `--dry-run --json` prints: the plan, and beside its keys what it would cost.
#[derive(serde::Serialize)]
struct DryRun<'a> {
    #[serde(flatten)]
    workload: &'a WorkloadPlan,
    estimate: &'a Estimate,
}

pub(super) fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    if args.dry_run {
        let mut workload = plan::load(args)?;
        plan::keep_targets(&mut workload, &args.targets).or_usage()?;
        plan::check_points(&workload)?;
        let workload = workload.with_recordings_measured().or_usage()?;
        let estimate = Estimate::of(&workload, &|target, point| match target.kind {
            TargetKind::Engine(_) => EngineKnobs::memory_bytes(&point.knobs_for(target)),
            _ => 0,
        });
        if args.json {
            let shown = DryRun {
                workload: &workload,
                estimate: &estimate,
            };
            let text = serde_json::to_string_pretty(&shown).or_failed()?;
            out::print(format_args!("{text}\n"))?;
        } else {
            out::print(dry_run_text(&workload, &estimate))?;
        }
        return Ok(ExitCode::Good);
    }
    let plan = RunPlan::resolve(args)?;
    let signals = Signals::catch().or_failed()?;
    let plant = Plant::from_environment().or_usage()?;
    let open = |opening: &Opening<'_>| targets::open(&Opening { plant, ..*opening });
    let finished = run::run(&plan, &open, &signals)?;
    if args.json {
        out::print(format_args!("{}\n", json(&finished)))?;
    } else {
        out::print(text(&finished))?;
    }
    Ok(allowing(
        finished.verdict.exit.code,
        args.allow_inconclusive,
    ))
}

fn json(finished: &Finished) -> serde_json::Value {
    let files: Vec<String> = finished
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    serde_json::json!({
        "exit": finished.verdict.exit,
        "verdict": finished.verdict,
        "files": files,
        "cells": finished.record.cells.len(),
    })
}

/// What came out, for whoever reads it; the verdict last.
fn text(finished: &Finished) -> String {
    let record = &finished.record;
    let mut text = summary(record).to_string();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for line in times::writes(record)
        .iter()
        .chain(&times::schedules(record))
    {
        say(&one_line(line));
    }
    for line in record.traces().iter().filter_map(|trace| trace.text()) {
        say(&one_line(&line));
    }
    for cell in record.cells.iter().filter(|cell| cell.fault.is_some()) {
        let fault = cell.fault.as_deref().unwrap_or_default();
        let said = format!(
            "{} at {}, round {}: {fault}",
            cell.target,
            point_label(&cell.point),
            cell.round
        );
        say(&lines(&said));
    }
    for assertion in &finished.verdict.assertions {
        let word = match assertion.standing {
            Standing::Held => "held    ",
            Standing::Violated => "VIOLATED",
            Standing::Unknown => "unknown ",
        };
        let said = format!("{word}  {}: {}", assertion.text, assertion.reason);
        say(&one_line(&said));
    }
    for line in recommendations(record) {
        say(&one_line(&line));
    }
    if !record.deterministic {
        say(&harness(record.harness.as_ref()));
    }
    say(&format!(
        "verified: {}, {} mismatches",
        Unit::Bytes.format(finished.verdict.bytes_verified as f64),
        finished.verdict.mismatches
    ));
    for path in &finished.files {
        say(&path.display().to_string());
    }
    say(&finished.verdict.last_line());
    text
}

/// What the harness costs, and on how little that rests where it is little.
fn harness(cost: Option<&HarnessCost>) -> String {
    let Some(cost) = cost else {
        return format!(
            "harness: not measured, nothing came to {OPS_ENOUGH} operations on the null target"
        );
    };
    let few = if cost.ops < OPS_ENOUGH {
        format!(
            " (the {} there are, and the start of their clients)",
            cost.ops
        )
    } else {
        String::new()
    };
    let ns = cost.ns_per_op;
    let paced = cost
        .paced_ns_per_op
        .map_or_else(String::new, |ns| format!(", {ns:.0} ns with its schedule"));
    let content = match (cost.content_ns_per_op, cost.content_bytes_per_s) {
        (Some(ns), Some(bytes_per_s)) => format!(
            "; beside that {ns:.0} ns for its bytes ({} in a thread)",
            Unit::BytesPerSecond.format(bytes_per_s)
        ),
        _ => String::new(),
    };
    format!("harness: {ns:.0} ns per operation on the null target{few}{paced}{content}")
}

/// One row per target, point, phase and kind of operation, and below those of a phase one for each of several jobs; medians
/// over the rounds, and the longest time of all.
fn summary(record: &RunRecord) -> Table {
    let mut head = vec!["target"];
    head.extend(record.sweep.iter().map(|axis| axis.knob.as_str()));
    head.push("phase");
    let phases = record.cells.iter().flat_map(Cell::measured);
    let has_jobs = phases.flat_map(|phase| &phase.jobs).next().is_some();
    if has_jobs {
        head.push("job");
    }
    head.push("op");
    let left = head.len();
    head.extend(["ops/s", "throughput", "p50", "p99", "max", "service p99"]);
    let mut table = Table::new(left, &head);
    for point in record.points() {
        for target in &record.targets {
            let rounds: Vec<Vec<NamedPhase<'_>>> = record
                .rounds(&target.name, &point)
                .into_iter()
                .filter(|cell| cell.fault.is_none())
                .map(Cell::named_phases)
                .collect();
            let Some(first) = rounds.first() else {
                continue;
            };
            for phase in first {
                let of_phase = phase.ops.iter().map(|op| (None, op));
                let of_jobs = phase.jobs.iter().flat_map(|job| {
                    let ops = job.ops.iter();
                    ops.map(|op| (Some(job.name), op))
                });
                for (job, op) in of_phase.chain(of_jobs) {
                    let mut row = vec![target.name.clone()];
                    // A target without knobs has no value of a swept one.
                    row.extend(record.sweep.iter().map(|axis| {
                        let set = point.iter().find(|setting| setting.knob == axis.knob);
                        set.map_or_else(|| "-".to_owned(), |setting| setting.value.to_string())
                    }));
                    row.push(phase.name.to_owned());
                    if has_jobs {
                        row.push(job.unwrap_or("-").to_owned());
                    }
                    row.push(op.op.clone());
                    row.extend(numbers(&rounds, phase.name, job, &op.op));
                    table.row(row);
                }
            }
        }
    }
    table
}

/// Rates and latencies of one kind of operation in one phase, of one job or of all; the last from when it was issued, the
/// others from when it was due.
fn numbers(
    rounds: &[Vec<NamedPhase<'_>>],
    phase: &str,
    job: Option<&str>,
    op: &str,
) -> [String; 6] {
    let median = |number: &dyn Fn(&NamedPhase<'_>, &OpRecord) -> f64| {
        let numbers: Vec<f64> = rounds
            .iter()
            .filter_map(|phases| phases.iter().find(|found| found.name == phase))
            .filter_map(|found| Some(number(found, found.op_of(job, op)?)))
            .collect();
        stats::median(&numbers).unwrap_or(0.0)
    };
    // Of all rounds: a median of longest times hides the one that was waited for.
    let found = rounds.iter().flatten().filter(|found| found.name == phase);
    let found = found.filter_map(|found| found.op_of(job, op));
    let longest = found.map(|op| op.response.ns_max).max().unwrap_or(0);
    let per_s = |amount: u64, phase: &NamedPhase<'_>| phase.per_second(amount).unwrap_or(0.0);
    let ns = |number| Unit::Nanoseconds.format(number);
    [
        Unit::PerSecond.format(median(&|phase, op| per_s(op.count, phase))),
        Unit::BytesPerSecond.format(median(&|phase, op| per_s(op.bytes, phase))),
        ns(median(&|_, op| op.response.ns_p50 as f64)),
        ns(median(&|_, op| op.response.ns_p99 as f64)),
        ns(longest as f64),
        ns(median(&|_, op| op.service.ns_p99 as f64)),
    ]
}
