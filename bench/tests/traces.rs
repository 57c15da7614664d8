//! Recordings in a replay: what of them is missing is said, wherever somebody looks.

mod support;

use assert_cmd::Command;
use delalloc_results::RunRecord;
use support::Bench;

fn workload(path: &str, keys: &str, clients: u32) -> String {
    format!(
        "version: 1\nname: t\ncontent: random\ntargets: {{ files: {{ directory: {{ path: files }} }} }}\nphases:\n  - name: p\n    jobs: [{{ trace: {{ path: {path}{keys} }}, clients: {clients} }}]\n"
    )
}

#[test]
fn a_replay_says_in_three_places_what_it_lost_of_its_recording() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("files")).unwrap();
    let text = r#"1 1.000001 openat(AT_FDCWD, "/in", O_RDWR|O_TRUNC) = 3
1 1.000002 openat(AT_FDCWD, "/out", O_RDWR|O_TRUNC) = 4
1 1.000003 write(3, ""..., 4096) = 4096
rubbish
1 1.000004 sendfile(4, 3, [0] => [10], 10) = 10
1 1.000005 write(4, ""..., 100) = 100
1 1.000006 close(4) = 0
"#;
    bench.workload("run.strace", text);
    let file = bench.workload("w.yaml", &workload("run.strace", "", 2));
    let (code, said) = bench.replay(&file, "out", &["--allow-inconclusive"]);
    assert_eq!(code, 0);

    let line = "trace run.strace in p: of 5 requests read: 1 malformed line (line 4: ";
    assert!(said.contains(line), "{said}");
    let lost = "lost 1 x copy inside the kernel (first: line 5)";
    assert!(said.contains(lost), "{said}");

    let record = delalloc_results::load(&bench.path("out/result.json")).unwrap();
    let [trace] = &record.cells[0].traces[..] else {
        panic!("{:?}", record.cells[0].traces);
    };
    assert_eq!((trace.phase.as_str(), trace.form.as_str()), ("p", "strace"));
    assert_eq!((trace.requests, trace.closes), (5, 1));
    assert_eq!((trace.malformed, trace.malformed_first[0].line), (1, 4));
    let copies = &trace.lost["copy inside the kernel"];
    assert_eq!((copies.count, copies.first_line), (1, 5));

    let page = std::fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(page.contains("trace-incomplete"));
    assert!(page.contains(lost));
}

#[test]
fn a_recording_that_is_replayed_whole_raises_no_doubt() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("files")).unwrap();
    bench.workload(
        "r.csv",
        "ts_us,op,dev,offset,len\n0,W,0,0,4096\n1,F,0,0,0\n",
    );
    let file = bench.workload("w.yaml", &workload("r.csv", "", 1));
    let (code, said) = bench.replay(&file, "out", &["--allow-inconclusive"]);
    assert_eq!(code, 0);
    assert!(!said.contains("trace r.csv in p"), "{said}");
    let page = std::fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(!page.contains("trace-incomplete") && !page.contains("trace-guessed"));
}

/// A recording of a file that was there before: all of it but one write is read before it is written.
#[test]
fn what_a_recording_reads_first_is_there_where_it_is_filled() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("files")).unwrap();
    let text = "ts_us,op,dev,offset,len\n0,R,d,8192,4096\n1,W,d,0,4096\n2,R,d,0,4096\n3,R,d,1048576,65536\n4,W,d,8192,4096\n5,R,d,8192,4096\n";
    bench.workload("r.csv", text);
    let missing = "user.read_missing_bytes";
    let replay = |name: &str, keys: &str, clients: u32| {
        let file = bench.workload(&format!("{name}.yaml"), &workload("r.csv", keys, clients));
        let (code, _) = bench.replay(&file, name, &["--allow-inconclusive"]);
        assert_eq!(code, 0);
        (
            record(&bench, name).cells[0].clone(),
            std::fs::read_to_string(bench.path(name).join("report.html")).unwrap(),
        )
    };
    // The last read of 64 KiB ends a file that only one write made.
    let (bare, page) = replay("bare", "", 1);
    assert!(bare.counters[missing] >= 65_536.0, "{:?}", bare.counters);
    assert!(page.contains("reads-of-nothing") && page.contains("filled: true"));

    for (name, clients) in [("filled", 1), ("shared", 3)] {
        let (filled, page) = replay(name, ", filled: true", clients);
        assert!(
            !filled.counters.contains_key(missing),
            "{:?}",
            filled.counters
        );
        assert!(!page.contains("reads-of-nothing"));
        let read = 3.0 * 4096.0 + 65_536.0;
        assert_eq!(filled.counters["user.read_bytes"], read);
        assert_eq!(filled.verification.mismatches, 0);
        assert!(filled.verification.bytes_verified as f64 > read);
        let names: Vec<&str> = filled
            .phases
            .iter()
            .map(|phase| phase.name.as_str())
            .collect();
        assert_eq!(names, ["prepare", "p"]);
        let prepared: Vec<(&str, u64)> = filled.phases[0]
            .ops
            .iter()
            .map(|op| (op.op.as_str(), op.bytes))
            .collect();
        assert_eq!(prepared, [("write", 4096 + 65_536)]);
    }

    let mut command = bench.delalloc();
    let dry = good(command.args(["replay", "filled.yaml", "--dry-run"]));
    assert!(
        dry.contains("fill-trace: write what r.csv reads before it writes it, moves 68.0KiB"),
        "{dry}"
    );
}

#[test]
fn filling_without_reads_and_a_phase_of_its_name_are_refused_in_place() {
    let bench = Bench::new();
    bench.workload("r.csv", "ts_us,op,dev,offset,len\n0,R,d,0,4096\n");
    for (text, reason) in [
        (
            workload("r.csv", ", filled: true, only: writes", 1),
            "`filled` means nothing to a trace",
        ),
        (
            workload("r.csv", ", filled: true", 1).replace("name: p\n", "name: prepare\n"),
            "`prepare` is the phase that fills files",
        ),
    ] {
        bench.workload("w.yaml", &text);
        let output = bench
            .delalloc()
            .args(["replay", "w.yaml", "--dry-run"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(reason), "{said}");
    }
}

fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    said
}

fn record(bench: &Bench, out: &str) -> RunRecord {
    delalloc_results::load(&bench.path(out).join("result.json")).unwrap()
}

/// Two clients that write, sync and rest, on a device in virtual time.
const RESTING: &str = "version: 1
name: rests
deterministic: true
targets: { engine: { engine: { backend: { sim: { size: 256MiB, device: hdd } } } } }
content: zeros
files: { a: {}, b: {} }
phases:
  - name: p
    jobs:
      - { append: a, block: 64KiB, think: 5ms, ops: 60, fsync_every: 4 }
      - { append: b, block: 64KiB, think: 5ms, ops: 60, fdatasync_every: 3 }
";

#[test]
fn a_recorded_run_rests_as_it_rested_and_syncs_as_it_synced() {
    let bench = Bench::new();
    let file = bench.workload("w.yaml", RESTING);
    let (code, _) = bench.replay(&file, "first", &["--record", "r.trace"]);
    assert_eq!(code, 0);
    let (head, _) = RESTING.split_once("files:").unwrap();
    let again = format!(
        "{head}phases:\n  - name: p\n    jobs: [{{ trace: {{ path: r.trace, timing: closed_loop, clients_by: thread }}, clients: 2 }}]\n"
    );
    let file = bench.workload("again.yaml", &again);
    let (code, _) = bench.replay(&file, "again", &[]);
    assert_eq!(code, 0);
    let (first, again) = (record(&bench, "first"), record(&bench, "again"));
    let phase = |record: &RunRecord| record.cells[0].phases[0].clone();
    let (first, again) = (phase(&first), phase(&again));
    let count = |op: &str| -> [u64; 2] {
        [&first, &again].map(|phase| {
            let rows = phase.ops.iter().filter(|row| row.op == op);
            rows.map(|row| row.count).sum()
        })
    };
    assert_eq!(count("write"), [120, 120]);
    assert_eq!(count("sync"), [15, 15]);
    assert_eq!(count("fdatasync"), [20, 20]);
    // The last rest is nobody's; what the device does may move a little.
    let ratio = again.wall_ns as f64 / first.wall_ns as f64;
    assert!(
        (0.9..1.1).contains(&ratio),
        "{} to {}",
        first.wall_ns,
        again.wall_ns
    );
}

#[test]
fn a_recording_listed_as_csv_comes_back_with_threads_and_durations() {
    let bench = Bench::new();
    let file = bench.workload("w.yaml", RESTING);
    let (code, _) = bench.replay(&file, "first", &["--record", "r.trace"]);
    assert_eq!(code, 0);
    let import = |from: &str, flag: &str, to: &str| {
        good(bench.delalloc().args(["import", from, flag, to]));
    };
    import("r.trace", "-o", "a.csv");
    import("a.csv", "--to", "b.trace");
    import("b.trace", "-o", "b.csv");
    let listed = std::fs::read_to_string(bench.path("a.csv")).unwrap();
    assert_eq!(
        listed,
        std::fs::read_to_string(bench.path("b.csv")).unwrap()
    );
    let fields = |nth: usize| -> Vec<u64> {
        let rows = listed.lines().skip(1);
        rows.map(|row| row.split(',').nth(nth).unwrap().parse().unwrap())
            .collect()
    };
    let threads = fields(2);
    assert!(threads.contains(&1) && threads.contains(&2) && !threads.contains(&0));
    assert!(fields(6).iter().all(|took_ns| *took_ns > 0), "{listed}");
    assert_eq!(listed.matches(",fdatasync,").count(), 20);
}

#[test]
fn csv_keeps_a_device_a_device_where_files_are_beside_it_too() {
    let bench = Bench::new();
    bench.workload(
        "r.csv",
        "ts_us,op,dev,thread,offset,len\n0,W,8:0,7,4096,512\n5,F,8:0,7,0,0\n",
    );
    let import = |from: &str, to: &str| {
        let mut command = bench.delalloc();
        command.args(["import", from, "-o", to]);
        command
    };
    good(&mut import("r.csv", "a.csv"));
    let listed = std::fs::read_to_string(bench.path("a.csv")).unwrap();
    assert_eq!(
        listed,
        "ts_ns,op,thread,dev,offset,len,took_ns,has_opens\n0,open,7,trace.0,0,0,0,1\n0,write,7,trace.0,4096,512,0,1\n5000,flush,7,,0,0,0,1\n"
    );
    bench.workload(
        "mixed.csv",
        "ts_us,op,file,file_offset,dev_offset,len\n0,W,f,0,,512\n1,W,,,8192,512\n",
    );
    good(&mut import("mixed.csv", "mixed.out.csv"));
    let listed = std::fs::read_to_string(bench.path("mixed.out.csv")).unwrap();
    assert!(
        listed.ends_with("1000,write,0,,,8192,512,0,1\n"),
        "{listed}"
    );
}

#[test]
fn a_conversion_never_writes_over_its_source_and_leaves_no_half_of_itself() {
    let bench = Bench::new();
    let text = "ts_us,op,dev,offset,len\n0,W,d,0,4096\n";
    bench.workload("r.csv", text);
    bench.workload("r.csv.part", text);
    std::os::unix::fs::symlink("r.csv", bench.path("link.csv")).unwrap();
    let refused = |words: &[&str]| {
        let output = bench.delalloc().arg("import").args(words).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
        errors
    };
    for words in [
        ["r.csv", "-o", "r.csv"],
        ["r.csv", "-o", "./r.csv"],
        ["r.csv", "-o", "link.csv"],
        ["r.csv", "--to", "r.csv"],
        ["r.csv.part", "-o", "r.csv"],
        ["r.csv.part", "--to", "r.csv"],
    ] {
        let errors = refused(&words);
        assert!(errors.contains("is the trace itself"), "{errors}");
    }
    refused(&["r.csv", "--to", "both", "-o", "both"]);
    for name in ["r.csv", "r.csv.part"] {
        assert_eq!(std::fs::read_to_string(bench.path(name)).unwrap(), text);
    }

    // The disk is full while it writes: files may have no bytes.
    bench.workload("kept.csv", "as it was");
    let full = std::process::Command::new("sh")
        .current_dir(bench.path("."))
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 0; exec \"$0\" import r.csv -o kept.csv",
        ])
        .arg(assert_cmd::cargo::cargo_bin("delalloc"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(4), "{errors}");
    let kept = std::fs::read_to_string(bench.path("kept.csv")).unwrap();
    assert_eq!(kept, "as it was");
    assert!(!bench.path("kept.csv.part").exists());
    good(bench.delalloc().args(["import", "r.csv", "-o", "kept.csv"]));
    let kept = std::fs::read_to_string(bench.path("kept.csv")).unwrap();
    assert_eq!(kept.lines().count(), 3, "{kept}");
    assert!(!bench.path("kept.csv.part").exists());
    good(
        bench
            .delalloc()
            .args(["import", "r.csv", "-o", "/dev/null"]),
    );
}

#[test]
fn what_the_form_of_a_recording_does_not_have_is_not_asked_of_it() {
    let bench = Bench::new();
    bench.workload("r.csv", "ts_us,op,dev,offset,len\n0,W,d,0,4096\n");
    let refused = |words: &[&str], reason: &str| {
        let output = bench.delalloc().args(words).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
        assert!(errors.contains(reason), "{errors}");
    };
    let reason = "--events means nothing to a trace of the form delalloc-csv";
    refused(&["import", "r.csv", "--events", "issue"], reason);
    let reason = "--fio-wait means nothing to a trace of the form msr";
    let named = ["import", "r.csv", "--format", "msr"];
    let words = [&named[..], &["--fio-wait", "relative_us"]].concat();
    refused(&words, reason);
    // In a workload too where the form is not named.
    std::fs::create_dir(bench.path("files")).unwrap();
    bench.workload("w.yaml", &workload("r.csv", ", events: issue", 1));
    let reason = "`events` means nothing to a trace of the form `delalloc-csv`";
    refused(&["replay", "w.yaml", "--dry-run"], reason);
}

/// Two threads: one creates files and flushes, the other writes each file that the first created. Both at once, again and again.
fn handed_over() -> String {
    let mut lines = "ts_us,op,thread,file,offset,len\n".to_owned();
    for nth in 0..400 {
        lines += &format!("{nth},create,1,f{nth},0,0\n{nth},write,2,f{nth},0,4096\n");
        if nth % 16 == 15 {
            lines += &format!("{nth},flush,1,,0,0\n");
        }
    }
    lines
}

/// Replays it on `target` and returns what began when and how long it took, in the order of beginning: time, operation, file, end.
fn handed_over_on(bench: &Bench, target: &str) -> Vec<(u64, String, String, u64)> {
    bench.workload("r.csv", &handed_over());
    let text = format!(
        "version: 1\nname: t\n{target}\nphases:\n  - name: p\n    jobs: [{{ trace: {{ path: r.csv, timing: as_fast_as_possible, clients_by: thread }}, clients: 2 }}]\n"
    );
    let file = bench.workload("w.yaml", &text);
    let more = ["--record", "done.trace", "--allow-inconclusive"];
    let (code, _) = bench.replay(&file, "out", &more);
    assert_eq!(code, 0);
    good(
        bench
            .delalloc()
            .args(["import", "done.trace", "-o", "done.csv"]),
    );
    let listed = std::fs::read_to_string(bench.path("done.csv")).unwrap();
    let rows = listed.lines().skip(1).map(|row| {
        let fields: Vec<&str> = row.split(',').collect();
        let number = |nth: usize| -> u64 { fields[nth].parse().unwrap() };
        let (at_ns, took_ns) = (number(0), number(6));
        (
            at_ns,
            fields[1].to_owned(),
            fields[3].to_owned(),
            at_ns + took_ns,
        )
    });
    rows.collect()
}

fn assert_is_in_order(done: &[(u64, String, String, u64)]) {
    let of = |op: &str| -> Vec<&(u64, String, String, u64)> {
        done.iter().filter(|row| row.1 == op).collect()
    };
    let (creates, writes, flushes) = (of("create"), of("write"), of("flush"));
    assert_eq!((creates.len(), writes.len(), flushes.len()), (400, 400, 25));
    for (create, write) in creates.iter().zip(&writes) {
        assert_eq!(create.2, write.2);
        assert!(
            create.3 <= write.0,
            "{create:?} is not over before {write:?}"
        );
    }
    for (nth, flush) in flushes.iter().enumerate() {
        let (before, behind) = writes.split_at((nth + 1) * 16);
        assert!(before.iter().all(|write| write.3 <= flush.0), "{flush:?}");
        assert!(behind.iter().all(|write| write.0 >= flush.3), "{flush:?}");
    }
}

#[test]
fn a_file_is_not_written_before_another_client_has_made_it() {
    for _ in 0..2 {
        let bench = Bench::new();
        let done = handed_over_on(
            &bench,
            "content: random\ntargets: { engine: { engine: { backend: { file: { path: v.img, size: 64MiB, buffered: true } } } } }",
        );
        assert_is_in_order(&done);
        good(bench.delalloc().args(["export", "v.img", "files"]));
        let files = std::fs::read_dir(bench.path("files")).unwrap();
        let sizes: Vec<u64> = files
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes, [4096; 400], "none is cut by its creation");
    }
}

#[test]
fn the_order_is_kept_in_virtual_time_too() {
    let bench = Bench::new();
    let done = handed_over_on(
        &bench,
        "deterministic: true\ncontent: zeros\ntargets: { engine: { engine: { backend: { sim: { size: 256MiB, device: sata_ssd } } } } }",
    );
    assert_is_in_order(&done);
}
