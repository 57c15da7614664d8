//! A plan of what survives, carried out on the bytes from before the log.
//!
//! Writes are laid down in the order of their completion, those in flight last: a device serves
//! completed overlapping writes in that order, and may serve those in flight in any. A torn write
//! survives in some of its pieces: 512 bytes is what every device writes whole, 4096 what most do.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::log::{Fate, Log, Logged};
use crate::MemBackend;

/// A crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashPlan {
    /// After this many events of the log.
    pub at: u64,
    /// Which loose requests survive.
    pub survivors: Survivors,
    /// Whether they survive whole.
    pub tear: Tear,
}

/// Which loose requests survive a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survivors {
    /// None: the strictest cache.
    None,
    /// All: no cache.
    All,
    /// Each with this chance, by a generator seeded with `seed`.
    Random {
        /// Of the generator.
        seed: u64,
        /// 0 to 100.
        percent: u8,
    },
    /// Those with these indices in `Log::entries`.
    Chosen(Vec<usize>),
}

/// Whether a surviving loose write is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// It is.
    Whole,
    /// Each of its pieces survives by the toss of a coin.
    Pieces {
        /// Size of a piece in bytes: 512 or 4096.
        bytes: u32,
        /// Of the generator.
        seed: u64,
    },
}

impl CrashPlan {
    /// At the end of an epoch, with random survivors torn at 512 bytes: the widest net one seed
    /// casts.
    pub fn in_epoch(log: &Log, epoch: usize, seed: u64) -> Self {
        Self {
            at: log.end_of_epoch(epoch),
            survivors: Survivors::Random { seed, percent: 50 },
            tear: Tear::Pieces { bytes: 512, seed },
        }
    }
}

/// A moment of a crash, ready for many plans. What no plan can take is laid down once.
#[derive(Debug)]
pub struct CrashPoint {
    base: MemBackend,
    fates: Vec<Fate>,
    /// Entries from the first loose one on, in the order they are laid down.
    rest: Vec<(usize, Logged)>,
}

impl CrashPoint {
    pub(super) fn new(start: &MemBackend, log: &Log, at: u64) -> Self {
        let fates = log.fates(at);
        let mut order: Vec<usize> = (0..fates.len())
            .filter(|&index| fates[index] != Fate::Absent)
            .collect();
        order.sort_by_key(|&index| {
            let entry = &log.entries()[index];
            let completed_at = entry
                .outcome
                .map(|outcome| outcome.at)
                .filter(|completed_at| *completed_at <= at);
            (completed_at.unwrap_or(u64::MAX), entry.submitted_at)
        });
        let settled = order
            .iter()
            .take_while(|&&index| fates[index] == Fate::Durable)
            .count();
        let rest = order.split_off(settled);
        let base = start.fork();
        for index in order {
            apply(&base, &log.entries()[index].what);
        }
        let entry = |index: usize| (index, log.entries()[index].what.clone());
        Self {
            base,
            fates,
            rest: rest.into_iter().map(entry).collect(),
        }
    }

    /// The device as a crash here leaves it: open, and independent of all others.
    pub fn image(&self, survivors: &Survivors, tear: Tear) -> MemBackend {
        if let Tear::Pieces { bytes, .. } = tear {
            assert!(matches!(bytes, 512 | 4096), "a device tears at 512 or 4096");
        }
        let survives = survives(&self.fates, survivors);
        let image = self.base.fork();
        let mut coin = match tear {
            Tear::Whole => None,
            Tear::Pieces { bytes, seed } => Some((
                bytes as usize,
                Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7EA2_7EA2),
            )),
        };
        for (index, what) in &self.rest {
            match (self.fates[*index], survives[*index], &mut coin) {
                (Fate::Durable, ..) | (Fate::Loose, true, None) => apply(&image, what),
                (Fate::Loose, true, Some((piece_bytes, coin))) => {
                    apply_torn(&image, what, *piece_bytes, coin);
                }
                (Fate::Loose, false, _) | (Fate::Absent, ..) => {}
            }
        }
        image
    }
}

fn survives(fates: &[Fate], plan: &Survivors) -> Vec<bool> {
    match plan {
        Survivors::None => vec![false; fates.len()],
        Survivors::All => vec![true; fates.len()],
        Survivors::Random { seed, percent } => {
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(*seed);
            fates
                .iter()
                .map(|_| generator.next_u64() % 100 < u64::from(*percent))
                .collect()
        }
        Survivors::Chosen(chosen) => (0..fates.len())
            .map(|index| chosen.contains(&index))
            .collect(),
    }
}

fn apply(image: &MemBackend, what: &Logged) {
    match what {
        Logged::Write { offset, bytes, .. } => image.write(*offset, bytes),
        Logged::Discard { offset, bytes } => image.discard(*offset, *bytes),
        Logged::Flush => {}
    }
}

fn apply_torn(
    image: &MemBackend,
    what: &Logged,
    piece_bytes: usize,
    coin: &mut Xoshiro256PlusPlus,
) {
    let Logged::Write { offset, bytes, .. } = what else {
        return apply(image, what);
    };
    for (index, piece) in bytes.chunks(piece_bytes).enumerate() {
        if coin.next_u64() >> 63 == 1 {
            image.write(*offset + (index * piece_bytes) as u64, piece);
        }
    }
}
