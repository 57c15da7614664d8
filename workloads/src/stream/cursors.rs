//! Where each file ends, whether it is there, and how often it was renamed: what the clients of a run share.
//!
//! Appends of several clients interleave; each takes its place with one atomic addition and none waits. A run
//! (one round on one target) starts with fresh cursors and keeps them through its phases, so that a log
//! goes on growing where the phase before left it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::op::FileSlot;
use crate::plan::LoadPlan;

/// The state of a load's files.
#[derive(Debug)]
pub struct Cursors {
    files: Vec<Cursor>,
}

#[derive(Debug, Default)]
struct Cursor {
    end: AtomicU64,
    exists: AtomicBool,
    renames: AtomicU32,
}

impl Cursors {
    /// No file is there.
    pub fn new(load: &LoadPlan) -> Self {
        Self {
            files: load.files.iter().map(|_| Cursor::default()).collect(),
        }
    }

    /// Takes `bytes` at the end of `file` and says where they start.
    pub fn append(&self, file: FileSlot, bytes: u64) -> u64 {
        let cursor = self.cursor(file);
        cursor.exists.store(true, Ordering::Relaxed);
        cursor.end.fetch_add(bytes, Ordering::Relaxed)
    }

    /// The file reaches at least to `bytes`.
    pub fn reach(&self, file: FileSlot, bytes: u64) {
        let cursor = self.cursor(file);
        cursor.exists.store(true, Ordering::Relaxed);
        cursor.end.fetch_max(bytes, Ordering::Relaxed);
    }

    /// The file ends after `bytes` from now on.
    pub fn truncate(&self, file: FileSlot, bytes: u64) {
        let cursor = self.cursor(file);
        cursor.exists.store(true, Ordering::Relaxed);
        cursor.end.store(bytes, Ordering::Relaxed);
    }

    /// The file is there and empty.
    pub fn create(&self, file: FileSlot) {
        self.truncate(file, 0);
    }

    /// The file is gone.
    pub fn remove(&self, file: FileSlot) {
        let cursor = self.cursor(file);
        cursor.exists.store(false, Ordering::Relaxed);
        cursor.end.store(0, Ordering::Relaxed);
    }

    /// Counts a rename of the file; the first is 1.
    pub fn rename(&self, file: FileSlot) -> u32 {
        let cursor = self.cursor(file);
        cursor.exists.store(true, Ordering::Relaxed);
        cursor.renames.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Is the file there?
    pub fn exists(&self, file: FileSlot) -> bool {
        self.cursor(file).exists.load(Ordering::Relaxed)
    }

    /// Where the file ends.
    pub fn bytes(&self, file: FileSlot) -> u64 {
        self.cursor(file).end.load(Ordering::Relaxed)
    }

    fn cursor(&self, file: FileSlot) -> &Cursor {
        &self.files[file.0 as usize]
    }
}
