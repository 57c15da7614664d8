//! One change of metadata, as the log keeps it: enough to make it again on an older tree.
//!
//! Records say what was done and not what a node looked like, so they survive any shape of the tree. A
//! change made in steps (a long truncation) is a record per step, as it is a change per step. Two kinds
//! are no changes of the tree: a page that was synced before it had an address (see `held`), and that such pages
//! are at home.
//!
//! Not here: their bytes (format), making them again (recover/replay).

use std::borrow::Cow;

use super::format;
use super::held::{DataNumber, LoggedPage};
use crate::compress::Codec;
use crate::meta::NewExtent;
use crate::meta::format::{COUNT_MAX, name_bytes_max, stored_bytes_max};
use crate::units::{FileId, FileRange, Generation};

/// What a change does to the size of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SizeChange {
    /// Nothing.
    Keep,
    /// At least so many bytes. Finished extents say this: two that end in another order than they were
    /// logged in leave the larger size.
    Grow(u64),
    /// Exactly so many bytes.
    Set(u64),
}

impl SizeChange {
    /// The size afterwards of a file that has `bytes`.
    pub(crate) fn of(self, bytes: u64) -> u64 {
        match self {
            Self::Keep => bytes,
            Self::Grow(to) => bytes.max(to),
            Self::Set(to) => to,
        }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record<'r> {
    /// A new empty file.
    Create { file: FileId, name: Cow<'r, str> },
    /// Another name; whoever had it is an orphan.
    Rename { file: FileId, name: Cow<'r, str> },
    /// The name is gone.
    Orphan { file: FileId },
    /// The file is gone; its mappings went before.
    Remove { file: FileId },
    /// An extent is on the device and takes the place of what its range showed.
    Finish {
        file: FileId,
        extent: Cow<'r, NewExtent>,
        size: SizeChange,
        /// Logged pages of its range with numbers before this are older.
        data_before: DataNumber,
    },
    /// A range shows nothing any more.
    Cut {
        file: FileId,
        range: FileRange,
        size: SizeChange,
        /// As of `Finish`.
        data_before: DataNumber,
    },
    /// What the tree has of a range is what the log has, up to these pages: they were logged while they were on their
    /// way home.
    Home {
        file: FileId,
        range: FileRange,
        data_before: DataNumber,
    },
    /// A page as a `sync` found it, which has no address yet.
    Data(Cow<'r, LoggedPage>),
}

impl Record<'_> {
    /// Could a volume with such nodes have logged this?
    pub(crate) fn is_possible(&self, node_bytes: u32) -> bool {
        let node_bytes = node_bytes as usize;
        match self {
            Self::Create { file, name } => {
                (1..COUNT_MAX).contains(&file.0) && name.len() <= name_bytes_max(node_bytes)
            }
            Self::Rename { name, .. } => name.len() <= name_bytes_max(node_bytes),
            Self::Finish { extent, .. } => {
                extent.disk.bytes <= stored_bytes_max(node_bytes)
                    && Codec::from_number(extent.codec).is_some()
            }
            Self::Orphan { .. }
            | Self::Remove { .. }
            | Self::Cut { .. }
            | Self::Home { .. }
            | Self::Data(_) => true,
        }
    }

    /// Whose change it is.
    pub(crate) fn file(&self) -> FileId {
        match self {
            Self::Create { file, .. }
            | Self::Rename { file, .. }
            | Self::Orphan { file }
            | Self::Remove { file }
            | Self::Finish { file, .. }
            | Self::Cut { file, .. }
            | Self::Home { file, .. } => *file,
            Self::Data(page) => page.file,
        }
    }
}

/// Records of changes that are made only once they are in the log, without a generation yet.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
}

impl Prepared {
    /// One more.
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        format::encode(record, Generation(0), &mut self.bytes);
        self.records += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{DiskExtent, DiskOffset};

    #[test]
    fn an_extent_of_no_codec_was_never_logged() {
        let finish = |codec| Record::Finish {
            file: FileId(1),
            extent: Cow::Owned(NewExtent {
                range: FileRange::new(0, 8192),
                disk: DiskExtent {
                    start: DiskOffset(1 << 20),
                    bytes: 4096,
                },
                ram_bytes: 8192,
                codec,
                checksums: vec![0],
            }),
            size: SizeChange::Keep,
            data_before: DataNumber::default(),
        };
        assert!(finish(Codec::Zstd.number()).is_possible(4096));
        assert!(!finish(200).is_possible(4096));
    }
}
