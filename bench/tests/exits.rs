//! How the binary ends: every exit code, and what stdout and stderr hold then.

mod support;

use std::process::Output;

use serde_json::Value;
use support::{Bench, small};

const NOTHING: &str = "version: 1
name: idle
targets: { nothing: { null: {} } }
files: { table: { size: 1MiB } }
phases:
  - name: serve
    jobs: [ { write: table, pattern: random, block: 4KiB, ops: 100 } ]
";

fn ran(bench: &Bench, words: &[&str]) -> Output {
    bench
        .delalloc()
        .args(words)
        .output()
        .expect("the binary runs")
}

/// Runs it, and returns its code and what of stdout is one JSON value and nothing else.
fn json(bench: &Bench, words: &[&str]) -> (i32, Value) {
    let output = ran(bench, words);
    let text = String::from_utf8(output.stdout).expect("stdout is text");
    let code = output.status.code().expect("it ends by itself");
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{words:?} ended with {code} and said {text:?}: {error}"));
    (code, value)
}

/// 130 is in cli.rs: it takes a signal.
#[test]
fn every_ending_of_a_replay_has_its_code_and_its_word() {
    let bench = Bench::new();
    bench.workload("good.yaml", NOTHING);
    let violated = format!("{NOTHING}assert: [ \"user.write_bytes >= 409601\" ]\n");
    bench.workload("violated.yaml", &violated);
    bench.workload("invalid.yaml", &NOTHING.replace("pattern:", "patern:"));
    let unknown = format!("{NOTHING}assert: [ \"no_such_number >= 1\" ]\n");
    bench.workload("unknown.yaml", &unknown);
    let full = small("").replace("2MiB", "128MiB");
    bench.workload("full.yaml", &full.replace("ratio: 2.5", "ratio: 1.0"));
    for (name, code, word) in [
        ("good", 0, "good"),
        ("violated", 1, "regression"),
        ("invalid", 2, "usage"),
        ("unknown", 3, "inconclusive"),
        ("full", 4, "failed"),
    ] {
        let file = format!("{name}.yaml");
        let words = ["replay", &file, "--out", name, "--json"];
        let (ended, said) = json(&bench, &words);
        assert_eq!(
            (ended, said["exit"]["code"].as_str()),
            (code, Some(word)),
            "{said}"
        );
        assert!(
            said["exit"]["reason"]
                .as_str()
                .is_some_and(|it| !it.is_empty())
        );
    }
}

/// Three cells fail, and the code is still the one for "failed".
#[test]
fn the_code_is_no_count_of_failures() {
    let bench = Bench::new();
    let full = small("rounds: 3\n").replace("2MiB", "128MiB");
    bench.workload("full.yaml", &full.replace("ratio: 2.5", "ratio: 1.0"));
    let (code, said) = json(&bench, &["replay", "full.yaml", "--out", "out", "--json"]);
    assert_eq!((code, said["cells"].as_u64()), (4, Some(3)));
}

#[test]
fn stdout_is_json_under_every_error() {
    let bench = Bench::new();
    bench.workload("torn.json", "{ \"schema_version\": 1, ");
    bench.workload("not.img", "no image of a volume");
    bench.workload("not.csv", "no,trace\nat,all\n");
    bench.workload("good.yaml", NOTHING);
    for (words, code) in [
        (&["replay", "absent.yaml", "--json"][..], 2),
        (&["replay", "good.yaml", "--json", "--set", "no.such=1"], 2),
        (
            &["replay", "good.yaml", "--json", "--out", "good.yaml/inside"],
            2,
        ),
        (&["replay", "--json", "--no-such-flag"], 2),
        (&["replay", "--json"], 2),
        (
            &[
                "replay",
                "good.yaml",
                "--dry-run",
                "--json",
                "--rounds",
                "x",
            ],
            2,
        ),
        (&["compare", "torn.json", "torn.json", "--json"], 2),
        (&["compare", "absent", "absent", "--json"], 2),
        (&["gate", "torn.json", "--baseline", "absent", "--json"], 2),
        (&["gate", "absent", "--json"], 2),
        (&["import", "absent.csv", "--json"], 2),
        (&["import", "not.csv", "--json"], 2),
        (&["check", "absent.img", "--json"], 2),
        (&["doctor", "absent", "--json"], 2),
    ] {
        let (ended, said) = json(&bench, words);
        assert_eq!(ended, code, "{words:?}: {said}");
        assert_eq!(said["exit"]["code"], "usage", "{words:?}: {said}");
    }
    let (code, _) = json(&bench, &["check", "not.img", "--json"]);
    assert!([2, 4].contains(&code), "an image of nothing: {code}");
}

#[test]
fn without_an_error_stdout_is_json_too_and_stderr_is_silent() {
    let bench = Bench::new();
    bench.workload("good.yaml", NOTHING);
    let replay = ["replay", "good.yaml", "--out", "out", "--json"];
    for words in [
        &replay[..],
        &["replay", "good.yaml", "--dry-run", "--json"],
        &["compare", "out", "out", "--json"],
        &["params", "--json"],
        &["library", "--json"],
    ] {
        let output = ran(&bench, words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {errors}");
        assert_eq!(
            errors, "",
            "{words:?}: no progress where stderr is no terminal"
        );
        let value: Result<Value, _> = serde_json::from_slice(&output.stdout);
        assert!(value.is_ok(), "{words:?}");
    }
}

#[test]
fn without_json_stdout_is_plain_lines() {
    let bench = Bench::new();
    let workload = bench.workload("good.yaml", NOTHING);
    let (code, text) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0);
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    assert!(text.lines().count() > 5);
}
