//! Recipes give the ratio that was asked for, under the codec it was asked for, on what a load writes; or say how far they reach.
//!
//! `DELALLOC_CONTENT=all` asks for more ratios; each is measured on up to 192 MiB.

use delalloc_workloads::plan::{ContentPlan, Looks, RatioCodec, Recipe, RecipePlan};
use delalloc_workloads::{Content, ContentError, FileSlot, LoadPlan};

const CODECS: [RatioCodec; 3] = [RatioCodec::Zstd(1), RatioCodec::Zstd(3), RatioCodec::Lz4];
const RATIOS: [f64; 4] = [1.2, 3.5, 8.0, 15.0];
const MORE_RATIOS: [f64; 4] = [2.0, 5.0, 11.0, 13.0];
const ERROR_MAX: f64 = 0.02;
/// Up to the highest ratio that can be asked for, under each of the codecs.
const ALL: [f64; 3] = [15.0; 3];

fn load(content: ContentPlan) -> LoadPlan {
    LoadPlan {
        seed: 11,
        content,
        files: Vec::new(),
        phases: Vec::new(),
    }
}

/// Bytes over stored bytes of what a sequential load of 1 MiB writes brings, in extents of 128 KiB.
fn written_ratio(content: &Content, codec: RatioCodec, bytes: u64) -> f64 {
    let mut write = vec![0; 1 << 20];
    let mut table = lz4_flex::block::CompressTable::large();
    let mut out = vec![0; lz4_flex::block::get_maximum_output_size(128 << 10)];
    let mut stored = 0;
    for nth in 0..bytes >> 20 {
        content.fill(FileSlot(0), nth << 20, (3 << 40) | nth, &mut write);
        for extent in write.chunks(128 << 10) {
            let compressed = match codec {
                RatioCodec::Zstd(level) => zstd::bulk::compress(extent, level).unwrap().len(),
                RatioCodec::Lz4 => {
                    lz4_flex::block::compress_into_with_table(extent, &mut out, &mut table).unwrap()
                }
            };
            stored += compressed.min(extent.len());
        }
    }
    bytes as f64 / stored as f64
}

/// Where extents differ from each other it takes a longer load to see them all evenly, and where few are unlike the rest a
/// longer one still: one of them more or less is 1 % of what 192 MiB come to at a ratio of 15.
fn load_bytes(recipe: &Recipe, ratio: f64) -> u64 {
    match recipe {
        Recipe::Bimodal { .. } | Recipe::Bursts { .. } if ratio > 8.0 => 384 << 20,
        Recipe::Bimodal { .. } | Recipe::Bursts { .. } => 192 << 20,
        _ => 24 << 20,
    }
}

/// Asks for ratios, of which those above `reach` of a codec (docs/content.md) have to be refused with that reach.
fn keeps_its_ratio(recipe: Recipe, reach: [f64; 3]) {
    let mut faults = Vec::new();
    let all = std::env::var("DELALLOC_CONTENT").is_ok_and(|which| which == "all");
    let more = if all { &MORE_RATIOS[..] } else { &[] };
    for (codec, reach) in CODECS.into_iter().zip(reach) {
        for &ratio in RATIOS.iter().chain(more) {
            let plan = ContentPlan::Recipe(RecipePlan {
                recipe,
                ratio: Some(ratio),
                codec,
            });
            let load = load(plan);
            let content = match Content::build(&load) {
                Ok(content) if ratio <= reach => content,
                Ok(_) => {
                    faults.push(format!("{codec} {ratio}: made, beyond {reach}"));
                    continue;
                }
                Err(ContentError::Ratio { max, .. })
                    if ratio > reach && (max / reach - 1.0).abs() < ERROR_MAX =>
                {
                    continue;
                }
                Err(error) => {
                    faults.push(format!("{codec} {ratio}: {error}"));
                    continue;
                }
            };
            let said = &content.achieved(&[&load])[0];
            let found = written_ratio(&content, codec, load_bytes(&recipe, ratio));
            eprintln!(
                "{recipe} {codec} {ratio}: said {:.3} found {found:.3}",
                said.ratio
            );
            for seen in [said.ratio, found] {
                if (seen / ratio - 1.0).abs() > ERROR_MAX {
                    faults.push(format!("{codec} {ratio}: {seen}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{recipe}: {faults:#?}");
}

#[test]
fn words_keep_their_ratio() {
    keeps_its_ratio(Recipe::Words, ALL);
}

#[test]
fn entropy_keeps_its_ratio() {
    keeps_its_ratio(Recipe::Entropy { symbols: 256 }, ALL);
}

#[test]
fn matches_keep_their_ratio() {
    keeps_its_ratio(
        Recipe::Matches {
            length_bytes: 128,
            distance_bytes: 32 << 10,
        },
        [12.0, 13.0, 8.4],
    );
}

#[test]
fn text_keeps_its_ratio() {
    keeps_its_ratio(Recipe::Text { words: 8192 }, [15.0, 15.0, 14.6]);
}

#[test]
fn records_keep_their_ratio() {
    keeps_its_ratio(Recipe::Records { row_bytes: 128 }, ALL);
}

#[test]
fn bimodal_keeps_its_ratio() {
    for (unit_bytes, reach) in [(128 << 10, ALL), (4 << 10, [15.0, 15.0, 14.6])] {
        keeps_its_ratio(
            Recipe::Bimodal {
                unit_bytes,
                share: None,
            },
            reach,
        );
    }
}

#[test]
fn bursts_keep_their_ratio() {
    keeps_its_ratio(
        Recipe::Bursts {
            burst_bytes: 32 << 10,
            every_bytes: 512 << 10,
        },
        [13.2, 14.0, 10.6],
    );
}

#[test]
fn borders_keep_their_ratio() {
    keeps_its_ratio(
        Recipe::Borders {
            distance_bytes: 128 << 10,
            share: 1.0,
        },
        ALL,
    );
}

#[test]
fn what_looks_random_keeps_its_ratio() {
    keeps_its_ratio(
        Recipe::Adversarial {
            looks: Looks::Random,
        },
        [14.0, 14.2, 11.7],
    );
}
