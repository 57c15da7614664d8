//! A thread that does things later: what slowing down a request needs without blocking its
//! submitter.
//!
//! Actions wait in a heap by due time, equal times in the order they came. One thread sleeps until
//! the earliest. Time is the clock's; the sleep is a condvar's, so that an earlier action that
//! comes in is not slept through.
//!
//! Invariants
//!   * At most `entries_max` actions wait; `at` blocks above that.
//!   * `stop` runs what is left, each at its time, before it returns. After it, `at` gives the
//!     action back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::mover::AbortOnUnwind;
use crate::{Clock, Instant, sys};

/// Something to do later, on the line's thread.
pub(crate) type Action = Box<dyn FnOnce() + Send>;

/// Actions waiting for their time.
pub(crate) struct DelayLine {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    entries_max: usize,
    state: Mutex<State>,
    /// An earlier action came, or the end.
    earlier: Condvar,
    /// An action left.
    room: Condvar,
}

#[derive(Default)]
struct State {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    stopping: bool,
}

struct Entry {
    due: Instant,
    sequence: u64,
    action: Action,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

impl fmt::Debug for DelayLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DelayLine({} waiting)",
            self.shared.state.lock().heap.len()
        )
    }
}

impl DelayLine {
    /// Starts the thread.
    pub(crate) fn start(clock: Arc<dyn Clock>, entries_max: usize) -> Self {
        assert!(entries_max > 0);
        let shared = Arc::new(Shared {
            clock,
            entries_max,
            state: Mutex::new(State::default()),
            earlier: Condvar::new(),
            room: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("backend-delay".to_owned())
            .spawn(move || served.serve())
            .expect("the system has room for one more thread");
        Self {
            shared,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Runs `action` at `due`. Gives it back where the line was stopped.
    pub(crate) fn at(&self, due: Instant, action: Action) -> Result<(), Action> {
        let mut state = self.shared.state.lock();
        while state.heap.len() >= self.shared.entries_max && !state.stopping {
            self.shared.room.wait(&mut state);
        }
        if state.stopping {
            return Err(action);
        }
        let sequence = state.sequence;
        state.sequence += 1;
        let first = state.heap.peek().is_none_or(|Reverse(head)| due < head.due);
        state.heap.push(Reverse(Entry {
            due,
            sequence,
            action,
        }));
        drop(state);
        if first {
            self.shared.earlier.notify_one();
        }
        Ok(())
    }

    /// Runs what is left and joins the thread.
    pub(crate) fn stop(&self) {
        self.shared.state.lock().stopping = true;
        self.shared.earlier.notify_one();
        self.shared.room.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().expect("the delay thread does not panic");
        }
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn serve(&self) {
        sys::sleep_exactly();
        let bomb = AbortOnUnwind;
        let mut state = self.state.lock();
        loop {
            let Some(Reverse(head)) = state.heap.peek() else {
                if state.stopping {
                    break;
                }
                self.earlier.wait(&mut state);
                continue;
            };
            let wait_ns = head.due.ns_since(self.clock.now());
            if wait_ns > 0 {
                self.earlier
                    .wait_for(&mut state, Duration::from_nanos(wait_ns));
                continue;
            }
            let full = state.heap.len() >= self.entries_max;
            let Reverse(entry) = state.heap.pop().expect("it was there a line above");
            drop(state);
            if full {
                self.room.notify_all();
            }
            (entry.action)();
            state = self.state.lock();
        }
        drop(state);
        std::mem::forget(bomb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsClock;

    #[test]
    fn actions_run_by_due_time_and_stop_runs_the_rest() {
        let clock = Arc::new(OsClock::new());
        let start = clock.now();
        let clock: Arc<dyn Clock> = clock;
        let line = DelayLine::start(Arc::clone(&clock), 8);
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (name, delay_ms) in [("late", 30), ("soon", 10), ("soon too", 10)] {
            let (seen, clock) = (Arc::clone(&seen), Arc::clone(&clock));
            let due = start.after(Duration::from_millis(delay_ms));
            let action = Box::new(move || {
                assert!(clock.now() >= due);
                seen.lock().push(name);
            });
            assert!(line.at(due, action).is_ok());
        }
        line.stop();
        assert_eq!(*seen.lock(), ["soon", "soon too", "late"]);
        assert!(line.at(start, Box::new(|| ())).is_err());
    }
}
