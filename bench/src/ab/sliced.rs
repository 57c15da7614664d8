//! Short slices of base, head and base again, in shuffled order, over fresh processes each time.
//!
//! What a slice says alone is little: a machine that is shared is disturbed more often than not. But the three
//! slices of one turn are a millisecond apart, so their ratio is taken there, and the middle half over the turns makes one
//! effect of one set of processes. It takes many sets to say something: processes differ by how they came to lie in
//! memory, by several per cent from one to the next, and no number of slices within one shows that. So sets are short, and there are
//! as many as it takes. They need not differ by where the scheduler puts their threads, so all of them are held on one processor.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};

use anyhow::{Context, anyhow};
use delalloc_results::ExitCode;
use delalloc_results::gate::AbClass;
use delalloc_results::gate::ab::detectable;
use delalloc_results::stats::pair_effect;

use super::core::Core;
use super::serve::READY;
use super::{Build, Orders, Task, Trio, was_interrupted};
use crate::failure::{Failure, OrExit};
use crate::signals::Signals;

/// How long a slice should take. What disturbs a shared machine lasts longer than slices do, so the shorter they are the more of it
/// the three of a turn have in common; and they should be many times the commit that ends them.
const SLICE_NS: u64 = 500_000;
/// The most operations of a slice, where they take almost no time.
const OPS_MAX: u64 = 1 << 16;
/// Turns that are not counted: first touches.
const TURNS_COLD: usize = 8;
/// At most so many times the sets of processes that were asked for are measured.
const PAIRS_FACTOR_MAX: usize = 8;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Which phase is sliced; none for the last that reads or writes.
    pub phase: Option<&'a str>,
    /// Fresh sets of processes; half as many again, and again, where these could not detect enough, up to eight times as many.
    pub pairs: usize,
    /// Changes up to this part are nobody's business.
    pub floor: f64,
    /// What is to be detected, as a part; above the floor.
    pub detect: f64,
    /// Turns of each.
    pub turns: usize,
    /// Shuffles them.
    pub seed: u64,
}

/// Effects of all pairs, and of the null arm.
#[derive(Debug, Default)]
pub struct Effects {
    /// ln(head / base).
    pub effects: Vec<f64>,
    /// ln(base / base).
    pub null_effects: Vec<f64>,
    /// Operations of a slice.
    pub ops: u64,
    /// Some process was not held on one processor.
    pub is_loose: bool,
}

/// Measures. Stops early, with the pairs that were finished, when it or one of its processes is interrupted: they are of one
/// group, and a terminal interrupts all of it.
///
/// # Errors
/// `Usage` where a build cannot slice the workload; `Failed` where a build ended before its time, whatever it said: a
/// build that crashes is no build that could not be measured.
pub fn measure(
    trio: &Trio,
    task: &Task,
    plan: Plan<'_>,
    signals: &Signals,
) -> Result<Effects, Failure> {
    let mut found = Effects::default();
    let mut orders = Orders::new(plan.seed);
    let mut enough = plan.pairs;
    while found.effects.len() < enough && !signals.interrupted() {
        match pair(trio, task, plan, &mut orders, &mut found, signals) {
            Ok(()) => {}
            Err(failure) if failure.code == ExitCode::Interrupted => {
                signals.interrupt();
                return Ok(found);
            }
            Err(_) if signals.interrupted() => return Ok(found),
            Err(failure) => return Err(failure),
        }
        if found.effects.len() == enough {
            enough = plan.enough(&found.effects);
        }
    }
    Ok(found)
}

impl Plan<'_> {
    /// How many sets of processes there should be, where there are these.
    fn enough(&self, effects: &[f64]) -> usize {
        let could = detectable(AbClass::Sliced, effects, self.floor, self.seed);
        if could.is_some_and(|could| could <= self.detect) {
            return effects.len();
        }
        let more = effects.len() + self.pairs.div_ceil(2);
        more.min(self.pairs * PAIRS_FACTOR_MAX)
    }
}

/// Adds the effect of one set of processes, and that of the base on itself. The first one finds the operations of a slice.
fn pair(
    trio: &Trio,
    task: &Task,
    plan: Plan<'_>,
    orders: &mut Orders,
    found: &mut Effects,
    signals: &Signals,
) -> Result<(), Failure> {
    let builds = trio.builds();
    let mut arms: [Option<Arm>; 3] = [None, None, None];
    for place in orders.next_three() {
        arms[place] = Some(Arm::start(builds[place], task, plan.phase)?);
    }
    let mut arms = arms.map(|arm| arm.expect("every place was started"));
    // Where that is not allowed they run wherever the scheduler puts them, and are told apart less well. One that is gone says
    // so at its first slice.
    let core = Core::of_this_process();
    let is_held = |arm: &Arm| core.is_some_and(|core| core.hold(arm.child.id()).is_ok());
    found.is_loose |= !arms.iter().all(is_held);
    if found.ops == 0 {
        found.ops = ops_of_a_slice(&mut arms)?;
    }
    let mut slices = Vec::with_capacity(plan.turns);
    for turn in 0..plan.turns + TURNS_COLD {
        if signals.interrupted() {
            return Err(Failure {
                code: ExitCode::Interrupted,
                error: anyhow!("interrupted between two slices"),
            });
        }
        let mut ns = [0.0; 3];
        for place in orders.next_three() {
            ns[place] = arms[place].slice(found.ops)? as f64;
        }
        if turn >= TURNS_COLD {
            slices.push(ns);
        }
    }
    for arm in arms {
        arm.end()?;
    }
    let effect = |place: usize| {
        let pairs: Vec<(f64, f64)> = slices.iter().map(|ns| (ns[0], ns[place])).collect();
        pair_effect(&pairs)
            .context("a slice took no time")
            .or_failed()
    };
    let (effect, null) = (effect(1)?, effect(2)?);
    found.effects.push(effect);
    found.null_effects.push(null);
    Ok(())
}

/// So many operations that the base takes as long as a slice should. All arms go the same way.
fn ops_of_a_slice(arms: &mut [Arm; 3]) -> Result<u64, Failure> {
    let mut ops = 1;
    loop {
        let [base_ns, ..] = [
            arms[0].slice(ops)?,
            arms[1].slice(ops)?,
            arms[2].slice(ops)?,
        ];
        if base_ns >= SLICE_NS || ops >= OPS_MAX {
            return Ok(ops);
        }
        ops *= 2;
    }
}

/// A process that waits for its turn.
struct Arm {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    name: String,
}

impl Arm {
    fn start(build: &Build, task: &Task, phase: Option<&str>) -> Result<Self, Failure> {
        let name = build.binary.display().to_string();
        let mut command = build.command();
        command.args(["gate", "slices"]);
        task.tell(&mut command);
        // Builds of before there was a choice know the default alone.
        if let Some(phase) = phase {
            command.args(["--phase", phase]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {name}"))
            .or_failed()?;
        let asks = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut arm = Self {
            child,
            asks,
            answers,
            name,
        };
        let line = arm.line()?;
        if line == READY {
            Ok(arm)
        } else {
            let said = anyhow!("{}: said {line:?} and not that it is ready", arm.name);
            Err(Failure::failed(said))
        }
    }

    fn slice(&mut self, ops: u64) -> Result<u64, Failure> {
        let asks = self.asks.as_mut().expect("open until the end");
        if writeln!(asks, "{ops}").is_err() {
            return Err(self.why());
        }
        let line = self.line()?;
        line.parse()
            .with_context(|| format!("{}: {line:?} is no time", self.name))
            .or_failed()
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        if read.or_failed()? == 0 {
            return Err(self.why());
        }
        Ok(line.trim_end().to_owned())
    }

    /// It is gone; what it said last is why, and its code says whose fault that is.
    fn why(&mut self) -> Failure {
        let mut said = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            let lines = BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .take(20);
            said = lines.collect::<Vec<String>>().join("\n");
        }
        let status = self.child.wait();
        let code = status.as_ref().ok().and_then(ExitStatus::code);
        let stopped = status.as_ref().is_ok_and(was_interrupted);
        let ended = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let error = anyhow!("{} ended before its time, {ended}: {said}", self.name);
        // It refused, or knows nothing of slices and ended well.
        let refusals = [ExitCode::Usage, ExitCode::Good].map(|code| Some(code.code().into()));
        if stopped {
            let code = ExitCode::Interrupted;
            Failure { code, error }
        } else if refusals.contains(&code) {
            Failure::usage(error)
        } else {
            Failure::failed(error)
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        drop(self.asks.take());
        let status = self.child.wait().or_failed()?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::failed(anyhow!("{}: {status}", self.name)))
        }
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        // One that was ended is waited for already, and both do nothing then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_processes_are_added_until_they_could_detect_enough_or_are_eight_times_as_many() {
        let plan = Plan {
            phase: None,
            pairs: 9,
            turns: 1,
            floor: 0.03,
            detect: 0.05,
            seed: 1,
        };
        // Effects that lie so far on both sides of some change.
        let effects = |count: usize, noise: f64| -> Vec<f64> {
            let sides = [0.1 - noise, 0.1 + noise].into_iter();
            sides.cycle().take(count).collect()
        };
        assert_eq!(plan.enough(&effects(9, 0.001)), 9);
        assert_eq!(plan.enough(&effects(9, 0.1)), 14);
        assert_eq!(plan.enough(&effects(14, 0.1)), 19);
        assert_eq!(plan.enough(&effects(70, 0.1)), 72);
        assert_eq!(plan.enough(&effects(72, 0.1)), 72);
        // More is asked of them.
        let plan = Plan {
            detect: 0.031,
            ..plan
        };
        assert_eq!(plan.enough(&effects(9, 0.01)), 14);
    }
}
