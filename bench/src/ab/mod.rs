//! Two builds of the binary measured in turns on this machine: what a timing gate rests on.
//!
//! ```text
//!   sliced    base, head, base again  } fresh processes; one slice each, in shuffled order, 40 times    one effect a set
//!   rounds    base, head, base again  } whole replays, forth and back (A B C C B A)                    one effect a block
//!   counted   base, base, head        } one replay each under callgrind                                a count
//! ```
//!
//! The base runs twice under two names: what differs between it and itself is this machine's doing (the null
//! arm). Only one process works at any moment; the others wait for their turn at a pipe.
//!
//! Counts also stand alone: `gate counted` compares one build's with committed ones, made with the same `tools`.
//!
//! Effects are logarithms of ratios; what they mean is judged in `delalloc_results::gate::ab`.

mod core;
pub mod counted;
pub mod noise;
mod profile;
pub mod revision;
pub mod rounds;
pub mod serve;
pub mod sliced;
pub mod tools;

pub use profile::{Parts, TOTAL};

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use delalloc_results::ExitCode;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::replay::order::shuffled;
use crate::targets::PLANT_VARIABLE;

/// A build to measure.
#[derive(Debug, Clone)]
pub struct Build {
    /// The binary.
    pub binary: PathBuf,
    /// The fault planted into it, where there is one.
    pub plant: Option<String>,
}

/// What both builds do.
#[derive(Debug, Clone)]
pub struct Task {
    /// A workload file, or the name of one that comes along.
    pub workload: String,
    /// Settings laid over it.
    pub sets: Vec<String>,
    /// Targets kept; all where empty.
    pub targets: Vec<String>,
}

/// What is measured beside what: base, head, and the base again.
#[derive(Debug, Clone)]
pub struct Trio {
    /// What is compared with.
    pub base: Build,
    /// What is judged.
    pub head: Build,
}

impl Trio {
    /// In the order base, head, base.
    pub fn builds(&self) -> [&Build; 3] {
        [&self.base, &self.head, &self.base]
    }
}

impl Build {
    /// The binary, not yet started. Nothing is planted but what this build says.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        self.dress(&mut command);
        command
    }

    /// Gives the environment of this build to a command that starts it.
    pub fn dress(&self, command: &mut Command) {
        match &self.plant {
            Some(plant) => command.env(PLANT_VARIABLE, plant),
            None => command.env_remove(PLANT_VARIABLE),
        };
    }
}

impl Task {
    /// Adds workload, settings and targets to a command line of the binary.
    pub fn tell(&self, command: &mut Command) {
        command.arg(&self.workload);
        for set in &self.sets {
            command.args(["--set", set]);
        }
        for target in &self.targets {
            command.args(["--target", target]);
        }
    }
}

/// Whether somebody stopped a process, be it before or after it could catch the signal. That says nothing of its build.
pub fn was_interrupted(status: &ExitStatus) -> bool {
    let by_signal = status
        .signal()
        .is_some_and(|signal| [SIGINT, SIGTERM].contains(&signal));
    by_signal || status.code() == Some(ExitCode::Interrupted.code().into())
}

/// In which order the three take their turns: shuffled anew each time.
///
/// Going through all six orders in a fixed cycle is not enough. Who has waited longest is slowest, since the others
/// have pushed it out of the caches; in the cycle one build waits longer than another in four turns of six, and a
/// median of ratios sees that as a difference (2 % in slices of a millisecond).
#[derive(Debug)]
pub struct Orders(Xoshiro256PlusPlus);

impl Orders {
    /// The orders of one measurement.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// The next one.
    pub fn next_three(&mut self) -> [usize; 3] {
        let order = shuffled(3, &mut self.0);
        [order[0], order[1], order[2]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each waited longer than each other, of turns in which both waited.
    fn waited_longer(orders: impl Iterator<Item = [usize; 3]>) -> [[f64; 3]; 3] {
        let mut last = [0_i64; 3];
        let mut longer = [[0.0; 3]; 3];
        for (turn, order) in (0_i64..).zip(orders) {
            let mut waited = [0; 3];
            for (place, who) in (0_i64..).zip(order) {
                let now = turn * 3 + place;
                waited[who] = now - last[who];
                last[who] = now;
            }
            for (one, row) in longer.iter_mut().enumerate() {
                for (other, count) in row.iter_mut().enumerate() {
                    *count += f64::from(u8::from(waited[one] > waited[other]));
                }
            }
        }
        longer
    }

    #[test]
    fn nobody_waits_longer_than_another_more_often_than_not() {
        let mut orders = Orders::new(1);
        let longer = waited_longer((0..6000).map(|_| orders.next_three()));
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let share = longer[one][other] / (longer[one][other] + longer[other][one]);
            assert!((share - 0.5).abs() < 0.03, "{one} and {other}: {share}");
        }
        // The cycle that looks fair and is not.
        let cycle = [
            [0, 1, 2],
            [2, 1, 0],
            [1, 2, 0],
            [0, 2, 1],
            [2, 0, 1],
            [1, 0, 2],
        ];
        let longer = waited_longer((0..6000).map(|turn| cycle[turn % 6]));
        let share = longer[1][0] / (longer[1][0] + longer[0][1]);
        assert!(share < 0.4, "{share}");
    }

    #[test]
    fn a_seed_gives_one_order() {
        let of = |seed| {
            let mut orders = Orders::new(seed);
            (0..20).map(|_| orders.next_three()).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
