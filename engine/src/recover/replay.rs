//! Making the changes of the log again, on the tree of the newest superblock.
//!
//! All of it happens in memory, on a volume that nobody else has yet, and one commit makes it durable. A
//! crash before that commit finds superblock and log as they were, so replay begins anew: nothing is
//! written over what the log points to, because its extents count as allocated from the start.
//!
//! An extent can be in the log twice: once before its change, once more because a commit came in
//! between. Its address is the tell: addresses are not used again while the log may hold them.
//!
//! Pages that only the log has are written home at the end, the youngest copy of each that no change in the
//! log is newer than. Their space is free: while the volume ran it was promised to them.
//!
//! Not here: which records count (log_scan).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability};

use super::log_scan::Logged;
use crate::alloc::Reserve;
use crate::error::Result;
use crate::log::{DataNumber, LoggedPage, Record, SizeChange};
use crate::meta::format::{Malformed, SECTOR_LEN};
use crate::meta::{CODEC_RAW, Ending, Metadata, NewExtent};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, FileId, FileRange, PAGE_BYTES, PageIndex};

/// Most bytes of pages that become one extent.
const HOME_BYTES_MAX: u64 = 128 << 10;

impl Logged {
    /// Makes every change again, in order, and writes home what only the log has. Returns the files that
    /// were changed.
    pub(crate) fn replay(
        &self,
        meta: &Metadata,
        backend: &dyn Backend,
    ) -> Result<BTreeSet<FileId>> {
        let newer = Newer::of(self);
        let mut files = BTreeSet::new();
        let mut pages = BTreeMap::new();
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
                    let grows = *generation > self.generation && !newer.resized(page);
                    take(meta, page, grows)?;
                    if !newer.covers(page) {
                        youngest(&mut pages, page);
                    }
                } else {
                    replay(meta, record)?;
                }
                files.insert(record.file());
            }
        }
        write_home(meta, backend, pages)?;
        Ok(files)
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
        Record::Rename { file, name } => meta.rename(*file, name, meta.find(name)),
        Record::Orphan { file } => meta.set_orphan(*file),
        Record::Remove { file } => meta.remove_inode(*file),
        Record::Finish { extent, .. } if meta.is_stored(extent.disk.start)? => Ok(()),
        Record::Finish {
            file, extent, size, ..
        } => meta.finish_logged(*file, extent, Ending::home(*size)),
        Record::Cut {
            file, range, size, ..
        } => meta.cut_logged(*file, *range, Reserve::All, Ending::home(*size)),
        // Pages are no changes of the tree.
        Record::Data(_) => Ok(()),
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

type Pages<'l> = BTreeMap<(FileId, PageIndex), &'l LoggedPage>;

fn youngest<'l>(pages: &mut Pages<'l>, page: &'l LoggedPage) {
    let kept = pages.entry((page.file, page.page)).or_insert(page);
    if kept.number < page.number {
        *kept = page;
    }
}

/// Writes pages home, neighbours together, and maps them.
fn write_home(meta: &Metadata, backend: &dyn Backend, mut pages: Pages<'_>) -> Result<()> {
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
        let mut promise = meta.space().reserve(range.bytes())?;
        let space = meta.space();
        let pieces = space.allocate_pieces(&mut promise, range.bytes(), bytes_max, None)?;
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
