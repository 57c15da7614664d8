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
    let labels: Vec<String> = args
        .results
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if let Some(format) = args.format {
        let labels = labels.iter().map(String::as_str);
        let runs: Vec<(&str, &RunRecord)> = labels
            .zip(records.iter().map(|(record, _)| record))
            .collect();
        print!("{}", text(&runs, format, args));
        return Ok(ExitCode::Good);
    }
    for (record, file) in &records {
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

/// One table where that is one format, and one text after the other where it is not.
fn text(runs: &[(&str, &RunRecord)], format: Format, args: &ReportArgs) -> String {
    let each = |text: &dyn Fn(&str, &RunRecord) -> String| -> String {
        let texts = runs.iter().map(|(label, record)| text(label, record));
        texts.collect()
    };
    match format {
        Format::Csv => cells_csv(runs),
        Format::Markdown => each(&|_, record| render_markdown(record, args.objective.clone())),
        Format::Json => each(&|_, record| {
            serde_json::to_string(record).expect("a record has only string keys") + "\n"
        }),
        Format::GoBench => each(&|label, record| go_bench(record, label)),
    }
}
