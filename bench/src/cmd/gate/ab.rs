//! `delalloc gate ab`: this build beside another one, measured now.

use std::path::{Path, PathBuf};

use anyhow::Context;
use delalloc_results::gate::ab::{abstained, conclude, judge, judge_counted};
use delalloc_results::gate::{AbArm, AbClass, AbRow, Findings, Reason};
use delalloc_results::metric::Better;
use delalloc_results::{ExitCode, Outcome};
use delalloc_workloads::WorkloadPlan;
use serde::Serialize;

use super::home::Home;
use super::outputs;
use crate::ab::noise::{Moment, Noise};
use crate::ab::serve::sliced_phase;
use crate::ab::sliced::{self, Plan};
use crate::ab::{Build, Orders, Parts, TOTAL, Task, Trio, counted, revision, rounds, tools};
use crate::failure::{Failure, OrExit, allowing};
use crate::gate_args::{AbArgs, FloorOf};
use crate::out;
use crate::plan;
use crate::signals::Signals;

/// Everything a gate of two builds leaves for programs.
#[derive(Serialize)]
struct Report<'a> {
    exit: &'a Outcome,
    workload: &'a str,
    base: &'a str,
    head: &'a str,
    seed: u64,
    rows: &'a [AbRow],
    noise: &'a [Noise],
    notes: &'a [String],
}

pub(super) fn ab(args: &AbArgs) -> Result<ExitCode, Failure> {
    let task = args.task.task();
    // What is wrong with the workload is told once and before anything is built.
    let workload = plan::load(&args.task.replay())?;
    let signals = Signals::catch().or_failed()?;
    let mut gate = match Gate::new(args, &task, &workload, &signals) {
        Ok(gate) => gate,
        Err(failure) if failure.code == ExitCode::Usage => return Err(failure),
        Err(failure) => return nothing_to_compare(args, &workload.name, &failure),
    };
    let measured = gate.measure();
    let rows = std::mem::take(&mut gate.rows);
    let exit = match measured {
        Ok(()) if signals.interrupted() => Outcome::new(
            ExitCode::Interrupted,
            "stopped early; these verdicts are of what there was",
        ),
        Ok(()) => conclude(&rows),
        // Also where a build refuses the workload: an earlier ending must not stay in the files as if it were this one's.
        Err(failure) => {
            out::say(&failure);
            Outcome::new(failure.code, format!("{:#}", failure.error))
        }
    };
    let noise = gate.noise.iter().map(Noise::to_string);
    let notes: Vec<String> = gate.notes.iter().cloned().chain(noise).collect();
    let found = Findings::of_builds(&workload.name, &rows, notes, exit.clone());
    let report = Report {
        exit: &exit,
        workload: &workload.name,
        base: &gate.base,
        head: &gate.trio.head.binary.display().to_string(),
        seed: args.seed,
        rows: &rows,
        noise: &gate.noise,
        notes: &gate.notes,
    };
    outputs::leave(&args.outputs, &found, &found.table(), &report)?;
    Ok(allowing(exit.code, args.outputs.allow_inconclusive))
}

/// The other build is not to be had, or the gate was stopped before it was: said like any other ending, and what the compiler
/// said on stderr.
fn nothing_to_compare(
    args: &AbArgs,
    workload: &str,
    failure: &Failure,
) -> Result<ExitCode, Failure> {
    out::say(failure);
    let why = match failure.code {
        // Below it is what the compiler said.
        ExitCode::Inconclusive => failure.error.to_string(),
        _ => format!("{:#}", failure.error),
    };
    let exit = Outcome::new(failure.code, format!("{why}, so nothing was compared"));
    let found = Findings::of_builds(workload, &[], Vec::new(), exit.clone());
    let report = Report {
        exit: &exit,
        workload,
        base: args.base.as_deref().unwrap_or_default(),
        head: "",
        seed: args.seed,
        rows: &[],
        noise: &[],
        notes: &[],
    };
    outputs::leave(&args.outputs, &found, "", &report)?;
    Ok(allowing(exit.code, args.outputs.allow_inconclusive))
}

struct Gate<'a> {
    args: &'a AbArgs,
    task: &'a Task,
    /// The workload does the same each time.
    repeats: bool,
    /// What is sliced where nobody says.
    last_phase: &'a str,
    /// What is sliced, at the first of so many points.
    slices: Vec<Slices<'a>>,
    points: usize,
    signals: &'a Signals,
    trio: Trio,
    base: String,
    home: Home,
    orders: Orders,
    rows: Vec<AbRow>,
    noise: Vec<Noise>,
    notes: Vec<String>,
}

impl<'a> Gate<'a> {
    fn new(
        args: &'a AbArgs,
        task: &'a Task,
        workload: &'a WorkloadPlan,
        signals: &'a Signals,
    ) -> Result<Self, Failure> {
        let load = &workload.loads[0];
        for phase in &args.phases {
            sliced_phase(load, Some(phase))
                .context("--phase")
                .or_usage()?;
        }
        let head = match &args.head_bin {
            Some(path) => existing(path)?,
            None => std::env::current_exe()
                .context("finding this binary")
                .or_failed()?,
        };
        let slices = Slices::all(args, workload)?;
        let (binary, base) = match (&args.base_bin, &args.base) {
            (Some(path), _) => (existing(path)?, path.display().to_string()),
            (None, Some(revision)) => {
                if args.head_bin.is_none() && cfg!(debug_assertions) {
                    let why = "this is a debug build, and a revision is built for release; run target/release/delalloc";
                    return Err(Failure::usage(anyhow::anyhow!(why)));
                }
                revision::binary_of(revision, &args.cache, signals)?
            }
            (None, None) => unreachable!("one of both is required"),
        };
        let base_build = Build {
            binary,
            plant: None,
        };
        let head_build = Build {
            binary: head,
            plant: args.plant.clone(),
        };
        Ok(Self {
            args,
            task,
            repeats: workload.deterministic,
            last_phase: sliced_phase(load, None).map_or("", |index| &*load.phases[index].name),
            slices,
            points: workload.points.len(),
            signals,
            trio: Trio {
                base: base_build,
                head: head_build,
            },
            notes: vec![format!("base: {base}")],
            base,
            home: Home::make().or_failed()?,
            orders: Orders::new(args.seed),
            rows: Vec::new(),
            noise: Vec::new(),
        })
    }

    fn wants(&self, class: AbClass) -> bool {
        match self.args.classes.as_slice() {
            [] => class != AbClass::Counted,
            classes => classes.contains(&class),
        }
    }

    fn measure(&mut self) -> Result<(), Failure> {
        if self.wants(AbClass::Counted) {
            match self.counted() {
                // Nothing is left of it, and the other classes are not begun.
                Err(failure) if failure.code == ExitCode::Interrupted => self.signals.interrupt(),
                counted => counted?,
            }
        }
        let mut arms = Vec::new();
        let mut refused = Vec::new();
        // Rounds first: they verify, and nothing is timed of a build that loses data.
        if self.wants(AbClass::Rounds) || self.wants(AbClass::Tail) {
            arms.extend(self.rounds()?);
        }
        if self.wants(AbClass::Sliced) {
            let mut whys = Vec::new();
            for slices in std::mem::take(&mut self.slices) {
                if self.signals.interrupted() {
                    break;
                }
                match self.sliced(&slices) {
                    Ok(arm) => arms.push(arm),
                    Err(refusal) if refusal.code == ExitCode::Usage => {
                        let why = format!("{:#}", refusal.error).replace('\n', "; ");
                        whys.push((slices.name, why));
                    }
                    Err(failure) => return Err(failure),
                }
            }
            // Who did not ask for slices has the rounds; who did has those of the other targets.
            let sliced = arms.iter().any(|arm| arm.class == AbClass::Sliced);
            let reason = if self.args.classes.is_empty() || sliced {
                Reason::Informational
            } else {
                Reason::NotMeasured
            };
            let refusals = whys.iter();
            refused
                .extend(refusals.map(|(name, why)| abstained(name, AbClass::Sliced, reason, why)));
        }
        let mut rows = self.judge(&arms);
        let doubtful = |row: &AbRow| row.reason == Reason::Unconfirmed;
        if rows.iter().any(doubtful) && !self.signals.interrupted() {
            let again = self.rounds()?;
            // A part of a second measurement confirms nothing.
            let again = again.into_iter().filter(|_| !self.signals.interrupted());
            for again in again {
                if let Some(arm) = arms.iter_mut().find(|arm| arm.metric == again.metric) {
                    arm.confirm = Some(again.into());
                }
            }
            rows = self.judge(&arms);
        }
        self.rows.extend(rows);
        self.rows.extend(refused);
        for (of, _) in &self.args.floors {
            let unknown = |name: &str| self.rows.iter().all(|row| row.metric != name);
            if let FloorOf::Number(name) = of
                && unknown(name)
            {
                let note = format!("--floor {name}: neither a class nor a number of this gate");
                self.notes.push(note);
            }
        }
        if self.rows.iter().any(|row| row.reason == Reason::TooWide) {
            let why = "too_wide: this machine moves by more than the budget allows; a quiet one helps most, more --slices and --pairs (sliced) and --blocks (rounds) narrow intervals as well";
            self.notes.push(why.to_owned());
        }
        for row in self.rows.iter().filter(|row| row.reason == Reason::Cleared) {
            self.notes
                .push(format!("{}: {}, which clears it", row.metric, row.detail));
        }
        Ok(())
    }

    fn judge(&self, arms: &[AbArm]) -> Vec<AbRow> {
        let floor = |arm: &AbArm| self.args.floor(arm.class, &arm.metric);
        judge(arms, &floor, self.args.seed)
    }

    /// One count of head between two of the base: of the whole and, where the work is the same each time, of its parts.
    fn counted(&mut self) -> Result<(), Failure> {
        let class = AbClass::Counted;
        if tools::valgrind().is_none() {
            let why = "valgrind is not installed";
            out::say(format_args!(
                "delalloc: instructions are not compared: {why}"
            ));
            self.rows
                .push(abstained(TOTAL, class, Reason::ToolMissing, why));
            return Ok(());
        }
        let count = |build| counted::instructions(build, self.task, &self.home.path);
        let [base, head, again] = self.trio.builds();
        let (base, head, again) = (count(base)?, count(head)?, count(again)?);
        let of = |parts: &Parts, name: &str| parts.get(name).copied().unwrap_or(0);
        let parts = base.keys().filter(|name| self.repeats || *name == TOTAL);
        for name in parts {
            let (bases, head) = ([of(&base, name), of(&again, name)], of(&head, name));
            if bases[0] > 0 {
                let row = judge_counted(name, bases, head, self.args.floor(class, name));
                self.rows.push(row);
            } else if head > 0 {
                let why = format!(
                    "{name}: {head} instructions, and the base has none of it to compare with"
                );
                self.notes.push(why);
            }
        }
        Ok(())
    }

    fn rounds(&mut self) -> Result<Vec<AbArm>, Failure> {
        let blocks = usize::from(self.args.blocks);
        let begun = Moment::now();
        let found = rounds::measure(
            &self.trio,
            self.task,
            blocks,
            &mut self.orders,
            &self.home.path,
            self.signals,
        )?;
        self.noise.push(begun.until_now("rounds"));
        let mut arms = found.arms();
        arms.retain(|arm| self.wants(arm.class));
        Ok(arms)
    }

    fn sliced(&mut self, slices: &Slices<'_>) -> Result<AbArm, Failure> {
        let Slices {
            name,
            target,
            phase,
            floor,
            detect,
        } = slices;
        let plan = Plan {
            phase: *phase,
            pairs: self.args.slicing.pairs.into(),
            turns: self.args.slicing.slices.into(),
            floor: *floor,
            detect: *detect,
            seed: self.args.seed,
        };
        let mut task = self.task.clone();
        if let Some(target) = target {
            task.targets = vec![(*target).to_owned()];
        }
        let begun = Moment::now();
        let found = sliced::measure(&self.trio, &task, plan, self.signals)?;
        self.noise.push(begun.until_now(name));
        let of_what = match phase {
            Some(_) => String::new(),
            None => format!(
                "of phase {}, the last that reads or writes (--phase takes another); ",
                self.last_phase
            ),
        };
        let at = match self.points {
            1 => String::new(),
            points => format!(", at the first of {points} points"),
        };
        let loose = match found.is_loose {
            true => "; not on one processor, which this process may not ask for",
            false => "",
        };
        let ops = found.ops;
        let loud = match found.effects.len() > plan.pairs {
            true => format!(
                "; {} sets of processes, since fewer could not detect {:.1} %",
                found.effects.len(),
                detect * 100.0
            ),
            false => String::new(),
        };
        self.notes.push(format!(
            "{name}: {of_what}one is {ops} operations and their sync{at}{loud}{loose}"
        ));
        Ok(self::slices(name, found))
    }
}

/// What is sliced: a phase of a target, each none where nobody had to say.
struct Slices<'a> {
    name: String,
    target: Option<&'a str>,
    phase: Option<&'a str>,
    floor: f64,
    detect: f64,
}

impl<'a> Slices<'a> {
    /// Each phase of each target.
    fn all(args: &'a AbArgs, workload: &'a WorkloadPlan) -> Result<Vec<Self>, Failure> {
        let phases: Vec<Option<&'a str>> = match args.phases.as_slice() {
            [] => vec![None],
            phases => phases.iter().map(|phase| Some(&**phase)).collect(),
        };
        let mut all = Vec::new();
        for target in &workload.targets {
            let target = (workload.targets.len() > 1).then_some(&*target.name);
            for phase in phases.iter().copied() {
                let name = match (target, phase) {
                    (None, None) => "slices".to_owned(),
                    (Some(one), None) | (None, Some(one)) => format!("slices({one})"),
                    (Some(target), Some(phase)) => format!("slices({target}, {phase})"),
                };
                let floor = args.floor(AbClass::Sliced, &name);
                let detect = args.slicing.detect(floor).map_err(anyhow::Error::msg);
                all.push(Self {
                    name,
                    target,
                    phase,
                    floor,
                    detect: detect.or_usage()?,
                });
            }
        }
        Ok(all)
    }
}

/// For the judge.
pub(super) fn slices(name: &str, found: sliced::Effects) -> AbArm {
    AbArm {
        metric: name.to_owned(),
        class: AbClass::Sliced,
        better: Better::Lower,
        effects: found.effects,
        null_effects: found.null_effects,
        confirm: None,
        unfit: None,
    }
}

fn existing(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return std::path::absolute(path).or_failed();
    }
    let shown = path.display();
    Err(Failure::usage(anyhow::anyhow!(
        "{shown} is no binary; name one that is built"
    )))
}
