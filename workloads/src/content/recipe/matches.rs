//! Copies between random bytes: redundancy that only a match finder finds.
//!
//! The dial is the share of bytes that are copies. Lengths lie evenly between half the mean and one and a half, distances
//! evenly by magnitude, down to the length itself so that a copy never overlaps what it makes.

use super::super::pool::POOL_BYTES;
use crate::random::Dice;

pub(super) fn copies(dial: f64, seed: u64, length_bytes: usize, distance_bytes: usize) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x6d_6174_6368]);
    let mut out: Vec<u8> = Vec::with_capacity(POOL_BYTES + 2 * length_bytes);
    // Literals between two copies; at the end of the dial there are none.
    let literal_bytes = length_bytes as f64 * (1.0 - dial) / dial.max(1e-9);
    while out.len() < POOL_BYTES {
        let literals = super::length(literal_bytes.min(POOL_BYTES as f64), &mut dice);
        let start = out.len();
        out.resize(start + literals.min(POOL_BYTES), 0);
        super::noise(&mut out[start..], &mut dice);
        let take = length_bytes / 2 + below(length_bytes + 1, &mut dice);
        let nearest = 3 * length_bytes / 2;
        if out.len() < nearest {
            let start = out.len();
            out.resize(nearest, 0);
            super::noise(&mut out[start..], &mut dice);
        }
        let farthest = out.len().min(distance_bytes).max(nearest);
        let ratio = farthest as f64 / nearest as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between nearest and farthest"
        )]
        let distance = (nearest as f64 * libm::pow(ratio, dice.unit())) as usize;
        let from = out.len() - distance.clamp(nearest, farthest);
        out.extend_from_within(from..from + take);
    }
    out.truncate(POOL_BYTES);
    out
}

fn below(n: usize, dice: &mut Dice) -> usize {
    usize::try_from(dice.below(n as u64)).expect("below a usize")
}
