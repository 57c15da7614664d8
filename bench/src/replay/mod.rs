//! Replaying a load against a target: clients, schedule, checks, phases, cells.
//!
//! ```text
//!   cell (one target, one sweep point, one round)
//!     phase (jobs side by side)
//!       client (one stream of operations)  -- pacer, recorder, verify
//! ```

pub mod calibrate;
pub mod cell;
pub mod client;
pub mod files;
pub mod order;
pub mod pacer;
pub mod phase;
pub mod verify;
pub mod versions;
