//! `delalloc report`: the page of a result, again or for the first time.

use anyhow::Context;
use delalloc_results::{ExitCode, render};

use super::find_record;
use crate::args::ReportArgs;
use crate::failure::{Failure, OrExit};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let (record, file) = find_record(&args.result)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| file.with_file_name("report.html"));
    let page = render(&record);
    std::fs::write(&output, page)
        .with_context(|| format!("writing {}", output.display()))
        .or_failed()?;
    println!("report={}", output.display());
    Ok(ExitCode::Good)
}
