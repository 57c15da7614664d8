//! What is written: bytes of five kinds, cheap to make, that say which step wrote them.
//!
//! Each kind but zeros carries the number of its step every `STAMP_EVERY` bytes, so that a byte that
//! should not be there tells where it is from. The rest is copied out of pools made once.

use std::sync::OnceLock;

use crate::support::Dice;

/// What the bytes of a write are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// All zero: extents of them become holes.
    Zeros,
    /// Zero but for the last bytes.
    Speck,
    /// Compressible.
    Text,
    /// Incompressible.
    Noise,
    /// Both in turns, in the middle of pages and across them.
    Mixed,
}

impl Fill {
    pub(crate) const ALL: [Self; 5] = [
        Self::Zeros,
        Self::Speck,
        Self::Text,
        Self::Noise,
        Self::Mixed,
    ];
}

/// Longer than most writes: noise that comes round again can be compressed.
const POOL_LEN: usize = 1 << 21;
const MIXED_LEN: usize = 3 << 11;
const STAMP_EVERY: usize = 256;
const STAMP_LEN: usize = 8;
const STAMP_MARK: [u8; 4] = *b"\xf1op#";

struct Pools {
    text: Vec<u8>,
    noise: Vec<u8>,
}

fn pools() -> &'static Pools {
    static POOLS: OnceLock<Pools> = OnceLock::new();
    POOLS.get_or_init(|| {
        let mut dice = Dice::new(1);
        let words: Vec<String> = (0..64)
            .map(|_| format!("{:x} ", dice.below(9999)))
            .collect();
        let mut text = Vec::with_capacity(POOL_LEN + 16);
        while text.len() < POOL_LEN {
            text.extend_from_slice(dice.pick(&words).as_bytes());
        }
        text.truncate(POOL_LEN);
        let noise = (0..POOL_LEN / 8)
            .flat_map(|_| (dice.below(u64::MAX)).to_le_bytes())
            .collect();
        Pools { text, noise }
    })
}

/// Makes `out` the `len` bytes that step `number` writes.
pub(crate) fn fill(out: &mut Vec<u8>, len: usize, kind: Fill, number: u32) {
    out.clear();
    let from = (number as usize).wrapping_mul(7919) % POOL_LEN;
    match kind {
        Fill::Zeros => out.resize(len, 0),
        Fill::Speck => {
            out.resize(len, 0);
            let at = len.saturating_sub(STAMP_LEN);
            stamp(&mut out[at..], number);
        }
        Fill::Text => copy_round(out, &pools().text, from, len),
        Fill::Noise => copy_round(out, &pools().noise, from, len),
        Fill::Mixed => {
            while out.len() < len {
                let pool = if (out.len() / MIXED_LEN).is_multiple_of(2) {
                    &pools().noise
                } else {
                    &pools().text
                };
                let part = MIXED_LEN.min(len - out.len());
                copy_round(out, pool, from + out.len(), part);
            }
        }
    }
    if !matches!(kind, Fill::Zeros | Fill::Speck) {
        for chunk in out.chunks_mut(STAMP_EVERY) {
            stamp(chunk, number);
        }
    }
}

fn copy_round(out: &mut Vec<u8>, pool: &[u8], from: usize, len: usize) {
    let mut left = len;
    let mut at = from % POOL_LEN;
    while left > 0 {
        let part = left.min(POOL_LEN - at);
        out.extend_from_slice(&pool[at..at + part]);
        left -= part;
        at = 0;
    }
}

fn stamp(into: &mut [u8], number: u32) {
    let mut bytes = [0; STAMP_LEN];
    bytes[..4].copy_from_slice(&STAMP_MARK);
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    let len = into.len().min(STAMP_LEN);
    into[..len].copy_from_slice(&bytes[..len]);
}

/// Whose bytes these are around `at`, as far as a stamp tells.
pub(crate) fn whose(bytes: &[u8], at: usize) -> String {
    let near = at.saturating_sub(STAMP_EVERY)..bytes.len().min(at + STAMP_EVERY + STAMP_LEN);
    if bytes[near.clone()].iter().all(|&byte| byte == 0) {
        return "zeros".to_owned();
    }
    let marks = bytes[near].windows(STAMP_LEN);
    let mut numbers: Vec<u32> = marks
        .filter(|window| window[..4] == STAMP_MARK)
        .map(|window| u32::from_le_bytes([window[4], window[5], window[6], window[7]]))
        .collect();
    numbers.dedup();
    format!("bytes of steps {numbers:?}")
}
