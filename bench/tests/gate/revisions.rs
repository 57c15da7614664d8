//! Revisions that are built to be compared with.

use super::support::{Bench, small};

/// A repository whose one crate is called like the binary; `main` is its only file.
pub(crate) fn repository(bench: &Bench, main: &str) {
    let write = |name: &str, text: &str| std::fs::write(bench.path(name), text).expect("written");
    std::fs::create_dir(bench.path("src")).expect("made");
    write(
        "Cargo.toml",
        "[package]\nname = \"delalloc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"delalloc\"\nversion = \"0.1.0\"\n",
    );
    write("src/main.rs", main);
    let git = |arguments: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(bench.path(""))
            .output()
            .expect("git runs");
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "Cargo.toml", "Cargo.lock", "src"]);
    git(&["commit", "--quiet", "--message", "one"]);
}

/// `gate ab --base REVISION` in the bench's directory: exit code, stdout, stderr.
fn ab_with(bench: &Bench, revision: &str, more: &[&str]) -> (i32, String, String) {
    ab_built(bench, revision, more, "")
}

/// The same, where `flags` are those of rustc.
fn ab_built(bench: &Bench, revision: &str, more: &[&str], flags: &str) -> (i32, String, String) {
    let workload = bench.workload("small.yaml", &small(""));
    let output = bench
        .delalloc()
        .env("RUSTFLAGS", flags)
        .args([
            "gate",
            "ab",
            "--base",
            revision,
            "--class",
            "sliced",
            "--pairs",
            "2",
            "--head-bin",
        ])
        .arg(assert_cmd::cargo::cargo_bin("delalloc"))
        .arg(&workload)
        .args(more)
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    println!("{said}\n{errors}");
    (
        output.status.code().expect("it ends by itself"),
        said,
        errors,
    )
}

#[test]
fn a_revision_that_is_not_there_is_wrong_usage_and_builds_nothing() {
    let bench = Bench::new();
    let (code, _, errors) = ab_with(&bench, "HEAD", &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("no repository"), "{errors}");
    repository(&bench, "fn main() {}\n");
    for revision in ["no-such-branch", "HEAD~7", "HEAD:src/main.rs", ""] {
        let (code, _, errors) = ab_with(&bench, revision, &[]);
        assert_eq!(code, 2);
        assert!(
            errors.contains("is no revision of the repository here"),
            "{errors}"
        );
    }
    assert!(!bench.path("target").exists());
}

#[test]
fn a_revision_that_does_not_build_leaves_the_question_open_and_shows_why() {
    let bench = Bench::new();
    repository(&bench, "fn main() { let pages: u32 = \"many\"; }\n");
    let (code, said, errors) = ab_with(&bench, "HEAD", &["--junit", "gate.xml"]);
    assert_eq!(code, 3);
    let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
    assert!(
        junit.contains("errors=\"1\"") && junit.contains("does not build"),
        "{junit}"
    );
    let last = said.lines().last().expect("a last line");
    assert!(
        last.starts_with("gate=inconclusive exit=3 compared=0 "),
        "{last}"
    );
    assert!(
        last.contains("HEAD (") && last.contains("does not build"),
        "{last}"
    );
    assert!(
        errors.contains("mismatched types") && errors.contains("could not compile"),
        "{errors}"
    );
    let worktrees = std::fs::read_dir(bench.path(".git/worktrees")).map_or(0, Iterator::count);
    assert_eq!(worktrees, 0, "no worktree is left behind");

    let (code, said, _) = ab_with(&bench, "HEAD", &["--json", "--allow-inconclusive"]);
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (code, report["exit"]["code"].as_str()),
        (0, Some("inconclusive"))
    );
}

#[test]
fn a_revision_that_builds_is_kept_and_not_built_again() {
    let bench = Bench::new();
    repository(&bench, "fn main() {}\n");
    let (code, said, errors) = ab_with(&bench, "HEAD", &[]);
    // It serves no slices, which is said of it and not of the judged build.
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("not_measured"), "{said}");
    assert!(errors.contains("building HEAD"), "{errors}");
    let kept = std::fs::read_dir(bench.path("target/gate/bin"))
        .expect("kept")
        .count();
    assert_eq!(kept, 1);
    let (code, _, errors) = ab_with(&bench, "HEAD", &[]);
    assert_eq!(code, 3);
    assert!(!errors.contains("building"), "{errors}");

    // With other flags it is another binary, which takes the place of none.
    let (_, _, errors) = ab_built(&bench, "HEAD", &[], "-Copt-level=1");
    assert!(errors.contains("building HEAD"), "{errors}");
    let (_, _, errors) = ab_with(&bench, "HEAD", &[]);
    assert!(!errors.contains("building"), "{errors}");
}
