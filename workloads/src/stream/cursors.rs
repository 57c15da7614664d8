//! Where each file ends: the one thing that the clients of a run share.
//!
//! Appends of several clients interleave; each takes its place with one atomic addition and none waits. A run
//! (one round on one target) starts with fresh cursors and keeps them through its phases, so that a log
//! goes on growing where the phase before left it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::op::FileSlot;
use crate::plan::LoadPlan;

/// The ends of a load's files.
#[derive(Debug)]
pub struct Cursors {
    ends: Vec<AtomicU64>,
}

impl Cursors {
    /// Every file is empty.
    pub fn new(load: &LoadPlan) -> Self {
        Self {
            ends: load.files.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Takes `bytes` at the end of `file` and says where they start.
    pub fn append(&self, file: FileSlot, bytes: u64) -> u64 {
        self.end(file).fetch_add(bytes, Ordering::Relaxed)
    }

    /// The file ends after `bytes` from now on.
    pub fn set(&self, file: FileSlot, bytes: u64) {
        self.end(file).store(bytes, Ordering::Relaxed);
    }

    /// The file reaches at least to `bytes`.
    pub fn reach(&self, file: FileSlot, bytes: u64) {
        self.end(file).fetch_max(bytes, Ordering::Relaxed);
    }

    /// Where the file ends.
    pub fn bytes(&self, file: FileSlot) -> u64 {
        self.end(file).load(Ordering::Relaxed)
    }

    fn end(&self, file: FileSlot) -> &AtomicU64 {
        &self.ends[file.0 as usize]
    }
}
