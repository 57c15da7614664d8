//! Recordings of every form kept in our own: the same operations come of both, from the start or from the middle; a run that
//! was recorded is replayed as it was; and the memory that reading takes does not grow with the recording.

mod samples;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use delalloc_workloads::plan::{TraceFormat, TraceReading};
use delalloc_workloads::trace::{Began, TraceRecording, convert, summarize};
use delalloc_workloads::{Checks, Cursors, FileSlot, LoadPlan, Op, TimedOp, load_str};
use samples::samples;

fn written(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn load_of(path: &Path, keys: &str, clients: usize) -> Arc<LoadPlan> {
    let text = format!(
        "version: 1\ntargets: {{ idle: null }}\nphases:\n  - name: p\n    jobs:\n      - {{ trace: {{ path: \"{}\"{keys} }}, clients: {clients} }}\n",
        path.display()
    );
    let plan = load_str(&text, "t", &[], Checks::none()).unwrap_or_else(|error| panic!("{error}"));
    Arc::clone(&plan.loads[0])
}

fn streams(load: &LoadPlan) -> Vec<Vec<TimedOp>> {
    let cursors = Arc::new(Cursors::new(load));
    load.streams(0, &cursors)
        .unwrap()
        .into_iter()
        .map(|stream| stream.map(Result::unwrap).collect())
        .collect()
}

fn ops(path: &Path, keys: &str) -> Vec<TimedOp> {
    streams(&load_of(path, keys, 1)).remove(0)
}

fn kept(directory: &Path, source: &Path) -> PathBuf {
    let reading = TraceReading::default();
    let to = directory.join("kept.trace");
    let summary = summarize(source, &reading).unwrap();
    let converted = convert(&summary, &reading, &to, "a test").unwrap();
    assert_eq!(converted.operations, summary.requests());
    to
}

#[test]
fn every_form_is_told_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut forms = Vec::new();
    for (format, bytes) in samples() {
        let source = written(directory.path(), "source", &bytes);
        let packed = written(
            directory.path(),
            "packed",
            &zstd::bulk::compress(&bytes, 1).unwrap(),
        );
        let reading = TraceReading::default();
        let before = summarize(&source, &reading).unwrap();
        assert_eq!(before.format, format);
        assert!(
            before.requests() > 1 && before.malformed == 0 && before.lost.is_empty(),
            "{before:?}"
        );
        let to = kept(directory.path(), &packed);
        let after = summarize(&to, &reading).unwrap();
        assert_eq!(after.by_kind, before.by_kind);
        assert_eq!(after.not_replayed.len(), before.not_replayed.len());
        let header = after.header.unwrap();
        assert_eq!(header.source_format.as_deref(), Some(format.name()));
        assert_eq!(
            (header.source.as_str(), header.made_by.as_str()),
            ("packed", "a test")
        );
        assert_eq!(header.source_sha256.unwrap().len(), 64);
        let (mut from_source, mut from_kept) = (ops(&source, ""), ops(&to, ""));
        if format == TraceFormat::Tencent {
            // Its times within a second are drawn anew for each use.
            for timed in from_source.iter_mut().chain(&mut from_kept) {
                timed.due_ns = None;
            }
        }
        assert_eq!(from_source, from_kept, "{format:?}");
        assert!(!from_source.is_empty());
        forms.push(format);
    }
    for (name, format) in TraceFormat::ALL {
        assert!(
            format == TraceFormat::Delalloc || forms.contains(&format),
            "{name} has no sample"
        );
    }
    assert!(!directory.path().join("kept.trace.part").exists());
}

#[test]
fn a_conversion_of_our_own_is_the_same_again() {
    let directory = tempfile::tempdir().unwrap();
    let (_, bytes) = samples().remove(0);
    let source = written(directory.path(), "a.csv", &bytes);
    let once = std::fs::rename(
        kept(directory.path(), &source),
        directory.path().join("once"),
    );
    once.unwrap();
    let once = directory.path().join("once");
    let twice = kept(directory.path(), &once);
    assert_eq!(ops(&once, ""), ops(&twice, ""));
}

#[test]
fn a_replay_begins_where_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = "ts_us,op,dev,offset,len\n".to_owned();
    // More than two blocks of our own, a few of them early.
    for nth in 0..150_000_u64 {
        let at = nth * 10 - if nth % 1000 == 999 { 5000 } else { 0 };
        writeln!(lines, "{at},W,{},{},4096", nth % 3, nth * 4096).unwrap();
    }
    let source = written(directory.path(), "a.csv", lines.as_bytes());
    let to = kept(directory.path(), &source);
    let packed = zstd::bulk::compress(&std::fs::read(&to).unwrap(), 1).unwrap();
    let packed = written(directory.path(), "packed.trace", &packed);
    for keys in [
        ", skip_ops: 1",
        ", skip_ops: 65536, limit_ops: 10",
        ", skip_ops: 140000",
        ", skip_ops: 150000",
        ", skip_time: 1us",
        ", skip_time: 1s, limit_time: 1ms",
        ", skip_time: 655360us, limit_ops: 10",
        ", skip_time: 2s",
        ", skip_ops: 70000, skip_time: 900ms, limit_ops: 10",
        ", skip_ops: 120000, skip_time: 100ms, limit_ops: 10",
    ] {
        let expected = ops(&source, keys);
        assert_eq!(ops(&to, keys), expected, "{keys}");
        assert_eq!(ops(&packed, keys), expected, "{keys}");
        assert!(
            expected.first().is_none_or(|timed| timed.due_ns == Some(0)),
            "{keys}"
        );
    }
    let all = ops(&source, "");
    let some = ops(&source, ", skip_ops: 140000");
    let writes = |ops: &[TimedOp]| {
        ops.iter()
            .filter(|timed| timed.op.payload_bytes() > 0)
            .count()
    };
    assert_eq!((writes(&all), writes(&some)), (150_000, 10_000));
}

#[test]
fn threads_keep_their_order_and_their_client() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = "ts_us,op,thread,file,offset,len\n".to_owned();
    for nth in 0..3000_u64 {
        writeln!(
            lines,
            "{nth},write,{},{},{},512",
            100 + nth * 7 % 5,
            nth % 3,
            nth * 512
        )
        .unwrap();
    }
    let source = written(directory.path(), "a.csv", lines.as_bytes());
    let five = streams(&load_of(&source, ", clients_by: thread", 5));
    for ops in &five {
        let offsets: Vec<u64> = ops
            .iter()
            .filter_map(|timed| match timed.op {
                Op::Write { offset, .. } => Some(offset / 512),
                _ => None,
            })
            .collect();
        assert_eq!(offsets.len(), 600, "one thread each");
        assert!(offsets.is_sorted());
        assert!(offsets.iter().all(|nth| nth * 7 % 5 == offsets[0] * 7 % 5));
    }
}

#[test]
fn rests_are_what_the_program_rested() {
    let directory = tempfile::tempdir().unwrap();
    // 100 us apart, of which the first took 40.
    let text = "1000,h,0,Write,0,512,400\n2000,h,0,Write,512,512,0\n";
    let source = written(directory.path(), "a.msr", text.as_bytes());
    let rests: Vec<u64> = ops(&source, ", timing: closed_loop")
        .iter()
        .map(|timed| timed.think_ns)
        .collect();
    assert_eq!(rests, [0, 60_000, 0]);
}

/// Operations without what a replay chooses itself: slots by the order in which they were met, and no versions.
fn as_done(ops: impl IntoIterator<Item = Op>, met: &mut HashMap<FileSlot, u32>) -> Vec<Op> {
    let mut slot = |file: FileSlot| {
        let next = u32::try_from(met.len()).unwrap();
        FileSlot(*met.entry(file).or_insert(next))
    };
    ops.into_iter()
        .map(|op| match op {
            Op::Write {
                file,
                offset,
                bytes,
                ..
            } => Op::Write {
                file: slot(file),
                offset,
                bytes,
                version: 0,
            },
            Op::Read {
                file,
                offset,
                bytes,
            } => Op::Read {
                file: slot(file),
                offset,
                bytes,
            },
            Op::Sync { file } => Op::Sync { file: slot(file) },
            Op::DataSync { file } => Op::DataSync { file: slot(file) },
            Op::Truncate { file, bytes } => Op::Truncate {
                file: slot(file),
                bytes,
            },
            Op::PunchHole {
                file,
                offset,
                bytes,
            } => Op::PunchHole {
                file: slot(file),
                offset,
                bytes,
            },
            Op::Create { file } => Op::Create { file: slot(file) },
            Op::Open { file } => Op::Open { file: slot(file) },
            Op::VolumeSync | Op::Remove { .. } | Op::Rename { .. } => op,
        })
        .collect()
}

#[test]
fn a_recorded_run_is_replayed_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let text = "version: 1\ntargets: { idle: null }\nfiles: { t: { size: 1MiB, filled: true }, log: {}, more: {} }\nphases:\n  - name: p\n    jobs:\n      - { mix: { read: 50, write: 50 }, file: t, pattern: random, block: 4KiB, ops: 300, clients: 2 }\n      - { append: log, block: 512B, fsync_every: 2, ops: 100 }\n      - { append: more, block: 512B, fdatasync_every: 3, ops: 100 }\n      - { trim: t, block: 64KiB }\n      - { truncate: t, to: 4KiB }\n";
    let plan = load_str(text, "t", &[], Checks::none()).unwrap_or_else(|error| panic!("{error}"));
    let load = &plan.loads[0];
    let phase = load.phases.len() - 1;
    let cursors = Arc::new(Cursors::new(load));
    let mut clients: Vec<_> = load.streams(phase, &cursors).unwrap();
    // Round and round, so that clients take turns.
    let path = directory.path().join("run.trace");
    let mut recording = TraceRecording::create(&path, "t", "a test").unwrap();
    let mut done = vec![Vec::new(); clients.len()];
    let mut order = Vec::new();
    let mut at_ns = 0;
    loop {
        let mut is_over = true;
        for (client, stream) in clients.iter_mut().enumerate() {
            if let Some(timed) = stream.next() {
                let op = timed.unwrap().op;
                at_ns += 1000;
                let began = Began {
                    at_ns,
                    took_ns: 10 + client as u64,
                    client: u32::try_from(client).unwrap(),
                    op,
                };
                recording.push(&began, |file| load.file_name(file)).unwrap();
                done[client].push(op);
                order.push(op);
                is_over = false;
            }
        }
        if is_over {
            break;
        }
    }
    assert!(!path.exists(), "it appears when it is whole");
    assert_eq!(recording.finish().unwrap(), order.len() as u64);

    let replayed = ops(&path, "");
    let syncs = |wanted: fn(&Op) -> bool| replayed.iter().filter(|timed| wanted(&timed.op)).count();
    assert_eq!(syncs(|op| matches!(op, Op::Sync { .. })), 50);
    assert_eq!(syncs(|op| matches!(op, Op::DataSync { .. })), 33);
    let times: Vec<u64> = replayed.iter().map(|timed| timed.due_ns.unwrap()).collect();
    assert!(
        times
            .iter()
            .copied()
            .eq((0..order.len() as u64).map(|nth| nth * 1000))
    );
    let again = as_done(replayed.iter().map(|timed| timed.op), &mut HashMap::new());
    let mut met = HashMap::new();
    assert_eq!(again, as_done(order, &mut met));

    let by_client = streams(&load_of(
        &path,
        ", clients_by: thread, timing: as_fast_as_possible",
        done.len(),
    ));
    for (mine, theirs) in by_client.iter().zip(done) {
        // Slots of a trace are numbers by the order in which they were met already.
        let mine: Vec<Op> = mine.iter().map(|timed| timed.op).collect();
        let first = load_of(&path, "", 1).files.len();
        let mut known: HashMap<FileSlot, u32> = met
            .values()
            .map(|nth| (FileSlot(u32::try_from(first).unwrap() + nth), *nth))
            .collect();
        assert_eq!(as_done(mine, &mut known), as_done(theirs, &mut met));
    }
}

/// Says to a test that it is the process that is measured, and how many operations it has.
const MEASURED: &str = "DELALLOC_TEST_MEASURED";

/// What this process has had in memory at most, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs the test `name` again for `ops` operations, alone, in a process of its own: what it had in memory at most, in KiB.
fn peak_of(name: &str, ops: u64) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads", "1", "--nocapture"])
        .env(MEASURED, ops.to_string())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let peak = told
        .lines()
        .find_map(|line| line.strip_prefix("peak_kib="))
        .unwrap();
    peak.parse().unwrap()
}

/// The memory that a test needs does not grow with its operations. `DELALLOC_OPS` sets how many it has.
fn is_constant(name: &str) -> bool {
    if std::env::var_os(MEASURED).is_some() {
        return false;
    }
    let many = std::env::var("DELALLOC_OPS").map_or(2_000_000, |text| text.parse().unwrap());
    let (few_kib, many_kib) = (peak_of(name, 200_000), peak_of(name, many));
    eprintln!("{name}: {many} operations, {many_kib} KiB; 200000: {few_kib} KiB");
    assert!(
        many_kib < few_kib + (8 << 10),
        "{few_kib} KiB, then {many_kib} KiB"
    );
    true
}

fn measured_ops() -> u64 {
    std::env::var(MEASURED).unwrap().parse().unwrap()
}

#[test]
fn our_own_form_is_written_and_read_in_constant_memory() {
    if is_constant("our_own_form_is_written_and_read_in_constant_memory") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("long.trace");
    let mut recording = TraceRecording::create(&path, "long", "a test").unwrap();
    let ops = measured_ops();
    for nth in 0..ops {
        let file = FileSlot(u32::try_from(nth % 64).unwrap());
        let offset = (nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 46) << 12;
        let op = if nth % 16 == 15 {
            Op::Sync { file }
        } else {
            Op::Write {
                file,
                offset,
                bytes: 4096,
                version: nth + 1,
            }
        };
        let began = Began {
            at_ns: nth * 700,
            took_ns: 0,
            client: 0,
            op,
        };
        recording.push(&began, |_| "a".into()).unwrap();
    }
    assert_eq!(recording.finish().unwrap(), ops);
    assert_eq!(
        summarize(&path, &TraceReading::default())
            .unwrap()
            .requests(),
        ops
    );
    let load = load_of(&path, "", 1);
    let mut streams = load.streams(0, &Arc::new(Cursors::new(&load))).unwrap();
    assert_eq!(streams.remove(0).map(Result::unwrap).count() as u64, ops);
    println!("\npeak_kib={}", peak_kib());
}

#[test]
fn text_is_read_in_constant_memory() {
    if is_constant("text_is_read_in_constant_memory") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let ops = measured_ops();
    let out = pipe.clone();
    let writer = std::thread::spawn(move || {
        let mut out = std::io::BufWriter::new(std::fs::File::create(out).unwrap());
        for nth in 0..ops {
            let sector = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
            writeln!(
                out,
                "{},{sector},8,{},{}",
                1_538_323_199 + nth / 100_000,
                nth % 2,
                nth % 9
            )
            .unwrap();
        }
    });
    let summary = summarize(&pipe, &TraceReading::default()).unwrap();
    assert_eq!(
        (summary.format, summary.requests()),
        (TraceFormat::Tencent, ops)
    );
    writer.join().unwrap();
    println!("\npeak_kib={}", peak_kib());
}
