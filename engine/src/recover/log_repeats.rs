//! An extent may stand in the log twice, and then it is one extent.
//!
//! Express lanes log an extent before the tree has it, and once more where a commit overtook it or its size
//! has grown. Addresses are not used again while the log may hold them, so the address is the tell that a
//! replay goes by. A log that gives one address to two changes was written by nobody: replayed, it would
//! leave a hole where the second should be, or free the first one twice.
//!
//! Not here: which batches count (log_scan).

use std::collections::HashMap;

use super::log_scan::LoggedBatch;
use crate::error::Result;
use crate::extent::IntervalMap;
use crate::log::Record;
use crate::meta::NewExtent;
use crate::meta::format::{Decoded, Malformed};
use crate::units::{DiskOffset, FileId, FileRange};

/// Whoever comes again is what it was: the same extent in the same place of the same file, and nothing has
/// taken a part of that place since.
///
/// # Errors
/// `Corrupt` names the batch of the first that is not.
pub(super) fn check_repeats(batches: &[LoggedBatch]) -> Result<()> {
    let mut finished = Finished::default();
    for batch in batches {
        for (_, record) in &batch.records {
            let passed = finished.pass(record);
            passed.map_err(|malformed| malformed.at(batch.address))?;
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Finished<'l> {
    by_address: HashMap<DiskOffset, (FileId, &'l NewExtent)>,
    /// Which of them files show.
    shown: HashMap<FileId, IntervalMap<DiskOffset>>,
}

impl<'l> Finished<'l> {
    fn pass(&mut self, record: &'l Record<'static>) -> Decoded<()> {
        match record {
            Record::Finish { file, extent, .. } => {
                let at = extent.disk.start;
                let Some(&known) = self.by_address.get(&at) else {
                    self.by_address.insert(at, (*file, extent));
                    self.take(*file, extent.range, Some(at));
                    return Ok(());
                };
                if known != (*file, &**extent) || !self.is_whole(*file, extent) {
                    let found = format!("{record:?} after {known:?}");
                    let expected = "an address for one extent";
                    return Err(Malformed::new("record of the log", expected, found));
                }
            }
            Record::Cut { file, range, .. } => self.take(*file, *range, None),
            _ => {}
        }
        Ok(())
    }

    /// `range` of a file shows this from now on, or nothing.
    fn take(&mut self, file: FileId, range: FileRange, what: Option<DiskOffset>) {
        let shown = self.shown.entry(file).or_default();
        let range = range.start..range.end;
        match what {
            Some(at) => shown.insert(range, &at),
            None => shown.remove(range),
        }
    }

    fn is_whole(&self, file: FileId, extent: &NewExtent) -> bool {
        let range = extent.range.start..extent.range.end;
        let shown = self.shown.get(&file);
        shown.is_some_and(|shown| {
            let mut found = shown.overlapping(range.clone());
            found.next() == Some((range, &extent.disk.start))
        })
    }
}
