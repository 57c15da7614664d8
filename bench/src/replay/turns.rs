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
//! A call cannot be looked into: the sample that falls due during one is taken when it returns.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use delalloc_backends::Clock;
use delalloc_workloads::OpStream;
use delalloc_workloads::plan::PhasePlan;

use super::client::{Client, Shared};
use super::pacer::{Pacer, SleepSlack};
use super::phase::{Ran, end, panicked};
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
    let mut clients: Vec<Client<'_>> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            let recorder = Recorder::new(sampler.mailbox(number));
            Client::new(shared, pacer.clone(), number, stream, recorder)
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
    let mut totals = Totals::default();
    for client in clients {
        totals.merge(&client.into_totals());
    }
    Ran { totals, end_ns }
}

fn play(clients: &mut [Client<'_>], pacer: &Pacer, sampler: &mut Sampler<'_>) {
    let mut line: BinaryHeap<Reverse<(u64, usize)>> = clients
        .iter_mut()
        .enumerate()
        .filter_map(|(number, client)| Some(Reverse((client.take()?, number))))
        .collect();
    while let Some(Reverse((ready_ns, number))) = line.pop() {
        while sampler.next_ns() < ready_ns {
            pacer.pass_to(sampler.next_ns());
            sampler.sample(pacer.now_ns());
        }
        pacer.pass_to(ready_ns);
        let client = &mut clients[number];
        if client.issue(pacer.now_ns())
            && let Some(ready_ns) = client.take()
        {
            line.push(Reverse((ready_ns, number)));
        }
        if pacer.now_ns() >= sampler.next_ns() {
            sampler.sample(pacer.now_ns());
        }
    }
}
