//! Rows of a fixed layout, as a table or a log of measurements has them.
//!
//! ```text
//!   0  counter   u64, one more each row
//!   8  time      u64, about a thousand more
//!   16 kind      u8 of 8, uneven;  17 state  u8 of 3;  18 zero
//!   20 value     f32, a random walk;  24 value f64, another
//!   32 name      of 64, padded with zeros to half of what is left
//!   .. opaque    a key or a hash, then zeros
//! ```
//!
//! The dial first takes opaque bytes away and then makes rows idle: an idle row is the one before with its counter one up.

use super::super::pool::POOL_BYTES;
use crate::random::Dice;

const HEAD_BYTES: usize = 32;
const NAMES: usize = 64;

pub(super) fn rows(dial: f64, seed: u64, row_bytes: usize) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x726f_7773]);
    let tail_bytes = row_bytes - HEAD_BYTES;
    // Opaque bytes fill the whole tail at 0 and are gone at 1/2.
    let opaque = (1.0 - 2.0 * dial).max(0.0) * tail_bytes as f64;
    let idle_share = 1.0 - (1.0 - (2.0 * dial - 1.0).max(0.0)).powi(2);
    let names = names(tail_bytes / 2, &mut dice);
    let kinds = super::zipf(8, 1.5);
    let known = super::zipf(NAMES, 1.0);
    let mut out = Vec::with_capacity(POOL_BYTES + row_bytes);
    let mut row = vec![0; row_bytes];
    let (mut time, mut slow, mut fast) = (1_700_000_000_000u64, 20.0f64, 0.0f64);
    let mut counter = 0u64;
    while out.len() < POOL_BYTES {
        counter += 1;
        row[..8].copy_from_slice(&counter.to_le_bytes());
        if counter == 1 || dice.unit() >= idle_share {
            time += 900 + dice.below(200);
            slow += dice.unit() - 0.5;
            fast += dice.unit() - 0.5;
            row[8..16].copy_from_slice(&time.to_le_bytes());
            row[16] = u8::try_from(super::rank(&kinds, &mut dice)).expect("of 8");
            row[17] = u8::try_from(dice.below(3)).expect("of 3");
            // Sensors have few digits, however wide the column is.
            row[20..24].copy_from_slice(&rounded(slow, 10.0).to_le_bytes());
            row[24..32].copy_from_slice(&f64::from(rounded(fast, 100.0)).to_le_bytes());
            let tail = &mut row[HEAD_BYTES..];
            tail.fill(0);
            let name = &names[super::rank(&known, &mut dice)];
            tail[..name.len()].copy_from_slice(name);
            let taken = whole(opaque, &mut dice).min(tail_bytes);
            super::noise(&mut tail[tail_bytes - taken..], &mut dice);
        }
        out.extend_from_slice(&row);
    }
    out.truncate(POOL_BYTES);
    out
}

/// One of the two whole numbers beside `mean`, so that the mean of many is `mean`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the bytes of a row"
)]
fn whole(mean: f64, dice: &mut Dice) -> usize {
    (mean + dice.unit()).floor() as usize
}

#[expect(clippy::cast_possible_truncation, reason = "a reading has few digits")]
fn rounded(value: f64, per_unit: f64) -> f32 {
    ((value * per_unit).round() / per_unit) as f32
}

fn names(bytes_max: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    (0..NAMES)
        .map(|_| {
            let length = 1 + super::length(10.0, dice);
            (0..length.min(bytes_max))
                .map(|_| b'a' + u8::try_from(dice.below(26)).expect("a letter"))
                .collect()
        })
        .collect()
}
