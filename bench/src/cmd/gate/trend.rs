//! `delalloc gate trend`: the newest of many results beside those before it. Advice; it ends with 0, or with 3 where there is
//! too little to say.

use std::path::{Path, PathBuf};

use anyhow::Context;
use delalloc_results::gate::trend::{Advice, Run, trend as look};
use delalloc_results::printable::one_line;
use delalloc_results::{ExitCode, load};

use crate::failure::{Failure, OrExit};
use crate::gate_args::TrendArgs;
use crate::out;
use crate::surroundings::Surroundings;
use crate::table::Table;

pub(super) fn trend(args: &TrendArgs) -> Result<ExitCode, Failure> {
    let mut runs = Vec::new();
    let mut unread = Vec::new();
    for file in results(&args.directory).or_usage()? {
        match load(&file) {
            // A record has everything, and there may be hundreds: its numbers are kept and nothing else.
            Ok(record) if record.started_at.is_empty() => {
                runs.push(Run::of(&record, &began(&file).or_usage()?));
            }
            Ok(record) => runs.push(Run::of(&record, &record.started_at)),
            Err(error) => unread.push(format!("left out: {}: {error}", file.display())),
        }
    }
    let read = runs.len();
    let (rows, mut notes) = look(runs, args.last.into());
    notes.extend(unread);
    let worse = rows
        .iter()
        .filter(|row| row.advice == Advice::LooksWorse)
        .count();
    if args.json {
        let report = serde_json::json!({ "runs": read, "rows": rows, "notes": notes });
        out::print(format_args!(
            "{}\n",
            serde_json::to_string_pretty(&report).or_failed()?
        ))?;
    } else {
        let mut table = Table::new(
            2,
            &["advice", "number", "before", "runs", "newest", "ratio"],
        );
        for row in &rows {
            table.row(vec![
                row.advice.word().to_owned(),
                row.number.clone(),
                row.unit.format(row.before),
                row.runs.to_string(),
                row.unit.format(row.newest),
                row.ratio
                    .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            ]);
        }
        out::print(table)?;
        for note in &notes {
            out::print(format_args!("note: {}\n", one_line(note)))?;
        }
        out::print(format_args!(
            "trend=advisory runs={read} numbers={} look_worse={worse}\n",
            rows.len()
        ))?;
    }
    Ok(if rows.is_empty() {
        ExitCode::Inconclusive
    } else {
        ExitCode::Good
    })
}

/// When a deterministic run began, which its record does not say.
fn began(result: &Path) -> anyhow::Result<String> {
    let said = || {
        format!(
            "{}: the record of a deterministic run, which does not say when it was made; keep the run's directory whole",
            result.display()
        )
    };
    // Beside a copy of another name lies somebody else's.
    let in_its_directory = result.file_name().is_some_and(|name| name == "result.json");
    if !in_its_directory {
        anyhow::bail!(said());
    }
    Ok(Surroundings::beside(result).with_context(said)?.started_at)
}

/// The result.json files of a directory and of the directories in it, by name: moments are whole seconds, and of runs in one
/// the name decides.
fn results(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let said = || format!("reading {}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(said)? {
        let path = entry.with_context(said)?.path();
        if path.is_dir() && path.join("result.json").exists() {
            files.push(path.join("result.json"));
        } else if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    files.sort_by_cached_key(|path| by_number(&path.to_string_lossy()));
    Ok(files)
}

/// So written that `runs/9` comes before `runs/10`.
fn by_number(name: &str) -> String {
    const DIGITS: usize = 20;
    let (mut key, mut digits) = (String::new(), String::new());
    for c in name.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            key.push_str(&"0".repeat(DIGITS.saturating_sub(digits.len())));
            key.push_str(&digits);
            digits.clear();
        }
        key.push(c);
    }
    key
}
