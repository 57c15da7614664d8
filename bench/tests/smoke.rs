//! A whole small replay: what it leaves, that all of it was verified, and that the seed decides.

mod support;

use delalloc_results::record::{PhaseRole, RunStatus};
use delalloc_results::{RunRecord, load, result_schema};
use support::{Bench, small};

fn record(bench: &Bench, out: &str) -> RunRecord {
    load(&bench.path(out).join("result.json")).expect("a whole record")
}

#[test]
fn a_replay_leaves_a_verified_record_and_its_files() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("rounds: 2\n"));
    let (code, text) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0);
    for name in [
        "result.json",
        "events.ndjson",
        "report.html",
        "cells.csv",
        "intervals.csv",
        "times.csv",
        "counters.csv",
        "latency.hlog",
    ] {
        assert!(bench.path("out").join(name).exists(), "{name} is missing");
        assert!(text.contains(name), "{name} is not named on stdout");
    }
    assert!(text.lines().last().unwrap().contains("exit=0"));

    let record = record(&bench, "out");
    assert_eq!(record.status, RunStatus::Complete);
    assert_eq!(record.cells.len(), 2);
    for cell in &record.cells {
        assert_eq!(cell.fault, None);
        assert_eq!(cell.verification.mismatches, 0);
        let written = 2 << 20;
        assert!(
            cell.verification.bytes_verified >= written,
            "everything is read back"
        );
        let roles: Vec<PhaseRole> = cell.phases.iter().map(|phase| phase.role).collect();
        assert_eq!(roles, [PhaseRole::Steady, PhaseRole::Steady]);
        let serve = &cell.phases[1];
        let count = |op: &str| {
            serve
                .ops
                .iter()
                .find(|row| row.op == op)
                .map_or(0, |row| row.count)
        };
        assert_eq!(count("read") + count("write"), 400 + 40);
        assert_eq!(count("sync"), 5);
        assert!(
            cell.counters["stored_ratio"] > 1.2,
            "{}",
            cell.counters["stored_ratio"]
        );
        assert!(cell.counters["device.write_bytes"] > 0.0);
        assert!(
            cell.stages
                .iter()
                .any(|stage| stage.name == "compress" && stage.items > 0)
        );
        assert!(cell.pools.iter().any(|pool| pool.items > 0));
    }
    assert!(
        record
            .harness
            .expect("the harness measured itself")
            .ns_per_op
            > 0.0
    );
    assert!(
        record.targets[0]
            .knobs
            .iter()
            .any(|knob| knob.name == "thread_pool_size")
    );
}

#[test]
fn a_record_follows_its_published_schema() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    assert_eq!(bench.replay(&workload, "out", &[]).0, 0);
    let schema: serde_json::Value = serde_json::from_str(&result_schema()).unwrap();
    let text = std::fs::read_to_string(bench.path("out").join("result.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let faults: Vec<String> = validator
        .iter_errors(&record)
        .map(|e| e.to_string())
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn targets_and_sweep_points_each_get_their_cells() {
    let bench = Bench::new();
    let text = small("sweep: { thread_pool_size: [1, 2], content.ratio: [2, 3] }\nrounds: 2\n")
        .replace(
            "content:",
            "  directory: { directory: { path: . } }\n  nothing: { null: {} }\ncontent:",
        );
    let workload = bench.workload("sweep.yaml", &text);
    let (code, said) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0);
    let record = record(&bench, "out");
    // The engine at each of four points; what has no knobs once for each content.
    assert_eq!(record.cells.len(), (4 + 2 + 2) * 2);
    assert_eq!(record.grid_points().len(), 4);
    for (target, knobs, count) in [("engine", 2, 8), ("directory", 1, 4)] {
        let cells = record.cells.iter().filter(|cell| cell.target == target);
        assert_eq!(cells.clone().count(), count, "{target}");
        for cell in cells {
            assert_eq!(cell.point.len(), knobs, "{target}");
            assert!(
                cell.verification.bytes_verified > 2 << 20,
                "{target}: {:?}",
                cell.verification
            );
        }
    }
    assert!(said.contains("\ndirectory  -  "), "{said}");
    let output = bench
        .delalloc()
        .args(["report", "out", "./out", "--format", "csv"])
        .output()
        .expect("the binary");
    let table = String::from_utf8(output.stdout).expect("text");
    assert_eq!(table.matches("run,target,round,").count(), 1, "one head");
    let rows = |begin: &str| table.lines().filter(|row| row.starts_with(begin)).count();
    assert!(rows("out,engine,") > 8, "{table}");
    assert_eq!(rows("out,"), rows("./out,"));
    let kept: Vec<_> = std::fs::read_dir(bench.path("."))
        .unwrap()
        .flatten()
        .collect();
    assert!(
        kept.iter()
            .all(|entry| entry.file_name() != "delalloc-files"),
        "cleaned up"
    );
}

#[test]
fn a_raw_device_is_replayed_on_and_read_back_like_any_other() {
    let bench = Bench::new();
    let text = small("").replace(
        "content:",
        "  raw: { raw: { backend: { file: { path: raw.img, size: 32MiB, buffered: true } } } }
  slow: { raw: { backend: { mem: { size: 64MiB } }, throttle: { latency: 10us } } }
content:",
    );
    let workload = bench.workload("raw.yaml", &text);
    assert_eq!(bench.replay(&workload, "out", &[]).0, 0);
    let record = record(&bench, "out");
    assert_eq!(record.targets[1].kind, "raw");
    for name in ["raw", "slow"] {
        let cell = record.cells.iter().find(|cell| cell.target == name);
        let cell = cell.expect("a cell for each target");
        assert_eq!(cell.fault, None);
        assert_eq!(cell.verification.mismatches, 0);
        assert!(
            cell.verification.bytes_verified >= 2 << 20,
            "{:?}",
            cell.verification
        );
        assert_eq!(
            cell.counters["device.write_bytes"], cell.counters["user.write_bytes"],
            "{name}: nothing but the clients' bytes reaches the device"
        );
        assert!(cell.counters["device.flushes"] >= 5.0);
    }
}

#[test]
fn the_same_seed_does_the_same_work() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let work = |out: &str, seed: &str| {
        assert_eq!(bench.replay(&workload, out, &["--seed", seed]).0, 0);
        let record = record(&bench, out);
        let cell = &record.cells[0];
        (
            record.workload.hash.clone(),
            cell.counters["user.write_bytes"],
            cell.counters["user.read_bytes"],
        )
    };
    let first = work("a", "11");
    assert_eq!(first, work("b", "11"));
    assert_ne!(first.0, work("c", "12").0);
}

#[test]
fn an_open_loop_keeps_its_rate_and_both_latencies() {
    let bench = Bench::new();
    let text = "version: 1
name: rated
targets: { nothing: { null: {} } }
files: { table: { size: 1MiB, filled: true } }
phases:
  - name: serve
    duration: 400ms
    jobs: [ { read: table, pattern: random, block: 4KiB, rate: 500/s } ]
";
    let workload = bench.workload("rated.yaml", text);
    // The machine that runs the tests may be too busy for a generator in time.
    let lenient = ["--allow-inconclusive"];
    assert_eq!(bench.replay(&workload, "out", &lenient).0, 0);
    let record = record(&bench, "out");
    let read = &record.cells[0].phases.last().unwrap().ops[0];
    assert!(
        (150..=200).contains(&read.count),
        "{} operations in 400 ms at 500/s",
        read.count
    );
    assert!(read.response.ns_max >= read.service.ns_max);
    assert!(
        record.cells[0]
            .counters
            .contains_key("generator.late_ns_p99")
    );
}

#[test]
fn the_example_of_the_readme_runs_a_kernel_filesystem_once_a_round() {
    let bench = Bench::new();
    let readme = include_str!("../../README.md");
    let begin = readme
        .find("version: 1\nname: example")
        .expect("the example");
    let example = readme[begin..].split("```").next().expect("an end");
    let workload = bench.workload("example.yaml", example);
    let output = bench
        .delalloc()
        .args(["replay", "--dry-run"])
        .arg(&workload)
        .output()
        .expect("the binary");
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("12 runs (points x targets x rounds; a target without knobs"),
        "three times three and three: {said}"
    );
}
