//! Names of files, and the inodes in memory. A flat set of names; `/` in one means nothing.
//!
//! The tree holds names durably, inside inode items; this map is read from it at open and changed
//! together with it. One lock, the outermost of the engine: it is held over the change of metadata
//! that belongs to a change of names, never over data.
//!
//! ```text
//!   Linked --remove, nobody has it open--> Gone
//!      '----remove or replaced, open-----> Orphan --last handle--> Gone
//! ```
//!
//! An orphan that a crash leaves behind is removed at the next open.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::error::{EngineError, Result};
use crate::inode::Inode;
use crate::units::FileId;

/// What is known of the files that have a name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) by_name: BTreeMap<String, FileId>,
    pub(crate) openers: HashMap<FileId, usize>,
}

/// Names, openers and inodes.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    names: Mutex<Names>,
    /// A leaf lock of its own: eviction asks it for every page, from anywhere.
    inodes: RwLock<HashMap<FileId, Arc<Inode>>>,
}

impl Namespace {
    /// The names, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock()
    }

    /// The inode of `file`, if it is in memory.
    pub(crate) fn inode(&self, file: FileId) -> Option<Arc<Inode>> {
        self.inodes.read().get(&file).map(Arc::clone)
    }

    /// Every inode in memory, by number: what is done to all of them is done in one order.
    pub(crate) fn inodes(&self) -> Vec<Arc<Inode>> {
        let mut inodes: Vec<_> = self.inodes.read().values().map(Arc::clone).collect();
        inodes.sort_unstable_by_key(|inode| inode.id);
        inodes
    }

    /// Adds an inode.
    pub(crate) fn insert(&self, inode: Arc<Inode>) {
        let before = self.inodes.write().insert(inode.id, inode);
        assert!(before.is_none(), "a file has one inode");
    }

    /// Forgets an inode whose bytes are gone.
    pub(crate) fn forget(&self, file: FileId) {
        self.inodes.write().remove(&file);
    }
}

impl Names {
    /// The file named `name`.
    pub(crate) fn find(&self, name: &str) -> Result<FileId> {
        self.by_name
            .get(name)
            .copied()
            .ok_or_else(|| EngineError::NotFound(name.to_owned()))
    }

    /// One more handle of `file`.
    pub(crate) fn opened(&mut self, file: FileId) {
        *self.openers.entry(file).or_insert(0) += 1;
    }

    /// One handle of `file` less; true if it was the last.
    pub(crate) fn closed(&mut self, file: FileId) -> bool {
        let count = self
            .openers
            .get_mut(&file)
            .expect("an open file is counted");
        *count -= 1;
        let last = *count == 0;
        if last {
            self.openers.remove(&file);
        }
        last
    }

    /// Somebody has `file` open.
    pub(crate) fn is_open(&self, file: FileId) -> bool {
        self.openers.contains_key(&file)
    }
}

/// Refuses what cannot be a name.
pub(crate) fn check_name(name: &str, bytes_max: usize) -> Result<()> {
    if name.is_empty() || name.len() > bytes_max {
        return Err(EngineError::Invalid(format!(
            "a file name has 1 to {bytes_max} bytes; this one has {}",
            name.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_handle_is_known() {
        let mut names = Names::default();
        names.opened(FileId(1));
        names.opened(FileId(1));
        assert!(!names.closed(FileId(1)));
        assert!(names.closed(FileId(1)));
        assert!(!names.is_open(FileId(1)));
    }

    #[test]
    fn a_name_has_bytes_but_not_too_many() {
        assert!(check_name("", 255).is_err());
        assert!(check_name(&"x".repeat(255), 255).is_ok());
        assert!(check_name(&"x".repeat(256), 255).is_err());
    }
}
