//! The place of each fault of the frame of a workload, and the guess beside it.

use super::{GOOD, short, try_load, with};

#[test]
fn the_good_one_is_good() {
    assert!(try_load(GOOD, &[]).is_ok());
}

#[test]
fn a_target_that_takes_its_time_from_the_machine_cannot_be_deterministic() {
    let text = "\
version: 1
deterministic: true
targets:
  memory: { engine: { backend: { mem: { size: 64MiB } } } }
  model: { raw: { backend: { sim: { size: 64MiB, device: cloud_burst } } } }
  image: { engine: { backend: { file: { path: x, size: 64MiB } } } }
  disk: { raw: { backend: { block: { path: /dev/x } } } }
  slow: { engine: { backend: { mem: { size: 64MiB } }, throttle: { latency: 1ms } } }
  kernel: { directory: { path: /mnt } }
  nothing: null
files: { table: { size: 1MiB } }
phases: [ { name: load, jobs: [ { write: table, block: 64KiB } ] } ]
";
    assert_eq!(
        short(text, &[]),
        [
            "6:3 `image` cannot be deterministic: a real device takes its own time",
            "7:3 `disk` cannot be deterministic: a real device takes its own time",
            "8:3 `slow` cannot be deterministic: a throttle sleeps; the limits of a modelled device are its own",
            "9:3 `kernel` cannot be deterministic: a mounted filesystem takes its own time",
            "10:3 `nothing` cannot be deterministic: on a target without a device nothing takes any time",
        ]
    );
    let in_real_time = try_load(text, &["deterministic=false"]).expect("all of them can be had");
    assert!(!in_real_time.deterministic);
}

#[test]
fn each_fault_has_its_place_and_guess() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "version: 1",
            "version: 2",
            &["1:10 version 2 of the language is not known"],
        ),
        ("version: 1\n", "", &["1:1 a workload needs `version:`"]),
        (
            "version: 1",
            "version: 1\nrounds: 0",
            &["2:9 rounds is a number from 1 to 1000, not `0`"],
        ),
        (
            "version: 1",
            "version: 1\nverify: ture",
            &["2:9 `ture` is no verify; there are true, false [true]"],
        ),
        ("mem:", "mme:", &["3:34 a backend has no key `mme` [mem]"]),
        (
            "{ mem: { size: 1GiB } }",
            "{ mem: { size: 1KiB } }",
            &["3:47 the size of a backend is from 16MiB to 1024TiB"],
        ),
        (
            "engine: {",
            "en gine: {",
            &[
                "3:3 `en gine` cannot name a target: letters, digits, `_` and `-` can, up to 100 of them",
            ],
        ),
        (
            "block: 1MiB",
            "block: 1GiB",
            &["8:35 a block of 1GiB does not fit into 256MiB of `table`"],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, rate: 50",
            &["8:47 a rate: `50` has no unit [50/s]"],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, rate: 5/s, think: 1ms",
            &["8:59 a job has a `rate` (open loop) or a `think` (closed loop)"],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, offset: 256MiB",
            &["8:49 the region starts at or after the end of `table`, 256MiB"],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, length: 257MiB",
            &["8:49 the region ends 1MiB after the end of `table`"],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, pattern: zipf",
            &[
                "8:50 `zipf` is no pattern; there are sequential, backward, random, shuffle, { stride: }, { zipf: }, { pareto: }, { normal: }, { zones: }, { hotspot: } [{ zipf: 1.1 }]",
            ],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, ops: 5, bytes: 5MiB",
            &["8:56 a job ends after `ops` or after `bytes`, not both"],
        ),
        (
            "write: table",
            "append: table",
            &["8:14 this `append` would never end"],
        ),
        (
            "write: table",
            "read: table",
            &["8:20 nothing has written `table` before it is read here"],
        ),
        (
            "write: table",
            "write: table, trim: table",
            &["8:28 a job does one thing, not `write` and `trim`"],
        ),
        ("write: table, ", "", &["8:12 a job says what it does"]),
        (
            "write: table, block: 1MiB",
            "trace: { path: x.csv, format: msr, events: issue }",
            &["8:57 `events` means nothing to a trace of the form `msr`"],
        ),
        (
            "write: table, block: 1MiB",
            "trace: { path: x, format: blktrace, events: issue, fio_wait: relative_us }",
            &["8:75 `fio_wait` means nothing to a trace of the form `blktrace`"],
        ),
        (
            "write: table, block: 1MiB",
            "sync: table, pattern: random",
            &["8:36 `pattern` means nothing to `sync`"],
        ),
        (
            "    jobs",
            "    duration: 5m\n    jobs",
            &["8:15 duration: `5m` could be minutes or milliseconds [5min]"],
        ),
        (
            "    jobs",
            "    duration: [5s]\n    jobs",
            &["8:15 duration is a single value, not a list"],
        ),
        (
            "phases:",
            "sweep:\n  thread_pool_size: [1, x]\nphases:",
            &["7:25 `x` is no number for thread_pool_size"],
        ),
        (
            "phases:",
            "sweep:\n  tread_pool_size: [1]\nphases:",
            &["7:3 there is no knob `tread_pool_size` [thread_pool_size]"],
        ),
        (
            "phases:",
            "sweep:\n  thread_pool_size: [1, 1]\nphases:",
            &["7:25 `1` is tried twice"],
        ),
        (
            "phases:",
            "sweep:\n  thread_pool_size: 1\nphases:",
            &["7:21 the values of an axis is a list, not a single value"],
        ),
        (
            "phases:",
            "sweep:\n  rounds: [1, 2]\nphases:",
            &["7:3 `rounds` cannot be swept"],
        ),
        (
            "phases:",
            "sweep:\n  thread_pool_size: [1]\n  engine.thread_pool_size: [2]\nphases:",
            &["8:3 the knob `thread_pool_size` is swept twice"],
        ),
        (
            "phases:",
            "engine: { compression: { level: 1 }, compression.level: 2 }\nphases:",
            &["6:38 the knob `compression.level` is set twice"],
        ),
        (
            "phases:",
            "assert: [ \"a <= b\", \"what?\" ]\nphases:",
            &["6:26 an assertion does not ask"],
        ),
        (
            "phases:",
            "objective: { maximise: \"a?\", subject_to: [ b <= 1, \"c?\" ] }\nphases:",
            &[
                "6:26 an assertion does not ask",
                "6:54 an assertion does not ask",
            ],
        ),
        (
            "phases:",
            "objective: { maximise: a, minimise: b }\nphases:",
            &["6:37 an objective has one measure"],
        ),
        (
            "phases:",
            "objective: { subject_to: a <= 1 }\nphases:",
            &["6:12 an objective has `maximise:` or `minimise:`"],
        ),
        (
            "phases:",
            "objective: { maximize: a, minimise: [ b ] }\nphases:",
            &[
                "6:14 an objective has no key `maximize` [maximise]",
                "6:37 a measure is a single value, not a list",
            ],
        ),
        (
            "phases:",
            "objective: throughput(serve.write)\nphases:",
            &["6:12 an objective is a map of keys, not a single value"],
        ),
        (
            "phases:",
            "content: { ratio: 0.5 }\nphases:",
            &["6:19 a ratio is a number from 1 to 15, not `0.5`"],
        ),
        (
            "phases:",
            "content: randon\nphases:",
            &[
                "6:10 `randon` is no content; there are zeros, random, ratio, corpus, mix, entropy, matches, text, records, mosaic, bursts, borders, adversarial [random]",
            ],
        ),
        (
            "phases:",
            "content: { text: { ratio: 3 }, ratio: 2 }\nphases:",
            &[
                "6:10 content is exactly one of zeros, random, { ratio: }, { corpus: }, { mix: }, { entropy: }, { matches: }, { text: }, { records: }, { mosaic: }, { bursts: }, { borders: }, { adversarial: }",
            ],
        ),
        (
            "phases:",
            "content: { text: { words: 4 } }\nphases:",
            &[
                "6:18 a recipe needs `ratio:`",
                "6:27 a vocabulary is a number from 16 to 65536, not `4`",
            ],
        ),
        (
            "phases:",
            "content: { matches: { ratio: 2, lenght: 64B, distance: 1KiB } }\nphases:",
            &["6:33 a recipe has no key `lenght` [length]"],
        ),
        (
            "phases:",
            "content: { matches: { ratio: 2, length: 1KiB, distance: 1KiB } }\nphases:",
            &["6:57 copies come from at least twice their length away"],
        ),
        (
            "phases:",
            "content: { bursts: { ratio: 5, burst: 128KiB, every: 512KiB } }\nphases:",
            &["6:29 with 25 % of it incompressible, content compresses by less than 4.00"],
        ),
        (
            "phases:",
            "content: { mosaic: { ratio: 2, share: 50%, by: 12KiB } }\nphases:",
            &["6:48 a piece is a power of two, not 12KiB"],
        ),
        (
            "phases:",
            "content: { mosaic: { by: 4KiB } }\nphases:",
            &["6:20 a mosaic needs `ratio:` or `parts:`"],
        ),
        (
            "phases:",
            "content: { mosaic: { parts: [{ weight: 1, content: { mix: [{ weight: 1, content: zeros }] } }] } }\nphases:",
            &["6:52 a mix within a mix"],
        ),
        (
            "phases:",
            "content: { mix: [{ weight: 1, content: { ratio: 2, dedupe: 10% } }] }\nphases:",
            &["6:40 duplicates within a mix"],
        ),
        (
            "phases:",
            "content: { adversarial: { looks: compressible, ratio: 2 } }\nphases:",
            &["6:48 what looks compressible and is not has no ratio to choose"],
        ),
        (
            "phases:",
            "content: { adversarial: { looks: radnom, ratio: 2 } }\nphases:",
            &["6:34 `radnom` is no look; there are compressible, random [random]"],
        ),
        (
            "phases:",
            "content: { corpus: /data, codec: lz4 }\nphases:",
            &["6:27 `codec:` says what a ratio is measured with"],
        ),
        (
            "phases:",
            "content: { ratio: 2, codec: zstd:30 }\nphases:",
            &[
                "6:29 `zstd:30` is nothing a ratio is measured with; there are lz4, zstd, and zstd:1 to zstd:19",
            ],
        ),
        (
            "phases:",
            "content: { ratio: 2, dedupe: 0.25 }\nphases:",
            &["6:30 a share is from 0.1% to 100%, such as 25%, not `0.25`"],
        ),
        (
            "phases:",
            "content: { ratio: 2, dedupe: { share: 25%, block: 64KiB, working_set: 100KiB } }\nphases:",
            &["6:30 a working set is whole blocks of 64KiB"],
        ),
        (
            "table: { size: 256MiB }",
            "table: { filled: true }",
            &[
                "5:12 a file without a size cannot be filled",
                "8:21 `table` has no size to work within",
            ],
        ),
        (
            "jobs: [{ write: table, block: 1MiB }]",
            "jobs: []",
            &["8:11 a phase without jobs"],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(short(&with(old, new), &[]), *expected, "{new}");
    }
}
