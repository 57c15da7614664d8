//! The command line as scripts see it: exit codes, stdout, and what is left behind.

mod support;

use std::time::Duration;

use predicates::prelude::*;
use support::{Bench, small};

#[test]
fn help_lists_every_exit_code() {
    let text = Bench::new()
        .delalloc()
        .arg("--help")
        .output()
        .unwrap()
        .stdout;
    let text = String::from_utf8(text).unwrap();
    for code in ["  0  ", "  1  ", "  2  ", "  3  ", "  4  ", "130  "] {
        assert!(text.contains(code), "{code:?} is missing from\n{text}");
    }
}

#[test]
fn a_workload_that_makes_no_sense_is_a_usage_error_with_its_place() {
    let bench = Bench::new();
    let bad = bench.workload(
        "bad.yaml",
        &small("").replace("pattern: random", "patern: random"),
    );
    bench
        .delalloc()
        .arg("replay")
        .arg(&bad)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("patern").and(predicate::str::contains("pattern")));
    bench
        .delalloc()
        .args(["replay", "no-such-workload"])
        .assert()
        .code(2);
    bench
        .delalloc()
        .args(["replay", "--no-such-flag"])
        .assert()
        .code(2);
}

#[test]
fn what_is_included_is_part_of_the_workload_and_of_its_faults() {
    let bench = Bench::new();
    bench.workload("base.yaml", &small(""));
    let over = bench.workload("over.yaml", "include: base.yaml\nrounds: 2\n");
    let dry_run = |workload: &std::path::Path| {
        let mut command = bench.delalloc();
        command.arg("replay").arg(workload).arg("--dry-run");
        command.assert()
    };
    dry_run(&over)
        .code(0)
        .stdout(predicate::str::contains("2 rounds").and(predicate::str::contains("includes ")));
    bench.workload("base.yaml", &small("sead: 4\n"));
    dry_run(&over).code(2).stderr(
        predicate::str::contains("base.yaml:")
            .and(predicate::str::contains("did you mean `seed`?")),
    );
}

#[test]
fn a_dry_run_tells_memory_of_device_engine_and_clients_as_text_and_as_json() {
    let bench = Bench::new();
    let text = small("engine: { cache: { bytes: 512MiB } }\n").replace("64MiB }", "64GiB }");
    bench.workload("large.yaml", &text);
    let dry_run = |more: &[&str]| {
        let mut command = bench.delalloc();
        command
            .args(["replay", "large.yaml", "--dry-run"])
            .args(more);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: serde_json::Value = serde_json::from_str(&dry_run(&["--json"])).unwrap();
    assert_eq!(shown["name"], "small", "the plan is there as before");
    let memory = &shown["estimate"]["memory"];
    let number = |name: &str| memory[name].as_u64().unwrap();
    assert_eq!(number("device_bytes"), 64 << 30);
    assert_eq!(
        number("client_bytes"),
        64 << 10,
        "the load has a larger block"
    );
    assert!(((512 << 20)..(1 << 30)).contains(&number("engine_bytes")));
    assert!(number("total_bytes") > (64 << 30) + (512 << 20));
    assert_eq!(shown["estimate"]["runs"], 1);
    let text = dry_run(&[]);
    assert!(text.contains("memory: up to 64."), "{text}");
    assert!(text.contains("device in memory 64.0GiB"), "{text}");
}

#[test]
fn a_key_written_twice_is_a_usage_error() {
    let bench = Bench::new();
    let twice = bench.workload("twice.yaml", &small("rounds: 1\nrounds: 2\n"));
    bench
        .delalloc()
        .arg("replay")
        .arg(&twice)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("`rounds` is written twice"));
}

#[test]
fn an_unknown_knob_and_knobs_that_contradict_are_usage_errors() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let set = |knob: &str| bench.replay(&workload, "out", &["--set", knob]).0;
    assert_eq!(set("engine.thread_pool_sise=3"), 2);
    assert_eq!(set("engine.thread_pool_size=none"), 2);
    assert!(
        !bench.path("out").exists(),
        "nothing is made before the plan is right"
    );
}

#[test]
fn a_directory_that_is_not_there_is_found_before_the_run() {
    let bench = Bench::new();
    let text = small("").replace(
        "  engine: { engine: { backend: { mem: { size: 64MiB } } } }",
        "  gone: { directory: { path: nowhere } }",
    );
    let workload = bench.workload("gone.yaml", &text);
    bench
        .delalloc()
        .arg("replay")
        .arg(&workload)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("nowhere"));
}

#[test]
fn files_that_do_not_fit_a_raw_device_are_found_before_the_run() {
    let bench = Bench::new();
    let text = small("").replace("engine: { engine:", "raw: { raw:");
    let fits = bench.workload("fits.yaml", &text);
    bench
        .delalloc()
        .args(["replay", "fits.yaml", "--dry-run"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("raw: nothing but memory, 64MiB"));
    for command in [&["--out", "out"][..], &["--dry-run"]] {
        bench
            .delalloc()
            .arg("replay")
            .arg(&fits)
            .args(["--set", "files.table.size=65MiB"])
            .args(command)
            .assert()
            .code(2)
            .stderr(predicate::str::contains("target raw: the files take 65MiB"));
    }
    assert!(!bench.path("out").exists(), "nothing was begun");
}

#[test]
fn json_is_json_even_when_it_fails() {
    let bench = Bench::new();
    let output = bench
        .delalloc()
        .args(["replay", "nothing-of-the-kind", "--json"])
        .output()
        .unwrap();
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(outcome["exit"]["code"], "usage");

    let workload = bench.workload("small.yaml", &small(""));
    let (code, text) = bench.replay(&workload, "out", &["--json"]);
    let outcome: serde_json::Value = serde_json::from_str(&text).expect("JSON and nothing else");
    assert_eq!(
        (code, &outcome["exit"]["code"]),
        (0, &serde_json::json!("good"))
    );
}

#[test]
fn a_violated_assertion_ends_with_1_and_its_numbers() {
    let bench = Bench::new();
    let workload = bench.workload(
        "small.yaml",
        &small("assert: [ \"stored_ratio >= 100\" ]\n"),
    );
    let (code, text) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 1);
    assert!(text.contains("VIOLATED") && text.contains("stored_ratio >= 100"));
    let kept = bench.workload("kept.yaml", &small("assert: [ \"stored_ratio >= 1\" ]\n"));
    assert_eq!(bench.replay(&kept, "kept", &[]).0, 0);
}

#[test]
fn an_assertion_about_nothing_measured_is_inconclusive() {
    let bench = Bench::new();
    let workload = bench.workload(
        "small.yaml",
        &small("assert: [ \"no_such_number >= 1\" ]\n"),
    );
    assert_eq!(bench.replay(&workload, "out", &[]).0, 3);
    assert_eq!(
        bench
            .replay(&workload, "lenient", &["--allow-inconclusive"])
            .0,
        0
    );
}

#[test]
fn a_device_without_room_is_a_failure_and_leaves_a_record() {
    let bench = Bench::new();
    let text = small("").replace("2MiB", "128MiB");
    let workload = bench.workload("full.yaml", &text.replace("ratio: 2.5", "ratio: 1.0"));
    let (code, text) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 4);
    assert!(text.contains("no space"), "{text}");
    assert!(bench.path("out").join("result.json").exists());
}

#[test]
fn an_interrupted_run_ends_with_130_and_keeps_what_it_has() {
    let bench = Bench::new();
    let text = "version: 1
name: long
targets: { nothing: { null: {} } }
files: { table: { size: 1MiB, filled: true } }
phases:
  - name: serve
    duration: 60s
    jobs: [ { read: table, pattern: random, block: 4KiB, rate: 1000/s } ]
";
    let workload = bench.workload("long.yaml", text);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("delalloc"))
        .current_dir(bench.path("."))
        .arg("replay")
        .arg(&workload)
        .args(["--out", "out"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let events = bench.path("out").join("events.ndjson");
    let measured = |line: &str| line.contains("interval") && line.contains("serve");
    let running = || std::fs::read_to_string(&events).is_ok_and(|all| all.lines().any(measured));
    for _ in 0..600 {
        if running() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let record = delalloc_results::load(&bench.path("out").join("result.json")).unwrap();
    assert_eq!(record.status.word(), "interrupted");
    assert!(record.cells[0].phases.last().unwrap().ops[0].count > 0);

    // A killed run has only its events; a report can be made of them, and no other run writes over them.
    std::fs::remove_file(bench.path("out").join("result.json")).unwrap();
    let left = std::fs::read(&events).unwrap();
    bench
        .delalloc()
        .args(["replay", "long.yaml", "--out", "out"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("delalloc report out"));
    assert_eq!(std::fs::read(&events).unwrap(), left);
    bench
        .delalloc()
        .args(["report", "out", "-o", "salvaged.html"])
        .assert()
        .code(0);
    assert!(bench.path("salvaged.html").exists());
}

#[test]
fn a_gate_is_green_on_itself_and_red_on_a_planted_regression() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("rounds: 2\n"));
    assert_eq!(bench.replay(&workload, "base", &[]).0, 0);
    let bless = [
        "gate",
        "base",
        "--bless",
        "--reason",
        "first",
        "-o",
        "baseline.json",
    ];
    bench.delalloc().args(bless).assert().code(0);
    bench
        .delalloc()
        .args(["gate", "base", "--baseline", "baseline.json"])
        .assert()
        .code(0);
    let planted = ["--set", "engine.compression.codec=none"];
    assert_eq!(bench.replay(&workload, "planted", &planted).0, 0);
    let output = bench
        .delalloc()
        .args(["gate", "planted", "--baseline", "baseline.json"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("stored_ratio"), "{text}");
    bench.delalloc().args(["gate", "base"]).assert().code(2);
}

#[test]
fn compare_params_schema_library_and_doctor_answer() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    assert_eq!(bench.replay(&workload, "a", &[]).0, 0);
    let says = |args: &[&str], what: &str| {
        bench
            .delalloc()
            .args(args)
            .assert()
            .code(0)
            .stdout(predicate::str::contains(what));
    };
    says(&["compare", "a", "a"], "1.000");
    says(&["params", "delalloc"], "delalloc.idle_thresh");
    says(&["params", "--json"], "\"name\"");
    says(&["schema", "workload"], "$schema");
    says(&["schema", "result"], "schema_version");
    says(&["library"], "starter");
    let one = bench
        .delalloc()
        .args(["library", "starter", "--json"])
        .output();
    let one: serde_json::Value = serde_json::from_slice(&one.unwrap().stdout).expect("JSON alone");
    let text = one["text"].as_str().expect("the workload");
    assert_eq!(one["name"], "starter");
    assert!(
        text.contains(one["about"].as_str().expect("a line")),
        "{one}"
    );
    says(&["doctor"], "doubts=");
    says(&["replay", "small.yaml", "--dry-run"], "small");
    assert!(!bench.path("results").exists(), "a dry run leaves nothing");
}

#[test]
fn results_become_pages_and_text_again() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small("rounds: 2\n"));
    for out in ["a", "b"] {
        assert_eq!(bench.replay(&workload, out, &[]).0, 0);
        std::fs::remove_file(bench.path(out).join("report.html")).unwrap();
    }
    let ends = |args: &[&str], code: i32| {
        let output = bench.delalloc().args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}{said}");
        (text, said)
    };
    ends(&["report", "a", "b"], 0);
    for out in ["a", "b"] {
        assert!(bench.path(out).join("report.html").exists());
    }
    ends(&["report", "a", "b", "-o", "one.html"], 2);
    ends(&["report", "a", "nowhere"], 2);
    let (_, said) = ends(&["report", "a", "--objective", "fastest"], 2);
    assert!(said.contains("p99 within 10%"), "{said}");
    let (text, _) = ends(&["report", "a", "--format", "markdown"], 0);
    assert!(text.starts_with("## small: good"), "{text}");
    let (text, _) = ends(&["report", "a", "--format", "go-bench"], 0);
    assert_eq!(text.matches("\nBenchmarkReplay/target=").count() % 2, 0);

    let (text, said) = ends(&["compare", "a", "b", "--html", "both.html"], 0);
    assert!(said.contains("comparison=both.html"), "{said}");
    assert!(
        !text.contains('\u{1b}'),
        "no colour where nobody looks: {text}"
    );
    assert!(text.contains("cannot_tell="), "{text}");
    let page = std::fs::read_to_string(bench.path("both.html")).unwrap();
    assert!(page.contains("Two runs side by side"));
    for (format, start) in [
        ("csv", "target,point,number,unit,"),
        ("markdown", "| target | point |"),
        ("json", "{\"cautions\":[]"),
        ("go-bench", "Unit B/s better=higher\n"),
    ] {
        let (text, _) = ends(&["compare", "a", "b", "--format", format], 0);
        assert!(text.starts_with(start), "{format}: {text}");
    }
}

#[test]
fn no_page_is_written_over_that_of_another_result() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    assert_eq!(bench.replay(&workload, "run", &[]).0, 0);
    for name in ["A.json", "B.json"] {
        std::fs::copy(bench.path("run/result.json"), bench.path(name)).unwrap();
    }
    std::fs::remove_file(bench.path("run/report.html")).unwrap();
    let report = |results: &[&str]| {
        let mut command = bench.delalloc();
        command.arg("report").args(results).assert()
    };
    report(&["A.json", "B.json", "run"])
        .code(0)
        .stdout("report=A.html\nreport=B.html\nreport=run/report.html\n");
    assert!(!bench.path("report.html").exists());
    for page in ["A.html", "B.html", "run/report.html"] {
        std::fs::remove_file(bench.path(page)).expect("a page of its own");
    }
    for twice in [
        ["A.json", "./A.json"],
        ["run", "run/events.ndjson"],
        ["A.json", "run/../A.json"],
    ] {
        let refused = report(&twice).code(2);
        refused.stderr(predicate::str::contains("would both become"));
    }
    assert!(!bench.path("A.html").exists() && !bench.path("run/report.html").exists());
}

#[test]
fn every_workload_that_comes_along_can_be_planned() {
    let bench = Bench::new();
    // The recording that one of them replays.
    bench.workload("rocksdb.csv.zst", "ts_us,op,dev,offset,len\n0,W,0,0,512\n");
    for (name, _) in delalloc_workloads::library() {
        bench
            .delalloc()
            .args(["replay", name, "--dry-run"])
            .assert()
            .code(0);
    }
    let knobs = ["--set", "engine.dirty.background=1GiB"];
    bench
        .delalloc()
        .args(["replay", "sequential-ingest", "--dry-run"])
        .args(knobs)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("dirty.limit"));
}

#[test]
fn a_trace_is_summarised_and_converted() {
    let bench = Bench::new();
    let trace = "ts_us,op,dev,offset,len\n0,W,d,0,4096\n10,W,d,4096,4096\n25,R,d,0,4096\n";
    bench.workload("trace.csv", trace);
    bench
        .delalloc()
        .args(["import", "trace.csv", "-o", "own.csv"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("lines=4"));
    let own = std::fs::read_to_string(bench.path("own.csv")).unwrap();
    assert!(own.starts_with("ts_ns,op,thread,dev,offset,len,took_ns,has_opens\n"));
    assert!(own.contains("25000,read,0,trace.0,0,4096,0,1\n"), "{own}");
    bench
        .delalloc()
        .args(["import", "own.csv"])
        .assert()
        .code(0);
    bench
        .delalloc()
        .args(["import", "trace.csv", "--to", "own.trace"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("operations=3"));
    bench
        .delalloc()
        .args(["import", "own.trace", "--json"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("\"source\":\"trace.csv\""));
    bench
        .delalloc()
        .args(["import", "absent.csv"])
        .assert()
        .code(2);
}

#[test]
fn a_conversion_that_loses_something_is_asked_for_twice() {
    let bench = Bench::new();
    let trace = "1 1.5 pwrite64(3</a>, \"\"..., 8, 0) = 8\n1 1.6 sendfile(4, 3</a>, NULL, 8) = 8\nrubbish\n";
    bench.workload("trace.strace", trace);
    let import = ["import", "trace.strace", "--to", "own.trace"];
    bench
        .delalloc()
        .args(import)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("1 x copy inside the kernel"))
        .stderr(predicate::str::contains("1 x malformed"))
        .stderr(predicate::str::contains("line 3: it has no call: rubbish"));
    assert!(!bench.path("own.trace").exists());
    bench
        .delalloc()
        .args(import)
        .arg("--lossy")
        .assert()
        .code(0)
        .stdout(predicate::str::contains("(first: line 2)"));
    bench
        .delalloc()
        .args(["import", "own.trace", "--json"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("\"copy inside the kernel\":1"));
}

#[test]
fn a_replay_is_recorded_and_the_recording_replayed() {
    let bench = Bench::new();
    let text = "version: 1\ntargets: { a: null, b: null }\nfiles: { t: { size: 1MiB } }\nphases:\n  - name: p\n    jobs:\n      - { write: t, block: 4KiB, clients: 2, fsync_every: 64 }\n    end: commit\n";
    bench.workload("run.yaml", text);
    let record = [
        "replay",
        "run.yaml",
        "--record",
        "run.trace",
        "--rounds",
        "1",
    ];
    bench
        .delalloc()
        .args(record)
        .assert()
        .code(2)
        .stderr(predicate::str::contains("--record writes down one replay"));
    bench
        .delalloc()
        .args(record)
        .args(["--target", "a", "--out", "first"])
        .assert()
        .code(0);
    let imported = bench
        .delalloc()
        .args(["import", "run.trace", "--json"])
        .output()
        .unwrap();
    let imported: serde_json::Value = serde_json::from_slice(&imported.stdout).unwrap();
    let kinds = &imported["summary"]["by_kind"];
    assert_eq!(kinds["write"]["requests"], 256, "{imported}");
    assert_eq!(kinds["write"]["bytes"], 1 << 20);
    assert_eq!(kinds["flush"]["requests"], 1);
    assert_eq!(imported["summary"]["header"]["source"], "run");

    let again = "version: 1\ntargets: { a: null }\nphases:\n  - name: p\n    jobs:\n      - { trace: { path: run.trace, timing: as_fast_as_possible, clients_by: thread }, clients: 2 }\n";
    bench.workload("again.yaml", again);
    bench
        .delalloc()
        .args([
            "replay",
            "again.yaml",
            "--record",
            "again.trace",
            "--rounds",
            "1",
            "--out",
            "second",
        ])
        .assert()
        .code(0);
    let imported = bench
        .delalloc()
        .args(["import", "again.trace", "--json"])
        .output()
        .unwrap();
    let again: serde_json::Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(&again["summary"]["by_kind"], kinds);
}
