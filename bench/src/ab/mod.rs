//! Two builds of the binary measured in turns on this machine: what a timing gate rests on.
//!
//! ```text
//!   sliced    base, head, base again  } fresh processes; one slice each, in changing order, 40 times   one effect a pair
//!   rounds    base, head, base again  } whole replays, forth and back (A B C C B A)                    one effect a block
//!   counted   base, base, head        } one replay each under callgrind                                a count
//! ```
//!
//! The base runs twice under two names: what differs between it and itself is this machine's doing (the null
//! arm). Only one process works at any moment; the others wait for their turn at a pipe.
//!
//! Effects are logarithms of ratios; what they mean is judged in `delalloc_results::gate::ab`.

pub mod counted;
pub mod revision;
pub mod rounds;
pub mod serve;
pub mod sliced;

use std::path::PathBuf;
use std::process::Command;

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

/// Each of the six orders of three in turn, so that none is always before another.
pub fn order_of_three(turn: usize) -> [usize; 3] {
    [
        [0, 1, 2],
        [2, 1, 0],
        [1, 2, 0],
        [0, 2, 1],
        [2, 0, 1],
        [1, 0, 2],
    ][turn % 6]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_six_turns_each_goes_before_each_other_three_times() {
        let mut before = [[0; 3]; 3];
        for turn in 0..6 {
            let order = order_of_three(turn);
            for (place, first) in order.iter().enumerate() {
                for second in &order[place + 1..] {
                    before[*first][*second] += 1;
                }
            }
        }
        assert_eq!(before, [[0, 3, 3], [3, 0, 3], [3, 3, 0]]);
    }
}
