//! The gate as scripts see it: which ending has which code, and what is left for other programs.
//!
//! Whether identical code passes in time is no test: a machine may be too loud to tell. What a gate must never do is.

#[path = "gate/endings.rs"]
mod endings;
mod support;

use predicates::prelude::*;
use support::{Bench, small};

/// A short sliced gate of the binary against itself.
fn ab(bench: &Bench, more: &[&str]) -> (i32, String) {
    let workload = bench.workload("small.yaml", &small(""));
    let binary = assert_cmd::cargo::cargo_bin("delalloc");
    let output = bench
        .delalloc()
        .args(["gate", "ab"])
        .arg(&workload)
        .arg("--base-bin")
        .arg(&binary)
        .args(more)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("it ends by itself"), text)
}

#[test]
fn identical_code_is_never_red_and_leaves_its_numbers() {
    let bench = Bench::new();
    let outputs = ["--junit", "gate.xml", "--summary", "gate.md"];
    let (code, text) = ab(
        &bench,
        &[
            &["--class", "sliced", "--pairs", "8", "--slices", "20"],
            &outputs[..],
        ]
        .concat(),
    );
    assert!([0, 3].contains(&code), "{code}");
    let last = text.lines().last().expect("a last line");
    let compared = u8::from(!last.contains(" abstained=1 "));
    assert!(
        last.starts_with("gate=") && last.contains(&format!(" compared={compared} ")),
        "{last}"
    );
    let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
    // What cannot be told is red there as well, and no regression.
    let said = match code {
        0 => "tests=\"1\" failures=\"0\" errors=\"0\"",
        _ => "tests=\"2\" failures=\"0\" errors=\"1\"",
    };
    assert!(junit.contains(said), "{junit}");
    let summary = std::fs::read_to_string(bench.path("gate.md")).expect("written");
    assert!(summary.contains("| sliced | slices |"), "{summary}");
}

#[test]
fn writes_that_take_three_times_as_long_turn_it_red() {
    let bench = Bench::new();
    let more = [
        "--class",
        "sliced",
        "--pairs",
        "8",
        "--slices",
        "20",
        "--plant",
        "slow-writes=200",
        "--json",
    ];
    // A machine too loud to tell (3) is asked again.
    let (code, text) = (0..3)
        .map(|_| ab(&bench, &more))
        .find(|(code, _)| *code != 3)
        .expect("one of three attempts tells something");
    assert_eq!(code, 1, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let row = &report["rows"][0];
    assert_eq!(
        (row["verdict"].as_str(), row["reason"].as_str()),
        (Some("regressed"), Some("worse"))
    );
    assert!(
        row["change"]["low"].as_f64().expect("a number") > 1.03,
        "{row}"
    );
    assert_eq!(row["effects"].as_array().map(Vec::len), Some(8));
    assert_eq!(row["null_effects"].as_array().map(Vec::len), Some(8));
    assert_eq!(report["exit"]["code"], "regression");
}

#[test]
fn too_few_pairs_and_a_base_that_serves_no_slices_are_inconclusive_and_not_good() {
    let bench = Bench::new();
    let (code, text) = ab(
        &bench,
        &["--class", "sliced", "--pairs", "2", "--slices", "3"],
    );
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("too_few"), "{text}");
}

/// A build that cannot slice this workload is doubt; one that crashes, or reads wrong bytes, has failed.
#[test]
fn a_build_that_ends_before_its_time_is_no_doubt() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    for (ends, code, said) in [
        ("exit 0", 3, "not_measured"),
        ("exit 2", 3, "not_measured"),
        ("exit 4", 4, "ended before its time"),
        ("exit 101", 4, "ended before its time"),
        ("kill -SEGV $$", 4, "ended before its time"),
    ] {
        let build = bench.path("build");
        std::fs::write(&build, format!("#!/bin/sh\n{ends}\n")).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&build, mode).expect("its mode");
        let output = bench
            .delalloc()
            .args(["gate", "ab", "--class", "sliced", "--allow-inconclusive"])
            .arg("--base-bin")
            .arg(assert_cmd::cargo::cargo_bin("delalloc"))
            .arg("--head-bin")
            .arg(&build)
            .arg(&workload)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = if code == 3 { 0 } else { code };
        assert_eq!(output.status.code(), Some(code), "{ends}: {text}");
        assert!(text.contains(said), "{ends}: {text}");
    }
}

#[test]
fn the_sliced_phase_is_named_and_can_be_chosen() {
    let bench = Bench::new();
    let few = ["--class", "sliced", "--pairs", "1", "--slices", "2"];
    let (_, text) = ab(&bench, &few);
    assert!(
        text.contains("of phase serve, the last that reads or writes"),
        "{text}"
    );
    let (_, text) = ab(
        &bench,
        &[&few[..], &["--phase", "load", "--phase", "serve"]].concat(),
    );
    assert!(
        text.contains("slices(load)") && text.contains("slices(serve)"),
        "{text}"
    );
    let workload = bench.workload("small.yaml", &small(""));
    let mut unknown = bench.delalloc();
    unknown
        .args(["gate", "ab", "--base-bin", "/bin/true", "--phase", "laod"])
        .arg(workload);
    unknown.assert().code(2).stderr(
        predicate::str::contains("no phase laod").and(predicate::str::contains("load, serve")),
    );
}

#[test]
fn builds_that_would_write_to_one_place_at_once_are_not_sliced() {
    let bench = Bench::new();
    let text = small("").replace(
        "{ mem: { size: 64MiB } }",
        "{ file: { path: shared.img, size: 64MiB } }",
    );
    let workload = bench.workload("file.yaml", &text);
    let output = bench
        .delalloc()
        .args(["gate", "slices"])
        .arg(&workload)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shared.img at once"), "{said}");
    assert!(!bench.path("shared.img").exists(), "nothing is touched");
}

#[test]
fn lost_writes_outrank_every_timing() {
    let bench = Bench::new();
    let (code, text) = ab(
        &bench,
        &[
            "--class",
            "rounds",
            "--blocks",
            "1",
            "--plant",
            "lost-writes=3",
        ],
    );
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("gate=failed exit=4"), "{text}");
}

#[test]
fn wrong_usage_is_said_before_anything_runs() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let workload = workload.to_str().expect("text");
    let refuses = |args: &[&str], what: &str| {
        let assert = bench.delalloc().args(["gate"]).args(args).assert().code(2);
        assert.stderr(predicate::str::contains(what));
    };
    refuses(&["ab", workload], "--base");
    refuses(&["ab", workload, "--base-bin", "nowhere"], "nowhere");
    refuses(
        &["ab", "no-such-workload", "--base-bin", "/bin/true"],
        "no-such-workload",
    );
    refuses(
        &[
            "ab",
            workload,
            "--base-bin",
            "/bin/true",
            "--class",
            "quick",
        ],
        "sliced",
    );
    refuses(
        &[
            "ab",
            workload,
            "--base-bin",
            "/bin/true",
            "--floor",
            "sliced=much",
        ],
        "percentage",
    );
    refuses(&["calibrate", workload, "--plants=-3"], "plants");
    refuses(&["trend", "nowhere"], "nowhere");
    let planted = |plant: &str| {
        let mut command = bench.delalloc();
        command
            .env("DELALLOC_PLANT", plant)
            .args(["replay", workload, "--out", "planted"]);
        command
            .assert()
            .code(2)
            .stderr(predicate::str::contains("DELALLOC_PLANT"));
    };
    planted("rain=1");
    planted("lost-writes=0");
}

/// `gate counted` of a small deterministic workload; none, aloud, where valgrind is not there.
fn counted(bench: &Bench, more: &[&str]) -> Option<(i32, String)> {
    if std::process::Command::new("valgrind")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("SKIPPED: valgrind is not installed");
        return None;
    }
    // Callgrind and an unoptimised build are slow together.
    let mut text = small("");
    for (from, to) in [
        ("seed: 3", "seed: 3\ndeterministic: true"),
        ("{ ratio: 2.5 }", "random"),
        ("size: 2MiB", "size: 256KiB"),
        ("ops: 400", "ops: 60"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let workload = bench.workload("counted.yaml", &text);
    let output = bench
        .delalloc()
        .args(["gate", "counted"])
        .arg(&workload)
        .args(more)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Some((output.status.code().expect("it ends by itself"), text))
}

#[test]
fn instructions_are_held_more_work_is_red_and_other_tools_abstain() {
    let bench = Bench::new();
    let bless = ["--bless", "--reason", "first", "-o", "counted.json"];
    let Some((code, _)) = counted(&bench, &bless) else {
        return;
    };
    assert_eq!(code, 0);
    let against = ["--baseline", "counted.json"];
    let (code, text) = counted(&bench, &against).expect("valgrind is there");
    assert_eq!(code, 0, "identical code: {text}");
    assert!(
        text.contains("instructions(engine)") && text.contains("instructions(write)"),
        "{text}"
    );

    let planted = [&against[..], &["--plant", "summed-writes=4", "--json"]].concat();
    let (code, text) = counted(&bench, &planted).expect("valgrind is there");
    assert_eq!(code, 1, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let row = &report["rows"][0];
    assert_eq!(
        (row["verdict"].as_str(), row["code"].as_str()),
        (Some("regressed"), Some("worse"))
    );

    let lost = [&against[..], &["--plant", "lost-writes=3"]].concat();
    assert_eq!(
        counted(&bench, &lost).expect("valgrind is there").0,
        4,
        "wrong bytes come first"
    );

    let path = bench.path("counted.json");
    let held = std::fs::read_to_string(&path).expect("blessed");
    std::fs::write(
        &path,
        held.replace("\"rustc\": \"rustc 1.", "\"rustc\": \"rustc 0."),
    )
    .expect("written");
    let (code, text) = counted(&bench, &against).expect("valgrind is there");
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("abstained") && text.contains("rustc: rustc 0."),
        "{text}"
    );
    let allowed = [&against[..], &["--allow-inconclusive"]].concat();
    assert_eq!(counted(&bench, &allowed).expect("valgrind is there").0, 0);
}

#[test]
fn without_valgrind_or_a_repeatable_workload_nothing_is_counted() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let refused = |args: &[&str], what: &str| {
        let mut command = bench.delalloc();
        command.args(["gate", "counted"]).arg(&workload).args(args);
        command
            .assert()
            .code(2)
            .stderr(predicate::str::contains(what));
    };
    refused(&["--baseline", "counted.json"], "deterministic: true");
    let again = ["--set", "deterministic=true"];
    refused(
        &[&again[..], &["--baseline", "nowhere.json"]].concat(),
        "nowhere.json",
    );
    refused(&again, "--baseline");

    assert_eq!(bench.replay(&workload, "run", &[]).0, 0);
    let mut bless = bench.delalloc();
    bless
        .args([
            "gate", "bless", "run", "--reason", "first", "-o", "run.json",
        ])
        .assert()
        .code(0);
    refused(
        &[&again[..], &["--baseline", "run.json"]].concat(),
        "gate RUN --baseline",
    );

    let held = r#"{ "baseline_version": 1, "workload": "small", "workload_hash": "HASH", "revision": "", "blessed_at": "",
        "reason": "r", "tools": { "valgrind": "valgrind-1" }, "entries": [ { "expression": "instructions", "value": 1.0,
        "unit": "count", "better": "lower", "tolerance": { "relative": 0.03 } } ] }"#;
    let text = std::fs::read_to_string(bench.path("run.json")).expect("blessed");
    let blessed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let hash = blessed["workload_hash"].as_str().expect("text");
    std::fs::write(bench.path("counted.json"), held.replace("HASH", hash)).expect("written");
    let mut gate = bench.delalloc();
    gate.args(["gate", "run", "--baseline", "counted.json"]);
    gate.assert()
        .code(2)
        .stderr(predicate::str::contains("gate counted WORKLOAD"));
    let mut gate = bench.delalloc();
    gate.args([
        "gate",
        "counted",
        "small.yaml",
        "--baseline",
        "counted.json",
    ])
    .args(again)
    .env("PATH", "/nowhere");
    let assert = gate.assert().code(3);
    assert.stdout(
        predicate::str::contains("valgrind is not installed")
            .and(predicate::str::contains("abstained=1")),
    );
}

/// A repository whose one crate is called like the binary; `main` is its only file.
fn repository(bench: &Bench, main: &str) {
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

#[test]
fn blessing_again_keeps_why_it_was_so_and_refuses_another_workload() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    assert_eq!(bench.replay(&workload, "run", &[]).0, 0);
    let bless = |run: &str, reason: &str| {
        let mut command = bench.delalloc();
        command.args([
            "gate",
            "bless",
            run,
            "--reason",
            reason,
            "-o",
            "baseline.json",
        ]);
        command.assert()
    };
    bless("run", "first").code(0);
    bless("run", "second").code(0);
    let text = std::fs::read_to_string(bench.path("baseline.json")).expect("written");
    let baseline: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(baseline["reason"], "second");
    assert_eq!(baseline["history"][0]["reason"], "first");
    bless("run", "  ").code(2);

    let other = bench.workload(
        "other.yaml",
        &small("").replace("name: small", "name: other"),
    );
    assert_eq!(bench.replay(&other, "other", &[]).0, 0);
    bless("other", "third").code(2);
    let after = std::fs::read_to_string(bench.path("baseline.json")).expect("still there");
    assert_eq!(after, text);

    bench
        .delalloc()
        .args(["gate", "run", "--baseline", "baseline.json"])
        .env("GITHUB_STEP_SUMMARY", bench.path("step.md"))
        .env("GITHUB_ACTIONS", "true")
        .assert()
        .code(0);
    let step = std::fs::read_to_string(bench.path("step.md")).expect("appended");
    assert!(step.starts_with("### delalloc gate: good"), "{step}");
}

#[test]
fn a_trend_needs_runs_and_is_advice() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    std::fs::create_dir(bench.path("runs")).expect("made");
    for run in 0..4 {
        assert_eq!(bench.replay(&workload, &format!("runs/{run}"), &[]).0, 0);
        let code = if run < 3 { 3 } else { 0 };
        let assert = bench
            .delalloc()
            .args(["gate", "trend", "runs"])
            .assert()
            .code(code);
        assert.stdout(predicate::str::contains(format!(
            "trend=advisory runs={}",
            run + 1
        )));
    }
}

/// A build that somebody stopped says nothing of itself, and takes nothing away from what was measured.
#[test]
fn a_build_that_was_stopped_has_not_failed() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let build = bench.path("build");
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    for ends in ["kill -INT $$", "kill -TERM $$", "exit 130"] {
        std::fs::write(&build, format!("#!/bin/sh\n{ends}\n")).expect("a script");
        std::fs::set_permissions(&build, mode.clone()).expect("its mode");
        for class in ["sliced", "rounds"] {
            let output = bench
                .delalloc()
                .args(["gate", "ab", "--class", class, "--junit", "gate.xml"])
                .arg("--base-bin")
                .arg(assert_cmd::cargo::cargo_bin("delalloc"))
                .arg("--head-bin")
                .arg(&build)
                .arg(&workload)
                .output()
                .expect("the binary runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(130), "{ends}, {class}: {text}");
            let last = text.lines().last().unwrap_or_default();
            assert!(last.starts_with("gate=interrupted exit=130"), "{text}");
            let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
            assert!(junit.contains("name=\"gate\"><error"), "{junit}");
        }
    }
}

/// As a terminal does it: the gate and the builds that it started get the signal at once.
#[test]
fn what_was_calibrated_until_an_interruption_is_kept() {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("delalloc"))
        .current_dir(bench.path("."))
        .args(["gate", "calibrate", "--json", "--phase", "load"])
        .args(["--trials", "10000", "--pairs", "1", "--slices", "3"])
        .arg(&workload)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the binary runs");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
    let first = said.next().expect("a line for each trial").expect("text");
    assert!(
        first.contains("trial 1 of 10000, nothing planted: abstained (too_few)"),
        "{first}"
    );
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process"));
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGINT).expect("sent");
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_to_string(&mut text).expect("text");
    let code = child.wait().expect("it ends").code();
    assert_eq!(code, Some(130), "{text}\n{rest:?}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(report["null"]["trials"].as_u64() >= Some(1), "{text}");
    assert_eq!(report["planted"][0]["trials"], 0, "{text}");
    // Nobody of the group is left.
    let left = nix::sys::signal::killpg(group, None);
    assert_eq!(left, Err(nix::errno::Errno::ESRCH));
}

#[test]
fn the_phase_to_calibrate_is_checked_before_anything_runs() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    bench
        .delalloc()
        .args(["gate", "calibrate", "--phase", "nosuch"])
        .arg(&workload)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("there are load, serve"));
}

#[test]
fn deterministic_runs_are_in_the_order_in_which_they_were_made() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("deterministic: true\n"));
    std::fs::create_dir(bench.path("runs")).expect("made");
    assert_eq!(bench.replay(&workload, "runs/11", &[]).0, 0);
    let began = |run: &str, day: u32| {
        let path = bench.path("runs").join(run).join("surroundings.json");
        let text = std::fs::read_to_string(&path).expect("left by the run");
        let mut there: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        there["started_at"] = format!("2026-01-{day:02}T00:00:00Z").into();
        std::fs::write(&path, there.to_string()).expect("written");
    };
    for (run, day) in [("11", 7), ("8", 8), ("9", 9), ("10", 9)] {
        let home = bench.path("runs").join(run);
        std::fs::create_dir_all(&home).expect("made");
        for file in ["result.json", "surroundings.json"] {
            if run != "11" {
                let from = bench.path("runs/11").join(file);
                std::fs::copy(from, home.join(file)).expect("copied");
            }
        }
        began(run, day);
    }
    // The last run, the second of its second, wrote more.
    let last = bench.path("runs/10/result.json");
    let text = std::fs::read_to_string(&last).expect("left by the run");
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["cells"][0]["counters"]["device.write_bytes"] = 1e12.into();
    std::fs::write(&last, record.to_string()).expect("written");
    let trend = || {
        let mut command = bench.delalloc();
        command.args(["gate", "trend", "runs", "--json"]);
        command
    };
    let output = trend().output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    let row = |number: &str| rows.iter().find(|row| row["number"] == number);
    let written = row("engine device.write_bytes").expect("a counter");
    assert_eq!(written["newest"], 1e12, "{written}");
    assert_eq!(written["advice"], "looks_worse", "{written}");
    let tail = row("engine serve.write p99").expect("a latency");
    assert_eq!(tail["advice"], "usual", "{tail}");

    std::fs::remove_file(bench.path("runs/9/surroundings.json")).expect("removed");
    trend()
        .assert()
        .code(2)
        .stderr(predicate::str::contains("runs/9/surroundings.json"));
    // A copy under another name has no directory that says when.
    std::fs::rename(bench.path("runs/9/result.json"), bench.path("runs/9.json")).expect("renamed");
    let refused = trend().assert().code(2);
    refused.stderr(predicate::str::contains("keep the run's directory whole"));
}

#[test]
fn a_ratio_is_held_where_it_is_asked_for() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    assert_eq!(bench.replay(&workload, "run", &[]).0, 0);
    let bless = |ratio: &str| {
        let mut command = bench.delalloc();
        command.args(["gate", "bless", "run", "--reason", "first", "-o", "b.json"]);
        command.args(["--ratio", ratio]).assert()
    };
    for (faulty, said) in [
        ("stored_ratio", "EXPR=PERCENT"),
        ("stored_ratio=many", "no percentage"),
        ("p99(=10", "--ratio p99("),
        ("p99(serve.write)=10", "is not a ratio"),
    ] {
        bless(faulty).code(2).stderr(predicate::str::contains(said));
    }
    let ratio = "throughput(serve.write) / throughput(load.write)";
    bless(&format!("{ratio}=100")).code(0);
    let text = std::fs::read_to_string(bench.path("b.json")).expect("written");
    // A blessing that does not name it would drop it.
    let plain = ["run", "--reason", "second", "-o", "b.json"];
    for how in ["bless", "--bless"] {
        let mut command = bench.delalloc();
        let refused = command.args(["gate", how]).args(plain).assert().code(2);
        refused.stderr(predicate::str::contains(format!("--ratio '{ratio}=100'")));
        let after = std::fs::read_to_string(bench.path("b.json")).expect("still there");
        assert_eq!(after, text);
    }
    bless(&format!("{ratio}=100")).code(0);
    let mut baseline: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let entries = baseline["entries"].as_array_mut().expect("entries");
    let entry = entries
        .iter_mut()
        .find(|entry| entry["expression"] == ratio)
        .expect("held");
    assert_eq!(entry["better"], "higher");
    assert_eq!(entry["tolerance"]["relative"], 1.0);
    let gate = || {
        let mut command = bench.delalloc();
        command
            .args(["gate", "run", "--baseline", "b.json"])
            .assert()
    };
    gate().code(0);
    // As if four times as much had been measured.
    entry["value"] = (entry["value"].as_f64().expect("a number") * 4.0).into();
    entry["tolerance"]["relative"] = 0.5.into();
    std::fs::write(bench.path("b.json"), baseline.to_string()).expect("written");
    gate().code(1);
}
