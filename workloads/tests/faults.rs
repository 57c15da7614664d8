//! What a user sees of a workload that is wrong: everything, each under its own bytes, with a guess.

use delalloc_workloads::knob::{AssertCheck, AssertFault, KnobCheck, KnobFault};
use delalloc_workloads::{Checks, LoadError, WorkloadPlan, load_str};

struct TwoKnobs;

impl KnobCheck for TwoKnobs {
    fn check(&self, name: &str, value: &str) -> Result<(), KnobFault> {
        match name {
            "thread_pool_size" | "compression.level" if value.parse::<u32>().is_ok() => Ok(()),
            "thread_pool_size" | "compression.level" => Err(KnobFault {
                message: format!("`{value}` is no number for {name}"),
                suggestion: None,
                is_unknown_name: false,
            }),
            _ => Err(KnobFault {
                message: format!("there is no knob `{name}`"),
                suggestion: Some("thread_pool_size".to_owned()),
                is_unknown_name: true,
            }),
        }
    }
}

struct NoQuestionMarks;

impl AssertCheck for NoQuestionMarks {
    fn check(&self, text: &str) -> Result<(), AssertFault> {
        match text.find('?') {
            None => Ok(()),
            Some(at) => Err(AssertFault {
                message: "an assertion does not ask".to_owned(),
                help: None,
                range: at..at + 1,
            }),
        }
    }

    fn check_measure(&self, text: &str) -> Result<(), AssertFault> {
        self.check(text)
    }

    fn check_condition(&self, text: &str) -> Result<(), AssertFault> {
        self.check(text)
    }
}

fn try_load(text: &str, sets: &[&str]) -> Result<WorkloadPlan, LoadError> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let checks = Checks {
        knobs: &TwoKnobs,
        asserts: &NoQuestionMarks,
        reads_recordings: false,
    };
    load_str(text, "w.yaml", &sets, checks)
}

fn rendered(text: &str, sets: &[&str]) -> String {
    match try_load(text, sets) {
        Err(LoadError::Faults(faults)) => faults.render(false),
        other => panic!("faults were expected: {other:?}"),
    }
}

/// `line:column message [guess]` of each fault.
fn short(text: &str, sets: &[&str]) -> Vec<String> {
    let Err(LoadError::Faults(faults)) = try_load(text, sets) else {
        panic!("faults were expected");
    };
    faults
        .faults
        .iter()
        .map(|fault| {
            let (line, column) = faults.line_column(fault);
            let guess = fault
                .help
                .iter()
                .find_map(|help| help.strip_prefix("did you mean `")?.strip_suffix("`?"));
            match guess {
                Some(guess) => format!("{line}:{column} {} [{guess}]", fault.message),
                None => format!("{line}:{column} {}", fault.message),
            }
        })
        .collect()
}

const GOOD: &str = "\
version: 1
targets:
  engine: { engine: { backend: { mem: { size: 1GiB } } } }
files:
  table: { size: 256MiB }
phases:
  - name: load
    jobs: [{ write: table, block: 1MiB }]
";

/// GOOD with a line instead of one of its own.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replacen(old, new, 1)
}

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
fn several_faults_are_drawn_at_once() {
    let text = GOOD.replace("size: 256MiB", "size: 256, sise: 3").replace(
        "{ write: table, block: 1MiB }",
        "{ write: tabel, blok: 1MiB }",
    );
    assert_eq!(
        rendered(&text, &[]),
        "\
error: the size of a file: `256` has no unit
 --> w.yaml:5:18
  |
5 |   table: { size: 256, sise: 3 }
  |                  ^^^
  |
  = help: did you mean `256KiB`?

error: a file has no key `sise`
 --> w.yaml:5:23
  |
5 |   table: { size: 256, sise: 3 }
  |                       ^^^^ unknown key
  |
  = help: did you mean `size`?

error: `write` needs `block:`
 --> w.yaml:8:14
  |
8 |     jobs: [{ write: tabel, blok: 1MiB }]
  |              ^^^^^
  |
  = help: the size of one operation, such as block: 4KiB

error: no file is called `tabel`
 --> w.yaml:8:21
  |
8 |     jobs: [{ write: tabel, blok: 1MiB }]
  |                     ^^^^^
  |
  = help: did you mean `table`?

error: a job has no key `blok`
 --> w.yaml:8:28
  |
8 |     jobs: [{ write: tabel, blok: 1MiB }]
  |                            ^^^^ unknown key
  |
  = help: did you mean `block`?

w.yaml: 5 faults; nothing was run"
    );
}

#[test]
fn a_key_written_twice_shows_both() {
    assert_eq!(
        rendered(&with("phases:", "files: {}\nphases:"), &[]),
        "\
error: `files` is written twice
 --> w.yaml:6:1
  |
4 | files:
  | ----- first here
5 |   table: { size: 256MiB }
6 | files: {}
  | ^^^^^ again here

w.yaml: 1 fault; nothing was run"
    );
}

#[test]
fn an_override_is_drawn_under_its_own_text() {
    assert_eq!(
        rendered(GOOD, &["rounds=0", "phases.lod.duration=2s"]),
        "\
error: rounds is a number from 1 to 1000, not `0`
 --> --set:1:8
  |
1 | rounds=0
  |        ^

error: there is no `lod` among 1 items
 --> --set:1:1
  |
1 | phases.lod.duration=2s
  | ^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `load`?

w.yaml: 2 faults; nothing was run"
    );
}

#[test]
fn an_objective_is_set_from_outside_like_anything_else() {
    let text = with("phases:", "objective: { maximise: a }\nphases:");
    let plan = try_load(
        &text,
        &["objective.maximise=b", "objective.subject_to=c < 1"],
    )
    .unwrap();
    let objective = plan.objective.unwrap();
    assert_eq!(objective.maximise.as_deref(), Some("b"));
    assert_eq!(objective.subject_to, ["c < 1"]);
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

/// What fio makes of these, as measured, is beside each; here each has its place, the right guess, and no run.
#[test]
fn what_fio_takes_wrongly_is_refused_in_place() {
    let cases: &[(&str, &str, &[&str])] = &[
        // A wrong suggestion, and the job dropped.
        (
            "block: 1MiB",
            "block: 1MiB, patern: random",
            &["8:41 a job has no key `patern` [pattern]"],
        ),
        // "failed parsing", with the valid words elsewhere.
        (
            "write: table",
            "wrte: table",
            &["8:14 a job has no key `wrte` [write]"],
        ),
        // A range without a place.
        (
            "block: 1MiB",
            "block: 1MiB, clients: 5000",
            &["8:50 clients is a number from 1 to 1024, not `5000`"],
        ),
        (
            "block: 1MiB",
            "block: 1MiB, clients: abc",
            &["8:50 clients is a number from 1 to 1024, not `abc`"],
        ),
        // Taken as 1 byte.
        (
            "size: 256MiB",
            "size: 1q",
            &[
                "5:18 the size of a file: `q` is no unit of a size; there are KiB, MiB, GiB, TiB, B, kB, MB, GB, TB",
                "8:21 `table` has no size to work within",
            ],
        ),
        // An option outside of a section.
        (
            "files:",
            "rate: 50/s\nfiles:",
            &["4:1 a workload has no key `rate`"],
        ),
        // The last one won in silence.
        (
            "write: table",
            "write: table, write: table",
            &["8:28 `write` is written twice"],
        ),
        // A missing size, with a line of fio's own source.
        (
            "{ size: 256MiB }",
            "{}",
            &["8:21 `table` has no size to work within"],
        ),
        // An unknown engine ended in a message of the dynamic linker.
        (
            "engine: { engine:",
            "engine: { engin:",
            &["3:13 a target has no key `engin` [engine]"],
        ),
        // `randrw:foo` was taken for years.
        (
            "block: 1MiB",
            "block: 1MiB, pattern: \"random:foo\"",
            &[
                "8:50 `random:foo` is no pattern; there are sequential, backward, random, shuffle, { stride: }, { zipf: }, { pareto: }, { normal: }, { zones: }, { hotspot: } [random]",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(short(&with(old, new), &[]), *expected, "{new}");
        let text = rendered(&with(old, new), &[]);
        let place = expected[0].split(' ').next().unwrap();
        assert!(text.contains(&format!("w.yaml:{place}\n")), "{text}");
        assert!(
            text.contains('^') && text.contains("nothing was run"),
            "{text}"
        );
    }
}

#[test]
fn a_quantity_without_its_unit_is_refused_wherever_one_is_meant() {
    // The caret stands under the number, which `expected` quotes.
    let job = |keys: &str, expected: &str| {
        let text = with("block: 1MiB", &format!("block: 1MiB, {keys}"));
        let number = expected.split('`').nth(1).unwrap();
        let line = text.lines().nth(7).unwrap();
        let at = line.rfind(&format!(": {number}")).unwrap() + 3;
        let message = format!("8:{at} {expected}");
        let found = short(&text, &[]);
        assert!(found.contains(&message), "{keys}: {found:?}");
    };
    job(
        "offset: 4096",
        "the offset of a region: `4096` has no unit [4KiB]",
    );
    job(
        "length: 5",
        "the length of a region: `5` has no unit [5KiB]",
    );
    job("align: 512", "align: `512` has no unit [512KiB]");
    job("bytes: 100", "bytes: `100` has no unit [100KiB]");
    job("think: 5", "think: `5` has no unit [5s]");
    job("delay: 5", "delay: `5` has no unit [5s]");
    job("duration: 5", "duration: `5` has no unit [5s]");
    job("rate: { poisson: 5 }", "a rate: `5` has no unit [5/s]");
    job(
        "pattern: { stride: 4096 }",
        "a stride: `4096` has no unit [4KiB]",
    );
    job(
        "pattern: { pareto: 0.2 }",
        "the share of pareto: `0.2` has no unit [20%]",
    );
    job(
        "pattern: { normal: { deviation: 10 } }",
        "deviation: `10` has no unit [10%]",
    );
    job(
        "think: { exponential: { mean: 5 } }",
        "think: `5` has no unit [5s]",
    );
    job(
        "rate: { bursts: { rate: 5/s, for: 1, every: 2s } }",
        "a burst: `1` has no unit [1s]",
    );
    let phase = |keys: &str, expected: &str| {
        let found = short(&with("    jobs", &format!("    {keys}\n    jobs")), &[]);
        assert!(
            found.iter().any(|fault| fault.ends_with(expected)),
            "{found:?}"
        );
    };
    phase("duration: 5", "duration: `5` has no unit [5s]");
    phase("warmup: 5", "warmup: `5` has no unit [5s]");
    phase(
        "steady: { metric: iops, within: 5, window: 5s, limit: 60s }",
        "within: `5` has no unit [5%]",
    );
}

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
fn what_is_no_yaml_says_where() {
    let faults = short("version: 1\nphases: [1, 2\nname: x\n", &[]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("not YAML"), "{faults:?}");
}

#[test]
fn a_fault_in_a_swept_field_is_under_its_value() {
    let text = with(
        "phases:",
        "sweep:\n  phases.load.jobs.0.block: [1MiB, 1GiB, 4k]\nphases:",
    );
    assert_eq!(
        short(&text, &[]),
        [
            "7:36 a block of 1GiB does not fit into 256MiB of `table`",
            "7:42 a block: `k` is no unit of a size; there are KiB, MiB, GiB, TiB, B, kB, MB, GB, TB [4KiB]",
        ]
    );
}
