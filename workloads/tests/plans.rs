//! What a workload resolves to: overrides, sweeps, fills, and the operations that come of it.

use std::collections::HashSet;
use std::sync::Arc;

use delalloc_workloads::plan::{
    BackendPlan, ContentPlan, Corpora, DedupePlan, Looks, PhaseRole, RatioCodec, Recipe,
    RecipePlan, TargetKind,
};
use delalloc_workloads::{
    Checks, Cursors, FileSlot, LoadPlan, Op, TimedOp, WorkloadPlan, load_str,
};

fn plan_set(body: &str, sets: &[&str]) -> WorkloadPlan {
    let text = format!(
        "version: 1\ntargets:\n  engine: {{ engine: {{ backend: {{ file: {{ path: a.img, size: 1GiB }} }}, knobs: {{ budget.bytes: 1MiB }} }} }}\n{body}"
    );
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load_str(&text, "w.yaml", &sets, Checks::none()).unwrap_or_else(|error| panic!("{error}"))
}

fn plan(body: &str) -> WorkloadPlan {
    plan_set(body, &[])
}

/// One job on files of which `table` is 64 blocks of 4 KiB and there are three `small` of 10,000 bytes.
fn job(job: &str) -> WorkloadPlan {
    job_for(job, "")
}

fn job_for(job: &str, duration: &str) -> WorkloadPlan {
    plan(&format!(
        "files:\n  table: {{ size: 256KiB }}\n  small: {{ size: 10000B, count: 3 }}\n  log: {{}}\nphases:\n  - name: p\n    {duration}\n    jobs: [{{ {job} }}]\n"
    ))
}

/// Operations of each client of the only phase.
fn clients(plan: &WorkloadPlan) -> Vec<Vec<TimedOp>> {
    let load: &LoadPlan = &plan.loads[0];
    let cursors = Arc::new(Cursors::new(load));
    let streams = load.streams(0, &cursors).unwrap();
    streams
        .into_iter()
        .map(|stream| stream.take(100_000).map(Result::unwrap).collect())
        .collect()
}

fn ops(plan: &WorkloadPlan) -> Vec<Op> {
    clients(plan)
        .concat()
        .iter()
        .map(|timed| timed.op)
        .collect()
}

/// (file, offset, bytes) of reads, writes and holes.
fn pieces(plan: &WorkloadPlan) -> Vec<(u32, u64, u64)> {
    ops(plan)
        .iter()
        .filter_map(Op::place)
        .map(|(file, offset, bytes)| (file.0, offset, bytes))
        .collect()
}

/// Distinct bytes of `pieces`.
fn covered(pieces: &[(u32, u64, u64)]) -> u64 {
    let mut sorted = pieces.to_vec();
    sorted.sort_unstable();
    let mut upto = (0, 0);
    let mut sum = 0;
    for (file, offset, bytes) in sorted {
        let start = if file == upto.0 {
            offset.max(upto.1)
        } else {
            offset
        };
        let end = offset + bytes;
        sum += end.saturating_sub(start);
        upto = (file, if file == upto.0 { end.max(upto.1) } else { end });
    }
    sum
}

#[test]
fn sequential_clients_share_the_file_without_gap_or_overlap() {
    for clients in [1, 3, 64, 100] {
        let pieces = pieces(&job(&format!(
            "write: table, block: 4KiB, clients: {clients}"
        )));
        assert_eq!(pieces.len(), 64);
        assert_eq!(covered(&pieces), 256 << 10);
    }
}

#[test]
fn several_files_are_walked_to_their_ragged_ends() {
    let pieces = pieces(&job("write: small, block: 4KiB, clients: 2"));
    assert_eq!(pieces.len(), 9);
    assert_eq!(covered(&pieces), 30_000);
    assert!(pieces.contains(&(1, 8192, 1808)));
}

#[test]
fn weighted_blocks_walk_the_file_once() {
    let pieces = pieces(&job(
        "write: table, block: { 4KiB: 1, 8KiB: 1, 16KiB: 1 }, clients: 3",
    ));
    assert_eq!(pieces.iter().map(|piece| piece.2).sum::<u64>(), 256 << 10);
    assert_eq!(covered(&pieces), 256 << 10);
}

#[test]
fn shuffle_and_stride_visit_each_place_once_in_another_order() {
    for pattern in ["shuffle", "{ stride: 32KiB }"] {
        for clients in [1, 3] {
            let pieces = pieces(&job(&format!(
                "write: table, block: 4KiB, pattern: {pattern}, clients: {clients}"
            )));
            assert_eq!(
                (pieces.len(), covered(&pieces)),
                (64, 256 << 10),
                "{pattern}"
            );
            assert!(!pieces.is_sorted(), "{pattern}");
        }
    }
}

#[test]
fn random_and_zipf_stay_inside_and_align() {
    for pattern in [
        "random",
        "{ zipf: 1.2 }",
        "{ zipf: { theta: 0, scatter: false } }",
    ] {
        let pieces = pieces(&job(&format!(
            "write: table, block: {{ 4KiB: 1, 12KiB: 1 }}, pattern: {pattern}, ops: 5000, offset: 8KiB, length: 100KiB, clients: 2"
        )));
        assert_eq!(pieces.len(), 5000);
        for (file, offset, bytes) in pieces {
            assert_eq!(file, 0);
            assert!(
                offset >= 8 << 10 && offset + bytes <= 108 << 10,
                "{offset} {bytes}"
            );
            assert!(offset.is_multiple_of(4096) && (bytes == 4096 || bytes == 12288));
        }
    }
}

#[test]
fn a_zipf_load_has_hot_places_spread_over_the_region() {
    let pieces = pieces(&job(
        "write: table, block: 4KiB, pattern: { zipf: 1.2 }, ops: 20000",
    ));
    let mut counts = [0; 64];
    for (_, offset, _) in &pieces {
        counts[usize::try_from(offset / 4096).unwrap()] += 1;
    }
    let hottest = counts
        .iter()
        .position(|count| count == counts.iter().max().unwrap());
    counts.sort_unstable_by(|a, b| b.cmp(a));
    // 1 / sum of k^-1.2 over 64 ranks is 0.305.
    assert!((5500..6700).contains(&counts[0]), "{counts:?}");
    assert_ne!(hottest, Some(0));
}

#[test]
fn appends_follow_each_other_and_are_synced_when_asked() {
    let ops = ops(&job(
        "append: log, block: 4KiB, bytes: 40KiB, fsync_every: 4",
    ));
    let log = FileSlot(4);
    let offsets: Vec<u64> = ops
        .iter()
        .filter_map(|op| match op {
            Op::Write { offset, .. } => Some(*offset),
            _ => None,
        })
        .collect();
    assert_eq!(offsets, (0..10).map(|nth| nth * 4096).collect::<Vec<u64>>());
    let syncs: Vec<usize> = (0..ops.len())
        .filter(|&at| ops[at] == Op::Sync { file: log })
        .collect();
    assert_eq!(syncs, [4, 9]);
}

#[test]
fn clients_of_a_log_never_write_the_same_bytes() {
    let pieces = pieces(&job("append: log, block: 4KiB, ops: 100, clients: 7"));
    assert_eq!((pieces.len(), covered(&pieces)), (100, 400 << 10));
}

#[test]
fn a_mix_keeps_its_shares_and_versions_are_unique() {
    let plan = job(
        "mix: { read: 70, write: 30 }, file: table, block: 4KiB, pattern: random, ops: 20000, clients: 4",
    );
    let mut versions = HashSet::new();
    let mut writes = 0;
    for op in ops(&plan) {
        if let Op::Write { version, .. } = op {
            writes += 1;
            assert!(version != 0 && versions.insert(version), "{version} again");
        }
    }
    assert!((5700..6300).contains(&writes), "{writes}");
}

#[test]
fn bounds_are_over_all_clients() {
    for clients in [1, 3, 7] {
        let by_bytes = job(&format!(
            "write: table, block: 4KiB, bytes: 400KiB, clients: {clients}"
        ));
        assert_eq!(ops(&by_bytes).len(), 100);
        let by_ops = job(
            &format!("read: table, block: 4KiB, ops: 100, clients: {clients}")
                .replace("read", "write"),
        );
        assert_eq!(ops(&by_ops).len(), 100);
    }
}

#[test]
fn an_open_loop_ends_with_its_phase_and_a_closed_one_does_not() {
    let open = clients(&job_for(
        "write: table, block: 4KiB, rate: 1000/s, clients: 2",
        "duration: 2s",
    ));
    let mut due: Vec<u64> = open
        .concat()
        .iter()
        .map(|timed| timed.due_ns.unwrap())
        .collect();
    due.sort_unstable();
    assert_eq!(due.len(), 2000);
    assert_eq!((due[0], due[1999]), (0, 1_999_000_000));
    let closed = clients(&job_for(
        "write: table, block: 4KiB, think: 5us",
        "duration: 2s",
    ));
    assert_eq!(closed[0].len(), 100_000);
    assert!(
        closed[0]
            .iter()
            .all(|timed| timed.think_ns == 5000 && timed.due_ns.is_none())
    );
}

#[test]
fn whole_file_jobs_touch_each_file_once() {
    let removed = ops(&job("remove: small, clients: 2"));
    assert_eq!(removed.len(), 3);
    let truncated = ops(&job("truncate: small, to: 5KiB"));
    assert!(
        truncated
            .iter()
            .all(|op| matches!(op, Op::Truncate { bytes: 5120, .. }))
    );
    assert_eq!(ops(&job("create: small, clients: 5")).len(), 3);
}

#[test]
fn whole_file_jobs_start_over_until_their_phase_ends() {
    for verb in ["sync", "truncate", "create", "rename"] {
        for (file, clients) in [("log", 1), ("small", 2)] {
            let timed = format!("{verb}: {file}, rate: 1/s, clients: {clients}");
            assert_eq!(ops(&job_for(&timed, "duration: 10s")).len(), 10, "{timed}");
        }
    }
    assert_eq!(
        ops(&job_for("remove: small, rate: 1/s", "duration: 10s")).len(),
        3
    );
    let counted = ops(&job_for("truncate: small, ops: 4", "duration: 10s"));
    assert_eq!(counted.len(), 4);
}

#[test]
fn equal_seeds_give_equal_operations_and_others_do_not() {
    let body = "files: { t: { size: 1MiB } }\nphases: [{ name: p, jobs: [{ write: t, block: 4KiB, pattern: random }] }]\n";
    let with_seed = |seed: &str| ops(&plan_set(body, &[seed]));
    assert_eq!(with_seed("seed=5"), with_seed("seed=5"));
    assert_ne!(with_seed("seed=5"), with_seed("seed=6"));
}

#[test]
fn filled_files_are_written_in_a_phase_of_their_own() {
    let plan = plan(
        "files: { t: { size: 2500KiB, filled: true } }\nphases: [{ name: p, jobs: [{ read: t, block: 4KiB }] }]\n",
    );
    let phases = &plan.loads[0].phases;
    assert_eq!(phases.len(), 2);
    assert_eq!(phases[0].role, PhaseRole::Prepare);
    assert_eq!(covered(&pieces(&plan)), 2500 << 10);
}

const SWEPT: &str = "\
engine: { compression: { level: 1, codec: zstd }, dirty.limit: 1GiB }
files: { t: { size: 1MiB } }
phases: [{ name: p, jobs: [{ name: j, write: t, block: 4KiB }] }]
sweep:
  thread_pool_size: [1, 2]
  phases.p.jobs.j.block: [4KiB, 8KiB]
";

#[test]
fn a_sweep_is_the_product_and_loads_are_shared() {
    let plan = plan(SWEPT);
    let labels: Vec<String> = plan.points.iter().map(|point| point.label()).collect();
    assert_eq!(
        labels,
        [
            "thread_pool_size=1 phases.p.jobs.j.block=4KiB",
            "thread_pool_size=1 phases.p.jobs.j.block=8KiB",
            "thread_pool_size=2 phases.p.jobs.j.block=4KiB",
            "thread_pool_size=2 phases.p.jobs.j.block=8KiB",
        ]
    );
    assert_eq!(plan.loads.len(), 2);
    let loads: Vec<usize> = plan.points.iter().map(|point| point.load).collect();
    assert_eq!(loads, [0, 1, 0, 1]);
    let knobs = plan.points[2].knobs_for(&plan.targets[0]);
    let shown: Vec<(&str, &str)> = knobs.iter().collect();
    assert_eq!(
        shown,
        [
            ("budget.bytes", "1MiB"),
            ("compression.codec", "zstd"),
            ("compression.level", "1"),
            ("dirty.limit", "1GiB"),
            ("thread_pool_size", "2"),
        ]
    );
}

#[test]
fn overrides_reach_fields_knobs_and_backends() {
    let plan = plan_set(
        SWEPT,
        &[
            "rounds=7",
            "thread_pool_size=4",
            "compression.level=3",
            "engine.dirty.limit=2GiB",
            "budget.bytes=9MiB",
            "targets.engine.path=b.img",
            "phases.p.jobs.0.block=64KiB",
            "sweep.phases.p.jobs.j.block=[16KiB]",
            "files.t.content=zeros",
            "content={mix: [{weight: 1, content: random}]}",
        ],
    );
    assert_eq!(plan.rounds, 7);
    assert_eq!(plan.points.len(), 1, "{:?}", plan.axes);
    let knobs = plan.points[0].knobs_for(&plan.targets[0]);
    let get = |name: &str| knobs.0[name].as_str();
    assert_eq!(get("thread_pool_size"), "4");
    assert_eq!(get("compression.level"), "3");
    assert_eq!(get("dirty.limit"), "2GiB");
    assert_eq!(
        get("budget.bytes"),
        "9MiB",
        "--set wins over a target's own knob"
    );
    let TargetKind::Engine(engine) = &plan.targets[0].kind else {
        panic!("{:?}", plan.targets);
    };
    let BackendPlan::File {
        path, size_bytes, ..
    } = &engine.backend
    else {
        panic!("{engine:?}");
    };
    assert_eq!((path.to_str(), *size_bytes), (Some("b.img"), 1 << 30));
    assert_eq!(pieces(&plan)[0].2, 16 << 10);
}

#[test]
fn a_knob_that_is_set_is_not_swept_under_either_of_its_names() {
    let body = "sweep: { engine.compression.level: [1, 3], thread_pool_size: [1, 2] }\nfiles: { t: { size: 1MiB } }\nphases:\n  - { name: p, jobs: [{ write: t, pattern: sequential, block: 4KiB }] }\n";
    for set in ["compression.level=9", "engine.compression.level=9"] {
        let plan = plan_set(body, &[set, "engine.thread_pool_size=4"]);
        assert_eq!(plan.axes, [], "{set}");
        let knobs = plan.points[0].knobs_for(&plan.targets[0]);
        assert_eq!(knobs.0["compression.level"], "9", "{set}");
        assert_eq!(knobs.0["thread_pool_size"], "4", "{set}");
    }
}

#[test]
fn contents_resolve_with_their_defaults() {
    let content = |written: &str| {
        let set = format!("content={written}");
        plan_set(SWEPT, &[&set, "sweep.phases.p.jobs.j.block=[4KiB]"]).loads[0]
            .content
            .clone()
    };
    let made = |recipe, ratio, codec| {
        ContentPlan::Recipe(RecipePlan {
            recipe,
            ratio,
            codec,
        })
    };
    let zstd = RatioCodec::DEFAULT;
    assert_eq!(
        content("{ratio: 2, codec: zstd}"),
        ContentPlan::Ratio(2.0),
        "the codec unless given, given"
    );
    assert_eq!(
        content("{ratio: 2, codec: lz4}"),
        made(Recipe::Words, Some(2.0), RatioCodec::Lz4)
    );
    assert_eq!(
        content("{entropy: {ratio: 2}, codec: zstd:3}"),
        made(
            Recipe::Entropy { symbols: 256 },
            Some(2.0),
            RatioCodec::Zstd(3)
        )
    );
    assert_eq!(
        content("{mosaic: {ratio: 2, by: 4KiB, share: 12.5%}}"),
        made(
            Recipe::Bimodal {
                unit_bytes: 4096,
                share: Some(0.125)
            },
            Some(2.0),
            zstd
        )
    );
    assert_eq!(
        content("{adversarial: {looks: compressible}}"),
        made(
            Recipe::Adversarial {
                looks: Looks::Compressible
            },
            None,
            zstd
        )
    );
    assert_eq!(
        content("{records: {ratio: 3, row: 64B}, dedupe: 25%}"),
        ContentPlan::Dedupe(DedupePlan {
            share: 0.25,
            block_bytes: 4096,
            working_set_bytes: 512 << 10,
            of: Box::new(made(Recipe::Records { row_bytes: 64 }, Some(3.0), zstd)),
        })
    );
    let ContentPlan::Mosaic(mosaic) =
        content("{mosaic: {by: 64KiB, parts: [{weight: 2, content: random}]}}")
    else {
        panic!("it has parts");
    };
    assert_eq!((mosaic.unit_bytes, mosaic.parts.len()), (64 << 10, 1));
}

#[test]
fn a_raw_target_takes_what_the_device_of_an_engine_takes() {
    let text = "version: 1
targets:
  raw: { raw: { backend: { file: { path: a.img, size: 1GiB } }, throttle: { latency: 1ms } } }
files: { t: { size: 1MiB } }
phases: [{ name: p, jobs: [{ write: t, block: 4KiB }] }]
";
    let sets = ["targets.raw.size=2GiB".to_owned()];
    let plan = load_str(text, "w.yaml", &sets, Checks::none()).unwrap();
    let TargetKind::Raw(device) = &plan.targets[0].kind else {
        panic!("{:?}", plan.targets);
    };
    let BackendPlan::File { size_bytes, .. } = device.backend else {
        panic!("{device:?}");
    };
    assert_eq!(size_bytes, 2 << 30);
    assert_eq!(device.throttle.unwrap().latency_ns, Some(1_000_000));
    let knobs = text.replace("throttle:", "knobs:");
    assert!(
        load_str(&knobs, "w.yaml", &[], Checks::none()).is_err(),
        "a device has no knobs"
    );
}

#[test]
fn a_corpus_counts_by_what_it_holds_and_not_by_where_it_lies() {
    let home = tempfile::tempdir().unwrap();
    let corpus = |name: &str, bytes: &[u8]| {
        let at = home.path().join(name);
        std::fs::create_dir_all(&at).unwrap();
        std::fs::write(at.join("pages"), bytes).unwrap();
        at
    };
    let load = |content: String| {
        let plan = plan(&format!(
            "content: {content}\nfiles: {{ table: {{ size: 256KiB }} }}\nphases: [ {{ name: p, jobs: [ {{ write: table, block: 4KiB }} ] }} ]\n"
        ));
        plan.loads[0].placeless(&mut Corpora::default())
    };
    let of = |name: &str, bytes: &[u8]| {
        let at = corpus(name, bytes);
        let at = at.display();
        [
            load(format!("{{ corpus: {at} }}")),
            load(format!(
                "{{ mix: [ {{ weight: 1, content: {{ corpus: {at} }} }}, {{ weight: 1, content: zeros }} ] }}"
            )),
        ]
    };
    let first = of("one", &[7; 8192]);
    assert_eq!(of("two", &[7; 8192]), first);
    for (other, first) in of("one", &[8; 8192]).iter().zip(&first) {
        assert_ne!(other, first);
    }
}
