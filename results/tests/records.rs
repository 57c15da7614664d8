//! A record outlives the version that wrote it, follows its published schema, and exports whole.

mod support;

use delalloc_results::export::{cells_csv, hdr_log, intervals_csv};
use delalloc_results::record::{SCHEMA_VERSION, parse};
use delalloc_results::{RunRecord, load, result_schema, save};
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
