//! The locks of the log, from one place, so that the test of interleavings compiles the same rooms
//! against a scheduler of its own.

pub(super) use parking_lot::{Condvar, Mutex};
