//! What every pool answers to.

use std::fmt::Debug;

use super::item::{Order, WorkItem};
use super::stats::PoolStats;

/// A pool of workers. Dropping it shuts it down.
pub trait Pool: Send + Sync + Debug {
    /// Queues `item`; its place in the order of its key is fixed before this returns. Never waits for
    /// other items, and may be called from within an item.
    ///
    /// # Panics
    /// After `shutdown`, and after an item of this pool has panicked: what that item stood for is lost,
    /// and nothing may be built on it.
    fn submit(&self, item: Box<dyn WorkItem>, order: Order);

    /// What happened since the start. Numbers of different kinds may be of slightly different moments.
    fn stats(&self) -> PoolStats;

    /// Returns when everything submitted before the call has completed; what comes later is not waited
    /// for.
    ///
    /// # Panics
    /// On a thread of this pool, which would wait for itself.
    fn drain(&self);

    /// Drains, also what items submit meanwhile, then ends and joins all threads. Further calls do
    /// nothing.
    ///
    /// # Panics
    /// On a thread of this pool, which would wait for itself.
    fn shutdown(&self);
}
