//! Keys: where in the tree an item is.

use crate::units::{DiskOffset, FileId};

/// What an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ItemKind {
    /// The lowest key of any object; no item has it.
    Lowest = 0,
    /// A file: (file, Inode, 0).
    Inode = 1,
    /// A mapping: (file, FileExtent, offset in the file).
    FileExtent = 2,
    /// A stored extent, its references and checksums: (`STORED_OBJECT`, Stored, disk address).
    Stored = 3,
}

/// The object of all stored extents. Highest, so that ascending addresses append to the tree.
pub(crate) const STORED_OBJECT: u64 = u64::MAX;

/// The address of an item in the tree, ordered by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// A file's number, or the object of all stored extents.
    pub object: u64,
    /// What the item is about.
    pub kind: ItemKind,
    /// Within object and kind.
    pub offset: u64,
}

impl Key {
    /// Not above any key.
    pub const LOWEST: Self = Self {
        object: 0,
        kind: ItemKind::Lowest,
        offset: 0,
    };

    /// The key of a file's inode.
    pub(crate) fn inode(file: FileId) -> Self {
        Self {
            object: file.0,
            kind: ItemKind::Inode,
            offset: 0,
        }
    }

    /// The key of the mapping that starts at `offset`.
    pub(crate) fn file_extent(file: FileId, offset: u64) -> Self {
        Self {
            object: file.0,
            kind: ItemKind::FileExtent,
            offset,
        }
    }

    /// The key of the extent stored at `at`.
    pub(crate) fn stored(at: DiskOffset) -> Self {
        Self {
            object: STORED_OBJECT,
            kind: ItemKind::Stored,
            offset: at.0,
        }
    }
}
