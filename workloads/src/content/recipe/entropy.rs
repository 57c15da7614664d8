//! Letters one by one: redundancy that only an entropy coder finds.
//!
//! The dial is Zipf's exponent over the alphabet. Matches are those of chance; where the ratio is high nearly all letters are
//! the same and these are many. A codec without an entropy coder (lz4) lives on them alone.

use super::super::pool::POOL_BYTES;
use crate::random::Dice;

/// Draws come from a table; so many places make the steps of a weight smaller than a sample shows.
const TABLE: usize = 1 << 16;
/// At the end of the dial all but a few letters in a thousand are one.
const EXPONENT_MAX: f64 = 9.0;

pub(super) fn letters(dial: f64, seed: u64, symbols: u16) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x0065_6e74_726f_7079]);
    let upto = super::zipf(usize::from(symbols), EXPONENT_MAX * dial);
    let mut table = Vec::with_capacity(TABLE);
    // Letters lie all over the byte, so that no codec or sample takes them for text.
    for (symbol, sum) in (0..symbols).zip(&upto) {
        let letter = symbol.wrapping_mul(167).to_le_bytes()[0];
        while (table.len() as f64) < (sum * TABLE as f64).round() {
            table.push(letter);
        }
    }
    let mut out = Vec::with_capacity(POOL_BYTES);
    while out.len() < POOL_BYTES {
        let bits = dice.bits().to_le_bytes();
        out.extend(
            bits.chunks_exact(2)
                .map(|pair| table[usize::from(u16::from_le_bytes([pair[0], pair[1]]))]),
        );
    }
    out
}
