//! Made-up content that compresses by a stated factor, the way real data does.
//!
//! The usual recipe, random bytes and then zeros, has the right ratio and the wrong cost: a compressor runs over it three times as fast as over
//! real data, a sampling heuristic sees one or the other. Here there are words: literals of uneven frequency, between copies
//! of what came before at distances near and far, as in text, code and records. One dial turns both from "random" to "the same
//! over and over", and is set by bisection until zstd 1 gives the ratio on pieces of 128 KiB.

use super::ContentError;
use super::pool::{CELL_BYTES, POOL_BYTES, Pool};
use super::recipe::length;
use crate::plan::ContentPlan;
use crate::random::Dice;

/// What is compressed as one.
const PIECE_BYTES: usize = 128 << 10;
/// What the dial is set by: long enough that a ratio moves by less than half a percent from sample to sample.
const SAMPLE_BYTES: usize = 2 << 20;
/// Above this ratio copies are so long that a sample has too few of them: the dial is set by all of the pool.
const RATIO_OF_SAMPLES_MAX: f64 = 8.0;
const LEVEL: i32 = 1;
/// Each halves the error; the last step is below what the sample can show.
const STEPS: usize = 14;

/// A pool that compresses by `ratio`.
pub(super) fn pool(ratio: f64, seed: u64) -> Result<Pool, ContentError> {
    if ratio <= 1.0 {
        return Ok(Pool::random(seed));
    }
    let mut codec = zstd::bulk::Compressor::new(LEVEL).expect("zstd has level 1");
    let sample_bytes = if ratio > RATIO_OF_SAMPLES_MAX {
        POOL_BYTES
    } else {
        SAMPLE_BYTES
    };
    let mut measured = |dial: f64| compressed_ratio(&mut codec, &words(dial, seed, sample_bytes));
    let (mut low, mut high) = (0.0, 1.0);
    let max = measured(high);
    if ratio > max {
        return Err(ContentError::Ratio {
            of: ContentPlan::Ratio(ratio).to_string(),
            min: 1.0,
            max,
        });
    }
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if measured(middle) < ratio {
            low = middle;
        } else {
            high = middle;
        }
    }
    let dial = f64::midpoint(low, high);
    Ok(Pool::new(words(dial, seed, POOL_BYTES), true))
}

/// The ratio over pieces of 128 KiB, stamped as they will be when used.
fn compressed_ratio(codec: &mut zstd::bulk::Compressor<'_>, bytes: &[u8]) -> f64 {
    let mut piece = vec![0; PIECE_BYTES];
    let mut dice = Dice::new(&[0x73_7461_6d70]);
    let mut stored = 0;
    for part in bytes.chunks_exact(PIECE_BYTES) {
        piece.copy_from_slice(part);
        for cell in piece.chunks_exact_mut(CELL_BYTES) {
            cell[..8].copy_from_slice(&dice.bits().to_le_bytes());
        }
        let compressed = codec.compress(&piece).expect("the bound is always enough");
        stored += compressed.len().min(PIECE_BYTES);
    }
    bytes.len() as f64 / stored as f64
}

/// Words of the language that `dial` speaks: 0 is noise, at 1 nine tenths are long copies, at 2 nearly all is.
pub(super) fn words(dial: f64, seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x72_6174_696f]);
    let letters = letters(dial, &mut dice);
    let mut out: Vec<u8> = Vec::with_capacity(bytes + 1024);
    // The share of bytes that are copies, and how long copies are: both grow with the dial.
    let over = (dial - 1.0).max(0.0);
    let dial = dial.min(1.0);
    let copied = 0.9 * dial.sqrt() + 0.095 * over;
    let copy_bytes = (5.0 + 12.0 * dial + 1200.0 * libm::pow(dial, 6.0)) * (1.0 + 3.0 * over);
    let literal_bytes = copy_bytes * (1.0 - copied) / copied.max(1e-9);
    while out.len() < bytes {
        let literals = length(literal_bytes.min(4096.0), &mut dice);
        for _ in 0..literals {
            out.push(letters[(dice.bits() & 4095) as usize]);
        }
        if out.len() > 64 && copied > 0.0 {
            let take = 4 + length(copy_bytes - 4.0, &mut dice);
            copy_back(&mut out, take, &mut dice);
        }
    }
    out.truncate(bytes);
    out
}

/// A table to draw letters from: all alike at 0, ever more uneven towards 1.
fn letters(dial: f64, dice: &mut Dice) -> Vec<u8> {
    let mut alphabet: Vec<u8> = (0..=255).collect();
    for at in (1..256).rev() {
        let other = usize::try_from(dice.below(at as u64 + 1)).expect("below 256");
        alphabet.swap(at, other);
    }
    let exponent = 2.2 * dial;
    let weights: Vec<f64> = (1..=256)
        .map(|rank| libm::pow(f64::from(rank), -exponent))
        .collect();
    let all: f64 = weights.iter().sum();
    let mut table = Vec::with_capacity(4096);
    let mut sum = 0.0;
    for (letter, weight) in alphabet.iter().zip(&weights) {
        sum += weight / all * 4096.0;
        while (table.len() as f64) < sum.round() {
            table.push(*letter);
        }
    }
    table.resize(4096, alphabet[0]);
    table
}

/// Repeats `take` bytes from somewhere before, near places more often than far ones.
fn copy_back(out: &mut Vec<u8>, take: usize, dice: &mut Dice) {
    let farthest = (out.len().min(64 << 10)) as f64;
    let distance = (8.0 * libm::pow(farthest / 8.0, dice.unit())).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 8 and the bytes there are"
    )]
    let from = out.len() - (distance as usize).clamp(1, out.len());
    for at in from..from + take {
        out.push(out[at]);
    }
}
