//! Parts of the language that only a replay can show: what counts, who waits for whom, and files that come and go under verification.

mod support;

use delalloc_results::RunRecord;
use delalloc_results::record::{OpRecord, PhaseRecord};
use support::Bench;

/// On a busy machine the generator may be late, which these tests are not about.
fn replay(bench: &Bench, text: &str) -> (i32, RunRecord) {
    replay_with(bench, text, &["--allow-inconclusive"])
}

fn replay_with(bench: &Bench, text: &str, more: &[&str]) -> (i32, RunRecord) {
    let workload = bench.workload("w.yaml", text);
    let (code, _) = bench.replay(&workload, "out", more);
    let record = delalloc_results::load(&bench.path("out").join("result.json"));
    (code, record.expect("a whole record"))
}

fn op<'r>(phase: &'r PhaseRecord, name: &str) -> &'r OpRecord {
    let found = phase.ops.iter().find(|op| op.op == name);
    found.unwrap_or_else(|| panic!("no {name} in {phase:?}"))
}

fn null(phases: &str) -> String {
    format!(
        "version: 1\ntargets: {{ n: {{ null: {{}} }} }}\nfiles: {{ t: {{ size: 1MiB, filled: true }} }}\nphases: [{phases}]\n"
    )
}

#[test]
fn a_warm_up_is_run_and_not_counted() {
    let bench = Bench::new();
    let text = null(
        "{ name: p, warmup: 600ms, duration: 400ms, jobs: [{ write: t, block: 4KiB, rate: 500/s }] }",
    );
    let (code, record) = replay(&bench, &text);
    assert_eq!(code, 0);
    let cell = &record.cells[0];
    let phase = cell.phases.last().unwrap();
    assert_eq!(phase.warm_up_ns, 600_000_000);
    assert!((150..=200).contains(&op(phase, "write").count), "{phase:?}");
    assert!(
        (390_000_000..600_000_000).contains(&phase.wall_ns),
        "{}",
        phase.wall_ns
    );
    assert!(
        phase
            .series
            .iter()
            .all(|sample| sample.t_ns <= phase.wall_ns)
    );
    // 1 MiB of filling, and 500 writes of which some 300 do not count: what the device gets is compared with all of them.
    let written = cell.counters["user.write_bytes"];
    assert!(written > f64::from((1 << 20) + 300 * 4096), "{written}");
}

#[test]
fn a_phase_that_must_be_steady_and_is_not_leaves_the_run_open() {
    let bench = Bench::new();
    // Two bursts a second apart are never within 1 % over 1 s.
    let phases = |require: bool| {
        null(&format!(
            "{{ name: p, steady: {{ metric: iops, within: 1%, window: 1s, limit: 1500ms, require: {require} }}, duration: 300ms, jobs: [{{ write: t, block: 4KiB, rate: {{ bursts: {{ rate: 2000/s, for: 100ms, every: 1s, between: 20/s }} }} }}] }}"
        ))
    };
    let (code, record) = replay_with(&bench, &phases(true), &[]);
    assert_eq!(code, 3);
    let steady = record.cells[0]
        .phases
        .last()
        .unwrap()
        .steady
        .clone()
        .unwrap();
    assert!(!steady.attained && steady.required && steady.metric == "iops");
    assert!(steady.waited_ns >= 1_500_000_000);
    let (code, record) = replay(&Bench::new(), &phases(false));
    assert_eq!(code, 0);
    let phase = record.cells[0].phases.last().unwrap();
    assert!(!phase.steady.as_ref().unwrap().attained);
    assert!(phase.warm_up_ns >= 1_500_000_000, "{}", phase.warm_up_ns);
    assert!(phase.wall_ns < 1_000_000_000, "{}", phase.wall_ns);
}

#[test]
fn an_even_rate_becomes_steady() {
    let bench = Bench::new();
    let text = null(
        "{ name: p, steady: { metric: iops, within: 30%, window: 1s, limit: 20s, require: true }, duration: 300ms, jobs: [{ write: t, block: 4KiB, rate: 1000/s }] }",
    );
    let (code, record) = replay(&bench, &text);
    assert_eq!(code, 0);
    let phase = record.cells[0].phases.last().unwrap();
    let steady = phase.steady.as_ref().unwrap();
    assert!(steady.attained && steady.waited_ns < 20_000_000_000);
    assert!(op(phase, "write").count > 100, "{phase:?}");
}

#[test]
fn jobs_wait_for_each_other_and_repetitions_count_as_one() {
    let bench = Bench::new();
    let text = null(
        "{ name: p, repeat: 2, jobs: [{ name: a, write: t, block: 4KiB, ops: 20, rate: 100/s }, { name: b, read: t, block: 4KiB, ops: 10, rate: 100/s, start_after: a, delay: 100ms }] }",
    );
    let (code, record) = replay(&bench, &text);
    assert_eq!(code, 0);
    let phases: Vec<&PhaseRecord> = record.cells[0].phases_named("p").collect();
    assert_eq!(phases.len(), 2);
    for phase in phases {
        // 190 ms of writes, a delay, 90 ms of reads.
        assert!(phase.wall_ns >= 380_000_000, "{}", phase.wall_ns);
        assert_eq!(
            (op(phase, "write").count, op(phase, "read").count),
            (20, 10)
        );
        let late_ns = op(phase, "read").response.ns_p50;
        assert!(
            late_ns < 100_000_000,
            "due times count from when the job may start: {late_ns}"
        );
    }
}

#[test]
fn files_that_come_and_go_are_verified_on_the_engine_and_in_a_directory() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("files")).unwrap();
    let text = format!(
        "version: 1
targets:
  engine: {{ engine: {{ backend: {{ mem: {{ size: 256MiB }} }} }} }}
  files: {{ directory: {{ path: {} }} }}
files:
  mail: {{ count: 40, size: {{ lognormal: {{ median: 12KiB, sigma: 1, max: 256KiB }} }} }}
phases:
  - name: deliver
    jobs: [{{ each: mail, do: [create, write, fdatasync, rename], block: 16KiB, clients: 2 }}]
  - name: serve
    jobs:
      - mix: {{ read: 40, write: 10, append: 15, create: 12, remove: 12, rename: 6, sync: 2, trim: 3 }}
        file: mail
        pattern: {{ pareto: 20% }}
        block: 4KiB
        ops: 1500
        clients: 3
      - {{ name: beside, read: mail, pattern: random, block: 4KiB, ops: 500, clients: 2 }}
",
        bench.path("files").display()
    );
    let (code, record) = replay(&bench, &text);
    assert_eq!(code, 0);
    for cell in &record.cells {
        assert_eq!(
            (cell.verification.mismatches, &cell.fault),
            (0, &None),
            "{}",
            cell.target
        );
        assert!(cell.verification.bytes_verified > 100_000);
        let deliver = cell.phases_named("deliver").next().unwrap();
        assert_eq!(op(deliver, "fdatasync").count, 40);
        assert_eq!(op(deliver, "rename").count, 40);
        let serve = cell.phases_named("serve").next().unwrap();
        assert!(op(serve, "remove").count > 100 && op(serve, "create").count > 100);
    }
}

#[test]
fn an_objective_is_checked_where_it_stands_and_goes_into_record_and_terminal() {
    let bench = Bench::new();
    let text = |objective: &str| {
        format!(
            "{}sweep: {{ files.t.size: [1MiB, 2MiB] }}\nobjective: {objective}\n",
            null("{ name: p, jobs: [{ write: t, block: 4KiB, ops: 50 }] }")
        )
    };
    for (objective, at, said) in [
        (
            "{ maximise: throughput(p.write) + 2ms }",
            "+ 2ms",
            "cannot be added",
        ),
        (
            "{ minimise: 'p99(n, p.write)' }",
            "p99",
            "leave the target out",
        ),
        (
            "{ maximise: throughpt(p.write) }",
            "throughpt",
            "= help: did you mean throughput?",
        ),
        (
            "{ minimise: p99(p.write), subject_to: iops(p.write) >= 2ms }",
            ">=",
            "cannot be compared",
        ),
        (
            "{ minimise: p99(p.write), subject_to: [ errors(p) == 0 ] }",
            "errors",
            "leaves room on one side",
        ),
    ] {
        let place = format!(
            "6:{}",
            "objective: ".len() + objective.find(at).unwrap() + 1
        );
        let workload = bench.workload("faulty.yaml", &text(objective));
        let output = bench
            .delalloc()
            .arg("replay")
            .arg(&workload)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{errors}");
        assert_eq!(output.status.code(), Some(2), "{objective}");
        assert!(
            errors.contains(&format!("faulty.yaml:{place}")),
            "{objective}: {errors}"
        );
        assert!(
            errors.contains(said) && errors.contains('^'),
            "{objective}: {errors}"
        );
    }
    let objective = "{ maximise: iops(p.write), subject_to: p99(p.write) <= 10s }";
    let workload = bench.workload("w.yaml", &text(objective));
    let (_, said) = bench.replay(&workload, "out", &["--allow-inconclusive"]);
    // One round tells nothing, whatever is wanted.
    let line = "n: cannot tell; by medians point #";
    assert!(
        said.lines().any(|found| found.starts_with(line)
            && found.ends_with("(highest iops(p.write) with p99(p.write) <= 10s)")),
        "{said}"
    );
    let record = delalloc_results::load(&bench.path("out").join("result.json")).unwrap();
    let kept = record.objective.expect("it is kept");
    assert_eq!(kept.maximise.as_deref(), Some("iops(p.write)"));
    assert_eq!(kept.subject_to, ["p99(p.write) <= 10s"]);
}

#[test]
fn a_recording_that_is_not_there_is_refused_before_anything_runs() {
    let bench = Bench::new();
    let text = "version: 1\ntargets: { n: null }\nphases:\n  - name: p\n    jobs: [{ trace: { path: absent.csv } }]\n";
    let workload = bench.workload("w.yaml", text);
    for more in [&[][..], &["--dry-run"]] {
        let mut replay = bench.delalloc();
        let output = replay.arg("replay").arg(&workload).args(more).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("w.yaml:5:29") && said.contains("`absent.csv`"),
            "{said}"
        );
    }
}

#[test]
fn the_hash_of_a_workload_is_of_what_its_recording_holds() {
    let hash = |name: &str, line: &str| {
        let bench = Bench::new();
        let header = "ts_us,op,dev,offset,len\n";
        bench.workload(name, &format!("{header}1,W,0,0,512\n{line}"));
        let text = format!(
            "version: 1\ntargets: {{ n: null }}\nphases:\n  - name: p\n    jobs: [{{ trace: {{ path: {name} }} }}]\n"
        );
        let (code, record) = replay(&bench, &text);
        assert_eq!(code, 0);
        record.workload.hash
    };
    let first = hash("a.csv", "2,W,0,512,512\n");
    assert_eq!(hash("b.csv", "2,W,0,512,512\n"), first);
    assert_ne!(hash("a.csv", "2,W,0,512,513\n"), first);
}

#[test]
fn a_line_of_a_recording_that_no_memory_holds_is_malformed() {
    let bench = Bench::new();
    bench.workload(
        "t.csv",
        "1,hm,0,Read,0,512,1\n1,hm,0,Read,0,4611686018427387904,1\n",
    );
    let text = "version: 1\ntargets: { n: null }\nphases:\n  - name: p\n    jobs: [{ trace: { path: t.csv, malformed_max: 0 } }]\n";
    let workload = bench.workload("w.yaml", text);
    let (code, said) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("line 2: it moves more than 1 GiB at once"),
        "{said}"
    );
}

#[test]
fn assertions_about_what_will_not_be_measured_are_refused_before_anything_runs() {
    let bench = Bench::new();
    let text = null("{ name: load, jobs: [{ write: t, block: 4KiB }] }")
        + "assert:\n  - p99(nope.read) <= 1ms\n  - p99(load.wirte) <= 1ms\n  - p50(m, load.write) <= 1ms\n  - wall(load) <= 1h\n";
    let workload = bench.workload("w.yaml", &text);
    let mut replay = bench.delalloc();
    let output = replay
        .arg("replay")
        .arg(&workload)
        .arg("--dry-run")
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "w.yaml:6:9",
        "no phase is called `nope`",
        "the phases are prepare, load",
        "w.yaml:7:9",
        "did you mean `write`?",
        "w.yaml:8:9",
        "no target is called `m`",
        "3 faults",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
