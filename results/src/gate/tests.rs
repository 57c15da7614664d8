//! A planted regression must turn the gate red, identical code must stay green, and every way of
//! comparing nothing must not be green.

use super::*;
use crate::hist::{Latency, LatencyHist};
use crate::metric::Metric;
use crate::record::{Cell, OpRecord, PhaseRecord, PhaseRole, Target, Tool, Workload};

const DEVICE_BYTES: [f64; 3] = [1000.0, 1000.0, 1000.0];

fn record(device_bytes: &[f64], mib_per_s: [u64; 2]) -> RunRecord {
    let workload = Workload {
        name: "starter".to_owned(),
        hash: "h1".to_owned(),
        ..Workload::default()
    };
    let mut record = RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", workload);
    record.status = RunStatus::Complete;
    for metric in [
        Metric::counted("device_write_bytes", Unit::Bytes, Better::Lower),
        Metric::counted("stored_ratio", Unit::Ratio, Better::Higher),
        Metric::timed("cpu_ns", Unit::Nanoseconds, Better::Lower),
    ] {
        record.metrics.insert(metric.name.clone(), metric);
    }
    for (name, mib) in ["engine", "btrfs"].into_iter().zip(mib_per_s) {
        record.targets.push(Target {
            name: name.to_owned(),
            ..Target::default()
        });
        for (round, bytes) in (0..).zip(device_bytes) {
            let mut hist = LatencyHist::new();
            hist.record(1000);
            let op = OpRecord::new("write", mib << 20, 0, &hist, &hist);
            let phase = PhaseRecord {
                name: "load".to_owned(),
                wall_ns: 1_000_000_000 + u64::from(round),
                ops: vec![op],
                ..PhaseRecord::default()
            };
            let mut cell = Cell {
                target: name.to_owned(),
                round,
                phases: vec![phase],
                ..Cell::default()
            };
            cell.count("device_write_bytes", *bytes);
            cell.count("stored_ratio", 2.5);
            cell.count("cpu_ns", f64::from(round));
            record.cells.push(cell);
        }
    }
    record
}

fn rules() -> Rules {
    let expression = "throughput(engine, load.write) / throughput(btrfs, load.write)".to_owned();
    let ratio = RatioRule {
        expression,
        better: Better::Higher,
        tolerance: 0.1,
    };
    Rules {
        ratios: vec![ratio],
        ..Rules::default()
    }
}

fn blessed() -> Baseline {
    let record = record(&DEVICE_BYTES, [200, 100]);
    Baseline::from_record(&record, &rules(), "first numbers", "2026-01-02").expect("blessed")
}

fn exit_of(record: &RunRecord) -> ExitCode {
    gate(&blessed(), record).expect("comparable").exit.code
}

#[test]
fn only_numbers_that_hold_across_runs_are_blessed() {
    let baseline = blessed();
    let names: Vec<&str> = baseline
        .entries
        .iter()
        .map(|e| e.expression.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "\"engine\":\"device_write_bytes\"",
            "\"engine\":\"stored_ratio\"",
            "\"btrfs\":\"device_write_bytes\"",
            "\"btrfs\":\"stored_ratio\"",
            "throughput(engine, load.write) / throughput(btrfs, load.write)",
        ]
    );
    assert_eq!(baseline.entries[0].tolerance, Tolerance::Exact);
    assert_eq!(baseline.entries[4].value, 2.0);
}

#[test]
fn identical_code_on_another_machine_is_green() {
    // Five times slower on both sides.
    let report = gate(&blessed(), &record(&DEVICE_BYTES, [40, 20])).expect("comparable");
    assert_eq!(report.exit.code, ExitCode::Good, "{}", report.table());
    assert!(
        report
            .last_line()
            .starts_with("gate=good exit=0 compared=5 pass=5 regressed=0")
    );
}

#[test]
fn a_planted_byte_turns_it_red() {
    let report = gate(&blessed(), &record(&[1001.0; 3], [200, 100])).expect("comparable");
    assert_eq!(report.exit.code, ExitCode::Regression);
    assert_eq!(report.rows[0].verdict, Verdict::Regressed);
    assert!(report.table().contains("1001"), "{}", report.table());
    assert!(report.table().contains("+0.10 %"), "{}", report.table());
}

#[test]
fn a_planted_slowdown_of_one_side_turns_the_ratio_red() {
    assert_eq!(exit_of(&record(&DEVICE_BYTES, [185, 100])), ExitCode::Good);
    assert_eq!(
        exit_of(&record(&DEVICE_BYTES, [170, 100])),
        ExitCode::Regression
    );
}

#[test]
fn fewer_bytes_are_an_improvement_and_stay_green() {
    let report = gate(&blessed(), &record(&[900.0; 3], [200, 100])).expect("comparable");
    assert_eq!(report.exit.code, ExitCode::Good);
    assert_eq!(report.rows[0].verdict, Verdict::Improved);
}

#[test]
fn rounds_that_disagree_are_unstable() {
    let record = record(&[1000.0, 1001.0, 1000.0], [200, 100]);
    assert_eq!(exit_of(&record), ExitCode::Inconclusive);
    let again = Baseline::from_record(&record, &rules(), "why", "now").expect("blessed");
    assert_eq!(
        again.entries[0].tolerance,
        Tolerance::Relative(RELATIVE_MIN_EXPECTED)
    );
}

const RELATIVE_MIN_EXPECTED: f64 = 0.02;

#[test]
fn rounds_far_apart_are_demoted_and_the_report_says_so() {
    let record = record(&[1000.0, 1500.0, 2000.0], [200, 100]);
    let baseline = Baseline::from_record(&record, &rules(), "why", "now").expect("blessed");
    assert_eq!(baseline.demoted.len(), 2);
    let report = gate(&baseline, &record).expect("comparable");
    assert!(
        report.notes[0].contains("rounds differ by"),
        "{:?}",
        report.notes
    );
}

#[test]
fn another_workload_is_an_error() {
    let mut foreign = record(&DEVICE_BYTES, [200, 100]);
    foreign.workload.hash = "h2".to_owned();
    let error = gate(&blessed(), &foreign).expect_err("foreign").to_string();
    assert!(
        error.contains("starter (h1)") && error.contains("starter (h2)"),
        "{error}"
    );
}

#[test]
fn virtual_times_are_not_compared_with_those_of_the_clock() {
    let mut virtual_run = record(&DEVICE_BYTES, [200, 100]);
    virtual_run.deterministic = true;
    let held =
        Baseline::from_record(&virtual_run, &rules(), "virtual", "2026-01-02").expect("blessed");
    assert!(gate(&held, &virtual_run).is_ok());
    let on_threads = record(&DEVICE_BYTES, [200, 100]);
    assert!(matches!(
        gate(&held, &on_threads),
        Err(GateError::NotDeterministic)
    ));
}

#[test]
fn every_way_of_comparing_nothing_is_not_green() {
    let good = record(&DEVICE_BYTES, [200, 100]);

    let empty = Baseline {
        entries: Vec::new(),
        ..blessed()
    };
    let report = gate(&empty, &good).expect("comparable");
    assert_eq!(report.exit.code, ExitCode::Inconclusive);

    let mut unnamed = good.clone();
    for cell in &mut unnamed.cells {
        cell.counters.remove("stored_ratio");
    }
    assert_eq!(exit_of(&unnamed), ExitCode::Inconclusive);

    let mut faulty = good.clone();
    for cell in &mut faulty.cells {
        cell.fault = Some("device full".to_owned());
    }
    assert_eq!(exit_of(&faulty), ExitCode::Inconclusive);

    let mut absent = good.clone();
    absent.targets.pop();
    absent.cells.retain(|cell| cell.target == "engine");
    assert_eq!(exit_of(&absent), ExitCode::Inconclusive);

    let mut cut = good;
    cut.status = RunStatus::Interrupted {
        reason: "signal".to_owned(),
    };
    assert_eq!(exit_of(&cut), ExitCode::Inconclusive);

    let mut wrong = record(&[1001.0; 3], [200, 100]);
    wrong.cells[0].verification.mismatches = 1;
    assert_eq!(exit_of(&wrong), ExitCode::Failed);
}

#[test]
fn a_record_that_proves_nothing_is_not_blessed() {
    let good = record(&DEVICE_BYTES, [200, 100]);
    let refused = |record: &RunRecord, rules: &Rules, reason: &str| {
        Baseline::from_record(record, rules, reason, "now")
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(&good, &rules(), "  ").contains("say why"));
    let mut cut = good.clone();
    cut.status = RunStatus::Interrupted {
        reason: String::new(),
    };
    assert!(refused(&cut, &rules(), "x").contains("interrupted"));
    let timed = RatioRule {
        expression: "p99(engine, load.write)".to_owned(),
        better: Better::Lower,
        tolerance: 0.1,
    };
    let timed = Rules {
        ratios: vec![timed],
        ..Rules::default()
    };
    assert!(refused(&good, &timed, "x").contains("not a ratio"));
}

/// One round agrees with itself, so bytes that a phase of so many seconds wrote would be held to the byte.
#[test]
fn one_round_is_blessed_where_the_run_is_deterministic() {
    let mut one = record(&[1000.0], [200, 100]);
    let bless = |record: &RunRecord| Baseline::from_record(record, &rules(), "why", "now");
    let refused = bless(&one).expect_err("refused").to_string();
    assert!(
        refused.contains("--rounds 3") && refused.contains("deterministic=true"),
        "{refused}"
    );
    bless(&record(&[1000.0; 2], [200, 100])).expect("two rounds can disagree");
    one.deterministic = true;
    bless(&one).expect("the same each time");
}

#[test]
fn a_new_counted_number_is_noted() {
    let mut grown = record(&DEVICE_BYTES, [200, 100]);
    let metric = Metric::counted("extents", Unit::Count, Better::Lower);
    grown.metrics.insert(metric.name.clone(), metric);
    grown.cells[0].count("extents", 4.0);
    let report = gate(&blessed(), &grown).expect("comparable");
    assert_eq!(report.notes, ["extents is new since the baseline"]);
}

#[test]
fn a_baseline_survives_its_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("starter.json");
    blessed().save(&path).expect("saved");
    assert_eq!(Baseline::load(&path).expect("loaded"), blessed());
    let error = Baseline::load(&folder.path().join("none.json"))
        .expect_err("absent")
        .to_string();
    assert!(error.contains("none.json"), "{error}");
}

/// Read to the nearest number but one, an exact gate would call the same run another.
#[test]
fn a_number_keeps_every_digit_in_its_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("starter.json");
    let mut baseline = blessed();
    baseline.entries[0].value = 2.140_270_270_270_270_3e-7;
    baseline.entries[0].rounds = (1..1000).map(|i| f64::from(i) / 37e9).collect();
    baseline.save(&path).expect("saved");
    assert_eq!(Baseline::load(&path).expect("loaded"), baseline);
}

/// A deterministic run: every round has its own number, and follows from its seed.
fn exact_record(device_bytes: &[f64]) -> RunRecord {
    let mut record = record(device_bytes, [200, 100]);
    for metric in record.metrics.values_mut() {
        metric.class = crate::metric::Class::Exact;
    }
    record
}

/// The same, of a run in virtual time; `last_ns` is how long the longest of its hundred writes took.
fn virtual_record(last_ns: u64, wall_ns: u64) -> RunRecord {
    let mut record = exact_record(&DEVICE_BYTES);
    record.deterministic = true;
    for phase in record.cells.iter_mut().flat_map(|cell| &mut cell.phases) {
        let mut hist = LatencyHist::new();
        hist.record_n(1000, 98);
        hist.record_n(last_ns, 2);
        phase.ops = vec![OpRecord::new("write", 1 << 20, 0, &hist, &hist)];
        phase.wall_ns = wall_ns;
    }
    record
}

#[test]
fn virtual_times_are_held_to_the_nanosecond() {
    let held = virtual_record(5_000, 1_000_000_007);
    let mut baseline =
        Baseline::from_record(&held, &Rules::default(), "why", "now").expect("blessed");
    let of = |baseline: &Baseline, record: &RunRecord| {
        let report = gate(baseline, record).expect("comparable");
        let changed: Vec<String> = report
            .rows
            .iter()
            .filter(|row| row.code == Reason::Changed)
            .map(|row| row.expression.clone())
            .collect();
        (report.exit.code, changed)
    };
    // As it is committed and read again: no digit of a mean is lost.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("exact.json");
    baseline.save(&path).expect("saved");
    assert_eq!(Baseline::load(&path).expect("loaded"), baseline);
    baseline.machine = "another".to_owned();
    let mut here = held.clone();
    here.machine.cpu_model = "Model A".to_owned();
    assert_eq!(of(&baseline, &here), (ExitCode::Good, Vec::new()));

    let (code, changed) = of(&baseline, &virtual_record(5_000, 1_000_000_008));
    assert_eq!(code, ExitCode::Regression);
    assert_eq!(
        changed,
        ["wall(\"engine\", \"load\")", "wall(\"btrfs\", \"load\")"]
    );
    let (code, changed) = of(&baseline, &virtual_record(6_000, 1_000_000_007));
    assert_eq!(code, ExitCode::Regression);
    for statistic in ["p99", "max", "mean"] {
        let row = format!("{statistic}(\"engine\", \"load.write\")");
        assert!(changed.contains(&row), "{changed:?}");
    }
    assert_eq!(changed.len(), 6, "{changed:?}");

    let mut fewer = held;
    fewer.cells[0].phases[0].ops[0].count -= 1;
    let (code, changed) = of(&baseline, &fewer);
    assert_eq!(code, ExitCode::Regression);
    assert_eq!(changed, ["count(\"engine\", \"load.write\")"]);
}

#[test]
fn phases_without_operations_and_operations_without_a_time_are_held_by_what_they_have() {
    let mut held = virtual_record(5_000, 1_000_000_007);
    for cell in &mut held.cells {
        let mut nothing = cell.phases[0].ops[0].clone();
        nothing.op = "read".to_owned();
        (nothing.count, nothing.errors) = (0, 4);
        nothing.response = Latency::default();
        cell.phases[0].ops.push(nothing);
        cell.phases.push(PhaseRecord {
            name: "drain".to_owned(),
            role: PhaseRole::Drain,
            wall_ns: 40,
            ..PhaseRecord::default()
        });
    }
    let baseline = Baseline::from_record(&held, &Rules::default(), "why", "now").expect("blessed");
    let holds = |expression: &str| {
        let found = baseline.entries.iter();
        found
            .map(|entry| &*entry.expression)
            .any(|e| e == expression)
    };
    assert!(holds("wall(\"engine\", \"drain\")"));
    assert!(holds("count(\"engine\", \"load.read\")"));
    assert!(!holds("p50(\"engine\", \"load.read\")"));
    let report = gate(&baseline, &held).expect("comparable");
    assert_eq!(report.exit.code, ExitCode::Good, "{}", report.table());
    held.cells[0].phases[1].wall_ns += 1;
    let report = gate(&baseline, &held).expect("comparable");
    assert_eq!(report.exit.code, ExitCode::Regression);
}

#[test]
fn any_change_of_an_exact_number_fails_until_it_is_blessed() {
    let held = exact_record(&[1000.0, 1500.0, 2000.0]);
    let baseline = Baseline::from_record(&held, &Rules::default(), "why", "now").expect("blessed");
    assert!(baseline.demoted.is_empty(), "{:?}", baseline.demoted);
    let of = |bytes: &[f64]| gate(&baseline, &exact_record(bytes)).expect("comparable");
    assert_eq!(of(&[1000.0, 1500.0, 2000.0]).exit.code, ExitCode::Good);

    let worse = of(&[1000.0, 1501.0, 2000.0]);
    assert_eq!(worse.exit.code, ExitCode::Regression);
    assert_eq!(
        (worse.rows[0].verdict, worse.rows[0].code),
        (Verdict::Regressed, Reason::Changed)
    );
    // The other rounds' values in another order are another run.
    assert_eq!(
        of(&[1500.0, 1000.0, 2000.0]).exit.code,
        ExitCode::Regression
    );

    let better = of(&[1000.0, 1499.0, 2000.0]);
    let changed: Vec<Verdict> = better
        .rows
        .iter()
        .filter(|row| row.code == Reason::Changed)
        .map(|row| row.verdict)
        .collect();
    assert_eq!(
        changed,
        [Verdict::Improved, Verdict::Improved],
        "both targets"
    );
    assert_eq!(better.exit.code, ExitCode::Regression);

    assert_eq!(of(&[1000.0, 1500.0]).exit.code, ExitCode::Inconclusive);
}

#[test]
fn ratios_of_times_abstain_on_another_machine_and_counters_do_not() {
    let on = |cpu: &str, kernel: &str, bytes: f64| {
        let mut record = record(&[bytes; 3], [200, 100]);
        record.machine.cpu_model = cpu.to_owned();
        record.machine.kernel = kernel.to_owned();
        record
    };
    let held = on("Model A", "6.12.1-generic", 1000.0);
    let baseline = Baseline::from_record(&held, &rules(), "why", "now").expect("blessed");
    let of = |record: &RunRecord| gate(&baseline, record).expect("comparable");
    // A patch level is no other machine.
    assert_eq!(
        of(&on("Model A", "6.12.9-generic", 1000.0)).exit.code,
        ExitCode::Good
    );
    let elsewhere = of(&on("Model B", "6.12.1-generic", 1000.0));
    assert_eq!(elsewhere.exit.code, ExitCode::Inconclusive);
    let abstained: Vec<Reason> = elsewhere
        .rows
        .iter()
        .filter(|row| row.verdict == Verdict::Abstained)
        .map(|row| row.code)
        .collect();
    assert_eq!(abstained, [Reason::OtherMachine]);
    assert_eq!(
        of(&on("Model B", "6.12.1-generic", 1001.0)).exit.code,
        ExitCode::Regression
    );
}

#[test]
fn whether_a_ratio_has_a_time_in_it_follows_from_what_it_names() {
    let mut here = record(&DEVICE_BYTES, [200, 100]);
    here.machine.cpu_model = "Model A".to_owned();
    for cell in &mut here.cells {
        cell.count("cpu_ns", 5.0);
    }
    let mut elsewhere = here.clone();
    elsewhere.machine.cpu_model = "Model B".to_owned();
    for (expression, verdict) in [
        (
            "\"engine\":\"cpu_ns\" / \"btrfs\":\"cpu_ns\"",
            Verdict::Abstained,
        ),
        ("engine:cpu_ns / btrfs:cpu_ns", Verdict::Abstained),
        ("-(1 - engine:cpu_ns / btrfs:cpu_ns)", Verdict::Abstained),
        (
            "max(engine, load.write) / max(btrfs, load.write)",
            Verdict::Abstained,
        ),
        ("engine:stored_ratio / btrfs:stored_ratio", Verdict::Pass),
        (
            "\"engine\":\"stored_ratio\" / \"btrfs\":\"stored_ratio\"",
            Verdict::Pass,
        ),
        (
            "count(engine, load.write) / count(btrfs, load.write)",
            Verdict::Pass,
        ),
    ] {
        let mut rules = rules();
        rules.ratios[0].expression = expression.to_owned();
        let baseline = Baseline::from_record(&here, &rules, "why", "now").expect("blessed");
        let of = |record: &RunRecord| {
            let report = gate(&baseline, record).expect("comparable");
            let mut rows = report.rows.iter();
            let row = rows.find(|row| row.expression == expression);
            row.map(|row| row.verdict)
        };
        assert_eq!(of(&here), Some(Verdict::Pass), "{expression}");
        assert_eq!(of(&elsewhere), Some(verdict), "{expression}");
    }
}

#[test]
fn a_baseline_remembers_why_it_was_what_it_was_and_stays_one_workload_s() {
    let first = blessed();
    let mut second = blessed();
    second.reason = "second numbers".to_owned();
    second.succeed(&first).expect("the same workload");
    let mut third = blessed();
    third.succeed(&second).expect("the same workload");
    let reasons: Vec<&str> = third
        .history
        .iter()
        .map(|before| before.reason.as_str())
        .collect();
    assert_eq!(reasons, ["second numbers", "first numbers"]);
    third.workload = "another".to_owned();
    assert!(third.succeed(&first).is_err());
}

/// What is no ratio is refused, also where its rounds disagree and it would only be demoted.
#[test]
fn what_is_no_ratio_is_not_held_as_one() {
    let mut record = record(&DEVICE_BYTES, [200, 100]);
    let rule = |expression: &str| Rules {
        ratios: vec![RatioRule {
            expression: expression.to_owned(),
            better: Better::Lower,
            tolerance: 0.1,
        }],
        ..Rules::default()
    };
    for factor in [1, 3] {
        for cell in &mut record.cells {
            cell.phases[0].wall_ns *= 1 + (factor - 1) * u64::from(cell.round);
        }
        let refused = |expression: &str| {
            Baseline::from_record(&record, &rule(expression), "first numbers", "2026-01-02")
                .map_or_else(|error| error.to_string(), |_| String::new())
        };
        assert!(
            refused("wall(engine, load)").contains("is not a ratio"),
            "{factor}"
        );
        assert_eq!(refused("wall(engine, load) / wall(btrfs, load)"), "");
    }
}
