//! How long a file leaves its extents raw after one that did not shrink.
//!
//! ```text
//!   try --fails--> skip 1, try --fails--> skip 2, try --fails--> skip 4 ... up to the cap
//!    ^                                                                |
//!    '------------------------- any success --------------------------'
//! ```
//!
//! Refused: a mark on the file after the first failure, which leaves whole files raw for the sake of
//! their headers. Only an attempt of the codec teaches: a sample costs so little that each extent has
//! its own, and an extent of a few sectors hardly can save one.
//!
//! Not here: whose it is and its lock (the file's owner).

/// What to do with the next extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Try to compress it.
    Try,
    /// Store it raw without a look.
    Skip,
}

/// Plain bytes below which a failure teaches nothing.
const LESSON_BYTES_MIN: usize = 16 << 10;

/// The back-off of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    /// Extents still to skip.
    skip_left: u32,
    /// The length of the last run of skips.
    skip_last: u32,
}

impl Backoff {
    /// What to do with the next extent.
    pub fn attempt(&mut self) -> Attempt {
        if self.skip_left == 0 {
            return Attempt::Try;
        }
        self.skip_left -= 1;
        Attempt::Skip
    }

    /// An extent of `plain_bytes` was tried, and `gained` a sector or not. Extents are tried side by
    /// side, so failures come in groups; those after the first one find the skips begun and add none.
    /// `extents_max` is the cap; 0 switches backing off.
    pub fn learn(&mut self, gained: bool, plain_bytes: usize, extents_max: u32) {
        if gained {
            *self = Self::default();
        } else if self.skip_left == 0 && plain_bytes >= LESSON_BYTES_MIN && extents_max > 0 {
            self.skip_last = self.skip_last.saturating_mul(2).clamp(1, extents_max);
            self.skip_left = self.skip_last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: usize = 128 << 10;

    fn skips(backoff: &mut Backoff) -> u32 {
        let mut skips = 0;
        while backoff.attempt() == Attempt::Skip {
            skips += 1;
        }
        skips
    }

    #[test]
    fn skips_double_up_to_the_cap_and_a_success_ends_them() {
        let mut backoff = Backoff::default();
        let runs: Vec<u32> = (0..6)
            .map(|_| {
                backoff.learn(false, EXTENT, 12);
                skips(&mut backoff)
            })
            .collect();
        assert_eq!(runs, [1, 2, 4, 8, 12, 12]);
        backoff.learn(true, EXTENT, 12);
        assert_eq!(backoff.attempt(), Attempt::Try);
        backoff.learn(false, EXTENT, 12);
        assert_eq!(skips(&mut backoff), 1);
    }

    #[test]
    fn failures_side_by_side_count_once() {
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            backoff.learn(false, EXTENT, 64);
        }
        assert_eq!(skips(&mut backoff), 1);
    }

    #[test]
    fn small_extents_and_a_cap_of_0_teach_nothing() {
        let mut backoff = Backoff::default();
        backoff.learn(false, 8 << 10, 64);
        backoff.learn(false, EXTENT, 0);
        assert_eq!(backoff.attempt(), Attempt::Try);
    }
}
