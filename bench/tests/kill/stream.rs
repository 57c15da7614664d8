//! What a writer does to one file, as a function of seed, round and file alone.
//!
//! The writer carries it out; whoever judges what is left of a killed writer computes the same again,
//! and so knows what the file was at every step without being told.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const FILE_BYTES_MAX: u64 = 256 << 10;

/// One call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write {
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        size_bytes: u64,
    },
    Punch {
        start: u64,
        end: u64,
    },
    /// To the file's other name.
    Rename,
    /// Removes it; the next step makes another.
    Remove,
    Create,
    Sync,
}

/// A file's steps, without end.
pub(crate) struct Stream {
    dice: Xoshiro256PlusPlus,
    removed: bool,
}

impl Stream {
    pub(crate) fn new(seed: u64, round: u64, file: usize, start: &Known) -> Self {
        let mixed = seed ^ (round << 20) ^ ((file as u64) << 10);
        Self {
            dice: Xoshiro256PlusPlus::seed_from_u64(mixed),
            removed: !start.there,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.dice.next_u64() % end
    }

    fn bytes(&mut self) -> Vec<u8> {
        let bits = self.below(10);
        let len = 1 + self.below(256 << bits);
        let mut bytes = vec![0; index(len)];
        if self.below(2) == 0 {
            self.dice.fill_bytes(&mut bytes);
        } else {
            let word = self.dice.next_u64().to_le_bytes();
            let words = bytes.chunks_mut(word.len());
            words.for_each(|chunk| chunk.copy_from_slice(&word[..chunk.len()]));
        }
        bytes
    }
}

impl Iterator for Stream {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if std::mem::take(&mut self.removed) {
            return Some(Step::Create);
        }
        let at = self.below(FILE_BYTES_MAX);
        Some(match self.below(40) {
            0 | 1 => Step::Truncate { size_bytes: at },
            2 | 3 => Step::Punch {
                start: at,
                end: at + self.below(64 << 10),
            },
            4 | 5 => Step::Rename,
            6 => {
                self.removed = true;
                Step::Remove
            }
            7..22 => Step::Sync,
            _ => Step::Write {
                at,
                bytes: self.bytes(),
            },
        })
    }
}

/// A file at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) there: bool,
    /// How many files of this number there were before: part of the name.
    pub(crate) incarnation: u64,
    /// Which of its two names it has.
    pub(crate) renamed: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Known {
    /// A file that never was.
    pub(crate) fn none() -> Self {
        Self {
            there: false,
            incarnation: 0,
            renamed: false,
            bytes: Vec::new(),
        }
    }

    pub(crate) fn name(&self, file: usize) -> String {
        let which = if self.renamed { "b" } else { "a" };
        format!("{file}-{}-{which}", self.incarnation)
    }

    /// What a name says; `None` if it is of another file.
    pub(crate) fn of_name(name: &str, file: usize) -> Option<Self> {
        let mut parts = name.split('-');
        let number: usize = parts.next()?.parse().ok()?;
        let incarnation = parts.next()?.parse().ok()?;
        let renamed = parts.next()? == "b";
        (number == file).then_some(Self {
            there: true,
            incarnation,
            renamed,
            bytes: Vec::new(),
        })
    }

    /// The file after a step.
    pub(crate) fn after(&self, step: &Step) -> Self {
        let mut next = self.clone();
        match step {
            Step::Sync => {}
            Step::Rename => next.renamed = !self.renamed,
            Step::Remove => next.there = false,
            Step::Create => {
                next = Self::none();
                next.there = true;
                next.incarnation = self.incarnation + 1;
            }
            Step::Truncate { size_bytes } => next.bytes.resize(index(*size_bytes), 0),
            Step::Punch { start, end } => {
                let end = index(*end).min(next.bytes.len());
                if let Some(hole) = next.bytes.get_mut(index(*start)..end) {
                    hole.fill(0);
                }
            }
            Step::Write { at, bytes } => {
                let end = index(*at) + bytes.len();
                next.bytes.resize(next.bytes.len().max(end), 0);
                next.bytes[index(*at)..end].copy_from_slice(bytes);
            }
        }
        next
    }
}

pub(crate) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}
