//! Deterministic runs: one seed, one result, to the last byte; another seed, another one. What virtual time
//! means for a schedule, and that a small regression of the target cannot hide.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use delalloc::args::{Args, Command};
use delalloc::plan::RunPlan;
use delalloc::run;
use delalloc::signals::Signals;
use delalloc::targets::{self, Levels, Opening, Reading, Target, TargetFile};
use delalloc_backends::Clock;
use delalloc_results::metric::Class;
use delalloc_results::record::{PhaseRecord, RunStatus};
use delalloc_results::{RunRecord, load};
use support::Bench;

/// Two jobs of several clients, open and closed, with syncs and a sweep, on a device of this kind.
fn busy(device: &str) -> String {
    format!(
        "version: 1
name: busy
seed: 5
deterministic: true
targets:
  engine: {{ engine: {{ backend: {{ sim: {{ size: 64MiB, device: {device} }} }} }} }}
  raw: {{ raw: {{ backend: {{ sim: {{ size: 64MiB, device: {device} }} }} }} }}
engine: {{ cache: {{ bytes: 2MiB }}, read: {{ ahead_max: 256KiB }}, dirty: {{ background: 256KiB, limit: 1MiB }} }}
content: {{ ratio: 2.5 }}
files: {{ table: {{ size: 3MiB }}, log: {{ size: 1MiB }} }}
phases:
  - name: load
    jobs: [ {{ write: table, pattern: sequential, block: 64KiB }} ]
    end: sync
  - name: serve
    drop_caches: true
    duration: 1500ms
    jobs:
      - {{ mix: {{ read: 60, write: 40 }}, file: table, pattern: {{ zipf: 1.1 }}, block: 4KiB, rate: {{ poisson: 300/s }}, clients: 3 }}
      - {{ append: log, block: 4KiB, fsync_every: 2, think: 15ms, ops: 60 }}
    end: commit
sweep: {{ thread_pool_size: [1, 2] }}
rounds: 2
"
    )
}

/// Replays in this process, on targets that `open` opens.
fn replay(
    home: &Path,
    workload: &str,
    open: &dyn Fn(&Opening<'_>) -> anyhow::Result<Box<dyn Target>>,
) -> RunRecord {
    let path = home.join("workload.yaml");
    std::fs::write(&path, workload).unwrap();
    let out = tempfile::tempdir_in(home).unwrap().keep();
    let (path, out) = (path.to_str().unwrap(), out.to_str().unwrap());
    let words = ["delalloc", "replay", path, "--out", out];
    let Command::Replay(args) = Args::parse_from(words).command else {
        unreachable!("replay was typed")
    };
    let plan = RunPlan::resolve(&args).unwrap();
    let record = run::run(&plan, open, &Signals::default()).unwrap().record;
    assert_eq!(record.status, RunStatus::Complete);
    record
}

fn text(record: &RunRecord) -> String {
    serde_json::to_string(record).unwrap()
}

fn phase<'a>(record: &'a RunRecord, name: &'a str) -> &'a PhaseRecord {
    record.cells[0].phases_named(name).next().unwrap()
}

#[test]
fn the_binary_leaves_the_same_bytes_for_one_seed_and_others_for_another() {
    let bench = Bench::new();
    let workload = bench.workload("busy.yaml", &busy("nvme"));
    for out in ["a", "b", "c"] {
        assert_eq!(bench.replay(&workload, out, &[]).0, 0);
    }
    let bytes = |out: &str, name: &str| std::fs::read(bench.path(out).join(name)).unwrap();
    let names: BTreeSet<String> = std::fs::read_dir(bench.path("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names.contains("result.json") && names.len() == 9,
        "{names:?}"
    );
    for name in names.iter().filter(|name| *name != "surroundings.json") {
        for other in ["b", "c"] {
            let same = bytes("a", name) == bytes(other, name);
            assert!(same, "{name} differs between a and {other}");
        }
    }
    let surroundings: serde_json::Value =
        serde_json::from_slice(&bytes("a", "surroundings.json")).unwrap();
    assert!(surroundings["wall_ns"].as_u64().unwrap() > 0);
    assert!(surroundings["machine"]["kernel"].is_string());

    let record = load(&bench.path("a").join("result.json")).unwrap();
    assert!(record.deterministic && record.wall_ns == 0 && record.started_at.is_empty());
    assert!(record.tool.codecs.contains_key("zstd"));
    let (verified, mismatches) = record.verified();
    assert!(verified > 8 * (3 << 20) && mismatches == 0);
    for cell in &record.cells {
        assert_eq!(cell.fault, None);
        let counters = cell.counters.keys();
        for name in counters {
            assert_eq!(record.metrics[name].class, Class::Exact, "{name}");
        }
        assert!(cell.counters["device.write_ns"] > 0.0);
    }

    assert_eq!(bench.replay(&workload, "d", &["--seed", "6"]).0, 0);
    let other = load(&bench.path("d").join("result.json")).unwrap();
    assert_ne!(other.cells[0].counters, record.cells[0].counters);
}

/// Half of its operations are warm-up: what the target counted meanwhile is in the cell and in no phase.
#[test]
fn a_phase_has_counters_stages_and_spans_of_its_own_without_its_warm_up() {
    let workload = "version: 1
name: halves
deterministic: true
targets: { engine: { engine: { backend: { sim: { size: 64MiB, device: nvme } } } } }
files: { table: { size: 4MiB } }
phases:
  - name: early
    jobs: [ { write: table, pattern: sequential, block: 64KiB } ]
    end: commit
  - name: late
    warmup: 1s
    duration: 1s
    jobs: [ { write: table, pattern: random, block: 4KiB, rate: 1000/s, fsync_every: 20 } ]
";
    let home = tempfile::tempdir().unwrap();
    let record = replay(home.path(), workload, &targets::open);
    let cell = &record.cells[0];
    let (early, late) = (phase(&record, "early"), phase(&record, "late"));
    let wrote = |phase: &PhaseRecord| {
        let row = phase.ops.iter().find(|row| row.op == "write");
        row.expect("it wrote").bytes as f64
    };
    assert_eq!(early.counters["data.accepted_bytes"], f64::from(4 << 20));
    // What is under way or behind schedule when a look is due is on either side of it.
    let accepted = late.counters["data.accepted_bytes"];
    assert!((accepted - wrote(late)).abs() <= 8.0 * 4096.0, "{accepted}");
    assert!(cell.counters["data.accepted_bytes"] > 1.2 * accepted + f64::from(4 << 20));
    for (name, all) in &cell.counters {
        let of = |phase: &PhaseRecord| phase.counters.get(name).copied();
        if let (Some(one), Some(other)) = (of(early), of(late)) {
            assert!(one + other <= *all, "{name}: {one} and {other} of {all}");
        }
    }
    for stage in &cell.stages {
        let items = |phase: &PhaseRecord| {
            let same = phase.stages.iter().filter(|one| one.name == stage.name);
            same.map(|one| one.items).sum::<u64>()
        };
        assert!(items(early) + items(late) <= stage.items, "{}", stage.name);
    }
    let span = |phase: &PhaseRecord, name: &str| {
        let found = phase.spans.iter().find(|span| span.name == name);
        found.cloned().expect(name)
    };
    let (home, synced) = (span(early, "home"), span(late, "synced"));
    assert!(home.count > 0 && home.ns_p50 <= home.ns_p99 && home.ns_p99 <= home.ns_max);
    let syncs = late.ops.iter().find(|row| row.op == "sync").unwrap().count;
    assert!(
        synced.count.abs_diff(syncs) <= 1,
        "{synced:?} and {syncs} syncs"
    );
    assert_eq!(span(late, "accepted").count as f64 * 4096.0, wrote(late));
    assert!(!home.max_is_edge, "nothing was at home before");
}

#[test]
fn one_process_repeats_itself_and_rounds_differ() {
    let home = tempfile::tempdir().unwrap();
    let records: Vec<RunRecord> = (0..3)
        .map(|_| replay(home.path(), &busy("hdd"), &targets::open))
        .collect();
    assert_eq!(text(&records[0]), text(&records[1]));
    assert_eq!(text(&records[0]), text(&records[2]));
    let of_round = |round| {
        let mut cells = records[0].cells.iter();
        cells
            .find(|cell| cell.round == round)
            .unwrap()
            .phases
            .clone()
    };
    assert_ne!(
        of_round(0),
        of_round(1),
        "each round draws its own latencies"
    );
}

#[test]
fn a_closed_loop_keeps_its_rests_to_the_nanosecond() {
    let home = tempfile::tempdir().unwrap();
    // The device takes no time, so a cycle is a rest of 1 ms and the price of a call with 4 KiB.
    let workload = "version: 1
deterministic: true
targets: { engine: { engine: { backend: { mem: { size: 64MiB } } } } }
files: { table: { size: 1MiB, filled: true } }
phases:
  - name: read
    duration: 1s
    jobs: [ { read: table, pattern: random, block: 4KiB, think: 1ms } ]
";
    let record = replay(home.path(), workload, &targets::open);
    let read = phase(&record, "read");
    let cycle_ns = 1_000_000 + 1000 + 512;
    assert_eq!(read.ops[0].count, 1_000_000_000_u64.div_ceil(cycle_ns));
    let times: Vec<u64> = read.series.iter().map(|sample| sample.t_ns).collect();
    let ticks = [200, 400, 600, 800, 1000].map(|ms| ms * 1_000_000);
    assert!(
        times.starts_with(&ticks[..4]) && times[4].abs_diff(ticks[4]) <= cycle_ns,
        "{times:?}"
    );
}

#[test]
fn clients_wait_for_each_other_and_the_response_says_so() {
    let home = tempfile::tempdir().unwrap();
    // A disk gives some 80 reads a second; 200 are wanted, of a file that is not cached.
    let workload = "version: 1
deterministic: true
targets: { engine: { engine: { backend: { sim: { size: 128MiB, device: hdd } } } } }
engine: { cache: { bytes: 4MiB }, dirty: { background: 512KiB, limit: 2MiB }, read: { ahead_max: 128KiB } }
content: random
files: { table: { size: 32MiB, filled: true } }
phases:
  - name: read
    drop_caches: true
    duration: 2s
    jobs: [ { read: table, pattern: random, block: 4KiB, rate: 400/s, clients: 8 } ]
";
    let record = replay(home.path(), workload, &targets::open);
    let cell = &record.cells[0];
    let read = &phase(&record, "read").ops[0];
    assert!(read.service.ns_p50 < 20_000_000, "{}", read.service.ns_p50);
    assert!(
        read.response.ns_max > 500_000_000,
        "{}",
        read.response.ns_max
    );
    assert!(read.response.ns_p50 > 5 * read.service.ns_p50);
    assert!(cell.counters["schedule.busy_share"] > 0.9);
    // The least that a histogram holds.
    assert!(cell.counters["generator.late_ns_max"] <= 1.0);
}

/// Writes every hundredth block twice: what a small regression looks like from the device.
struct Wasteful(Box<dyn Target>, Arc<AtomicU64>);

struct WastefulFile(Arc<dyn TargetFile>, Arc<AtomicU64>);

impl Target for Wasteful {
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        let file = self.0.open_file(name)?;
        Ok(Arc::new(WastefulFile(file, Arc::clone(&self.1))))
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.0.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        self.0.rename(from, to)
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        self.0.sync_all()
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        self.0.drop_caches()
    }

    fn reopen(&self) -> anyhow::Result<()> {
        self.0.reopen()
    }

    fn counters(&self) -> Vec<Reading> {
        self.0.counters()
    }

    fn levels(&self) -> Levels {
        self.0.levels()
    }

    fn finals(&self) -> Vec<Reading> {
        self.0.finals()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.clock()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn keeps(&self) -> bool {
        self.0.keeps()
    }

    fn close(&self) -> anyhow::Result<()> {
        self.0.close()
    }
}

impl TargetFile for WastefulFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        self.0.write_at(offset, bytes)?;
        if self.1.fetch_add(1, Ordering::Relaxed) % 100 == 99 {
            self.0.sync()?;
            self.0.write_at(offset, bytes)?;
        }
        Ok(())
    }

    fn sync(&self) -> anyhow::Result<()> {
        self.0.sync()
    }

    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()> {
        self.0.truncate(file_bytes)
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()> {
        self.0.punch_hole(offset, bytes)
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        self.0.size_bytes()
    }
}

#[test]
fn one_percent_more_at_the_device_is_seen_in_every_counter_it_touches() {
    let home = tempfile::tempdir().unwrap();
    let workload = "version: 1
deterministic: true
targets:
  engine: { engine: { backend: { sim: { size: 64MiB, device: sata_ssd } } } }
  raw: { raw: { backend: { sim: { size: 64MiB, device: sata_ssd } } } }
content: random
files: { log: { size: 16MiB } }
phases: [ { name: append, jobs: [ { append: log, block: 4KiB, fsync_every: 1, ops: 1000 } ] } ]
";
    let wasteful = |opening: &Opening<'_>| -> anyhow::Result<Box<dyn Target>> {
        Ok(Box::new(Wasteful(targets::open(opening)?, Arc::default())))
    };
    let clean = replay(home.path(), workload, &targets::open);
    let again = replay(home.path(), workload, &targets::open);
    let planted = replay(home.path(), workload, &wasteful);
    for target in ["engine", "raw"] {
        let counters = |record: &RunRecord| {
            let mut cells = record.cells.iter();
            let cell = cells.find(|cell| cell.target == target);
            cell.expect("a cell for each target").counters.clone()
        };
        let (clean, again, planted) = (counters(&clean), counters(&again), counters(&planted));
        assert_eq!(clean, again);
        let more = |name: &str| planted[name] / clean[name];
        for name in [
            "device.write_bytes",
            "device.write_requests",
            "device.write_ns",
        ] {
            assert!(more(name) > 1.002, "{target} {name}: {}", more(name));
        }
        assert!(more("device.write_bytes") < 1.03);
        assert_eq!(more("user.write_bytes"), 1.0);
    }
    assert_eq!(
        {
            let raw = |record: &RunRecord| {
                let mut cells = record.cells.iter();
                let cell = cells.find(|cell| cell.target == "raw").unwrap();
                cell.counters["device.write_bytes"]
            };
            raw(&planted) - raw(&clean)
        },
        10.0 * 4096.0,
        "a bare device is written exactly the blocks that were planted"
    );
}

#[test]
fn it_can_be_asked_for_and_is_refused_where_it_cannot_be() {
    let bench = Bench::new();
    let text = busy("cloud").replace("deterministic: true\n", "");
    let workload = bench.workload("cloud.yaml", &text);
    let (code, shown) = bench.replay(&workload, "out", &["--deterministic", "--dry-run"]);
    assert!(code == 0 && shown.contains("deterministic: one thread in virtual time"));
    let (code, shown) = bench.replay(&workload, "out", &["--dry-run"]);
    assert!(code == 0 && !shown.contains("deterministic"));
    let text = text.replace(
        "raw: { raw: { backend: { sim: { size: 64MiB, device: cloud } } } }",
        "peer: { directory: { path: . } }",
    );
    let workload = bench.workload("peer.yaml", &text);
    assert_eq!(bench.replay(&workload, "out", &["--deterministic"]).0, 2);
    assert!(!bench.path("out").exists());
}
