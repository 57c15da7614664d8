//! The faults of what jobs and phases can say.

use std::collections::BTreeSet;

use delalloc_workloads::FileSlot;

use super::{short, try_load, with};

#[test]
fn each_new_part_of_the_language_has_its_faults() {
    let job = |keys: &str| short(&with("block: 1MiB", &format!("block: 1MiB, {keys}")), &[]);
    let cases: &[(&str, &str)] = &[
        (
            "pattern: { zones: [{ accesses: 80%, space: 50% }, { accesses: 30%, space: 50% }] }",
            "8:59 the `accesses` of zones add up to 100%, not 110%",
        ),
        (
            "pattern: { zones: [{ accesses: 50%, space: 0.1% }, { accesses: 50%, space: 99.9% }] }",
            "8:50 256 blocks are too few: a zone would be without any",
        ),
        (
            "pattern: { pareto: 60% }",
            "8:60 the share of pareto is from 0.1% to 50%",
        ),
        (
            "pattern: { zipf: 1, pareto: 20% }",
            "8:50 a pattern is exactly one of sequential, random, stride, zipf, pareto, normal, zones, hotspot",
        ),
        (
            "pattern: pareto",
            "8:50 `pareto` is no pattern; there are sequential, backward, random, shuffle, { stride: }, { zipf: }, { pareto: }, { normal: }, { zones: }, { hotspot: } [{ pareto: 20% }]",
        ),
        (
            "pattern: { stride: 4KiB }",
            "8:50 a stride of 4KiB is shorter than the block, 1MiB",
        ),
        (
            "pattern: backward, align: 1MiB",
            "8:67 `align` is for places that are drawn; this pattern goes block by block",
        ),
        (
            "fsync_every: 1, fdatasync_every: 1",
            "8:74 a job syncs with `fsync_every` or with `fdatasync_every`",
        ),
        (
            "rate: { bursts: { rate: 5/s, for: 2s, every: 2s } }",
            "8:75 a burst that lasts until the next one is no burst",
        ),
        (
            "rate: { ramp: { from: 5/s, to: 9/s } }",
            "8:55 a ramp needs `over:`",
        ),
        (
            "think: { uniform: { from: 5ms, to: 1ms } }",
            "8:76 `to` is below `from`",
        ),
        (
            "think: { normal: { mean: 1ms, deviation: 2ms } }",
            "8:82 a deviation above the mean leaves no bell",
        ),
        (
            "think: { exponentail: { mean: 1ms } }",
            "8:50 think has no key `exponentail` [exponential]",
        ),
        (
            "start_after: wirte-table",
            "8:54 no job of this phase is called `wirte-table` [write-table]",
        ),
        (
            "start_after: write-table",
            "8:54 `write-table` waits for this job in turn",
        ),
        ("duration: 0s", "8:51 a job of no time at all"),
    ];
    for (keys, expected) in cases {
        assert_eq!(job(keys), [*expected], "{keys}");
    }
    let whole = |old: &str, new: &str, expected: &str| {
        assert_eq!(short(&with(old, new), &[]), [expected], "{new}");
    };
    let load = "{ write: table, block: 1MiB }";
    whole(
        load,
        "{ write: table, block: { read: 4KiB, write: 8KiB } }",
        "8:35 only a mix has blocks by direction",
    );
    whole(
        load,
        "{ mix: { write: 1, remove: 1 }, file: table, block: 4KiB, clients: 2 }",
        "8:50 2 clients cannot share 1 files",
    );
    whole(
        load,
        "{ mix: { create: 1, remove: 1 }, file: table, bytes: 4KiB }",
        "8:65 `bytes` means nothing to a mix that goes to no place in a file",
    );
    whole(
        load,
        "{ mix: { append: 1 }, file: table, ops: 1 }",
        "8:14 `mix` needs `block:`",
    );
    whole(
        load,
        "{ each: table, do: [create, wirte] }",
        "8:40 `wirte` is no step of a loop; there are create, write, append, read, sync, fdatasync, rename, remove [write]",
    );
    whole(load, "{ each: table }", "8:12 a job needs `do:`");
    whole(
        load,
        "{ each: table, do: [read], block: 4KiB }",
        "8:20 nothing has written `table` before it is read here",
    );
    whole(
        "    jobs",
        "    warmup: 5s\n    jobs",
        "8:13 `warmup` needs a `duration:`",
    );
    whole(
        "    jobs",
        "    duration: 5s\n    steady: { metric: iosp, within: 5%, window: 5s, limit: 9s }\n    jobs",
        "9:23 `iosp` is no metric of a steady state; there are iops, throughput, p50, p99 [iops]",
    );
    whole(
        "    jobs",
        "    repeat: 0\n    jobs",
        "8:13 repeat is a number from 1 to 1000, not `0`",
    );
    whole(
        "{ size: 256MiB }",
        "{ count: 4, size: { uniform: { from: 1MiB, to: 2MiB } } }\n  x: {}\ninclude: nowhere",
        "7:10 there is no workload `nowhere` to include",
    );
    let many = [load; 20].join(", ").replace("1MiB", "1MiB, clients: 1024");
    let many = with("    jobs", "    repeat: 1000\n    jobs").replace(load, &many);
    assert_eq!(
        short(&many, &[]),
        [
            "7:11 with this phase and its repetitions there are 20000 jobs and 20480000 clients; 10000 and 16777216 are too many"
        ]
    );
}

#[test]
fn who_waits_for_a_job_as_long_as_the_phase_would_never_start() {
    let text = |bound: &str| {
        with("    jobs", "    duration: 5s\n    jobs").replace(
            "{ write: table, block: 1MiB }",
            &format!("{{ name: a, truncate: table{bound} }}, {{ sync: table, start_after: a }}"),
        )
    };
    assert_eq!(
        short(&text(""), &[]),
        ["9:70 `a` lasts as long as the phase, and this job would never start"]
    );
    for bound in [", ops: 1", ", duration: 1s"] {
        assert!(try_load(&text(bound), &[]).is_ok(), "{bound}");
    }
}

#[test]
fn no_two_files_are_called_the_same() {
    let files = |files: &str| {
        with(
            "  table: { size: 256MiB }",
            &format!("  table: {{ size: 256MiB }}\n{files}"),
        )
    };
    let brings = |text: String| {
        text.replace(
            "[{ write",
            "[{ trace: { path: nowhere.csv, format: msr } }, { write",
        )
    };
    let text = files("  trace: { count: 3 }");
    assert!(try_load(&text, &[]).is_ok());
    assert_eq!(
        short(&brings(text), &[]),
        [
            "6:3 the files of recordings are called `trace.0`, `trace.1` and so on, and so would these be"
        ]
    );
    let plan = try_load(&brings(files("  trace: {}\n  set: { count: 9 }")), &[]).unwrap();
    let names: Vec<_> = (0..100)
        .map(|slot| plan.loads[0].file_name(FileSlot(slot)))
        .collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
