//! What files show of one stored extent, summed up while their mappings pass.
//!
//! All mappings of a stored extent are of one file and agree on where in it the extent begins; so their
//! parts of the extent are apart if their ranges in the file are.
//!
//! An extent that counts less than is shown of it is freed while a file still shows it, and its sectors are
//! given to others: such a volume is not written to. One that counts more is never freed.
//!
//! Not here: what follows from a difference (check, open).

use crate::meta::{FileExtent, StoredExtent};
use crate::units::FileId;

/// What files show of a stored extent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// A file that shows it.
    pub(super) file: FileId,
    /// Where in the file the extent begins.
    begins: i128,
    pub(super) disk_bytes: u64,
    ram_bytes: u64,
    pub(super) codec: u8,
    pub(super) refs: u32,
    pub(super) live_bytes: u64,
    /// Those of them that the log takes away when the volume opens.
    pub(super) cut_bytes: u64,
}

impl Shown {
    /// What the first mapping that passes says of its extent; nothing is counted yet.
    pub(super) fn by(file: FileId, extent: &FileExtent) -> Self {
        Self {
            file,
            begins: begins(extent),
            disk_bytes: extent.disk.bytes,
            ram_bytes: extent.ram_bytes,
            codec: extent.codec,
            refs: 0,
            live_bytes: 0,
            cut_bytes: 0,
        }
    }

    /// Counts a mapping; returns about what it disagrees with the first one.
    pub(super) fn count(&mut self, file: FileId, extent: &FileExtent) -> Option<&'static str> {
        self.refs += 1;
        self.live_bytes += extent.length;
        let agreed = [
            ("whose it is", self.file == file),
            ("where in the file it begins", self.begins == begins(extent)),
            ("its stored bytes", self.disk_bytes == extent.disk.bytes),
            ("its plain bytes", self.ram_bytes == extent.ram_bytes),
            ("its codec", self.codec == extent.codec),
        ];
        let disputed = agreed.into_iter().find(|(_, same)| !same);
        disputed.map(|(what, _)| what)
    }

    /// About what the extent itself disagrees with those who show it, its counts apart.
    pub(super) fn dispute(&self, stored: &StoredExtent) -> Option<&'static str> {
        let same = self.disk_bytes == stored.disk.bytes && self.ram_bytes == stored.ram_bytes;
        (!same).then_some("its sizes")
    }

    /// Does the extent count less than is shown of it?
    pub(super) fn exceeds(&self, stored: &StoredExtent) -> bool {
        self.refs > stored.refs || self.live_bytes > stored.live_bytes
    }

    /// Does the log take away what cannot be taken from the extent? Where that is not there, it is any byte.
    /// Where one of its counts is too large and the other right, it is the last byte: only one would be zero.
    pub(super) fn stops_replay(&self, stored: Option<&StoredExtent>) -> bool {
        let Some(stored) = stored else {
            return self.cut_bytes > 0;
        };
        let (refs, live_bytes) = (self.refs, self.live_bytes);
        let is_one_too_large = (stored.refs > refs) != (stored.live_bytes > live_bytes);
        is_one_too_large && self.cut_bytes == live_bytes
    }
}

fn begins(extent: &FileExtent) -> i128 {
    i128::from(extent.file_start) - i128::from(extent.offset_in_extent)
}
