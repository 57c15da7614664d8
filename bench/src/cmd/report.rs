//! `delalloc report`: the page of each result, again or for the first time, or its numbers on stdout.

use anyhow::{Context, anyhow};
use delalloc_results::export::{cells_csv, go_bench};
use delalloc_results::{ExitCode, RunRecord, render_for, render_markdown};

use super::find_record;
use crate::args::{Format, ReportArgs};
use crate::failure::{Failure, OrExit};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    if args.output.is_some() && args.results.len() > 1 {
        return Err(Failure::usage(anyhow!(
            "--output names one file and there are {} results; leave it out, and each gets a report.html beside it",
            args.results.len()
        )));
    }
    // All are read before the first is written: a wrong path leaves nothing half done.
    let records = args.results.iter().map(|path| find_record(path));
    let records = records.collect::<Result<Vec<_>, _>>()?;
    for ((record, file), path) in records.iter().zip(&args.results) {
        if let Some(format) = args.format {
            print!(
                "{}",
                text(record, format, args, &path.display().to_string())?
            );
            continue;
        }
        let output = args
            .output
            .clone()
            .unwrap_or_else(|| file.with_file_name("report.html"));
        std::fs::write(&output, render_for(record, args.objective.clone()))
            .with_context(|| format!("writing {}", output.display()))
            .or_failed()?;
        println!("report={}", output.display());
    }
    Ok(ExitCode::Good)
}

fn text(
    record: &RunRecord,
    format: Format,
    args: &ReportArgs,
    label: &str,
) -> Result<String, Failure> {
    Ok(match format {
        Format::Markdown => render_markdown(record, args.objective.clone()),
        Format::Csv => cells_csv(record),
        Format::Json => serde_json::to_string(record).or_failed()? + "\n",
        Format::GoBench => go_bench(record, label),
    })
}
