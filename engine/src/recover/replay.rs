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
use crate::meta::format::Malformed;
use crate::mutation::{self, Mutation};
use crate::units::FileId;

impl Logged {
    /// Makes every change again, in order. Returns the files that were changed.
    pub(crate) fn replay(&self, meta: &Metadata) -> Result<BTreeSet<FileId>> {
        let mut files = BTreeSet::new();
        for batch in &self.batches {
            let mut records: Vec<_> = batch.records.iter().map(|(_, record)| record).collect();
            if mutation::on(Mutation::LogReversed) {
                records.reverse();
            }
            for record in records {
                if !fits(meta, record)? {
                    let (expected, found) = ("a change that fits", format!("{record:?}"));
                    let malformed = Malformed::new("record of the log", expected, found);
                    return Err(malformed.at(batch.address));
                }
                replay(meta, record)?;
                files.insert(record.file());
            }
        }
        Ok(files)
    }
}

/// Changes that the tree would take, and that would leave it in pieces: a file in place of another, mappings or
/// a name without a file.
fn fits(meta: &Metadata, record: &Record<'_>) -> Result<bool> {
    Ok(match record {
        Record::Create { file, .. } => meta.inode(*file)?.is_none(),
        Record::Remove { file } => {
            meta.inode(*file)?.is_none_or(|inode| inode.orphan) && meta.extents(*file)?.is_empty()
        }
        _ => true,
    })
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
