//! `delalloc gate ab`: this build beside another one, measured now.

use std::path::{Path, PathBuf};

use anyhow::Context;
use delalloc_results::gate::ab::{abstained, conclude, judge, judge_counted};
use delalloc_results::gate::{AbArm, AbClass, AbRow, Findings, Reason, Verdict};
use delalloc_results::metric::Better;
use delalloc_results::{ExitCode, Outcome};
use serde::Serialize;

use super::outputs;
use crate::ab::sliced::{self, Plan};
use crate::ab::{Build, Orders, Task, Trio, counted, revision, rounds};
use crate::failure::{Failure, OrExit, allowing};
use crate::gate_args::AbArgs;
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
    notes: &'a [String],
}

pub(super) fn ab(args: &AbArgs) -> Result<ExitCode, Failure> {
    let task = args.task.task();
    // What is wrong with the workload is told once and before anything is built.
    let workload = plan::load(&args.task.replay())?;
    let signals = Signals::catch().or_failed()?;
    let mut gate = Gate::new(args, &task, &signals)?;
    let measured = gate.measure();
    let rows = std::mem::take(&mut gate.rows);
    let exit = match measured {
        Ok(()) if signals.interrupted() => Outcome::new(
            ExitCode::Interrupted,
            "stopped early; these verdicts are of what there was",
        ),
        Ok(()) => conclude(&rows),
        Err(failure) if failure.code == ExitCode::Failed => {
            Outcome::new(ExitCode::Failed, format!("{:#}", failure.error))
        }
        Err(failure) => return Err(failure),
    };
    let found = Findings::of_builds(&workload.name, &rows, gate.notes.clone(), exit.clone());
    let report = Report {
        exit: &exit,
        workload: &workload.name,
        base: &gate.base,
        head: &gate.trio.head.binary.display().to_string(),
        seed: args.seed,
        rows: &rows,
        notes: &gate.notes,
    };
    outputs::leave(&args.outputs, &found, &found.table(), &report)?;
    Ok(allowing(exit.code, args.outputs.allow_inconclusive))
}

struct Gate<'a> {
    args: &'a AbArgs,
    task: &'a Task,
    signals: &'a Signals,
    trio: Trio,
    base: String,
    home: Home,
    orders: Orders,
    rows: Vec<AbRow>,
    notes: Vec<String>,
}

impl<'a> Gate<'a> {
    fn new(args: &'a AbArgs, task: &'a Task, signals: &'a Signals) -> Result<Self, Failure> {
        let head = match &args.head_bin {
            Some(path) => existing(path)?,
            None => std::env::current_exe()
                .context("finding this binary")
                .or_failed()?,
        };
        let (binary, base) = match (&args.base_bin, &args.base) {
            (Some(path), _) => (existing(path)?, path.display().to_string()),
            (None, Some(revision)) => {
                if args.head_bin.is_none() && cfg!(debug_assertions) {
                    let why = "this is a debug build, and a revision is built for release; run target/release/delalloc";
                    return Err(Failure::usage(anyhow::anyhow!(why)));
                }
                revision::binary_of(revision, &args.cache).or_usage()?
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
        })
    }

    fn wants(&self, class: AbClass) -> bool {
        match self.args.classes.as_slice() {
            [] => class != AbClass::Counted,
            classes => classes.contains(&class),
        }
    }

    fn floor(&self, class: AbClass) -> f64 {
        let wanted = self.args.floors.iter().rev().find(|(of, _)| *of == class);
        wanted.map_or_else(|| class.rule().floor, |(_, floor)| *floor)
    }

    fn measure(&mut self) -> Result<(), Failure> {
        if self.wants(AbClass::Counted) {
            self.counted();
        }
        let mut arms = Vec::new();
        let mut refused = Vec::new();
        // Rounds first: they verify, and nothing is timed of a build that loses data.
        if self.wants(AbClass::Rounds) || self.wants(AbClass::Tail) {
            arms.extend(self.rounds()?);
        }
        if self.wants(AbClass::Sliced) {
            match self.sliced() {
                Ok(arm) => arms.push(arm),
                Err(error) => refused.push(abstained(
                    "slices",
                    AbClass::Sliced,
                    Reason::NotMeasured,
                    &format!("{error:#}").replace('\n', "; "),
                )),
            }
        }
        let mut rows = self.judge(&arms);
        let doubtful = |row: &AbRow| row.reason == Reason::Unconfirmed;
        if rows.iter().any(doubtful) && !self.signals.interrupted() {
            for again in self.rounds()? {
                if let Some(arm) = arms.iter_mut().find(|arm| arm.metric == again.metric) {
                    arm.confirm = again.effects;
                }
            }
            rows = self.judge(&arms);
        }
        self.rows.extend(rows);
        self.rows.extend(refused);
        for row in self.rows.iter().filter(|row| row.reason == Reason::Cleared) {
            self.notes.push(format!(
                "{}: {}; measured again it was not",
                row.metric, row.detail
            ));
        }
        Ok(())
    }

    fn judge(&self, arms: &[AbArm]) -> Vec<AbRow> {
        judge(arms, &|class| self.floor(class), self.args.seed)
    }

    fn counted(&mut self) {
        let class = AbClass::Counted;
        let row = if counted::available() {
            let count = |build| counted::instructions(build, self.task, &self.home.path);
            let [base, head, again] = self.trio.builds();
            let counts = count(base).and_then(|base| Ok((base, count(head)?, count(again)?)));
            match counts {
                Ok((base, head, again)) => {
                    judge_counted("instructions", [base, again], head, self.floor(class))
                }
                Err(error) => {
                    let why = format!("{error:#}").replace('\n', "; ");
                    abstained("instructions", class, Reason::NotMeasured, &why)
                }
            }
        } else {
            let why = "valgrind is not installed";
            abstained("instructions", class, Reason::ToolMissing, why)
        };
        if row.verdict == Verdict::Abstained {
            eprintln!("delalloc: instructions are not compared: {}", row.detail);
        }
        self.rows.push(row);
    }

    fn rounds(&mut self) -> Result<Vec<AbArm>, Failure> {
        let blocks = usize::from(self.args.blocks);
        let found = rounds::measure(
            &self.trio,
            self.task,
            blocks,
            &mut self.orders,
            &self.home.path,
            self.signals,
        )?;
        let mut arms = found.arms();
        arms.retain(|arm| self.wants(arm.class));
        Ok(arms)
    }

    fn sliced(&mut self) -> anyhow::Result<AbArm> {
        let plan = Plan {
            pairs: self.args.pairs.into(),
            turns: self.args.slices.into(),
            seed: self.args.seed,
        };
        let found = sliced::measure(&self.trio, self.task, plan, self.signals)?;
        self.notes
            .push(format!("a slice: {} operations and their sync", found.ops));
        Ok(slices(found))
    }
}

/// For the judge.
pub(super) fn slices(found: sliced::Effects) -> AbArm {
    AbArm {
        metric: "slices".to_owned(),
        class: AbClass::Sliced,
        better: Better::Lower,
        effects: found.effects,
        null_effects: found.null_effects,
        confirm: Vec::new(),
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

/// A directory for what replays leave, gone at the end.
struct Home {
    path: PathBuf,
}

impl Home {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("delalloc-gate-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is left behind is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
