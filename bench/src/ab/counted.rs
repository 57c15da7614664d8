//! Instructions of one replay, as callgrind counts them.
//!
//! It runs threads one after the other and knows nothing of the kernel or of waiting. A deterministic replay gives the same
//! count every time, but for a few in a million; one with pools nearly so, which is why a gate of two builds counts the base twice.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, anyhow};
use delalloc_results::ExitCode;

use super::profile::{self, Parts};
use super::{Build, Task, was_interrupted};
use crate::failure::{Failure, OrExit};

/// Counts one replay of `task` by `build`; what the replay leaves goes below `home`.
///
/// # Errors
/// A replay that failed or read wrong bytes is a failure, like everywhere: nothing is counted of a build that loses data. One
/// that was stopped is `Interrupted`: a part of a count says nothing.
pub fn instructions(build: &Build, task: &Task, home: &Path) -> Result<Parts, Failure> {
    let (out, profile) = (home.join("counted"), home.join("callgrind.out"));
    if out.exists() {
        std::fs::remove_dir_all(&out)
            .context("clearing the last count")
            .or_failed()?;
    }
    let mut command = Command::new("valgrind");
    // Nobody's settings: neither those of valgrind nor what the loader and the C library heed.
    command
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
    command.args(["--command-line-only=yes", "--quiet", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(&build.binary).arg("replay");
    task.tell(&mut command);
    command.args(["--rounds", "1", "--out"]).arg(&out);
    build.dress(&mut command);
    let output = command.output().context("starting valgrind").or_failed()?;
    if was_interrupted(&output.status) {
        return Err(Failure {
            code: ExitCode::Interrupted,
            error: anyhow!("interrupted while instructions were counted"),
        });
    }
    // What the workload asserts of itself is not this gate's business.
    if !matches!(output.status.code(), Some(0 | 1 | 3)) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = String::from_utf8_lossy(&output.stdout);
        let last = last.lines().last().unwrap_or_default();
        return Err(Failure::failed(anyhow!(
            "a replay under callgrind ended with {}: {last}\n{said}",
            output.status
        )));
    }
    let read = || -> anyhow::Result<Parts> {
        let shown = profile.display();
        let file = File::open(&profile).with_context(|| format!("reading {shown}"))?;
        profile::parts(BufReader::new(file)).with_context(|| format!("reading {shown}"))
    };
    read().or_failed()
}
