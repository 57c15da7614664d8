//! Making the changes of the log again, on the tree of the newest superblock.
//!
//! All of it happens in memory, on a volume that nobody else has yet, and one commit makes it durable. A
//! crash before that commit finds superblock and log as they were, so replay begins anew: nothing is
//! written over what the log points to, because its extents count as allocated from the start.
//!
//! An extent can be in the log twice: once before its change, once more because a commit came in
//! between. Its address is the tell: addresses are not used again while the log may hold them.
//!
//! Not here: which records count (log_scan).

use std::collections::BTreeSet;

use super::log_scan::Logged;
use crate::alloc::Reserve;
use crate::error::Result;
use crate::log::Record;
use crate::meta::Metadata;
use crate::units::FileId;

impl Logged {
    /// Makes every change again, in order. Returns the files that were changed.
    pub(crate) fn replay(&self, meta: &Metadata) -> Result<BTreeSet<FileId>> {
        let mut files = BTreeSet::new();
        for record in self.records() {
            replay(meta, record)?;
            files.insert(record.file());
        }
        Ok(files)
    }
}

fn replay(meta: &Metadata, record: &Record<'_>) -> Result<()> {
    match record {
        Record::Create { file, name } => meta
            .create_as(name, Some(*file), Reserve::All)
            .map(|_number| ()),
        Record::Rename { file, name } => meta.rename(*file, name, meta.find(name)),
        Record::Orphan { file } => meta.set_orphan(*file),
        Record::Remove { file } => meta.remove_inode(*file),
        Record::Finish { extent, .. } if meta.is_stored(extent.disk.start)? => Ok(()),
        Record::Finish { file, extent, size } => meta.finish_logged(*file, extent, *size, None),
        Record::Cut { file, range, size } => {
            meta.cut_logged(*file, *range, *size, Reserve::All, None)
        }
    }
}
