//! What has to be true of the clock and of the memory of a replay, each as a sentence that can be false.
//! docs/acceptance.md says which tests show the rest; that of a stall is in notice.rs.
//!
//! Bounds hold on a machine that is busy with something else: they come from what the run itself
//! recorded (how late its generator was, how long its operations took), never from how fast a machine is.

mod support;

use std::time::Duration;

use delalloc_results::record::{Cell, SpanRecord};
use delalloc_results::{RunRecord, load};
use support::{Bench, small};

fn record(bench: &Bench, out: &str) -> RunRecord {
    load(&bench.path(out).join("result.json")).expect("a whole record")
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a short time")
}

/// 50 us between operations, on a target that does nothing: the span is that of the recording, and how late
/// the generator was is told.
#[test]
fn a_recording_is_replayed_in_its_own_time() {
    const OPS: u64 = 6000;
    let bench = Bench::new();
    let mut trace = "ts_us,op,dev,offset,len\n".to_owned();
    for nth in 0..OPS {
        trace.push_str(&format!("{},W,d,{},4096\n", nth * 50, nth % 256 * 4096));
    }
    bench.workload("trace.csv", &trace);
    let text = "version: 1
name: gaps
targets: { nothing: { null: {} } }
phases:
  - name: replay
    jobs: [ { trace: { path: trace.csv } } ]
";
    let workload = bench.workload("gaps.yaml", text);
    let (code, said) = bench.replay(&workload, "out", &["--allow-inconclusive"]);
    assert_eq!(code, 0);
    let line = said
        .lines()
        .find(|line| line.starts_with("generator late in replay on nothing: p50 "));
    let line = line.expect("lateness is printed");
    assert!(line.contains(", p99 ") && line.contains(", max "), "{line}");
    let head = said.lines().next().unwrap_or_default();
    assert!(
        head.contains("p99") && head.ends_with("service p99"),
        "both latencies are printed"
    );

    let page = std::fs::read_to_string(bench.path("out").join("report.html")).unwrap();
    assert!(page.contains("How the schedule was kept"));

    let record = record(&bench, "out");
    let phase = &record.cells[0].phases[0];
    let schedule = phase.schedule.as_ref().expect("a recording has a schedule");
    let writes = phase.ops.iter().find(|op| op.op == "write");
    assert_eq!(writes.map(|op| op.count), Some(OPS));
    let ops: u64 = phase.ops.iter().map(|op| op.count).sum();
    assert_eq!((schedule.due, schedule.late.count), (ops, ops));
    let recorded_ns = (OPS - 1) * 50_000;
    let late_ns = schedule.late.ns_max + schedule.late.ns_max / 100;
    assert!(
        phase.wall_ns + recorded_ns / 10_000 >= recorded_ns,
        "never faster than recorded, but for the rate of the counter"
    );
    // The rest is starting and joining one thread.
    let starting_ns = ns(Duration::from_secs(1));
    assert!(
        phase.wall_ns <= recorded_ns + late_ns + starting_ns,
        "{} instead of {recorded_ns}, late by {late_ns}",
        phase.wall_ns
    );
}

#[test]
fn a_write_has_three_latencies_in_order_in_the_record_on_the_terminal_and_in_the_report() {
    let bench = Bench::new();
    let workload = bench.workload("small.yaml", &small(""));
    let (code, said) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0);
    let record = record(&bench, "out");
    let cell = &record.cells[0];
    let span = |name: &str| -> &SpanRecord {
        let found = cell.spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("{name} is missing: {:?}", cell.spans))
    };
    let (accepted, aged, home, synced) =
        (span("accepted"), span("aged"), span("home"), span("synced"));
    let writes: u64 = cell
        .phases
        .iter()
        .flat_map(|phase| &phase.ops)
        .filter(|op| op.op == "write")
        .map(|op| op.count)
        .sum();
    assert_eq!(accepted.count, writes);
    for span in [accepted, aged, home, synced] {
        assert!(span.count > 0 && span.ns_p50 <= span.ns_p99, "{span:?}");
        assert!(span.ns_p99 <= span.ns_max && span.ns_mean <= span.ns_max as f64 * 1.001);
        assert_eq!(
            cell.counters[&format!("write.{}_ns_mean", span.name)],
            span.ns_mean
        );
    }
    assert!(
        aged.ns_max <= home.ns_max,
        "what is at home was handed off before"
    );
    assert!(
        cell.stages
            .iter()
            .all(|stage| !["aged", "home", "synced"].contains(&&*stage.name)),
        "a total is no stage"
    );
    let line = said
        .lines()
        .find(|line| line.starts_with("writes on engine, "));
    let line = line.expect("a line on the terminal");
    for name in ["accepted ", "home ", "synced ", "held up "] {
        assert!(line.contains(name), "{line}");
    }
    let page = std::fs::read_to_string(bench.path("out").join("report.html")).unwrap();
    for words in ["Accepted, at home, synced", "(home)", "(synced)"] {
        assert!(page.contains(words), "{words} is not in the report");
    }
}

/// Writes of 2 MiB, of which 512 KiB may be dirty, on a device that takes 1 MiB in a second: each is held up for many
/// intervals of 200 ms, and is seen in each of them.
#[test]
fn a_writer_that_is_held_up_is_seen_in_every_interval_while_it_waits() {
    let bench = Bench::new();
    let text = "version: 1
name: stalled
targets:
  engine: { engine: { backend: { mem: { size: 64MiB } }, throttle: { write: 1MiB/s } } }
engine: { compression: { codec: none }, dirty: { background: 64KiB, limit: 512KiB } }
files: { table: { size: 4MiB } }
phases:
  - name: load
    jobs: [ { write: table, pattern: sequential, block: 2MiB } ]
";
    let workload = bench.workload("stalled.yaml", text);
    assert_eq!(bench.replay(&workload, "out", &[]).0, 0);
    let record = record(&bench, "out");
    let phase = &record.cells[0].phases[0];
    let stalls = phase.series.iter().map(|sample| {
        let stalls = sample.stalls.iter();
        let held = stalls.filter(|stall| stall.cause == "dirty limit");
        held.map(|stall| stall.ns).sum::<u64>()
    });
    let stalls: Vec<u64> = stalls.collect();
    let total_ns = record.cells[0].counters["dirty.stops.ns_sum"];
    assert!(total_ns > 1.5e9, "{total_ns} ns in all");
    assert_eq!(stalls.iter().sum::<u64>() as f64, total_ns);
    assert_eq!(phase.counters["dirty.stops.ns_sum"], total_ns);
    let longest = stalls.split(|ns| *ns == 0).map(<[u64]>::len).max();
    assert!(
        longest >= Some(3),
        "in three neighbours at least: {stalls:?}"
    );
    // All of one stall in one interval would be more than half of both.
    let most_ns = stalls.iter().copied().max().unwrap_or(0) as f64;
    assert!(most_ns < 0.4 * total_ns, "{stalls:?} of {total_ns}");
}

/// Ten times the operations take no more memory: what is kept of an operation is its place in a histogram.
#[test]
fn memory_does_not_grow_with_the_operations() {
    let bench = Bench::new();
    let resident_bytes_max = |ops: u64| {
        let text = format!(
            "version: 1
name: many
targets: {{ nothing: {{ null: {{}} }} }}
files: {{ table: {{ size: 64MiB }} }}
phases:
  - name: serve
    jobs: [ {{ write: table, pattern: random, block: 4KiB, ops: {ops}, clients: 2 }} ]
"
        );
        let workload = bench.workload(&format!("{ops}.yaml"), &text);
        let out = format!("out-{ops}");
        assert_eq!(bench.replay(&workload, &out, &[]).0, 0);
        let record = record(&bench, &out);
        let cell: &Cell = &record.cells[0];
        assert_eq!(cell.phases[0].ops[0].count, ops);
        cell.counters["memory.resident_bytes_max"]
    };
    let few = resident_bytes_max(100_000);
    let many = resident_bytes_max(1_000_000);
    // A log of 40 bytes for each of the 900,000 more would be 34 MiB.
    assert!(many < few + 8.0 * 1_048_576.0, "{few} and {many} bytes");
}

/// A recording reads what was written before it began: nothing is there, and that is no read.
#[test]
fn reads_of_what_a_recording_never_wrote_are_not_counted_as_read() {
    let bench = Bench::new();
    let trace = "ts_us,op,dev,offset,len\n0,W,8:0,0,65536\n10,R,8:0,0,65536\n20,R,8:0,32768,65536\n30,R,8:0,1073741824,1048576\n";
    std::fs::write(bench.path("cold.csv"), trace).expect("a temporary file");
    let text = "version: 1
name: cold
targets: { engine: { engine: { backend: { mem: { size: 64MiB } } } } }
phases:
  - name: replay
    jobs: [ { trace: { path: cold.csv, timing: as_fast_as_possible } } ]
";
    let workload = bench.workload("cold.yaml", text);
    let (code, said) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0, "{said}");
    let record = record(&bench, "out");
    let counters = &record.cells[0].counters;
    assert_eq!(counters["user.read_bytes"], 98_304.0);
    assert_eq!(counters["user.read_missing_bytes"], 32_768.0 + 1_048_576.0);
    let read = &record.cells[0].phases[0].ops;
    let read = read.iter().find(|op| op.op == "read").expect("it read");
    assert_eq!((read.count, read.bytes), (3, 98_304));
    let page = std::fs::read_to_string(bench.path("out").join("report.html")).unwrap();
    assert!(page.contains("reads-of-nothing"));
}

/// A target that cannot follow an open loop: what was due and never issued is said on the terminal, in the report, in
/// the record.
#[test]
fn what_an_overloaded_target_never_got_is_said() {
    let bench = Bench::new();
    let text = "version: 1
name: overload
deterministic: true
targets: { slow: { raw: { backend: { sim: { device: hdd, size: 256MiB } } } } }
files: { table: { size: 64MiB } }
phases:
  - name: run
    duration: 2s
    jobs: [ { write: table, pattern: random, block: 4KiB, rate: 2000/s, fsync_every: 1 } ]
";
    // Those that would have waited longest are missing: however much is allowed, the rest does not tell.
    let asserted =
        format!("{text}assert: [ \"p99(run.write) <= 1h\", \"count(run.write) >= 1\" ]\n");
    let workload = bench.workload("asserted.yaml", &asserted);
    let (code, said) = bench.replay(&workload, "asserted", &[]);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("was never issued, so its p99 is not known"),
        "{said}"
    );
    let workload = bench.workload("overload.yaml", text);
    let (code, said) = bench.replay(&workload, "out", &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("overload in run on slow: "), "{said}");
    let record = record(&bench, "out");
    let phase = &record.cells[0].phases[0];
    let schedule = phase.schedule.as_ref().expect("an open loop");
    let share = schedule.unissued_share(phase.wall_ns);
    let issued = phase.ops.iter().find(|op| op.op == "write");
    let issued_share = issued.expect("it wrote").count as f64 / 4000.0;
    assert!(
        (share + issued_share - 1.0).abs() < 0.02,
        "{share} {issued_share}"
    );
    let page = std::fs::read_to_string(bench.path("out").join("report.html")).unwrap();
    assert!(page.contains("did not follow the schedule of run on slow"));
}
