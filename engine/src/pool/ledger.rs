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
    fn current(&self) -> u64 {
        self.oldest + self.left.len() as u64 - 1
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
            book: Mutex::new(Book {
                left: VecDeque::from([0]),
                oldest: 0,
                submitted: 0,
                completed: 0,
                closed: false,
            }),
            emptied: Condvar::new(),
        }
    }

    /// An item comes in; None once closed.
    pub(super) fn enter(&self) -> Option<Epoch> {
        let mut book = self.book.lock();
        if book.closed {
            return None;
        }
        *book.left.back_mut().expect("an epoch is current") += 1;
        book.submitted += 1;
        Some(Epoch(book.current()))
    }

    /// An item of `epoch` is through.
    pub(super) fn leave(&self, epoch: Epoch) {
        let mut book = self.book.lock();
        let index = usize::try_from(epoch.0 - book.oldest).expect("an epoch with items is kept");
        assert!(book.left[index] > 0, "an item leaves once");
        book.left[index] -= 1;
        book.completed += 1;
        if book.trim() {
            self.emptied.notify_all();
        }
    }

    /// Returns when all that entered before has left.
    pub(super) fn wait(&self) {
        let mut book = self.book.lock();
        let last = book.current();
        book.left.push_back(0);
        book.trim();
        while book.oldest <= last {
            self.emptied.wait(&mut book);
        }
    }

    /// Closes for further items if all have left.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut book = self.book.lock();
        if book.submitted == book.completed {
            book.closed = true;
        }
        book.closed
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
    fn an_epoch_ends_when_all_before_it_are_empty() {
        let ledger = Ledger::new();
        let first = ledger.enter().expect("open");
        ledger.book.lock().left.push_back(0);
        let second = ledger.enter().expect("open");
        ledger.leave(second);
        assert_eq!(ledger.book.lock().oldest, 0);
        ledger.leave(first);
        assert_eq!(ledger.book.lock().oldest, 1);
        ledger.wait();
        assert_eq!(ledger.totals(), (2, 2));
    }

    #[test]
    fn it_closes_only_when_empty() {
        let ledger = Ledger::new();
        let epoch = ledger.enter().expect("open");
        assert!(!ledger.close_if_empty());
        ledger.leave(epoch);
        assert!(ledger.close_if_empty());
        assert!(ledger.enter().is_none());
    }
}
