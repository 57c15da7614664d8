//! Everything that can be verified on an image, without the engine running.
//!
//! Superblocks; every node (checksum, generation, address, key range); every item; every mapping
//! against its stored extent, both ways; every sector at most one owner; every stored byte against
//! its checksum; the log (check_log). One walk of the tree: files come before stored extents, so what files show is summed
//! up first and settled when the extents pass. Data is read where its extent passes, a batch at a time.
//!
//! Memory: a few dozen bytes for each stored extent and node.
//!
//! Not here: the words for what is wrong (issue), walking (walk).

use std::collections::{BTreeMap, HashMap, HashSet};

use delalloc_backends::Backend;

use super::issue::{Issue, Severity};
use super::read_many::read_many;
use super::walk::{Onward, Visit, walk};
use crate::error::EngineError;
use crate::meta::format::{self, ItemKind, Key, Malformed, NodePointer, Superblock};
use crate::meta::node_store::NodeShape;
use crate::meta::superblock::{self, SlotContent};
use crate::meta::{FileExtent, Inode};
use crate::units::{DiskExtent, DiskOffset, FileId, Generation, PAGE_BYTES, SECTOR_BYTES};

/// Issues kept in a report; the rest is counted.
const ISSUES_MAX: usize = 1000;
/// Bytes of data read at once.
const DATA_BATCH_BYTES: u64 = 8 << 20;
/// Bytes of one read.
const DATA_READ_BYTES: u64 = 128 << 10;

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// The generation that was checked.
    pub generation: u64,
    /// Nodes of the tree.
    pub nodes: u64,
    /// Files with a name.
    pub files: u64,
    /// Files without one, which the next open removes.
    pub orphans: u64,
    /// Mappings.
    pub file_extents: u64,
    /// Stored extents.
    pub extents: u64,
    /// Bytes they take.
    pub stored_bytes: u64,
    /// Plain bytes they hold.
    pub ram_bytes: u64,
    /// Plain bytes that files show.
    pub live_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Batches of it that an open would replay.
    pub log_batches: u64,
    /// Changes in them that the tree does not have yet.
    pub log_records: u64,
    /// Bytes of the area that nothing owns.
    pub free_bytes: u64,
    /// Stored sectors that have their checksum.
    pub sectors_verified: u64,
    /// What is wrong, in the order found; at most a thousand.
    pub issues: Vec<Issue>,
    /// Issues beyond those.
    pub issues_more: u64,
}

impl CheckReport {
    /// Nothing is wrong but what a crash may leave behind.
    pub fn is_clean(&self) -> bool {
        self.worst().is_none_or(|worst| worst == Severity::Warning)
    }

    /// The worst rank among the issues kept.
    pub fn worst(&self) -> Option<Severity> {
        self.issues.iter().map(Issue::severity).max()
    }

    pub(super) fn add(&mut self, issue: Issue) {
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(issue);
        } else {
            self.issues_more += 1;
        }
    }
}

/// Checks the image on `backend`. Nothing may write to it meanwhile.
pub fn check(backend: &dyn Backend) -> CheckReport {
    let mut report = CheckReport::default();
    let superblock = match usable_superblock(backend, &mut report) {
        Ok(superblock) => superblock,
        Err(error) => {
            report.add(Issue::NoSuperblock { error });
            return report;
        }
    };
    report.generation = superblock.generation.0;
    let mut check = Check {
        backend,
        shape: NodeShape::of(&superblock),
        superblock: &superblock,
        report,
        owned: Vec::new(),
        files: BTreeMap::new(),
        seen: HashSet::new(),
        parents: HashMap::new(),
        inode: None,
        names: HashMap::new(),
        shown_end: 0,
        shown: BTreeMap::new(),
        data: Vec::new(),
        data_bytes: 0,
    };
    check.run();
    check.report
}

fn usable_superblock(
    backend: &dyn Backend,
    report: &mut CheckReport,
) -> Result<Superblock, EngineError> {
    let superblock = superblock::choose(backend)?;
    let slots = superblock::read_slots(backend)?;
    for (slot, at) in slots.into_iter().zip(format::SUPERBLOCK_AT) {
        if let SlotContent::Unusable { reason } = slot {
            report.add(Issue::SuperblockUnusable { at, reason });
        }
    }
    Ok(superblock)
}

#[derive(Debug)]
pub(super) struct Check<'c> {
    pub(super) backend: &'c dyn Backend,
    shape: NodeShape,
    pub(super) superblock: &'c Superblock,
    pub(super) report: CheckReport,
    /// Nodes, stored extents, the log, and what only the log points to.
    pub(super) owned: Vec<DiskExtent>,
    /// Every file and its name, if it has one.
    pub(super) files: BTreeMap<FileId, Option<String>>,
    seen: HashSet<DiskOffset>,
    /// Generation of the parent of nodes still to come.
    parents: HashMap<DiskOffset, Generation>,
    /// The file whose mappings pass.
    inode: Option<Inode>,
    names: HashMap<String, FileId>,
    shown_end: u64,
    shown: BTreeMap<DiskOffset, Shown>,
    data: Vec<DataRead>,
    data_bytes: u64,
}

/// What files show of a stored extent.
#[derive(Debug, Clone, Copy)]
struct Shown {
    file: FileId,
    disk_bytes: u64,
    ram_bytes: u64,
    codec: u8,
    refs: u32,
    live_bytes: u64,
}

#[derive(Debug)]
struct DataRead {
    extent: DiskExtent,
    checksums: Vec<u32>,
}

impl Check<'_> {
    fn run(&mut self) {
        let (backend, shape) = (self.backend, self.shape);
        let (root, level) = (self.superblock.root, self.superblock.root_level);
        self.parents
            .insert(root.address, self.superblock.generation);
        walk(backend, shape, root, level, &mut |visit| {
            Ok(self.visit(&visit))
        })
        .expect("visits do not fail");
        self.verify_data();
        for (at, shown) in std::mem::take(&mut self.shown) {
            self.report.add(Issue::StoredMissing {
                file: shown.file,
                at,
            });
        }
        self.log();
        self.settle_space();
    }

    fn visit(&mut self, visit: &Visit<'_>) -> Onward {
        let NodePointer {
            address: at,
            generation,
        } = visit.pointer;
        let newest = self.parents.remove(&at);
        if !self.seen.insert(at) {
            self.report.add(Issue::NodeTwice { at });
            return Onward::Past;
        }
        let node = match visit.node {
            Ok(node) => node,
            Err(error) => {
                let error = error.clone();
                self.report.add(Issue::NodeUnusable { at, error });
                return Onward::Past;
            }
        };
        self.report.nodes += 1;
        self.owned.push(DiskExtent {
            start: at,
            bytes: self.shape.slot_len() as u64,
        });
        if let Some(newest) = newest
            && generation > newest
        {
            self.report.add(Issue::NodeFromFuture {
                at,
                found: generation,
                newest,
            });
        }
        if let Err(found) = visit.check_range(node) {
            self.report.add(Issue::KeysOutOfRange {
                at,
                expected: visit.range(),
                found,
            });
        }
        for slot in 0..node.items() {
            if node.level() > 0 {
                self.parents.insert(node.child(slot).address, generation);
            } else {
                self.item(at, node.key(slot), node.value(slot));
            }
        }
        Onward::Children
    }

    fn item(&mut self, at: DiskOffset, key: Key, value: &[u8]) {
        let file = FileId(key.object);
        let malformed = match key.kind {
            ItemKind::Inode => format::decode_inode(file, value).map(|inode| self.inode(inode)),
            ItemKind::FileExtent => format::decode_file_extent(key.offset, value)
                .map(|extent| self.file_extent(file, &extent)),
            ItemKind::Stored if key.object == format::STORED_OBJECT => {
                self.stored(DiskOffset(key.offset), value)
            }
            ItemKind::Stored | ItemKind::Lowest => {
                Err(Malformed::new("item", "a kind for its object", key.object))
            }
        };
        if let Err(malformed) = malformed {
            self.report.add(Issue::ItemMalformed {
                at,
                key: format!("{key:?}"),
                error: malformed.at(at),
            });
        }
    }

    fn inode(&mut self, inode: Inode) {
        let file_next = self.superblock.file_next;
        if inode.file.0 >= file_next {
            self.report.add(Issue::FileFromFuture {
                file: inode.file,
                file_next,
            });
        }
        self.shown_end = 0;
        let name = (!inode.orphan).then(|| inode.name.clone());
        self.files.insert(inode.file, name);
        if inode.orphan {
            self.report.orphans += 1;
        } else {
            self.report.files += 1;
            if let Some(first) = self.names.insert(inode.name.clone(), inode.file) {
                self.report.add(Issue::NameTwice {
                    name: inode.name.clone(),
                    first,
                    second: inode.file,
                });
            }
        }
        self.inode = Some(inode);
    }

    fn file_extent(&mut self, file: FileId, extent: &FileExtent) {
        let range = extent.range();
        self.report.file_extents += 1;
        let Some(inode) = self.inode.as_ref().filter(|inode| inode.file == file) else {
            self.report.add(Issue::MappingWithoutFile { file, range });
            return;
        };
        let size_bytes = inode.size_bytes;
        if range.end > size_bytes.next_multiple_of(PAGE_BYTES) {
            self.report.add(Issue::MappingPastSize {
                file,
                range,
                size_bytes,
            });
        }
        if range.start < self.shown_end {
            self.report.add(Issue::MappingsOverlap { file, range });
        }
        self.shown_end = range.end;
        if extent.generation > self.superblock.generation {
            self.report.add(Issue::MappingFromFuture {
                file,
                range,
                found: extent.generation,
            });
        }
        let at = extent.disk.start;
        let shown = self.shown.entry(at).or_insert(Shown {
            file,
            disk_bytes: extent.disk.bytes,
            ram_bytes: extent.ram_bytes,
            codec: extent.codec,
            refs: 0,
            live_bytes: 0,
        });
        shown.refs += 1;
        shown.live_bytes += extent.length;
        let same = (shown.disk_bytes, shown.ram_bytes, shown.codec)
            == (extent.disk.bytes, extent.ram_bytes, extent.codec);
        if !same {
            self.report.add(Issue::StoredDisputed {
                file,
                at,
                what: "mappings say different things",
            });
        }
    }

    fn stored(&mut self, at: DiskOffset, value: &[u8]) -> Result<(), Malformed> {
        let stored = format::decode_stored(at, value)?;
        let extent = stored.disk;
        self.report.extents += 1;
        self.report.stored_bytes += extent.bytes;
        self.report.ram_bytes += stored.ram_bytes;
        self.report.live_bytes += stored.live_bytes;
        match self.shown.remove(&at) {
            None => self.report.add(Issue::StoredUnused { extent }),
            Some(shown) => {
                if shown.disk_bytes != extent.bytes || shown.ram_bytes != stored.ram_bytes {
                    self.report.add(Issue::StoredDisputed {
                        file: shown.file,
                        at,
                        what: "its sizes",
                    });
                }
                if shown.refs != stored.refs {
                    self.report.add(Issue::RefsDiffer {
                        at,
                        counted: stored.refs,
                        found: shown.refs,
                    });
                }
                if shown.live_bytes != stored.live_bytes {
                    self.report.add(Issue::LiveBytesDiffer {
                        at,
                        counted: stored.live_bytes,
                        found: shown.live_bytes,
                    });
                }
            }
        }
        if !format::extent_valid(extent, self.superblock.capacity_bytes) {
            self.report.add(Issue::SpaceOutside { extent });
            return Ok(());
        }
        self.owned.push(extent);
        self.queue_data(extent, &format::stored_checksums(value));
        Ok(())
    }

    pub(super) fn queue_data(&mut self, extent: DiskExtent, checksums: &[u32]) {
        let mut start = extent.start.0;
        let sectors_per_read = (DATA_READ_BYTES / SECTOR_BYTES) as usize;
        for checksums in checksums.chunks(sectors_per_read) {
            let bytes = checksums.len() as u64 * SECTOR_BYTES;
            self.data.push(DataRead {
                extent: DiskExtent {
                    start: DiskOffset(start),
                    bytes,
                },
                checksums: checksums.to_vec(),
            });
            start += bytes;
        }
        self.data_bytes += extent.bytes;
        if self.data_bytes >= DATA_BATCH_BYTES {
            self.verify_data();
        }
    }

    pub(super) fn verify_data(&mut self) {
        let data = std::mem::take(&mut self.data);
        self.data_bytes = 0;
        let wanted: Vec<(u64, usize)> = data
            .iter()
            .map(|read| {
                let len_bytes = read.checksums.len() * format::SECTOR_LEN;
                (read.extent.start.0, len_bytes)
            })
            .collect();
        for (read, answer) in data.iter().zip(read_many(self.backend, &wanted)) {
            match answer {
                Ok(bytes) => self.verify_sectors(read, &bytes),
                Err(error) => self.report.add(Issue::DataUnreadable {
                    extent: read.extent,
                    error,
                }),
            }
        }
    }

    fn verify_sectors(&mut self, read: &DataRead, bytes: &[u8]) {
        let mut at = read.extent.start;
        let sectors = bytes.chunks_exact(format::SECTOR_LEN);
        for (sector, &expected) in sectors.zip(&read.checksums) {
            let found = crc32c::crc32c(sector);
            if found == expected {
                self.report.sectors_verified += 1;
            } else {
                self.report.add(Issue::DataChecksum {
                    at,
                    expected,
                    found,
                });
            }
            at = DiskOffset(at.0 + SECTOR_BYTES);
        }
    }

    fn settle_space(&mut self) {
        self.owned.sort_unstable();
        let mut free_bytes = 0;
        let mut end = format::AREA_START;
        let mut last: Option<DiskExtent> = None;
        for &extent in &self.owned {
            if let Some(first) = last
                && extent.start < end
            {
                self.report.add(Issue::SpaceOwnedTwice {
                    first,
                    second: extent,
                });
            }
            free_bytes += extent.start.0.saturating_sub(end.0);
            if extent.end() > end {
                end = extent.end();
                last = Some(extent);
            }
        }
        self.report.free_bytes = free_bytes + self.superblock.capacity_bytes.saturating_sub(end.0);
    }
}
