//! The binary of another revision: built in a git worktree, and kept by commit for the next time.
//!
//! ```text
//!   DIR/bin/COMMIT/delalloc    what is kept
//!   DIR/target/                shared by all builds, so that a second revision builds what differs
//!   DIR/tree-COMMIT/           the worktree, gone after the build
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, ensure};

/// The binary of `revision`, built if it is not there yet, below `home`. The commit it means comes along.
pub fn binary_of(revision: &str, home: &Path) -> anyhow::Result<(PathBuf, String)> {
    // `--` ends options: a revision is data.
    let wanted = format!("{revision}^{{commit}}");
    let commit = git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &wanted,
    ])
    .map_err(|_| anyhow!("{revision:?} is no revision of the repository here"))?;
    let home = std::path::absolute(home)?;
    let kept = home.join("bin").join(&commit).join("delalloc");
    if kept.exists() {
        return Ok((kept, commit));
    }
    let tree = Tree::check_out(&home.join(format!("tree-{commit}")), &commit)?;
    let target = home.join("target");
    let built = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "delalloc",
            "--bin",
            "delalloc",
        ])
        .current_dir(&tree.path)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .context("starting cargo")?;
    ensure!(built.success(), "building {revision} ({commit}): {built}");
    std::fs::create_dir_all(kept.parent().expect("two levels below home"))?;
    // Under its name only when it is whole.
    let partial = kept.with_extension("partial");
    std::fs::copy(target.join("release/delalloc"), &partial).context("keeping the binary")?;
    std::fs::rename(&partial, &kept)?;
    Ok((kept, commit))
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
