//! The clients of a phase on threads of their own, in real time.
//!
//! ```text
//!   clients   |== client 0 ==|          threads, one per stream
//!             |== client 1 =====|
//!   ender                       |= sync =|      part of the phase's time
//!   sampler   | . | . | . | . | . | . | .|      the caller's thread: interval series, progress, events
//! ```
//!
//! All clients start from one origin, taken when each of them stands at the line.

use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use delalloc_workloads::OpStream;
use delalloc_workloads::plan::PhasePlan;
use parking_lot::{Condvar, Mutex};

use super::client::{Client, Shared};
use super::gates::Gates;
use super::pacer::{Pacer, SleepSlack};
use super::phase::{Ran, end, panicked};
use super::sampler::Sampler;
use crate::recorder::{Recorder, Totals};

/// Runs `streams` side by side.
pub(super) fn run(
    phase: &PhasePlan,
    streams: Vec<OpStream>,
    shared: &Shared<'_>,
    slack: SleepSlack,
    sampler: &mut Sampler<'_>,
) -> Ran {
    let line = Barrier::new(streams.len() + 1);
    let origin = OnceLock::new();
    let (running, ending) = (Running::new(streams.len()), Running::new(1));
    let (mut totals, mut warm_up) = (Totals::default(), Totals::default());
    let mut end_ns = 0;
    let gates = Gates::new(streams.iter().map(OpStream::job));

    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let recorder = Recorder::new(sampler.mailbox(number));
            let (line, origin, running) = (&line, &origin, &running);
            let (window, gates) = (sampler.window(), &gates);
            let body = move || {
                line.wait();
                let started = *origin.get().expect("set before the line opens");
                let pacer = Pacer::new(started, slack);
                let client = Client::new(shared, window, pacer, number, stream, recorder);
                let _leaves = running.leaves_on_drop();
                client.run(gates)
            };
            let thread = std::thread::Builder::new().name(format!("client-{number}"));
            clients.push(
                thread
                    .spawn_scoped(scope, body)
                    .expect("the system starts a thread"),
            );
        }
        let started = Instant::now();
        let pacer = Pacer::new(started, slack);
        origin.set(started).expect("set once");
        line.wait();
        sample_until(&running, started, &pacer, sampler);
        for client in clients {
            match client.join() {
                Ok((counted, not)) => {
                    totals.merge(&counted);
                    warm_up.merge(&not);
                }
                Err(panic) => shared.halt.raise(panicked("a client", &*panic)),
            }
        }
        if !shared.halted() {
            let ender = {
                let (ending, pacer) = (&ending, pacer.clone());
                scope.spawn(move || {
                    let _leaves = ending.leaves_on_drop();
                    end(phase, shared, &pacer)
                })
            };
            sample_until(&ending, started, &pacer, sampler);
            match ender.join() {
                Ok(Ok(ns)) => end_ns = ns,
                Ok(Err(error)) => shared.halt.raise(error.context("ending the phase")),
                Err(panic) => shared.halt.raise(panicked("the sync at the end", &*panic)),
            }
        }
        sampler.look_last(pacer.now_ns());
    });
    Ran {
        totals,
        warm_up,
        end_ns,
    }
}

/// Samples at every interval until all of `running` have left.
fn sample_until(running: &Running, started: Instant, pacer: &Pacer, sampler: &mut Sampler<'_>) {
    loop {
        let next = started + Duration::from_nanos(sampler.next_ns());
        if running.all_left_by(next) {
            return;
        }
        sampler.sample(pacer.now_ns());
    }
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
