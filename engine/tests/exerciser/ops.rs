//! What is done to a volume: steps, and the sequence of them that a seed makes.
//!
//! A step names a *slot*: one of a few names, or one of the places where files go that have lost
//! their name and are still open. Offsets and lengths gather around the edges of sectors, pages,
//! extents and items, one byte beside them, and 511 bytes beside them.
//!
//! Not here: what a step means (run).

use super::content::Fill;
use super::setup::Setup;
use crate::support::Dice;

/// Names of files.
pub(crate) const NAMES: [&str; 4] = ["table", "log", "index", "temp/with a \"strange\" name"];
/// Files up to here are written in one batch.
const BATCHES_FROM: u64 = 2 << 20;
/// Files, named or not, that a step can be about.
pub(crate) const SLOTS: usize = NAMES.len() + 2;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Makes an empty file, or is refused where there is one.
    Create {
        slot: usize,
    },
    /// Makes the file where there is none.
    Write {
        slot: usize,
        offset: u64,
        len: u64,
        fill: Fill,
    },
    /// A write at the end.
    Append {
        slot: usize,
        len: u64,
        fill: Fill,
    },
    Read {
        slot: usize,
        offset: u64,
        len: u64,
    },
    /// Makes the file where there is none.
    Truncate {
        slot: usize,
        size: u64,
    },
    Punch {
        slot: usize,
        start: u64,
        end: u64,
    },
    Sync {
        slot: usize,
    },
    SyncVolume,
    DropCaches,
    Rename {
        from: usize,
        to: usize,
    },
    /// Takes the name away; a file that is held goes to a slot without a name.
    Remove {
        slot: usize,
        held: bool,
    },
    /// Drops the handle. A file without a name goes with it.
    Shut {
        slot: usize,
    },
    List,
    Stats,
    /// Arguments that have to be refused.
    Misuse {
        slot: usize,
    },
    /// `held` handles are dropped after the volume, not before; `knobs` is the seed of other knobs,
    /// where the setup has that.
    Reopen {
        how: Reopen,
        held: bool,
        knobs: u64,
    },
}

/// How a volume is left before it is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reopen {
    /// By the door.
    Close,
    /// Dropped after a sync of the volume.
    DropAfterSync,
    /// Dropped after a sync of each file, the last of them changed.
    DropAfterFileSyncs,
}

/// An operation and its place in its sequence, which is also the stamp of what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) number: u32,
    pub(crate) op: Op,
}

/// The sequence of a seed; without an end.
pub(crate) struct Ops {
    dice: Dice,
    units: [u64; 6],
    file_bytes_max: u64,
    len_max: u64,
    number: u32,
}

impl Ops {
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        let config = setup.config(0);
        let (extent, item) = (
            config.compression.extent_bytes,
            config.compression.item_bytes,
        );
        Self {
            dice: Dice::new(seed),
            units: [512, 4096, 4096, 8192, extent, item],
            file_bytes_max: setup.file_bytes_max,
            // Where a write can have several batches, some do.
            len_max: if setup.file_bytes_max > BATCHES_FROM {
                setup.file_bytes_max / 4 * 3
            } else {
                setup.file_bytes_max / 4
            },
            number: 0,
        }
    }

    /// A place on or beside an edge.
    fn place(&mut self) -> u64 {
        let unit = *self.dice.pick(&self.units);
        // Half of all steps meet in the first part of a file.
        let reach = if self.dice.once_in(2) {
            self.file_bytes_max
        } else {
            (self.file_bytes_max / 8).max(unit)
        };
        let edge = unit * self.dice.below(reach / unit + 1);
        self.beside(edge, unit).min(self.file_bytes_max)
    }

    fn beside(&mut self, edge: u64, unit: u64) -> u64 {
        match self.dice.below(10) {
            0..4 => edge,
            4 => edge + 1,
            5 => edge.saturating_sub(1),
            6 => edge + 511,
            7 => edge.saturating_sub(511),
            _ => edge + self.dice.below(unit),
        }
    }

    fn len(&mut self) -> u64 {
        match self.dice.below(16) {
            0..5 => 1 + self.dice.below(600),
            5..9 => {
                let bits = self.dice.below(15);
                1 + self.dice.below(1 << bits)
            }
            9..12 => {
                let pages = 4096 * (1 + self.dice.below(4));
                self.beside(pages, 512)
            }
            12..15 => {
                let unit = (*self.dice.pick(&self.units)).min(self.file_bytes_max / 8);
                self.beside(unit, unit)
            }
            _ => 1 + self.dice.below(self.len_max),
        }
    }

    /// A range that is not empty and ends within a file.
    fn range(&mut self) -> (u64, u64) {
        let start = self.place().min(self.file_bytes_max - 1);
        let wanted = if self.dice.once_in(4) {
            self.place()
                .saturating_sub(start)
                .min(self.file_bytes_max / 4)
        } else {
            self.len()
        };
        (start, wanted.clamp(1, self.file_bytes_max - start))
    }

    /// Mostly a file with a name, the first of them most often.
    fn slot(&mut self) -> usize {
        match self.dice.below(16) {
            0..7 => 0,
            7..11 => 1,
            11..13 => 2,
            13 => 3,
            14 => 4,
            _ => 5,
        }
    }

    fn name(&mut self) -> usize {
        self.slot() % NAMES.len()
    }

    fn fill(&mut self) -> Fill {
        match self.dice.below(10) {
            0 => Fill::Zeros,
            1 => Fill::Speck,
            2..6 => Fill::Text,
            6..8 => Fill::Noise,
            _ => Fill::Mixed,
        }
    }

    fn op(&mut self) -> Op {
        match self.dice.below(2000) {
            0..620 => {
                let (offset, len) = self.range();
                Op::Write {
                    slot: self.slot(),
                    offset,
                    len,
                    fill: self.fill(),
                }
            }
            620..740 => Op::Append {
                slot: self.slot(),
                len: self.len(),
                fill: self.fill(),
            },
            740..1560 => {
                let (offset, len) = self.range();
                Op::Read {
                    slot: self.slot(),
                    offset,
                    len,
                }
            }
            1560..1680 => Op::Truncate {
                slot: self.slot(),
                size: self.place(),
            },
            1680..1790 => {
                let (start, len) = self.range();
                Op::Punch {
                    slot: self.slot(),
                    start,
                    end: start + len,
                }
            }
            1790..1850 => Op::Sync { slot: self.slot() },
            1850..1860 => Op::SyncVolume,
            1860..1870 => Op::DropCaches,
            1870..1890 => Op::Rename {
                from: self.name(),
                to: self.name(),
            },
            1890..1905 => Op::Remove {
                slot: self.name(),
                held: self.dice.once_in(2),
            },
            1905..1920 => Op::Create { slot: self.name() },
            1920..1970 => Op::Shut { slot: self.slot() },
            1970..1980 => Op::List,
            1980..1990 => Op::Stats,
            1990..1997 => Op::Misuse { slot: self.name() },
            _ => self.reopen(),
        }
    }

    fn reopen(&mut self) -> Op {
        let ways = [
            Reopen::Close,
            Reopen::DropAfterSync,
            Reopen::DropAfterFileSyncs,
        ];
        Op::Reopen {
            how: *self.dice.pick(&ways),
            held: self.dice.once_in(3),
            knobs: self.dice.below(1 << 32),
        }
    }
}

impl Iterator for Ops {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.number += 1;
        Some(Step {
            number: self.number,
            op: self.op(),
        })
    }
}
