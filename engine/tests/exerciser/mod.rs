//! A volume driven by long random sequences of operations, compared with a model in memory.
//!
//! ```text
//!   seed --> Setup (knobs, device, node size)
//!        '-> Ops: Step, Step, Step ...         what is done does not depend on what happened
//!                 '--> Exerciser: volume and Model side by side --> Mismatch
//!                                                                    '--> shrink: the steps that matter
//! ```
//!
//! A step says all of itself, and a step that has nothing to work on (a read of a file that is not
//! there) is still a valid one, so that any part of a sequence is a sequence: that is what makes
//! shrinking possible. The seed of a failure is enough to run it again; what threads do in between
//! is not in the seed, so shrinking tries a shorter sequence several times before it believes in it.
//!
//! Rooms: what is done (ops, content), on what (setup), what should be there (model), doing both
//! (run, image), telling of a failure (report, shrink), many seeds at once (fleet).

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in the crate that uses all of it"
)]

pub(crate) mod content;
pub(crate) mod fleet;
pub(crate) mod image;
pub(crate) mod model;
pub(crate) mod ops;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod setup;
pub(crate) mod shrink;
