//! The page: complete on a real-sized record, honest on a poor one, and safe with foreign names.

mod support;

use delalloc_results::record::{
    Cell, Doubt, Knob, KnobValue, OpRecord, PhaseRecord, RunRecord, RunStatus, Setting,
    StageRecord, SweepAxis, Target, Tool, Workload,
};
use delalloc_results::{LatencyHist, render};
use std::path::Path;
use support::{Size, TYPICAL};

/// Kept beside the build for whoever wants to look.
fn keep(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(path, page).expect("the build folder is writable");
}

fn empty() -> RunRecord {
    RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default())
}

fn without_network(page: &str) {
    for forbidden in [
        "http://", "https://", " src=", "url(", "@import", "<link", "<iframe",
    ] {
        assert!(!page.contains(forbidden), "the page holds {forbidden:?}");
    }
}

#[test]
fn a_sweep_has_every_section() {
    let page = render(&support::record(TYPICAL));
    keep("typical.html", &page);
    without_network(&page);
    for wanted in [
        "all 4 assertions hold",
        "Best by median throughput of serve.read over rounds",
        "thread_pool_size",
        "waiting for the head of the line",
        "held up by: dirty limit",
        "service time, without the wait",
        "every byte as it was written",
        "delalloc replay workload.yaml",
        "on the front",
        "endio_write",
        "99.9 %",
        "taken by other guests",
        "page.0, page.1 and 3 more",
        "24.6 %",
    ] {
        assert!(page.contains(wanted), "the page lacks {wanted:?}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(!page.contains("#0102"), "a sentinel colour is left");
    assert!(
        !page.contains("NaN") && !page.contains("inf "),
        "a number is not one"
    );
}

#[test]
fn a_hundred_points_stay_under_two_megabytes() {
    let size = Size {
        threads: &[1, 2, 3, 4, 6, 8, 12, 16, 24, 32],
        idle: &[1, 2, 4, 8, 16],
        background: &["16MiB", "64MiB"],
        rounds: 3,
        operations: 60,
    };
    let page = render(&support::record(size));
    keep("hundred.html", &page);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("Too large to embed"));
}

#[test]
fn the_script_and_style_are_small() {
    let page = render(&empty());
    assert!(
        page.len() < 30_000,
        "an empty page has {} bytes",
        page.len()
    );
}

#[test]
fn an_empty_run_says_so() {
    let page = render(&empty());
    keep("empty.html", &page);
    without_network(&page);
    for wanted in [
        "interrupted",
        "did not report an end",
        "there are no numbers",
        "too short for an interval",
        "No target shows its stages",
    ] {
        assert!(page.contains(wanted), "the page lacks {wanted:?}");
    }
}

#[test]
fn a_failed_run_leads_with_what_went_wrong() {
    let mut record = support::record(Size {
        rounds: 1,
        ..TYPICAL
    });
    record.status = RunStatus::Failed {
        reason: "no space on the device".to_owned(),
    };
    record.cells.truncate(3);
    let last = record.cells.last_mut().expect("three cells");
    last.fault = Some("write at 12 MiB: no space".to_owned());
    last.verification.mismatches = 2;
    last.verification.first_mismatch = "table page 77".to_owned();
    let page = render(&record);
    keep("failed.html", &page);
    for wanted in [
        "2 blocks read back wrong",
        "table page 77",
        "What went wrong",
        "no space",
        "not run",
    ] {
        assert!(page.contains(wanted), "the page lacks {wanted:?}");
    }
}

#[test]
fn one_operation_of_no_length_does_not_break_anything() {
    let mut record = empty();
    record.status = RunStatus::Complete;
    record.targets.push(Target {
        name: "only".to_owned(),
        ..Target::default()
    });
    let mut hist = LatencyHist::new();
    hist.record(5);
    let op = OpRecord::new("write", 0, 0, &hist, &hist);
    let phase = PhaseRecord {
        name: "p".to_owned(),
        ops: vec![op],
        ..PhaseRecord::default()
    };
    let stages = vec![StageRecord {
        name: "s".to_owned(),
        ..StageRecord::default()
    }];
    let cell = Cell {
        target: "only".to_owned(),
        phases: vec![phase],
        stages,
        ..Cell::default()
    };
    record.cells.push(cell);
    let page = render(&record);
    keep("tiny.html", &page);
    assert!(!page.contains("NaN"), "a number is not one");
}

#[test]
fn foreign_names_are_escaped_everywhere() {
    let hostile = "</script><script>alert('x')</script>\"><img onerror=alert(1)>&";
    let mut record = support::record(Size {
        threads: &[1, 2],
        idle: &[1, 2],
        background: &["16MiB"],
        rounds: 1,
        operations: 40,
    });
    record.workload.name = hostile.to_owned();
    record.workload.resolved = hostile.to_owned();
    record.workload.hash = hostile.to_owned();
    record.command_line.push(hostile.to_owned());
    record.assertions.push(hostile.to_owned());
    record.status = RunStatus::Interrupted {
        reason: hostile.to_owned(),
    };
    let seen = hostile.to_owned();
    record.machine.doubts = vec![Doubt {
        code: seen.clone(),
        seen: seen.clone(),
        advice: seen,
    }];
    record.machine.cpu_model = hostile.to_owned();
    let knob = Knob {
        name: hostile.to_owned(),
        value: hostile.into(),
        unit: hostile.to_owned(),
        is_default: false,
    };
    let named = |name: &str| format!("{hostile}{name}");
    for target in &mut record.targets {
        target.name = named(&target.name);
        target.describe = hostile.to_owned();
        target.knobs.push(knob.clone());
    }
    record.sweep = vec![SweepAxis {
        knob: hostile.to_owned(),
        unit: String::new(),
        values: vec![KnobValue::Integer(1), hostile.into()],
    }];
    for (index, cell) in record.cells.iter_mut().enumerate() {
        cell.target = named(&cell.target);
        let value = if index % 2 == 0 {
            KnobValue::Integer(1)
        } else {
            hostile.into()
        };
        cell.point = vec![Setting {
            knob: hostile.to_owned(),
            value,
        }];
        cell.count(hostile, 1.0);
        for phase in &mut cell.phases {
            phase.name = named(&phase.name);
            for op in &mut phase.ops {
                op.op = named(&op.op);
            }
            for stall in phase
                .series
                .iter_mut()
                .flat_map(|sample| &mut sample.stalls)
            {
                stall.cause = hostile.to_owned();
            }
        }
        for stage in &mut cell.stages {
            stage.name = hostile.to_owned();
        }
        for pool in &mut cell.pools {
            pool.name = hostile.to_owned();
            pool.kind = hostile.to_owned();
        }
    }
    let page = render(&record);
    keep("hostile.html", &page);
    assert!(!page.contains("<script>alert"), "a script got in");
    assert!(!page.contains("<img"), "an element got in");
    assert!(
        !page.contains("</script><script>a"),
        "a script element was ended early"
    );
    assert!(page.contains("&lt;script&gt;alert"), "the name is shown");
}
