//! Two builds in turns: what turns them red, and what leaves the question open.

use predicates::prelude::*;

use super::support::{Bench, small};

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
            &[
                "--class", "sliced", "--pairs", "8", "--slices", "20", "--detect", "50",
            ],
            &outputs[..],
        ]
        .concat(),
    );
    assert!([0, 3].contains(&code), "{code}");
    let last = text.lines().last().expect("a last line");
    let compared = u8::from(!last.contains(" abstained=1 "));
    assert!(
        last.starts_with("gate=") && last.contains(&format!(" compared={compared} ")),
        "{last}"
    );
    let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
    // What cannot be told is red there as well, and no regression.
    let said = match code {
        0 => "tests=\"1\" failures=\"0\" errors=\"0\"",
        _ => "tests=\"2\" failures=\"0\" errors=\"1\"",
    };
    assert!(junit.contains(said), "{junit}");
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
        "--detect",
        "50",
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
    // More where the machine was loud.
    for arm in ["effects", "null_effects"] {
        let sets = row[arm].as_array().map_or(0, Vec::len);
        assert!(
            (8..=64).contains(&sets) && sets.is_multiple_of(4),
            "{sets} {arm}"
        );
    }
    assert_eq!(report["exit"]["code"], "regression");
}

#[test]
fn too_few_pairs_and_a_base_that_serves_no_slices_are_inconclusive_and_not_good() {
    let bench = Bench::new();
    let (code, text) = ab(
        &bench,
        &["--class", "sliced", "--pairs", "1", "--slices", "3"],
    );
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("too_few"), "{text}");
}

/// A build that cannot slice this workload is doubt; one that crashes, or reads wrong bytes, has failed.
#[test]
fn a_build_that_ends_before_its_time_is_no_doubt() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    for (ends, code, said) in [
        ("exit 0", 3, "not_measured"),
        ("exit 2", 3, "not_measured"),
        ("exit 4", 4, "ended before its time"),
        ("exit 101", 4, "ended before its time"),
        ("kill -SEGV $$", 4, "ended before its time"),
    ] {
        let build = bench.path("build");
        std::fs::write(&build, format!("#!/bin/sh\n{ends}\n")).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&build, mode).expect("its mode");
        let output = bench
            .delalloc()
            .args(["gate", "ab", "--class", "sliced", "--allow-inconclusive"])
            .arg("--base-bin")
            .arg(assert_cmd::cargo::cargo_bin("delalloc"))
            .arg("--head-bin")
            .arg(&build)
            .arg(&workload)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = if code == 3 { 0 } else { code };
        assert_eq!(output.status.code(), Some(code), "{ends}: {text}");
        assert!(text.contains(said), "{ends}: {text}");
    }
}

#[test]
fn the_sliced_phase_is_named_and_can_be_chosen() {
    let bench = Bench::new();
    let few = ["--class", "sliced", "--pairs", "1", "--slices", "2"];
    let (_, text) = ab(&bench, &few);
    assert!(
        text.contains("of phase serve, the last that reads or writes"),
        "{text}"
    );
    let (_, text) = ab(
        &bench,
        &[&few[..], &["--phase", "load", "--phase", "serve"]].concat(),
    );
    assert!(
        text.contains("slices(load)") && text.contains("slices(serve)"),
        "{text}"
    );
    let workload = bench.workload("small.yaml", &small(""));
    let mut unknown = bench.delalloc();
    unknown
        .args(["gate", "ab", "--base-bin", "/bin/true", "--phase", "laod"])
        .arg(workload);
    unknown.assert().code(2).stderr(
        predicate::str::contains("no phase laod").and(predicate::str::contains("load, serve")),
    );
}

#[test]
fn each_target_is_sliced_and_has_a_floor_of_its_own() {
    let bench = Bench::new();
    let text = small("").replace(
        "targets:",
        "targets:\n  raw: { raw: { backend: { mem: { size: 64MiB } } } }\n  shared: { engine: { backend: { file: { path: shared.img, size: 64MiB } } } }\n",
    );
    let workload = bench.workload("targets.yaml", &text);
    let binary = assert_cmd::cargo::cargo_bin("delalloc");
    // Too few sets to tell anything, and enough to see what is a number of its own.
    let mut gate = bench.delalloc();
    gate.args(["gate", "ab", "--class", "sliced", "--pairs", "1"])
        .args(["--slices", "2", "--json"])
        .args(["--floor", "slices(engine)=900", "--floor", "sliced=800"])
        .args(["--floor", "slices(rwa)=1"])
        .arg("--base-bin")
        .arg(&binary)
        .arg(&workload);
    let output = gate.output().expect("the binary runs");
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let row = |name: &str| {
        let mut rows = report["rows"].as_array().expect("rows").iter();
        let row = rows.find(|row| row["metric"] == name);
        row.unwrap_or_else(|| panic!("no {name}: {report}"))
    };
    for name in ["slices(engine)", "slices(raw)"] {
        assert_eq!(row(name)["reason"], "too_few", "{report}");
        assert_eq!(row(name)["effects"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(row("slices(shared)")["reason"], "informational");
    assert_eq!(row("slices(engine)")["floor"].as_f64(), Some(9.0));
    assert_eq!(row("slices(raw)")["floor"].as_f64(), Some(8.0));
    let notes = report["notes"].to_string();
    assert!(notes.contains("--floor slices(rwa): neither"), "{notes}");
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

/// What lies beyond a percentile of a short round is too little to judge, and it is shown; so is what the machine did.
#[test]
fn rounds_show_their_tails_and_what_the_machine_did() {
    let bench = Bench::new();
    let (code, text) = ab(&bench, &["--class", "tail", "--blocks", "1", "--json"]);
    assert_eq!(code, 3, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    for tail in ["p99", "p99.9", "max"] {
        let name = format!("engine:serve.write {tail}");
        let row = rows.iter().find(|row| row["metric"] == *name);
        let row = row.unwrap_or_else(|| panic!("{name} in {text}"));
        assert_eq!(row["reason"], "informational", "{row}");
        assert_eq!(row["effects"].as_array().map(Vec::len), Some(1), "{row}");
    }
    let noise = &report["noise"][0];
    assert_eq!(noise["measured"], "rounds");
    assert!(
        noise["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    assert!(noise["context_switches_per_second"].as_f64() > Some(0.0));
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
    let beyond = ["--detect", "25", "--floor", "slices=30"];
    refuses(
        &[&["ab", workload, "--base-bin", "/bin/true"], &beyond[..]].concat(),
        "--detect 25: changes up to the floor, 30 %",
    );
    refuses(&["calibrate", workload, "--detect", "3"], "--detect 3: ");
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

/// A build that somebody stopped says nothing of itself, and takes nothing away from what was measured.
#[test]
fn a_build_that_was_stopped_has_not_failed() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let build = bench.path("build");
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    for ends in ["kill -INT $$", "kill -TERM $$", "exit 130"] {
        std::fs::write(&build, format!("#!/bin/sh\n{ends}\n")).expect("a script");
        std::fs::set_permissions(&build, mode.clone()).expect("its mode");
        for class in ["sliced", "rounds"] {
            let output = bench
                .delalloc()
                .args(["gate", "ab", "--class", class, "--junit", "gate.xml"])
                .arg("--base-bin")
                .arg(assert_cmd::cargo::cargo_bin("delalloc"))
                .arg("--head-bin")
                .arg(&build)
                .arg(&workload)
                .output()
                .expect("the binary runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(130), "{ends}, {class}: {text}");
            let last = text.lines().last().unwrap_or_default();
            assert!(last.starts_with("gate=interrupted exit=130"), "{text}");
            let junit = std::fs::read_to_string(bench.path("gate.xml")).expect("written");
            assert!(junit.contains("name=\"gate\"><error"), "{junit}");
        }
    }
}
