//! `delalloc library`: the workloads that come along.

use anyhow::anyhow;
use delalloc_results::ExitCode;
use delalloc_workloads::library as workloads;

use crate::args::LibraryArgs;
use crate::failure::{Failure, OrExit};
use crate::out;
use crate::table::Table;

pub(super) fn library(args: &LibraryArgs) -> Result<ExitCode, Failure> {
    if let Some(name) = &args.name {
        let found = workloads().iter().find(|(known, _)| known == name);
        let (_, text) = found
            .ok_or_else(|| anyhow!("no workload {name:?} comes along; see delalloc library"))
            .or_usage()?;
        if args.json {
            let workload =
                serde_json::json!({ "name": name, "about": summary(text), "text": text });
            out::print(format_args!("{workload}\n"))?;
            return Ok(ExitCode::Good);
        }
        out::print(text)?;
        return Ok(ExitCode::Good);
    }
    if args.json {
        let rows: Vec<_> = workloads()
            .iter()
            .map(|(name, text)| serde_json::json!({ "name": name, "about": summary(text) }))
            .collect();
        out::print(format_args!("{}\n", serde_json::Value::from(rows)))?;
        return Ok(ExitCode::Good);
    }
    let mut table = Table::new(2, &["workload", "what it stands for"]);
    for (name, text) in workloads() {
        table.row(vec![(*name).to_owned(), summary(text).to_owned()]);
    }
    out::print(table)?;
    Ok(ExitCode::Good)
}

/// The workload's own `about:` line.
fn summary(text: &str) -> &str {
    text.lines()
        .find_map(|line| line.strip_prefix("about:"))
        .map_or("", str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_says_what_it_stands_for() {
        for (name, text) in workloads() {
            assert!(!summary(text).is_empty(), "{name}");
        }
    }
}
