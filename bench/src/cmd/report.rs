//! `delalloc report`: the page of each result, again or for the first time, or its numbers on stdout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use delalloc_results::export::{cells_csv, go_bench};
use delalloc_results::{ExitCode, RunRecord, render_for, render_markdown};

use super::find_record;
use crate::args::{Format, ReportArgs};
use crate::failure::{Failure, OrExit};
use crate::out;

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    if args.output.is_some() && args.results.len() > 1 {
        return Err(Failure::usage(anyhow!(
            "--output names one file and there are {} results; leave it out, and each gets a page beside it",
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
        out::print(text(&runs, format, args))?;
        return Ok(ExitCode::Good);
    }
    let outputs: Vec<PathBuf> = match &args.output {
        Some(output) => vec![output.clone()],
        None => records.iter().map(|(_, file)| page(file)).collect(),
    };
    apart(&args.results, &outputs)?;
    for ((record, _), output) in records.iter().zip(&outputs) {
        std::fs::write(output, render_for(record, args.objective.clone()))
            .with_context(|| format!("writing {}", output.display()))
            .or_failed()?;
        out::print(format_args!("report={}\n", output.display()))?;
    }
    Ok(ExitCode::Good)
}

/// Beside the result: `report.html` of a run's directory, and of a file that somebody named by that name.
fn page(file: &Path) -> PathBuf {
    let of_run = ["result.json", "events.ndjson"];
    match file.file_name() {
        Some(name) if !of_run.iter().any(|known| name == *known) => file.with_extension("html"),
        _ => file.with_file_name("report.html"),
    }
}

/// Refuses two results with one page, which would be the second's.
fn apart(results: &[PathBuf], outputs: &[PathBuf]) -> Result<(), Failure> {
    let mut pages = BTreeMap::new();
    for (result, output) in results.iter().zip(outputs) {
        // One directory has several names.
        let home = output.parent().filter(|home| *home != Path::new(""));
        let home = home.unwrap_or_else(|| Path::new(".")).canonicalize().ok();
        if let Some(other) = pages.insert((home, output.file_name()), result) {
            return Err(Failure::usage(anyhow!(
                "{} and {} would both become {}; name one at a time, each with --output",
                other.display(),
                result.display(),
                output.display()
            )));
        }
    }
    Ok(())
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
