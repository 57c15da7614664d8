//! Recipes: how made-up bytes come about.
//!
//! Each is a function of (dial, seed) to the bytes of a pool. At dial 0 it compresses least and at 1 most, without a jump on
//! the way, so that a dial is found for any ratio in reach (calibrate). What differs between recipes at one ratio is
//! what the compressor has to do for it: count letters, find matches, both, or nothing at all.
//!
//! ```text
//!   entropy    letters alone          -> literals through the entropy coder, match finder in vain
//!   matches    copies of noise        -> match finder alone, literals stored as they are
//!   words      letters and copies     -> both
//!   text       words of a vocabulary  -> many short matches
//!   records    columns                -> short matches at one distance
//!   layered    words beside noise     -> now one, now the other, at a grain of its own
//! ```

mod entropy;
mod layered;
mod matches;
mod records;
mod text;

use super::pool::{CELL_BYTES, POOL_BYTES, Pool};
use super::ratio::words;
use crate::plan::{Looks, Recipe};
use crate::random::Dice;

/// Recipes with a grain as large as an extent keep their place in it.
const EXTENT_BYTES: usize = 128 << 10;

/// Where the dial of words ends.
const WORDS_DIAL: f64 = 2.0;

/// The pool of `recipe` with its dial at `dial`; `ratio` is what it is turned for.
pub(super) fn pool(recipe: &Recipe, ratio: f64, dial: f64, seed: u64) -> Pool {
    let (bytes, unit_bytes) = match *recipe {
        Recipe::Words => (words(WORDS_DIAL * dial, seed, POOL_BYTES), CELL_BYTES),
        Recipe::Entropy { symbols } => (entropy::letters(dial, seed, symbols), CELL_BYTES),
        Recipe::Matches {
            length_bytes,
            distance_bytes,
        } => (
            matches::copies(dial, seed, length_bytes as usize, distance_bytes as usize),
            CELL_BYTES,
        ),
        Recipe::Text { words } => (text::prose(dial, seed, words as usize), CELL_BYTES),
        Recipe::Records { row_bytes } => {
            (records::rows(dial, seed, row_bytes as usize), CELL_BYTES)
        }
        Recipe::Bimodal { unit_bytes, share } => {
            let unit_bytes = usize::try_from(unit_bytes).expect("at most a mebibyte");
            let share = share.unwrap_or_else(|| layered::bimodal_share(ratio));
            (
                layered::bimodal(dial, seed, unit_bytes, share),
                unit_bytes.max(EXTENT_BYTES),
            )
        }
        Recipe::Bursts {
            burst_bytes,
            every_bytes,
        } => (
            layered::bursts(dial, seed, burst_bytes as f64, every_bytes as f64),
            EXTENT_BYTES,
        ),
        Recipe::Borders {
            distance_bytes,
            share,
        } => {
            let distance = usize::try_from(distance_bytes).expect("at most two mebibytes");
            (layered::borders(dial, seed, distance, share), 2 * distance)
        }
        Recipe::Adversarial { looks } => match looks {
            Looks::Compressible => (layered::looks_compressible(seed), CELL_BYTES),
            Looks::Random => (layered::looks_random(dial, seed), CELL_BYTES),
        },
    };
    Pool::new(bytes, true).in_units_of(unit_bytes)
}

/// Fills `out` with noise.
fn noise(out: &mut [u8], dice: &mut Dice) {
    for word in out.chunks_mut(8) {
        let bits = dice.bits().to_le_bytes();
        word.copy_from_slice(&bits[..word.len()]);
    }
}

/// A length around `mean`, at least 0, most of them short.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an exponential variate of a small mean"
)]
pub(super) fn length(mean: f64, dice: &mut Dice) -> usize {
    (-libm::log(1.0 - dice.unit()) * mean).round() as usize
}

/// A rank below `upto.len()` by cumulated weights that end at 1.
fn rank(upto: &[f64], dice: &mut Dice) -> usize {
    let unit = dice.unit();
    upto.partition_point(|sum| *sum <= unit).min(upto.len() - 1)
}

/// Cumulated Zipf weights of `count` ranks, ending at 1.
fn zipf(count: usize, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut upto: Vec<f64> = (1..=count)
        .map(|rank| {
            sum += libm::pow(rank as f64, -exponent);
            sum
        })
        .collect();
    for weight in &mut upto {
        *weight /= sum;
    }
    upto
}
