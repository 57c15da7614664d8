//! The grammar, its faults with their columns, and evaluation against records small enough to
//! compute by hand.

use super::*;
use crate::hist::LatencyHist;
use crate::metric::{Better, Metric, Unit};
use crate::record::{
    Cell, JobRecord, KnobValue, OpRecord, PhaseRecord, RunRecord, RunStatus, ScheduleRecord,
    Setting, SpanRecord, Target, Tool, Workload,
};
use proptest::prelude::*;

fn fault(text: &str) -> AssertionFault {
    Assertion::parse(text).expect_err(text)
}

/// A cell whose `load` phase wrote `mib` MiB in one second, each write taking `ns`.
fn cell(target: &str, round: u32, mib: u64, ns: u64) -> Cell {
    let mut hist = LatencyHist::new();
    hist.record_n(ns, mib);
    let mut cell = Cell {
        target: target.to_owned(),
        round,
        phases: vec![PhaseRecord {
            name: "load".to_owned(),
            wall_ns: 1_000_000_000,
            ops: vec![OpRecord::new("write", mib << 20, 0, &hist, &hist)],
            ..PhaseRecord::default()
        }],
        ..Cell::default()
    };
    cell.count("stored_ratio", 2.5);
    cell.count("cpu_ns", 3e9);
    cell
}

fn record(cells: Vec<Cell>) -> RunRecord {
    let mut record = RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
    record.status = RunStatus::Complete;
    for name in ["engine", "on-btrfs"] {
        record.targets.push(Target {
            name: name.to_owned(),
            ..Target::default()
        });
    }
    let metric = Metric::timed("cpu_ns", Unit::Nanoseconds, Better::Lower);
    record.metrics.insert(metric.name.clone(), metric);
    record.cells = cells;
    record
}

fn standing(text: &str, record: &RunRecord) -> Standing {
    let outcome = Assertion::parse(text).expect(text).evaluate(record);
    assert!(!outcome.reason.is_empty(), "{text} says nothing");
    outcome.standing
}

#[test]
fn a_counter_and_a_time_of_a_phase_are_asked_for_by_its_name() {
    let mut cells = vec![cell("engine", 0, 10, 1000)];
    let phase = &mut cells[0].phases[0];
    phase.counters = [("cpu_ns".to_owned(), 2e9)].into();
    phase.spans = vec![SpanRecord {
        name: "home".to_owned(),
        count: 1,
        ns_p99: 40_000_000,
        ..SpanRecord::default()
    }];
    let record = record(cells);
    for (text, wanted) in [
        ("engine:load.cpu_ns <= 2s", Standing::Held),
        ("load.cpu_ns < cpu_ns", Standing::Held),
        ("load.write.home_ns_p99 <= 40ms", Standing::Held),
        ("load.write.home_ns_p99 <= 39ms", Standing::Violated),
        ("load.write.synced_ns_p99 <= 1s", Standing::Unknown),
    ] {
        assert_eq!(standing(text, &record), wanted, "{text}");
    }
}

#[test]
fn every_form_of_the_page_parses() {
    for text in [
        "p99(serve.read) <= 20ms",
        "throughput(load.write) >= 100MiB/s",
        "iops(serve.read) > 5000",
        "iops(serve.read) > 5000/s",
        "stored_ratio >= 2.2",
        "p99(engine, serve.read) < 20ms",
        "p99(engine, serve.point-reads.read) < 20ms",
        "engine:write_amplification <= 1.3",
        "throughput(engine, load.write) >= 1.6 * throughput(on-btrfs, load.write)",
        "p999(a.b) - p50(a.b) <= 5 * (p90(a.b) + 1ms) / 2",
        "errors(load.write) == 0",
        "count(load.write) == 4000",
        "\"a target\":stored_ratio >= 220%",
        "wall(load) <= 1min",
        "device_bytes <= 1_000_000",
        "throughput(load) / throughput(serve) >= 1e-3",
    ] {
        if let Err(fault) = Assertion::parse(text) {
            panic!("{text}: {fault}");
        }
    }
}

#[test]
fn names_are_reported_for_the_workload_to_check() {
    let text = "throughput(engine, load.write) >= 1.6 * throughput(on-btrfs, load.write)";
    let assertion = Assertion::parse(text).expect(text);
    assert_eq!(assertion.targets(), ["engine", "on-btrfs"]);
    assert_eq!(assertion.paths(), ["load.write"]);
}

#[test]
fn faults_name_their_column_and_a_remedy() {
    let cases = [
        ("p99(serve.read) <= 20", 17, "a time", "20ms"),
        ("throughput(x.y) >= 100", 17, "throughput", "100MiB/s"),
        (
            "throughputt(x.y) >= 1GiB/s",
            1,
            "throughputt",
            "did you mean throughput?",
        ),
        ("p99(x.y) <= 20mS", 15, "no unit", "did you mean ms?"),
        ("p99(x.y) = 20ms", 10, "comparison", "=="),
        ("p99 <= 20ms", 1, "which phase", "p99(PHASE.OP)"),
        ("1 <= 2", 1, "measured", "stored_ratio"),
        ("p99(x.y) + 1MiB <= 20ms", 10, "cannot be added", "64MiB"),
        ("p99(x.y) <= 20ms ; 1", 18, "';'", "quotes"),
    ];
    for (text, column, message, suggestion) in cases {
        let fault = fault(text);
        assert_eq!(fault.column, column, "{text}: {fault}");
        assert!(fault.message.contains(message), "{text}: {fault}");
        let found = fault.suggestion.clone().unwrap_or_default();
        assert!(found.contains(suggestion), "{text}: {fault}");
    }
    for (text, column) in [
        ("", 1),
        ("p99(", 5),
        ("p99(x.y", 8),
        ("p99(x.y) <=", 12),
        ("a <= 1 <= 2", 8),
        ("\"a", 1),
    ] {
        assert_eq!(fault(text).column, column, "{text}: {}", fault(text));
    }
}

#[test]
fn the_median_over_rounds_decides() {
    // 90, 110 and 300 MiB/s: the median is 110.
    let record = record(vec![
        cell("engine", 0, 90, 1_000_000),
        cell("engine", 1, 300, 1_000_000),
        cell("engine", 2, 110, 1_000_000),
    ]);
    assert_eq!(
        standing("throughput(load.write) >= 110MiB/s", &record),
        Standing::Held
    );
    assert_eq!(
        standing("throughput(load.write) > 111MiB/s", &record),
        Standing::Violated
    );
    assert_eq!(
        standing("p99(load.write) <= 1.01ms", &record),
        Standing::Held
    );
    assert_eq!(standing("stored_ratio == 2.5", &record), Standing::Held);
    assert_eq!(standing("errors(load.write) == 0", &record), Standing::Held);
}

#[test]
fn ratios_between_targets_are_taken_within_each_round() {
    // Ratios 2, 2 and 0.1: their median is 2, though the medians' ratio is 100 / 50.
    let record = record(vec![
        cell("engine", 0, 200, 1),
        cell("on-btrfs", 0, 100, 1),
        cell("engine", 1, 100, 1),
        cell("on-btrfs", 1, 50, 1),
        cell("engine", 2, 4, 1),
        cell("on-btrfs", 2, 40, 1),
    ]);
    let text = "throughput(load.write) >= 1.9 * throughput(on-btrfs, load.write)";
    let outcome = Assertion::parse(text).expect(text).evaluate(&record);
    assert_eq!(outcome.standing, Standing::Held);
    let ratio = outcome.points[0].ratio.expect("both positive");
    assert!((ratio - 2.0 / 1.9).abs() < 1e-9, "{ratio}");
    assert_eq!(outcome.points[0].left, 100.0 * 1_048_576.0);
    assert!((outcome.points[0].right - 1.9 * 50.0 * 1_048_576.0).abs() < 1.0);
}

#[test]
fn it_must_hold_at_every_point_and_names_the_worst() {
    let at = |mut cell: Cell, value: i64| {
        let value = KnobValue::Integer(value);
        cell.point = vec![Setting {
            knob: "thread_pool_size".to_owned(),
            value,
        }];
        cell
    };
    let record = record(vec![
        at(cell("engine", 0, 100, 1), 1),
        at(cell("engine", 0, 200, 1), 2),
        at(cell("engine", 0, 50, 1), 4),
    ]);
    let text = "throughput(load.write) >= 150MiB/s";
    let outcome = Assertion::parse(text).expect(text).evaluate(&record);
    assert_eq!(outcome.standing, Standing::Violated);
    assert_eq!(
        outcome.reason,
        "50 MiB/s against 150 MiB/s at thread_pool_size=4"
    );
}

#[test]
fn a_target_without_the_swept_knobs_stands_beside_every_point() {
    let at = |mut cell: Cell, value: i64| {
        let value = KnobValue::Integer(value);
        cell.point = vec![Setting {
            knob: "thread_pool_size".to_owned(),
            value,
        }];
        cell
    };
    let record = record(vec![
        at(cell("engine", 0, 100, 1), 1),
        at(cell("engine", 0, 300, 1), 2),
        cell("on-btrfs", 0, 50, 1),
    ]);
    let text = "throughput(load.write) >= 2 * throughput(on-btrfs, load.write)";
    let outcome = Assertion::parse(text).expect(text).evaluate(&record);
    assert_eq!(outcome.standing, Standing::Held, "{}", outcome.reason);
    let ratios: Vec<f64> = outcome
        .points
        .iter()
        .filter_map(|point| point.ratio)
        .collect();
    assert_eq!(ratios, [1.0, 3.0]);
    assert_eq!(
        standing("on-btrfs:stored_ratio >= 2", &record),
        Standing::Held
    );
}

#[test]
fn what_cannot_be_computed_is_unknown_and_never_held() {
    let mut partial = record(vec![cell("engine", 0, 100, 1)]);
    assert_eq!(
        standing("p99(laod.write) <= 1s", &partial),
        Standing::Unknown
    );
    assert_eq!(
        standing("no_such_counter <= 1", &partial),
        Standing::Unknown
    );
    assert_eq!(
        standing("nobody:stored_ratio <= 1", &partial),
        Standing::Unknown
    );
    assert_eq!(
        standing("on-btrfs:stored_ratio <= 9", &partial),
        Standing::Unknown
    );
    // A counter in ns against a bare number is not silently read as seconds.
    assert_eq!(
        standing("cpu_ns <= 4000000000", &partial),
        Standing::Unknown
    );
    assert_eq!(standing("cpu_ns <= 4s", &partial), Standing::Held);
    partial.cells[0].fault = Some("killed".to_owned());
    assert_eq!(standing("stored_ratio >= 1", &partial), Standing::Unknown);
    assert_eq!(
        standing("stored_ratio >= 1", &record(Vec::new())),
        Standing::Unknown
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ -~]{0,60}") {
        let _ = Assertion::parse(&text);
    }

    #[test]
    fn sums_follow_the_usual_precedence(a in 1_u32..100, b in 1_u32..100, c in 1_u32..100) {
        let mut cell = cell("engine", 0, 1, 1);
        let expected = f64::from(a) + f64::from(b) * f64::from(c) - f64::from(a) / f64::from(b);
        cell.count("x", expected);
        let text = format!("x == {a} + {b} * {c} - {a} / {b}");
        let outcome = Assertion::parse(&text).expect("parses").evaluate(&record(vec![cell]));
        let point = &outcome.points[0];
        prop_assert!((point.left - point.right).abs() <= 1e-9 * expected.abs().max(1.0), "{text}");
    }
}

#[test]
fn which_way_a_ratio_is_better_follows_from_what_is_measured() {
    let mut record = record(Vec::new());
    let metric = Metric::counted("cost", Unit::Count, Better::Lower);
    record.metrics.insert(metric.name.clone(), metric);
    for (text, better) in [
        (
            "throughput(engine, a.b) / throughput(raw, a.b)",
            Better::Higher,
        ),
        ("p99(engine, a.b) / p99(raw, a.b)", Better::Lower),
        ("1 / p99(a.b)", Better::Higher),
        ("2 - engine:cost", Better::Higher),
        ("2 * engine:cost", Better::Lower),
        ("-iops(a.b)", Better::Lower),
        ("unheard_of", Better::Neither),
        ("count(a.b) / count(a.c)", Better::Neither),
        ("count(a.b) / p99(a.b)", Better::Higher),
    ] {
        assert_eq!(better_of(&record, text), Ok(better), "{text}");
    }
    assert!(better_of(&record, "p99(").is_err());
}

/// Operations that a stall at the end of a phase kept from being issued are in no latency: that it looks good says nothing.
#[test]
fn a_latency_of_which_the_longest_waits_are_missing_is_not_known() {
    let of = |backlog_ns: u64| {
        let mut cell = cell("engine", 0, 4, 1_000_000);
        cell.phases[0].schedule = Some(ScheduleRecord {
            backlog_ns,
            ..ScheduleRecord::default()
        });
        record(vec![cell])
    };
    for (text, backlog_ns, standing_then) in [
        ("p99(load.write) <= 20ms", 950_000_000, Standing::Unknown),
        ("p99(load) <= 20ms", 950_000_000, Standing::Unknown),
        ("p99(load.write) <= 20ms", 9_000_000, Standing::Held),
        ("p50(load.write) <= 20ms", 100_000_000, Standing::Held),
        ("p999(load.write) <= 20ms", 9_000_000, Standing::Unknown),
        ("p99(load.write) <= 1us", 950_000_000, Standing::Violated),
        ("count(load.write) >= 4", 950_000_000, Standing::Held),
    ] {
        assert_eq!(standing(text, &of(backlog_ns)), standing_then, "{text}");
    }
    let outcome = Assertion::parse("p99(load.write) <= 20ms").expect("it parses");
    let reason = outcome.evaluate(&of(950_000_000)).reason;
    assert!(
        reason.contains("950 ms of load was never issued"),
        "{reason}"
    );
}

/// A limit that the generator broke says nothing of the target; one that holds in spite of it holds.
#[test]
fn a_latency_that_the_generator_spoilt_violates_nothing() {
    let of = |late_ops: u64| {
        let mut late = LatencyHist::new();
        late.record_n(10_000, 1000 - late_ops);
        late.record_n(30_000_000, late_ops);
        let mut cell = cell("engine", 0, 4, 30_100_000);
        cell.phases[0].schedule = Some(ScheduleRecord::new(0, &late, 30_100_000));
        record(vec![cell])
    };
    for (text, late_ops, standing_then) in [
        ("p99(load.write) <= 20ms", 50, Standing::Unknown),
        ("p99(load.write) <= 20ms", 5, Standing::Violated),
        ("p99(load.write) <= 40ms", 50, Standing::Held),
        ("p50(load.write) <= 20ms", 50, Standing::Violated),
        ("p50(load.write) <= 20ms", 200, Standing::Unknown),
        ("iops(load.write) >= 1000", 200, Standing::Violated),
    ] {
        assert_eq!(
            standing(text, &of(late_ops)),
            standing_then,
            "{text} {late_ops}"
        );
    }
}

/// Two jobs write 50 times each: `slow` in 30 ms, on a schedule that was not kept, `quick` in 1 ms in a closed loop.
fn of_two_jobs() -> RunRecord {
    let of = |ns: u64| {
        let mut hist = LatencyHist::new();
        hist.record_n(ns, 50);
        hist
    };
    let (slow, quick) = (of(30_000_000), of(1_000_000));
    let mut all = slow.clone();
    all.merge(&quick);
    let mut late = LatencyHist::new();
    late.record_n(20_000_000, 50);
    let schedule = Some(ScheduleRecord {
        backlog_ns: 900_000_000,
        ..ScheduleRecord::new(0, &late, 30_000_000)
    });
    let job = |name: &str, hist: &LatencyHist, schedule| JobRecord {
        name: name.to_owned(),
        clients: 1,
        ops: vec![OpRecord::new("write", 50 << 20, 0, hist, hist)],
        schedule,
    };
    let mut cell = cell("engine", 0, 1, 1);
    let phase = &mut cell.phases[0];
    phase.ops = vec![OpRecord::new("write", 100 << 20, 0, &all, &all)];
    phase.schedule.clone_from(&schedule);
    phase.jobs = vec![job("slow", &slow, schedule), job("quick", &quick, None)];
    record(vec![cell])
}

#[test]
fn a_job_is_asked_by_itself() {
    let mut record = of_two_jobs();
    for (text, wanted) in [
        ("count(load.slow.write) == 50", Standing::Held),
        ("count(load.write) == 100", Standing::Held),
        (
            "throughput(load.slow) + throughput(load.quick) == throughput(load)",
            Standing::Held,
        ),
        ("wall(load.quick) == wall(load)", Standing::Held),
        ("p99(load.quick.write) <= 2ms", Standing::Held),
        ("p99(load.quick) <= 0.5ms", Standing::Violated),
        ("p99(load.quikc.write) <= 2ms", Standing::Unknown),
    ] {
        assert_eq!(standing(text, &record), wanted, "{text}");
    }
    // Without a schedule, what is slow is slow.
    record.cells[0].phases[0].jobs[0].schedule = None;
    let slow = "p99(load.slow.write) <= 2ms";
    assert_eq!(standing(slow, &record), Standing::Violated);
    let outcome = Assertion::parse("p99(load.quikc.write) <= 2ms").map(|one| one.evaluate(&record));
    let reason = outcome.expect("it parses").reason;
    assert_eq!(reason, "no job quikc; did you mean quick?");
}

/// The schedule of a phase is one for all its jobs, also those that have none.
#[test]
fn of_a_job_its_own_schedule_counts() {
    let mut record = of_two_jobs();
    for (text, wanted) in [
        // Too slow by the generator, or not known to be quick.
        ("p99(load.slow.write) <= 2ms", Standing::Unknown),
        ("p99(load.slow.write) <= 1s", Standing::Unknown),
        ("p99(load.write) <= 1s", Standing::Unknown),
        ("p99(load.quick.write) <= 2ms", Standing::Held),
        ("p99(load.quick.write) <= 0.5ms", Standing::Violated),
    ] {
        assert_eq!(standing(text, &record), wanted, "{text}");
    }
    let reason = |text: &str| {
        let assertion = Assertion::parse(text).expect(text);
        assertion.evaluate(&of_two_jobs()).reason
    };
    let late = reason("p99(load.slow.write) <= 2ms");
    assert!(late.contains("late in load.slow (p99"), "{late}");
    let missing = reason("p99(load.slow.write) <= 1s");
    assert!(missing.contains("of load.slow was never"), "{missing}");
    // A phase of one job has one schedule.
    let phase = &mut record.cells[0].phases[0];
    phase.jobs.clear();
    phase.only_job = "slow".to_owned();
    assert_eq!(
        standing("p99(load.slow.write) <= 1s", &record),
        Standing::Unknown
    );
}

#[test]
fn a_sum_that_never_ends_is_refused_where_it_is_too_long() {
    let of = |terms: usize| format!("{} >= 1s", vec!["wall(load)"; terms].join("+"));
    assert!(Assertion::parse(&of(501)).is_ok());
    let refused = fault(&of(100_000));
    assert!(
        refused.to_string().contains("more than 500 operators"),
        "{refused}"
    );
}
