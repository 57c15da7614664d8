//! How the binary ends: every exit code, and what stdout and stderr hold then.

mod support;

use std::fs::{File, OpenOptions};
use std::process::{Output, Stdio};

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

/// Runs it with `stdout`, and returns its code and what it says on stderr.
fn into(bench: &Bench, words: &[&str], stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("delalloc"))
        .current_dir(bench.path("."))
        .args(words)
        .stdout(stdout)
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), errors)
}

/// Of `| head` the code is that of the work, in silence; of a full disk it is "failed".
#[test]
fn a_stdout_that_nobody_reads_changes_nothing_and_one_that_is_full_is_a_failure() {
    let bench = Bench::new();
    bench.workload("good.yaml", NOTHING);
    let violated = format!("{NOTHING}assert: [ \"user.write_bytes >= 409601\" ]\n");
    bench.workload("violated.yaml", &violated);
    bench.workload("r.csv", "ts_us,op,dev,offset,len\n0,W,d,0,4096\n");
    bench.workload(
        "image.yaml",
        &small("").replace("mem: {", "file: { path: v.img, buffered: true,"),
    );
    let made = ran(&bench, &["replay", "image.yaml", "--out", "out"]);
    assert_eq!(made.status.code(), Some(0));
    let full = || OpenOptions::new().write(true).open("/dev/full");
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    for (words, code) in [
        (&["params"][..], 0),
        (&["params", "--json"], 0),
        (&["schema", "workload"], 0),
        (&["schema", "result"], 0),
        (&["doctor"], 0),
        (&["compare", "out", "out"], 0),
        (&["compare", "out", "out", "--json"], 0),
        (&["report", "out"], 0),
        (&["report", "out", "--format", "json"], 0),
        (&["library"], 0),
        (&["library", "codecs"], 0),
        (&["library", "--json"], 0),
        (&["import", "r.csv"], 0),
        (&["import", "r.csv", "--json"], 0),
        (&["check", "v.img"], 0),
        (&["check", "v.img", "--extents", "--json"], 0),
        (&["replay", "good.yaml", "--dry-run"], 0),
        (&["replay", "good.yaml", "--dry-run", "--json"], 0),
        (&["replay", "violated.yaml"], 1),
        (&["replay", "violated.yaml", "--json"], 1),
        (&["replay", "absent.yaml", "--json"], 2),
        (&["replay", "--json"], 2),
    ] {
        let (ended, errors) = into(&bench, words, closed());
        assert_eq!(ended, Some(code), "{words:?}: {errors}");
        assert_eq!(errors.is_empty(), code < 2, "{words:?}: {errors}");
        let (ended, errors) = into(&bench, words, full().expect("a device that is full"));
        let code = if code < 2 { 4 } else { code };
        assert_eq!(ended, Some(code), "{words:?}: {errors}");
        assert!(!errors.contains("panicked"), "{words:?}: {errors}");
    }
    let (ended, errors) = into(&bench, &["export", "v.img", "files"], closed());
    assert_eq!(ended, Some(0), "{errors}");
}

/// Both streams into one full disk: there is nowhere left to say why.
#[test]
fn a_full_stderr_changes_no_code() {
    let bench = Bench::new();
    let full: File = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("a device that is full");
    for (words, code) in [(&["params"][..], 4), (&["replay", "absent.yaml"], 2)] {
        let status = std::process::Command::new(assert_cmd::cargo::cargo_bin("delalloc"))
            .current_dir(bench.path("."))
            .args(words)
            .stdout(full.try_clone().expect("a second one"))
            .stderr(full.try_clone().expect("a third one"))
            .status()
            .expect("the binary runs");
        assert_eq!(status.code(), Some(code), "{words:?}");
    }
}

#[test]
fn runs_that_begin_at_once_do_not_share_a_directory() {
    let bench = Bench::new();
    bench.workload("good.yaml", NOTHING);
    let runs = [(); 4].map(|()| {
        std::process::Command::new(assert_cmd::cargo::cargo_bin("delalloc"))
            .current_dir(bench.path("."))
            .args(["replay", "good.yaml"])
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary runs")
    });
    for mut run in runs {
        assert_eq!(run.wait().expect("a child").code(), Some(0));
    }
    let left = std::fs::read_dir(bench.path("results/runs")).expect("where runs go");
    let mut count = 0;
    for out in left.map(|entry| entry.expect("a directory").path()) {
        let log = std::fs::read_to_string(out.join("events.ndjson")).expect("its log");
        assert_eq!(log.matches("\"run-started\"").count(), 1);
        assert!(out.join("result.json").exists());
        count += 1;
    }
    assert_eq!(count, 4);
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
