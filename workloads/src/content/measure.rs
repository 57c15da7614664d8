//! What content turned out to be: its ratio under a codec, also in the pieces it is written in, its share of duplicates.
//!
//! Measured on bytes as they are written, stamps and all. A made-up pool is gone over once, from end to end, in one version: that
//! is what any long load sees of it on average. Mixes and corpora are sampled as a sequential load writes them, version by version.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::codec::{PIECE_BYTES, Yardstick};
use super::dedupe::Shown;
use super::model::{Model, Source};
use super::pool::POOL_BYTES;
use super::written::Shape;
use crate::op::FileSlot;
use crate::plan::{ContentPlan, DedupePlan, RatioCodec};
use crate::random::Dice;

/// Written at a time.
const WRITE_BYTES: usize = 1 << 20;
/// Of mixes and corpora.
const SAMPLE_BYTES: u64 = 32 << 20;
/// Of a pool in the pieces it is written in; of mixes and corpora four times as much.
const WRITTEN_SAMPLE_BYTES: u64 = 4 << 20;
/// Duplicates show only where there is something to repeat.
const DEDUPE_SAMPLE_BYTES: u64 = 128 << 20;
const FILE: FileSlot = FileSlot(0);

/// What was asked for and what it turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Achieved {
    /// What the content is.
    pub plan: ContentPlan,
    /// Names of the first files that have it as their own; empty for that of files without.
    pub files: Vec<String>,
    /// How many these are in all.
    pub file_count: u64,
    /// What the ratio was measured with.
    pub codec: RatioCodec,
    /// What was asked for, if a ratio was.
    pub ratio_asked: Option<f64>,
    /// Bytes over compressed bytes, in pieces of 128 KiB.
    pub ratio: f64,
    /// The same in the pieces that the load's own writes give a codec, each size once; none where only recordings write it.
    pub written: Vec<AsWritten>,
    /// The share of duplicate blocks that was asked for.
    pub dedupe_asked: Option<f64>,
    /// The share of blocks that repeat an earlier one, if any was asked for.
    pub dedupe: Option<f64>,
}

/// What content comes to in the pieces that writes of one size give a codec.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AsWritten {
    /// Of a write.
    pub block_bytes: u64,
    /// Of what the codec gets at once: writes side by side, or one by itself.
    pub extent_bytes: u64,
    /// Bytes over compressed bytes.
    pub ratio: f64,
}

impl Achieved {
    pub(super) fn of(model: &Model, plan: &ContentPlan, seed: u64, shapes: &[Shape]) -> Self {
        let (ratio_asked, codec) = plan.asked();
        let dedupe = plan.asked_dedupe();
        let ratio = ratio(model, codec, seed);
        let written = shapes.iter().map(|shape| AsWritten {
            block_bytes: shape.block_bytes,
            extent_bytes: shape.extent_bytes,
            ratio: if shape.is_whole() {
                ratio
            } else {
                written_ratio(model, codec, seed, shape)
            },
        });
        Self {
            plan: plan.clone(),
            files: Vec::new(),
            file_count: 0,
            codec,
            ratio_asked,
            ratio,
            written: written.collect(),
            dedupe_asked: dedupe.map(|plan| plan.share),
            dedupe: dedupe.map(|plan| duplicates(model, plan, seed)),
        }
    }
}

/// Bytes of `model` over what `codec` makes of them in pieces of 128 KiB.
pub(super) fn ratio(model: &Model, codec: RatioCodec, seed: u64) -> f64 {
    let is_one_pool = is_one_pool(model);
    let bytes = if is_one_pool {
        POOL_BYTES as u64
    } else {
        SAMPLE_BYTES
    };
    let mut yardstick = Yardstick::new(codec);
    let mut stored = 0;
    for_writes(model, seed, bytes, is_one_pool, |block| {
        stored += yardstick.stored_bytes(block);
    });
    bytes as f64 / stored as f64
}

/// Bytes of `model` over what `codec` makes of them in the pieces that writes of `shape` give it.
fn written_ratio(model: &Model, codec: RatioCodec, seed: u64, shape: &Shape) -> f64 {
    let sample_bytes = if is_one_pool(model) {
        WRITTEN_SAMPLE_BYTES
    } else {
        4 * WRITTEN_SAMPLE_BYTES
    };
    let extents = sample_bytes / shape.extent_bytes;
    let mut yardstick = Yardstick::new(codec);
    let mut dice = Dice::new(&[seed, 0x7772_6974]);
    let (mut version, mut stored) = (1, 0);
    let mut extent = vec![0; PIECE_BYTES];
    let extent = &mut extent[..usize::try_from(shape.extent_bytes).expect("at most a piece")];
    for _ in 0..extents {
        shape.fill_extent(&mut version, &mut dice, extent, |at, part| {
            model.fill(seed, at, part);
        });
        stored += yardstick.stored_bytes(extent);
    }
    (extents * shape.extent_bytes) as f64 / stored as f64
}

/// All of it is in one made-up pool.
fn is_one_pool(model: &Model) -> bool {
    matches!(&model.source, Source::Pool(pool) if pool.len() == POOL_BYTES)
}

/// The share of blocks that are equal to one before them.
fn duplicates(model: &Model, plan: &DedupePlan, seed: u64) -> f64 {
    let block_bytes = usize::try_from(plan.block_bytes).expect("at most an extent");
    let mut seen = HashSet::new();
    let mut blocks: u64 = 0;
    for_writes(model, seed, DEDUPE_SAMPLE_BYTES, false, |write| {
        for block in write.chunks(block_bytes) {
            blocks += 1;
            seen.insert(xxh3_128(block));
        }
    });
    (blocks - seen.len() as u64) as f64 / blocks as f64
}

fn for_writes(
    model: &Model,
    seed: u64,
    bytes: u64,
    is_one_version: bool,
    mut each: impl FnMut(&[u8]),
) {
    let mut block = vec![0; WRITE_BYTES];
    for nth in 0..bytes / WRITE_BYTES as u64 {
        let at = Shown {
            file: FILE,
            offset: nth * WRITE_BYTES as u64,
            version: if is_one_version { 1 } else { 1 + nth },
        };
        model.fill(seed, at, &mut block);
        each(&block);
    }
}
