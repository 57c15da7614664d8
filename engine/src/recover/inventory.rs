//! What an image holds, file by file and extent by extent, as a check passes it.
//!
//! Shown while the walk goes on and kept by nobody, so an image of any size can be listed.
//!
//! Not here: what is wrong with it (issue), the walk (check).

use crate::meta::Inode;
use crate::units::{DiskExtent, FileId};

/// Something an image holds.
#[derive(Debug)]
pub enum Entry<'e> {
    /// A file, after its mappings have passed.
    File(&'e FileEntry),
    /// A stored extent that files show.
    Extent(&'e ExtentEntry),
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its inode.
    pub inode: Inode,
    /// Its mappings.
    pub mappings: u64,
    /// Plain bytes they show; the rest of the file is holes.
    pub mapped_bytes: u64,
    /// The part of the stored bytes that belongs to what is shown. What is dead belongs to no file.
    pub stored_bytes: u64,
}

/// A stored extent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtentEntry {
    /// Where it is.
    pub disk: DiskExtent,
    /// The file that shows it.
    pub file: FileId,
    /// The number of its codec.
    pub codec: u8,
    /// Plain bytes it holds.
    pub plain_bytes: u64,
    /// Plain bytes files show; fewer than all make it a bookend.
    pub live_bytes: u64,
    /// Mappings that show it.
    pub refs: u32,
}

impl ExtentEntry {
    /// Plain bytes nobody shows.
    pub fn dead_bytes(&self) -> u64 {
        self.plain_bytes.saturating_sub(self.live_bytes)
    }
}
