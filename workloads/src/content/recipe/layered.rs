//! Two kinds of bytes side by side: words that compress and noise that does not, or words and what repeats far off.
//!
//! Where which lies does not depend on the dial; the dial is that of the words.

use super::super::pool::{CELL_BYTES, POOL_BYTES};
use super::super::ratio::words;
use super::{WORDS_DIAL, noise};
use crate::random::{Dice, Weights};

/// What a heuristic of the usual kind looks at: so many bytes ...
const LOOK_BYTES: usize = 16;
/// ... of every so many.
const STRIDE_BYTES: usize = 256;
/// How far back strides repeat: 16 KiB, within any codec's window.
const STRIDES_BACK: u64 = 64;
/// An incompressible share is so many of these parts, which a pool of extents can hold.
const PARTS: f64 = 64.0;

/// The share of incompressible pieces which, for `ratio` over all, leaves the others at twice that, and at least at 4.
pub(super) fn bimodal_share(ratio: f64) -> f64 {
    let others = (2.0 * ratio).max(4.0);
    let share = (1.0 / ratio - 1.0 / others) / (1.0 - 1.0 / others);
    (share * PARTS).floor() / PARTS
}

/// Pieces of `unit_bytes`, `share` of them noise: as many in each stretch, where in it by chance, so that no step of a load
/// meets them always or never.
pub(super) fn bimodal(dial: f64, seed: u64, unit_bytes: usize, share: f64) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x62_696d_6f64_616c]);
    let mut out = words(WORDS_DIAL * dial, seed, POOL_BYTES);
    let units = POOL_BYTES / unit_bytes;
    let noisy = place((share * units as f64).round()).min(units);
    for nth in 0..noisy {
        let stretch = nth * units / noisy..(nth + 1) * units / noisy;
        let unit = stretch.start + place(dice.unit() * stretch.len() as f64);
        noise(&mut out[unit * unit_bytes..][..unit_bytes], &mut dice);
    }
    out
}

/// Bursts of noise with random lengths and gaps.
pub(super) fn bursts(dial: f64, seed: u64, burst_bytes: f64, every_bytes: f64) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x6275_7273_7473]);
    let mut out = words(WORDS_DIAL * dial, seed, POOL_BYTES);
    let count = (POOL_BYTES as f64 / every_bytes).round().max(1.0);
    let every = POOL_BYTES as f64 / count;
    let mut start = 0.0;
    while start + 1.0 < POOL_BYTES as f64 {
        // Half to one and a half of the mean, anywhere in its period: as many as asked, nowhere regular.
        let bytes = (burst_bytes * (0.5 + dice.unit())).min(every);
        let from = place(start + dice.unit() * (every - bytes));
        let upto = place(from as f64 + bytes).min(POOL_BYTES);
        noise(&mut out[from..upto], &mut dice);
        start += every;
    }
    out
}

/// Groups of twice `distance`, whose second half repeats pages of the first.
pub(super) fn borders(dial: f64, seed: u64, distance: usize, share: f64) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x626f_7264_6572]);
    let mut out = words(WORDS_DIAL * dial, seed, POOL_BYTES);
    let weights = Weights::new([share.max(f64::MIN_POSITIVE), 1.0 - share].into_iter());
    for group in out.chunks_exact_mut(2 * distance) {
        let (first, second) = group.split_at_mut(distance);
        for (from, to) in first.chunks(CELL_BYTES).zip(second.chunks_mut(CELL_BYTES)) {
            if weights.pick(dice.bits()) == 0 {
                to.copy_from_slice(from);
            }
        }
    }
    out
}

/// Few letters where a heuristic looks, noise elsewhere.
pub(super) fn looks_compressible(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x6261_6974]);
    let mut out = vec![0; POOL_BYTES];
    noise(&mut out, &mut dice);
    for look in looks(&mut out) {
        for byte in look {
            *byte = b'a' + (*byte & 15);
        }
    }
    out
}

/// Noise where a heuristic looks, words elsewhere.
pub(super) fn looks_random(dial: f64, seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x6d61_736b]);
    let between = STRIDE_BYTES - LOOK_BYTES;
    // Copies at any distance are cut by what is looked at, theirs and their source's: beyond the middle of the dial
    // strides repeat each other.
    let repeated = (2.0 * dial - 1.0).max(0.0);
    let words = words(
        (2.0 * dial).min(1.0),
        seed,
        POOL_BYTES / STRIDE_BYTES * between,
    );
    let mut out = Vec::with_capacity(POOL_BYTES);
    let mut look = [0; LOOK_BYTES];
    for words in words.chunks_exact(between) {
        noise(&mut look, &mut dice);
        out.extend_from_slice(&look);
        let back = STRIDES_BACK.min(out.len() as u64 / STRIDE_BYTES as u64);
        if back > 0 && dice.unit() < repeated {
            let back = place(dice.below(back) as f64 + 1.0) * STRIDE_BYTES;
            let from = out.len() - back;
            out.extend_from_within(from..from + between);
        } else {
            out.extend_from_slice(words);
        }
    }
    out
}

fn looks(bytes: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    bytes
        .chunks_mut(STRIDE_BYTES)
        .map(|stride| &mut stride[..LOOK_BYTES])
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a pool"
)]
fn place(at: f64) -> usize {
    at as usize
}
