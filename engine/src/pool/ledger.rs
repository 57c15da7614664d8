//! What a pool still owes: items submitted and not completed, by epoch.
//!
//! A drain ends the current epoch and waits until it and all before it are empty, so it waits for what
//! came before it and for nothing that came after. Refused: waiting until nothing at all is left, which
//! never comes under a steady stream.
//!
//! Locks and threads: one lock, held for a few instructions; drainers wait on its condition.

use std::collections::VecDeque;

use super::sync::{Condvar, Mutex};

/// When an item was submitted, as drains see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// The accounts, without their lock.
#[derive(Debug)]
struct Book {
    /// Items left of each epoch, the oldest first. Never empty: the last one is current.
    left: VecDeque<u64>,
    /// The number of the oldest.
    oldest: u64,
    submitted: u64,
    completed: u64,
    closed: bool,
}

impl Book {
    fn new() -> Self {
        Self {
            left: VecDeque::from([0]),
            oldest: 0,
            submitted: 0,
            completed: 0,
            closed: false,
        }
    }

    fn enter(&mut self) -> Option<Epoch> {
        if self.closed {
            return None;
        }
        *self.left.back_mut().expect("an epoch is current") += 1;
        self.submitted += 1;
        Some(self.current())
    }

    /// True where an epoch ended.
    fn leave(&mut self, epoch: Epoch) -> bool {
        let index = usize::try_from(epoch.0 - self.oldest).expect("an epoch with items is kept");
        assert!(self.left[index] > 0, "an item leaves once");
        self.left[index] -= 1;
        self.completed += 1;
        self.trim()
    }

    /// Ends the current epoch and returns it.
    fn turn_page(&mut self) -> Epoch {
        let epoch = self.current();
        self.left.push_back(0);
        self.trim();
        epoch
    }

    fn is_over(&self, epoch: Epoch) -> bool {
        self.oldest > epoch.0
    }

    fn close_if_empty(&mut self) -> bool {
        if self.submitted == self.completed {
            self.closed = true;
        }
        self.closed
    }

    fn current(&self) -> Epoch {
        Epoch(self.oldest + self.left.len() as u64 - 1)
    }

    /// Forgets empty epochs; true where there were any.
    fn trim(&mut self) -> bool {
        let before = self.oldest;
        while self.left.len() > 1 && self.left[0] == 0 {
            self.left.pop_front();
            self.oldest += 1;
        }
        self.oldest != before
    }
}

/// Items submitted and not completed.
#[derive(Debug)]
pub(super) struct Ledger {
    book: Mutex<Book>,
    emptied: Condvar,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            book: Mutex::new(Book::new()),
            emptied: Condvar::new(),
        }
    }

    /// An item comes in; None once closed.
    pub(super) fn enter(&self) -> Option<Epoch> {
        self.book.lock().enter()
    }

    /// An item of `epoch` is through.
    pub(super) fn leave(&self, epoch: Epoch) {
        if self.book.lock().leave(epoch) {
            self.emptied.notify_all();
        }
    }

    /// Returns when all that entered before has left.
    pub(super) fn wait(&self) {
        let mut book = self.book.lock();
        let last = book.turn_page();
        while !book.is_over(last) {
            self.emptied.wait(&mut book);
        }
    }

    /// Closes for further items if all have left; true once closed.
    pub(super) fn close_if_empty(&self) -> bool {
        self.book.lock().close_if_empty()
    }

    /// Items submitted, and completed.
    pub(super) fn totals(&self) -> (u64, u64) {
        let book = self.book.lock();
        (book.submitted, book.completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_when_it_and_all_before_it_are_empty() {
        let mut book = Book::new();
        let first = book.enter().expect("open");
        assert_eq!(book.turn_page(), first);
        let second = book.enter().expect("open");
        assert_eq!(book.turn_page(), second);
        assert!(!book.leave(second));
        assert!(!book.is_over(second));
        assert!(book.leave(first));
        assert!(book.is_over(second));
        let empty = book.turn_page();
        assert!(book.is_over(empty));
    }

    #[test]
    fn it_closes_only_when_empty() {
        let mut book = Book::new();
        let epoch = book.enter().expect("open");
        assert!(!book.close_if_empty());
        book.leave(epoch);
        assert!(book.close_if_empty());
        assert!(book.enter().is_none());
    }
}
