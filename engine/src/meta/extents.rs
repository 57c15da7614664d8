//! Mappings of files to stored extents: looking up, inserting, cutting.
//!
//! ```text
//!   file A   |--- extent 1 ---|         overwritten in the middle becomes
//!   file A   |- 1 -|- 2 -|- 1 |         two mappings of extent 1 (a bookend on each side),
//!                                       which stays stored whole until both are gone
//! ```
//!
//! A stored extent counts the mappings that show it and the plain bytes they show. At zero its item
//! goes and its bytes are pinned. Holes are what no mapping covers.
//!
//! A change of many mappings (truncate, punch) is atomic up to `STEP_EXTENTS_MAX` of them and falls
//! into steps above, each of them a whole change: the tree's lock is never held for long and a full
//! volume needs room for one step only. Truncation works from the end, lowering the size with each
//! step, so that what a crash leaves is a longer file, never one with a hole.
//!
//! Not here: names (files), whether the device holds what a mapping says (the caller waited for it).

use std::borrow::Cow;
use std::collections::HashMap;

use super::btree::{Cursor, Tree};
use super::files::known;
use super::format::{self, ItemKind, Key, Malformed};
use super::metadata::{Edit, Metadata, Need, State};
use super::types::{FileExtent, Mapping, NewExtent, StoredExtent};
use crate::alloc::Reserve;
use crate::error::{EngineError, Result};
use crate::log::{DataNumber, Record, SizeChange};
use crate::mutation::{self, Mutation};
use crate::units::{
    DiskExtent, DiskOffset, FILE_BYTES_MAX, FileId, FileRange, Generation, PAGE_BYTES, SECTOR_BYTES,
};

/// Mappings cut by one atomic change.
const STEP_EXTENTS_MAX: usize = 4096;
const _: () = assert!(STEP_EXTENTS_MAX == STEP_DIVISOR.pow(4));
/// A step with no room is tried again with this part of the mappings, down to one.
const STEP_DIVISOR: usize = 8;
/// Mappings in a leaf that is not sparse, with nodes of 1 KiB.
const MAPPINGS_PER_LEAF_MIN: u64 = 3;

impl Metadata {
    /// What is at `offset` of `file`.
    pub fn lookup(&self, file: FileId, offset: u64) -> Result<Mapping> {
        assert!(offset < FILE_BYTES_MAX, "offset {offset} is in no file");
        let state = self.state.read();
        let mut cursor = state.tree.seek(&Key::file_extent(file, offset + 1))?;
        let mut start = 0;
        let before = prev_mapping(&mut cursor, file)?;
        if let Some(extent) = before.mapping() {
            if extent.range().end > offset {
                return Ok(Mapping::Extent(extent));
            }
            start = extent.range().end;
        }
        if !matches!(before, Passed::End) {
            cursor.next()?;
        }
        let after = next_mapping(&mut cursor, file)?.mapping();
        let end = after.map_or(u64::MAX, |extent| extent.file_start);
        Ok(Mapping::Hole {
            range: FileRange::new(start, end),
        })
    }

    /// Every extent of `file`, in order.
    pub fn extents(&self, file: FileId) -> Result<Vec<FileExtent>> {
        let state = self.state.read();
        overlapping(&state.tree, file, FileRange::WHOLE, usize::MAX)
    }

    /// CRC32C of each 4 KiB of a stored extent.
    pub fn checksums(&self, disk: DiskExtent) -> Result<Vec<u32>> {
        let state = self.state.read();
        let found = state.tree.with(&Key::stored(disk.start), |bytes| {
            let stored = format::decode_stored(disk.start, bytes)?;
            if stored.disk != disk {
                let expected = format!("{} bytes", disk.bytes);
                return Err(Malformed::new(STORED, expected, stored.disk.bytes));
            }
            Ok(format::stored_checksums(bytes))
        })?;
        found
            .unwrap_or_else(|| Err(Malformed::new(STORED, "an item", "none")))
            .map_err(|malformed| malformed.at(disk.start))
    }

    /// One atomic change: what the range showed before is dropped, trimmed or split, the new extent
    /// takes its place, and the file grows to `disk_size` if given. Device bytes no mapping points to
    /// any more are pinned.
    ///
    /// # Panics
    /// If the extent's ranges, sizes or checksums do not belong together.
    pub fn finish_extent(
        &self,
        file: FileId,
        extent: &NewExtent,
        disk_size: Option<u64>,
    ) -> Result<()> {
        let ending = Ending::home(grow(disk_size));
        self.finish_logged(file, extent, ending)
    }

    /// The same, for an extent that may be in the log already.
    pub(crate) fn finish_logged(
        &self,
        file: FileId,
        extent: &NewExtent,
        ending: Ending,
    ) -> Result<()> {
        let Ending { size, logged, .. } = ending;
        self.assert_extent(extent);
        self.edit(
            |state| {
                known(state, file)?;
                let cut = overlapping(&state.tree, file, extent.range, usize::MAX)?;
                Ok((need_for_cut(cut.len(), 3, Reserve::All), cut))
            },
            |edit, cut| {
                for old in cut {
                    edit.cut(file, &old, extent.range)?;
                }
                edit.map_new(file, extent)?;
                edit.set_size(file, size)?;
                let data_before = edit.bound(ending);
                let said = logged.is_some_and(|logged| logged.says(edit.change.generation(), size));
                let record = (!said).then_some(Record::Finish {
                    file,
                    extent: Cow::Borrowed(extent),
                    size,
                    data_before,
                });
                edit.log_newer(record.as_ref(), file, extent.range, data_before);
                Ok(())
            },
        )
    }

    /// Is this address one of a stored extent already?
    pub(crate) fn is_stored(&self, at: DiskOffset) -> Result<bool> {
        let state = self.state.read();
        Ok(state.tree.with(&Key::stored(at), |_| ())?.is_some())
    }

    /// Drops what a file shows of whole pages, in steps from the front, and changes its size with the
    /// last one. The range may be in the log already.
    pub(crate) fn cut_logged(
        &self,
        file: FileId,
        range: FileRange,
        reserve: Reserve,
        ending: Ending,
    ) -> Result<()> {
        let mut rest = range;
        while let Some(next) = self.step(
            file,
            reserve,
            |state, count_max| {
                let cut = overlapping(&state.tree, file, rest, count_max)?;
                let end = match cut.last() {
                    Some(last) if cut.len() == count_max => last.range().end.min(rest.end),
                    _ => rest.end,
                };
                Ok((cut, FileRange::new(rest.start, end)))
            },
            |edit, range, cut_any| {
                let done = range.end == rest.end;
                let size = if done { ending.size } else { SizeChange::Keep };
                edit.cut_done(file, range, cut_any, Ending { size, ..ending })?;
                Ok((!done).then(|| FileRange::new(range.end, rest.end)))
            },
        )? {
            rest = next;
        }
        Ok(())
    }

    /// Grows a file over pages that the log has and the tree has not. `says` tells whether the pages of a generation
    /// say that size to whoever reads the log. Returns whether it has to be logged: because a commit has
    /// overtaken them, or since they say less.
    pub(crate) fn grow_logged(
        &self,
        file: FileId,
        size_bytes: u64,
        says: impl FnOnce(Generation) -> bool,
    ) -> Result<bool> {
        let size = SizeChange::Grow(size_bytes);
        self.edit(
            |state| {
                known(state, file)?;
                let need = need_for_cut(0, 0, Reserve::All);
                Ok((need, ()))
            },
            |edit, ()| {
                let unsaid = !says(edit.change.generation());
                if edit.set_size(file, size)? && unsaid {
                    edit.log(&Record::Cut {
                        file,
                        range: FileRange::new(0, 0),
                        size,
                        data_before: DataNumber(0),
                    });
                }
                Ok(unsaid)
            },
        )
    }

    /// Makes a hole of whole pages and grows the file to a size if one is given; atomic up to some thousands of
    /// extents, in steps from the front beyond.
    pub fn punch(&self, file: FileId, range: FileRange, disk_size: Option<u64>) -> Result<()> {
        assert!(
            range.to_pages() == range && range.end <= FILE_BYTES_MAX,
            "a hole is whole pages: {range:?}"
        );
        self.cut_logged(file, range, Reserve::Most, Ending::home(grow(disk_size)))
    }

    /// Drops every whole page past `size_bytes`, and sets the size to `disk_bytes`: less, where bytes
    /// before the end have not been written back. The bytes between `size_bytes` and the end of its
    /// page stay stored: the caller writes zeros there before the file grows again.
    ///
    /// # Errors
    /// Of a file of very many extents the end may be gone.
    pub fn truncate(
        &self,
        file: FileId,
        size_bytes: u64,
        disk_bytes: u64,
    ) -> std::result::Result<(), CutShort> {
        assert!(
            disk_bytes <= size_bytes && size_bytes <= FILE_BYTES_MAX,
            "no file has {size_bytes} bytes, of which {disk_bytes} are on disk"
        );
        let from = size_bytes.next_multiple_of(PAGE_BYTES);
        let dropped = FileRange::new(from, FILE_BYTES_MAX.max(from));
        let mut gone_from = dropped.end;
        loop {
            let step = self.step(
                file,
                Reserve::All,
                |state, count_max| {
                    let cut = last_overlapping(&state.tree, file, dropped, count_max)?;
                    let start = match cut.last() {
                        Some(first) if cut.len() == count_max => first.file_start.max(from),
                        _ => from,
                    };
                    Ok((cut, FileRange::new(start, dropped.end)))
                },
                |edit, range, cut_any| {
                    let done = range.start == from;
                    let stays_bytes = edit.files.get(&file).map_or(0, |inode| inode.size_bytes);
                    let size_bytes = if done {
                        disk_bytes
                    } else {
                        stays_bytes.min(range.start)
                    };
                    let ending = Ending::home(SizeChange::Set(size_bytes));
                    edit.cut_done(file, range, cut_any, ending)?;
                    Ok((!done).then_some(range.start))
                },
            );
            match step {
                Ok(Some(start)) => gone_from = start,
                Ok(None) => return Ok(()),
                Err(error) => return Err(CutShort { gone_from, error }),
            }
        }
    }

    /// Would a truncation to `size_bytes` find everything it drops counted as it should be? It looks before
    /// anything is changed: a change that ends in the middle makes the volume read-only.
    ///
    /// # Errors
    /// `Corrupt` names the first stored extent that is not.
    pub(super) fn check_truncate(&self, file: FileId, size_bytes: u64) -> Result<()> {
        let from = size_bytes.next_multiple_of(PAGE_BYTES);
        let dropped = FileRange::new(from, FILE_BYTES_MAX.max(from));
        let state = self.state.read();
        let mut left: HashMap<DiskOffset, StoredExtent> = HashMap::new();
        for old in overlapping(&state.tree, file, dropped, usize::MAX)? {
            let at = old.disk.start;
            let stored = match left.get(&at) {
                Some(stored) => Ok(*stored),
                None => state
                    .tree
                    .with(&Key::stored(at), |bytes| format::decode_stored(at, bytes))?
                    .unwrap_or_else(|| Err(Malformed::new(STORED, "an item", "none"))),
            };
            let gone_bytes = old.range().intersect(dropped).bytes();
            let rests = u32::from(gone_bytes < old.length);
            let rest = stored.and_then(|stored| without(&stored, gone_bytes, rests));
            left.insert(at, rest.map_err(|malformed| malformed.at(at))?);
        }
        Ok(())
    }

    /// One step of a cut: as many mappings as there is room for.
    fn step<T>(
        &self,
        file: FileId,
        reserve: Reserve,
        find: impl Fn(&State, usize) -> Result<(Vec<FileExtent>, FileRange)>,
        after: impl FnOnce(&mut Edit<'_>, FileRange, bool) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.edit(
            |state| {
                known(state, file)?;
                let mut count_max = STEP_EXTENTS_MAX;
                loop {
                    let (cut, range) = find(state, count_max)?;
                    let need = need_for_cut(cut.len(), 1, reserve);
                    if count_max == 1 || state.has_room(&need) {
                        return Ok((need, (cut, range)));
                    }
                    count_max /= STEP_DIVISOR;
                }
            },
            |edit, (cut, range)| {
                let cut_any = !cut.is_empty();
                for old in cut {
                    edit.cut(file, &old, range)?;
                }
                after(edit, range, cut_any)
            },
        )
    }

    fn assert_extent(&self, extent: &NewExtent) {
        let stored_max = self.extent_stored_bytes_max();
        assert!(
            extent.range.to_pages() == extent.range
                && extent.range.bytes() == extent.ram_bytes
                && extent.range.end <= FILE_BYTES_MAX
                && !extent.range.is_empty(),
            "an extent shows whole pages, all of them: {extent:?}"
        );
        assert!(
            extent.ram_bytes <= super::EXTENT_PLAIN_BYTES_MAX,
            "an extent shows at most {} bytes, not {}",
            super::EXTENT_PLAIN_BYTES_MAX,
            extent.ram_bytes
        );
        assert!(
            extent.disk.bytes <= stored_max && extent.disk.bytes > 0,
            "an extent stores 1 to {stored_max} bytes, not {}",
            extent.disk.bytes
        );
        assert_eq!(
            extent.checksums.len() as u64 * SECTOR_BYTES,
            extent.disk.bytes,
            "each stored sector has its checksum"
        );
        assert!(
            extent.codec != super::CODEC_RAW || extent.disk.bytes == extent.ram_bytes,
            "a raw extent is stored as it is"
        );
    }
}

/// A truncation that did not come to its end.
#[derive(Debug)]
pub struct CutShort {
    /// A multiple of the page; everything from here on is gone, and the file ends here at the latest.
    pub gone_from: u64,
    /// Why no more is.
    pub error: EngineError,
}

impl From<CutShort> for EngineError {
    fn from(short: CutShort) -> Self {
        short.error
    }
}

const STORED: &str = "stored extent item";

impl State {
    fn has_room(&self, need: &Need) -> bool {
        self.tree.has_room(need.items, need.inserts, need.reserve)
    }
}

impl Edit<'_> {
    /// Takes `range` out of a mapping; what is before and after it stays.
    fn cut(&mut self, file: FileId, old: &FileExtent, range: FileRange) -> Result<()> {
        let gone = old.range().intersect(range);
        assert!(!gone.is_empty(), "a mapping is cut where it is");
        let head_bytes = gone.start - old.file_start;
        let tail_bytes = old.range().end - gone.end;
        let key = Key::file_extent(file, old.file_start);
        if head_bytes > 0 {
            let head = FileExtent {
                length: head_bytes,
                ..*old
            };
            self.change
                .insert(&key, &format::encode_file_extent(&head))?;
        } else {
            self.change.remove(&key)?;
        }
        if tail_bytes > 0 {
            let tail = FileExtent {
                file_start: gone.end,
                length: tail_bytes,
                offset_in_extent: old.offset_in_extent + (gone.end - old.file_start),
                ..*old
            };
            let key = Key::file_extent(file, tail.file_start);
            self.change
                .insert(&key, &format::encode_file_extent(&tail))?;
        }
        let rests = u32::from(head_bytes > 0) + u32::from(tail_bytes > 0);
        self.totals.file_extents = self.totals.file_extents + u64::from(rests) - 1;
        self.unref(old.disk, gone.bytes(), rests)
    }

    /// One mapping of a stored extent becomes `rests` mappings, which show `gone_bytes` less.
    fn unref(&mut self, disk: DiskExtent, gone_bytes: u64, rests: u32) -> Result<()> {
        let key = Key::stored(disk.start);
        let mut left = Err(Malformed::new(STORED, "an item", "none"));
        self.change.update(&key, |bytes| {
            left = format::decode_stored(disk.start, bytes)
                .and_then(|stored| without(&stored, gone_bytes, rests));
            if let Ok(stored) = &left {
                format::patch_stored(bytes, stored);
            }
        })?;
        let left = left.map_err(|malformed| malformed.at(disk.start))?;
        self.totals.live_bytes -= gone_bytes;
        if left.refs == 0 || mutation::on(Mutation::BookendFreed) {
            self.change.remove(&key)?;
            self.totals.extents -= 1;
            self.totals.stored_bytes -= left.disk.bytes;
            self.totals.ram_bytes -= left.ram_bytes;
            self.space.pin(left.disk, self.change.generation());
        }
        Ok(())
    }

    fn map_new(&mut self, file: FileId, extent: &NewExtent) -> Result<()> {
        let mapping = FileExtent {
            file_start: extent.range.start,
            length: extent.range.bytes(),
            disk: extent.disk,
            offset_in_extent: 0,
            ram_bytes: extent.ram_bytes,
            codec: extent.codec,
            generation: self.change.generation(),
        };
        let stored = StoredExtent {
            disk: extent.disk,
            refs: 1,
            live_bytes: extent.ram_bytes,
            ram_bytes: extent.ram_bytes,
        };
        self.change.insert(
            &Key::file_extent(file, mapping.file_start),
            &format::encode_file_extent(&mapping),
        )?;
        self.change.insert(
            &Key::stored(extent.disk.start),
            &format::encode_stored(&stored, &extent.checksums),
        )?;
        self.totals.file_extents += 1;
        self.totals.extents += 1;
        self.totals.stored_bytes += stored.disk.bytes;
        self.totals.ram_bytes += stored.ram_bytes;
        self.totals.live_bytes += stored.live_bytes;
        Ok(())
    }

    /// Changes the size; false where that is what it was.
    fn set_size(&mut self, file: FileId, size: SizeChange) -> Result<bool> {
        let Some(inode) = self.files.get_mut(&file) else {
            return Ok(false);
        };
        let size_bytes = size.of(inode.size_bytes);
        if inode.size_bytes == size_bytes {
            return Ok(false);
        }
        inode.size_bytes = size_bytes;
        self.change.update(&Key::inode(file), |bytes| {
            format::patch_inode_size(bytes, size_bytes);
        })
    }

    /// The end of a step that cut `range`: the size, and the record if anything changed at all.
    fn cut_done(
        &mut self,
        file: FileId,
        range: FileRange,
        cut_any: bool,
        ending: Ending,
    ) -> Result<()> {
        let Ending { size, logged, .. } = ending;
        let data_before = self.bound(ending);
        let mut changed = self.set_size(file, size)? || cut_any;
        // Of a file that is set to its size on disk, pages that only the log has may say that it is longer.
        let of = if matches!(size, SizeChange::Set(_)) {
            FileRange::WHOLE
        } else {
            range
        };
        if !changed && self.holds(file, of, data_before) {
            // Only the log had what is cut; the next commit has to say that it is gone.
            changed = self.change.update(&Key::inode(file), |_| {})?;
        }
        let generation = self.change.generation();
        let says = changed
            && !logged.is_some_and(|logged| logged.says(generation, size))
            && !mutation::on(Mutation::LogCutUnlogged);
        let record = says.then_some(Record::Cut {
            file,
            range,
            size,
            data_before,
        });
        self.log_newer(record.as_ref(), file, range, data_before);
        Ok(())
    }

    fn bound(&self, ending: Ending) -> DataNumber {
        if mutation::on(Mutation::LogDataSuperseded) {
            return self.data_next();
        }
        ending.data_before.unwrap_or_else(|| self.data_next())
    }
}

/// What a change of a range says besides the range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// The size of the file afterwards.
    pub(crate) size: SizeChange,
    /// Logged pages before this are older than the change; none for all of them.
    pub(crate) data_before: Option<DataNumber>,
    /// What the log has of the change already.
    pub(crate) logged: Option<Logged>,
}

impl Ending {
    /// A change that the log does not have, newer than everything it has.
    pub(crate) fn home(size: SizeChange) -> Self {
        Self {
            size,
            data_before: None,
            logged: None,
        }
    }
}

/// What the log says of an extent that is about to be finished.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logged {
    /// The generation its record belongs to.
    pub(crate) generation: Generation,
    /// The size its record grows the file to.
    pub(crate) size_bytes: u64,
}

impl Logged {
    /// Does the record say all of this change? A commit in between has passed it over, and a prefix
    /// that others completed meanwhile makes the file longer.
    fn says(self, generation: Generation, size: SizeChange) -> bool {
        let overtaken = generation != self.generation && !mutation::on(Mutation::LogAgainSkipped);
        !overtaken && size.of(self.size_bytes) == self.size_bytes
    }
}

fn grow(disk_size: Option<u64>) -> SizeChange {
    disk_size.map_or(SizeChange::Keep, SizeChange::Grow)
}

fn without(
    stored: &StoredExtent,
    gone_bytes: u64,
    rests: u32,
) -> std::result::Result<StoredExtent, Malformed> {
    let live_bytes = stored.live_bytes.checked_sub(gone_bytes);
    let refs = stored
        .refs
        .checked_add(rests)
        .and_then(|refs| refs.checked_sub(1));
    match (live_bytes, refs) {
        (Some(live_bytes), Some(refs)) if (live_bytes == 0) == (refs == 0) => Ok(StoredExtent {
            live_bytes,
            refs,
            ..*stored
        }),
        _ => Err(Malformed::new(
            STORED,
            format!("at least {gone_bytes} live bytes"),
            format!("{stored:?}"),
        )),
    }
}

/// What cutting so many neighbouring mappings touches: a stored extent for each, anywhere in the tree,
/// the leaves the mappings lie in, the new items and the inode.
fn need_for_cut(mappings: usize, inserts: u64, reserve: Reserve) -> Need {
    let stored = mappings as u64;
    let leaves = stored / MAPPINGS_PER_LEAF_MIN + 2;
    Need {
        items: stored + leaves + inserts + 1,
        inserts,
        reserve,
    }
}

/// What a cursor passed.
#[derive(Debug, Clone, Copy)]
enum Passed {
    /// A mapping of the file asked for.
    Mapping(FileExtent),
    /// Another item.
    Other,
    /// Nothing: it is at the end of the tree.
    End,
}

impl Passed {
    fn mapping(self) -> Option<FileExtent> {
        match self {
            Self::Mapping(extent) => Some(extent),
            Self::Other | Self::End => None,
        }
    }
}

fn next_mapping(cursor: &mut Cursor<'_>, file: FileId) -> Result<Passed> {
    let passed = passed(file, cursor.next()?);
    passed.map_err(|malformed| malformed.at(cursor.leaf_address()))
}

fn prev_mapping(cursor: &mut Cursor<'_>, file: FileId) -> Result<Passed> {
    let passed = passed(file, cursor.prev()?);
    passed.map_err(|malformed| malformed.at(cursor.leaf_address()))
}

fn passed(file: FileId, item: Option<(Key, &[u8])>) -> std::result::Result<Passed, Malformed> {
    match item {
        None => Ok(Passed::End),
        Some((key, bytes)) if key.object == file.0 && key.kind == ItemKind::FileExtent => {
            format::decode_file_extent(key.offset, bytes).map(Passed::Mapping)
        }
        Some(_) => Ok(Passed::Other),
    }
}

/// The first `count_max` mappings that show a byte of `range`, in order.
fn overlapping(
    tree: &Tree,
    file: FileId,
    range: FileRange,
    count_max: usize,
) -> Result<Vec<FileExtent>> {
    let mut found = Vec::new();
    if range.is_empty() {
        return Ok(found);
    }
    let mut cursor = tree.seek(&Key::file_extent(file, range.start))?;
    let before = prev_mapping(&mut cursor, file)?;
    let reaches_in = |extent: &FileExtent| extent.range().end > range.start;
    found.extend(before.mapping().filter(reaches_in));
    if !matches!(before, Passed::End) {
        cursor.next()?;
    }
    while found.len() < count_max {
        match next_mapping(&mut cursor, file)? {
            Passed::Mapping(extent) if extent.file_start < range.end => found.push(extent),
            _ => break,
        }
    }
    Ok(found)
}

/// The last `count_max` mappings that show a byte of `range`, last one first.
fn last_overlapping(
    tree: &Tree,
    file: FileId,
    range: FileRange,
    count_max: usize,
) -> Result<Vec<FileExtent>> {
    let mut found = Vec::new();
    let mut cursor = tree.seek(&Key::file_extent(file, range.end))?;
    while found.len() < count_max {
        match prev_mapping(&mut cursor, file)? {
            Passed::Mapping(extent) if extent.range().end > range.start => found.push(extent),
            _ => break,
        }
    }
    Ok(found)
}
