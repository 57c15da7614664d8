//! The gate as scripts see it: which ending has which code, and what is left for other programs.
//!
//! Whether identical code passes in time is no test: a machine may be too loud to tell. What a gate must never do is.

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
    assert!(
        last.starts_with("gate=") && last.contains(" compared=1 "),
        "{last}"
    );
    let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
    assert!(
        junit.contains("tests=\"1\" failures=\"0\" errors=\"0\""),
        "{junit}"
    );
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

    let workload = bench.workload("small.yaml", &small(""));
    let output = bench
        .delalloc()
        .args(["gate", "ab", "--base-bin", "/bin/true", "--class", "sliced"])
        .arg(&workload)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("not_measured") && text.contains("compared=1"),
        "{text}"
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
