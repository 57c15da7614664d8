//! Instructions that are held in a file.

use predicates::prelude::*;

use super::support::{Bench, small};

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

    assert_eq!(bench.replay(&workload, "run", &again).0, 0);
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
