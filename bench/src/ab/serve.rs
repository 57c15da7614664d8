//! The child's side of a sliced measurement: a workload held at the ready, of which a slice is done when asked.
//!
//! ```text
//!   child    ready                  everything before the measured phase is done and synced
//!   parent   OPS                    the token: nobody else works now
//!   child    NS                     so many operations and the sync after them took this long
//!   ...                             end of input ends the child
//! ```
//!
//! A slice begins with operations that are not measured, a quarter as many, which bring back what the others
//! pushed out of the caches. It ends with a sync of the whole target where anything was written: what
//! a build leaves to its background threads is finished in its own time, not in the other's. A sync of the files is not
//! enough: pages that only the log has would go home in somebody else's slice.
//!
//! All clients of the phase take turns on one thread, without schedule or rest. Time is the target's alone: making
//! bytes is not in it. Nothing is verified here; the rounds do.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use delalloc_workloads::plan::{JobPlan, PhasePlan, Work};
use delalloc_workloads::{Content, Cursors, LoadPlan, Op};

use crate::recorder::Recorder;
use crate::replay::client::{Client, Halt, Pacing, Shared};
use crate::replay::files::FileTable;
use crate::replay::pacer::{Pacer, SleepSlack};
use crate::replay::phase;
use crate::replay::window::Window;
use crate::signals::Signals;
use crate::targets::Target;

/// The first line of a child.
pub const READY: &str = "ready";

/// Which phase of `load` is sliced: the one of this name, or the last that reads or writes.
pub fn sliced_phase(load: &LoadPlan, name: Option<&str>) -> anyhow::Result<usize> {
    let sliced = |phase: &PhasePlan| phase.jobs.iter().any(accesses);
    let Some(name) = name else {
        let last = load.phases.iter().rposition(sliced);
        return last.context("no phase reads or writes files, so there is nothing to slice");
    };
    let wanted = |phase: &PhasePlan| phase.name == name && sliced(phase);
    let named = load.phases.iter().position(wanted);
    named.with_context(|| {
        let all = load.phases.iter().filter(|phase| sliced(phase));
        let all: Vec<&str> = all.map(|phase| &*phase.name).collect();
        format!(
            "no phase {name} reads or writes files; there are {}",
            all.join(", ")
        )
    })
}

/// Serves slices of a phase of `load`, a place in its phases, until `input` ends.
pub fn serve(
    load: &LoadPlan,
    index: usize,
    target: &dyn Target,
    signals: &Signals,
    input: impl BufRead,
    mut output: impl Write,
) -> anyhow::Result<()> {
    let slack = SleepSlack::measure();
    let content = Content::build(load)?;
    let files = FileTable::new(target, load);
    let cursors = Arc::new(Cursors::new(load));
    let halt = Halt::default();
    let shared = Shared {
        files: &files,
        content: target.keeps().then_some(&content),
        expected: None,
        signals,
        pacing: Pacing {
            end_ns: None,
            follow_schedule: false,
        },
        halt: &halt,
        tape: None,
    };
    let window = Window::of(&load.phases[index]);
    for (before, plan) in load.phases[..index].iter().enumerate() {
        let streams = load.streams(before, &cursors)?;
        let shared = Shared {
            pacing: Pacing {
                end_ns: plan.duration_ns,
                ..shared.pacing
            },
            ..shared
        };
        phase::run(plan, streams, &shared, slack, &mut |_| {});
        if let Some(error) = halt.take() {
            return Err(error.context(format!("phase {}", plan.name)));
        }
    }
    target.sync_all()?;
    let mut slicer = Slicer {
        load,
        index,
        cursors,
        files: &files,
        clients: Vec::new(),
        turn: 0,
        wrote: false,
        shared: &shared,
        window: &window,
        slack,
    };
    writeln!(output, "{READY}")?;
    output.flush()?;
    for line in input.lines() {
        let line = line?;
        let ops: u64 = line
            .trim()
            .parse()
            .with_context(|| format!("{line:?} is no number"))?;
        writeln!(output, "{}", slicer.slice(ops)?)?;
        output.flush()?;
    }
    Ok(())
}

fn accesses(job: &JobPlan) -> bool {
    matches!(
        job.work,
        Work::Access(_) | Work::Append { .. } | Work::Trace(_)
    )
}

struct Slicer<'a> {
    load: &'a LoadPlan,
    index: usize,
    cursors: Arc<Cursors>,
    files: &'a FileTable<'a>,
    clients: Vec<Client<'a>>,
    turn: usize,
    wrote: bool,
    shared: &'a Shared<'a>,
    window: &'a Window,
    slack: SleepSlack,
}

impl Slicer<'_> {
    /// How long `ops` operations and their sync took.
    fn slice(&mut self, ops: u64) -> anyhow::Result<u64> {
        for _ in 0..ops.div_ceil(4) {
            self.step()?;
        }
        let mut ns = 0;
        self.wrote = false;
        for _ in 0..ops {
            ns += self.step()?;
        }
        let begun = Instant::now();
        if self.wrote {
            self.files.target().sync_all()?;
        }
        Ok(ns + u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The next operation of the next client; the streams begin anew when all have ended.
    fn step(&mut self) -> anyhow::Result<u64> {
        for fresh in [false, true] {
            if fresh {
                self.begin()?;
            }
            while !self.clients.is_empty() {
                self.turn %= self.clients.len();
                let client = &mut self.clients[self.turn];
                let Some(next) = client.draw() else {
                    self.clients.remove(self.turn);
                    continue;
                };
                self.turn += 1;
                let op = next?;
                self.wrote |= matches!(op, Op::Write { .. });
                let done = client.perform(&op)?;
                return Ok(done.end_ns.saturating_sub(done.begin_ns));
            }
        }
        Err(anyhow!("the phase has no operation"))
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let streams = self.load.streams(self.index, &self.cursors)?;
        ensure!(!streams.is_empty(), "the phase has no client");
        let started = Instant::now();
        self.clients = streams
            .into_iter()
            .enumerate()
            .map(|(number, stream)| {
                let recorder = Recorder::new(Arc::default());
                let pacer = Pacer::new(started, self.slack);
                Client::new(self.shared, self.window, pacer, number, stream, recorder)
            })
            .collect();
        Ok(())
    }
}
