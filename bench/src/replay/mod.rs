//! Replaying a load against a target: clients, schedule, checks, phases, cells.
//!
//! ```text
//!   cell (one target, one sweep point, one round)
//!     phase (jobs side by side)
//!       client (one stream of operations)  -- pacer, recorder, verify
//! ```
//!
//! Clients are threads in real time, or take turns on one thread where the target has a time of its own.

pub mod calibrate;
pub mod cell;
pub mod client;
pub mod files;
pub mod gates;
pub mod lateness;
pub mod making;
pub mod order;
pub mod pacer;
pub mod phase;
pub mod precedence;
mod recordings;
mod sampler;
mod segment;
mod size;
mod start_line;
pub mod steady;
pub mod tape;
mod threads;
mod turns;
pub mod verify;
pub mod versions;
pub mod window;
