//! What the engine shows: where time goes, stage by stage, and what its counts add up to.
//!
//! ```text
//!   live, always on                      a moment                 between two moments
//!   Stats (atomics), counts of    --->   EngineStats   --since->  EngineStats  --->  rows
//!   pools, cache, dirty, metadata        plain numbers            plain numbers      name, value, unit
//! ```
//!
//! Not here: histograms of the harness (it measures operations, these are stages).

mod live;
mod snapshot;
mod stage;
mod stall;
mod table;

pub use live::{CounterStats, StageTimes, Stats};
pub use snapshot::EngineStats;
pub use stage::{Passage, StageSnapshot, StageStats};
pub(crate) use stall::{HeldUp, StallTimers};
pub use stall::{Stall, StallTimes, Stalls};
pub use table::Row;
