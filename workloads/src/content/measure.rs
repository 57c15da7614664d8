//! What content turned out to be: its ratio under a codec, its share of duplicates.
//!
//! Measured on bytes as they are written, stamps and all. A made-up pool is gone over once, from end to end, in one version: that
//! is what any long load sees of it on average. Mixes and corpora are sampled as a sequential load writes them, version by version.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::codec::Yardstick;
use super::dedupe::Shown;
use super::model::{Model, Source};
use super::pool::POOL_BYTES;
use crate::op::FileSlot;
use crate::plan::{ContentPlan, DedupePlan, RatioCodec};

/// Written at a time.
const WRITE_BYTES: usize = 1 << 20;
/// Of mixes and corpora.
const SAMPLE_BYTES: u64 = 32 << 20;
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
    /// The share of duplicate blocks that was asked for.
    pub dedupe_asked: Option<f64>,
    /// The share of blocks that repeat an earlier one, if any was asked for.
    pub dedupe: Option<f64>,
}

impl Achieved {
    pub(super) fn of(model: &Model, plan: &ContentPlan, seed: u64) -> Self {
        let (ratio_asked, codec) = plan.asked();
        let dedupe = plan.asked_dedupe();
        Self {
            plan: plan.clone(),
            files: Vec::new(),
            file_count: 0,
            codec,
            ratio_asked,
            ratio: ratio(model, codec, seed),
            dedupe_asked: dedupe.map(|plan| plan.share),
            dedupe: dedupe.map(|plan| duplicates(model, plan, seed)),
        }
    }
}

/// Bytes of `model` over what `codec` makes of them in pieces of 128 KiB.
pub(super) fn ratio(model: &Model, codec: RatioCodec, seed: u64) -> f64 {
    let is_one_pool = matches!(&model.source, Source::Pool(pool) if pool.len() == POOL_BYTES);
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
