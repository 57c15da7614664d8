//! What fio and others take without a word, or take wrongly, and what has to be refused here.

use super::{rendered, short, with};

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
