//! Where a gate's verdicts go: terminal or JSON, JUnit, step summary, annotations. The last line of the terminal is the one for
//! scripts. What is left of a blessing, which judges nothing, goes to the terminal alone.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use delalloc_results::gate::{Findings, GateReport, SUMMARY_BYTES_MAX};
use delalloc_results::{Baseline, ExitCode, Outcome};
use serde::Serialize;

use crate::failure::{Failure, OrExit};
use crate::gate_args::OutputArgs;
use crate::out;

/// Writes `found` wherever it is wanted; `table` is for people and `report` for programs.
pub(super) fn leave(
    args: &OutputArgs,
    found: &Findings,
    table: &str,
    report: &impl Serialize,
) -> Result<(), Failure> {
    let found = &Findings {
        inconclusive_passes: args.allow_inconclusive,
        ..found.clone()
    };
    if let Some(path) = &args.junit {
        write(path, &found.junit()).or_failed()?;
    }
    if let Some(path) = &args.summary {
        write(path, &found.markdown(SUMMARY_BYTES_MAX)).or_failed()?;
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        append(Path::new(&path), found).or_failed()?;
    }
    let annotated = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    if args.json {
        out::print(format_args!(
            "{}\n",
            serde_json::to_string_pretty(report).or_failed()?
        ))?;
        let annotations = found.annotations();
        if annotated && !annotations.is_empty() {
            // The log has both; who reads the JSON has stdout alone.
            out::say(annotations.trim_end());
        }
        return Ok(());
    }
    out::print(table)?;
    if annotated {
        out::print(found.annotations())?;
    }
    out::print(format_args!("{}\n", found.last_line()))?;
    Ok(())
}

/// Nothing was compared with a baseline: said like any other ending, so that no earlier one stays in the files as if it were this
/// one's, and on stderr.
pub(super) fn leave_failure(
    args: &OutputArgs,
    workload: &str,
    failure: &Failure,
) -> Result<ExitCode, Failure> {
    out::say(failure);
    let report = GateReport {
        workload: workload.to_owned(),
        baseline_reason: String::new(),
        rows: Vec::new(),
        notes: Vec::new(),
        exit: Outcome::new(failure.code, format!("{:#}", failure.error)),
    };
    leave(args, &Findings::of_baseline(&report), "", &report)?;
    Ok(failure.code)
}

/// Says what is held from now on.
pub(super) fn blessed(baseline: &Baseline, output: &Path, json: bool) -> Result<(), Failure> {
    let entries = baseline.entries.len();
    if json {
        let said = serde_json::json!({
            "baseline": output,
            "workload": baseline.workload,
            "reason": baseline.reason,
            "entries": entries,
            "demoted": baseline.demoted,
        });
        out::print(format_args!(
            "{}\n",
            serde_json::to_string_pretty(&said).or_failed()?
        ))?;
        return Ok(());
    }
    for demoted in &baseline.demoted {
        out::print(format_args!(
            "not judged: {}: {}\n",
            demoted.expression, demoted.reason
        ))?;
    }
    out::print(format_args!(
        "baseline={} entries={entries}\n",
        output.display()
    ))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// A step may have written there before; together it stays within the limit.
fn append(path: &Path, found: &Findings) -> anyhow::Result<()> {
    let said = || format!("writing {}", path.display());
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .with_context(said)?;
    let there = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let room = SUMMARY_BYTES_MAX.saturating_sub(there);
    let text = found.markdown(room);
    if text.len() < room {
        file.write_all(text.as_bytes()).with_context(said)?;
    }
    Ok(())
}
