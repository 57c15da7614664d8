//! The clients of a phase on threads of their own, in real time.
//!
//! ```text
//!   clients   |== client 0 ==|          threads, one per stream
//!             |== client 1 =====|
//!   ender                       |= sync =|      part of the phase's time
//!   sampler   | . | . | . | . | . | . | .|      the caller's thread: interval series, progress, events
//! ```
//!
//! All clients start from one origin, taken when each of them stands at the line. Where the system starts no more
//! threads, none of them does.

use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use delalloc_workloads::OpStream;
use delalloc_workloads::plan::{PhaseEnd, PhasePlan};
use parking_lot::{Condvar, Mutex};

use super::client::{Client, Shared};
use super::gates::Gates;
use super::pacer::{Pacer, SleepSlack};
use super::phase::{Ran, end, no_totals, panicked};
use super::precedence::Precedence;
use super::sampler::Sampler;
use super::start_line::StartLine;
use crate::recorder::{Recorder, Totals};

/// Runs `streams` side by side.
pub(super) fn run(
    phase: &PhasePlan,
    streams: Vec<OpStream>,
    shared: &Shared<'_>,
    slack: SleepSlack,
    sampler: &mut Sampler<'_>,
) -> Ran {
    let named = |number| Builder::new().name(format!("client-{number}"));
    run_on(&named, phase, streams, shared, slack, sampler)
}

/// The same on threads of `builder`, which is told the number of the client.
fn run_on(
    builder: &dyn Fn(usize) -> Builder,
    phase: &PhasePlan,
    streams: Vec<OpStream>,
    shared: &Shared<'_>,
    slack: SleepSlack,
    sampler: &mut Sampler<'_>,
) -> Ran {
    let line = StartLine::default();
    let wanted = streams.len();
    let (running, ending) = (Running::new(wanted), Running::new(1));
    let (mut jobs, mut warm_up) = (no_totals(phase), Totals::default());
    let (mut end_ns, mut over_ns) = (0, 0);
    let gates = Gates::new(streams.iter().map(OpStream::job));
    let precedence = Precedence::of(&streams);

    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let recorder = Recorder::new(sampler.mailbox(number));
            let job = stream.job();
            let (line, running) = (&line, &running);
            let (window, gates, precedence) = (sampler.window(), &gates, &precedence);
            let body = move || {
                let started = line.stand()?;
                let pacer = Pacer::new(started, slack);
                let client = Client::new(shared, window, pacer.clone(), number, stream, recorder)
                    .following(precedence);
                let _leaves = running.leaves_on_drop();
                let (counted, not) = client.run(gates);
                Some((counted, not, pacer.now_ns()))
            };
            match builder(number).spawn_scoped(scope, body) {
                Ok(client) => clients.push((job, client)),
                Err(error) => {
                    line.call_off();
                    shared.halt.raise(no_thread(number, wanted, &error));
                    return;
                }
            }
        }
        let started = line.open(wanted);
        let pacer = Pacer::new(started, slack);
        sample_until(&running, started, &pacer, sampler);
        for (job, client) in clients {
            match client.join() {
                Ok(Some((counted, not, through_ns))) => {
                    jobs[job].merge(&counted);
                    warm_up.merge(&not);
                    over_ns = over_ns.max(through_ns);
                }
                Ok(None) => unreachable!("the line was opened"),
                Err(panic) => {
                    shared.halt.raise(panicked("a client", &*panic));
                    over_ns = pacer.now_ns();
                }
            }
        }
        if !shared.halted() && phase.end != PhaseEnd::None {
            let ender = {
                let (ending, pacer) = (&ending, pacer.clone());
                builder(wanted).spawn_scoped(scope, move || {
                    let _leaves = ending.leaves_on_drop();
                    end(phase, shared, &pacer).map(|ns| (ns, pacer.now_ns()))
                })
            };
            let ended = ender.map(|ender| {
                sample_until(&ending, started, &pacer, sampler);
                ender.join()
            });
            match ended {
                Ok(Ok(Ok((ns, now_ns)))) => (end_ns, over_ns) = (ns, now_ns),
                Ok(Ok(Err(error))) => shared.halt.raise(error.context("ending the phase")),
                Ok(Err(panic)) => shared.halt.raise(panicked("the sync at the end", &*panic)),
                Err(error) => shared
                    .halt
                    .raise(anyhow!(error).context("a thread for the sync at the end")),
            }
        }
    });
    // The last client, or the sync after it, ends the phase, however late the sampler hears of it.
    sampler.look_last(over_ns);
    Ran {
        jobs,
        warm_up,
        end_ns,
    }
}

/// So many clients got a thread, and the next one did not.
fn no_thread(started: usize, wanted: usize, error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "{started} of {wanted} clients could be started, each a thread, and the system starts no more ({error}): fewer `clients:`, or a higher limit (ulimit -u, ulimit -v, pids.max of the cgroup, kernel.threads-max, vm.max_map_count)"
    )
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use delalloc_workloads::{Checks, Cursors, load_str};

    use super::*;
    use crate::replay::client::on_null::OnNull;
    use crate::replay::window::Window;

    /// Runs eight clients, of which `with_thread` get one; how many operations they did, and what was said.
    fn run_eight(with_thread: usize) -> (u64, Option<String>) {
        let text = "version: 1\ntargets: { n: null }\nfiles: { t: { size: 1MiB } }\nphases:\n  - { name: p, jobs: [{ write: t, block: 4KiB, clients: 8 }] }\n";
        let plan = load_str(text, "w", &[], Checks::none()).unwrap();
        let load = &plan.loads[0];
        let streams = load.streams(0, &Arc::new(Cursors::new(load))).unwrap();
        let on_null = OnNull::of(load);
        let shared = on_null.shared();
        let builder = |number| {
            // No machine has a stack as large as that.
            let bytes = if number < with_thread {
                1 << 20
            } else {
                1 << 60
            };
            Builder::new().stack_size(bytes)
        };
        let (phase, mut seen) = (&load.phases[0], |_: &_| {});
        let window = Window::of(phase);
        let mut sampler = Sampler::new(&shared, &window, None, streams.len(), &mut seen);
        let slack = SleepSlack::measure();
        let ran = run_on(&builder, phase, streams, &shared, slack, &mut sampler);
        let said = on_null.halt.take().map(|error| format!("{error:#}"));
        (ran.jobs[0].ops(), said)
    }

    #[test]
    fn a_client_without_a_thread_ends_the_phase_and_holds_up_nobody() {
        let (tell, told) = channel();
        for with_thread in [0, 3, 9] {
            let tell = tell.clone();
            std::thread::spawn(move || tell.send(run_eight(with_thread)).unwrap());
            let (ops, said) = told
                .recv_timeout(Duration::from_secs(20))
                .expect("it ends soon");
            if with_thread < 8 {
                let said = said.expect("it says why");
                assert!(
                    said.contains(&format!("{with_thread} of 8 clients")),
                    "{said}"
                );
                assert_eq!(ops, 0);
            } else {
                assert_eq!((ops, said), (256, None));
            }
        }
    }
}
