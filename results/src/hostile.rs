//! Hostile result files, for tests and fuzzers: a record, the events of a run, a baseline, a histogram, of
//! any bytes.
//!
//! Each function reads what it is given and makes of it all that is ever made of it: the page, the
//! tables, the log, the gate, assertions. They return where the input is refused or survived, and
//! panic where an invariant breaks.
//!
//! Not here: the inputs (tests/corpus), who calls (tests/hostile, the fuzz targets).

use std::path::Path;

use crate::assertion::evaluate;
use crate::export::{
    cells_csv, counters_csv, go_bench, hdr_log, intervals_csv, salvage_bytes, times_csv,
};
use crate::gate::{Baseline, Rules, gate};
use crate::hist::LatencyHist;
use crate::record::{RunRecord, parse};
use crate::report::{render, render_comparison, render_markdown};

/// What messages call the input.
const ORIGIN: &str = "hostile";

/// A `result.json`.
pub fn record(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse(&text, Path::new(ORIGIN)) {
        Ok(record) => use_record(&record),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// An `events.ndjson`.
pub fn events(bytes: &[u8]) {
    match salvage_bytes(bytes, Path::new(ORIGIN)) {
        Ok(salvaged) => use_record(&salvaged.record),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A baseline, a line break, and the record to hold against it.
pub fn baseline(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (baseline, record) = text.split_once('\n').unwrap_or((&text, ""));
    let path = Path::new(ORIGIN);
    match (Baseline::parse(baseline, path), parse(record, path)) {
        (Ok(baseline), Ok(record)) => use_baseline(baseline, &record),
        (Err(error), _) => assert!(!error.to_string().is_empty()),
        (_, Err(error)) => assert!(!error.to_string().is_empty()),
    }
}

/// The text of a histogram.
pub fn hdr(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(mut hist) = LatencyHist::decode(&text) else {
        return;
    };
    use_hist(&hist);
    let again = LatencyHist::decode(&hist.encode()).expect("own text decodes");
    assert_eq!(again.count(), hist.count());
    hist.merge(&again);
    hist.record(u64::MAX);
    use_hist(&hist);
}

fn use_hist(hist: &LatencyHist) {
    assert!(hist.ns_at(0.5) <= hist.ns_at(0.99));
    assert!(hist.ns_min() <= hist.ns_max());
    assert!(hist.ns_mean() >= 0.0);
    assert!(hist.curve().len() < 10_000);
}

fn use_record(record: &RunRecord) {
    assert!(!render(record).is_empty());
    assert!(!render_markdown(record, None).is_empty());
    assert!(!render_comparison(("left", record), ("right", record)).is_empty());
    assert!(!go_bench(record, "left").is_empty());
    let runs = [("run", record)];
    assert!(!cells_csv(&runs).is_empty() && !intervals_csv(&runs).is_empty());
    assert!(!times_csv(&runs).is_empty() && !counters_csv(&runs).is_empty());
    // A damaged histogram is an error here and nowhere else.
    let _log = hdr_log(record);
    assert_eq!(evaluate(record).len(), record.assertions.len());
    if let Ok(baseline) = Baseline::from_record(record, &Rules::default(), "hostile", "now") {
        let report = gate(&baseline, record).expect("it is of the same workload");
        assert_eq!(report.rows.len(), baseline.entries.len());
    }
    let text = serde_json::to_string(record).expect("a record has only string keys");
    let again = parse(&text, Path::new(ORIGIN));
    assert!(again.is_ok(), "own text is refused: {again:?}");
}

fn use_baseline(mut baseline: Baseline, record: &RunRecord) {
    if let Ok(report) = gate(&baseline, record) {
        assert!(!report.table().is_empty());
    }
    baseline.workload_hash.clone_from(&record.workload.hash);
    if let Ok(report) = gate(&baseline, record) {
        assert_eq!(report.rows.len(), baseline.entries.len());
        assert!(!report.table().is_empty());
    }
}
