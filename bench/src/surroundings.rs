//! What a deterministic run does not depend on: when, where and how it was run, and how long that took.
//!
//! It stands in a file of its own, so that the record beside it is the same, byte for byte, whenever
//! and wherever the run is repeated.

use std::path::{Path, PathBuf};

use anyhow::Context;
use delalloc_results::record::Machine;
use delalloc_workloads::WorkloadPlan;
use serde::{Deserialize, Serialize};

/// The file's name.
const NAME: &str = "surroundings.json";

/// When, where and how.
#[derive(Debug, Serialize, Deserialize)]
pub struct Surroundings {
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// How long it took, in real time.
    pub wall_ns: u64,
    /// The command as typed.
    pub command_line: Vec<String>,
    /// The machine's fingerprint.
    pub machine: Machine,
}

impl Surroundings {
    /// Writes it into a run's directory. Returns the file.
    pub fn leave(&self, out: &Path) -> anyhow::Result<PathBuf> {
        let path = out.join(NAME);
        let mut text = serde_json::to_string_pretty(self).expect("only string keys");
        text.push('\n');
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Reads what lies beside a run's record.
    pub fn beside(record: &Path) -> anyhow::Result<Self> {
        let path = record.with_file_name(NAME);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }
}

/// A command that repeats the run, without what has no part in its results.
pub fn reproduction(workload: &WorkloadPlan) -> Vec<String> {
    let mut words = vec![
        "delalloc".to_owned(),
        "replay".to_owned(),
        workload.source.origin.clone(),
    ];
    for set in &workload.overrides {
        words.extend(["--set".to_owned(), set.clone()]);
    }
    for target in &workload.targets {
        words.extend(["--target".to_owned(), target.name.clone()]);
    }
    words
}
