//! One phase: clients side by side, a sampler beside them, and what ends it.
//!
//! ```text
//!   clients   |== client 0 ==|          threads, one per stream
//!             |== client 1 =====|
//!   ender                       |= sync =|      part of the phase's time
//!   sampler   | . | . | . | . | . | . | .|      this thread: interval series, progress, events
//! ```
//!
//! All clients start from one origin, taken when each of them stands at the line.

use std::any::Any;
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use delalloc_results::record::{PhaseRecord, PhaseRole, Sample, Stall};
use delalloc_workloads::OpStream;
use delalloc_workloads::plan::{self, PhaseEnd, PhasePlan};
use parking_lot::{Condvar, Mutex};

use super::client::{Client, Shared};
use super::pacer::{Pacer, SleepSlack};
use crate::recorder::{Interval, Mailbox, Recorder, Totals};
use crate::targets::Levels;

/// From one sample to the next.
const INTERVAL: Duration = Duration::from_millis(200);

/// A phase that is over.
pub struct Finished {
    /// For the record.
    pub record: PhaseRecord,
    /// What the clients recorded.
    pub totals: Totals,
    /// How long the sync at its end took; part of the record's time, and no operation of a client.
    pub end_ns: u64,
}

/// Runs `streams` as the clients of `phase`; `seen` gets each sample as it is taken.
pub fn run(
    phase: &PhasePlan,
    streams: Vec<OpStream>,
    shared: &Shared<'_>,
    slack: SleepSlack,
    seen: &mut dyn FnMut(&Sample),
) -> Finished {
    let line = Barrier::new(streams.len() + 1);
    let origin = OnceLock::new();
    let (running, ending) = (Running::new(streams.len()), Running::new(1));
    let mailboxes: Vec<Arc<Mailbox>> = streams.iter().map(|_| Arc::default()).collect();
    let mut totals = Totals::default();
    let mut end_ns = 0;
    let mut sampler = Sampler::new(shared);

    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let recorder = Recorder::new(Arc::clone(&mailboxes[number]));
            let (line, origin, running) = (&line, &origin, &running);
            let body = move || {
                line.wait();
                let started = *origin.get().expect("set before the line opens");
                let client = Client::new(shared, Pacer::new(started, slack), number, recorder);
                let _leaves = running.leaves_on_drop();
                client.run(stream)
            };
            let thread = std::thread::Builder::new().name(format!("client-{number}"));
            clients.push(
                thread
                    .spawn_scoped(scope, body)
                    .expect("the system starts a thread"),
            );
        }
        let started = Instant::now();
        origin.set(started).expect("set once");
        line.wait();
        sampler.until(&running, started, &mailboxes, seen);
        for client in clients {
            match client.join() {
                Ok(client_totals) => totals.merge(&client_totals),
                Err(panic) => shared.halt.raise(panicked("a client", &*panic)),
            }
        }
        if !shared.halted() {
            let ender = scope.spawn(|| {
                let _leaves = ending.leaves_on_drop();
                end(phase, shared)
            });
            sampler.until(&ending, started, &mailboxes, seen);
            match ender.join() {
                Ok(Ok(ns)) => end_ns = ns,
                Ok(Err(error)) => shared.halt.raise(error.context("ending the phase")),
                Err(panic) => shared.halt.raise(panicked("the sync at the end", &*panic)),
            }
        }
        sampler.sample(started, &mailboxes, seen);
    });

    let record = PhaseRecord {
        name: phase.name.clone(),
        role: match phase.role {
            plan::PhaseRole::Prepare => PhaseRole::Prepare,
            plan::PhaseRole::WarmUp => PhaseRole::WarmUp,
            plan::PhaseRole::Measured => PhaseRole::Steady,
        },
        start_ns: 0,
        wall_ns: sampler.last_ns,
        ops: totals.rows(),
        series: sampler.series,
    };
    Finished {
        record,
        totals,
        end_ns,
    }
}

/// Carries out what the phase ends with, and says how long that took.
fn end(phase: &PhasePlan, shared: &Shared<'_>) -> anyhow::Result<u64> {
    let begin = Instant::now();
    match phase.end {
        PhaseEnd::None => {}
        PhaseEnd::Sync => {
            for file in shared.files.all_open() {
                file.sync()?;
            }
        }
        PhaseEnd::Commit => shared.files.target().sync_all()?,
    }
    Ok(ns(begin.elapsed()))
}

/// A panic below a client is the target's, and ends the cell like any other failure of it.
fn panicked(who: &str, panic: &(dyn Any + Send)) -> anyhow::Error {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("{who} panicked: {}", said.unwrap_or("it did not say why"))
}

/// How many threads are still at work.
struct Running {
    count: Mutex<usize>,
    changed: Condvar,
}

struct Leaves<'a>(&'a Running);

impl Running {
    fn new(count: usize) -> Self {
        Self {
            count: Mutex::new(count),
            changed: Condvar::new(),
        }
    }

    fn leaves_on_drop(&self) -> Leaves<'_> {
        Leaves(self)
    }

    /// Waits until `deadline` or until all have left; true when all have.
    fn all_left_by(&self, deadline: Instant) -> bool {
        let mut count = self.count.lock();
        while *count > 0 {
            if self.changed.wait_until(&mut count, deadline).timed_out() {
                return *count == 0;
            }
        }
        true
    }
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.changed.notify_one();
    }
}

struct Sampler<'a> {
    shared: &'a Shared<'a>,
    series: Vec<Sample>,
    last_ns: u64,
    spare: Interval,
    merged: Interval,
    levels: Levels,
}

impl<'a> Sampler<'a> {
    fn new(shared: &'a Shared<'a>) -> Self {
        Self {
            shared,
            series: Vec::new(),
            last_ns: 0,
            spare: Interval::default(),
            merged: Interval::default(),
            levels: shared.files.target().levels(),
        }
    }

    /// Samples at every interval until all of `running` have left.
    fn until(
        &mut self,
        running: &Running,
        started: Instant,
        mailboxes: &[Arc<Mailbox>],
        seen: &mut dyn FnMut(&Sample),
    ) {
        loop {
            let next = started + Duration::from_nanos(self.last_ns) + INTERVAL;
            if running.all_left_by(next) {
                return;
            }
            self.sample(started, mailboxes, seen);
        }
    }

    fn sample(
        &mut self,
        started: Instant,
        mailboxes: &[Arc<Mailbox>],
        seen: &mut dyn FnMut(&Sample),
    ) {
        self.merged.clear();
        for mailbox in mailboxes {
            self.spare.clear();
            mailbox.swap(&mut self.spare);
            self.merged.merge(&self.spare);
        }
        let before = std::mem::replace(&mut self.levels, self.shared.files.target().levels());
        self.last_ns = ns(started.elapsed());
        let sample = Sample {
            t_ns: self.last_ns,
            ops: self.merged.ops,
            bytes: self.merged.bytes,
            ns_p50: self.merged.response.ns_at(0.5),
            ns_p99: self.merged.response.ns_at(0.99),
            ns_max: self.merged.response.ns_max(),
            dirty_bytes: self.levels.dirty_bytes,
            queues: self.levels.queues.clone(),
            stalls: stalls(&before, &self.levels),
        };
        seen(&sample);
        self.series.push(sample);
    }
}

fn stalls(before: &Levels, now: &Levels) -> Vec<Stall> {
    let grown = |(cause, total_ns): (&String, &u64)| {
        let ns = total_ns.saturating_sub(before.stalled_ns.get(cause).copied().unwrap_or(0));
        (ns > 0).then(|| Stall {
            cause: cause.clone(),
            ns,
        })
    };
    now.stalled_ns.iter().filter_map(grown).collect()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
