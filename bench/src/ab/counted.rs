//! Instructions of one replay, as callgrind counts them.
//!
//! It runs threads one after the other and knows nothing of the kernel or of waiting. A replay on one thread gives the same
//! count every time; one with pools nearly so, which is why the base is counted twice.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::{Build, Task};

/// Whether callgrind can be had.
pub fn available() -> bool {
    let asked = Command::new("valgrind").arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}

/// Counts one replay of `task` by `build`.
pub fn instructions(build: &Build, task: &Task, home: &Path) -> anyhow::Result<u64> {
    let out = home.join("counted");
    if out.exists() {
        std::fs::remove_dir_all(&out).context("clearing the last count")?;
    }
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(&build.binary).arg("replay");
    task.tell(&mut command);
    command.args(["--rounds", "1", "--out"]).arg(&out);
    build.dress(&mut command);
    let output = command.output().context("starting valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = total(&said);
    // What the workload asserts of itself is not this gate's business.
    let ran = matches!(output.status.code(), Some(0 | 1 | 3));
    ensure!(
        ran,
        "a replay under callgrind ended with {}: {said}",
        output.status
    );
    count.with_context(|| format!("callgrind did not say how much it collected: {said}"))
}

/// `==123== Collected : 138836863`
fn total(said: &str) -> Option<u64> {
    let line = said.lines().rev().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_among_what_callgrind_says() {
        let said = "==7== Callgrind, a call-graph\n==7== \n==7== Events    : Ir\n==7== Collected : 138836863\n==7== \n";
        assert_eq!(total(said), Some(138_836_863));
        assert_eq!(total("==7== Collected : \n"), None);
        assert_eq!(total(""), None);
    }
}
