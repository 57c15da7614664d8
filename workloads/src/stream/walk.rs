//! Where the operations of a client go: a size, then a place for it.

use super::layout::{Layout, Spot};
use super::order::{Order, Step};
use super::share::Share;
use super::sizes::Sizes;
use crate::plan::AccessPlan;
use crate::random::Dice;

/// The places of one client, one after the other.
#[derive(Debug)]
pub(crate) struct Walk {
    sizes: Sizes,
    write_sizes: Option<Sizes>,
    dice: Dice,
    layout: Layout,
    order: Order,
    is_drawn: bool,
}

impl Walk {
    pub(crate) fn new(plan: &AccessPlan, layout: Layout, share: Share, seed: u64) -> Self {
        Self {
            sizes: Sizes::new(&plan.block),
            write_sizes: plan.write_block.as_ref().map(Sizes::new),
            dice: Dice::new(&[seed, 1, u64::from(share.client)]),
            order: Order::new(plan, &layout, share, seed),
            layout,
            is_drawn: plan.pattern.is_drawn(),
        }
    }

    /// How many operations visit each place once, all clients together; for patterns that never come round.
    pub(crate) fn lap_ops(&self) -> Option<u64> {
        self.is_drawn.then(|| self.layout.places())
    }

    pub(crate) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes have sizes of their own: it has to be known first what is done.
    pub(crate) fn has_directions(&self) -> bool {
        self.write_sizes.is_some()
    }

    /// A size for the next operation.
    #[inline]
    pub(crate) fn size(&mut self, is_write: bool) -> u64 {
        match &self.write_sizes {
            Some(sizes) if is_write => sizes.draw(&mut self.dice),
            _ => self.sizes.draw(&mut self.dice),
        }
    }

    /// A size and a place; none when the pattern came round and `is_end` says that this is the end, or where the client's share
    /// of the places is empty.
    pub(crate) fn spot(&mut self, is_write: bool, is_end: bool) -> Option<Spot> {
        for _ in 0..2 {
            let size = self.size(is_write);
            match self.order.next(&self.layout, size, &mut self.dice) {
                Step::Spot(spot) => return Some(spot),
                Step::Lap if is_end => return None,
                Step::Lap => {}
            }
        }
        None
    }

    /// The same for a size that is known.
    pub(crate) fn spot_of(&mut self, size: u64, is_end: bool) -> Option<Spot> {
        for _ in 0..2 {
            match self.order.next(&self.layout, size, &mut self.dice) {
                Step::Spot(spot) => return Some(spot),
                Step::Lap if is_end => return None,
                Step::Lap => {}
            }
        }
        None
    }
}
