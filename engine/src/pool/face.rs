//! What every pool answers to.

use std::fmt::{self, Debug};

use super::item::{Order, WorkItem};
use super::stats::PoolStats;

/// What a pool does not take, and why.
pub struct Refused {
    /// The item, as it came.
    pub item: Box<dyn WorkItem>,
    /// A sentence that names the pool.
    pub why: String,
}

impl Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({})", self.why)
    }
}

/// A pool of workers. Dropping it shuts it down.
pub trait Pool: Send + Sync + Debug {
    /// Queues `item`; its place in the order of its key is fixed before this returns. Never waits for
    /// other items, and may be called from within an item.
    ///
    /// # Errors
    /// After `shutdown`, and after an item of this pool has panicked: what that item stood for is lost,
    /// and nothing may be built on it.
    fn try_submit(&self, item: Box<dyn WorkItem>, order: Order) -> Result<(), Refused>;

    /// The same, for who cannot go on without it.
    ///
    /// # Panics
    /// Where `try_submit` refuses.
    fn submit(&self, item: Box<dyn WorkItem>, order: Order) {
        if let Err(refused) = self.try_submit(item, order) {
            panic!("{}", refused.why);
        }
    }

    /// Whether an item has panicked, and then which pool's, with what it said. Takes no lock.
    fn poisoned(&self) -> Option<String>;

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
