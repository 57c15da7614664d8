//! Where a gate's verdicts go: terminal or JSON, JUnit, step summary, annotations. The last line of the terminal is the one for
//! scripts.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use delalloc_results::gate::{Findings, SUMMARY_BYTES_MAX};
use serde::Serialize;

use crate::failure::{Failure, OrExit};
use crate::gate_args::OutputArgs;

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
        println!("{}", serde_json::to_string_pretty(report).or_failed()?);
        if annotated {
            // The log has both; who reads the JSON has stdout alone.
            eprint!("{}", found.annotations());
        }
        return Ok(());
    }
    print!("{table}");
    if annotated {
        print!("{}", found.annotations());
    }
    println!("{}", found.last_line());
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
