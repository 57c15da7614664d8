//! A small workload, the binary, and what it leaves.

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in crates that use all of it"
)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A directory of its own for one test.
pub(crate) struct Bench {
    home: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a workload and returns its path.
    pub(crate) fn workload(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a temporary file");
        path
    }

    /// `delalloc`, started in the directory.
    pub(crate) fn delalloc(&self) -> Command {
        let mut command = Command::cargo_bin("delalloc").expect("the binary is built");
        command.current_dir(self.home.path());
        command
    }

    /// Replays a workload into `out` and returns the exit code and stdout.
    pub(crate) fn replay(&self, workload: &Path, out: &str, more: &[&str]) -> (i32, String) {
        let output = self
            .delalloc()
            .arg("replay")
            .arg(workload)
            .args(["--out", out])
            .args(more)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().expect("it ends by itself");
        println!("exit {code}\n{text}\n{errors}");
        (code, text)
    }
}

/// Writes, overwrites and reads 2 MiB on a device in memory. `more` is appended.
pub(crate) fn small(more: &str) -> String {
    format!(
        "version: 1
name: small
seed: 3
targets:
  engine: {{ engine: {{ backend: {{ mem: {{ size: 64MiB }} }} }} }}
content: {{ ratio: 2.5 }}
files:
  table: {{ size: 2MiB }}
  log: {{}}
phases:
  - name: load
    jobs: [ {{ write: table, pattern: sequential, block: 64KiB }} ]
    end: sync
  - name: serve
    jobs:
      - {{ mix: {{ read: 50, write: 50 }}, file: table, pattern: random, block: 4KiB, ops: 400, clients: 2 }}
      - {{ append: log, block: 4KiB, fsync_every: 8, ops: 40 }}
    end: commit
{more}"
    )
}
