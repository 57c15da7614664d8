//! Content meets what it is for: the heuristic sees the ratio that was asked for, and verifying changes no byte.

mod support;

use delalloc_engine::compress::{Worth, worth};
use delalloc_results::RunRecord;
use delalloc_workloads::plan::{
    ContentPlan, Looks, MixPart, MosaicPlan, RatioCodec, Recipe, RecipePlan,
};
use delalloc_workloads::{Content, FileSlot, LoadPlan};
use support::{Bench, small};

const EXTENT_BYTES: usize = 128 << 10;

fn share_tried(recipe: Recipe, ratio: Option<f64>) -> f64 {
    share_tried_of(ContentPlan::Recipe(RecipePlan {
        recipe,
        ratio,
        codec: RatioCodec::DEFAULT,
    }))
}

/// The share of extents that the heuristic sends to the codec, of a load of 1 MiB writes.
fn share_tried_of(content: ContentPlan) -> f64 {
    let load = LoadPlan {
        seed: 5,
        content,
        files: Vec::new(),
        phases: Vec::new(),
    };
    let content = Content::build(&load).expect("a ratio in reach");
    let mut write = vec![0; 1 << 20];
    let (mut tried, mut extents) = (0, 0);
    for nth in 0..64u64 {
        content.fill(FileSlot(0), nth << 20, 1 + nth, &mut write);
        for extent in write.chunks(EXTENT_BYTES) {
            extents += 1;
            tried += usize::from(matches!(worth(extent), Worth::Try(_)));
        }
    }
    tried as f64 / f64::from(extents)
}

const RATIOS: [f64; 8] = [1.02, 1.1, 1.2, 1.4, 1.7, 2.0, 3.0, 8.0];

/// Of a load whose extents differ, the heuristic takes more as more is worth it.
#[test]
fn what_the_heuristic_takes_grows_with_the_ratio_without_a_step() {
    let bimodal = Recipe::Bimodal {
        unit_bytes: EXTENT_BYTES as u64,
        share: None,
    };
    let shares: Vec<f64> = RATIOS
        .iter()
        .map(|&ratio| share_tried(bimodal, Some(ratio)))
        .collect();
    println!("{shares:?}");
    for (pair, ratios) in shares.windows(2).zip(RATIOS.windows(2)) {
        assert!(pair[1] >= pair[0] - 0.01, "{ratios:?}: {pair:?}");
        // What a ratio adds to the share, at most: the share is about 4/3 of what is saved.
        let saved = 1.0 / ratios[0] - 1.0 / ratios[1];
        assert!(
            pair[1] - pair[0] <= 2.0 * saved + 0.03,
            "{ratios:?}: {pair:?}"
        );
    }
    assert!(shares[0] < 0.1 && shares[RATIOS.len() - 1] > 0.9);
}

/// The same of a mosaic of parts: what it takes is the share of extents that are of the part that compresses, whatever that share is
/// and however large its pieces are.
#[test]
fn of_a_mosaic_the_heuristic_takes_the_part_that_compresses() {
    const PARTS: [f64; 9] = [0.02, 0.1, 0.25, 0.45, 0.5, 0.55, 0.75, 0.9, 0.98];
    let text = ContentPlan::Recipe(RecipePlan {
        recipe: Recipe::Text { words: 8192 },
        ratio: Some(3.0),
        codec: RatioCodec::DEFAULT,
    });
    for unit_bytes in [EXTENT_BYTES as u64, 2 * EXTENT_BYTES as u64] {
        let shares: Vec<f64> = PARTS
            .iter()
            .map(|&weight| {
                let part = |weight, content| MixPart { weight, content };
                let parts = vec![
                    part(weight, text.clone()),
                    part(1.0 - weight, ContentPlan::Random),
                ];
                share_tried_of(ContentPlan::Mosaic(MosaicPlan { unit_bytes, parts }))
            })
            .collect();
        println!("by {unit_bytes}: {shares:?}");
        // Pieces are drawn: four deviations of so many of them.
        let pieces = (64 << 20) as f64 / unit_bytes as f64;
        for (share, part) in shares.iter().zip(PARTS) {
            let slack = 4.0 * (part * (1.0 - part) / pieces).sqrt();
            assert!(
                (share - part).abs() <= slack,
                "by {unit_bytes}: {share} of {part}"
            );
        }
        assert!(
            shares.is_sorted(),
            "by {unit_bytes}: more of the part, and fewer are taken: {shares:?}"
        );
    }
}

/// Of a load whose extents are alike it takes all or nothing; the change comes once, and where little is to be saved.
#[test]
fn of_extents_that_are_alike_it_never_takes_fewer_as_the_ratio_grows() {
    for recipe in [
        Recipe::Words,
        Recipe::Entropy { symbols: 256 },
        Recipe::Matches {
            length_bytes: 128,
            distance_bytes: 32 << 10,
        },
        Recipe::Text { words: 8192 },
        Recipe::Records { row_bytes: 128 },
        // In each extent there are as many pieces of either kind.
        Recipe::Bimodal {
            unit_bytes: 4096,
            share: None,
        },
    ] {
        // Of a row its counter and its time always compress.
        let least = match recipe {
            Recipe::Records { .. } => 1.2,
            _ => 1.0,
        };
        let shares: Vec<f64> = RATIOS
            .iter()
            .filter(|&&ratio| ratio >= least)
            .map(|&ratio| share_tried(recipe, Some(ratio)))
            .collect();
        println!("{recipe}: {shares:?}");
        for pair in shares.windows(2) {
            assert!(pair[1] >= pair[0] - 0.01, "{recipe}: {shares:?}");
        }
        assert!(shares.last() > Some(&0.99), "{recipe}: {shares:?}");
    }
}

/// The heuristic is misled the one way, and in the other a second look saves it.
#[test]
fn adversarial_content_misleads() {
    let bait = share_tried(
        Recipe::Adversarial {
            looks: Looks::Compressible,
        },
        None,
    );
    assert!(bait > 0.99, "taken for compressible: {bait}");
}

/// The device of a run, byte for byte, with verification and without.
#[test]
fn verifying_changes_no_byte() {
    let bench = Bench::new();
    let run = |verify: bool| {
        let image = format!("verify-{verify}.img");
        let text = small(&format!("verify: {verify}\n"))
            .replace(
                "engine: { engine: { backend: { mem: { size: 64MiB } } } }",
                &format!("raw: {{ raw: {{ backend: {{ file: {{ path: {image}, size: 32MiB, buffered: true }} }} }} }}"),
            )
            .replace("{ ratio: 2.5 }", "{ text: { ratio: 3 }, codec: lz4, dedupe: 25% }")
            .replace("ops: 400, clients: 2", "ops: 400");
        let workload = bench.workload(&format!("{verify}.yaml"), &text);
        let out = format!("out-{verify}");
        assert_eq!(bench.replay(&workload, &out, &[]).0, 0);
        let record = std::fs::read_to_string(bench.path(&out).join("result.json")).unwrap();
        let record: RunRecord = serde_json::from_str(&record).unwrap();
        (std::fs::read(bench.path(&image)).unwrap(), record)
    };
    let (with, verified) = run(true);
    let (without, blind) = run(false);
    assert!(verified.cells[0].verification.bytes_verified > 2 << 20);
    assert_eq!(blind.cells[0].verification.bytes_verified, 0);
    assert!(with.iter().any(|byte| *byte != 0));
    assert!(with == without, "the bytes differ");

    // And the record says what they came to.
    let content = &verified.contents[0];
    assert_eq!(verified.contents, blind.contents);
    assert_eq!((content.ratio_asked, &*content.codec), (Some(3.0), "lz4"));
    assert!((content.ratio / 3.0 - 1.0).abs() < 0.02, "{content:?}");
    assert!(
        (content.dedupe.unwrap() / 0.25 - 1.0).abs() < 0.02,
        "{content:?}"
    );
}

/// Found before a target is opened, and told as a fault of the workload.
#[test]
fn a_ratio_out_of_reach_is_a_usage_error_with_the_reach() {
    let bench = Bench::new();
    let text = small("").replace("{ ratio: 2.5 }", "{ entropy: { ratio: 1.2, symbols: 16 } }");
    let workload = bench.workload("reach.yaml", &text);
    let output = bench
        .delalloc()
        .arg("replay")
        .arg(&workload)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("from 1.9") || errors.contains("from 2.0"),
        "{errors}"
    );
}

/// What its bytes cost the harness, and what small writes leave of a ratio: in the record, on the terminal and in the report.
#[test]
fn what_bytes_cost_and_what_they_come_to_as_written_is_told() {
    let bench = Bench::new();
    let text = "version: 1
name: told
targets: { engine: { engine: { backend: { mem: { size: 64MiB } } } } }
content: { ratio: 2.5 }
files: { table: { size: 8MiB } }
phases:
  - name: load
    jobs: [ { write: table, block: 1MiB } ]
  - name: serve
    duration: 300ms
    jobs: [ { write: table, block: 4KiB, pattern: random, rate: 1000/s } ]
";
    let told = |name: &str, text: &str| {
        let workload = bench.workload(&format!("{name}.yaml"), text);
        let (code, said) = bench.replay(&workload, name, &["--allow-inconclusive"]);
        assert_eq!(code, 0, "{said}");
        let record = std::fs::read_to_string(bench.path(name).join("result.json")).unwrap();
        let record: RunRecord = serde_json::from_str(&record).unwrap();
        let line = said.lines().find(|line| line.starts_with("harness: "));
        (record, line.expect("a line on the harness").to_owned())
    };
    let (record, line) = told("keeps", text);
    let cost = record.harness.expect("it was measured");
    for figure in [
        cost.paced_ns_per_op,
        cost.content_ns_per_op,
        cost.content_bytes_per_s,
    ] {
        assert!(figure.is_some_and(|figure| figure > 0.0), "{cost:?}");
    }
    assert!(
        line.contains(" ns with its schedule; beside that "),
        "{line}"
    );
    assert!(
        line.contains(" ns for its bytes (") && line.ends_with(" in a thread)"),
        "{line}"
    );
    let page = std::fs::read_to_string(bench.path("keeps").join("report.html")).unwrap();
    for words in [
        " with its schedule; ",
        " beside that for its bytes (",
        "ratio as written",
    ] {
        assert!(page.contains(words), "{words} is not in the report");
    }
    let content = &record.contents[0];
    let [small, large] = &content.written[..] else {
        panic!("two sizes of writes: {content:?}");
    };
    assert_eq!((small.block_bytes, small.extent_bytes), (4096, 4096));
    assert_eq!(
        (large.block_bytes, large.extent_bytes),
        (1 << 20, 128 << 10)
    );
    assert_eq!(large.ratio, content.ratio);
    assert!(small.ratio < large.ratio, "{content:?}");

    // Who keeps nothing is given no bytes, and a closed loop has no schedule.
    let closed = text
        .replace(
            "engine: { engine: { backend: { mem: { size: 64MiB } } } }",
            "nothing: { null: {} }",
        )
        .replace(", rate: 1000/s", "");
    let (record, line) = told("nothing", &closed);
    let cost = record.harness.expect("it was measured");
    assert_eq!((cost.paced_ns_per_op, cost.content_ns_per_op), (None, None));
    assert!(
        line.ends_with(" ns per operation on the null target"),
        "{line}"
    );
}
