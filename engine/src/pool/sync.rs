//! The locks, threads and atomics of pools, from one place, so that the test of interleavings compiles
//! the same rooms against a scheduler of its own.

pub(super) use parking_lot::{Condvar, Mutex};
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::thread;
