//! Many runs, one after the other.

use predicates::prelude::*;

use super::support::{Bench, small};

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

#[test]
fn runs_in_virtual_time_stand_beside_their_own() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    std::fs::create_dir(bench.path("runs")).expect("made");
    let virtual_time = ["--set", "deterministic=true"];
    for run in 0..3 {
        let out = format!("runs/{run}");
        assert_eq!(bench.replay(&workload, &out, &virtual_time).0, 0);
        // All that follow are younger.
        let path = bench.path(&out).join("surroundings.json");
        let text = std::fs::read_to_string(&path).expect("left by the run");
        let mut there: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        there["started_at"] = "2026-01-01T00:00:00Z".into();
        std::fs::write(&path, there.to_string()).expect("written");
    }
    assert_eq!(bench.replay(&workload, "runs/3", &[]).0, 0);
    let trend = bench.delalloc().args(["gate", "trend", "runs"]).assert();
    trend.code(3).stdout(
        predicate::str::contains("left out: 3 runs in virtual time")
            .and(predicate::str::contains("runs=4 numbers=0")),
    );
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
