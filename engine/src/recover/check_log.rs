//! The part of a check that is about the log: what an open would do with it, without doing it.
//!
//! Batches are scanned as an open does, before the tree is walked: of files that the log removes the walk
//! remembers what they show, and of each stored extent how much of it the log takes away. Each record must be
//! about a file that is there at that point, and a file that goes must show nothing any more. The extents they
//! bring have an owner's right to their sectors like any other, and the data of every batch that counts is
//! compared with its checksums. A last batch that does not count is what a crash may leave.
//!
//! Not here: scanning (log_scan), the tree (check), names (names).

use super::check::Check;
use super::issue::Issue;
use super::log_scan::{self, Logged};
use super::stored_data::{ShownAs, StoredData};
use crate::extent::IntervalMap;
use crate::log::Record;
use crate::units::{FileId, FileRange};

impl Check<'_> {
    /// Reads the log; the tree is walked next.
    pub(super) fn scan_log(&mut self) -> Option<Logged> {
        let log = self.superblock.log.extent;
        if log.bytes > 0 {
            self.owned.push(log);
            self.report.log_bytes = log.bytes;
        }
        let scanned = log_scan::scan(self.backend, self.superblock).and_then(|logged| {
            let held = logged.held();
            held.map_err(|malformed| malformed.at(log.start))?;
            Ok(logged)
        });
        let logged = match scanned {
            Ok(logged) => logged,
            Err(error) => {
                let at = log.start;
                self.report.add(Issue::LogUnusable { at, error });
                return None;
            }
        };
        for record in logged.records() {
            if let Record::Remove { file } = record {
                self.removed.entry(*file).or_default();
            }
        }
        self.cuts = logged.cuts();
        Some(logged)
    }

    /// Checks what was read of the log; the tree has been walked.
    pub(super) fn log(&mut self, logged: &Logged) {
        if let Some(missing) = logged.missing {
            self.report.add(Issue::LogEndDropped { missing });
        }
        self.report.log_batches = logged.batches.len() as u64;
        self.report.log_records = logged.records().count() as u64;
        self.log_extents(logged);
        self.log_files(logged);
    }

    fn log_extents(&mut self, logged: &Logged) {
        let extents = logged.extents();
        self.report.logged_bytes = extents.iter().map(|extent| extent.bytes).sum();
        self.owned.extend(extents);
        for record in logged.records() {
            let Record::Finish { file, extent, .. } = record else {
                continue;
            };
            let verified = self.data.push(StoredData {
                extent: extent.disk,
                checksums: extent.checksums.clone(),
                shown: Some(ShownAs {
                    file: *file,
                    codec: extent.codec,
                    plain_bytes: extent.ram_bytes,
                }),
            });
            self.report.add_verified(verified);
        }
    }

    /// Every record finds its file, and every name is free when it is taken.
    fn log_files(&mut self, logged: &Logged) {
        for batch in &logged.batches {
            for (_, record) in &batch.records {
                let file = record.file();
                let known = self.names.knows(file);
                let fits = match record {
                    Record::Create { name, .. } => self.names.create(file, name),
                    Record::Rename { name, .. } => self.names.rename(file, name),
                    Record::Orphan { .. } => self.names.orphan(file),
                    Record::Remove { .. } => {
                        let shows_nothing =
                            self.removed.get(&file).is_none_or(IntervalMap::is_empty);
                        self.names.remove(file) && shows_nothing
                    }
                    Record::Finish { extent, .. } => {
                        self.change_removed(file, extent.range, true);
                        known
                    }
                    Record::Cut { range, .. } => {
                        self.change_removed(file, *range, false);
                        known
                    }
                    Record::Home { .. } | Record::Data(_) => known,
                };
                if !fits {
                    self.report.add(Issue::LogRecordUnfit {
                        at: batch.address,
                        file,
                        record: format!("{record:?}"),
                    });
                }
            }
        }
    }

    /// Bytes of `range` that the log takes away from what the tree shows there.
    pub(super) fn cut_bytes(&self, file: FileId, range: FileRange) -> u64 {
        let Some(cuts) = self.cuts.get(&file) else {
            return 0;
        };
        cuts.overlapping(range.start..range.end)
            .map(|(cut, _)| FileRange::new(cut.start, cut.end).intersect(range).bytes())
            .sum()
    }

    /// A file that the log removes shows something in `range` from now on, or nothing.
    pub(super) fn change_removed(&mut self, file: FileId, range: FileRange, shows: bool) {
        if let Some(shown) = self.removed.get_mut(&file) {
            let range = range.start..range.end;
            if shows {
                shown.insert(range, &());
            } else {
                shown.remove(range);
            }
        }
    }
}
