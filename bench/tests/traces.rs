//! Recordings in a replay: what of them is missing is said, wherever somebody looks.

mod support;

use support::Bench;

fn workload(path: &str, keys: &str, clients: u32) -> String {
    format!(
        "version: 1\nname: t\ntargets: {{ files: {{ directory: {{ path: files }} }} }}\nphases:\n  - name: p\n    jobs: [{{ trace: {{ path: {path}{keys} }}, clients: {clients} }}]\n"
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

    let line = "trace run.strace in p: of 5 requests read: 1 malformed lines (line 4: ";
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
