//! Making the changes of the log again, on the tree of the newest superblock.
//!
//! ```text
//!   records, and the sizes that pages bring   -->  pages home, with commits where   -->  a commit that
//!   | no commit: a crash begins anew               space is short                        lets go of the log
//!   '--- a commit that names the pages ---^        | a crash finds the pages, and a tree with the rest
//!        that are left, and no record
//! ```
//!
//! The first part happens in memory, on a volume that nobody else has yet. Nothing is written over what the log
//! points to, because its extents count as allocated from the start. The changes took their space before, with no
//! commit in between either, and nothing was promised since then that they need for a while (alloc/replay_room).
//! Pages are written home by the promises that were made for them, and these rely on commits; so what is behind the
//! first commit has to stand a crash at any place.
//!
//! An extent can be in the log twice: once before its change, once more because a commit came in
//! between, or because the size it brings had grown. Its address is the tell: addresses are not used again while the
//! log may hold them. The second time only the size counts.
//!
//! Of a page that only the log has, the youngest copy goes home, unless a change in the log is newer. An older copy
//! may lie outside of what the first commit names; it is not needed then.
//!
//! Not here: which records count (log_scan).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability};

use super::log_scan::Logged;
use crate::alloc::Reserve;
use crate::error::Result;
use crate::extent::IntervalMap;
use crate::log::{DataNumber, HeldSet, LoggedPage, Record, SizeChange, WINDOW};
use crate::meta::format::{Decoded, Malformed, SECTOR_LEN};
use crate::meta::{CODEC_RAW, Ending, Metadata, NewExtent};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, FileId, FileRange, PAGE_BYTES, PageIndex};

/// Most bytes of pages that become one extent.
const HOME_BYTES_MAX: u64 = 128 << 10;

/// What a replay leaves to do.
#[derive(Debug)]
pub(crate) struct Replayed<'l> {
    /// Files that were changed.
    pub(crate) files: BTreeSet<FileId>,
    /// Pages that only the log has.
    pub(crate) pages: Pages<'l>,
}

impl Logged {
    /// Makes every change again, in order; the sizes that pages bring are among them.
    pub(crate) fn replay(&self, meta: &Metadata) -> Result<Replayed<'_>> {
        let newer = Newer::of(self);
        let mut files = BTreeSet::new();
        for batch in &self.batches {
            let mut records: Vec<_> = batch.records.iter().collect();
            if mutation::on(Mutation::LogReversed) {
                records.reverse();
            }
            for (generation, record) in records {
                if !fits(meta, record)? {
                    let (expected, found) = ("a change that fits", format!("{record:?}"));
                    let malformed = Malformed::new("record of the log", expected, found);
                    return Err(malformed.at(batch.address));
                }
                if let Record::Data(page) = record {
                    let is_later = self.later_than.is_some_and(|known| *generation > known);
                    take(meta, page, is_later && !newer.resized(page))?;
                } else {
                    replay(meta, record)?;
                }
                files.insert(record.file());
            }
        }
        let pages = self.pages_to_go_home(&newer);
        Ok(Replayed { files, pages })
    }

    /// The pages that go home when the changes were made, as a superblock names them.
    pub(super) fn held(&self) -> Decoded<HeldSet> {
        self.pages_to_go_home(&Newer::of(self)).held()
    }

    /// Where the changes, and the pages that go home, take away what a file of the tree shows.
    pub(super) fn cuts(&self) -> HashMap<FileId, IntervalMap<()>> {
        let changed = self.records().filter_map(|record| match record {
            Record::Finish { file, extent, .. } => Some((*file, extent.range)),
            Record::Cut { file, range, .. } => Some((*file, *range)),
            _ => None,
        });
        let pages = self.pages_to_go_home(&Newer::of(self)).0;
        let home = pages.keys().map(|&(file, page)| {
            let start = page.start();
            (file, FileRange::new(start, start + PAGE_BYTES))
        });
        let mut cuts: HashMap<FileId, IntervalMap<()>> = HashMap::new();
        for (file, range) in changed.chain(home) {
            let of_file = cuts.entry(file).or_default();
            of_file.insert(range.start..range.end, &());
        }
        cuts
    }

    fn pages_to_go_home(&self, newer: &Newer) -> Pages<'_> {
        let mut pages = Pages::default();
        for record in self.records() {
            if let Record::Data(page) = record
                && !newer.covers(page)
            {
                pages.take(page);
            }
        }
        pages
    }
}

/// Which pages the changes in the log are newer than.
#[derive(Debug, Default)]
struct Newer {
    ranges: HashMap<FileId, Vec<(FileRange, DataNumber)>>,
    /// Sizes that were set, not grown to, and after which pages.
    resized: HashMap<FileId, DataNumber>,
}

impl Newer {
    fn of(logged: &Logged) -> Self {
        let mut newer = Self::default();
        for record in logged.records() {
            let (range, size, before) = match record {
                Record::Finish {
                    extent,
                    size,
                    data_before,
                    ..
                } => (extent.range, *size, *data_before),
                Record::Cut {
                    range,
                    size,
                    data_before,
                    ..
                } => (*range, *size, *data_before),
                Record::Home {
                    range, data_before, ..
                } => (*range, SizeChange::Keep, *data_before),
                _ => continue,
            };
            let file = record.file();
            newer.ranges.entry(file).or_default().push((range, before));
            if matches!(size, SizeChange::Set(_)) {
                let resized = newer.resized.entry(file).or_default();
                *resized = before.max(*resized);
            }
        }
        newer
    }

    fn covers(&self, page: &LoggedPage) -> bool {
        let start = page.page.start();
        self.ranges.get(&page.file).is_some_and(|ranges| {
            ranges.iter().any(|(range, before)| {
                (range.start..range.end).contains(&start) && page.number < *before
            })
        })
    }

    fn resized(&self, page: &LoggedPage) -> bool {
        let resized = self.resized.get(&page.file);
        resized.is_some_and(|before| page.number < *before)
    }
}

/// Changes that the tree would take, and that would leave it in pieces: a file in place of another, mappings or
/// a name without a file.
fn fits(meta: &Metadata, record: &Record<'_>) -> Result<bool> {
    Ok(match record {
        Record::Create { file, .. } => meta.inode(*file)?.is_none(),
        Record::Data(page) => meta.inode(page.file)?.is_some(),
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
        Record::Rename { file, name } => {
            meta.rename_from(*file, name, meta.find(name), Reserve::All)
        }
        Record::Orphan { file } => meta.set_orphan(*file),
        Record::Remove { file } => meta.remove_inode(*file),
        Record::Finish {
            file, extent, size, ..
        } if meta.is_stored(extent.disk.start)? => {
            // Logged again because the size it brings had grown.
            let size = if mutation::on(Mutation::LogSizeSkipped) {
                SizeChange::Keep
            } else {
                *size
            };
            let nothing = FileRange::new(0, 0);
            meta.cut_logged(*file, nothing, Reserve::All, Ending::home(size))
        }
        Record::Finish {
            file, extent, size, ..
        } => meta.finish_logged(*file, extent, Ending::home(*size)),
        Record::Cut {
            file, range, size, ..
        } => meta.cut_logged(*file, *range, Reserve::All, Ending::home(*size)),
        // No changes of the tree.
        Record::Data(_) | Record::Home { .. } => Ok(()),
    }
}

/// What a logged page says of its file, which is there.
fn take(meta: &Metadata, page: &LoggedPage, grows: bool) -> Result<()> {
    if grows {
        let size = SizeChange::Grow(page.size_bytes);
        let nothing = FileRange::new(0, 0);
        meta.cut_logged(page.file, nothing, Reserve::All, Ending::home(size))?;
    }
    Ok(())
}

/// Pages that only the log has, the youngest copy of each.
#[derive(Debug, Default)]
pub(crate) struct Pages<'l>(BTreeMap<(FileId, PageIndex), &'l LoggedPage>);

impl<'l> Pages<'l> {
    fn take(&mut self, page: &'l LoggedPage) {
        let kept = self.0.entry((page.file, page.page)).or_insert(page);
        if kept.number < page.number {
            *kept = page;
        }
    }

    /// There are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a superblock names them.
    pub(crate) fn held(&self) -> Decoded<HeldSet> {
        let numbers: BTreeSet<u64> = self.0.values().map(|page| page.number.0).collect();
        if let (Some(first), Some(last)) = (numbers.first(), numbers.last())
            && last - first >= WINDOW
        {
            let found = format!("{first} and {last}");
            return Err(Malformed::new(
                "log",
                "pages with numbers that are near",
                found,
            ));
        }
        Ok(HeldSet::of(numbers.into_iter()))
    }

    /// Writes them home, neighbours together, and maps them. Commits where that takes room that only a commit makes.
    pub(crate) fn write_home(self, meta: &Metadata, backend: &dyn Backend) -> Result<()> {
        write_home(meta, backend, self.0)
    }
}

fn write_home(
    meta: &Metadata,
    backend: &dyn Backend,
    mut pages: BTreeMap<(FileId, PageIndex), &LoggedPage>,
) -> Result<()> {
    let bytes_max = HOME_BYTES_MAX.min(meta.extent_stored_bytes_max());
    while let Some(((file, first), page)) = pages.pop_first() {
        let Some(inode) = meta.inode(file)? else {
            continue;
        };
        if first.start() >= inode.size_bytes {
            continue;
        }
        let mut bytes = page.bytes.to_vec();
        let mut next = PageIndex(first.0 + 1);
        while (bytes.len() as u64) < bytes_max
            && next.start() < inode.size_bytes
            && let Some(page) = pages.remove(&(file, next))
        {
            bytes.extend_from_slice(&page.bytes);
            next = PageIndex(next.0 + 1);
        }
        let range = FileRange::new(first.start(), next.start());
        let mut promise = meta.reserve_again(range.bytes())?;
        let pieces = meta.allocate_pieces(&mut promise, range.bytes(), bytes_max, None)?;
        let mut at = range.start;
        for disk in pieces {
            let piece = FileRange::new(at, at + disk.bytes);
            let from = usize::try_from(at - range.start).expect("a run is short");
            let len = usize::try_from(disk.bytes).expect("a run is short");
            write_piece(meta, backend, file, piece, disk, &bytes[from..from + len])?;
            at = piece.end;
        }
    }
    Ok(())
}

fn write_piece(
    meta: &Metadata,
    backend: &dyn Backend,
    file: FileId,
    range: FileRange,
    disk: DiskExtent,
    bytes: &[u8],
) -> Result<()> {
    let mut buf = AlignedBuf::zeroed(bytes.len());
    buf.copy_from_slice(bytes);
    backend.write_blocking(disk.start.0, buf, Durability::Cached)?;
    let extent = NewExtent {
        range,
        disk,
        ram_bytes: range.bytes(),
        codec: CODEC_RAW,
        checksums: bytes.chunks(SECTOR_LEN).map(crc32c::crc32c).collect(),
    };
    meta.finish_logged(file, &extent, Ending::home(SizeChange::Keep))
}

const _: () = assert!(PAGE_BYTES == SECTOR_LEN as u64, "a page is a sector");
