//! `delalloc gate trend`: the newest of many results beside those before it. Advice; it ends with 0, or with 3 where there is
//! too little to say.

use std::path::{Path, PathBuf};

use anyhow::Context;
use delalloc_results::gate::trend::{Advice, trend as look};
use delalloc_results::printable::one_line;
use delalloc_results::{ExitCode, load};

use crate::failure::{Failure, OrExit};
use crate::gate_args::TrendArgs;
use crate::table::Table;

pub(super) fn trend(args: &TrendArgs) -> Result<ExitCode, Failure> {
    let mut records = Vec::new();
    let mut unread = Vec::new();
    for file in results(&args.directory).or_usage()? {
        match load(&file) {
            Ok(record) => records.push(record),
            Err(error) => unread.push(format!("left out: {}: {error}", file.display())),
        }
    }
    let read = records.len();
    let (rows, mut notes) = look(records, args.last.into());
    notes.extend(unread);
    let worse = rows
        .iter()
        .filter(|row| row.advice == Advice::LooksWorse)
        .count();
    if args.json {
        let report = serde_json::json!({ "runs": read, "rows": rows, "notes": notes });
        println!("{}", serde_json::to_string_pretty(&report).or_failed()?);
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
                format!("{:.3}", row.ratio),
            ]);
        }
        print!("{table}");
        for note in &notes {
            println!("note: {}", one_line(note));
        }
        println!(
            "trend=advisory runs={read} numbers={} look_worse={worse}",
            rows.len()
        );
    }
    Ok(if rows.is_empty() {
        ExitCode::Inconclusive
    } else {
        ExitCode::Good
    })
}

/// The result.json files of a directory and of the directories in it, by name.
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
    files.sort();
    Ok(files)
}
