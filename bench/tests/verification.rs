//! What verification remembers: how much a dry run says it will be, how much it was, and what happens where it may not be.

mod support;

use delalloc_results::RunRecord;
use support::Bench;

/// A raw device in memory with a file of 16 MiB, and `phases`.
fn workload(more: &str, phases: &str) -> String {
    format!(
        "version: 1
name: remembered
targets: {{ device: {{ raw: {{ backend: {{ mem: {{ size: 64MiB }} }} }} }} }}
content: zeros
files: {{ table: {{ size: 16MiB }}, log: {{}}, small: {{ size: 8KiB, count: 50 }} }}
{more}phases:
{phases}"
    )
}

/// What a dry run says of it in bytes, and as text.
fn foretold(bench: &Bench, name: &str) -> (u64, String) {
    let said = |more: &[&str]| {
        let mut command = bench.delalloc();
        let output = command.args(["replay", name, "--dry-run"]).args(more);
        let output = output.output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: serde_json::Value = serde_json::from_str(&said(&["--json"])).unwrap();
    let bytes = &shown["estimate"]["memory"]["verification_bytes"];
    (bytes.as_u64().unwrap(), said(&[]))
}

fn record(bench: &Bench, out: &str) -> RunRecord {
    delalloc_results::load(&bench.path(out).join("result.json")).unwrap()
}

#[test]
fn a_dry_run_foretells_what_verification_remembers() {
    let bench = Bench::new();
    let random = "  - { name: p, jobs: [{ write: table, pattern: random, block: 4KiB, ops: 3000, clients: 2 }] }\n";
    let trace = "ts_us,op,dev,offset,len\n0,W,d,0,4096\n1,W,d,1048576,8192\n2,R,d,0,4096\n3,W,d,1050624,512\n";
    bench.workload("r.csv", trace);
    for (name, phases, closer_than) in [
        (
            "sequential",
            "  - { name: p, jobs: [{ write: table, block: 4KiB }] }\n",
            1.5,
        ),
        (
            "large",
            "  - { name: p, jobs: [{ write: table, block: 256KiB }] }\n",
            60.0,
        ),
        ("apart", random, 3.0),
        (
            "both",
            &format!("  - {{ name: f, jobs: [{{ write: table, block: 64KiB }}] }}\n{random}"),
            3.0,
        ),
        (
            "growing",
            "  - { name: p, jobs: [{ append: log, block: 4KiB, ops: 2000, clients: 2 }] }\n",
            1.5,
        ),
        (
            "each",
            "  - { name: p, jobs: [{ each: small, do: [create, write, remove], block: 4KiB }] }\n",
            60.0,
        ),
        (
            "recorded",
            "  - { name: p, jobs: [{ trace: { path: r.csv } }] }\n",
            100.0,
        ),
    ] {
        let file = format!("{name}.yaml");
        let text = workload("", phases);
        // A raw device has no place for files of unknown sizes.
        let text = match name {
            "recorded" => text.replace("raw: {", "engine: {"),
            _ => text,
        };
        let path = bench.workload(&file, &text);
        let (foretold, text) = foretold(&bench, &file);
        assert!(text.contains("verification "), "{text}");
        assert_eq!(bench.replay(&path, name, &["--allow-inconclusive"]).0, 0);
        let held = record(&bench, name).cells[0]
            .verification
            .tracking_bytes_max;
        println!("{name}: {held} of {foretold}");
        assert!(
            held > 0 && foretold >= held,
            "{name}: {held} of {foretold} foretold"
        );
        assert!(
            (foretold as f64) < held as f64 * closer_than,
            "{name}: {held} of {foretold} foretold"
        );
    }
    let none = workload("verify: false\n", random);
    bench.workload("none.yaml", &none);
    assert_eq!(foretold(&bench, "none.yaml").0, 0);
}

#[test]
fn where_only_the_target_knows_the_estimate_says_at_least() {
    let bench = Bench::new();
    let phases = "  - { name: p, duration: 1s, jobs: [{ append: log, block: 4KiB }] }\n";
    bench.workload("open.yaml", &workload("", phases));
    let (_, text) = foretold(&bench, "open.yaml");
    assert!(text.contains("verification at least "), "{text}");
}

#[test]
fn a_run_that_has_to_remember_more_than_it_may_ends_and_says_what_to_do() {
    let bench = Bench::new();
    let phases = "  - { name: load, jobs: [{ write: table, block: 1KiB }] }\n  - { name: serve, jobs: [{ read: table, pattern: random, block: 4KiB, ops: 10 }] }\n";
    let bound = |bound: &str| workload(&format!("verify_memory_max: {bound}\n"), phases);
    let path = bench.workload("little.yaml", &bound("1MiB"));
    let (code, said) = bench.replay(&path, "little", &["--allow-inconclusive"]);
    assert_eq!(code, 4);
    for part in [
        "more than the 1MiB that it may take",
        "verify_memory_max:",
        "verify: false",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let cell = &record(&bench, "little").cells[0];
    assert_eq!(cell.phases.len(), 1, "what comes after is not begun");
    assert!(cell.verification.tracking_bytes_max > 1 << 20);

    let path = bench.workload("enough.yaml", &bound("16MiB"));
    assert_eq!(
        bench.replay(&path, "enough", &["--allow-inconclusive"]).0,
        0
    );
    let (code, _) = bench.replay(
        &path,
        "set",
        &["--set", "verify_memory_max=1MiB", "--allow-inconclusive"],
    );
    assert_eq!(code, 4, "it can be set");
}

#[test]
fn a_bound_of_nothing_is_refused_in_place() {
    let bench = Bench::new();
    let text = workload(
        "verify_memory_max: 4KiB\n",
        "  - { name: p, jobs: [{ write: table, block: 4KiB }] }\n",
    );
    bench.workload("none.yaml", &text);
    let mut command = bench.delalloc();
    let output = command.args(["replay", "none.yaml", "--dry-run"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("verify_memory_max is from 1MiB"), "{said}");
    assert!(said.contains("none.yaml:6:"), "{said}");
}
