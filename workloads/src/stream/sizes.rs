//! How large the next operation is.

use crate::plan::BlockPlan;
use crate::random::{Dice, Weights};

/// What sizes are drawn from.
#[derive(Debug)]
pub(crate) enum Sizes {
    /// One size: nothing is drawn.
    Only(u64),
    /// Some, by weight.
    Weighted { bytes: Vec<u64>, weights: Weights },
    /// `count` sizes from `from` on, each alike.
    Range { from: u64, step: u64, count: u64 },
}

impl Sizes {
    pub(crate) fn new(block: &BlockPlan) -> Self {
        match (block.step_bytes, &block.sizes[..]) {
            (Some(step), [from, to]) => Self::Range {
                from: from.bytes,
                step,
                count: (to.bytes - from.bytes) / step + 1,
            },
            (_, [only]) => Self::Only(only.bytes),
            (_, sizes) => Self::Weighted {
                bytes: sizes.iter().map(|size| size.bytes).collect(),
                weights: Weights::new(sizes.iter().map(|size| size.weight)),
            },
        }
    }

    #[inline]
    pub(crate) fn draw(&self, dice: &mut Dice) -> u64 {
        match self {
            Self::Only(bytes) => *bytes,
            Self::Weighted { bytes, weights } => bytes[weights.pick(dice.bits())],
            Self::Range { from, step, count } => from + step * dice.below(*count),
        }
    }
}
