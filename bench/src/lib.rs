//! The workbench: workloads replayed against the engine and against filesystems beside it.
//!
//! ```text
//!   arguments --args--> plan --> for each cell, in interleaved order
//!                                  target (engine | directory | null)
//!                                  replay (clients, schedule, checks)  --> Cell
//!                                record + events + report  <--------------'
//! ```
//!
//! The only crate that knows all the others: `delalloc-workloads` yields operations and knows no
//! target, `delalloc-engine` is one target of several, `delalloc-results` holds named numbers and
//! does not know what was measured. All glue is here and nowhere else.
//!
//! It is a library so that tests and benches can drive it; `main.rs` adds the exit code.
#![forbid(unsafe_code)]

pub mod ab;
pub mod args;
mod asserts;
pub mod cmd;
mod contents;
pub mod failure;
pub mod gate_args;
pub mod host;
pub mod mount;
pub mod out;
pub mod plan;
pub mod progress;
pub mod recorder;
pub mod replay;
pub mod run;
pub mod signals;
pub mod spark;
pub mod stamp;
pub mod surroundings;
pub mod table;
pub mod targets;
