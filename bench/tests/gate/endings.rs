//! Every ending of a gate that is red leaves that in the files, over what an earlier one left there.
//!
//! A program of the tests stands for valgrind, so that a count fails, or a signal comes, when it is wanted.

use std::path::Path;

use predicates::prelude::*;

use super::revisions::repository;
use super::support::{Bench, small};

/// Puts a script into `bin`; what it does is in a file beside it, which may change while it is there.
fn program(bench: &Bench, name: &str, does: &str) {
    let bin = bench.path("bin");
    let (script, file) = (bin.join(name), bin.join(format!("{name}.does")));
    std::fs::create_dir_all(&bin).expect("made");
    std::fs::write(file, does).expect("written");
    if !script.exists() {
        std::fs::write(&script, "#!/bin/sh\n. \"$0.does\"\n").expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("its mode");
    }
}

/// Counts 100 instructions each time, and then does as `ends` says; `$calls` is how often it counted.
fn valgrind(bench: &Bench, ends: &str) {
    let count = r#"[ "$1" = --version ] && { echo valgrind-0; exit; }
for argument; do case $argument in --callgrind-out-file=*) out=${argument#*=} ;; esac; done
printf 'fl=(1) engine/src/file.rs\nfn=(1) f\n1 100\ntotals: 100\n' >"$out"
echo >>"$0.calls"
calls=$(wc -l <"$0.calls")
"#;
    program(bench, "valgrind", &format!("{count}{ends}\n"));
    let calls = bench.path("bin/valgrind.calls");
    if calls.exists() {
        std::fs::remove_file(calls).expect("removed");
    }
}

/// `delalloc gate` that finds those programs first.
fn gate(bench: &Bench, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", bench.path("bin").display());
    let mut command = bench.delalloc();
    command.env("PATH", path).arg("gate").args(arguments);
    command.assert()
}

fn junit(bench: &Bench) -> String {
    std::fs::read_to_string(bench.path("gate.xml")).expect("written")
}

fn is_error(bench: &Bench) {
    let junit = junit(bench);
    assert!(
        junit.contains("errors=\"1\"") && junit.contains("name=\"gate\"><error"),
        "{junit}"
    );
}

const BLESS: [&str; 7] = [
    "counted", "w.yaml", "--bless", "--reason", "first", "-o", "c.json",
];
const COUNT: [&str; 6] = [
    "counted",
    "w.yaml",
    "--baseline",
    "c.json",
    "--junit",
    "gate.xml",
];

fn deterministic(bench: &Bench) {
    bench.workload("w.yaml", &small("deterministic: true\n"));
}

#[test]
fn a_count_that_fails_or_is_stopped_takes_the_place_of_a_green_one() {
    let bench = Bench::new();
    deterministic(&bench);
    valgrind(&bench, "");
    gate(&bench, &BLESS).code(0);
    for (ends, code, last) in [
        ("exit 4", 4, "gate=failed exit=4 compared=0 "),
        ("exit 130", 130, "gate=interrupted exit=130 compared=0 "),
        (
            "kill -TERM $PPID",
            130,
            "gate=interrupted exit=130 compared=0 ",
        ),
    ] {
        valgrind(&bench, "");
        gate(&bench, &COUNT).code(0);
        assert!(junit(&bench).contains("errors=\"0\""), "{}", junit(&bench));
        valgrind(&bench, ends);
        gate(&bench, &COUNT)
            .code(code)
            .stdout(predicate::str::contains(last));
        is_error(&bench);
    }
    valgrind(&bench, "exit 4");
    let json = [&COUNT[..], &["--json"]].concat();
    let output = gate(&bench, &json).code(4).get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(report["exit"]["code"], "failed");
    assert_eq!(report["workload"], "small");
}

#[test]
fn what_cannot_be_compared_takes_the_place_of_a_green_one() {
    let bench = Bench::new();
    deterministic(&bench);
    assert_eq!(bench.replay(&bench.path("w.yaml"), "run", &[]).0, 0);
    let other = small("deterministic: true\n").replace("ops: 400", "ops: 401");
    let other = bench.workload("other.yaml", &other);
    assert_eq!(bench.replay(&other, "other", &[]).0, 0);
    bench.workload("threads.yaml", &small(""));
    bench.workload("torn.json", "{");
    gate(
        &bench,
        &["bless", "run", "--reason", "first", "-o", "b.json"],
    )
    .code(0);
    valgrind(&bench, "");
    gate(&bench, &BLESS).code(0);

    let files = ["--junit", "gate.xml", "--summary", "gate.md"];
    let against = |held: &'static str| [&["--baseline", held][..], &files].concat();
    for (arguments, of, said) in [
        (vec!["other"], "b.json", "of workload"),
        (vec!["torn.json"], "b.json", "torn.json"),
        (vec!["nowhere"], "b.json", "nowhere"),
        (vec!["run"], "nowhere.json", "nowhere.json"),
        (vec!["run"], "torn.json", "torn.json"),
        (vec!["run"], "c.json", "gate counted"),
        (vec!["counted", "other.yaml"], "c.json", "of workload"),
        (vec!["counted", "threads.yaml"], "c.json", "deterministic"),
        (vec!["counted", "nowhere.yaml"], "c.json", "nowhere.yaml"),
        (vec!["counted", "w.yaml"], "nowhere.json", "nowhere.json"),
        (vec!["counted", "w.yaml"], "b.json", "gate RUN"),
    ] {
        gate(&bench, &[&["run"][..], &against("b.json")].concat()).code(0);
        assert!(junit(&bench).contains("errors=\"0\""), "{}", junit(&bench));
        let arguments = [arguments, against(of)].concat();
        let ended = gate(&bench, &arguments).code(2);
        ended
            .stdout(predicate::str::contains("gate=usage exit=2 compared=0 "))
            .stderr(predicate::str::contains(said));
        is_error(&bench);
        assert!(
            junit(&bench).contains(said),
            "{arguments:?}: {}",
            junit(&bench)
        );
        let summary = std::fs::read_to_string(bench.path("gate.md")).expect("written");
        assert!(summary.starts_with("### delalloc gate: usage"), "{summary}");

        let json = [arguments, vec!["--json"]].concat();
        let output = gate(&bench, &json).code(2).get_output().stdout.clone();
        let report: serde_json::Value = serde_json::from_slice(&output).expect("JSON alone");
        assert_eq!(report["exit"]["code"], "usage", "{report}");
    }
}

#[test]
fn counts_that_are_blessed_are_said_as_json() {
    let bench = Bench::new();
    deterministic(&bench);
    valgrind(&bench, "");
    let json = [&BLESS[..], &["--json"]].concat();
    let output = gate(&bench, &json).code(0).get_output().stdout.clone();
    let said: serde_json::Value = serde_json::from_slice(&output).expect("JSON alone");
    assert_eq!(
        (&said["baseline"], &said["reason"]),
        (&"c.json".into(), &"first".into())
    );
    assert!(said["entries"].as_u64() > Some(0), "{said}");
    let refused = gate(&bench, &[&BLESS[..], &["--summary", "gate.md"]].concat()).code(2);
    refused.stderr(predicate::str::contains("cannot be used with"));
}

/// The signal reaches the gate alone: what it started counts to its end.
#[test]
fn a_signal_while_a_baseline_is_counted_leaves_none() {
    let bench = Bench::new();
    deterministic(&bench);
    for count in 1..=2 {
        valgrind(
            &bench,
            &format!("[ $calls -eq {count} ] && kill -TERM $PPID; true"),
        );
        gate(&bench, &BLESS)
            .code(130)
            .stderr(predicate::str::contains("interrupted"));
        assert!(!bench.path("c.json").exists(), "count {count}");
        let calls = std::fs::read_to_string(bench.path("bin/valgrind.calls")).expect("counted");
        assert_eq!(calls.lines().count(), count, "nothing is counted after it");
    }
}

fn ab(bench: &Bench, more: &[&str]) -> assert_cmd::assert::Assert {
    std::fs::write(bench.path("gate.xml"), "an earlier one").expect("written");
    let binary = assert_cmd::cargo::cargo_bin("delalloc");
    let arguments = ["ab", "w.yaml", "--class", "rounds", "--junit", "gate.xml"];
    let binary: &Path = &binary;
    let binary = ["--head-bin", binary.to_str().expect("text")];
    gate(bench, &[&arguments[..], more, &binary].concat())
}

#[test]
fn a_build_of_the_base_that_is_stopped_is_said_in_the_files() {
    let bench = Bench::new();
    bench.workload("w.yaml", &small(""));
    repository(&bench, "fn main() {}\n");
    program(&bench, "cargo", "kill -TERM $PPID; exit 1\n");
    ab(&bench, &["--base", "HEAD"])
        .code(130)
        .stdout(predicate::str::contains("gate=interrupted exit=130"))
        .stdout(predicate::str::contains("does not build").not());
    is_error(&bench);
}

#[test]
fn a_build_that_refuses_the_workload_is_said_in_the_files() {
    let bench = Bench::new();
    bench.workload("w.yaml", &small(""));
    program(&bench, "base", "echo no such phase >&2; exit 2\n");
    ab(&bench, &["--base-bin", "bin/base"])
        .code(2)
        .stderr(predicate::str::contains("no such phase"));
    is_error(&bench);
}
