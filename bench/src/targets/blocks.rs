//! Which blocks of a file were ever written: one bit each, as far as the last one.
//!
//! A device without a filesystem is full of somebody's old bytes. What the file never wrote reads as
//! zeros because a bit says so, not because the device does.
//!
//! Not here: what a block is in bytes (raw).

use std::ops::Range;

/// A set of blocks.
#[derive(Debug, Default)]
pub(super) struct BlockSet {
    words: Vec<u64>,
}

const WORD_BITS: u64 = u64::BITS as u64;

impl BlockSet {
    /// Is `block` among them?
    pub(super) fn has(&self, block: u64) -> bool {
        let word = self.words.get(index(block)).copied().unwrap_or(0);
        word >> (block % WORD_BITS) & 1 == 1
    }

    /// Adds `blocks`.
    pub(super) fn add(&mut self, blocks: Range<u64>) {
        if self.words.len() < index(blocks.end.next_multiple_of(WORD_BITS)) {
            self.words
                .resize(index(blocks.end.next_multiple_of(WORD_BITS)), 0);
        }
        for (word, mask) in masks(blocks) {
            self.words[word] |= mask;
        }
    }

    /// Takes `blocks` out.
    pub(super) fn remove(&mut self, blocks: Range<u64>) {
        let end = blocks.end.min(self.words.len() as u64 * WORD_BITS);
        for (word, mask) in masks(blocks.start.min(end)..end) {
            self.words[word] &= !mask;
        }
    }

    /// The blocks of `blocks` that are not among them.
    pub(super) fn missing(&self, blocks: Range<u64>) -> Vec<u64> {
        masks(blocks)
            .flat_map(|(word, mask)| {
                let absent = mask & !self.words.get(word).copied().unwrap_or(0);
                let first = word as u64 * WORD_BITS;
                (0..WORD_BITS)
                    .filter(move |bit| absent != 0 && absent >> bit & 1 == 1)
                    .map(move |bit| first + bit)
            })
            .collect()
    }
}

fn index(block: u64) -> usize {
    usize::try_from(block / WORD_BITS).expect("a bit for each block fits memory")
}

/// The words that `blocks` lie in, and which bits of each.
fn masks(blocks: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
    let mut at = blocks.start;
    std::iter::from_fn(move || {
        let next = blocks.end.min((at / WORD_BITS + 1) * WORD_BITS);
        let bits = next.checked_sub(at).filter(|bits| *bits > 0)?;
        let ones = u64::MAX >> (WORD_BITS - bits);
        let item = (index(at), ones << (at % WORD_BITS));
        at = next;
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_and_go_across_words() {
        let mut set = BlockSet::default();
        assert_eq!(set.missing(62..66), [62, 63, 64, 65]);
        set.add(3..130);
        assert_eq!(set.missing(0..132), [0, 1, 2, 130, 131]);
        assert!(set.has(3) && set.has(129) && !set.has(130) && !set.has(9999));
        set.remove(63..65);
        assert_eq!(set.missing(60..70), [63, 64]);
        set.remove(100..u64::MAX);
        assert_eq!(set.missing(98..102), [100, 101]);
        set.remove(7..7);
        set.add(500..500);
        assert_eq!(set.missing(3..10), [0; 0]);
        set.add(64..128);
        assert_eq!(set.missing(60..128), [63]);
    }
}
