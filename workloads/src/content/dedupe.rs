//! Blocks that repeat: which, and what they repeat.
//!
//! A block is a duplicate or it is not; that follows from (seed, file, version) and its number alone, in golden-ratio steps, so
//! that every stretch of a file has its share. A duplicate shows a block of the working set: a file of its own that all files
//! of the content share, so that blocks repeat within a file, across files and across versions. The first time a block of the
//! working set is shown it repeats nothing yet: a run over `n` blocks has `working set / n` fewer duplicates than asked.

use super::Key;
use crate::op::FileSlot;
use crate::plan::DedupePlan;
use crate::random::mix;

/// Stands for the working set; slots of files are counted from 0 and are far fewer.
const WORKING_SET: FileSlot = FileSlot(u32::MAX);
/// The working set is never overwritten.
const WORKING_VERSION: u64 = 1;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Shares as the plan has them, in what a lookup needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dedupe {
    /// Of 2^64.
    share: u64,
    block_bytes: u64,
    working_set_blocks: u64,
}

/// Bytes of a block, wherever they come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) file: FileSlot,
    pub(super) offset: u64,
    pub(super) version: u64,
}

impl Dedupe {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 2^64, saturating"
    )]
    pub(super) fn new(plan: &DedupePlan) -> Self {
        Self {
            share: (plan.share * u64::MAX as f64) as u64,
            block_bytes: plan.block_bytes,
            working_set_blocks: plan.working_set_bytes / plan.block_bytes,
        }
    }

    /// What stands at `at`, and for how many of the next bytes.
    pub(super) fn shown(&self, key: &Key, at: Shown) -> (Shown, u64) {
        let block = at.offset / self.block_bytes;
        let within = at.offset % self.block_bytes;
        let left = self.block_bytes - within;
        if block.wrapping_mul(GOLDEN).wrapping_add(key.turn) >= self.share {
            return (at, left);
        }
        let pick = u128::from(mix(key.stamp ^ mix(block))) * u128::from(self.working_set_blocks);
        let nth = u64::try_from(pick >> 64).expect("the upper half of 128 bits fits in 64");
        let shown = Shown {
            file: WORKING_SET,
            offset: nth * self.block_bytes + within,
            version: WORKING_VERSION,
        };
        (shown, left)
    }
}
