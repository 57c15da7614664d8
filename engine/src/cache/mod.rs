//! The page cache: frames that hold bytes, the map of each file's pages, and who has to go.
//!
//! ```text
//!   file mutex ----------- PageMap: index -> Page { Frame, referenced, populated, queued }
//!                              |  clean pages are announced      ^ try_evict, one file at a time
//!                              v                                 |
//!   queue lock ----------- Reclaimer: CLOCK over (file, page) ---'
//!                              ^ asks for frames
//!   pool lock ------------ FramePool: counts every frame until its last handle drops
//! ```
//!
//! Lock order: file mutex > pool lock. The queue lock is held with no other: pages are announced
//! after the file mutex is dropped, and a file is asked only after the queue lock is dropped.
//! Pages announced are news for `FramePool::note_progress`.
//!
//! Not here: which ranges are dirty (extent), when they are written (writeback).

mod frame;
mod page_map;
mod reclaim;

pub use frame::{Charge, Frame, FramePool, FramePoolStats, Reclaim, Reclaimed};
pub use page_map::{Page, PageMap};
pub use reclaim::{Evict, Eviction, Evictor, Reclaimer, ReclaimerStats};
