//! Pools of workers for work in two phases: parallel first, then in order.
//!
//! ```text
//!   submit ----> queue discipline ----> run()        any worker, beside others
//!     |          (seed.rs, shared.rs)     |
//!     '--> place in its line -----------> complete() one at a time per key, in submission order
//!          (ordered.rs)
//! ```
//!
//! A pool is a shell of threads (threads.rs) round a discipline: which worker gets an item, and when
//! another worker is worth having. The disciplines differ in nothing else, so a comparison of two
//! pools compares just that. Refused: three whole pools side by side, whose differences would be
//! measured with everything else that differs between them.
//!
//! Locks: the discipline's, the line's and the ledger's; none is ever held with another, nor while an
//! item runs, completes or drops, nor while a thread starts. So an item may submit to any pool, also
//! to its own, and may take any lock of its owner.
//!
//! Not here: how many bytes may be queued (the owner's budget bounds what it submits).

mod active;
mod config;
mod draw;
mod face;
mod grow;
mod item;
mod ledger;
mod ordered;
mod seed;
mod shared;
mod start;
mod stats;
mod stepped;
mod sync;
mod threads;

pub use config::{PoolConfig, PoolKind};
pub(crate) use draw::Draw;
pub use face::{Pool, Refused};
pub use item::{Order, WorkItem};
pub use ordered::{Ordered, Place};
pub use start::start;
pub use stats::{PoolStats, Series};
pub use stepped::SteppedPool;
pub(crate) use threads::said;
