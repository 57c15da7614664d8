//! What times the options of strace come to.

use super::super::clock::BACKWARDS;
use super::*;

/// Nanoseconds and offset.
fn times(text: &str) -> Vec<(u64, u64)> {
    let found = requests(&mut Strace::default(), text);
    found
        .iter()
        .map(|request| (request.at_ns, request.offset))
        .collect()
}

#[test]
fn gaps_are_summed() {
    let expected = [(0, 0), (5_000_000, 8), (5_041_000, 16), (5_043_000, 24)];
    for lines in [
        [
            "12345      0.000000",
            "12345      0.005000",
            "12345      0.000041",
            "12345      0.000002",
        ],
        [
            "     0.000000",
            "     0.005000",
            "[pid    77]      0.000041",
            "[pid 12345]      0.000002",
        ],
        [
            "7          0.000000",
            "7          0.005000",
            "123456789      0.000041",
            "7          0.000002",
        ],
        ["7 0.000000", "7 0.005000", "7 0.000041", "7 0.000002"],
    ] {
        let text: String = (0..)
            .zip(lines)
            .map(|(nth, line)| format!("{line} pwrite64(3</a>, \"\"..., 8, {}) = 8\n", nth * 8))
            .collect();
        assert_eq!(times(&text), expected, "{text}");
    }
}

#[test]
fn a_clock_stands_beside_the_gaps() {
    let text = r#"9000  1795858520.781765 (+     0.000000) pwrite64(3</a>, ""..., 8, 0) = 8
9000  1795858520.795732 (+     0.013955) pwrite64(3</a>, ""..., 8, 8) = 8
"#;
    let second = 1_795_858_520_000_000_000;
    assert_eq!(
        times(text),
        [(second + 781_765_000, 0), (second + 795_732_000, 8)]
    );
}

#[test]
fn what_may_be_gaps_is_refused_rather_than_sorted() {
    let text = r#"1 0.000900 pwrite64(3</a>, ""..., 8, 0) = 8
1 0.005000 pwrite64(3</a>, ""..., 8, 8) = 8
1 0.000041 pwrite64(3</a>, ""..., 8, 16) = 8
1 0.006000 pwrite64(3</a>, ""..., 8, 24) = 8
"#;
    let (all, _) = parsed(&mut Strace::default(), text);
    let refused = all
        .iter()
        .filter(|line| **line == Parsed::Malformed(BACKWARDS));
    assert_eq!(refused.count(), 2, "{all:?}");
    let set_back = r#"1 1795858520.5 pwrite64(3</a>, ""..., 8, 0) = 8
1 1795858519.5 pwrite64(3</a>, ""..., 8, 8) = 8
"#;
    assert_eq!(
        times(set_back),
        [
            (1_795_858_519_500_000_000, 8),
            (1_795_858_520_500_000_000, 0)
        ]
    );
}
