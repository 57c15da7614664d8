//! The operations that come of patterns, file sets, mixes, loops and delays.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use delalloc_workloads::{
    Checks, Cursors, Estimate, Op, OpStream, StreamError, TimedOp, WorkloadPlan, dry_run_text,
    load_str,
};

const FILES: &str = "table: { size: 256KiB }, set: { count: 50, size: { lognormal: { median: 8KiB, sigma: 1, max: 200KiB } } }, same: { count: 6, size: 12KiB }, log: {}";

fn plan_of(phases: &str) -> WorkloadPlan {
    let text = format!(
        "version: 1\ntargets: {{ n: {{ null: {{}} }} }}\nfiles: {{ {FILES} }}\nphases: [{phases}]\n"
    );
    load_str(&text, "w.yaml", &[], Checks::none()).unwrap_or_else(|error| panic!("{error}"))
}

fn plan(job: &str) -> WorkloadPlan {
    plan_of(&format!("{{ name: p, jobs: [{{ {job} }}] }}"))
}

fn streams(plan: &WorkloadPlan, phase: usize, cursors: &Arc<Cursors>) -> Vec<Vec<TimedOp>> {
    let streams: Result<Vec<OpStream>, StreamError> = plan.loads[0].streams(phase, cursors);
    streams
        .unwrap()
        .into_iter()
        .map(|stream| stream.take(50_000).map(Result::unwrap).collect())
        .collect()
}

fn clients(plan: &WorkloadPlan) -> Vec<Vec<Op>> {
    let cursors = Arc::new(Cursors::new(&plan.loads[0]));
    let ops = |ops: Vec<TimedOp>| ops.into_iter().map(|timed| timed.op).collect();
    streams(plan, 0, &cursors).into_iter().map(ops).collect()
}

/// (file, offset, bytes) of what is written or read by the only client.
fn pieces(job: &str) -> Vec<(u32, u64, u64)> {
    clients(&plan(job))
        .concat()
        .iter()
        .filter_map(piece)
        .collect()
}

fn piece(op: &Op) -> Option<(u32, u64, u64)> {
    match *op {
        Op::Write {
            file,
            offset,
            bytes,
            ..
        }
        | Op::Read {
            file,
            offset,
            bytes,
        } => Some((file.0, offset, bytes)),
        _ => None,
    }
}

#[test]
fn backward_is_sequential_turned_round() {
    for job in [
        "write: table, block: 4KiB",
        "write: same, block: 8KiB",
        "write: set, block: 4KiB",
    ] {
        let mut forward = pieces(job);
        forward.reverse();
        let backward = pieces(&format!("{job}, pattern: backward"));
        assert_eq!(backward.len(), forward.len(), "{job}");
        if !job.contains("same") {
            assert_eq!(backward, forward, "{job}");
        }
        let bytes = |pieces: &[(u32, u64, u64)]| pieces.iter().map(|p| p.2).sum::<u64>();
        assert_eq!(bytes(&backward), bytes(&forward));
    }
}

#[test]
fn streams_take_turns_and_cover_everything_once() {
    for streams in [2, 3, 64, 100] {
        for backward in [false, true] {
            let pieces = pieces(&format!(
                "write: table, block: 4KiB, pattern: {{ sequential: {{ streams: {streams}, backward: {backward} }} }}"
            ));
            let places: BTreeSet<u64> = pieces.iter().map(|piece| piece.1).collect();
            assert_eq!((pieces.len(), places.len()), (64, 64), "{streams}");
        }
    }
    let two = pieces("write: table, block: 4KiB, pattern: { sequential: { streams: 2 } }");
    let first: Vec<u64> = two[..4].iter().map(|piece| piece.1 >> 10).collect();
    assert_eq!(first, [0, 128, 4, 132]);
}

#[test]
fn any_stride_covers_every_byte_once_either_way() {
    for stride in ["16KiB", "20KiB", "6000B", "100KiB"] {
        for (backward, clients) in [(false, 1), (true, 1), (false, 3)] {
            for file in ["table", "same"] {
                let mut pieces = pieces_of_all(&format!(
                    "write: {file}, block: 4KiB, clients: {clients}, pattern: {{ stride: {{ every: {stride}, backward: {backward} }} }}"
                ));
                pieces.sort_unstable();
                let mut upto: BTreeMap<u32, u64> = BTreeMap::new();
                for (file, offset, bytes) in pieces {
                    let end = upto.entry(file).or_default();
                    assert_eq!(offset, *end, "{stride} {backward} {clients}");
                    *end += bytes;
                }
                let sizes: u64 = upto.values().sum();
                assert_eq!(sizes, if file == "table" { 256 << 10 } else { 72 << 10 });
            }
        }
    }
    let hops = pieces("write: table, block: 4KiB, pattern: { stride: 20KiB }");
    assert_eq!((hops[0].1, hops[1].1, hops[2].1), (0, 20 << 10, 40 << 10));
}

fn pieces_of_all(job: &str) -> Vec<(u32, u64, u64)> {
    clients(&plan(job))
        .concat()
        .iter()
        .filter_map(piece)
        .collect()
}

#[test]
fn laws_stay_inside_and_prefer_what_they_should() {
    let share_below = |pattern: &str, places: u64| {
        let pieces = pieces(&format!(
            "write: table, block: 4KiB, ops: 20000, pattern: {pattern}"
        ));
        assert!(
            pieces
                .iter()
                .all(|(_, offset, bytes)| offset + bytes <= 256 << 10)
        );
        let below = pieces
            .iter()
            .filter(|piece| piece.1 < places * 4096)
            .count();
        below as f64 / 20_000.0
    };
    // 80 % of the accesses go to the first fifth: (12.8 / 64) of the places, of which 12 are whole.
    let pareto = share_below("{ pareto: { share: 20%, scatter: false } }", 12);
    let expected = (12.0_f64 / 64.0).powf(0.8_f64.ln() / 0.2_f64.ln());
    assert!((pareto - expected).abs() < 0.015, "{pareto} {expected}");
    let zones = "{ zones: [{ accesses: 90%, space: 25% }, { accesses: 10%, space: 75% }] }";
    assert!((share_below(zones, 16) - 0.9).abs() < 0.01);
    let normal = "{ normal: { center: 50%, deviation: 10% } }";
    assert!((share_below(normal, 32) - 0.5).abs() < 0.015);
}

/// As many as a few seconds allow; `DELALLOC_ZIPF_BITS=29` takes 2^29 of each law, 2 GiB of counters and minutes.
#[test]
fn zipf_reaches_as_many_distinct_places_as_it_should() {
    let bits = std::env::var("DELALLOC_ZIPF_BITS").ok();
    let bits: Option<u32> = bits.map(|text| text.parse().expect("a number of bits"));
    // Draws as many as there are places; fio's generator is known to reach far too few.
    for (theta, least) in [(0.99, 22_u32), (1.2, 21), (0.6, 20)] {
        let places = 1_u64 << bits.unwrap_or(least);
        let text = format!(
            "version: 1\ntargets: {{ n: {{ null: {{}} }} }}\nfiles: {{ t: {{ size: {}KiB }} }}\nphases: [{{ name: p, jobs: [{{ write: t, block: 4KiB, pattern: {{ zipf: {theta} }}, ops: {places} }}] }}]\n",
            places * 4
        );
        let plan = load_str(&text, "w.yaml", &[], Checks::none()).unwrap();
        let cursors = Arc::new(Cursors::new(&plan.loads[0]));
        let stream = plan.loads[0].streams(0, &cursors).unwrap().remove(0);
        let mut counts = vec![0_u32; usize::try_from(places).unwrap()];
        for timed in stream {
            let (_, offset, _) = piece(&timed.unwrap().op).unwrap();
            counts[usize::try_from(offset / 4096).unwrap()] += 1;
        }
        let sum: f64 = (1..=places).map(|k| (k as f64).powf(-theta)).sum();
        let draws = places as f64;
        let missed = |k: u64| (1.0 - (k as f64).powf(-theta) / sum).powf(draws);
        let expected: f64 = (1..=places).map(|k| 1.0 - missed(k)).sum();
        counts.retain(|count| *count > 0);
        let found = counts.len() as f64;
        println!("{theta}: {found} of {expected:.0} in {places}");
        assert!(
            (found / expected - 1.0).abs() < 0.01,
            "{theta}: {found} for {expected}"
        );
        let mut by_rank = counts;
        by_rank.sort_unstable_by(|a, b| b.cmp(a));
        for rank in [1_usize, 2, 4, 16] {
            let expected = (rank as f64).powf(-theta) / sum * draws;
            let slack = 5.0 * expected.sqrt();
            let found = f64::from(by_rank[rank - 1]);
            assert!(
                (found - expected).abs() < slack,
                "{theta} {rank}: {found} {expected}"
            );
        }
    }
}

#[test]
fn reads_and_writes_of_a_mix_have_their_own_sizes() {
    let ops = clients(&plan(
        "mix: { read: 70, write: 30 }, file: table, pattern: random, ops: 20000, block: { read: 4KiB, write: { 8KiB: 1, 16KiB: 3 } }",
    ))
    .concat();
    let (mut reads, mut small, mut large) = (0, 0, 0);
    for op in &ops {
        match op {
            Op::Read { bytes: 4096, .. } => reads += 1,
            Op::Write { bytes: 8192, .. } => small += 1,
            Op::Write { bytes: 16384, .. } => large += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((13_700..14_300).contains(&reads), "{reads}");
    assert!((1350..1650).contains(&small) && (4300..4700).contains(&large));
}

#[test]
fn files_of_a_set_have_sizes_of_their_own_and_are_walked_to_their_ends() {
    let whole = plan("write: set, block: 4KiB, clients: 3");
    let sizes: Vec<u64> = whole.loads[0].files[1..51]
        .iter()
        .map(|file| file.size_bytes.unwrap())
        .collect();
    assert!(
        sizes.iter().collect::<BTreeSet<_>>().len() > 40,
        "{sizes:?}"
    );
    assert!(sizes.iter().all(|size| (1..=200 << 10).contains(size)));
    let mut reached: BTreeMap<u32, u64> = BTreeMap::new();
    for (file, offset, bytes) in clients(&whole).concat().iter().filter_map(piece) {
        assert!(offset + bytes <= sizes[file as usize - 1]);
        *reached.entry(file).or_default() += bytes;
    }
    assert_eq!(reached.into_values().collect::<Vec<u64>>(), sizes);
}

/// Carries out whole-file operations on a set of names; panics where something is done to a file that is not there.
fn check_presence(ops: &[Op], there: &mut BTreeSet<u32>) -> BTreeMap<&'static str, u32> {
    let mut counts = BTreeMap::new();
    for op in ops {
        *counts.entry(op.kind().name()).or_default() += 1;
        let file = op.file().unwrap().0;
        match op {
            Op::Create { .. } => {
                there.insert(file);
            }
            Op::Remove { .. } => assert!(there.remove(&file), "{file} is not there"),
            _ => assert!(there.contains(&file), "{op:?} of what is not there"),
        }
    }
    counts
}

#[test]
fn a_mix_over_files_keeps_its_shares_and_touches_only_what_is_there() {
    let plan = plan(
        "mix: { read: 40, write: 10, append: 10, create: 15, remove: 15, rename: 5, sync: 5 }, file: set, pattern: { pareto: 20% }, block: 4KiB, ops: 20000, clients: 4",
    );
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut owners: BTreeMap<u32, usize> = BTreeMap::new();
    for (client, ops) in clients(&plan).iter().enumerate() {
        for op in ops {
            let owner = *owners.entry(op.file().unwrap().0).or_insert(client);
            assert_eq!(owner, client, "a file of two clients");
        }
        for (kind, count) in check_presence(ops, &mut BTreeSet::new()) {
            *counts.entry(kind).or_default() += count;
        }
    }
    let near = |kind: &str, expected: u32| {
        let found = counts[kind];
        assert!(found.abs_diff(expected) < 400, "{kind}: {found}");
    };
    near("read", 8000);
    near("write", 4000);
    near("create", 3000);
    near("remove", 3000);
    near("rename", 1000);
    near("sync", 1000);
}

#[test]
fn a_mix_begins_with_the_files_that_phases_before_left() {
    let plan = plan_of(
        "{ name: a, jobs: [{ write: same, block: 12KiB, ops: 3 }] }, { name: b, jobs: [{ mix: { remove: 1, rename: 1 }, file: same, ops: 3 }] }",
    );
    let cursors = Arc::new(Cursors::new(&plan.loads[0]));
    let ops = |phase| -> Vec<Op> {
        let all = streams(&plan, phase, &cursors).concat();
        all.iter().map(|timed| timed.op).collect()
    };
    let mut there: BTreeSet<u32> = ops(0).iter().map(|op| op.file().unwrap().0).collect();
    assert_eq!(there.len(), 3);
    check_presence(&ops(1), &mut there);
}

#[test]
fn a_loop_does_all_steps_to_a_file_before_the_next() {
    let plan = plan(
        "each: same, do: [create, write, fdatasync, append, read, rename, remove], block: 8KiB, clients: 2",
    );
    let words: Vec<String> = clients(&plan)[0]
        .iter()
        .map(|op| match piece(op) {
            Some((file, offset, bytes)) => {
                format!("{} {file} {offset}+{bytes}", op.kind().name())
            }
            None => format!("{} {}", op.kind().name(), op.file().unwrap().0),
        })
        .collect();
    assert_eq!(
        words[..10],
        [
            "create 51",
            "write 51 0+8192",
            "write 51 8192+4096",
            "fdatasync 51",
            "write 51 12288+8192",
            "read 51 0+8192",
            "read 51 8192+4096",
            "rename 51",
            "remove 51",
            "create 53",
        ]
    );
    assert_eq!(words.len(), 27);
}

#[test]
fn renames_count_on_and_data_syncs_follow_their_writes() {
    let plan = plan_of(
        "{ name: a, jobs: [{ rename: same }] }, { name: b, jobs: [{ rename: same }] }, { name: c, jobs: [{ append: log, block: 4KiB, ops: 4, fdatasync_every: 2 }] }",
    );
    let cursors = Arc::new(Cursors::new(&plan.loads[0]));
    for serial in [1, 2] {
        let renames = streams(&plan, serial - 1, &cursors).concat();
        assert_eq!(renames.len(), 6);
        let is_next =
            |op: &Op| matches!(op, Op::Rename { serial: found, .. } if *found as usize == serial);
        assert!(renames.iter().all(|timed| is_next(&timed.op)));
    }
    let kinds: Vec<&str> = streams(&plan, 2, &cursors)
        .concat()
        .iter()
        .map(|timed| timed.op.kind().name())
        .collect();
    assert_eq!(
        kinds,
        ["write", "write", "fdatasync", "write", "write", "fdatasync"]
    );
}

#[test]
fn jobs_start_late_end_early_and_wait_for_each_other() {
    let plan = plan_of(
        "{ name: p, duration: 10s, jobs: [{ name: a, write: table, block: 4KiB, rate: 100/s, delay: 2s, duration: 3s }, { name: b, write: table, block: 4KiB, start_after: a, delay: 1s }] }",
    );
    let cursors = Arc::new(Cursors::new(&plan.loads[0]));
    let all = plan.loads[0].streams(0, &cursors).unwrap();
    assert_eq!(all[0].end_ns(), Some(5_000_000_000));
    assert_eq!(
        (all[1].start_after(), all[1].delay_ns()),
        (Some(0), 1_000_000_000)
    );
    let due: Vec<u64> = streams(&plan, 0, &cursors)[0]
        .iter()
        .map(|timed| timed.due_ns.unwrap())
        .collect();
    assert_eq!((due.len(), due[0]), (300, 2_000_000_000));
    assert_eq!(due[299], 4_990_000_000);
}

#[test]
fn repetitions_do_other_things_under_one_name() {
    let plan = plan_of(
        "{ name: p, repeat: 3, jobs: [{ write: table, block: 4KiB, pattern: random, ops: 50 }] }",
    );
    let phases = &plan.loads[0].phases;
    assert!(phases.len() == 3 && phases.iter().all(|phase| phase.name == "p"));
    let cursors = Arc::new(Cursors::new(&plan.loads[0]));
    let runs: BTreeSet<Vec<u64>> = (0..3)
        .map(|phase| {
            let ops = streams(&plan, phase, &cursors).concat();
            ops.iter()
                .map(|timed| piece(&timed.op).unwrap().1)
                .collect()
        })
        .collect();
    assert_eq!(runs.len(), 3);
}

#[test]
fn the_duration_of_a_phase_holds_its_warm_up_and_its_wait() {
    let plan = plan_of(
        "{ name: p, duration: 10s, warmup: 3s, steady: { metric: p99, within: 5%, window: 2s, limit: 20s }, jobs: [{ write: table, block: 4KiB }] }",
    );
    let phase = &plan.loads[0].phases[0];
    assert_eq!(phase.duration_ns, Some(33_000_000_000));
    let text = dry_run_text(&plan, &Estimate::of(&plan, &|_, _| 0));
    assert!(
        text.contains("p: 10s after 3s of warm-up, once p99 is within 5% over 2s (20s at most)"),
        "{text}"
    );
}

#[test]
fn the_dry_run_tells_the_new_parts_apart() {
    let text = |job: &str| {
        let plan = plan(job);
        dry_run_text(&plan, &Estimate::of(&plan, &|_, _| 0))
    };
    let has = |job: &str, expected: &str| {
        let text = text(job);
        assert!(text.contains(expected), "{job}\n{text}");
    };
    has(
        "write: table, block: 4KiB, pattern: backward",
        "write table backward in 4KiB, moves 256.0KiB",
    );
    has(
        "write: table, block: 4KiB, pattern: { pareto: 20% }",
        "by pareto 20%",
    );
    has(
        "write: set, block: 4KiB",
        "write 50 files from set.0 sequentially in 4KiB, moves ",
    );
    has(
        "create: same, rate: 2/s",
        "create 6 files from same.0, 2/s, evenly",
    );
    has(
        "mix: { create: 1, remove: 1 }, file: same, ops: 10",
        "create 1, remove 1 of 6 files from same.0 sequentially, 10 times",
    );
    has(
        "each: same, do: [create, write, sync], block: 4KiB",
        "create, write, sync each of 6 files from same.0 in 4KiB, moves 72.0KiB",
    );
    has(
        "write: table, block: 4KiB, duration: 5s, rate: { bursts: { rate: 100/s, for: 1s, every: 5s } }",
        "100/s for 1s every 5s, evenly, for 5s, moves 400.0KiB",
    );
    has(
        "write: table, block: 4KiB, think: { exponential: { mean: 1s } }, ops: 100, clients: 4",
        "about 25 s",
    );
    assert!(text("write: table, block: 4KiB").contains("keeping track of files"));
}

/// Operations that a change of this crate must not change. They are said in full, so that a difference can be read.
#[test]
fn equal_seeds_give_the_operations_of_last_year() {
    const GOLDEN: &str = include_str!("streams.golden.txt");
    let jobs = [
        "write: table, block: 4KiB, pattern: { pareto: 20% }",
        "write: table, block: 4KiB, pattern: { normal: { deviation: 10% } }",
        "write: table, block: 4KiB, pattern: { zones: [{ accesses: 80%, space: 20% }, { accesses: 20%, space: 80% }] }",
        "write: table, block: 4KiB, pattern: { stride: { every: 20KiB, backward: true } }",
        "write: table, block: 4KiB, pattern: { sequential: { streams: 3 } }, think: { lognormal: { median: 1ms, sigma: 1 } }",
        "mix: { read: 1, write: 1 }, file: table, pattern: random, block: { read: 4KiB, write: 8KiB }, rate: { ramp: { from: 100/s, to: 900/s, over: 1s, arrivals: poisson } }",
        "mix: { read: 3, append: 1, create: 1, remove: 1, rename: 1 }, file: set, pattern: { zipf: 1 }, block: 4KiB, ops: 100",
        "each: set, do: [create, write, sync, rename], block: 16KiB, rate: { bursts: { rate: 1000/s, for: 5ms, every: 1s } }",
        "write: table, block: { from: 4KiB, to: 32KiB }, pattern: random, rate: 1MiB/s, duration: 1s",
        "write: table, block: 4KiB, pattern: { random: { run: 3 } }, think: { uniform: { from: 1ms, to: 9ms } }, think_every: 3",
        "write: table, block: 4KiB, pattern: { random: { jumps: 30% } }",
        "write: table, block: 4KiB, pattern: { hotspot: { accesses: 90%, space: 10%, every: 4 } }",
        "append: log, block: { from: 1KiB, to: 4KiB }, ops: 12",
    ];
    let mut found = String::new();
    for job in jobs {
        let plan = plan(job);
        let cursors = Arc::new(Cursors::new(&plan.loads[0]));
        writeln!(found, "{job}").unwrap();
        for timed in streams(&plan, 0, &cursors)[0].iter().take(12) {
            let due = timed.due_ns.map_or(String::new(), |ns| format!(" at {ns}"));
            let think = match timed.think_ns {
                0 => String::new(),
                ns => format!(" rest {ns}"),
            };
            writeln!(found, "  {:?}{due}{think}", timed.op).unwrap();
        }
    }
    if found != GOLDEN && std::env::var_os("DELALLOC_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams.golden.txt");
        std::fs::write(path, &found).unwrap();
        return;
    }
    assert_eq!(
        found, GOLDEN,
        "write it again with DELALLOC_BLESS=1 if that is meant"
    );
}
