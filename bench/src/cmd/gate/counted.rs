//! `delalloc gate counted`: instructions of a deterministic replay against committed ones, and the blessing of those.

use anyhow::{Context, anyhow};
use delalloc_results::gate::{Count, Findings, Reason, Uncounted, gate_counted};
use delalloc_results::{Baseline, ExitCode};

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
    // The replay gets the signal too; its end is told like any other, and what it left is cleared away.
    let _signals = Signals::catch().or_failed()?;
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
            count.parts = Ok(measure(args)?);
        }
        return bless(args, &count);
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
            count.parts = Ok(measure(args)?);
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

fn bless(args: &CountedArgs, count: &Count) -> Result<ExitCode, Failure> {
    let output = args
        .output
        .as_deref()
        .context("--bless needs -o FILE")
        .or_usage()?;
    let again = match &count.parts {
        Ok(_) => measure(args)?,
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

fn measure(args: &CountedArgs) -> Result<Parts, Failure> {
    let build = Build {
        binary: std::env::current_exe()
            .context("finding this binary")
            .or_failed()?,
        plant: args.plant.clone(),
    };
    let home = Home::make().or_failed()?;
    counted::instructions(&build, &args.task.task(), &home.path)
}
