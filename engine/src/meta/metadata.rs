//! The face of metadata: the tree, the space and the superblocks behind one lock order.

use std::sync::Arc;

use delalloc_backends::Backend;

use super::types::{FileExtent, FormatOptions, Inode, Mapping, MetaConfig, MetaStats, NewExtent};
use crate::alloc::{Reservation, Space};
use crate::error::Result;
use crate::units::{DiskExtent, FileId, FileRange, Generation};

/// Tree, space, superblocks and generation of an open volume.
#[derive(Debug)]
pub struct Metadata {
    space: Arc<Space>,
}

impl Metadata {
    /// Makes an empty volume: an empty tree, both superblocks, flushed.
    pub fn format(_backend: &dyn Backend, _options: &FormatOptions) -> Result<()> {
        unimplemented!()
    }

    /// Opens the newest whole superblock, walks its tree and derives the free space.
    pub fn open(_backend: Arc<dyn Backend>, _config: MetaConfig) -> Result<Arc<Self>> {
        unimplemented!()
    }

    /// The device's space. Allocation and release go there directly.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Promises `bytes` of data and their metadata; commits first where only pinned space is left.
    pub fn reserve(&self, _bytes: u64) -> Result<Reservation> {
        unimplemented!()
    }

    /// Every file, orphans included, by number.
    pub fn inodes(&self) -> Result<Vec<Inode>> {
        unimplemented!()
    }

    /// One file.
    pub fn inode(&self, _file: FileId) -> Result<Option<Inode>> {
        unimplemented!()
    }

    /// A new empty file; `Exists` where the name is taken.
    pub fn create(&self, _name: &str) -> Result<FileId> {
        unimplemented!()
    }

    /// Gives a file a new name; `replace`, which has that name, becomes an orphan in the same step.
    pub fn rename(&self, _file: FileId, _name: &str, _replace: Option<FileId>) -> Result<()> {
        unimplemented!()
    }

    /// Takes a file's name away; the file stays until `remove_file`, or until the next open lists it.
    pub fn set_orphan(&self, _file: FileId) -> Result<()> {
        unimplemented!()
    }

    /// Drops a file's extents in bounded atomic steps, then the file.
    pub fn remove_file(&self, _file: FileId) -> Result<()> {
        unimplemented!()
    }

    /// What is at `offset` of `file`.
    pub fn lookup(&self, _file: FileId, _offset: u64) -> Result<Mapping> {
        unimplemented!()
    }

    /// Every extent of `file`, in order.
    pub fn extents(&self, _file: FileId) -> Result<Vec<FileExtent>> {
        unimplemented!()
    }

    /// CRC32C of each 4 KiB of a stored extent.
    pub fn checksums(&self, _disk: DiskExtent) -> Result<Vec<u32>> {
        unimplemented!()
    }

    /// One atomic change: what the range showed before is dropped, trimmed or split, the new extent
    /// takes its place, and the file's size becomes `disk_size` if given. Device bytes no mapping
    /// points to any more are pinned.
    pub fn finish_extent(
        &self,
        _file: FileId,
        _extent: &NewExtent,
        _disk_size: Option<u64>,
    ) -> Result<()> {
        unimplemented!()
    }

    /// Makes a hole of whole pages; atomic up to some thousands of extents, in steps beyond.
    pub fn punch(&self, _file: FileId, _range: FileRange, _disk_size: Option<u64>) -> Result<()> {
        unimplemented!()
    }

    /// Sets the size and drops every whole page past it. The bytes between `size_bytes` and the end of
    /// its page stay stored: the caller writes zeros there before the file grows again.
    pub fn truncate(&self, _file: FileId, _size_bytes: u64) -> Result<()> {
        unimplemented!()
    }

    /// Makes every change made so far durable. Concurrent callers share one commit.
    pub fn commit(&self) -> Result<Generation> {
        unimplemented!()
    }

    /// Bytes of nodes changed and not yet written.
    pub fn dirty_node_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// The front gate: returns at once below it, writes dirty nodes on the caller's time above it.
    pub fn balance_metadata(&self) -> Result<()> {
        unimplemented!()
    }

    /// The flush gate, for a background service: writes a batch of dirty nodes while there are more
    /// bytes of them than the gate. Returns the bytes written; 0 means below the gate.
    pub fn write_some_dirty_nodes(&self) -> Result<u64> {
        unimplemented!()
    }

    /// A snapshot of the numbers.
    pub fn stats(&self) -> MetaStats {
        unimplemented!()
    }
}
