//! A record in other tools' shapes, and the log a run leaves while it runs.
//!
//! `event.rs` is written during the run, one line per thing that happened; `salvage.rs` makes a
//! record of what a killed run left there. `csv.rs` is tidy tables (one row per cell, phase and
//! operation; one per interval; one per time that a target took itself; one per counter), `hdr_log.rs` the interval log that HDR tools read, `go_bench.rs` lines
//! for benchstat.

mod csv;
mod event;
mod go_bench;
mod hdr_log;
mod salvage;

pub use csv::{cells_csv, counters_csv, intervals_csv, times_csv};
pub(crate) use csv::{harmless, quote};
pub use event::{CellKey, Event, EventLog};
pub use go_bench::go_bench;
pub use hdr_log::hdr_log;
pub(crate) use salvage::salvage_bytes;
pub use salvage::{Salvaged, salvage};
