//! `delalloc gate counted`: instructions of a deterministic replay against committed ones, and the blessing of those.

use anyhow::{Context, anyhow};
use delalloc_results::gate::{Count, Findings, GateReport, Reason, Uncounted, gate_counted};
use delalloc_results::{Baseline, ExitCode, Outcome};

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
    let workload = plan::load(&args.task.replay())?;
    if !workload.deterministic {
        return Err(Failure::usage(anyhow!(
            "workload {}: instructions are held of work that is the same each time; add `deterministic: true` to the workload, or --set deterministic=true",
            workload.name
        )));
    }
    // What the replay left is cleared away also where a signal ends this.
    let signals = Signals::catch().or_failed()?;
    let valgrind = tools::valgrind();
    let missing = Uncounted {
        reason: Reason::ToolMissing,
        detail: "valgrind is not installed".to_owned(),
    };
    let mut count = Count {
        workload: workload.name.clone(),
        workload_hash: workload_hash(&workload),
        revision: env!("DELALLOC_REVISION").to_owned(),
        tools: tools::tools(valgrind.clone()),
        parts: Err(missing),
    };
    let Some(path) = &args.baseline else {
        if valgrind.is_some() {
            count.parts = Ok(measure(args, &signals)?);
        }
        return bless(args, &count, &signals);
    };
    let baseline = Baseline::load(path).or_usage()?;
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
            count.parts = match measure(args, &signals) {
                Ok(parts) => Ok(parts),
                Err(failure) => return nothing_counted(args, &baseline, &failure),
            };
        }
    }
    let report = gate_counted(&baseline, &count).or_usage()?;
    let mut found = Findings::of_baseline(&report);
    for row in &mut found.rows {
        "counted".clone_into(&mut row.class);
    }
    outputs::leave(&args.outputs, &found, &report.table(), &report)?;
    Ok(allowing(report.exit.code, args.outputs.allow_inconclusive))
}

/// The count failed or was stopped: said like any other ending, and what the replay said on stderr.
fn nothing_counted(
    args: &CountedArgs,
    baseline: &Baseline,
    failure: &Failure,
) -> Result<ExitCode, Failure> {
    eprintln!("{failure}");
    let report = GateReport {
        workload: baseline.workload.clone(),
        baseline_reason: baseline.reason.clone(),
        rows: Vec::new(),
        notes: Vec::new(),
        exit: Outcome::new(failure.code, format!("{:#}", failure.error)),
    };
    let found = Findings::of_baseline(&report);
    outputs::leave(&args.outputs, &found, "", &report)?;
    Ok(failure.code)
}

fn bless(args: &CountedArgs, count: &Count, signals: &Signals) -> Result<ExitCode, Failure> {
    let output = args
        .output
        .as_deref()
        .context("--bless needs -o FILE")
        .or_usage()?;
    let again = match &count.parts {
        Ok(_) => measure(args, signals)?,
        Err(_) => Parts::new(),
    };
    let reason = args.reason.as_deref().unwrap_or_default();
    let now = Stamp::now().rfc3339();
    let mut baseline = Baseline::of_count(count, &again, reason, &now).or_usage()?;
    if output.exists() {
        let before = Baseline::load(output).or_usage()?;
        baseline.succeed(&before).or_usage()?;
    }
    baseline.save(output).or_failed()?;
    println!(
        "baseline={} entries={}",
        output.display(),
        baseline.entries.len()
    );
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
