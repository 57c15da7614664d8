//! The group commit of the log under a scheduler that tries interleavings of its lock and condition: every
//! ticket is in one batch and gets that batch's answer, batches do not overlap, nobody waits for ever. A
//! hang is found as a deadlock, and a failing schedule is printed for replay.
//!
//! The room is compiled a second time here, against primitives of the scheduler, so what is tested is its
//! text and it carries no switch for it.

use group::Group;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering};

#[path = "../src/log/group.rs"]
mod group;
mod schedule;
use schedule as sync;

const ITERATIONS: usize = 1000;
const CALLERS: usize = 4;
const CALLS: usize = 3;

/// Random schedules, and those with few preemptions at the worst places.
fn check(test: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(test, ITERATIONS);
    shuttle::check_pct(test, ITERATIONS, 3);
}

/// What the leaders see together.
#[derive(Default)]
struct Leads {
    at_once: AtomicUsize,
    batches: AtomicUsize,
    tickets: AtomicUsize,
}

impl Leads {
    /// Answers each ticket with itself and the number of its batch.
    fn lead(&self, tickets: Vec<usize>) -> Vec<(usize, usize)> {
        assert_eq!(self.at_once.fetch_add(1, Ordering::SeqCst), 0, "two lead");
        let batch = self.batches.fetch_add(1, Ordering::SeqCst);
        self.tickets.fetch_add(tickets.len(), Ordering::SeqCst);
        shuttle::thread::yield_now();
        let answers = tickets.into_iter().map(|ticket| (ticket, batch)).collect();
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        answers
    }
}

#[test]
fn every_caller_gets_the_answer_of_a_batch_that_began_after_it_came() {
    check(|| {
        let group = Arc::new(Group::<usize, (usize, usize)>::default());
        let leads = Arc::new(Leads::default());
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (group, leads) = (Arc::clone(&group), Arc::clone(&leads));
                shuttle::thread::spawn(move || {
                    for call in 0..CALLS {
                        let ticket = caller * CALLS + call;
                        let begun = leads.batches.load(Ordering::SeqCst);
                        let (own, batch) = group.join(ticket, |tickets| leads.lead(tickets));
                        assert_eq!(own, ticket, "somebody else's answer");
                        assert!(
                            batch >= begun,
                            "batch {batch} began before ticket {ticket} came"
                        );
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().expect("a caller ends");
        }
        assert_eq!(leads.tickets.load(Ordering::SeqCst), CALLERS * CALLS);
    });
}
