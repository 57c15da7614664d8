//! A gate that measures itself.

use predicates::prelude::*;

use super::support::{Bench, small};

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
