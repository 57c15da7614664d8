//! `delalloc library`: the workloads that come along.

use anyhow::anyhow;
use delalloc_results::ExitCode;
use delalloc_workloads::library as workloads;

use crate::args::LibraryArgs;
use crate::failure::{Failure, OrExit};
use crate::table::Table;

pub(super) fn library(args: &LibraryArgs) -> Result<ExitCode, Failure> {
    if let Some(name) = &args.name {
        let found = workloads().iter().find(|(known, _)| known == name);
        let (_, text) = found
            .ok_or_else(|| anyhow!("no workload {name:?} comes along; see delalloc library"))
            .or_usage()?;
        print!("{text}");
        return Ok(ExitCode::Good);
    }
    if args.json {
        let rows: Vec<_> = workloads()
            .iter()
            .map(|(name, text)| serde_json::json!({ "name": name, "about": summary(text) }))
            .collect();
        println!("{}", serde_json::Value::from(rows));
        return Ok(ExitCode::Good);
    }
    let mut table = Table::new(2, &["workload", "what it stands for"]);
    for (name, text) in workloads() {
        table.row(vec![(*name).to_owned(), summary(text)]);
    }
    print!("{table}");
    Ok(ExitCode::Good)
}

/// The first sentence of a workload's opening comment.
fn summary(text: &str) -> String {
    let comment: Vec<&str> = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .filter(|line| !line.is_empty() && !line.starts_with("yaml-language-server"))
        .collect();
    let comment = comment.join(" ");
    match comment.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => comment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_first_sentence_of_the_comment() {
        let text =
            "# yaml-language-server: $schema=x\n# A log of\n# small appends. More.\nversion: 1\n";
        assert_eq!(summary(text), "A log of small appends.");
    }
}
