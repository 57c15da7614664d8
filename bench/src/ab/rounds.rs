//! Whole replays of base, head and base again, there and back (A B C C B A) in blocks: everything a user waits for, background
//! work and tail included.
//!
//! A replay verifies what it wrote. Wrong bytes or a failed replay end the measurement: nothing is timed of a build that loses data.
//!
//! A percentile is judged where at least 100 operations of a round lie beyond it, and shown where fewer do. The longest operation
//! is one, so it is only shown.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use delalloc_results::gate::{AbArm, AbClass, Unfit};
use delalloc_results::metric::Better;
use delalloc_results::stats::abba_effect;
use delalloc_results::{ExitCode, RunRecord, load};

use super::{Build, Orders, Task, Trio, was_interrupted};
use crate::failure::{Failure, OrExit};
use crate::signals::Signals;

/// Operations of a round that have to lie beyond a percentile: with fewer it is an anecdote.
const OPS_BEYOND_MIN: u64 = 100;

/// A number of one replay, and what there is to know of it.
#[derive(Debug, Clone, PartialEq)]
struct Number {
    class: AbClass,
    better: Better,
    value: f64,
    unfit: Option<Unfit>,
}

/// Effects of all blocks by number.
#[derive(Debug, Default)]
pub struct Effects(BTreeMap<String, Series>);

#[derive(Debug)]
struct Series {
    class: AbClass,
    better: Better,
    unfit: Option<Unfit>,
    effects: Vec<f64>,
    null_effects: Vec<f64>,
}

impl Effects {
    /// For the judge.
    pub fn arms(self) -> Vec<AbArm> {
        let arm = |(metric, series): (String, Series)| AbArm {
            metric,
            class: series.class,
            better: series.better,
            effects: series.effects,
            null_effects: series.null_effects,
            confirm: None,
            unfit: series.unfit,
        };
        self.0.into_iter().map(arm).collect()
    }
}

/// Measures so many blocks; results go into `home`, one after the other in the same place. Stops early, with the blocks that were
/// finished, when it or a replay is interrupted.
pub fn measure(
    trio: &Trio,
    task: &Task,
    blocks: usize,
    orders: &mut Orders,
    home: &Path,
    signals: &Signals,
) -> Result<Effects, Failure> {
    let mut found = Effects::default();
    for _ in 0..blocks {
        let there = orders.next_three();
        let back = [there[2], there[1], there[0]];
        let mut rounds: [Vec<BTreeMap<String, Number>>; 3] = Default::default();
        for place in there.into_iter().chain(back) {
            if signals.interrupted() {
                return Ok(found);
            }
            match replay(trio.builds()[place], task, home) {
                Ok(record) => rounds[place].push(numbers(&record)),
                Err(failure) if failure.code == ExitCode::Interrupted => {
                    signals.interrupt();
                    return Ok(found);
                }
                Err(failure) => return Err(failure),
            }
        }
        found.add(&rounds);
    }
    Ok(found)
}

impl Effects {
    fn add(&mut self, rounds: &[Vec<BTreeMap<String, Number>>; 3]) {
        for (name, number) in &rounds[0][0] {
            let values = |place: usize| -> Option<Vec<f64>> {
                let value = |round: &BTreeMap<String, Number>| Some(round.get(name)?.value);
                rounds[place].iter().map(value).collect()
            };
            let effect = |place: usize| abba_effect(&values(0)?, &values(place)?);
            let series = self.0.entry(name.clone()).or_insert_with(|| Series {
                class: number.class,
                better: number.better,
                unfit: number.unfit.clone(),
                effects: Vec::new(),
                null_effects: Vec::new(),
            });
            match (effect(1), effect(2)) {
                (Some(effect), Some(null)) => {
                    series.effects.push(effect);
                    series.null_effects.push(null);
                }
                _ => {
                    let why = "one build has no such number, or it is 0".to_owned();
                    series.unfit = Some(Unfit::NotMeasured(why));
                }
            }
        }
    }
}

/// One whole replay.
fn replay(build: &Build, task: &Task, home: &Path) -> Result<RunRecord, Failure> {
    let out = home.join("round");
    if out.exists() {
        std::fs::remove_dir_all(&out)
            .context("clearing the last round")
            .or_failed()?;
    }
    let mut command = build.command();
    command.arg("replay");
    task.tell(&mut command);
    command.args(["--rounds", "1", "--out"]).arg(&out);
    let name = build.binary.display();
    let output = command
        .output()
        .with_context(|| format!("starting {name}"))
        .or_failed()?;
    let said = || {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = String::from_utf8_lossy(&output.stdout);
        let last = last.lines().last().unwrap_or_default().to_owned();
        anyhow!("{name}: {}\n{text}{last}", output.status)
    };
    match output.status.code() {
        // What a workload asserts of itself is not this gate's business.
        Some(0 | 1 | 3) => load(&out.join("result.json")).or_failed(),
        Some(2) => Err(Failure::usage(said())),
        _ if was_interrupted(&output.status) => Err(Failure {
            code: ExitCode::Interrupted,
            error: said(),
        }),
        _ => Err(Failure::failed(said())),
    }
}

/// What is compared of a replay: rate, median and 99th percentile of each kind of operation in each measured phase.
fn numbers(record: &RunRecord) -> BTreeMap<String, Number> {
    let mut numbers = BTreeMap::new();
    for cell in record.cells.iter().filter(|cell| cell.fault.is_none()) {
        for phase in cell.named_phases() {
            for op in phase.ops.iter().filter(|op| op.count > 0) {
                let mut put = |what: &str, class, better, value, unfit| {
                    let point = delalloc_results::record::point_label(&cell.point);
                    let at = if cell.point.is_empty() {
                        String::new()
                    } else {
                        format!(" at {point}")
                    };
                    let name = format!("{}:{}.{} {what}{at}", cell.target, phase.name, op.op);
                    let number = Number {
                        class,
                        better,
                        value,
                        unfit,
                    };
                    numbers.insert(name, number);
                };
                if let Some(rate) = phase.per_second(op.count) {
                    put("ops/s", AbClass::Rounds, Better::Higher, rate, None);
                }
                let p50 = op.response.ns_p50 as f64;
                put("p50", AbClass::Rounds, Better::Lower, p50, None);
                let tails = [
                    ("p99", op.response.ns_p99, 100),
                    ("p99.9", op.response.ns_p999, 1000),
                ];
                for (what, ns, one_of) in tails {
                    let (count, enough) = (op.count, OPS_BEYOND_MIN * one_of);
                    let few = (count < enough).then(|| {
                        let why = format!("{count} operations a round, {enough} make a {what}");
                        Unfit::Informational(why)
                    });
                    put(what, AbClass::Tail, Better::Lower, ns as f64, few);
                }
                let one = Unfit::Informational("one operation a round".to_owned());
                let max = op.response.ns_max as f64;
                put("max", AbClass::Tail, Better::Lower, max, Some(one));
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(value: f64) -> BTreeMap<String, Number> {
        let number = Number {
            class: AbClass::Rounds,
            better: Better::Lower,
            value,
            unfit: None,
        };
        BTreeMap::from([("p50".to_owned(), number)])
    }

    #[test]
    fn a_block_gives_one_effect_and_one_null_effect() {
        let mut found = Effects::default();
        found.add(&[
            vec![round(2.0), round(8.0)],
            vec![round(4.0), round(16.0)],
            vec![round(8.0), round(2.0)],
        ]);
        let arm = found.arms().remove(0);
        // Geometric means 4, 8 and 4.
        assert!((arm.effects[0] - 2.0_f64.ln()).abs() < 1e-12);
        assert!(arm.null_effects[0].abs() < 1e-12);
        assert_eq!(arm.unfit, None);
    }

    #[test]
    fn a_number_that_one_build_does_not_have_is_unfit_and_not_dropped() {
        let mut found = Effects::default();
        found.add(&[
            vec![round(2.0), round(2.0)],
            vec![round(2.0), BTreeMap::new()],
            vec![round(2.0), round(2.0)],
        ]);
        let arm = found.arms().remove(0);
        assert!(arm.effects.is_empty() && arm.unfit.is_some());
    }
}
