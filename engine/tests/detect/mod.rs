//! Short tests as plain functions, each of which sees some of the deliberate breakages.
//!
//! They panic where something is wrong and count what they have tried. They are quick and see the thing
//! they are for; the tests that are thorough about it are beside this folder.
//!
//! Users name `support` and `crash` beside this module.

pub(crate) mod device;
pub(crate) mod failures;
pub(crate) mod faults;
pub(crate) mod logs;
pub(crate) mod meanwhile;
pub(crate) mod order;
pub(crate) mod overwrite;
pub(crate) mod reads;
pub(crate) mod sequences;
pub(crate) mod sizes;

use std::sync::atomic::{AtomicU64, Ordering};

static CASES: AtomicU64 = AtomicU64::new(0);

/// One more case begins.
pub(crate) fn case() {
    CASES.fetch_add(1, Ordering::Relaxed);
}

/// Cases of this process so far, crash images included.
pub(crate) fn cases() -> u64 {
    CASES.load(Ordering::Relaxed) + crate::crash::survey::looked()
}
