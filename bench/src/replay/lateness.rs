//! Whose fault a late start is: the generator's or the target's.
//!
//! An operation begins when it is due and the ones before it are through. So beside the client that
//! is, one is imagined that costs nothing: it wakes in time, makes and compares bytes in no time, and
//! its operations take as long as the target really took. What an operation begins later than there is
//! the generator's lateness, with all that an earlier lateness still pushes ahead of itself; the rest of
//! the wait is the target's. Nothing is left over:
//!
//! ```text
//!   response = waiting for the target + lateness of the generator + service
//! ```
//!
//! Pure: it is told every time and asks no clock.

/// The client that costs nothing.
#[derive(Debug, Default)]
pub struct Lateness {
    /// When its last operation and the rest after it are over.
    free_ns: u64,
}

/// How an operation with a time to begin at began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The generator's own lateness.
    pub late_ns: u64,
    /// The target was still busy when it was due.
    pub was_busy: bool,
}

impl Lateness {
    /// Notes an operation that ran from `begin_ns` to `end_ns`, all in nanoseconds of the phase. None
    /// where it had no time to begin at.
    pub fn note(&mut self, due_ns: Option<u64>, begin_ns: u64, end_ns: u64) -> Option<Start> {
        let ideal_ns = due_ns.unwrap_or(0).max(self.free_ns);
        let start = due_ns.map(|due_ns| Start {
            late_ns: begin_ns.saturating_sub(ideal_ns),
            was_busy: due_ns < self.free_ns,
        });
        self.free_ns = ideal_ns.saturating_add(end_ns.saturating_sub(begin_ns));
        start
    }

    /// The next operation could not begin before `ns`, whoever had been its generator.
    pub fn held_until(&mut self, ns: u64) {
        self.free_ns = self.free_ns.max(ns);
    }

    /// The client rests before its next operation.
    pub fn rest(&mut self, think_ns: u64) {
        self.free_ns = self.free_ns.saturating_add(think_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn start(late_ns: u64, was_busy: bool) -> Option<Start> {
        Some(Start { late_ns, was_busy })
    }

    #[test]
    fn a_generator_in_time_is_never_late_however_slow_the_target() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.note(Some(MS), MS, 11 * MS), start(0, false));
        // Due at 2 ms, begun when the one before was through.
        assert_eq!(
            lateness.note(Some(2 * MS), 11 * MS, 12 * MS),
            start(0, true)
        );
        assert_eq!(
            lateness.note(Some(20 * MS), 20 * MS, 21 * MS),
            start(0, false)
        );
    }

    #[test]
    fn what_a_late_start_pushes_ahead_is_the_generators_too() {
        let mut lateness = Lateness::default();
        // Due at 1 ms and begun at 6 ms by an idle client: it overslept.
        assert_eq!(
            lateness.note(Some(MS), 6 * MS, 7 * MS),
            start(5 * MS, false)
        );
        // Due at 2 ms; in time it would have begun then.
        assert_eq!(
            lateness.note(Some(2 * MS), 7 * MS, 8 * MS),
            start(5 * MS, false)
        );
        // By 9 ms it has caught up.
        assert_eq!(
            lateness.note(Some(9 * MS), 9 * MS, 10 * MS),
            start(0, false)
        );
    }

    #[test]
    fn who_waits_for_another_client_is_not_late() {
        let mut lateness = Lateness::default();
        lateness.held_until(9 * MS);
        assert_eq!(lateness.note(Some(MS), 9 * MS, 10 * MS), start(0, true));
    }

    #[test]
    fn work_of_the_harness_between_operations_is_its_lateness() {
        let mut lateness = Lateness::default();
        // The target takes 1 ms of the 2 ms between operations, the harness 3 ms before each.
        let late: Vec<u64> = (0..4)
            .map(|nth| {
                let begin_ns = nth * 4 * MS + 3 * MS;
                let begun = lateness.note(Some(nth * 2 * MS), begin_ns, begin_ns + MS);
                begun.expect("it was due").late_ns / MS
            })
            .collect();
        assert_eq!(late, [3, 5, 7, 9]);
    }

    #[test]
    fn operations_without_a_time_and_rests_keep_the_target_busy() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.note(None, 0, 5 * MS), None);
        assert_eq!(
            lateness.note(Some(MS), 5 * MS, 6 * MS),
            start(0, true),
            "a sync kept it from beginning"
        );
        lateness.rest(4 * MS);
        assert_eq!(
            lateness.note(Some(7 * MS), 10 * MS, 11 * MS),
            start(0, true)
        );
    }
}
