//! The clients of a phase on one thread, in the time of a target with a clock of its own.
//!
//! ```text
//!   line: (when its next operation may be issued, number of the client), earliest first
//!   take the first -> let time pass to it -> issue -> back into the line with its next
//! ```
//!
//! Such a target takes one call at a time, so what is due while another client's call runs waits for
//! it: a queue with one server. That wait is in the response time of whatever has a schedule, and in no
//! service time. A closed loop keeps no more than one operation of all clients in the target; what
//! overlaps is the target's own background work. The order follows from times and numbers alone.
//!
//! A client whose job waits for another one joins the line when the last client of that is through.
//!
//! Of a recording, an operation that has to wait for another client's stands aside until that is over.
//!
//! A call cannot be looked into: the sample that falls due during one is taken when it returns.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use delalloc_backends::Clock;
use delalloc_workloads::OpStream;
use delalloc_workloads::plan::PhasePlan;

use super::client::{Client, Shared};
use super::pacer::{Pacer, SleepSlack};
use super::phase::{Ran, end, no_totals, panicked};
use super::precedence::Precedence;
use super::sampler::Sampler;
use crate::recorder::{Recorder, Totals};

/// Runs `streams` in turns.
pub(super) fn run(
    phase: &PhasePlan,
    streams: Vec<OpStream>,
    shared: &Shared<'_>,
    (clock, slack): (Arc<dyn Clock>, SleepSlack),
    sampler: &mut Sampler<'_>,
) -> Ran {
    let pacer = Pacer::start(Some(clock), slack);
    let precedence = Precedence::of(&streams);
    let mut clients: Vec<Client<'_>> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            let recorder = Recorder::new(sampler.mailbox(number));
            Client::new(
                shared,
                sampler.window(),
                pacer.clone(),
                number,
                stream,
                recorder,
            )
            .following(&precedence)
        })
        .collect();
    // A panic below a call is the target's, as on threads.
    let played = catch_unwind(AssertUnwindSafe(|| {
        play(&mut clients, &pacer, sampler);
        if shared.halted() {
            return Ok(0);
        }
        end(phase, shared, &pacer)
    }));
    let end_ns = match played {
        Ok(Ok(ns)) => ns,
        Ok(Err(error)) => {
            shared.halt.raise(error.context("ending the phase"));
            0
        }
        Err(panic) => {
            shared.halt.raise(panicked("a client", &*panic));
            0
        }
    };
    sampler.look_last(pacer.now_ns());
    let (mut jobs, mut warm_up) = (no_totals(phase), Totals::default());
    for client in clients {
        let job = client.job();
        let (counted, not) = client.into_totals();
        jobs[job].merge(&counted);
        warm_up.merge(&not);
    }
    Ran {
        jobs,
        warm_up,
        end_ns,
    }
}

fn play(clients: &mut [Client<'_>], pacer: &Pacer, sampler: &mut Sampler<'_>) {
    let mut line = Line::default();
    for client in clients.iter() {
        *line.at_work.entry(client.job()).or_default() += 1;
    }
    for number in 0..clients.len() {
        match clients[number].starts_after() {
            Some(job) => line.waiting.push((job, number)),
            None => line.begin(clients, number, 0),
        }
    }
    while let Some(Reverse((ready_ns, number))) = line.ready.pop() {
        if clients[number].is_held() {
            line.aside.push((ready_ns, number));
            continue;
        }
        // The phase may have got an earlier end since.
        let ready_ns = ready_ns.min(clients[number].end_ns()).max(pacer.now_ns());
        while sampler.next_ns() < ready_ns {
            pacer.pass_to(sampler.next_ns());
            sampler.sample(pacer.now_ns());
        }
        pacer.pass_to(ready_ns);
        if clients[number].issue(pacer.now_ns()) {
            line.again(clients, number, pacer.now_ns());
        } else {
            line.leave(clients, number, pacer.now_ns());
        }
        line.ready.extend(line.aside.drain(..).map(Reverse));
        if pacer.now_ns() >= sampler.next_ns() {
            sampler.sample(pacer.now_ns());
        }
    }
    // Nobody waits for what stands behind it in the recording, so of those who wait the first one never does.
    assert!(line.aside.is_empty(), "clients wait for one another");
}

/// Who may issue when, and who waits for a job to be through.
#[derive(Default)]
struct Line {
    ready: BinaryHeap<Reverse<(u64, usize)>>,
    /// Those whose next operation has to wait for another client's.
    aside: Vec<(u64, usize)>,
    /// The job that is waited for, and the client.
    waiting: Vec<(usize, usize)>,
    /// Clients of each job that are not through.
    at_work: BTreeMap<usize, usize>,
}

impl Line {
    fn begin(&mut self, clients: &mut [Client<'_>], number: usize, through_ns: u64) {
        clients[number].begin(through_ns);
        self.again(clients, number, through_ns);
    }

    /// The client takes its next operation, or is through.
    fn again(&mut self, clients: &mut [Client<'_>], number: usize, now_ns: u64) {
        match clients[number].take() {
            Some(ready_ns) => self.ready.push(Reverse((ready_ns, number))),
            None => self.leave(clients, number, now_ns),
        }
    }

    /// The client is through; who waits for the last one of its job begins.
    fn leave(&mut self, clients: &mut [Client<'_>], number: usize, now_ns: u64) {
        clients[number].leave();
        let job = clients[number].job();
        let left = self.at_work.get_mut(&job).expect("it was at work");
        *left -= 1;
        if *left > 0 {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (begin, wait): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(after, _)| *after == job);
        self.waiting = wait;
        for (_, number) in begin {
            self.begin(clients, number, now_ns);
        }
    }
}
