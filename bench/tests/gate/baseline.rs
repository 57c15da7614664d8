//! Numbers that are held, and held again.

use predicates::prelude::*;

use super::support::{Bench, small};

#[test]
fn blessing_again_keeps_why_it_was_so_and_refuses_another_workload() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("rounds: 2\n"));
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
        &small("rounds: 2\n").replace("name: small", "name: other"),
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

    // Red is said in the log as well where stdout is for a program, and what it was held to in JUnit.
    let text = text.replacen("\"value\": ", "\"value\": 9", 1);
    std::fs::write(bench.path("wrong.json"), text).expect("a temporary file");
    let output = bench
        .delalloc()
        .args(["gate", "run", "--baseline", "wrong.json", "--json"])
        .args(["--junit", "gate.xml"])
        .env("GITHUB_ACTIONS", "true")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON alone");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("::error"), "{log}");
    let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
    assert!(junit.contains(", exactly"), "{junit}");
}

#[test]
fn a_ratio_is_held_where_it_is_asked_for() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("rounds: 2\n"));
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

#[test]
fn one_round_on_threads_is_not_blessed() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    assert_eq!(bench.replay(&workload, "run", &[]).0, 0);
    let bless = ["gate", "bless", "run", "--reason", "first", "-o", "b.json"];
    let refused = bench.delalloc().args(bless).assert().code(2);
    refused.stderr(predicate::str::contains("--rounds 3"));
    assert!(!bench.path("b.json").exists());
    assert_eq!(bench.replay(&workload, "three", &["--rounds", "3"]).0, 0);
    let bless = [
        "gate", "bless", "three", "--reason", "first", "-o", "b.json",
    ];
    bench.delalloc().args(bless).assert().code(0);
}

#[test]
fn a_blessing_says_as_json_what_is_held_and_leaves_no_verdict() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("deterministic: true\n"));
    assert_eq!(bench.replay(&workload, "run", &[]).0, 0);
    for how in ["bless", "--bless"] {
        let mut command = bench.delalloc();
        command.args(["gate", how, "run", "--reason", "first", "-o", "b.json"]);
        let output = command.arg("--json").output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
        assert_eq!(
            (&said["baseline"], &said["reason"]),
            (&"b.json".into(), &"first".into())
        );
        assert!(said["entries"].as_u64() > Some(10), "{said}");
        assert!(said["demoted"].is_array(), "{said}");
    }
    for file in ["--junit", "--summary"] {
        let mut command = bench.delalloc();
        command.args([
            "gate", "run", "--bless", "--reason", "first", "-o", "b.json",
        ]);
        let refused = command.args([file, "gate.xml"]).assert().code(2);
        refused.stderr(predicate::str::contains("cannot be used with"));
    }
}
