//! A record outlives the version that wrote it, follows its published schema, and exports whole.

mod support;

use delalloc_results::export::{cells_csv, counters_csv, hdr_log, intervals_csv, times_csv};
use delalloc_results::record::{
    JobRecord, OpRecord, SCHEMA_VERSION, SpanRecord, StageRecord, parse,
};
use delalloc_results::{RunRecord, load, render_markdown, result_schema, save};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use std::path::Path;
use support::{Size, TYPICAL};

const SMALL: Size = Size {
    threads: &[1, 2],
    idle: &[1],
    background: &["16MiB"],
    rounds: 2,
    operations: 40,
};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Set to write the schema anew after a change of the types.
const BLESS: &str = "DELALLOC_BLESS";

#[test]
fn the_committed_schema_is_fresh() {
    let path = folder().join("result.schema.json");
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, result_schema()).expect("the folder is writable");
    }
    let committed = std::fs::read_to_string(&path).expect("the schema is committed");
    assert!(
        committed == result_schema(),
        "results/result.schema.json is stale: run this test with {BLESS}=1 and commit it"
    );
}

#[test]
fn a_record_follows_the_schema_and_a_broken_one_does_not() {
    let schema: serde_json::Value = serde_json::from_str(&result_schema()).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut record = serde_json::to_value(support::record(SMALL)).expect("plain data");
    if let Some(error) = validator.iter_errors(&record).next() {
        panic!("{error} at {}", error.instance_path());
    }
    record["status"] = "done".into();
    assert!(!validator.is_valid(&record));
}

#[test]
fn a_record_survives_its_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("result.json");
    let record = support::record(SMALL);
    save(&record, &path).expect("saved");
    assert_eq!(load(&path).expect("loaded"), record);
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("listed").count(),
        1,
        "no partial file stays"
    );
}

#[test]
fn the_first_version_still_loads() {
    let path = folder().join("tests/data/record-v1.json");
    let record = load(&path).expect("an old record loads");
    assert_eq!(record.workload.name, "starter");
    assert_eq!(
        record.cells[0].phases[0].ops[0]
            .response
            .hist()
            .expect("decodes")
            .count(),
        3
    );
    assert_eq!(record.cells[0].counters["stored_ratio"], 2.5);
}

#[test]
fn fields_of_a_later_version_are_ignored_and_a_later_shape_is_refused() {
    let mut value = serde_json::to_value(support::record(SMALL)).expect("plain data");
    value["invented_later"] = 1.into();
    value["cells"][0]["phases"][0]["also_later"] = "x".into();
    let text = value.to_string();
    parse(&text, Path::new("later.json")).expect("unknown fields are ignored");

    value["schema_version"] = (SCHEMA_VERSION + 1).into();
    let refused = |text: &str| {
        parse(text, Path::new("later.json"))
            .expect_err("refused")
            .to_string()
    };
    let error = refused(&value.to_string());
    assert!(
        error.contains("schema_version 2") && error.contains("later.json"),
        "{error}"
    );
    let error = refused(&text[..text.len() / 2]);
    assert!(
        error.contains("later.json:1:") && error.contains("events.ndjson"),
        "{error}"
    );
}

#[test]
fn tables_are_tidy() {
    let record = support::record(SMALL);
    let table = cells_csv(&[("a run", &record)]);
    let mut lines = table.lines();
    let head = lines.next().expect("a head");
    assert!(
        head.starts_with("run,target,round,knob:thread_pool_size,knob:delalloc.idle_thresh,"),
        "{head}"
    );
    let columns = head.split(',').count();
    // Two points and one kernel cell, two rounds, six operations in three phases.
    assert_eq!(lines.clone().count(), 3 * 2 * 6);
    assert!(
        lines.all(|line| line.split(',').count() == columns),
        "{table}"
    );
    let samples: usize = phases(&record).map(|phase| phase.series.len()).sum();
    let intervals = intervals_csv(&[("a run", &record)]);
    assert_eq!(intervals.lines().count(), samples + 1);
}

#[test]
fn times_and_counters_are_tidy_and_say_of_which_phase_they_are() {
    let mut record = support::record(SMALL);
    record.cells.truncate(1);
    let time = |name: &str, ns: u64| SpanRecord {
        name: name.to_owned(),
        count: 3,
        ns_mean: ns as f64,
        ns_p99: 2 * ns,
        ns_max: 3 * ns,
        coarse: true,
        ..SpanRecord::default()
    };
    let cell = &mut record.cells[0];
    (cell.stages, cell.spans) = (Vec::new(), vec![time("home", 700)]);
    let phase = &mut cell.phases[2];
    let name = phase.name.clone();
    phase.counters = [("device.flushes".to_owned(), 4.0)].into();
    phase.stages = vec![StageRecord {
        name: "compress".to_owned(),
        times: vec![time("queued", 50), time("running", 100)],
        ..StageRecord::default()
    }];
    phase.spans = vec![SpanRecord {
        max_is_edge: true,
        ..time("home", 500)
    }];
    let start_ns = phase.start_ns;
    let runs = [("run", &record)];
    let times = times_csv(&runs);
    let rows: Vec<&str> = times.lines().skip(1).collect();
    assert_eq!(rows.len(), 4, "{times}");
    assert!(
        rows[0].ends_with(",,,,,home,3,700.0,0,1400,2100,true,false,"),
        "{times}"
    );
    let of_phase = format!(",{name},steady,{start_ns},");
    let queued = format!("{of_phase}compress,queued,3,50.0,0,100,150,true,false,");
    assert!(rows[1].ends_with(&queued), "{times}");
    let home = format!("{of_phase},home,3,500.0,0,1000,1500,true,true,");
    assert!(rows[3].ends_with(&home), "{times}");

    let counters = counters_csv(&runs);
    let flushes = format!("{of_phase}device.flushes,4,");
    assert_eq!(
        counters
            .lines()
            .filter(|row| row.ends_with(&flushes))
            .count(),
        1
    );
    let all = record.cells[0].counters.len();
    assert_eq!(counters.lines().count(), 1 + all + 1, "{counters}");
}

#[test]
fn what_is_broken_is_told_from_what_is_whole_and_one_run_from_another() {
    let mut broken = support::record(SMALL);
    broken.sweep.clear();
    for cell in &mut broken.cells {
        cell.point.clear();
    }
    broken.cells.truncate(2);
    broken.cells[0].fault = Some("no space, \"disk\" full".to_owned());
    broken.cells[1].fault = Some("not opened".to_owned());
    broken.cells[1].phases.clear();
    let whole = support::record(SMALL);
    let runs = [("broken", &broken), ("whole", &whole)];
    for table in [cells_csv(&runs), intervals_csv(&runs)] {
        let (head, rows) = table.split_once('\n').expect("a head");
        assert!(
            head.starts_with("run,target,") && head.ends_with(",fault"),
            "{head}"
        );
        assert_eq!(table.matches("run,target,").count(), 1, "one head");
        assert!(
            head.contains("knob:dirty.background"),
            "of the second run alone"
        );
        let mut faults = rows.lines().filter(|row| row.starts_with("broken,"));
        assert!(faults.clone().count() > 0);
        assert!(faults.all(|row| row.ends_with("full\"") || row.ends_with(",not opened")));
        let mut good = rows.lines().filter(|row| row.starts_with("whole,"));
        assert!(good.clone().count() > 0 && good.all(|row| row.ends_with(',')));
    }
    let cells = cells_csv(&runs);
    assert_eq!(
        cells.matches(",not opened\n").count(),
        1,
        "a row without numbers"
    );
    let columns = cells.lines().next().expect("a head").split(',').count();
    let row = cells.lines().find(|row| row.ends_with(",not opened"));
    assert_eq!(row.expect("its row").split(',').count(), columns);
}

#[test]
fn no_name_becomes_a_formula() {
    for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
        let mut record = support::record(SMALL);
        record.cells.truncate(1);
        let cell = &mut record.cells[0];
        cell.target = name.to_owned();
        cell.point[0].value = name.into();
        cell.point[1].value = (-8_i64).into();
        for phase in &mut cell.phases {
            phase.name = name.to_owned();
        }
        cell.fault = Some(name.to_owned());
        let runs = [(name, &record)];
        for table in [cells_csv(&runs), intervals_csv(&runs)] {
            for row in table.lines().skip(1) {
                let begins = format!("'{name},'{name},0,'{name},-8,");
                assert!(row.starts_with(&begins), "{row}");
                assert!(row.ends_with(&format!(",'{name}")), "{row}");
                assert!(!row.contains(&format!(",{name}")), "{row}");
            }
        }
    }
}

#[test]
fn a_name_with_a_comma_is_quoted() {
    let mut record = support::record(SMALL);
    record.cells.truncate(1);
    record.cells[0].target = "a,\"b\"".to_owned();
    let table = cells_csv(&[("run", &record)]);
    assert!(table.contains("\nrun,\"a,\"\"b\"\"\",0,"), "{table}");
}

#[test]
fn the_histogram_log_reads_back() {
    let record = support::record(SMALL);
    let log = hdr_log(&record).expect("histograms decode");
    let mut tags = Vec::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        if let LogEntry::Interval(interval) = entry.expect("a log entry") {
            let tag = interval.tag().expect("tagged").as_str().to_owned();
            let hist = delalloc_results::LatencyHist::decode(interval.encoded_histogram());
            assert!(hist.expect("decodes").count() > 0);
            tags.push(tag);
        }
    }
    assert_eq!(
        tags.len(),
        phases(&record).map(|phase| phase.ops.len()).sum::<usize>()
    );
    assert!(
        tags.iter().any(|tag| tag == "on-btrfs/base/0/load/write"),
        "{tags:?}"
    );
}

/// Two jobs share the last phase: one has its first kind of operation, one the others.
fn with_jobs(names: [&str; 2]) -> RunRecord {
    let mut record = support::record(SMALL);
    for cell in &mut record.cells {
        let phase = cell.phases.last_mut().expect("phases");
        let (first, others) = phase.ops.split_at(1);
        let job = |name: &str, ops: &[OpRecord]| JobRecord {
            name: name.to_owned(),
            clients: 2,
            ops: ops.to_vec(),
            schedule: None,
        };
        phase.jobs = vec![job(names[0], first), job(names[1], others)];
    }
    record
}

#[test]
fn rows_of_jobs_are_told_from_those_of_their_phase() {
    let record = with_jobs(["=reader", "a,b"]);
    let table = cells_csv(&[("run", &record)]);
    let head: Vec<&str> = table.lines().next().expect("a head").split(',').collect();
    let column = |name: &str| head.iter().position(|one| *one == name).expect(name);
    let (job, count) = (column("job"), column("count"));
    assert_eq!(head[job - 1..=job + 1], ["start_ns", "job", "op"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(1)
        .filter(|row| row.contains(",serve,"))
        .map(|row| row.split(',').collect())
        .collect();
    let sum = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let rows = rows.iter().filter(|row| wanted(row[job]));
        // The comma in the second name is one column more.
        rows.map(|row| row[count + usize::from(row[job] == "\"a")])
            .map(|count| count.parse::<u64>().expect("a count"))
            .sum()
    };
    let of_phases = sum(&|job| job.is_empty());
    assert!(of_phases > 0);
    assert_eq!(sum(&|job| !job.is_empty()), of_phases);
    assert!(table.contains(",'=reader,read,") && table.contains(",\"a,b\",write,"));
    assert!(!table.contains(",=reader"), "no formula");
    let without = cells_csv(&[("run", &support::record(SMALL))]);
    let of_phase = table.lines().filter(|row| without.contains(row));
    assert_eq!(of_phase.count(), without.lines().count(), "what was there");

    let log = hdr_log(&record).expect("histograms decode");
    let tags = [
        "0/serve/read,",
        "0/serve/=reader/read,",
        "0/serve/a;b/sync,",
    ];
    for tag in tags {
        assert!(log.contains(tag), "{tag}");
    }
}

#[test]
fn jobs_are_in_the_record_and_their_numbers_in_its_markdown() {
    let record = with_jobs(["reader", "<writer>"]);
    let text = serde_json::to_string(&record).expect("plain data");
    let again = parse(&text, Path::new("record")).expect("it reads");
    assert_eq!(again, record);
    let page = render_markdown(&record, None);
    assert!(
        page.contains("| serve | &lt;writer&gt; | sync | engine | 2 | closed |"),
        "{page}"
    );
    assert!(!render_markdown(&support::record(SMALL), None).contains("Each job by itself"));
}

#[test]
fn the_same_seed_makes_the_same_record() {
    assert_eq!(support::record(SMALL), support::record(SMALL));
    assert_ne!(
        support::record(SMALL),
        support::record(Size {
            operations: 41,
            ..SMALL
        })
    );
    assert_eq!(TYPICAL.rounds, 3);
}

fn phases(record: &RunRecord) -> impl Iterator<Item = &delalloc_results::record::PhaseRecord> {
    record.cells.iter().flat_map(|cell| &cell.phases)
}
