//! The binary of another revision: built in a git worktree, and kept by commit for the next time.
//!
//! ```text
//!   DIR/bin/COMMIT/delalloc    what is kept
//!   DIR/build-COMMIT.log       what cargo said, gone after a build that succeeds
//!   DIR/target/                shared by all builds, so that a second revision builds what differs
//!   DIR/tree-COMMIT/           the worktree, gone after the build
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, ensure};
use delalloc_results::ExitCode;

use crate::failure::{Failure, OrExit};
use crate::signals::Signals;

/// So much of a failed build is shown: an error, and what cargo says of it.
const SHOWN_LINES: usize = 20;

/// The binary of `revision`, built if it is not there yet, below `home`. The commit it means comes along.
///
/// A revision that is not there is wrong usage; one that does not build leaves the question open.
pub fn binary_of(
    revision: &str,
    home: &Path,
    signals: &Signals,
) -> Result<(PathBuf, String), Failure> {
    let commit = commit_of(revision).or_usage()?;
    let home = std::path::absolute(home).or_usage()?;
    let kept = home.join("bin").join(&commit).join("delalloc");
    if kept.exists() {
        return Ok((kept, commit));
    }
    let tree = Tree::check_out(&home.join(format!("tree-{commit}")), &commit).or_usage()?;
    let (target, log) = (
        home.join("target"),
        home.join(format!("build-{commit}.log")),
    );
    eprintln!(
        "delalloc: building {revision} ({commit}), once; what cargo says goes to {}",
        log.display()
    );
    build(&tree, &target, &log).map_err(|error| Failure {
        code: if signals.interrupted() {
            ExitCode::Interrupted
        } else {
            ExitCode::Inconclusive
        },
        error: error.context(format!("{revision} ({commit}) does not build")),
    })?;
    keep(&target.join("release/delalloc"), &kept).or_failed()?;
    // Nobody reads it again.
    let _ = std::fs::remove_file(&log);
    Ok((kept, commit))
}

fn commit_of(revision: &str) -> anyhow::Result<String> {
    git(&["rev-parse", "--git-dir"])
        .context("--base names a revision, and here is no repository")?;
    // A revision is data, also where it begins with a dash.
    let wanted = format!("{revision}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
    git(&[&arguments[..], &[&wanted]].concat()).map_err(|_| {
        anyhow!(
            "{revision:?} is no revision of the repository here; a shallow clone has few of them (git fetch --unshallow)"
        )
    })
}

fn build(tree: &Tree, target: &Path, log: &Path) -> anyhow::Result<()> {
    let writing = || format!("writing {}", log.display());
    let said = File::create(log).with_context(writing)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked"]);
    cargo.args(["--package", "delalloc", "--bin", "delalloc"]);
    let status = cargo
        .current_dir(&tree.path)
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .stdout(said.try_clone().with_context(writing)?)
        .stderr(said)
        .status()
        .context("starting cargo")?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(log).unwrap_or_default();
    Err(anyhow!(
        "cargo ended with {status}; the last lines of {}:\n{}",
        log.display(),
        last_lines(&said, SHOWN_LINES)
    ))
}

/// Under its name only when it is whole.
fn keep(built: &Path, kept: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(kept.parent().expect("two levels below home"))?;
    let partial = kept.with_extension("partial");
    std::fs::copy(built, &partial).context("keeping the binary")?;
    Ok(std::fs::rename(&partial, kept)?)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

struct Tree {
    path: PathBuf,
}

impl Tree {
    fn check_out(path: &Path, commit: &str) -> anyhow::Result<Self> {
        let shown = path.to_str().context("the directory's name is no text")?;
        // One that a killed build left.
        let _ = git(&["worktree", "remove", "--force", shown]);
        git(&["worktree", "add", "--detach", "--force", shown, commit])?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Some(shown) = self.path.to_str() {
            let _ = git(&["worktree", "remove", "--force", shown]);
        }
    }
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .context("starting git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_text_and_all_of_a_short_one() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
