//! Where the operations of a client go: the patterns.
//!
//! A *place* is a block-sized slot of the region of one of the job's files; places are numbered through the files in order.
//!
//! ```text
//!   file 0: |0|1|2|3|   file 1: |4|5|6|7|      places of `count: 2`, region of four blocks
//! ```
//!
//! Sequential and strided clients have contiguous shares of the places, like so many copies running beside each other. Shuffled
//! clients take turns in one permutation. Random and zipf clients each draw from all places.

use super::permute::Permutation;
use super::share::Share;
use super::zipf::Zipf;
use crate::op::FileSlot;
use crate::plan::{AccessPlan, PatternPlan};
use crate::random::{Dice, Weights};

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) file: FileSlot,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// The places of one client, one after the other.
#[derive(Debug)]
pub(crate) struct Walk {
    plan: AccessPlan,
    sizes: Weights,
    dice: Dice,
    places_per_file: u64,
    order: Order,
}

#[derive(Debug)]
enum Order {
    /// Places `at..end`, then again from `start`.
    Sequential {
        start: u64,
        end: u64,
        at: u64,
    },
    /// Steps `at..end` of the strided order, then again from `start`.
    Stride {
        start: u64,
        end: u64,
        at: u64,
        /// Places from one step to the next.
        places: u64,
    },
    /// Indices `at`, `at + clients` and so on of a permutation; another one each lap.
    Shuffle {
        seed: u64,
        lap: u64,
        at: u64,
        share: Share,
        order: Permutation,
    },
    Random,
    Zipf {
        law: Zipf,
        scatter: Option<Permutation>,
        per_file: u64,
    },
}

/// What follows a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This place.
    Spot(Spot),
    /// All places of the client were visited; the next call starts over.
    Lap,
}

impl Walk {
    pub(crate) fn new(plan: &AccessPlan, share: Share, seed: u64) -> Self {
        let step = plan.block.align_bytes;
        let places_per_file = plan.region_bytes.div_ceil(step);
        let places = places_per_file * u64::from(plan.files.count);
        let dice = Dice::new(&[seed, 1, u64::from(share.client)]);
        let order = match plan.pattern {
            PatternPlan::Sequential => {
                let range = share.range(places);
                Order::Sequential {
                    start: range.start,
                    end: range.end,
                    at: range.start,
                }
            }
            PatternPlan::Stride { stride_bytes } => {
                let stride = stride_bytes / step;
                let range = share.range(places.div_ceil(stride) * stride);
                Order::Stride {
                    start: range.start,
                    end: range.end,
                    at: range.start,
                    places: stride,
                }
            }
            PatternPlan::Shuffle => Order::Shuffle {
                seed,
                lap: 0,
                at: u64::from(share.client),
                share,
                order: Permutation::new(places, &[seed, 2, 0]),
            },
            PatternPlan::Random => Order::Random,
            PatternPlan::Zipf { theta, scatter } => {
                // Any block has to fit at any place, so that the law does not depend on the size drawn.
                let largest = plan.block.sizes.iter().map(|size| size.bytes).max();
                let largest = largest.expect("a block has at least one size");
                let per_file = (plan.region_bytes - largest) / step + 1;
                let ranks = per_file * u64::from(plan.files.count);
                Order::Zipf {
                    law: Zipf::new(ranks, theta),
                    scatter: scatter.then(|| Permutation::new(ranks, &[seed, 3])),
                    per_file,
                }
            }
        };
        Self {
            sizes: Weights::new(plan.block.sizes.iter().map(|size| size.weight)),
            plan: plan.clone(),
            dice,
            places_per_file,
            order,
        }
    }

    /// How many operations visit each place once, all clients together; for patterns that never come round.
    pub(crate) fn lap_ops(&self) -> Option<u64> {
        let places = self.places_per_file * u64::from(self.plan.files.count);
        matches!(self.order, Order::Random | Order::Zipf { .. }).then_some(places)
    }

    pub(crate) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// The next place.
    pub(crate) fn next(&mut self) -> Step {
        let size = {
            let sizes = &self.plan.block.sizes;
            if sizes.len() == 1 {
                sizes[0].bytes
            } else {
                sizes[self.sizes.pick(self.dice.bits())].bytes
            }
        };
        let step = self.plan.block.align_bytes;
        match &mut self.order {
            Order::Sequential { start, end, at } => {
                if at == end {
                    *at = *start;
                    return Step::Lap;
                }
                let place = *at;
                let most = (*end - place).saturating_mul(step);
                let spot = spot_at(&self.plan, self.places_per_file, place, size.min(most));
                *at += spot.bytes.div_ceil(step);
                Step::Spot(spot)
            }
            Order::Stride {
                start,
                end,
                at,
                places,
            } => loop {
                if at == end {
                    *at = *start;
                    return Step::Lap;
                }
                let per_sweep = self.places_per_file.div_ceil(*places);
                let place = (*at % per_sweep) * *places + *at / per_sweep;
                *at += 1;
                if place < self.places_per_file {
                    return Step::Spot(spot_at(&self.plan, self.places_per_file, place, size));
                }
            },
            Order::Shuffle {
                seed,
                lap,
                at,
                share,
                order,
            } => {
                let places = self.places_per_file * u64::from(self.plan.files.count);
                if *at >= places {
                    *lap += 1;
                    *at = u64::from(share.client);
                    *order = Permutation::new(places, &[*seed, 2, *lap]);
                    return Step::Lap;
                }
                let place = order.at(*at);
                *at += u64::from(share.clients);
                Step::Spot(spot_at(&self.plan, self.places_per_file, place, size))
            }
            Order::Random => {
                let per_file = (self.plan.region_bytes - size) / step + 1;
                let places = per_file * u64::from(self.plan.files.count);
                let place = self.dice.below(places);
                Step::Spot(spot_at(&self.plan, per_file, place, size))
            }
            Order::Zipf {
                law,
                scatter,
                per_file,
            } => {
                let rank = law.draw(&mut self.dice);
                let place = scatter.as_ref().map_or(rank, |order| order.at(rank));
                Step::Spot(spot_at(&self.plan, *per_file, place, size))
            }
        }
    }
}

/// The piece of `bytes` at `place`, cut off at the end of the region.
fn spot_at(plan: &AccessPlan, per_file: u64, place: u64, bytes: u64) -> Spot {
    let within = place % per_file * plan.block.align_bytes;
    let nth = u32::try_from(place / per_file).expect("a place is in one of the job's files");
    debug_assert!(nth < plan.files.count, "place {place} is beyond the files");
    Spot {
        file: FileSlot(plan.files.first.0 + nth),
        offset: plan.region_start + within,
        bytes: bytes.min(plan.region_bytes - within),
    }
}
