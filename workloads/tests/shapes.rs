//! Shapes of a load that lie between others: ranges of blocks, runs between sequential and random, a hot spot that moves, rates in
//! bytes, rests now and then.

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_workloads::{
    Checks, Cursors, Estimate, LoadError, Op, TimedOp, WorkloadPlan, dry_run_text, load_str,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn try_plan(job: &str, duration: &str) -> Result<WorkloadPlan, LoadError> {
    let text = format!(
        "version: 1\ntargets: {{ n: null }}\nfiles: {{ table: {{ size: 16MiB, filled: true }}, set: {{ count: 9, size: {{ lognormal: {{ median: 40KiB, sigma: 1 }} }}, filled: true }}, log: {{}} }}\nphases:\n  - {{ name: p{duration}, jobs: [{{ {job} }}] }}\n"
    );
    load_str(&text, "t", &[], Checks::none())
}

fn plan(job: &str, duration: &str) -> WorkloadPlan {
    try_plan(job, duration).unwrap_or_else(|error| panic!("{error}"))
}

/// What the clients of the job do, client by client.
fn clients(job: &str, duration: &str) -> Vec<Vec<TimedOp>> {
    let plan = plan(job, duration);
    let load = &plan.loads[0];
    let phase = load.phases.len() - 1;
    let cursors = Arc::new(Cursors::new(load));
    let streams = load.streams(phase, &cursors).unwrap();
    streams
        .into_iter()
        .map(|stream| stream.take(200_000).map(Result::unwrap).collect())
        .collect()
}

/// File, offset and bytes of what is read or written.
fn pieces(ops: &[TimedOp]) -> Vec<(u32, u64, u64)> {
    let piece = |timed: &TimedOp| match timed.op {
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
    };
    ops.iter().filter_map(piece).collect()
}

fn refused(job: &str, expected: &str) {
    let error = try_plan(job, "").unwrap_err().to_string();
    assert!(error.contains(expected), "{job}: {error}");
    assert!(error.contains("1 fault;"), "{job}: {error}");
}

#[test]
fn a_range_of_blocks_has_each_of_its_sizes_alike() {
    let job = "write: table, pattern: random, block: { from: 4KiB, to: 128KiB }, ops: 64000";
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for (_, offset, bytes) in pieces(&clients(job, "")[0]) {
        assert!(offset % (4 * KIB) == 0 && offset + bytes <= 16 * MIB);
        *counts.entry(bytes).or_default() += 1;
    }
    let sizes: Vec<u64> = (1..=32).map(|nth| nth * 4 * KIB).collect();
    assert_eq!(counts.keys().copied().collect::<Vec<u64>>(), sizes);
    // 2000 of each; the deviation of a count is 44.
    assert!(
        counts.values().all(|count| count.abs_diff(2000) < 220),
        "{counts:?}"
    );
}

#[test]
fn a_range_walks_a_file_once_in_steps_of_its_own() {
    for block in [
        "{ from: 8KiB, to: 64KiB }",
        "{ from: 1KiB, to: 7KiB }",
        "{ from: 6KiB, to: 12KiB, step: 2KiB }",
    ] {
        let ops = clients(&format!("write: table, block: {block}"), "");
        let mut end = 0;
        for (_, offset, bytes) in pieces(&ops[0]) {
            assert_eq!(offset, end, "{block}");
            end += bytes;
        }
        assert_eq!(end, 16 * MIB, "{block}");
    }
    let directions = "mix: { read: 50, write: 50 }, file: table, pattern: random, block: { read: 4KiB, write: { from: 16KiB, to: 32KiB } }, ops: 500";
    for timed in &clients(directions, "")[0] {
        let bytes = timed.op.payload_bytes();
        match timed.op {
            Op::Read { .. } => assert_eq!(bytes, 4 * KIB),
            _ => assert!((16 * KIB..=32 * KIB).contains(&bytes)),
        }
    }
    let appended = clients(
        "append: log, block: { from: 512B, to: 2KiB, step: 512B }, ops: 400",
        "",
    );
    let mut sizes: Vec<u64> = pieces(&appended[0]).iter().map(|piece| piece.2).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes, [512, 1024, 1536, 2048]);
}

#[test]
fn a_range_that_is_none_is_refused() {
    let with = |block: &str| format!("write: table, block: {block}");
    refused(
        &with("{ from: 8KiB, to: 8KiB }"),
        "`to` is not above `from`",
    );
    refused(
        &with("{ from: 4KiB, to: 6KiB }"),
        "6KiB is no multiple of the step, 4KiB",
    );
    refused(
        &with("{ from: 5KiB, to: 12KiB }"),
        "12KiB is no multiple of the step, 5KiB",
    );
    refused(&with("{ from: 4KiB }"), "a range of blocks needs `to:`");
    refused(
        &with("{ from: 4KiB, to: 8KiB, stpe: 4KiB }"),
        "did you mean `step`?",
    );
}

/// How many operations do not go on behind the one before.
fn jumps(pieces: &[(u32, u64, u64)]) -> usize {
    let goes_on =
        |pair: &[(u32, u64, u64)]| pair[0].0 == pair[1].0 && pair[0].1 + pair[0].2 == pair[1].1;
    pieces.windows(2).filter(|pair| !goes_on(pair)).count()
}

#[test]
fn random_goes_on_for_as_long_as_it_says() {
    let run = |pattern: &str| {
        let job =
            format!("read: table, pattern: {{ random: {{ {pattern} }} }}, block: 4KiB, ops: 40000");
        pieces(&clients(&job, "")[0])
    };
    let eights = run("run: 8");
    let starts: Vec<u64> = eights.chunks(8).map(|run| run[0].1).collect();
    // 7 of 4096 runs end at the end of the file, and the next begins earlier.
    assert!(
        jumps(&eights).abs_diff(40_000 / 8) < 40,
        "{}",
        jumps(&eights)
    );
    let first = eights.iter().take(8).map(|piece| piece.1 - eights[0].1);
    assert!(first.eq((0..8).map(|nth| nth * 4 * KIB)));
    let half = starts.iter().filter(|start| **start < 8 * MIB).count();
    assert!(half.abs_diff(2500) < 200, "{half}");
    // 8000 of 40000; the deviation is 80, and one run in a thousand meets the end.
    let fifth = jumps(&run("jumps: 20%"));
    assert!(fifth.abs_diff(8000) < 450, "{fifth}");
    assert!(jumps(&run("jumps: 100%")) > 39_900);
    assert!(jumps(&run("run: 1")) > 39_900);
    for pattern in ["run: 8", "jumps: 5%"] {
        let job = format!(
            "mix: {{ read: 60, write: 30, remove: 5, create: 5 }}, file: set, pattern: {{ random: {{ {pattern} }} }}, block: {{ from: 4KiB, to: 16KiB }}, ops: 2000, clients: 3"
        );
        assert_eq!(clients(&job, "").concat().len(), 2000);
    }
    refused(
        "read: table, pattern: { random: {} }, block: 4KiB",
        "either `run` or `jumps`",
    );
    refused(
        "mix: { create: 1, remove: 1 }, file: set, pattern: { random: { run: 2 } }, ops: 5",
        "`run` goes to places in a file",
    );
}

#[test]
fn a_hot_spot_moves_through_the_file() {
    let job = "read: table, pattern: { hotspot: { accesses: 80%, space: 25%, every: 8000 } }, block: 4KiB, ops: 40000, clients: 2";
    for ops in clients(job, "") {
        let pieces = pieces(&ops);
        assert_eq!(pieces.len(), 20_000);
        for (nth, part) in pieces.chunks(4000).enumerate() {
            let quarter = nth as u64 % 4;
            let hot = part
                .iter()
                .filter(|piece| piece.1 / (4 * MIB) == quarter)
                .count();
            // 80 % of 4000; the deviation is 25.
            assert!(hot.abs_diff(3200) < 150, "{nth}: {hot}");
        }
    }
    refused(
        "read: table, pattern: { hotspot: { accesses: 80%, space: 100%, every: 10 } }, block: 4KiB",
        "space is from",
    );
    let pattern = |every: &str, rate: &str| {
        let job = format!(
            "read: table, pattern: {{ hotspot: {{ accesses: 80%, space: 25%, every: {every} }} }}, block: 4KiB{rate}"
        );
        let plan = try_plan(&job, ", duration: 9s")?;
        Ok::<_, LoadError>(plan.loads[0].phases.last().unwrap().jobs[0].work.clone())
    };
    assert_eq!(
        pattern("2s", ", rate: 1500/s").unwrap(),
        pattern("3_000", "").unwrap()
    );
    for rate in ["", ", rate: 1MiB/s", ", think: 1ms"] {
        let error = pattern("2s", rate).unwrap_err().to_string();
        assert!(error.contains("an even rate of operations"), "{error}");
    }
    assert!(pattern("0s", ", rate: 5/s").is_err());
}

#[test]
fn a_rate_of_bytes_is_one_of_operations_where_all_are_alike() {
    let pace = |rate: &str, more: &str| {
        let job = format!("{more}, rate: {rate}");
        let plan = plan(&job, ", duration: 2s");
        plan.loads[0].phases.last().unwrap().jobs[0].pace.clone()
    };
    let write = "write: table, block: 4KiB, clients: 3";
    assert_eq!(pace("10MiB/s", write), pace("2560/s", write));
    assert_eq!(
        pace("{ poisson: 1MiB/s }", write),
        pace("{ poisson: 256/s }", write)
    );
    assert_eq!(
        pace(
            "{ bursts: { rate: 4MiB/s, for: 1s, every: 2s, between: 40KiB/s } }",
            write
        ),
        pace(
            "{ bursts: { rate: 1024/s, for: 1s, every: 2s, between: 10/s } }",
            write
        )
    );
    let append = "append: log, block: 1MiB";
    assert_eq!(
        pace("{ ramp: { from: 1MiB/s, to: 8MiB/s, over: 1s } }", append),
        pace("{ ramp: { from: 1/s, to: 8/s, over: 1s } }", append)
    );
}

#[test]
fn a_rate_of_bytes_holds_whatever_the_blocks() {
    for job in [
        "write: table, pattern: random, block: { 4KiB: 50, 64KiB: 50 }, clients: 1",
        "mix: { read: 70, write: 30 }, file: table, pattern: random, block: { read: { from: 4KiB, to: 32KiB }, write: 64KiB }, clients: 4",
        "append: log, block: { from: 4KiB, to: 64KiB }, clients: 3",
        "mix: { read: 50, append: 20, sync: 20, remove: 5, create: 5 }, file: set, block: 16KiB, pattern: random, clients: 2",
        "each: set, do: [create, write, sync], block: 16KiB",
    ] {
        let all = clients(&format!("{job}, rate: 1MiB/s"), ", duration: 10s").concat();
        assert!(
            all.iter()
                .all(|timed| timed.due_ns.is_some() || timed.op.payload_bytes() == 0)
        );
        for second in 0..10 {
            let of_second = |timed: &&TimedOp| {
                timed
                    .due_ns
                    .is_some_and(|due| due / 1_000_000_000 == second)
            };
            let moved: u64 = all
                .iter()
                .filter(of_second)
                .map(|timed| timed.op.payload_bytes())
                .sum();
            assert!(
                moved.abs_diff(MIB) <= 4 * 64 * KIB,
                "{job}: {second}: {moved}"
            );
        }
        let moved: u64 = all.iter().map(|timed| timed.op.payload_bytes()).sum();
        assert!(moved.abs_diff(10 * MIB) <= 4 * 64 * KIB, "{job}: {moved}");
    }
}

#[test]
fn a_rate_of_bytes_that_means_nothing_is_refused() {
    refused(
        "create: set, rate: 1MiB/s",
        "this `create` moves no bytes that a rate could count",
    );
    refused(
        "mix: { sync: 1, rename: 1 }, file: set, rate: 1MiB/s, ops: 5",
        "this `mix` moves no bytes",
    );
    refused(
        "write: table, block: { from: 4KiB, to: 8KiB }, rate: { poisson: 1MiB/s }",
        "an even rate of bytes and no other",
    );
    refused(
        "write: table, block: 4KiB, rate: { ramp: { from: 1MiB/s, to: 5/s, over: 1s } }",
        "one rate counts operations and the other bytes",
    );
    refused(
        "write: table, block: 4KiB, rate: 10M/s",
        "and of bytes MiB/s",
    );
    refused(
        "write: table, block: 4KiB, rate: 0B/s",
        "never get anywhere",
    );
}

#[test]
fn a_rest_may_come_after_every_so_many_operations() {
    let job = "write: table, block: 4KiB, ops: 10, think: 5ms, think_every: 4, fsync_every: 4";
    let ops = &clients(job, "")[0];
    let rests: Vec<(&str, u64)> = ops
        .iter()
        .filter(|timed| timed.think_ns > 0)
        .map(|timed| (timed.op.kind().name(), timed.think_ns))
        .collect();
    assert_eq!(rests, [("sync", 5_000_000), ("sync", 5_000_000)]);
    refused(
        "write: table, block: 4KiB, think_every: 4",
        "nothing says how long",
    );
}

#[test]
fn the_dry_run_tells_these_apart() {
    for (job, expected) in [
        (
            "write: table, block: { from: 4KiB, to: 64KiB }, rate: 1MiB/s",
            "in 4KiB to 64KiB by 4KiB",
        ),
        (
            "write: table, block: { from: 4KiB, to: 64KiB }, rate: 1MiB/s",
            "1MiB/s, evenly",
        ),
        (
            "read: table, block: 4KiB, pattern: { random: { run: 8 } }",
            "at random in runs of 8",
        ),
        (
            "read: table, block: 4KiB, pattern: { random: { jumps: 20% } }",
            "sequentially with 20% jumps",
        ),
        (
            "read: table, block: 4KiB, pattern: { hotspot: { accesses: 90%, space: 10%, every: 500 } }",
            "90% to 10% that moves by 10% every 500 operations",
        ),
        (
            "read: table, block: 4KiB, think: 2ms, think_every: 8",
            "2ms after every 8",
        ),
    ] {
        let plan = plan(job, "");
        let text = dry_run_text(&plan, &Estimate::of(&plan, &|_, _| 0));
        assert!(text.contains(expected), "{job}: {text}");
    }
}

#[test]
fn bytes_are_counted_as_moved_where_pieces_are_cut_off() {
    let moved = |job: &str| {
        let all = clients(job, "").concat();
        pieces(&all).iter().map(|piece| piece.2).sum::<u64>()
    };
    for pattern in ["sequential", "shuffle", "random"] {
        for clients in [1, 3] {
            // Most files of the set are smaller than a block, and 100 KiB are 16 MiB in no whole number.
            for (file, block) in [("set", "64KiB"), ("table", "100KiB")] {
                let job = format!(
                    "read: {file}, block: {block}, bytes: 64MiB, pattern: {pattern}, clients: {clients}"
                );
                let bytes = moved(&job);
                let slack = if pattern == "random" { 100 * KIB } else { 0 };
                assert!(bytes.abs_diff(64 * MIB) <= slack, "{job}: {bytes}");
            }
        }
    }
}

#[test]
fn a_rate_of_bytes_is_kept_where_pieces_are_cut_off() {
    // Of two places of a file, the second has 8 KiB.
    let job = "write: table, block: 64KiB, length: 72KiB, rate: 10MiB/s";
    for clients in [1, 2] {
        let all = self::clients(&format!("{job}, clients: {clients}"), ", duration: 10s").concat();
        let bytes: u64 = pieces(&all).iter().map(|piece| piece.2).sum();
        assert!(
            bytes.abs_diff(100 * MIB) <= 2 * 64 * KIB * clients,
            "{clients}: {bytes}"
        );
    }
    let job = "write: table, block: 64KiB, length: 72KiB, rate: { poisson: 10MiB/s }";
    let all = clients(job, ", duration: 10s").concat();
    let bytes: u64 = pieces(&all).iter().map(|piece| piece.2).sum();
    assert!(
        (bytes as f64 / (100 * MIB) as f64 - 1.0).abs() < 0.1,
        "{bytes}"
    );
}
