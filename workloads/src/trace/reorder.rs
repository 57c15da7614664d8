//! Sorting what is nearly sorted: holds so many items and gives out the earliest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Items that wait for earlier ones.
#[derive(Debug)]
pub(crate) struct Reorder<T> {
    held: BinaryHeap<Reverse<Item<T>>>,
    held_max: usize,
    serial: u64,
}

#[derive(Debug)]
struct Item<T> {
    at_ns: u64,
    /// Those of one time keep their order.
    serial: u64,
    item: T,
}

impl<T> Item<T> {
    fn key(&self) -> (u64, u64) {
        (self.at_ns, self.serial)
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Reorder<T> {
    /// Holds `held_max` items.
    pub(crate) fn new(held_max: usize) -> Self {
        Self {
            held: BinaryHeap::new(),
            held_max,
            serial: 0,
        }
    }

    /// Takes an item in; gives the earliest out where that is one too many.
    pub(crate) fn push(&mut self, at_ns: u64, item: T) -> Option<T> {
        self.serial += 1;
        self.held.push(Reverse(Item {
            at_ns,
            serial: self.serial,
            item,
        }));
        (self.held.len() > self.held_max)
            .then(|| self.pop())
            .flatten()
    }

    /// The earliest.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.held.pop().map(|Reverse(item)| item.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displaced_by_less_than_is_held_comes_out_sorted() {
        let mut reorder = Reorder::new(3);
        let times = [30, 10, 20, 40, 40, 35, 60, 50];
        let mut out: Vec<(u64, usize)> = Vec::new();
        for (nth, at_ns) in times.into_iter().enumerate() {
            out.extend(reorder.push(at_ns, (at_ns, nth)));
        }
        out.extend(std::iter::from_fn(|| reorder.pop()));
        let mut sorted = out.clone();
        sorted.sort_unstable();
        assert_eq!(out, sorted, "and those of one time keep their order");
        assert_eq!(out.len(), times.len());
    }
}
