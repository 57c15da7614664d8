//! What the tests of metadata share: a small volume, extents with real bytes, a model of what files
//! show, page by page.

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in crates that use all of it"
)]
#![allow(unreachable_pub, reason = "shared between test crates")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability};
use delalloc_engine::compress::{Codec, compress};
use delalloc_engine::meta::{
    CODEC_RAW, ExtentTotals, FileExtent, FormatOptions, Mapping, MetaConfig, Metadata, NewExtent,
};
use delalloc_engine::recover::{CheckReport, check};
use delalloc_engine::{DiskExtent, EngineError, FileId, FileRange, Result};

pub const PAGE: u64 = 4096;

pub fn format(backend: &dyn Backend, node_bytes: u32) {
    let options = FormatOptions {
        node_bytes,
        seed: 42,
        label: "test".to_owned(),
        log_bytes: None,
    };
    Metadata::format(backend, &options).expect("the device works");
}

pub fn open(backend: &Arc<dyn Backend>) -> Arc<Metadata> {
    Metadata::open(Arc::clone(backend), MetaConfig::default()).expect("a volume")
}

/// Checks and insists that not even a warning is found.
pub fn check_spotless(backend: &dyn Backend) -> CheckReport {
    let report = check(backend);
    assert!(report.issues.is_empty(), "{:#?}", report.issues);
    report
}

/// Pages of a file, as a range.
pub fn pages(first: u64, count: u64) -> FileRange {
    FileRange::new(first * PAGE, (first + count) * PAGE)
}

/// Writes `disk` with bytes that tell it from every other write, and returns their checksums.
pub fn fill(backend: &dyn Backend, disk: DiskExtent, tag: u64) -> Vec<u32> {
    let len = usize::try_from(disk.bytes).expect("small");
    let mut buf = AlignedBuf::zeroed(len);
    for (n, word) in buf.chunks_exact_mut(8).enumerate() {
        let word_tag = tag.wrapping_mul(0x9E37_79B9).wrapping_add(n as u64);
        word.copy_from_slice(&word_tag.to_le_bytes());
    }
    write(backend, disk, buf)
}

/// The same for an extent of `plain_bytes` that is stored with codec 1; what follows the codec's bytes
/// has no meaning.
fn fill_compressed(
    backend: &dyn Backend,
    disk: DiskExtent,
    plain_bytes: u64,
    tag: u64,
) -> Vec<u32> {
    let plain: Vec<u8> = tag
        .to_le_bytes()
        .repeat(usize::try_from(plain_bytes / 8).expect("small"));
    let mut buf = AlignedBuf::zeroed(usize::try_from(disk.bytes).expect("small"));
    buf.fill(0xA5);
    let stored = compress(Codec::Zlib, 6, &plain, &mut buf).expect("a level of zlib");
    assert!(stored.is_some(), "repeated words take few bytes");
    write(backend, disk, buf)
}

fn write(backend: &dyn Backend, disk: DiskExtent, buf: AlignedBuf) -> Vec<u32> {
    let checksums = buf.chunks_exact(4096).map(crc32c::crc32c).collect();
    backend
        .write_blocking(disk.start.0, buf, Durability::Cached)
        .expect("the device works");
    checksums
}

/// What is written where.
#[derive(Debug, Clone, Copy)]
pub struct Put {
    pub file: FileId,
    pub range: FileRange,
    /// Stored sectors of a compressed extent; `None` stores the bytes raw, in pieces if need be.
    pub stored_sectors: Option<u64>,
    pub tag: u64,
}

/// Reserves, allocates, writes and maps, as writeback does. Returns the extents made.
pub fn put(backend: &dyn Backend, meta: &Metadata, put: Put) -> Result<Vec<FileExtent>> {
    let Put { file, range, .. } = put;
    let mut reservation = meta.reserve(range.bytes())?;
    let stored_bytes = put.stored_sectors.map(|sectors| sectors * PAGE);
    let compressed = stored_bytes.and_then(|bytes| {
        meta.space()
            .allocate_contiguous(&mut reservation, bytes, None)
    });
    let disks = match compressed {
        Some(disk) => vec![disk],
        None => meta.allocate_pieces(
            &mut reservation,
            range.bytes(),
            meta.extent_stored_bytes_max(),
            None,
        )?,
    };
    let mut made = Vec::new();
    let mut start = range.start;
    for disk in disks {
        let ram_bytes = if compressed.is_some() {
            range.bytes()
        } else {
            disk.bytes
        };
        let extent = NewExtent {
            range: FileRange::new(start, start + ram_bytes),
            disk,
            ram_bytes,
            codec: if compressed.is_some() {
                Codec::Zlib.number()
            } else {
                CODEC_RAW
            },
            checksums: if compressed.is_some() {
                fill_compressed(backend, disk, ram_bytes, put.tag)
            } else {
                fill(backend, disk, put.tag)
            },
        };
        start += ram_bytes;
        let size_bytes = meta.inode(file)?.map_or(0, |inode| inode.size_bytes);
        let generation = meta.generation();
        meta.finish_extent(file, &extent, Some(size_bytes.max(extent.range.end)))?;
        made.push(FileExtent {
            file_start: extent.range.start,
            length: ram_bytes,
            disk,
            offset_in_extent: 0,
            ram_bytes,
            codec: extent.codec,
            generation,
        });
    }
    Ok(made)
}

/// What files show: for each page the stored extent and the place in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oracle {
    pub files: BTreeMap<FileId, BTreeMap<u64, (FileExtent, u64)>>,
    pub sizes: BTreeMap<FileId, u64>,
}

impl Oracle {
    pub fn put(&mut self, file: FileId, extents: &[FileExtent]) {
        let shown = self.files.entry(file).or_default();
        for extent in extents {
            for page in extent.range().pages() {
                let at = page.start() - extent.file_start;
                shown.insert(page.0, (*extent, at));
            }
            let size_bytes = self.sizes.entry(file).or_default();
            *size_bytes = (*size_bytes).max(extent.range().end);
        }
    }

    pub fn punch(&mut self, file: FileId, range: FileRange) {
        let gone = range.start / PAGE..range.end / PAGE;
        let shown = self.files.entry(file).or_default();
        shown.retain(|page, _| !gone.contains(page));
    }

    pub fn truncate(&mut self, file: FileId, size_bytes: u64) {
        let end = size_bytes.div_ceil(PAGE);
        let shown = self.files.entry(file).or_default();
        shown.retain(|page, _| *page < end);
        self.sizes.insert(file, size_bytes);
    }

    /// Mappings as the tree should have them: pages that follow each other in file and extent.
    pub fn extents(&self, file: FileId) -> Vec<FileExtent> {
        let mut found: Vec<FileExtent> = Vec::new();
        for (page, (extent, at)) in self.files.get(&file).into_iter().flatten() {
            if let Some(last) = found.last_mut()
                && last.range().end == page * PAGE
                && last.disk == extent.disk
                && last.offset_in_extent + last.length == *at
            {
                last.length += PAGE;
                continue;
            }
            found.push(FileExtent {
                file_start: page * PAGE,
                length: PAGE,
                offset_in_extent: *at,
                ..*extent
            });
        }
        found
    }

    pub fn totals(&self) -> ExtentTotals {
        let mut totals = ExtentTotals::default();
        let mut stored: BTreeSet<(DiskExtent, u64)> = BTreeSet::new();
        for &file in self.files.keys() {
            for extent in self.extents(file) {
                totals.file_extents += 1;
                totals.live_bytes += extent.length;
                stored.insert((extent.disk, extent.ram_bytes));
            }
        }
        totals.extents = stored.len() as u64;
        totals.stored_bytes = stored.iter().map(|(disk, _)| disk.bytes).sum();
        totals.ram_bytes = stored.iter().map(|(_, ram_bytes)| ram_bytes).sum();
        totals
    }

    /// Compares with what metadata says, page by page and in sum.
    pub fn compare(&self, meta: &Metadata) {
        for (&file, shown) in &self.files {
            let extents = self.extents(file);
            assert_eq!(meta.extents(file).expect("the device works"), extents);
            let size_bytes = self.sizes.get(&file).copied().unwrap_or(0);
            let inode = meta.inode(file).expect("the device works");
            assert_eq!(inode.map(|inode| inode.size_bytes), Some(size_bytes));
            let last_page = shown.keys().next_back().copied().unwrap_or(0);
            for page in 0..last_page + 2 {
                let mapping = meta
                    .lookup(file, page * PAGE + 17)
                    .expect("the device works");
                match shown.get(&page) {
                    Some((extent, at)) => {
                        let Mapping::Extent(found) = mapping else {
                            panic!("page {page} of {file:?} is {mapping:?}");
                        };
                        let found_at = page * PAGE - found.file_start + found.offset_in_extent;
                        assert_eq!((found.disk, found_at), (extent.disk, *at));
                        assert_eq!(found.generation, extent.generation);
                    }
                    None => assert_eq!(
                        mapping,
                        Mapping::Hole {
                            range: self.hole(file, page)
                        }
                    ),
                }
            }
        }
        assert_eq!(meta.stats().extents, self.totals());
    }

    fn hole(&self, file: FileId, page: u64) -> FileRange {
        let shown = &self.files[&file];
        let before = shown.range(..page).next_back();
        let after = shown.range(page..).next();
        FileRange::new(
            before.map_or(0, |(page, _)| (page + 1) * PAGE),
            after.map_or(u64::MAX, |(page, _)| page * PAGE),
        )
    }
}

/// Is this the refusal a full volume gives?
pub fn is_no_space<T>(result: &Result<T>) -> bool {
    matches!(result, Err(EngineError::NoSpace { .. }))
}
