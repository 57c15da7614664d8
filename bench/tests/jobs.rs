//! Several jobs of one phase: rows of their own that add up to the phase's, in virtual time and in real time, and what is
//! asked of one of them.

mod support;

use delalloc_results::record::{OpRecord, PhaseRecord};
use delalloc_results::{LatencyHist, load};
use support::Bench;

/// Small writes that jump beside large ones in a row, on a modelled disk, and one job alone before them.
const TWO_WRITERS: &str = "version: 1
name: two-writers
seed: 7
deterministic: true
targets: { raw: { raw: { backend: { sim: { size: 64MiB, device: hdd } } } } }
files: { table: { size: 8MiB }, log: { size: 8MiB } }
phases:
  - { name: load, jobs: [ { name: loader, write: table, block: 1MiB } ] }
  - name: serve
    warmup: 300ms
    duration: 3s
    jobs:
      - { name: due, write: table, pattern: random, block: 4KiB, rate: 5/s, clients: 2 }
      - { name: bulk, write: log, block: 1MiB }
      - { name: write, read: table, pattern: random, block: 4KiB, think: 300ms }
";

fn phase<'a>(phases: &'a [PhaseRecord], name: &str) -> &'a PhaseRecord {
    let found = phases.iter().find(|phase| phase.name == name);
    found.expect("it ran")
}

fn row<'a>(ops: &'a [OpRecord], op: &str) -> &'a OpRecord {
    ops.iter().find(|row| row.op == op).expect("it was done")
}

/// The rows of all jobs, added, are those of the phase: counts, bytes, and every bucket of both latencies.
fn assert_adds_up(phase: &PhaseRecord) {
    for whole in &phase.ops {
        let all = phase.jobs.iter().flat_map(|job| &job.ops);
        let parts: Vec<&OpRecord> = all.filter(|row| row.op == whole.op).collect();
        let sum = |amount: fn(&OpRecord) -> u64| parts.iter().map(|part| amount(part)).sum::<u64>();
        assert!(whole.count > 0);
        assert_eq!(sum(|part| part.count), whole.count);
        assert_eq!(sum(|part| part.bytes), whole.bytes);
        assert_eq!(sum(|part| part.errors), whole.errors);
        let (mut response, mut service) = (LatencyHist::new(), LatencyHist::new());
        for part in &parts {
            response.merge(&part.response.hist().unwrap());
            service.merge(&part.service.hist().unwrap());
        }
        assert_eq!(response.encode(), whole.response.hist().unwrap().encode());
        assert_eq!(service.encode(), whole.service.hist().unwrap().encode());
    }
}

#[test]
fn two_writers_have_rows_of_their_own_that_add_up() {
    let bench = Bench::new();
    let workload = bench.workload("two.yaml", TWO_WRITERS);
    let (code, text) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0);
    let record = load(&bench.path("out").join("result.json")).unwrap();
    let phases = &record.cells[0].phases;

    let loading = phase(phases, "load");
    assert!(loading.jobs.is_empty(), "its rows are the job's");
    assert_eq!(loading.only_job, "loader");

    let serve = phase(phases, "serve");
    assert_eq!(serve.only_job, "");
    let jobs: Vec<(&str, u32)> = serve
        .jobs
        .iter()
        .map(|job| (job.name.as_str(), job.clients))
        .collect();
    assert_eq!(jobs, [("due", 2), ("bulk", 1), ("write", 1)]);
    assert_adds_up(serve);
    let [due, bulk, reader] = &serve.jobs[..] else {
        unreachable!("three were named")
    };
    assert_eq!((due.ops.len(), bulk.ops.len(), reader.ops.len()), (1, 1, 1));
    let (small, large) = (row(&due.ops, "write"), row(&bulk.ops, "write"));
    assert_eq!(small.bytes, small.count * 4096);
    assert_eq!(large.bytes, large.count << 20);
    assert_eq!(
        row(&reader.ops, "read").count,
        row(&serve.ops, "read").count
    );
    // Only one of them is told when to begin, and it is due about five times in each of three seconds.
    assert!(due.schedule.is_some() && bulk.schedule.is_none() && reader.schedule.is_none());
    assert!((13..=17).contains(&small.count), "{}", small.count);
    assert_ne!(small.service.ns_p50, large.service.ns_p50);

    let table = std::fs::read_to_string(bench.path("out").join("cells.csv")).unwrap();
    let rows = |job: &str, op: &str| {
        let wanted = format!(",{job},{op},");
        table.lines().filter(|row| row.contains(&wanted)).count()
    };
    // The phases' own, of load and of serve; and those of jobs, of serve alone.
    assert_eq!(rows("", "write"), 2, "{table}");
    assert_eq!((rows("due", "write"), rows("bulk", "write")), (1, 1));
    assert_eq!((rows("loader", "write"), rows("write", "read")), (0, 1));
    let head = text.lines().next().unwrap();
    assert!(head.starts_with("target  phase  job"), "{head}");
    let shown = text.lines().filter(|line| line.starts_with("raw "));
    let shown: Vec<Vec<&str>> = shown
        .map(|line| line.split_whitespace().collect())
        .collect();
    let shown: Vec<&[&str]> = shown.iter().map(|words| &words[1..4]).collect();
    let wanted: [&[&str]; 6] = [
        &["load", "-", "write"],
        &["serve", "-", "read"],
        &["serve", "-", "write"],
        &["serve", "due", "write"],
        &["serve", "bulk", "write"],
        &["serve", "write", "read"],
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn what_is_asserted_of_one_job_is_judged_by_its_own_numbers() {
    let bench = Bench::new();
    let workload = bench.workload("two.yaml", TWO_WRITERS);
    assert_eq!(bench.replay(&workload, "first", &[]).0, 0);
    let record = load(&bench.path("first").join("result.json")).unwrap();
    let serve = phase(&record.cells[0].phases, "serve");
    let p50 = |job: usize| row(&serve.jobs[job].ops, "write").response.ns_p50;
    let (due, bulk) = (p50(0), p50(1));
    assert_ne!(due, bulk);
    let between_ns = due.midpoint(bulk);
    let (quick, slow) = if due < bulk {
        ("due", "bulk")
    } else {
        ("bulk", "due")
    };
    let asserting = |job: &str| {
        let text = format!("{TWO_WRITERS}assert: [ p50(serve.{job}.write) <= {between_ns}ns ]\n");
        let workload = bench.workload(&format!("{job}.yaml"), &text);
        bench.replay(&workload, job, &[]).0
    };
    assert_eq!((asserting(quick), asserting(slow)), (0, 1));
    let own = "assert: [ count(load.loader.write) == 8, count(load.loader) == count(load.write), count(serve.write.read) == count(serve.read) ]\n";
    let workload = bench.workload("own.yaml", &format!("{TWO_WRITERS}{own}"));
    assert_eq!(bench.replay(&workload, "own", &[]).0, 0);
}

#[test]
fn a_job_that_is_not_there_is_refused_before_anything_runs() {
    let bench = Bench::new();
    for (path, said) in [
        ("serve.bluk.write", "did you mean `bulk`?"),
        ("serve.bulk.read", "does no `read`"),
        ("load.due.write", "the jobs there are loader"),
    ] {
        let text = format!("{TWO_WRITERS}assert: [ p99({path}) <= 1s ]\n");
        let workload = bench.workload("wrong.yaml", &text);
        let mut command = bench.delalloc();
        let output = command.arg("replay").arg(&workload).arg("--dry-run");
        let output = output.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{path}: {errors}");
        assert!(errors.contains(said), "{path}: {errors}");
    }
}

#[test]
fn clients_on_threads_are_counted_to_their_jobs() {
    let text = "version: 1
targets: { n: null }
files: { t: { size: 1MiB } }
phases:
  - name: p
    repeat: 2
    jobs:
      - { name: four, write: t, block: 4KiB, ops: 400, clients: 4 }
      - { name: one, write: t, block: 8KiB, ops: 30, fsync_every: 3 }
assert: [ count(p.four.write) == 800, count(p.one.write) == 60, count(p.one.sync) == 20, count(p.write) == 860 ]
";
    let bench = Bench::new();
    let workload = bench.workload("threads.yaml", text);
    assert_eq!(bench.replay(&workload, "out", &[]).0, 0);
    let record = load(&bench.path("out").join("result.json")).unwrap();
    let phases = &record.cells[0].phases;
    assert_eq!(phases.len(), 2);
    for phase in phases {
        assert_adds_up(phase);
        assert_eq!((phase.jobs[0].clients, phase.jobs[1].clients), (4, 1));
    }
}

#[test]
fn a_recording_is_one_job_beside_others() {
    let bench = Bench::new();
    bench.workload(
        "r.csv",
        "ts_us,op,dev,offset,len\n0,W,d,0,4096\n50000,W,d,8192,8192\n100000,R,d,0,4096\n",
    );
    let text = "version: 1
deterministic: true
targets: { e: { engine: { backend: { sim: { size: 64MiB, device: hdd } } } } }
files: { t: { size: 1MiB } }
phases:
  - name: p
    jobs:
      - { name: recorded, trace: { path: r.csv }, clients: 2 }
      - { write: t, block: 64KiB, ops: 9 }
assert: [ count(p.recorded.write) == 2, count(p.recorded.read) == 1, count(p.write-t) == 9 ]
";
    let workload = bench.workload("w.yaml", text);
    assert_eq!(bench.replay(&workload, "out", &[]).0, 0);
    let record = load(&bench.path("out").join("result.json")).unwrap();
    let p = phase(&record.cells[0].phases, "p");
    assert_adds_up(p);
    assert_eq!(p.jobs[0].clients, 2);
    // Its file is opened, too.
    let due = p.jobs[0].schedule.as_ref().map(|schedule| schedule.due);
    assert_eq!((due, &p.jobs[1].schedule), (Some(4), &None));
}
