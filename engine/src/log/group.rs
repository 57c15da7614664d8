//! Many callers, one writer at a time: who comes while a batch is under way shares the next one.
//!
//! ```text
//!   join --> nobody leads: lead, with everybody who waits --> hand out the answers --> go
//!        '-> somebody leads: wait --> answered: go
//!                                 '-> not answered and nobody leads: lead
//! ```
//!
//! The caller who finds nobody leading does the work on its own thread: a lone caller pays for no
//! hand-over. There is no timer that makes callers wait for company; a FLUSH under way is wait enough.
//!
//! Invariants
//!   * One leads at a time, with no lock held.
//!   * Every ticket is in exactly one batch, and its caller gets exactly that batch's answer.
//!   * A leader that panics leaves the group broken: who waits panics too, instead of for ever.
//!
//! Not here: what a batch is (write).

use std::collections::HashMap;

use super::sync::{Condvar, Mutex};

/// A meeting place for callers with tickets of type `T`, who each get an `A`.
#[derive(Debug)]
pub(crate) struct Group<T, A> {
    state: Mutex<GroupState<T, A>>,
    changed: Condvar,
}

#[derive(Debug)]
struct GroupState<T, A> {
    next: u64,
    waiting: Vec<(u64, T)>,
    answers: HashMap<u64, A>,
    leading: bool,
    broken: bool,
}

impl<T, A> Default for Group<T, A> {
    fn default() -> Self {
        Self {
            state: Mutex::new(GroupState {
                next: 0,
                waiting: Vec::new(),
                answers: HashMap::new(),
                leading: false,
                broken: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<T, A> Group<T, A> {
    /// Brings a ticket and leaves with its answer. `lead` answers the tickets of a batch, in order; it
    /// is called if this caller is the one to do so.
    ///
    /// # Panics
    /// Where a leader has panicked.
    pub(crate) fn join(&self, ticket: T, lead: impl FnOnce(Vec<T>) -> Vec<A>) -> A {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.waiting.push((number, ticket));
        loop {
            if let Some(answer) = state.answers.remove(&number) {
                return answer;
            }
            assert!(
                !state.broken,
                "whoever wrote the batch of this caller panicked"
            );
            if !state.leading {
                break;
            }
            self.changed.wait(&mut state);
        }
        state.leading = true;
        let (numbers, tickets): (Vec<u64>, Vec<T>) =
            std::mem::take(&mut state.waiting).into_iter().unzip();
        drop(state);
        let lead_ends = LeadEnds {
            group: self,
            well: false,
        };
        let answers = lead(tickets);
        assert_eq!(answers.len(), numbers.len(), "every ticket is answered");
        lead_ends.well(numbers.into_iter().zip(answers), number)
    }
}

/// Gives the lead up, whatever happens.
struct LeadEnds<'g, T, A> {
    group: &'g Group<T, A>,
    well: bool,
}

impl<T, A> LeadEnds<'_, T, A> {
    /// Hands the answers out; returns that of `own`.
    fn well(mut self, answers: impl Iterator<Item = (u64, A)>, own: u64) -> A {
        self.well = true;
        let mut state = self.group.state.lock();
        state.answers.extend(answers);
        state
            .answers
            .remove(&own)
            .expect("the leader is in its own batch")
    }
}

impl<T, A> Drop for LeadEnds<'_, T, A> {
    fn drop(&mut self) {
        let mut state = self.group.state.lock();
        state.leading = false;
        state.broken |= !self.well;
        self.group.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_leader_that_panics_is_not_waited_for() {
        let group = Group::<u64, u64>::default();
        let panics = || group.join(1, |_| panic!("planted"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        let later = || group.join(2, |tickets| tickets);
        assert!(catch_unwind(AssertUnwindSafe(later)).is_err(), "it is told");
    }
}
