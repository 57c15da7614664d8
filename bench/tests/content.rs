//! Content meets what it is for: the heuristic sees the ratio that was asked for, and verifying changes no byte.

mod support;

use delalloc_engine::compress::{Worth, worth};
use delalloc_results::RunRecord;
use delalloc_workloads::plan::{ContentPlan, Looks, RatioCodec, Recipe, RecipePlan};
use delalloc_workloads::{Content, FileSlot, LoadPlan};
use support::{Bench, small};

const EXTENT_BYTES: usize = 128 << 10;

/// The share of extents that the heuristic sends to the codec, of a load of 1 MiB writes.
fn share_tried(recipe: Recipe, ratio: Option<f64>) -> f64 {
    let load = LoadPlan {
        seed: 5,
        content: ContentPlan::Recipe(RecipePlan {
            recipe,
            ratio,
            codec: RatioCodec::DEFAULT,
        }),
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
