//! Hostile workloads and recordings: whatever they hold is refused in words or survived, in bounded
//! memory.
//!
//! Proved by `delalloc_workloads::hostile` on what coverage-guided fuzzing kept (`tests/corpus`), on
//! random bytes and on sound texts with some bytes changed; and by single inputs that are known to
//! kill readers: bombs of aliases and of packed zeros, nesting, endless lines, numbers at the end of
//! arithmetic. Those run in a process of their own whose address space is limited.
//! `DELALLOC_CASES` sets how many random inputs each kind gets.

mod samples;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use delalloc_workloads::plan::{TraceFormat, TraceReading};
use delalloc_workloads::trace::{TraceSummary, convert, summarize};
use delalloc_workloads::{Checks, StreamError, hostile, library, load_str};
use proptest::prelude::*;
use samples::samples;

/// Random inputs of each kind.
const CASES: u32 = 400;
/// Address space of a process that reads hostile input, in KiB.
const MEMORY_KIB: u64 = 768 << 10;
/// Says to a test that it is the process with limited memory.
const LIMITED: &str = "DELALLOC_TEST_LIMITED";

const RECORDINGS: [&str; 3] = [
    "ts_us,op,dev,offset,len,rwbs\n1.5,W,8:0,4096,512,WFS\n2,F,8:0,0,0,F\n3,R,8:1,0,8192,R\n4,D,8:0,0,65536,D\n",
    "ts_ns,op,dev_offset,len,flags,ioclass,file,file_name,file_offset,file_size\n1,create,,,,,7,a,,\n2,W,0,4096,,1,7,a,0,1\n3,moveto,,,,,7,b,,\n4,delete,,,,,7,b,,\n5,W,12288,512,,1,,,,\n",
    "  8,16   5        1     0.000000000 18615  Q   R 1444645666 + 256 [java]\n  8,16   2        3     0.000002000  1234  Q FWS 8 + 8 [a b]\n\nCPU0 (8,16):\n",
];

/// A name of a corpus, and what takes its bytes.
type Taker = (&'static str, fn(&[u8]));

#[test]
fn what_fuzzing_kept_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let targets: [Taker; 2] = [("workload", hostile::workload), ("trace", hostile::trace)];
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

/// One of `sound` with some places overwritten by what is awkward there.
fn damaged(sound: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let awkward = prop::sample::select(vec![
        "9",
        "-1",
        ",",
        "\n",
        ": ",
        "{",
        "[",
        "&a ",
        "*a",
        "\"",
        "\0",
        "1e308",
        "nan",
        ".inf",
        "0",
        "18446744073709551615",
        "9223372036854775807",
        "16EiB",
        "\u{2028}",
        "~",
        "!!binary ",
        "- ",
    ]);
    let place = (any::<prop::sample::Index>(), 0..12_usize, awkward);
    let places = prop::collection::vec(place, 0..5);
    (prop::sample::select(sound), places).prop_map(|(mut bytes, places)| {
        for (at, gone, instead) in places {
            let at = at.index(bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, instead.bytes());
        }
        bytes
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

#[test]
fn any_workload_is_refused_or_survived() {
    let sound = library().iter().map(|(_, text)| text.as_bytes().to_vec());
    every(damaged(sound.collect()), hostile::workload);
    every(any_bytes(), hostile::workload);
}

/// Recordings of every form, as `hostile::trace` takes them: told by their form, and to be told.
fn recordings() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (nth, text) in RECORDINGS.iter().enumerate() {
        let form = [0, 0, 1][nth];
        all.push([&[form | 16], text.as_bytes()].concat());
    }
    let number = |format| {
        let nth = TraceFormat::ALL.iter().position(|(_, of)| *of == format);
        u8::try_from(nth.expect("one of all")).expect("few")
    };
    for (format, bytes) in samples() {
        let packed = zstd::bulk::compress(&bytes, 1).expect("it can be packed");
        all.push([&[3 | 16, number(format)], &bytes[..]].concat());
        all.push([&[3 | 8 | 4, number(format)], &packed[..]].concat());
        let own = kept(&bytes);
        all.push([&[3 | 16, number(TraceFormat::Delalloc)], &own[..]].concat());
        all.push([&[2 | 16], &own[..]].concat());
        all.push([&[2 | 16], &bytes[..]].concat());
    }
    // Sound checksums over what is inside of blocks: a kind, a count, and the bytes.
    for plain in [
        &b"\x02\x02\0\x01\x05\0\0\0\x80\x20\xc1\x09\0\x01\x80\x20\x80\x20\x07"[..],
        b"\x01\x01\0\x02\x03abc",
        b"\x03\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        all.push([&[3 | 16, number(TraceFormat::Delalloc)], plain].concat());
    }
    all
}

/// The same recording in our own form.
fn kept(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, to) = (folder.path().join("source"), folder.path().join("own"));
    fs::write(&source, bytes).expect("written");
    let reading = TraceReading::default();
    let summary = summarize(&source, &reading).expect("it is sound");
    convert(&summary, &reading, &to, "a test").expect("it is sound");
    fs::read(&to).expect("written")
}

#[test]
fn any_recording_is_refused_or_survived() {
    every(damaged(recordings()), hostile::trace);
    every(any_bytes(), hostile::trace);
    // What is inside of blocks of our own, behind checksums.
    let inside = (0_u8..4, any_bytes())
        .prop_map(|(kind, bytes)| [&[3 | 16, 0, kind, 7, 0], &bytes[..]].concat());
    every(inside, hostile::trace);
}

// ---- known killers, in bounded memory ----

/// Runs the test `name` again, alone, in a process of `MEMORY_KIB`; false in that process itself.
fn runs_limited(name: &str) -> bool {
    if std::env::var_os(LIMITED).is_some() {
        return false;
    }
    let program = std::env::current_exe().expect("this test runs");
    let output = Command::new("sh")
        .args([
            "-c",
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

/// What is said about a workload that is refused.
fn refusal(text: &str) -> String {
    let refused = load_str(text, "hostile.yaml", &[], Checks::none());
    let shown = refused.expect_err("nobody can run this").to_string();
    assert!(shown.len() < 64 << 10, "{} bytes of words", shown.len());
    shown
}

const HEAD: &str = "version: 1\ntargets: { idle: null }\n";

#[test]
fn bombs_of_aliases_and_nesting_are_refused() {
    if runs_limited("bombs_of_aliases_and_nesting_are_refused") {
        return;
    }
    let mut laughs =
        "version: 1\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let uses = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{uses}]").expect("memory");
    }
    assert!(refusal(&laughs).contains("not YAML"));
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let nested = format!(
            "{HEAD}files: {}{}",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        assert!(refusal(&nested).contains("not YAML"), "{open}");
    }
}

#[test]
fn workloads_of_many_faults_and_long_lines_are_refused_in_few_words() {
    if runs_limited("workloads_of_many_faults_and_long_lines_are_refused_in_few_words") {
        return;
    }
    let mut many = HEAD.to_owned();
    for nth in 0..20_000 {
        writeln!(many, "unknown{nth}: {nth}").expect("memory");
    }
    let shown = refusal(&many);
    assert!(
        shown.contains("20002 faults") || shown.contains("20001 faults"),
        "{shown}"
    );
    let long = format!("{HEAD}name: {}\nfiles: 7\n", "x".repeat(8 << 20));
    refusal(&long);
    let one_line = format!(
        "{{version: 1, unknown: \"{}\", files: 7}}",
        "x".repeat(1 << 20)
    );
    refusal(&one_line);
}

#[test]
fn sweeps_whose_points_overflow_are_refused() {
    if runs_limited("sweeps_whose_points_overflow_are_refused") {
        return;
    }
    let body = "files: { a: { size: 1MiB } }\nphases: [ { name: p, jobs: [ { write: a, block: 4KiB } ] } ]\n";
    let mut axes = format!("{HEAD}{body}sweep:\n");
    for nth in 0..70 {
        writeln!(axes, "  files.a{nth}.size: [1MiB, 2MiB]").expect("memory");
    }
    assert!(refusal(&axes).contains("more than 10000 points"));
    let values = (0..9000)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let loads = format!(
        "{HEAD}files: {{ a: {{ size: 1MiB, count: 1000000 }} }}\nphases: [ {{ name: p, jobs: [ {{ write: a, block: 4KiB }} ] }} ]\nsweep: {{ seed: [{values}] }}\n"
    );
    assert!(refusal(&loads).contains("files"));
}

#[test]
fn numbers_that_no_run_has_are_refused() {
    for (key, value) in [
        ("rounds", "18446744073709551616"),
        ("rounds", "-1"),
        ("rounds", "1e99"),
        ("seed", "340282366920938463463374607431768211456"),
        ("files", "{ a: { size: 99999999999EiB } }"),
        ("files", "{ a: { size: 1MiB, count: 4294967296 } }"),
        (
            "phases",
            "[ { name: p, duration: 1e30s, jobs: [ { write: a, block: 4KiB } ] } ]",
        ),
    ] {
        refusal(&format!("{HEAD}{key}: {value}\n"));
    }
}

fn sum_up(name: &str, bytes: &[u8], malformed_max: u64) -> Result<TraceSummary, StreamError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    let reading = TraceReading {
        malformed_max,
        ..TraceReading::default()
    };
    summarize(&path, &reading)
}

const HEADER: &str = "ts_us,op,dev,offset,len\n";

#[test]
fn requests_of_any_length_cost_no_memory() {
    if runs_limited("requests_of_any_length_cost_no_memory") {
        return;
    }
    let whole = i64::MAX;
    let text = format!(
        "{HEADER}1,D,0,0,{whole}\n2,D,1,4096,{}\n3,W,1,4096,1073741824\n4,R,{whole},0,1073741824\n5,D,3,0,{whole}\n",
        whole - 4096
    );
    let summary = sum_up("a.csv", text.as_bytes(), 0).expect("each of them could be");
    assert_eq!(summary.requests(), 5);
    assert!(summary.footprint_bytes >= summary.written_footprint_bytes);
    let longer = format!("{HEADER}1,W,0,0,1073741825\n2,R,0,0,{whole}\n3,R,0,0,1\n");
    let refused = sum_up("a.csv", longer.as_bytes(), 2).expect("two malformed lines are borne");
    let lines: Vec<u64> = refused.malformed_first.iter().map(|bad| bad.line).collect();
    assert_eq!((refused.requests(), &lines[..]), (1, &[2, 3][..]));
    hostile::trace(&[&[0], longer.as_bytes()].concat());
    hostile::trace(&[&[0], text.as_bytes()].concat());
}

#[test]
fn an_endless_line_is_one_malformed_line() {
    if runs_limited("an_endless_line_is_one_malformed_line") {
        return;
    }
    // A line that is good as far as it is looked at, and whose rest would be good again.
    let rest = "2,W,0,0,512\n3,W,0,0,512\n";
    let filler = "x".repeat((64 << 10) - 12);
    let text = format!("{HEADER}1,W,0,0,512,{filler}{rest}");
    let summary = sum_up("a.csv", text.as_bytes(), 1).expect("one malformed line is borne");
    assert_eq!(
        (summary.requests(), summary.malformed, summary.lines),
        (1, 1, 3)
    );
    let error = sum_up("a.csv", text.as_bytes(), 0).expect_err("none is borne");
    assert!(
        error.to_string().contains("line 2: it is longer than"),
        "{error}"
    );
}

#[test]
fn packed_bombs_and_torn_packs_are_refused() {
    if runs_limited("packed_bombs_and_torn_packs_are_refused") {
        return;
    }
    // Two gigabytes of zeros without a line break, a few hundred bytes packed.
    let mut bomb = zstd::stream::Encoder::new(Vec::new(), 1).expect("an encoder");
    bomb.write_all(HEADER.as_bytes()).expect("memory");
    let zeros = vec![0; 1 << 20];
    for _ in 0..1 << 11 {
        bomb.write_all(&zeros).expect("memory");
    }
    let bomb = bomb.finish().expect("memory");
    assert!(bomb.len() < 1 << 20);
    let error = sum_up("a.csv.zst", &bomb, 0).expect_err("it is no recording");
    assert!(error.to_string().contains("line 2"), "{error}");

    let lines = format!("{HEADER}{}", "1,W,0,0,512\n".repeat(5000));
    let packed = zstd::bulk::compress(lines.as_bytes(), 1).expect("it can be packed");
    for len in 0..packed.len() {
        let error = sum_up("a.csv.zst", &packed[..len], 0).expect_err("it is cut short");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn what_is_no_text_is_malformed() {
    for line in [
        &b"1,W,0,0,\0\n"[..],
        b"\xff\xfe,W,0,0,512\n",
        b"1,W,0,0,512\x80\n",
        b"\0\n",
    ] {
        let recording = [HEADER.as_bytes(), line].concat();
        let summary = sum_up("a.csv", &recording, 1).expect("one malformed line is borne");
        assert_eq!(summary.malformed, 1, "{line:?}");
    }
    assert!(
        sum_up("a.csv", b"\xff\xfe\n", 9).is_err(),
        "a header is text"
    );
}

#[test]
fn what_a_block_of_our_own_says_of_itself_costs_no_memory() {
    if runs_limited("what_a_block_of_our_own_says_of_itself_costs_no_memory") {
        return;
    }
    // Lengths of four gigabytes at every place of a sound file.
    let sound = kept(
        HEADER
            .as_bytes()
            .iter()
            .chain(b"1,W,0,0,512\n")
            .copied()
            .collect::<Vec<_>>()
            .as_slice(),
    );
    for at in 0..sound.len() - 4 {
        let mut forged = sound.clone();
        forged[at..at + 4].copy_from_slice(&[0xff; 4]);
        assert!(sum_up("a.trace", &forged, 9).is_err(), "{at}");
    }
}
