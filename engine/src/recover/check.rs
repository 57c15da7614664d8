//! Everything that can be verified on an image, without the engine running.
//!
//! Superblocks, also against each other; every node (checksum, generation, address, level, key range); every item; every mapping against its file and its stored extent, both ways; every
//! sector at most one owner; every stored byte against its checksum and its codec; the log. One walk of
//! the tree: files come before stored extents, so what files show is summed up first and settled when the
//! extents pass. Data is read where its extent passes, a batch at a time.
//!
//! What a file's last page holds past its end is not defined, so nothing is proved about it.
//!
//! Memory: names, and a few dozen bytes for each stored extent and node.
//!
//! Not here: the words for what is wrong (issue), sums by stored extent (shown), names (names), walking (walk),
//! reading data (stored_data), the superblocks (slots).

use std::collections::{BTreeMap, HashMap};

use delalloc_backends::Backend;

use super::inventory::{Entry, ExtentEntry, FileEntry};
use super::issue::{Issue, Severity};
use super::names::Names;
use super::shown::Shown;
use super::slots;
use super::stored_data::{DataQueue, ShownAs, StoredData, Verified};
use super::walk::{Found, Onward, Visit, walk};
use crate::compress::Codec;
use crate::extent::IntervalMap;
use crate::meta::format::{self, ItemKind, Key, Malformed, NodePointer, Superblock};
use crate::meta::node_store::NodeShape;
use crate::meta::{FileExtent, Inode};
use crate::units::{DiskExtent, DiskOffset, FileId, Generation, PAGE_BYTES};

/// Issues kept in a report; the rest is counted.
const ISSUES_MAX: usize = 1000;

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
    /// Plain bytes that files show; the rest is dead until its extent goes.
    pub live_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Batches of it that an open would replay.
    pub log_batches: u64,
    /// Changes in them that the tree does not have yet.
    pub log_records: u64,
    /// Bytes of the stored extents that those changes bring.
    pub logged_bytes: u64,
    /// Stored extents with dead bytes.
    pub bookends: u64,
    /// Bytes of the area, which nodes, stored extents, the log, what only it points to and free bytes make up.
    pub area_bytes: u64,
    /// Bytes that nodes take.
    pub node_bytes: u64,
    /// Bytes of the area that nothing owns.
    pub free_bytes: u64,
    /// Stored sectors that have their checksum.
    pub sectors_verified: u64,
    /// Compressed extents that were decoded.
    pub extents_decoded: u64,
    /// What is wrong, worst first, else in the order found; at most a thousand.
    pub issues: Vec<Issue>,
    /// Issues beyond those, none worse than the least of them.
    pub issues_more: u64,
}

impl CheckReport {
    /// Nothing is wrong but what a crash may leave behind.
    pub fn is_clean(&self) -> bool {
        self.worst().is_none_or(|worst| worst == Severity::Warning)
    }

    /// The worst rank.
    pub fn worst(&self) -> Option<Severity> {
        self.issues.first().map(Issue::severity)
    }

    /// Plain bytes that are stored and that no file shows.
    pub fn dead_bytes(&self) -> u64 {
        self.ram_bytes.saturating_sub(self.live_bytes)
    }

    pub(super) fn add(&mut self, issue: Issue) {
        let not_worse = |kept: &Issue| kept.severity() >= issue.severity();
        let at = self.issues.partition_point(not_worse);
        self.issues.insert(at, issue);
        if self.issues.len() > ISSUES_MAX {
            self.issues.pop();
            self.issues_more += 1;
        }
    }

    pub(super) fn add_verified(&mut self, verified: Verified) {
        self.sectors_verified += verified.sectors;
        self.extents_decoded += verified.extents_decoded;
        for issue in verified.issues {
            self.add(issue);
        }
    }
}

/// Checks the image on `backend`, all of it. Nothing may write to it meanwhile.
pub fn check(backend: &dyn Backend) -> CheckReport {
    check_with(backend, true, &mut |_| ())
}

/// The same, with compressed extents decoded or not; `show` is shown what passes.
pub fn check_with(
    backend: &dyn Backend,
    decode: bool,
    show: &mut dyn FnMut(Entry<'_>),
) -> CheckReport {
    let mut report = CheckReport::default();
    let superblock = match slots::usable(backend, &mut |issue| report.add(issue)) {
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
        names: Names::default(),
        removed: HashMap::new(),
        cuts: HashMap::new(),
        parents: HashMap::new(),
        file: None,
        shown_end: 0,
        shown: BTreeMap::new(),
        data: DataQueue::new(backend, decode),
        show,
    };
    check.run();
    check.report
}

pub(super) struct Check<'c> {
    pub(super) backend: &'c dyn Backend,
    shape: NodeShape,
    pub(super) superblock: &'c Superblock,
    pub(super) report: CheckReport,
    /// Nodes, stored extents, the log, and what only the log points to.
    pub(super) owned: Vec<DiskExtent>,
    pub(super) names: Names,
    /// What files show that the log removes.
    pub(super) removed: HashMap<FileId, IntervalMap<()>>,
    /// Where the log takes away what a file shows.
    pub(super) cuts: HashMap<FileId, IntervalMap<()>>,
    /// Generation of the parent of nodes still to come.
    parents: HashMap<DiskOffset, Generation>,
    /// The file whose mappings pass.
    file: Option<FileEntry>,
    shown_end: u64,
    shown: BTreeMap<DiskOffset, Shown>,
    pub(super) data: DataQueue<'c>,
    show: &'c mut dyn FnMut(Entry<'_>),
}

impl Check<'_> {
    fn run(&mut self) {
        let logged = self.scan_log();
        let (backend, shape) = (self.backend, self.shape);
        let (root, level) = (self.superblock.root, self.superblock.root_level);
        self.parents
            .insert(root.address, self.superblock.generation);
        walk(backend, shape, root, level, &mut |visit| {
            Ok(self.visit(&visit))
        })
        .expect("visits do not fail");
        if let Some(logged) = logged {
            self.log(&logged);
        }
        self.end_file();
        let verified = self.data.drain();
        self.report.add_verified(verified);
        for (at, shown) in std::mem::take(&mut self.shown) {
            self.report.add(Issue::StoredMissing {
                file: shown.file,
                at,
                stops_replay: shown.stops_replay(None),
            });
        }
        self.settle_space();
    }

    fn visit(&mut self, visit: &Visit<'_>) -> Onward {
        let NodePointer {
            address: at,
            generation,
        } = visit.pointer;
        let newest = self.parents.remove(&at);
        let node = match visit.found {
            Found::Node(node) => node,
            Found::Again => {
                self.report.add(Issue::NodeTwice { at });
                return Onward::Past;
            }
            Found::Unusable(error) => {
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
                self.item(visit.pointer, node.key(slot), node.value(slot));
            }
        }
        Onward::Children
    }

    fn item(&mut self, node: NodePointer, key: Key, value: &[u8]) {
        let file = FileId(key.object);
        let (at, newest) = (node.address, node.generation);
        let malformed = match key.kind {
            ItemKind::Inode if key.offset == 0 => {
                format::decode_inode(file, value).map(|inode| self.inode(inode, newest))
            }
            ItemKind::FileExtent => format::decode_file_extent(key.offset, value)
                .map(|extent| self.file_extent(file, &extent, newest)),
            ItemKind::Stored if key.object == format::STORED_OBJECT => {
                self.stored(DiskOffset(key.offset), value)
            }
            ItemKind::Inode | ItemKind::Stored | ItemKind::Lowest => Err(Malformed::new(
                "item",
                "a kind for its object and offset",
                format!("{key:?}"),
            )),
        };
        if let Err(malformed) = malformed {
            self.report.add(Issue::ItemMalformed {
                at,
                key: format!("{key:?}"),
                error: malformed.at(at),
            });
        }
    }

    fn inode(&mut self, inode: Inode, newest: Generation) {
        self.end_file();
        if inode.generation > newest {
            self.report.add(Issue::InodeFromFuture {
                file: inode.file,
                name: inode.name.clone(),
                found: inode.generation,
                newest,
            });
        }
        let file_next = self.superblock.file_next;
        if inode.file.0 == 0 || inode.file.0 >= file_next {
            self.report.add(Issue::FileFromFuture {
                file: inode.file,
                file_next,
            });
        }
        self.shown_end = 0;
        let name = (!inode.orphan).then_some(inode.name.as_str());
        if inode.orphan {
            self.report.orphans += 1;
        } else {
            self.report.files += 1;
        }
        if let Some(first) = self.names.add(inode.file, name) {
            self.report.add(Issue::NameTwice {
                name: inode.name.clone(),
                first,
                second: inode.file,
            });
        }
        self.file = Some(FileEntry {
            inode,
            mappings: 0,
            mapped_bytes: 0,
            stored_bytes: 0,
        });
    }

    fn end_file(&mut self) {
        if let Some(file) = self.file.take() {
            (self.show)(Entry::File(&file));
        }
    }

    fn file_extent(&mut self, file: FileId, extent: &FileExtent, newest: Generation) {
        let range = extent.range();
        self.report.file_extents += 1;
        let entry = self.file.as_mut().filter(|entry| entry.inode.file == file);
        let Some(entry) = entry else {
            self.report.add(Issue::MappingWithoutFile { file, range });
            return;
        };
        entry.mappings += 1;
        entry.mapped_bytes += extent.length;
        entry.stored_bytes += share_of(extent);
        let (size_bytes, created) = (entry.inode.size_bytes, entry.inode.generation);
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
        self.change_removed(file, range, true);
        if extent.generation > newest {
            self.report.add(Issue::MappingFromFuture {
                file,
                range,
                found: extent.generation,
            });
        }
        if extent.generation < created {
            self.report.add(Issue::MappingBeforeFile {
                file,
                range,
                found: extent.generation,
                created,
            });
        }
        if Codec::from_number(extent.codec).is_none() {
            self.report.add(Issue::CodecUnknown {
                file,
                range,
                codec: extent.codec,
            });
        }
        self.show_part(file, extent);
    }

    fn show_part(&mut self, file: FileId, extent: &FileExtent) {
        let at = extent.disk.start;
        let cut_bytes = self.cut_bytes(file, extent.range());
        let shown = self.shown.entry(at);
        let shown = shown.or_insert_with(|| Shown::by(file, extent));
        shown.cut_bytes += cut_bytes;
        if let Some(what) = shown.count(file, extent) {
            self.report.add(Issue::StoredDisputed { file, at, what });
        }
    }

    fn stored(&mut self, at: DiskOffset, value: &[u8]) -> Result<(), Malformed> {
        let stored = format::decode_stored(at, value)?;
        let extent = stored.disk;
        self.report.extents += 1;
        self.report.stored_bytes += extent.bytes;
        self.report.ram_bytes += stored.ram_bytes;
        self.report.live_bytes += stored.live_bytes;
        self.report.bookends += u64::from(stored.live_bytes < stored.ram_bytes);
        let shown = self.shown.remove(&at);
        match shown {
            None => self.report.add(Issue::StoredUnused { extent }),
            Some(shown) => {
                if let Some(what) = shown.dispute(&stored) {
                    let file = shown.file;
                    self.report.add(Issue::StoredDisputed { file, at, what });
                }
                self.end_file();
                (self.show)(Entry::Extent(&ExtentEntry {
                    disk: extent,
                    file: shown.file,
                    codec: shown.codec,
                    plain_bytes: stored.ram_bytes,
                    live_bytes: stored.live_bytes,
                    refs: stored.refs,
                }));
                let stops_replay = shown.stops_replay(Some(&stored));
                if shown.refs != stored.refs {
                    self.report.add(Issue::RefsDiffer {
                        at,
                        counted: stored.refs,
                        found: shown.refs,
                        stops_replay,
                    });
                }
                if shown.live_bytes != stored.live_bytes {
                    self.report.add(Issue::LiveBytesDiffer {
                        at,
                        counted: stored.live_bytes,
                        found: shown.live_bytes,
                        stops_replay,
                    });
                }
            }
        }
        if !format::extent_valid(extent, self.superblock.capacity_bytes) {
            self.report.add(Issue::SpaceOutside { extent });
            return Ok(());
        }
        self.owned.push(extent);
        let verified = self.data.push(StoredData {
            extent,
            checksums: format::stored_checksums(value),
            shown: shown
                .filter(|shown| shown.disk_bytes == extent.bytes)
                .map(|shown| ShownAs {
                    file: shown.file,
                    codec: shown.codec,
                    plain_bytes: stored.ram_bytes,
                }),
        });
        self.report.add_verified(verified);
        Ok(())
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
        let capacity_bytes = self.superblock.capacity_bytes;
        self.report.free_bytes = free_bytes + capacity_bytes.saturating_sub(end.0);
        self.report.area_bytes = capacity_bytes - format::AREA_START.0;
        self.report.node_bytes = self.report.nodes * self.shape.slot_len() as u64;
    }
}

/// The part of the stored bytes that belongs to what a mapping shows.
fn share_of(extent: &FileExtent) -> u64 {
    let share = u128::from(extent.disk.bytes) * u128::from(extent.length);
    u64::try_from(share / u128::from(extent.ram_bytes)).expect("a part of the stored bytes")
}
