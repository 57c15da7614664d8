//! Prose: words of a vocabulary by Zipf's law, sentences, lines.
//!
//! ```text
//!   dial 0 ........ 1/2 ......................... 1
//!   opaque tokens   plain prose, exponent 1       ever the same few words
//! ```
//!
//! Below the middle a share of the tokens is opaque (keys, attachments), as text that hardly compresses has them: letters alone
//! come to more than a factor of 1.5 under an entropy coder. Above it the exponent grows, as in logs.

use super::super::pool::POOL_BYTES;
use crate::random::Dice;

/// Letters of words from the most frequent on, roughly as in English.
const LETTERS: &[u8; 26] = b"etaoinsrhldcumfpgwybvkxjqz";
/// Bytes of an opaque token, on average.
const TOKEN_BYTES: f64 = 48.0;
/// Above this the first word is nearly all there is.
const EXPONENT_MAX: f64 = 6.0;
/// Of phrases: runs of words that come again as a whole.
const PHRASE_SHARE: f64 = 0.9;

pub(super) fn prose(dial: f64, seed: u64, words: usize) -> Vec<u8> {
    let mut dice = Dice::new(&[seed, 0x7465_7874]);
    let vocabulary = vocabulary(words, &mut dice);
    let more = (2.0 * dial - 1.0).max(0.0);
    let upto = super::zipf(words, 1.0 + (EXPONENT_MAX - 1.0) * more);
    let opaque_share = opaque_share(dial);
    let mut out = Vec::with_capacity(POOL_BYTES + 4096);
    let mut in_sentence = 0;
    let mut sentence = 12;
    while out.len() < POOL_BYTES {
        if dice.unit() < opaque_share {
            let start = out.len();
            out.resize(start + 1 + super::length(TOKEN_BYTES, &mut dice), 0);
            super::noise(&mut out[start..], &mut dice);
            continue;
        }
        if dice.unit() < PHRASE_SHARE * more * more && out.len() > 4096 {
            repeat(&mut out, 40.0 + 2000.0 * more.powi(4), &mut dice);
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&vocabulary[super::rank(&upto, &mut dice)]);
        if in_sentence == 0 {
            out[start].make_ascii_uppercase();
        }
        in_sentence += 1;
        if in_sentence < sentence {
            let comma = dice.below(10) == 0;
            out.extend_from_slice(if comma { b", " } else { b" " });
        } else {
            let end_of_line = dice.below(4) == 0;
            out.extend_from_slice(if end_of_line { b".\n" } else { b". " });
            in_sentence = 0;
            sentence = 6 + dice.below(14);
        }
    }
    out.truncate(POOL_BYTES);
    out
}

/// The share of opaque tokens among tokens that leaves `1 - 2 dial` of the bytes opaque.
fn opaque_share(dial: f64) -> f64 {
    let bytes = (1.0 - 2.0 * dial).max(0.0);
    let word_bytes = 6.0;
    bytes * word_bytes / (bytes * word_bytes + (1.0 - bytes) * TOKEN_BYTES)
}

/// Says again what was said within the last 32 KiB.
fn repeat(out: &mut Vec<u8>, mean_bytes: f64, dice: &mut Dice) {
    let take = 8 + super::length(mean_bytes, dice);
    let reach = out.len().min(32 << 10) as u64;
    let back = usize::try_from(dice.below(reach)).expect("below 32 KiB") + 1;
    let from = out.len() - back;
    for at in from..from + take {
        out.push(out[at]);
    }
}

/// Different words, the frequent ones short.
fn vocabulary(words: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let upto = super::zipf(LETTERS.len(), 0.8);
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(words);
    for rank in 0..words {
        let length = 2 + (rank + 1).ilog2() as usize / 2 + super::length(1.5, dice).min(9);
        all.push(
            (0..length)
                .map(|_| LETTERS[super::rank(&upto, dice)])
                .collect(),
        );
    }
    all
}
