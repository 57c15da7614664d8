//! Hostile result files: whatever they hold is refused in words or survived, in bounded memory.
//!
//! Proved by `delalloc_results::hostile`, which makes of a file all that is ever made of one, on
//! what coverage-guided fuzzing kept (`tests/corpus`), on random bytes and on sound files with some values
//! changed; and by single inputs that are known to kill readers: histograms that announce gigabytes,
//! numbers at the end of arithmetic, nesting. Those run in a process of their own whose address space is
//! limited. `DELALLOC_CASES` sets how many random inputs each kind gets.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delalloc_results::hist::LatencyHist;
use delalloc_results::record::{
    Cell, JobRecord, Latency, OpRecord, PhaseRecord, RunRecord, Sample, Setting, StageRecord,
    Stall, SweepAxis, Target, Tool, Workload, parse,
};
use delalloc_results::{Baseline, gate, hostile, render};
use proptest::prelude::*;

/// Random inputs of each kind.
const CASES: u32 = 150;
/// Address space of a process that reads hostile input, in KiB.
const MEMORY_KIB: u64 = 512 << 10;
/// Says to a test that it is the process with limited memory.
const LIMITED: &str = "DELALLOC_TEST_LIMITED";

/// A name of a corpus, and what takes its bytes.
type Taker = (&'static str, fn(&[u8]));

#[test]
fn what_fuzzing_kept_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let targets: [Taker; 4] = [
        ("record", hostile::record),
        ("events", hostile::events),
        ("baseline", hostile::baseline),
        ("hdr", hostile::hdr),
    ];
    for (target, try_bytes) in targets {
        let folder = corpus.join(target);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).expect("the corpus is there") {
            let path = entry.expect("the corpus is there").path();
            let bytes = fs::read(&path).expect("the corpus is there");
            let tried = catch_unwind(|| try_bytes(&bytes));
            assert!(tried.is_ok(), "{}", path.display());
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no input", folder.display());
    }
}

/// Gives `try_bytes` so many of `inputs`; a failure shows the smallest that fails.
fn every(inputs: impl Strategy<Value = Vec<u8>>, try_bytes: fn(&[u8])) {
    let cases = std::env::var("DELALLOC_CASES").ok();
    let cases = cases.map_or(CASES, |text| text.parse().expect("a number of cases"));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    });
    let result = runner.run(&inputs, |bytes| {
        try_bytes(&bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// A small record with something of everything.
fn sound_record() -> RunRecord {
    let mut record = RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
    record.targets = vec![Target {
        name: "engine".to_owned(),
        kind: "engine".to_owned(),
        ..Target::default()
    }];
    record.sweep = vec![SweepAxis {
        knob: "threads".to_owned(),
        unit: "threads".to_owned(),
        values: vec![1.into(), 2.into()],
    }];
    record.assertions = vec!["p99(engine, load.write) <= 20ms".to_owned()];
    let mut hist = LatencyHist::new();
    (1..100).for_each(|n| hist.record(n * 1000));
    for (round, threads) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        let op = OpRecord::new("write", 4096 * 99, 0, &hist, &hist);
        let sample = Sample {
            t_ns: 1_000_000,
            ops: 9,
            bytes: 4096,
            dirty_bytes: Some(9),
            spectrum: vec![(0, 1), (7, 2), (4096, 3)],
            workers: [("delalloc".to_owned(), 2)].into(),
            stalls: vec![Stall {
                cause: "dirty".to_owned(),
                ns: 5,
            }],
            ..Sample::default()
        };
        record.cells.push(Cell {
            target: "engine".to_owned(),
            point: vec![Setting {
                knob: "threads".to_owned(),
                value: threads.into(),
            }],
            round,
            phases: vec![PhaseRecord {
                name: "load".to_owned(),
                wall_ns: 2_000_000,
                jobs: vec![JobRecord {
                    name: "writer".to_owned(),
                    clients: 2,
                    ops: vec![op.clone()],
                    schedule: None,
                }],
                ops: vec![op],
                series: vec![sample],
                ..PhaseRecord::default()
            }],
            counters: [("stored_ratio".to_owned(), 2.5)].into(),
            stages: vec![StageRecord {
                name: "encode".to_owned(),
                items: 3,
                bytes: 4096,
                queued_ns: 5,
                running_ns: 7,
                ..StageRecord::default()
            }],
            ..Cell::default()
        });
    }
    record
}

fn json(record: &RunRecord) -> String {
    serde_json::to_string(record).expect("plain data")
}

/// `text` with some of its numbers and marks replaced by what is awkward there.
fn damaged(text: String) -> impl Strategy<Value = Vec<u8>> {
    let awkward = prop::sample::select(vec![
        "18446744073709551615",
        "9007199254740993",
        "-1",
        "1e308",
        "5e-324",
        "1e999",
        "NaN",
        "null",
        "\"\"",
        "[]",
        "{}",
        "true",
        ",",
        "\n",
        "0",
        "\u{0}",
        "\"</script>\"",
    ]);
    let places = prop::collection::vec((any::<prop::sample::Index>(), awkward), 0..6);
    places.prop_map(move |places| {
        let mut text = text.clone();
        for (place, instead) in places {
            let starts: Vec<usize> = number_starts(&text);
            if starts.is_empty() {
                break;
            }
            let start = starts[place.index(starts.len())];
            let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e');
            let bytes = text[start..].find(|c| !is_number(c)).unwrap_or(1).max(1);
            text.replace_range(start..start + bytes, instead);
        }
        text.into_bytes()
    })
}

/// Where numbers begin.
fn number_starts(text: &str) -> Vec<usize> {
    text.match_indices([':', ',', '['])
        .map(|(at, _)| at + 1)
        .filter(|&at| text[at..].starts_with(|c: char| c.is_ascii_digit() || c == '-'))
        .collect()
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

#[test]
fn any_record_is_refused_or_survived() {
    every(damaged(json(&sound_record())), hostile::record);
    every(any_bytes(), hostile::record);
}

#[test]
fn any_events_are_refused_or_survived() {
    let record = sound_record();
    let begun = RunRecord {
        cells: Vec::new(),
        ..record.clone()
    };
    let mut lines = format!(
        "{{\"reason\":\"run-started\",\"record\":{},\"cells_planned\":4}}\n",
        json(&begun)
    );
    let cell = serde_json::to_string(&record.cells[0]).expect("plain data");
    let phase = serde_json::to_string(&record.cells[0].phases[0]).expect("plain data");
    let sample = serde_json::to_string(&record.cells[0].phases[0].series[0]).expect("plain data");
    let key = "{\"target\":\"engine\",\"point\":[],\"round\":1}";
    lines += &format!("{{\"reason\":\"cell-finished\",\"cell\":{cell}}}\n");
    lines += &format!("{{\"reason\":\"cell-started\",\"cell\":{key}}}\n");
    lines += &format!("{{\"reason\":\"phase-finished\",\"cell\":{key},\"phase\":{phase}}}\n");
    lines += &format!("{{\"reason\":\"phase-finished\",\"cell\":{key},\"phase\":{phase}}}\n");
    lines += &format!(
        "{{\"reason\":\"interval\",\"cell\":{key},\"phase\":\"x\",\"sample\":{sample}}}\n"
    );
    every(damaged(lines), hostile::events);
    every(any_bytes(), hostile::events);
}

#[test]
fn any_baseline_is_refused_or_survived() {
    let baseline = concat!(
        "{\"baseline_version\":1,\"workload\":\"\",\"workload_hash\":\"\",\"revision\":\"\",",
        "\"blessed_at\":\"\",\"reason\":\"r\",\"entries\":[{\"expression\":",
        "\"\\\"engine\\\":\\\"stored_ratio\\\"\",\"value\":2.5,\"unit\":\"ratio\",",
        "\"better\":\"higher\",\"tolerance\":{\"relative\":0.02}}]}"
    );
    let both = format!("{baseline}\n{}", json(&sound_record()));
    every(damaged(both), hostile::baseline);
    every(any_bytes(), hostile::baseline);
}

/// The text of an HDR V2 histogram with these header fields, and these bytes for counts.
fn hdr_text(payload_bytes: u32, digits: u32, low: u64, high: u64, counts: &[u8]) -> String {
    let mut bytes = 0x1c84_9313_u32.to_be_bytes().to_vec();
    for field in [payload_bytes, 0, digits] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    bytes.extend_from_slice(&low.to_be_bytes());
    bytes.extend_from_slice(&high.to_be_bytes());
    bytes.extend_from_slice(&1.0_f64.to_be_bytes());
    bytes.extend_from_slice(counts);
    STANDARD.encode(bytes)
}

#[test]
fn any_histogram_is_refused_or_survived() {
    let fields = (0..600_u32, 0..6_u32, any::<u64>(), any::<u64>());
    let counts = prop::collection::vec(any::<u8>(), 0..40);
    let texts =
        (fields, counts, 0..64_u32).prop_map(|((len, digits, low, high), counts, shift)| {
            let len = if len < 300 {
                u32::try_from(counts.len()).expect("few")
            } else {
                len
            };
            hdr_text(len, digits, low >> shift, high >> (shift / 2), &counts).into_bytes()
        });
    every(texts, hostile::hdr);
    every(any_bytes(), hostile::hdr);
}

// ---- known killers, in bounded memory ----

/// Runs the test `name` again, alone, in a process of `MEMORY_KIB`; false in that process itself.
fn runs_limited(name: &str) -> bool {
    if std::env::var_os(LIMITED).is_some() {
        return false;
    }
    let program = std::env::current_exe().expect("this test runs");
    let output = Command::new("timeout")
        .args(["60", "sh", "-c"])
        .args([
            "ulimit -v \"$1\" && exec \"$2\" --exact \"$3\" --test-threads 1 --nocapture",
            "sh",
        ])
        .arg(MEMORY_KIB.to_string())
        .arg(program)
        .arg(name)
        .env(LIMITED, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{name} in {MEMORY_KIB} KiB: {:?}\n{told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn histograms_that_announce_gigabytes_are_refused() {
    if runs_limited("histograms_that_announce_gigabytes_are_refused") {
        return;
    }
    for text in [
        hdr_text(u32::MAX, 3, 1, 1 << 40, &[2]),
        hdr_text(1 << 30, 3, 1, 1 << 40, &[2]),
        hdr_text(1, 5, 1, u64::MAX, &[2]),
    ] {
        let error = LatencyHist::decode(&text).expect_err("nobody wrote that");
        assert!(error.to_string().contains("does not decode"), "{error}");
    }
}

#[test]
fn a_histogram_of_impossible_counts_is_refused() {
    // The most negative run of zeros there is.
    let zeros = [0xff; 9];
    assert!(LatencyHist::decode(&hdr_text(9, 3, 1, 1 << 40, &zeros)).is_err());
    // Two counts whose sum is beyond 64 bits.
    let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let counts = [most, most, most].concat();
    assert!(LatencyHist::decode(&hdr_text(27, 3, 1, 1 << 40, &counts)).is_err());
}

#[test]
fn numbers_at_the_end_of_arithmetic_are_drawn_and_summed() {
    if runs_limited("numbers_at_the_end_of_arithmetic_are_drawn_and_summed") {
        return;
    }
    let most = u64::MAX.to_string();
    let text = json(&sound_record());
    for (field, values) in [
        ("wall_ns", vec![&*most, "0"]),
        ("t_ns", vec![&*most]),
        ("ns", vec![&*most]),
        ("bytes", vec![&*most]),
        ("bytes_verified", vec![&*most]),
        ("count", vec![&*most, "0"]),
        ("ns_max", vec![&*most, "0"]),
        ("running_ns", vec![&*most]),
        ("start_ns", vec![&*most]),
        ("stored_ratio", vec!["1e308", "5e-324", "-1e308", "0"]),
        ("ns_mean", vec!["1e308", "5e-324", "-1"]),
    ] {
        for value in values {
            let mut changed = String::new();
            for part in text.split_inclusive(&format!("\"{field}\":")) {
                let after_field = changed.ends_with(&format!("\"{field}\":"));
                let end = part.find([',', '}']).unwrap_or(0);
                if after_field {
                    changed.push_str(value);
                    changed.push_str(&part[end..]);
                } else {
                    changed.push_str(part);
                }
            }
            hostile::record(changed.as_bytes());
        }
    }
    let full = text.replace("[7,2]", &format!("[{most},{most}]"));
    assert_ne!(full, text, "the record has a spectrum");
    hostile::record(full.as_bytes());
}

#[test]
fn axes_of_awkward_ends_have_few_ticks() {
    if runs_limited("axes_of_awkward_ends_have_few_ticks") {
        return;
    }
    let mut record = sound_record();
    for (first, second) in [
        (f64::MAX, f64::MIN_POSITIVE),
        (9_007_199_254_740_992.0, 9_007_199_254_740_994.0),
        (5e-324, 1e-323),
        (-1e308, 1e308),
    ] {
        record.sweep[0].values = vec![first.into(), second.into()];
        for cell in &mut record.cells {
            let value = if cell.point[0].value == 1.into() {
                first
            } else {
                second
            };
            cell.point[0].value = value.into();
            for op in &mut cell.phases[0].ops {
                op.response = Latency {
                    ns_mean: value,
                    ..op.response.clone()
                };
            }
        }
        assert!(render(&record).len() < 4 << 20);
        record = sound_record();
    }
}

#[test]
fn nesting_and_other_types_are_refused_with_their_place() {
    let nested = format!(
        "{{\"schema_version\":1,\"tool\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for text in [
        nested,
        json(&sound_record()).replace("\"round\":0", "\"round\":-1"),
        json(&sound_record()).replace("\"round\":0", "\"round\":\"0\""),
        json(&sound_record()).replace("\"t_ns\":1000000", "\"t_ns\":NaN"),
        json(&sound_record()).replace("\"t_ns\":1000000", "\"t_ns\":1e999"),
        json(&sound_record()).replace("\"t_ns\":1000000", "\"t_ns\":99999999999999999999999"),
        json(&sound_record()).replace("\"cells\":[", "\"cells\":[7,"),
    ] {
        let error = parse(&text, Path::new("result.json")).expect_err("it is no record");
        let error = error.to_string();
        assert!(error.contains("result.json:1:"), "{error}");
    }
    let baseline = serde_json::from_str::<Baseline>("{\"baseline_version\":99999999999}");
    assert!(baseline.is_err());
    let newer = Baseline {
        baseline_version: u32::MAX,
        ..Baseline::default()
    };
    assert!(gate(&newer, &sound_record()).is_err());
}
