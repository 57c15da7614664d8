//! Runs of places one after the other, each from a place drawn from all: how random and sequential go over into each other.

use super::layout::{Layout, Spot};
use crate::plan::RunLength;
use crate::random::Dice;

/// The runs of one client.
#[derive(Debug)]
pub(crate) struct Runs {
    length: RunLength,
    /// Operations that the run still has, where it has a length.
    left: u64,
    at: Option<Spot>,
}

impl Runs {
    pub(crate) fn new(length: RunLength) -> Self {
        Self {
            length,
            left: 0,
            at: None,
        }
    }

    /// The next place: behind the one before, or, where the run is over or has no room, a place drawn.
    pub(crate) fn next(&mut self, layout: &Layout, size: u64, dice: &mut Dice) -> Spot {
        let goes_on = match self.length {
            RunLength::Fixed(_) => self.left > 0,
            RunLength::Jumps(share) => dice.unit() >= share,
        };
        let before = self.at.filter(|_| goes_on);
        let spot = match before.and_then(|before| layout.behind(before, size)) {
            Some(spot) => {
                self.left = self.left.saturating_sub(1);
                spot
            }
            None => {
                if let RunLength::Fixed(ops) = self.length {
                    self.left = ops - 1;
                }
                let place = dice.below(layout.fitting(size));
                layout.fitting_spot(place, size, size)
            }
        };
        self.at = Some(spot);
        spot
    }
}
