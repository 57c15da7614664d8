//! The page: complete on a real-sized record, honest on a poor one, and safe with foreign names.

mod support;

use delalloc_results::record::{
    Cell, Doubt, JobRecord, Knob, KnobValue, ObjectiveRecord, OpRecord, PhaseRecord, RunRecord,
    RunStatus, Sample, ScheduleRecord, Setting, StageRecord, Stall, SweepAxis, Target, Tool,
    Workload,
};
use delalloc_results::{
    LatencyHist, Objective, recommendations, render, render_comparison, render_for, render_markdown,
};
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

/// The page without its packed data, in which any letters may stand.
fn seen(page: &str) -> &str {
    page.split("<script type=\"text/plain\"")
        .next()
        .unwrap_or(page)
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
        "Objective: lowest p99 with a rate within 5 % of the best of serve.read",
        "Pareto front",
        "latency heat map (log)",
        "busy workers",
        "When a write is safe",
        "is the same load if the hash is the same",
        "git checkout b4ac5c5",
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
        !seen(&page).contains("NaN") && !seen(&page).contains("inf "),
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
    assert!(page.contains("data-blob=\"cells.csv\""));
}

#[test]
fn many_stalls_make_no_large_page() {
    let size = Size {
        rounds: 1,
        threads: &[1],
        idle: &[1],
        background: &["16MiB"],
        operations: 60,
    };
    let mut record = support::record(size);
    record.cells.retain(|cell| cell.target == "engine");
    record.targets.truncate(1);
    let cell = &mut record.cells[0];
    cell.phases.truncate(1);
    let phase = &mut cell.phases[0];
    let first = phase.series[0].clone();
    phase.wall_ns = 2048 * 10_000_000;
    phase.series = (0..2048_u64)
        .map(|nth| Sample {
            t_ns: (nth + 1) * 10_000_000,
            stalls: vec![Stall {
                cause: "dirty limit".to_owned(),
                // Another shade each time.
                ns: 200_000 + nth * 7_919 % 97 * 90_000,
            }],
            spectrum: vec![(90_000, 40)],
            ..first.clone()
        })
        .collect();
    let page = render(&record);
    keep("stalls.html", &page);
    let bands = seen(&page).matches("fill=\"var(--stall)\"").count();
    assert!((400..3200).contains(&bands), "{bands} bands");
    assert!(page.len() < 700_000, "{} bytes", page.len());
}

#[test]
fn the_script_and_style_are_small() {
    let page = render(&empty());
    assert!(
        page.len() < 40_000,
        "an empty page has {} bytes",
        page.len()
    );
}

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

#[test]
fn the_page_is_built_for_who_does_not_see_it() {
    let page = render(&support::record(TYPICAL));
    for wanted in [
        "<html lang=\"en\">",
        "class=\"skip\" href=\"#main\"",
        "<main id=\"main\"",
        "<nav aria-label=\"Sections\">",
        "aria-label=\"engine over time. Throughput of",
        "scope=\"row\"",
    ] {
        assert!(page.contains(wanted), "the page lacks {wanted:?}");
    }
    assert_eq!(count(&page, "<h1"), 1);
    assert_eq!(count(&page, "<table"), count(&page, "<caption>"));
    assert_eq!(count(&page, "<figure"), count(&page, "<figcaption>"));
    assert_eq!(
        count(&page, "<svg"),
        count(&page, "role=\"img\" aria-label=\"")
    );
    // Every link of the page leads to a place on it.
    for link in page.split("href=\"#").skip(1) {
        let id = link.split('"').next().expect("an end");
        assert!(
            page.contains(&format!("id=\"{id}\"")),
            "nothing is at #{id}"
        );
    }
    // Headings go down one level at a time.
    let levels: Vec<u32> = page
        .split("<h")
        .skip(1)
        .filter_map(|rest| rest.chars().next()?.to_digit(10))
        .collect();
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1));
}

#[test]
fn an_objective_decides_what_is_recommended() {
    let record = support::record(TYPICAL);
    let rate = Objective::HighestRate { p99_ns_max: None };
    let page = render_for(&record, Some(rate));
    assert!(page.contains("Objective: highest rate of serve.read"));
    let none = Objective::HighestRate {
        p99_ns_max: Some(1),
    };
    let page = render_for(&record, Some(none));
    assert!(page.contains("engine: no point to recommend"));
}

#[test]
fn nothing_is_recommended_for_a_target_that_has_no_knobs() {
    let size = Size {
        threads: &[1, 2, 4],
        idle: &[1],
        background: &["16MiB"],
        ..TYPICAL
    };
    let record = support::record(size);
    // As it was written once: the target without knobs is run again at every point.
    let mut repeated = record.clone();
    let (kernel, engine): (Vec<Cell>, Vec<Cell>) = repeated
        .cells
        .into_iter()
        .partition(|cell| cell.target == "on-btrfs");
    repeated.cells = engine;
    for point in record.points().iter().filter(|point| !point.is_empty()) {
        repeated.cells.extend(kernel.iter().map(|cell| Cell {
            point: point.clone(),
            ..cell.clone()
        }));
    }
    for (record, rounds) in [(&record, 3), (&repeated, 9)] {
        assert_eq!(record.points().len(), 4);
        assert_eq!(record.rounds("on-btrfs", &[]).len(), rounds);
        assert_eq!(record.grid_points().len(), 3);
        let said = recommendations(record);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("engine: "), "{said:?}");
        let page = render(record);
        assert!(
            page.contains("<figcaption><b>engine: p99</b>"),
            "a heat map"
        );
        assert!(!page.contains("on-btrfs: p99"), "a heat map");
        assert!(!page.contains("on-btrfs: recommended") && !page.contains("on-btrfs: cannot"));
    }
    // What was measured side by side stays so, and what is no knob is still an axis.
    let first = record.points().remove(0);
    let beside = |record: &RunRecord| record.rounds_for("on-btrfs", &first).len();
    assert_eq!((beside(&record), beside(&repeated)), (3, 3));
    for cell in &mut repeated.cells {
        cell.point.push(Setting {
            knob: "content.ratio".to_owned(),
            value: (2.0 + f64::from(cell.round % 2)).into(),
        });
    }
    let points = repeated.points();
    assert_eq!(points.iter().filter(|point| point.len() == 1).count(), 2);
}

#[test]
fn after_wrong_bytes_nothing_is_called_recommended_anywhere() {
    let mut record = support::record(TYPICAL);
    let right = render(&record);
    assert!(right.contains(">recommended<") || right.contains(">best by medians<"));
    assert!(right.contains("is the point named above"));
    record.cells[0].verification.mismatches = 1;
    let wrong = render(&record);
    for word in [
        ">recommended<",
        ">best by medians<",
        ">not told from the best<",
        "named above",
    ] {
        assert!(!seen(&wrong).contains(word), "{word}");
    }
    assert!(wrong.contains("is the point with the lowest p99 at nearly the best rate (engine: #"));
    // The same where no point keeps what is wanted.
    let none = Objective::HighestRate {
        p99_ns_max: Some(1),
    };
    let page = render_for(&support::record(TYPICAL), Some(none));
    assert!(!page.contains("named above"), "nothing is");
    assert!(page.contains("which is not recommended, <b>~</b>"));
}

#[test]
fn the_longest_time_of_all_rounds_is_shown_as_the_longest() {
    const MS: u64 = 1_000_000;
    let mut record = empty();
    record.targets.push(Target {
        name: "only".to_owned(),
        ..Target::default()
    });
    for (round, max_ns) in (0..).zip([MS, MS, MS, MS, 5000 * MS]) {
        let mut hist = LatencyHist::new();
        hist.record_n(MS / 10, 1000);
        hist.record(max_ns);
        record.cells.push(Cell {
            target: "only".to_owned(),
            round,
            phases: vec![PhaseRecord {
                name: "p".to_owned(),
                wall_ns: 1000 * MS,
                ops: vec![OpRecord::new("write", 4096, 0, &hist, &hist)],
                ..PhaseRecord::default()
            }],
            ..Cell::default()
        });
    }
    let page = render(&record);
    // In the tile, the key numbers and when a write is safe.
    assert!(page.contains("longest of all 5.00 s<"), "the tile");
    assert_eq!(page.matches(">5.00 s<").count(), 2, "the tables");
}

fn wanting(mut record: RunRecord, objective: ObjectiveRecord) -> RunRecord {
    record.objective = Some(objective);
    record
}

#[test]
fn a_workload_says_in_its_own_words_what_is_recommended() {
    // Four threads are faster and have the longer tail.
    let sweep = || {
        support::record(Size {
            threads: &[1, 4],
            idle: &[1],
            background: &["16MiB"],
            rounds: 6,
            ..TYPICAL
        })
    };
    let some = |text: &str| Some(text.to_owned());
    let fast = ObjectiveRecord {
        maximise: some("throughput(serve.read)"),
        ..ObjectiveRecord::default()
    };
    let smooth = ObjectiveRecord {
        minimise: some("p99(serve.read)"),
        ..ObjectiveRecord::default()
    };
    let both = ObjectiveRecord {
        subject_to: vec!["p99(serve.read) <= 1ns".to_owned()],
        ..fast.clone()
    };
    let said = |objective| recommendations(&wanting(sweep(), objective)).join("; ");
    let (fast, smooth, none) = (said(fast), said(smooth), said(both));
    println!("{fast}\n{smooth}\n{none}");
    assert!(
        fast.contains("thread_pool_size=4") && fast.contains("(highest throughput(serve.read))"),
        "{fast}"
    );
    assert!(
        smooth.contains("thread_pool_size=1") && smooth.contains("(lowest p99(serve.read))"),
        "{smooth}"
    );
    assert!(none.contains("no point to recommend"), "{none}");
    assert!(
        recommendations(&sweep())[0].contains("of serve.read)"),
        "the default is another"
    );

    let record = wanting(
        sweep(),
        ObjectiveRecord {
            minimise: some("p99(serve.raed)"),
            ..ObjectiveRecord::default()
        },
    );
    let page = render(&record);
    assert!(
        page.contains("It could not be asked"),
        "a phase that is not there"
    );
    // Who asks otherwise gets otherwise, and a record whose objective is no objective says so.
    let page = render_for(&record, Some(Objective::default()));
    assert!(page.contains("Objective: lowest p99 with a rate within 5 %"));
    let foreign = wanting(sweep(), ObjectiveRecord::default());
    assert!(render(&foreign).contains("objective cannot be read"));
}

#[test]
fn rounds_that_overlap_are_not_told_apart_and_one_round_says_so() {
    // Two idle thresholds that make no difference.
    let alike = Size {
        idle: &[1, 8],
        background: &["16MiB"],
        operations: 400,
        ..TYPICAL
    };
    let page = render(&support::record(alike));
    assert!(page.contains("engine: cannot tell; by medians point #"));
    assert!(page.contains("which might do better in further rounds: #"));
    let once = Size {
        rounds: 1,
        ..TYPICAL
    };
    let page = render(&support::record(once));
    assert!(page.contains("One round has no interval"));
}

#[test]
fn a_swept_knob_shows_the_value_of_the_point_shown() {
    let size = Size {
        idle: &[1],
        background: &["16MiB"],
        ..TYPICAL
    };
    let fast = Objective::HighestRate { p99_ns_max: None };
    let page = render_for(&support::record(size), Some(fast));
    let row = page
        .split("<tr>")
        .find(|row| row.contains("swept: 1, 2, 4, 8"));
    let row = row.expect("a row of a swept knob");
    assert!(row.contains("thread_pool_size"), "{row}");
    assert!(!row.contains(">1<"), "the first of the sweep: {row}");
    assert!(row.contains(">4<") || row.contains(">8<"), "{row}");
}

#[test]
fn what_was_asked_stands_beside_what_came_of_it() {
    let mut record = support::record(Size {
        rounds: 1,
        ..TYPICAL
    });
    assert!(!render(&record).contains("Asked and achieved"));
    for cell in &mut record.cells {
        cell.count("stored_ratio_asked", 2.5);
    }
    let page = render(&record);
    assert!(page.contains("Asked and achieved"));
    assert!(page.contains("0.976"), "2.44 of 2.5");
}

#[test]
fn a_run_as_markdown_leads_with_its_verdict() {
    let text = render_markdown(&support::record(TYPICAL), None);
    assert!(text.starts_with("## starter: good"), "{text}");
    // Rates this noisy leave open how fast the best is.
    assert!(
        text.contains("**engine: cannot tell; by medians point "),
        "{text}"
    );
    assert!(text.contains("| load.write | engine |"), "{text}");
}

#[test]
fn two_runs_on_one_page_show_what_differs() {
    let before = support::record(TYPICAL);
    let mut after = support::record(Size {
        threads: &[1, 2],
        ..TYPICAL
    });
    after.machine.kernel = "Linux 7.0".to_owned();
    let page = render_comparison(("before", &before), ("<after>", &after));
    keep("compare.html", &page);
    without_network(&page);
    for wanted in [
        "Two runs side by side",
        "&lt;after&gt;",
        "Linux 7.0",
        "cannot be told apart",
        "by chance alone",
        "stored_ratio",
        "throughput over time of on-btrfs",
    ] {
        assert!(page.contains(wanted), "the page lacks {wanted:?}");
    }
    assert!(!seen(&page).contains("NaN"), "a number is not one");
    let page = render_comparison(("before", &before), ("nothing", &empty()));
    assert!(page.contains("no measured number in common"));
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
        "no recommendation",
        "no space",
        "not run",
    ] {
        assert!(page.contains(wanted), "the page lacks {wanted:?}");
    }
}

#[test]
fn an_interrupted_run_shows_what_it_had() {
    let mut record = support::record(Size {
        rounds: 2,
        ..TYPICAL
    });
    record.status = RunStatus::Interrupted {
        reason: "SIGINT".to_owned(),
    };
    record.cells.truncate(30);
    let last = record.cells.last_mut().expect("thirty cells");
    last.fault = Some("the run ended inside this cell".to_owned());
    last.phases.truncate(1);
    let page = render(&record);
    keep("interrupted.html", &page);
    for wanted in [
        "stopped early: SIGINT",
        "exit 130",
        "the run ended inside this cell",
        "1 (1 with a fault)",
        "Pareto front",
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
    assert!(!seen(&page).contains("NaN"), "a number is not one");
}

#[test]
fn each_of_several_jobs_has_its_rows_and_a_phase_of_one_has_none() {
    let mut record = support::record(Size {
        rounds: 2,
        ..TYPICAL
    });
    let title = "Each job by itself";
    assert!(!render(&record).contains(title), "every phase has one job");
    let job = |name: &str, clients: u32, ops: &[OpRecord]| JobRecord {
        name: name.to_owned(),
        clients,
        ops: ops.to_vec(),
        schedule: None,
    };
    for cell in &mut record.cells {
        for phase in cell.phases.iter_mut().filter(|phase| phase.name == "serve") {
            let mut point_reads = job("point-reads<3", 7, &phase.ops[..1]);
            let mut late = LatencyHist::new();
            late.record_n(2_000_000, 77_777);
            point_reads.schedule = Some(ScheduleRecord::new(0, &late, 9_000_000));
            phase.jobs = vec![point_reads, job("loader", 5, &phase.ops[1..])];
        }
    }
    let page = render(&record);
    let (_, table) = page.split_once(title).expect("the section");
    let (table, _) = table.split_once("</table>").expect("a table");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("<tr>"))
        .collect();
    // Of both targets: what was read, and what was written and synced.
    assert_eq!(rows.len(), 2 * 3, "{table}");
    let open = rows.iter().filter(|row| row.contains("<td>open</td>"));
    assert!(
        open.clone()
            .all(|row| row.contains("<td>point-reads&lt;3</td><td>read</td>"))
    );
    assert_eq!(open.count(), 2);
    let closed = rows.iter().filter(|row| row.contains("<td>closed</td>"));
    assert!(
        closed
            .clone()
            .all(|row| row.contains("<td>loader</td>") && row.contains(">5<"))
    );
    assert_eq!(closed.count(), 4);
    assert!(
        page.contains("serve.point-reads&lt;3"),
        "how its schedule was kept"
    );
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
            phase.jobs = ["one", "two"]
                .map(|name| JobRecord {
                    name: named(name),
                    ops: phase.ops.clone(),
                    ..JobRecord::default()
                })
                .to_vec();
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
    let both = render_comparison((hostile, &record), (hostile, &record));
    for page in [page, both] {
        assert!(!page.contains("<script>alert"), "a script got in");
        assert!(!page.contains("<img"), "an element got in");
        assert!(
            !page.contains("</script><script>a"),
            "a script element was ended early"
        );
        assert!(page.contains("&lt;script&gt;alert"), "the name is shown");
    }
}
