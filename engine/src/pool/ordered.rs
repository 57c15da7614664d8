//! Finish in any order, complete in submission order.
//!
//! How long an item takes depends on its bytes, so items finish out of turn. What follows must not: the
//! extents of a file are placed in file order, or a later sequential read becomes a seek for each.
//!
//! ```text
//!   entered:     1           2          3
//!   first phase: done        running    done     any worker
//!   second:      completing  (next)     waits    one worker per line, head of the line only
//! ```
//!
//! A worker that finishes an item leaves it at its place. If that is the head of the line, the worker
//! carries the head through its second phase, and then whatever is finished behind it; else it goes on
//! to other work, and whoever carries the head comes to this item. Nobody waits for the head. The price:
//! a worker may be captured by others' completions; so the second phase is to be short.
//!
//! A line is a key with items; lines are independent, and a line without items does not exist.
//!
//! Invariants
//!   * Items leave a line in the order they entered it, each once.
//!   * The head stays at its place until its second phase is over: that is what holds the others back.
//!   * What an item did in its first phase is seen by its second, on whatever worker: both hand-overs go
//!     through the lock.
//!   * Nothing is dropped under the lock; a drop may free megabytes.
//!
//! Refused: a ticket number and a wait for one's turn, which parks every worker behind a slow head.
//!
//! Not here: what the phases do, and who measures them (threads.rs, stepped.rs).

use std::collections::{HashMap, VecDeque};

use super::sync::Mutex;

/// An item's place in a line, fixed when it enters.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    key: u64,
    number: u64,
}

#[derive(Debug)]
enum Slot<T> {
    /// In its first phase, or not begun.
    Expected,
    /// Finished; its turn has not come.
    Done(T),
    /// At the head, in its second phase.
    Completing,
}

#[derive(Debug)]
struct Line<T> {
    /// The number of the head.
    head: u64,
    slots: VecDeque<Slot<T>>,
}

/// All lines. Without a lock of its own, so that [`super::SteppedPool`] is deterministic.
#[derive(Debug)]
pub(super) struct Lines<T> {
    lines: HashMap<u64, Line<T>>,
    waiting: usize,
}

impl<T> Lines<T> {
    pub(super) fn new() -> Self {
        Self {
            lines: HashMap::new(),
            waiting: 0,
        }
    }

    /// The next place in the line of `key`.
    pub(super) fn enter(&mut self, key: u64) -> Place {
        let line = self.lines.entry(key).or_insert_with(|| Line {
            head: 0,
            slots: VecDeque::new(),
        });
        line.slots.push_back(Slot::Expected);
        Place {
            key,
            number: line.head + line.slots.len() as u64 - 1,
        }
    }

    /// The item of `place` is finished.
    pub(super) fn put(&mut self, place: &Place, item: T) {
        let line = self
            .lines
            .get_mut(&place.key)
            .expect("a line with a place exists");
        let index = usize::try_from(place.number - line.head).expect("places are in memory");
        let slot = &mut line.slots[index];
        assert!(matches!(slot, Slot::Expected), "an item finishes once");
        *slot = Slot::Done(item);
        self.waiting += 1;
    }

    /// The head of the line of `key`, where its turn has come: finished, and not begun by another.
    pub(super) fn take(&mut self, key: u64) -> Option<(Place, T)> {
        let line = self.lines.get_mut(&key)?;
        let head = line.slots.front_mut().expect("a line has items");
        if !matches!(head, Slot::Done(_)) {
            return None;
        }
        let Slot::Done(item) = std::mem::replace(head, Slot::Completing) else {
            unreachable!("the head was finished a moment ago, under the same lock");
        };
        self.waiting -= 1;
        let place = Place {
            key,
            number: line.head,
        };
        Some((place, item))
    }

    /// The second phase of the head at `place` is over.
    pub(super) fn retire(&mut self, place: &Place) {
        let line = self
            .lines
            .get_mut(&place.key)
            .expect("a line with a head exists");
        assert_eq!(line.head, place.number, "only the head completes");
        let slot = line.slots.pop_front().expect("a line has items");
        assert!(matches!(slot, Slot::Completing), "the head completed");
        line.head += 1;
        if line.slots.is_empty() {
            self.lines.remove(&place.key);
        }
    }

    /// Keys whose head's turn has come, in rising order.
    pub(super) fn due(&self) -> Vec<u64> {
        let mut due: Vec<u64> = self
            .lines
            .iter()
            .filter(|(_, line)| matches!(line.slots[0], Slot::Done(_)))
            .map(|(&key, _)| key)
            .collect();
        due.sort_unstable();
        due
    }

    /// Items finished whose turn has not come.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    fn line_count(&self) -> usize {
        self.lines.len()
    }
}

/// Lines that threads share.
#[derive(Debug)]
pub struct Ordered<T> {
    lines: Mutex<Lines<T>>,
}

impl<T> Ordered<T> {
    /// No line.
    pub fn new() -> Self {
        Self {
            lines: Mutex::new(Lines::new()),
        }
    }

    /// The next place in the line of `key`. Every place is to be finished, or its line never ends.
    pub fn enter(&self, key: u64) -> Place {
        self.lines.lock().enter(key)
    }

    /// The first phase of the item at `place` is over. Returns the head of that line if its turn has
    /// come: the caller then does its second phase and calls [`Self::advance`].
    pub fn finish(&self, place: Place, item: T) -> Option<(Place, T)> {
        let mut lines = self.lines.lock();
        lines.put(&place, item);
        lines.take(place.key)
    }

    /// The second phase of the head at `place` is over. Returns the next head if its turn has come,
    /// which is then the caller's as well.
    pub fn advance(&self, place: Place) -> Option<(Place, T)> {
        let mut lines = self.lines.lock();
        lines.retire(&place);
        lines.take(place.key)
    }

    /// Items finished whose turn has not come.
    pub fn waiting(&self) -> usize {
        self.lines.lock().waiting()
    }

    /// Lines that exist: keys with items not completed.
    pub fn line_count(&self) -> usize {
        self.lines.lock().line_count()
    }
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self::new()
    }
}
