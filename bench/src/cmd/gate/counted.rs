//! `delalloc gate counted`: instructions of a deterministic replay against committed ones, and the blessing of those.

use std::path::Path;

use anyhow::{Context, anyhow};
use delalloc_results::gate::{Count, Findings, GateReport, Reason, Uncounted, gate_counted};
use delalloc_results::{Baseline, ExitCode};
use delalloc_workloads::WorkloadPlan;

use super::home::Home;
use super::outputs;
use crate::ab::{Build, Parts, counted, tools};
use crate::failure::{Failure, OrExit, allowing};
use crate::gate_args::CountedArgs;
use crate::plan;
use crate::run::workload_hash;
use crate::signals::Signals;
use crate::stamp::Stamp;

pub(super) fn counted(args: &CountedArgs) -> Result<ExitCode, Failure> {
    let workload = repeatable(args);
    let Some(held) = &args.baseline else {
        return bless(args, &workload?);
    };
    let name = match &workload {
        Ok(workload) => workload.name.clone(),
        Err(_) => args.task.workload.clone(),
    };
    let report = match workload.and_then(|workload| judge(args, &workload, held)) {
        Ok(report) => report,
        Err(failure) => return outputs::leave_failure(&args.outputs, &name, &failure),
    };
    let mut found = Findings::of_baseline(&report);
    for row in &mut found.rows {
        "counted".clone_into(&mut row.class);
    }
    outputs::leave(&args.outputs, &found, &report.table(), &report)?;
    Ok(allowing(report.exit.code, args.outputs.allow_inconclusive))
}

fn repeatable(args: &CountedArgs) -> Result<WorkloadPlan, Failure> {
    let workload = plan::load(&args.task.replay())?;
    if !workload.deterministic {
        return Err(Failure::usage(anyhow!(
            "workload {}: instructions are held of work that is the same each time; add `deterministic: true` to the workload, or --set deterministic=true",
            workload.name
        )));
    }
    Ok(workload)
}

/// What a count is of, before anything is counted; for good where there is no valgrind.
fn uncounted(workload: &WorkloadPlan, valgrind: Option<String>) -> Count {
    let missing = Uncounted {
        reason: Reason::ToolMissing,
        detail: "valgrind is not installed".to_owned(),
    };
    Count {
        workload: workload.name.clone(),
        workload_hash: workload_hash(workload),
        revision: env!("DELALLOC_REVISION").to_owned(),
        tools: tools::tools(valgrind),
        parts: Err(missing),
    }
}

fn judge(args: &CountedArgs, workload: &WorkloadPlan, held: &Path) -> Result<GateReport, Failure> {
    // What the replay left is cleared away also where a signal ends this.
    let signals = Signals::catch().or_failed()?;
    let valgrind = tools::valgrind();
    let mut count = uncounted(workload, valgrind.clone());
    let baseline = Baseline::load(held).or_usage()?;
    // With other tools nothing would be compared, so nothing is counted.
    if valgrind.is_some() {
        count.parts = match baseline.other_tools(&count.tools) {
            Some(detail) => Err(Uncounted {
                reason: Reason::OtherTools,
                detail,
            }),
            None => Ok(Parts::new()),
        };
        // What does not belong together is told before a count.
        gate_counted(&baseline, &count).or_usage()?;
        if count.parts.is_ok() {
            count.parts = Ok(measure(args, &signals)?);
        }
    }
    gate_counted(&baseline, &count).or_usage()
}

fn bless(args: &CountedArgs, workload: &WorkloadPlan) -> Result<ExitCode, Failure> {
    let output = args
        .output
        .as_deref()
        .context("--bless needs -o FILE")
        .or_usage()?;
    let signals = Signals::catch().or_failed()?;
    let valgrind = tools::valgrind();
    let mut count = uncounted(workload, valgrind.clone());
    let mut again = Parts::new();
    if valgrind.is_some() {
        count.parts = Ok(measure(args, &signals)?);
        again = measure(args, &signals)?;
    }
    let reason = args.reason.as_deref().unwrap_or_default();
    let now = Stamp::now().rfc3339();
    let mut baseline = Baseline::of_count(&count, &again, reason, &now).or_usage()?;
    if output.exists() {
        let before = Baseline::load(output).or_usage()?;
        baseline.succeed(&before).or_usage()?;
    }
    baseline.save(output).or_failed()?;
    outputs::blessed(&baseline, output, args.outputs.json)?;
    Ok(ExitCode::Good)
}

/// One count. A signal may reach this process alone, and the replay under callgrind ends well then: it counts for nothing all
/// the same, since somebody asked for an end.
fn measure(args: &CountedArgs, signals: &Signals) -> Result<Parts, Failure> {
    let build = Build {
        binary: std::env::current_exe()
            .context("finding this binary")
            .or_failed()?,
        plant: args.plant.clone(),
    };
    let home = Home::make().or_failed()?;
    let parts = counted::instructions(&build, &args.task.task(), &home.path)?;
    if signals.interrupted() {
        return Err(Failure {
            code: ExitCode::Interrupted,
            error: anyhow!("interrupted while instructions were counted"),
        });
    }
    Ok(parts)
}
