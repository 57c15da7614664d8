//! What a pool works on.

/// Work in two phases.
///
/// An item that panics in either phase is dropped at its turn without (or within) `complete`, and its
/// pool refuses further items; so what waits for an item is released in the item's `Drop`.
pub trait WorkItem: Send {
    /// The parallel phase: on any worker, beside other items, with no lock of the pool held.
    fn run(&mut self);

    /// The second phase: once, after `run`, with no lock of the pool held. Items of one key complete
    /// one at a time in the order they were submitted, on whichever worker finds them next in line;
    /// others complete on the worker that ran them, at once.
    fn complete(self: Box<Self>);
}

/// Which items wait for each other between the two phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// None.
    Unordered,
    /// Those submitted before with the same key: one constant for a whole volume, or the file's id.
    Key(u64),
}
