//! The binary of another revision: built in a git worktree, and kept for the next time, by commit and by what builds it.
//!
//! ```text
//!   DIR/bin/COMMIT/TOOLS/delalloc    what is kept
//!   DIR/build-COMMIT.log             what cargo said, gone after a build that succeeds
//!   DIR/target/TOOLS/                shared by all builds of the same tools, so that a second revision builds what differs
//!   DIR/tree-COMMIT/                 the worktree, gone after the build
//! ```
//!
//! TOOLS is a hash of compilers, flags, profile and cargo's configuration. A binary that others made says of a revision what they make of it: taken for
//! the base, it would turn a compiler's doing into a regression, or hide one. Where a compiler does not say what it is, TOOLS is `unknown`, and what is
//! there is built anew each time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, ensure};
use delalloc_results::ExitCode;
use xxhash_rust::xxh3::xxh3_64;

use crate::failure::{Failure, OrExit};
use crate::out;
use crate::signals::Signals;

/// So much of a failed build is shown: an error, and what cargo says of it.
const SHOWN_LINES: usize = 20;

/// How cargo builds it.
const BUILD: [&str; 7] = [
    "build",
    "--release",
    "--locked",
    "--package",
    "delalloc",
    "--bin",
    "delalloc",
];
/// How names of environment variables begin that decide what cargo, rustc and the C compiler of dependencies make.
const DECIDING: [&str; 12] = [
    "AR",
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CC",
    "CFLAGS",
    "CRATE_CC_",
    "HOST_C",
    "RUSTC",
    "RUSTFLAGS",
    "TARGET_C",
];
/// These begin like one of them and decide only where things go, or how fast.
const PLACES: [&str; 3] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_JOBS",
];

/// Stands for tools of which one does not say its version: it may be another one the next time.
const UNKNOWN: &str = "unknown";

/// A variable of the environment and its value.
type Variable = (OsString, OsString);

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
    let environment: Vec<Variable> = std::env::vars_os().collect();
    let tools = tools(&home, &environment);
    let kept = kept(&home, &commit, &tools);
    if tools == UNKNOWN {
        forget(&home.join("target").join(UNKNOWN)).or_failed()?;
    } else if kept.exists() {
        return Ok((kept, commit));
    }
    let tree = Tree::check_out(&home.join(format!("tree-{commit}")), &commit).or_usage()?;
    let (target, log) = (
        home.join("target").join(&tools),
        home.join(format!("build-{commit}.log")),
    );
    eprintln!(
        "delalloc: building {revision} ({commit}), once; what cargo says goes to {}",
        log.display()
    );
    build(&tree, &target, &log).map_err(|error| {
        if signals.interrupted() {
            return Failure {
                code: ExitCode::Interrupted,
                error: error.context(format!("interrupted while {revision} ({commit}) was built")),
            };
        }
        Failure {
            code: ExitCode::Inconclusive,
            error: error.context(format!("{revision} ({commit}) does not build")),
        }
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

fn kept(home: &Path, commit: &str, tools: &str) -> PathBuf {
    home.join("bin").join(commit).join(tools).join("delalloc")
}

/// What would build in `home`, as a name.
fn tools(home: &Path, environment: &[Variable]) -> String {
    let mut told = Vec::new();
    for compiler in compilers(environment) {
        let Some(said) = said(&compiler) else {
            out::say(format_args!(
                "delalloc: {:?} says nothing, so what is built with it is not used again",
                compiler.join(OsStr::new(" "))
            ));
            return UNKNOWN.to_owned();
        };
        told.push(said);
    }
    told.extend(configured(home));
    let told: Vec<&str> = told.iter().map(|text| &**text).collect();
    key(&told, environment.iter().cloned())
}

/// How each compiler that may have a part in a build is asked for its version.
fn compilers(environment: &[Variable]) -> Vec<Vec<OsString>> {
    let set = |wanted: &str| {
        let mut variables = environment.iter();
        variables
            .find_map(|(name, value)| (name == wanted && !value.is_empty()).then(|| value.clone()))
    };
    let rustc = set("RUSTC").unwrap_or_else(|| "rustc".into());
    // It links as well, also where another one compiles.
    let cc = set("CC").unwrap_or_else(|| "cc".into());
    let mut others: Vec<&Variable> = environment
        .iter()
        .filter(|(name, value)| of_c(name) && !value.is_empty())
        .collect();
    others.sort_unstable();
    let c = std::iter::once(&cc).chain(others.into_iter().map(|(_, value)| value));
    let mut asked = vec![vec![rustc, "-vV".into()]];
    asked.extend(c.map(|compiler| {
        let mut asked = words(compiler);
        asked.push("--version".into());
        asked
    }));
    asked
}

/// Whether a variable names a C compiler for some target or for the host. What else begins with `CC_` has capitals.
fn of_c(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let target = name.strip_prefix("CC_");
    let lower = |target: &str| !target.contains(|c: char| c.is_ascii_uppercase());
    ["HOST_CC", "TARGET_CC"].contains(&name) || target.is_some_and(lower)
}

/// A compiler may be a program with what goes before it or behind it, as in `ccache gcc`; or a path with a blank in it.
fn words(compiler: &OsStr) -> Vec<OsString> {
    match compiler.to_str() {
        Some(text) if !Path::new(text).is_file() => {
            text.split_ascii_whitespace().map(OsString::from).collect()
        }
        _ => vec![compiler.to_owned()],
    }
}

/// What cargo is told by files that are no part of the revision: those above its worktree, and the user's own.
fn configured(home: &Path) -> Vec<String> {
    let own = std::env::home_dir().map(|user| user.join(".cargo"));
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(own);
    let above = home.ancestors().map(|directory| directory.join(".cargo"));
    let files = above
        .chain(own)
        .flat_map(|directory| ["config.toml", "config"].map(|name| directory.join(name)));
    files
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect()
}

/// What decides a build, as a name: what compilers and configuration say, how cargo is called, and the variables that it,
/// rustc and the C compiler heed.
fn key(told: &[&str], environment: impl Iterator<Item = Variable>) -> String {
    let decides = |name: &str| {
        DECIDING.iter().any(|start| name.starts_with(start)) && !PLACES.contains(&name)
    };
    let mut heeded: Vec<String> = environment
        .filter(|(name, _)| name.to_str().is_some_and(decides))
        .map(|(name, value)| format!("{}={value:?}", name.display()))
        .collect();
    heeded.sort_unstable();
    let facts = (told, BUILD, heeded);
    format!("{:016x}", xxh3_64(format!("{facts:?}").as_bytes()))
}

/// What a program says of itself, if it does.
fn said(asked: &[OsString]) -> Option<String> {
    let (program, arguments) = asked.split_first()?;
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !said.trim().is_empty()).then_some(said)
}

fn forget(target: &Path) -> anyhow::Result<()> {
    if target.exists() {
        let shown = target.display();
        std::fs::remove_dir_all(target).with_context(|| format!("clearing {shown}"))?;
    }
    Ok(())
}

fn build(tree: &Tree, target: &Path, log: &Path) -> anyhow::Result<()> {
    let writing = || format!("writing {}", log.display());
    let said = File::create(log).with_context(writing)?;
    let mut cargo = Command::new("cargo");
    cargo.args(BUILD);
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
    std::fs::create_dir_all(kept.parent().expect("three levels below home"))?;
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
    fn other_compilers_and_flags_have_another_place_and_other_directories_do_not() {
        let of = |compilers: [&str; 2], set: &[(&str, &str)]| {
            let set = set.iter();
            let set = set.map(|(name, value)| (OsString::from(name), OsString::from(value)));
            key(&compilers, set)
        };
        let compilers = ["rustc 1.90", "gcc 12"];
        let plain = of(compilers, &[]);
        let others = [
            of(["rustc 1.91", "gcc 12"], &[]),
            of(["rustc 1.90", "gcc 13"], &[]),
            of(compilers, &[("RUSTFLAGS", "-Ctarget-cpu=native")]),
            of(compilers, &[("RUSTFLAGS", "-Copt-level=1")]),
            of(compilers, &[("CARGO_ENCODED_RUSTFLAGS", "-Copt-level=1")]),
            of(compilers, &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")]),
            of(compilers, &[("CFLAGS", "-O0")]),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, plain, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
        let elsewhere = [("CARGO_TARGET_DIR", "/t"), ("HOME", "/h"), ("PATH", "/p")];
        assert_eq!(of(compilers, &elsewhere), plain);
        let ordered = [("CC", "cc"), ("AR", "ar")];
        let turned = [("AR", "ar"), ("CC", "cc")];
        assert_eq!(of(compilers, &ordered), of(compilers, &turned));
        let home = Path::new("gate");
        assert_ne!(kept(home, "c1", &plain), kept(home, "c1", &others[0]));
        assert_ne!(kept(home, "c1", &plain), kept(home, "c2", &plain));
    }

    /// `sh FILE` is a compiler of two words; it says whatever the file makes it say.
    #[test]
    fn every_c_compiler_is_asked_and_one_that_does_not_answer_is_never_taken_for_the_same() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let script = home.path().join("compiler");
        let says = |variable: &str, text: &str| {
            std::fs::write(&script, text).expect("a script");
            let value = format!("sh {}", script.display());
            let environment = [(OsString::from(variable), OsString::from(value))];
            tools(home.path(), &environment)
        };
        for variable in ["CC", "CC_x86_64_unknown_linux_gnu", "HOST_CC", "TARGET_CC"] {
            let old = says(variable, "echo gcc 12 $1");
            assert_eq!(says(variable, "echo gcc 12 $1"), old, "{variable}");
            assert_ne!(says(variable, "echo gcc 13 $1"), old, "{variable}");
            assert_ne!(old, UNKNOWN, "{variable}");
            for silent in ["exit 1", "true", "echo gcc 12; exit 1"] {
                assert_eq!(says(variable, silent), UNKNOWN, "{variable}: {silent}");
            }
        }
        // A setting of the crate that calls compilers, and no compiler.
        assert_ne!(says("CC_FORCE_DISABLE", "exit 1"), UNKNOWN);
    }

    #[test]
    fn the_end_of_a_long_text_and_all_of_a_short_one() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
