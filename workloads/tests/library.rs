//! The workloads that come along: they load, they validate, and their operations are those of last year.

use std::path::Path;
use std::sync::Arc;

use delalloc_workloads::{
    Checks, Cursors, Estimate, LoadPlan, Op, WorkloadPlan, dry_run_text, library, load,
    workload_reference, workload_schema,
};

/// Hashes of the first 10,000 operations of each workload. A change here changes results: it is to be meant, and said
/// in the changelog under Numbers.
const GOLDEN: &str = include_str!("golden.txt");
const OPS: usize = 10_000;

fn plan(name: &str) -> WorkloadPlan {
    load(name, &[], Checks::none()).unwrap_or_else(|error| panic!("{error}"))
}

/// What of an operation a target sees, as bytes.
fn op_words(op: &Op) -> [u64; 5] {
    let file = op.file().map_or(u64::MAX, |file| u64::from(file.0));
    let (a, b, c) = match *op {
        Op::Read { offset, bytes, .. } | Op::PunchHole { offset, bytes, .. } => (offset, bytes, 0),
        Op::Write {
            offset,
            bytes,
            version,
            ..
        } => (offset, bytes, version),
        Op::Truncate { bytes, .. } => (bytes, 0, 0),
        Op::Rename { serial, .. } => (u64::from(serial), 0, 0),
        _ => (0, 0, 0),
    };
    [op.kind() as u64, file, a, b, c]
}

/// Operations of all streams of all phases, streams in turns, phases in order.
fn stream_hash(load: &LoadPlan) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    let cursors = Arc::new(Cursors::new(load));
    let phases = load.phases.len();
    for phase in 0..phases {
        let mut streams = load.streams(phase, &cursors).unwrap();
        for _ in 0..OPS / phases / streams.len() {
            for stream in &mut streams {
                let Some(next) = stream.next() else {
                    continue;
                };
                let next = next.unwrap();
                let timing = [next.due_ns.unwrap_or(u64::MAX), next.think_ns];
                for word in op_words(&next.op).into_iter().chain(timing) {
                    hash.update(&word.to_le_bytes());
                }
            }
        }
    }
    hash.digest()
}

#[test]
fn every_workload_loads_and_can_be_shown() {
    for (name, _) in library() {
        let plan = plan(name);
        assert_eq!(plan.name, *name);
        assert!(!plan.about.is_empty(), "{name} says nothing about itself");
        let text = dry_run_text(&plan, &Estimate::of(&plan, &|_, _| 0));
        assert!(text.contains("estimate"), "{text}");
        assert!(serde_json::to_value(&plan).is_ok());
    }
}

#[test]
fn the_first_operations_are_what_they_were() {
    let mut found = String::new();
    for (name, _) in library() {
        let plan = plan(name);
        if plan.loads[0]
            .phases
            .iter()
            .any(|phase| phase.name == "replay")
        {
            continue; // A recording comes from elsewhere; tests/trace.rs has its own.
        }
        found += &format!("{name} {:016x}\n", stream_hash(&plan.loads[0]));
    }
    if found != GOLDEN && std::env::var_os("DELALLOC_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
        std::fs::write(path, &found).unwrap();
        return;
    }
    assert_eq!(
        found, GOLDEN,
        "write it again with DELALLOC_BLESS=1 if that is meant"
    );
}

#[test]
fn each_says_what_it_stands_for_and_where_its_schema_is() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in library() {
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        assert!(
            first.starts_with("# ") && first.len() > 40,
            "{name}: {first}"
        );
        let schema = lines
            .next()
            .unwrap()
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{name} names no schema in its second line"));
        let beside = if *name == "starter" {
            home.join("..")
        } else {
            home.to_owned()
        };
        assert!(beside.join(schema).exists(), "{name}: {schema}");
    }
    let files = std::fs::read_dir(home).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".yaml")
    });
    assert_eq!(
        files.count() + 1,
        library().len(),
        "a workload is not in the library"
    );
}

/// What an editor would make of a workload: maps, lists, numbers where they look like numbers.
fn as_json(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("workload.schema.json");
    let fresh = format!("{:#}\n", workload_schema());
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if fresh != committed && std::env::var_os("DELALLOC_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert!(
        fresh == committed,
        "workload.schema.json is not that of the types; write it again with DELALLOC_BLESS=1"
    );
}

#[test]
fn the_committed_reference_is_that_of_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/workload-language.md");
    let fresh = workload_reference();
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if fresh != committed && std::env::var_os("DELALLOC_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert!(
        fresh == committed,
        "docs/workload-language.md is not that of the schema; write it again with DELALLOC_BLESS=1"
    );
}

#[test]
fn every_workload_validates_and_a_wrong_one_does_not() {
    let schema = workload_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, text) in library() {
        let faults: Vec<String> = validator
            .iter_errors(&as_json(text))
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
    let (_, starter) = library()[0];
    for (right, wrong) in [
        ("seed: 1", "sead: 1"),
        ("version: 1", "version: 2"),
        ("write: table", "write: table, read: table"),
        ("end: sync", "end: snyc"),
        ("clients: 2", "clients: 0"),
        ("{ ratio: 2.5 }", "{ ratio: 2.5, corpus: x }"),
    ] {
        assert!(starter.contains(right), "{right}");
        let text = starter.replacen(right, wrong, 1);
        assert!(!validator.is_valid(&as_json(&text)), "{wrong}");
        assert!(
            delalloc_workloads::load_str(&text, "x", &[], Checks::none()).is_err(),
            "{wrong}"
        );
    }
}
