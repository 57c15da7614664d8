//! Blocks that repeat: which, and what they repeat.
//!
//! A block is a duplicate or it is not; that follows from (seed, file, version) and its number alone: in steps over the blocks of
//! a version and in other steps over the versions, so that every stretch of a file has its share and every block in time, in
//! whatever order blocks and versions go together, backward too. A duplicate shows a block of the working set: a file of its own
//! that all files of the content share, so that blocks repeat within a file, across files and across versions. The first time a
//! block of the working set is shown it repeats nothing yet: a run over `n` blocks has `working set / n` fewer duplicates than
//! asked.

use super::Key;
use crate::op::FileSlot;
use crate::plan::DedupePlan;
use crate::random::mix;

/// Stands for the working set; slots of files are counted from 0 and are far fewer.
const WORKING_SET: FileSlot = FileSlot(u32::MAX);
/// The working set is never overwritten.
const WORKING_VERSION: u64 = 1;
/// 2^64 over p and over p^2, p the real root of p^3 = p + 1: no small multiples of the two cancel, as those of one step would.
/// From M. Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018.
const BLOCK_STEP: u64 = 0xc13f_a9a9_02a6_328f;
const VERSION_STEP: u64 = 0x91e1_0da5_c79e_7b1d;

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
        let steps = block
            .wrapping_mul(BLOCK_STEP)
            .wrapping_add(at.version.wrapping_mul(VERSION_STEP));
        if key.file.wrapping_add(steps) >= self.share {
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
