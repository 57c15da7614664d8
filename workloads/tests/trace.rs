//! Recordings: every form, what is malformed, what is lost, how clients share one; and, where they are at hand, real ones.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use delalloc_workloads::plan::{Corpora, TraceReading};
use delalloc_workloads::trace::{TraceSummary, convert, summarize};
use delalloc_workloads::{
    Checks, Cursors, Estimate, FileSlot, LoadError, Op, StreamError, TimedOp, WorkloadPlan,
    load_str,
};

const ROCKS: &str = "\
ts_ns,op,dev_offset,len,flags,ioclass,file,file_name,file_offset,file_size
100,create,,,,,76.0,a.sst,,
200,W,845975552,131072,,19,76.0,a.sst,0,1
300,W,187541861376,5120,,1,,,,
400,W,846106624,131072,,19,77.0,b.sst,131072,1
500,movefrom,,,,,77.0,b.sst,,
600,moveto,,,,,77.0,c.sst,,
700,delete,,,,,76.0,,,
800,create,,,,,76.0,d.sst,,
900,W,0,4096,,19,76.0,d.sst,0,1
950,D,196608,4096,,0,,,,
990,delete,,,,,99.0,,,
";

fn sum_up(path: &Path, malformed_max: u64) -> Result<TraceSummary, StreamError> {
    let reading = TraceReading {
        malformed_max,
        ..TraceReading::default()
    };
    summarize(path, &reading)
}

fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn streams(path: &Path, keys: &str, clients: u32) -> Vec<Vec<Result<TimedOp, StreamError>>> {
    let text = format!(
        "version: 1\ntargets: {{ idle: null }}\nfiles: {{ own: {{}} }}\nphases:\n  - name: p\n    jobs:\n      - {{ trace: {{ path: \"{}\"{keys} }}, clients: {clients} }}\n",
        path.display()
    );
    let plan = load_str(&text, "t", &[], Checks::none()).unwrap_or_else(|error| panic!("{error}"));
    let load = &plan.loads[0];
    let cursors = Arc::new(Cursors::new(load));
    load.streams(0, &cursors)
        .unwrap()
        .into_iter()
        .map(Iterator::collect)
        .collect()
}

fn ops(path: &Path, keys: &str) -> Vec<TimedOp> {
    let mut streams = streams(path, keys, 1);
    streams.remove(0).into_iter().map(Result::unwrap).collect()
}

#[test]
fn a_recording_of_files_becomes_operations_on_slots() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), "r.csv", ROCKS);
    let found = ops(&path, "");
    let slot = |nth: u32| FileSlot(1 + nth);
    let kinds: Vec<(Option<FileSlot>, &str, u64)> = found
        .iter()
        .map(|timed| {
            (
                timed.op.file(),
                timed.op.kind().name(),
                timed.due_ns.unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (Some(slot(0)), "create", 0),
            (Some(slot(0)), "write", 100),
            (Some(slot(1)), "open", 200),
            (Some(slot(1)), "write", 200),
            (Some(slot(2)), "open", 300),
            (Some(slot(2)), "write", 300),
            (Some(slot(2)), "rename", 500),
            (Some(slot(0)), "remove", 600),
            (Some(slot(3)), "create", 700),
            (Some(slot(3)), "write", 800),
            (Some(slot(1)), "punch_hole", 850),
        ]
    );
    assert!(matches!(
        found[3].op,
        Op::Write { offset: 187_541_861_376, bytes: 5120, version, .. } if version > 0
    ));
}

#[test]
fn timing_scales_rests_or_hurries() {
    let directory = tempfile::tempdir().unwrap();
    let text = "ts_us,op,dev,offset,len\n1000,W,0,0,512\n1010,R,0,512,512\n1030,F,0,0,0\n";
    let path = written(directory.path(), "b.csv", text);
    let due = |keys| -> Vec<Option<u64>> { ops(&path, keys).iter().map(|op| op.due_ns).collect() };
    assert_eq!(
        due(", time_scale: 0.5"),
        [Some(0), Some(0), Some(5000), Some(15000)]
    );
    assert_eq!(due(", timing: as_fast_as_possible"), [None; 4]);
    let rests: Vec<u64> = ops(&path, ", timing: closed_loop, time_scale: 2")
        .iter()
        .map(|op| op.think_ns)
        .collect();
    assert_eq!(rests, [0, 20_000, 40_000, 0]);
}

/// A workload that replays `path`, loaded by somebody who replays it.
fn load_recording(path: &Path) -> Result<WorkloadPlan, LoadError> {
    let text = format!(
        "version: 1\ntargets: {{ idle: null }}\nphases:\n  - {{ name: p, jobs: [{{ trace: {{ path: \"{}\" }} }}] }}\n",
        path.display()
    );
    let checks = Checks {
        reads_recordings: true,
        ..Checks::none()
    };
    load_str(&text, "t", &[], checks)
}

#[test]
fn a_recording_that_cannot_be_replayed_is_a_fault_of_the_workload() {
    let directory = tempfile::tempdir().unwrap();
    let empty = written(directory.path(), "empty.csv", "");
    let headless = written(directory.path(), "headless.csv", "a,b\n1,2\n");
    for (path, reason) in [
        (directory.path().join("absent"), "No such file"),
        (directory.path().to_owned(), "it is no file"),
        (empty, "it is empty"),
        (headless, "cannot be replayed"),
    ] {
        let error = load_recording(&path).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains("t:4:40"), "{error}");
        assert!(error.contains("delalloc import FILE"), "{error}");
    }
}

#[test]
fn a_recording_counts_by_what_it_holds_and_not_by_where_it_lies() {
    let directory = tempfile::tempdir().unwrap();
    let text = "ts_us,op,dev,offset,len\n1,W,0,0,512\n";
    let load = |name: &str, text: &str| {
        let plan = load_recording(&written(directory.path(), name, text)).unwrap();
        plan.loads[0].placeless(&mut Corpora::default())
    };
    let first = load("a.csv", text);
    assert_eq!(load("b.csv", text), first);
    assert_ne!(load("a.csv", &text.replace("512", "513")), first);
}

#[test]
fn a_part_of_the_requests_can_be_replayed_with_gaps_cut_and_addresses_folded() {
    let directory = tempfile::tempdir().unwrap();
    let text = "\
ts_us,op,dev,offset,len
0,W,0,0,4096
10,R,0,1048576,4096
5000010,W,0,12288,8192
5000020,R,0,1052672,4096
5000020,F,0,0,0
9000020,D,0,0,1048576
9000030,R,0,2093056,8192
";
    let path = written(directory.path(), "b.csv", text);
    let seen = |keys| -> Vec<(&str, u64, u64, u64)> {
        let ops = ops(&path, keys);
        ops.iter()
            .map(|timed| {
                let (offset, bytes) = match timed.op {
                    Op::Read { offset, bytes, .. }
                    | Op::Write { offset, bytes, .. }
                    | Op::PunchHole { offset, bytes, .. } => (offset, bytes),
                    _ => (0, 0),
                };
                (
                    timed.op.kind().name(),
                    timed.due_ns.unwrap_or(timed.think_ns) / 1000,
                    offset,
                    bytes,
                )
            })
            .filter(|(kind, ..)| *kind != "open")
            .collect()
    };
    assert_eq!(
        seen(", only: reads, gap_max: 1s"),
        [
            ("read", 10, 1_048_576, 4096),
            ("read", 1_000_010, 1_052_672, 4096),
            ("read", 2_000_010, 2_093_056, 8192),
        ]
    );
    assert_eq!(
        seen(", only: writes, fold: 16KiB, time_scale: 0.5, gap_max: 100us"),
        [
            ("write", 0, 0, 4096),
            ("write", 50, 8192, 8192),
            ("volume_sync", 55, 0, 0),
            ("punch_hole", 105, 0, 16_384),
        ]
    );
    assert_eq!(
        seen(", only: reads, timing: closed_loop, gap_max: 100us, limit_ops: 6"),
        [("read", 100, 1_048_576, 4096), ("read", 0, 1_052_672, 4096)]
    );
    let refused = |keys: &str| {
        let text = format!(
            "version: 1\ntargets: {{ n: null }}\nphases: [{{ name: p, jobs: [{{ trace: {{ path: x{keys} }} }}] }}]\n"
        );
        load_str(&text, "t", &[], Checks::none())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(", only: raeds").contains("did you mean `reads`?"));
    assert!(refused(", fold: 512B").contains("fold is from 4KiB"));
    let fast = ", timing: as_fast_as_possible, gap_max: 1s";
    assert!(refused(fast).contains("`gap_max` means nothing"));
}

#[test]
fn an_estimate_counts_what_a_recording_moves_and_how_long_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let text = "ts_us,op,dev,offset,len\n0,W,0,0,4096\n500000,R,0,0,65536\n2000000,W,0,4096,4096\n";
    let path = written(directory.path(), "b.csv", text);
    let estimate = |keys: &str, measures: bool| {
        let text = format!(
            "version: 1\ntargets: {{ m: {{ engine: {{ backend: {{ mem: {{ size: 64GiB }} }} }} }} }}\ncontent: zeros\nphases:\n  - {{ name: p, jobs: [{{ trace: {{ path: \"{}\"{keys} }}, clients: 3 }}] }}\nrounds: 2\n",
            path.display()
        );
        let plan = load_str(&text, "t", &[], Checks::none()).unwrap();
        let plan = match measures {
            true => plan.with_recordings_measured().unwrap(),
            false => plan,
        };
        Estimate::of(&plan, &|_, _| 1 << 20)
    };
    let unread = estimate("", false);
    assert!(unread.is_without_recordings && unread.moved_is_at_least);
    let read = estimate("", true);
    assert!(!read.is_without_recordings && !read.moved_is_at_least);
    assert_eq!((read.runs, read.moved_bytes), (2, 2 * (65_536 + 8192)));
    assert_eq!(read.time_ns, 2 * 2_000_000_000);
    let memory = read.memory;
    assert_eq!(
        (
            memory.client_bytes,
            memory.engine_bytes,
            memory.device_bytes
        ),
        (3 * 65_536, 1 << 20, 64 << 30)
    );
    assert_eq!(
        memory.total_bytes - memory.tracking_bytes - memory.verification_bytes,
        3 * 65_536 + (1 << 20) + (64 << 30)
    );
    assert_eq!(estimate(", time_scale: 2", true).time_ns, 8_000_000_000);
    assert_eq!(estimate(", limit_ops: 2", true).time_ns, 1_000_000_000);
    assert_eq!(estimate(", only: writes", true).moved_bytes, 2 * 8192);
    let hurried = estimate(", timing: as_fast_as_possible", true).time_ns;
    assert!((1..1_000_000_000).contains(&hurried), "{hurried}");
}

#[test]
fn limits_stop_it() {
    let directory = tempfile::tempdir().unwrap();
    let lines: String = (0..100)
        .map(|n| format!("{n},W,0,{},4096\n", n * 4096))
        .collect();
    let path = written(
        directory.path(),
        "b.csv",
        &format!("ts_us,op,dev,offset,len\n{lines}"),
    );
    let writes = |keys| {
        ops(&path, keys)
            .iter()
            .filter(|op| op.op.payload_bytes() > 0)
            .count()
    };
    assert_eq!(writes(""), 100);
    assert_eq!(writes(", limit_ops: 10"), 10);
    assert_eq!(writes(", limit_bytes: 40KiB"), 10);
    assert_eq!(writes(", limit_time: 9us"), 10);
}

#[test]
fn clients_divide_a_recording_and_agree_on_slots() {
    let directory = tempfile::tempdir().unwrap();
    let lines: String = (0..3000)
        .map(|n| format!("{n},W,{},0,{},512\n", n % 7, (n * 7919 % 64) << 18))
        .collect();
    let path = written(
        directory.path(),
        "b.csv",
        &format!("ts_us,op,dev,thread,offset,len\n{lines}"),
    );
    let place = |timed: &TimedOp| match timed.op {
        Op::Write { file, offset, .. } => Some((timed.due_ns, file, offset)),
        _ => None,
    };
    let mut one: Vec<_> = ops(&path, "").iter().filter_map(place).collect();
    let four = streams(&path, "", 4);
    assert!(
        four.iter().all(|ops| ops.len() > 300),
        "a client has next to nothing"
    );
    let mut all: Vec<_> = four
        .iter()
        .flatten()
        .filter_map(|op| place(op.as_ref().unwrap()))
        .collect();
    one.sort_unstable();
    all.sort_unstable();
    assert_eq!(one, all);
    // Requests of one place stay with one client, in order.
    let mut owner = HashMap::new();
    for (client, ops) in four.iter().enumerate() {
        for (_, file, offset) in ops.iter().filter_map(|op| place(op.as_ref().unwrap())) {
            assert_eq!(*owner.entry((file, offset)).or_insert(client), client);
        }
    }
}

#[test]
fn packed_recordings_and_blkparse_are_read_alike() {
    let directory = tempfile::tempdir().unwrap();
    let text = "\
  8,16   5        1     0.000000000 18615  A   R 1444645666 + 256 <- (8,17) 1444645632
  8,16   5        2     0.000001850 18615  Q   R 1444645666 + 256 [java]
  8,16   2        3     0.000002000  1234  Q FWS 8 + 8 [a b]
  8,16   2        4     0.000002500  1234  Q   D 16 + 8 [a b]

CPU0 (8,16):
 Reads Queued:           1,      128KiB
";
    let plain = ops(&written(directory.path(), "b.txt", text), "");
    let packed = directory.path().join("b.txt.zst");
    std::fs::write(&packed, zstd::bulk::compress(text.as_bytes(), 3).unwrap()).unwrap();
    assert_eq!(plain, ops(&packed, ""));
    let kinds: Vec<&str> = plain.iter().map(|timed| timed.op.kind().name()).collect();
    assert_eq!(
        kinds,
        ["open", "read", "volume_sync", "write", "punch_hole"]
    );
    assert!(
        matches!(plain[1].op, Op::Read { offset, bytes: 131_072, .. } if offset == 1_444_645_666 * 512)
    );
    let summary = sum_up(&packed, 0).unwrap();
    assert_eq!(summary.requests(), 3);
}

#[test]
fn malformed_lines_are_counted_shown_and_too_many_are_fatal() {
    let directory = tempfile::tempdir().unwrap();
    let text = "ts_us,op,dev,offset,len\n0,W,0,0,512\nrubbish\n1,W,0,x,512\n2,W,0,512,512\n";
    let path = written(directory.path(), "b.csv", text);
    let summary = sum_up(&path, 2).unwrap();
    assert_eq!(
        (summary.requests(), summary.malformed, summary.lines),
        (2, 2, 5)
    );
    let lines: Vec<u64> = summary.malformed_first.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [3, 4]);
    assert!(
        summary.text().contains("line 3: too few fields: rubbish"),
        "{}",
        summary.text()
    );

    let error = sum_up(&path, 1).unwrap_err().to_string();
    assert!(
        error.contains("line 4: the offset is no number: 1,W,0,x,512"),
        "{error}"
    );
    let last = streams(&path, ", malformed_max: 1", 1)
        .remove(0)
        .pop()
        .unwrap();
    assert!(last.is_err());
}

#[test]
fn what_is_lost_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), "r.csv", ROCKS);
    let summary = sum_up(&path, 0).unwrap();
    let unseen = summary.not_replayed["remove of a file never seen"];
    assert_eq!((unseen.count, unseen.first_line), (1, 12));
    assert!(summary.lost.is_empty());
    assert_eq!(summary.files, 4);
    assert_eq!(summary.by_kind["write"].bytes, 2 * 131_072 + 5120 + 4096);
}

#[test]
fn a_missing_or_foreign_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(sum_up(&directory.path().join("none"), 0).is_err());
    let foreign = written(directory.path(), "x.csv", "hello\n");
    assert!(
        sum_up(&foreign, 0)
            .unwrap_err()
            .to_string()
            .contains("no header")
    );
}

/// What recordings that are not part of the project are known to hold.
const TABLE: &str = include_str!("traces.table");

/// Name and the eight numbers behind it, in the order of the table.
fn known() -> Vec<(&'static str, Vec<u64>)> {
    let rows = TABLE
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'));
    rows.map(|row| {
        let (name, numbers) = row.split_once(' ').unwrap();
        let numbers = numbers.split(' ').map(|number| number.parse().unwrap());
        (name, numbers.collect())
    })
    .collect()
}

fn counted(summary: &TraceSummary) -> Vec<u64> {
    let count = |kind: &str| summary.by_kind.get(kind).copied().unwrap_or_default();
    let (read, write) = (count("read"), count("write"));
    let flushes = ["flush", "fsync", "fdatasync"].map(|kind| count(kind).requests);
    vec![
        summary.requests(),
        read.requests,
        write.requests,
        read.bytes,
        write.bytes,
        count("discard").requests,
        flushes.iter().sum(),
        summary.lost.values().map(|tally| tally.count).sum(),
    ]
}

#[test]
fn the_table_of_real_recordings_has_eight_numbers_in_every_row() {
    let known = known();
    assert!(known.len() > 10);
    for (name, numbers) in known {
        assert_eq!(numbers.len(), 8, "{name}");
    }
}

/// To the byte, where DELALLOC_TRACES names a directory that has them.
#[test]
fn real_recordings_have_the_counts_they_are_known_for() {
    let Some(home) = std::env::var_os("DELALLOC_TRACES").map(PathBuf::from) else {
        writeln!(
            std::io::stderr(),
            "SKIPPED: DELALLOC_TRACES names no directory of real recordings"
        )
        .unwrap();
        return;
    };
    for (name, numbers) in known() {
        let summary = sum_up(&home.join(name), 0).unwrap();
        writeln!(std::io::stderr(), "{}", summary.text()).unwrap();
        assert_eq!(counted(&summary), numbers, "{name}");
        let to = tempfile::NamedTempFile::new().unwrap();
        let reading = TraceReading::default();
        let kept = convert(&summary, &reading, to.path(), "a test").unwrap();
        writeln!(std::io::stderr(), "  kept in {} bytes", kept.bytes).unwrap();
        let again = sum_up(to.path(), 0).unwrap();
        assert_eq!(again.by_kind, summary.by_kind, "{name}");
        assert_eq!(
            (again.footprint_bytes, again.duration_ns, again.out_of_order),
            (
                summary.footprint_bytes,
                summary.duration_ns,
                summary.out_of_order
            ),
            "{name}"
        );
    }
}
