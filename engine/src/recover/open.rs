//! What a volume holds, derived from its newest superblock by one walk of the tree.
//!
//! Free space is what nothing points to; names, sizes and sums come along. The alternative, storing
//! free space, would make commits need space and could disagree with the tree. The price: opening
//! reads every node, many at a time.
//!
//! A volume whose nodes overlap or do not decode does not open: writing to it would destroy more. The same
//! goes for a stored extent that counts less than files show of it, or whose mappings disagree about it, and for
//! mappings that overlap: what is written to one page would change others.
//! Data is not read here.
//!
//! Memory while the walk lasts: as of a check.
//!
//! Not here: the log (log_scan, replay), the exhaustive look (check).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use delalloc_backends::Backend;

use super::shown::Shown;
use super::walk::{Found, Onward, walk};
use crate::error::Result;
use crate::meta::btree::TreeRoot;
use crate::meta::format::{self, Decoded, ItemKind, Malformed, Superblock};
use crate::meta::node::Node;
use crate::meta::node_store::{NodeShape, NodeStore};
use crate::meta::superblock;
use crate::meta::{ExtentTotals, FileExtent, Inode, StoredExtent};
use crate::units::{DiskExtent, DiskOffset, FileId, PAGE_BYTES};

/// A volume as it is on the device.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) superblock: Superblock,
    pub(crate) store: NodeStore,
    pub(crate) root: TreeRoot,
    /// Nodes and stored extents; with the log and what it points to, by address, after `keep_space`.
    pub(crate) used: Vec<DiskExtent>,
    pub(crate) files: BTreeMap<FileId, Inode>,
    /// Files with extents past the page of their last byte: their size had not caught up when the
    /// volume was last committed.
    pub(crate) overhanging: Vec<FileId>,
    pub(crate) totals: ExtentTotals,
    /// Where mappings point that find no stored extent. Nothing new is put there: it would be shown.
    missing: Vec<DiskExtent>,
}

/// Reads the newest superblock and walks its tree; nodes stay cached as far as `cache_bytes` goes.
pub(crate) fn open(backend: &Arc<dyn Backend>, cache_bytes: u64) -> Result<Opened> {
    let superblock = superblock::choose(backend.as_ref())?;
    let shape = NodeShape::of(&superblock);
    let slot_bytes = shape.slot_len() as u64;
    let mut opened = Opened {
        store: NodeStore::new(Arc::clone(backend), shape, cache_bytes),
        root: TreeRoot {
            root: superblock.root,
            level: superblock.root_level,
            nodes: 0,
        },
        used: Vec::new(),
        files: BTreeMap::new(),
        overhanging: Vec::new(),
        totals: ExtentTotals::default(),
        missing: Vec::new(),
        superblock,
    };
    let mut shown = AllShown::default();
    let (root, level) = (opened.root.root, opened.root.level);
    walk(backend.as_ref(), shape, root, level, &mut |visit| {
        let at = visit.pointer.address;
        let node = match visit.found {
            Found::Node(node) => Arc::clone(node),
            Found::Again => return Err(Malformed::new("tree node", "one parent", "two").at(at)),
            Found::Unusable(error) => return Err(error.clone()),
        };
        if let Err(found) = visit.check_range(&node) {
            return Err(Malformed::new("keys of a tree node", visit.range(), found).at(at));
        }
        opened.root.nodes += 1;
        opened.used.push(DiskExtent {
            start: at,
            bytes: slot_bytes,
        });
        if node.level() == 0 {
            opened
                .take_leaf(&node, &mut shown)
                .map_err(|malformed| malformed.at(at))?;
        }
        opened.store.put_clean(node);
        Ok(Onward::Children)
    })?;
    opened.missing = shown.into_missing(opened.superblock.capacity_bytes);
    Ok(opened)
}

/// What files show.
#[derive(Debug, Default)]
struct AllShown {
    /// Of stored extents that have not passed.
    extents: HashMap<DiskOffset, Shown>,
    /// The file of the last mapping that passed, and where that ends.
    last: Option<(FileId, u64)>,
}

impl AllShown {
    fn mapping(&mut self, file: FileId, extent: &FileExtent) -> Decoded<()> {
        let range = extent.range();
        if let Some((last, end)) = self.last.replace((file, range.end))
            && last == file
            && range.start < end
        {
            let expected = format!("a place behind the one before, which ends at {end}");
            return Err(Malformed::new("file extent item", expected, range.start));
        }
        let shown = self.extents.entry(extent.disk.start);
        let shown = shown.or_insert_with(|| Shown::by(file, extent));
        agreed(shown.count(file, extent), extent.disk)
    }

    fn stored(&mut self, stored: &StoredExtent) -> Decoded<()> {
        let Some(shown) = self.extents.remove(&stored.disk.start) else {
            return Ok(());
        };
        if shown.exceeds(stored) {
            let expected = format!("{} mappings of {} bytes", shown.refs, shown.live_bytes);
            let found = format!("{} of {}", stored.refs, stored.live_bytes);
            return Err(Malformed::new("counts of a stored extent", expected, found));
        }
        agreed(shown.dispute(stored), stored.disk)
    }

    /// Where those are that have not passed, by address.
    fn into_missing(self, capacity_bytes: u64) -> Vec<DiskExtent> {
        let extents = self.extents.into_iter().map(|(start, shown)| DiskExtent {
            start,
            bytes: shown.disk_bytes,
        });
        let mut missing: Vec<_> = extents
            .filter(|extent| format::extent_valid(*extent, capacity_bytes))
            .collect();
        missing.sort_unstable();
        missing
    }
}

fn agreed(disputed: Option<&str>, disk: DiskExtent) -> Decoded<()> {
    match disputed {
        None => Ok(()),
        Some(what) => {
            let expected = format!("agreement about {disk:?}");
            Err(Malformed::new("file extent item", expected, what))
        }
    }
}

fn check_owners(sorted: &[DiskExtent]) -> Result<()> {
    for pair in sorted.windows(2) {
        if pair[0].end() > pair[1].start {
            let malformed = Malformed::new("allocated space", "one owner", "two");
            return Err(malformed.at(pair[1].start));
        }
    }
    Ok(())
}

impl Opened {
    /// Takes the space of `extents`, sorted, that the log points to.
    pub(crate) fn keep_space(&mut self, extents: Vec<DiskExtent>) -> Result<()> {
        self.used.extend(extents);
        self.used.push(self.superblock.log.extent);
        self.used.retain(|extent| extent.bytes > 0);
        self.used.sort_unstable();
        check_owners(&self.used)?;
        for missing in std::mem::take(&mut self.missing) {
            self.keep_missing(missing);
        }
        Ok(())
    }

    /// Takes the space of an extent that is not there, up to what comes behind it.
    fn keep_missing(&mut self, missing: DiskExtent) {
        let start = missing.start;
        let at = self.used.partition_point(|used| used.end() <= start);
        let next = self
            .used
            .get(at)
            .map_or_else(|| missing.end(), |next| next.start);
        if next > start {
            let bytes = next.min(missing.end()).0 - start.0;
            self.used.insert(at, DiskExtent { start, bytes });
        }
    }

    fn take_leaf(&mut self, leaf: &Node, shown: &mut AllShown) -> Decoded<()> {
        for at in 0..leaf.items() {
            let (key, value) = (leaf.key(at), leaf.value(at));
            match key.kind {
                ItemKind::Inode if key.offset != 0 => {
                    return Err(Malformed::new("inode item", "offset 0", key.offset));
                }
                ItemKind::Inode => {
                    let inode = format::decode_inode(FileId(key.object), value)?;
                    if key.object >= self.superblock.file_next {
                        let next = format!("a number below {}", self.superblock.file_next);
                        return Err(Malformed::new("inode item", next, key.object));
                    }
                    self.files.insert(inode.file, inode);
                }
                ItemKind::FileExtent => {
                    let extent = format::decode_file_extent(key.offset, value)?;
                    let file = FileId(key.object);
                    let Some(inode) = self.files.get(&file) else {
                        let found = format!("none for file {}", file.0);
                        return Err(Malformed::new("file extent item", "an inode", found));
                    };
                    let end = inode.size_bytes.next_multiple_of(PAGE_BYTES);
                    if extent.range().end > end && self.overhanging.last() != Some(&file) {
                        self.overhanging.push(file);
                    }
                    shown.mapping(file, &extent)?;
                    self.totals.file_extents += 1;
                }
                ItemKind::Stored if key.object != format::STORED_OBJECT => {
                    return Err(Malformed::new(
                        "stored extent item",
                        "its object",
                        key.object,
                    ));
                }
                ItemKind::Stored => {
                    let stored = format::decode_stored(DiskOffset(key.offset), value)?;
                    if !format::extent_valid(stored.disk, self.superblock.capacity_bytes) {
                        let found = format!("{:?}", stored.disk);
                        return Err(Malformed::new(
                            "stored extent item",
                            "inside the volume",
                            found,
                        ));
                    }
                    shown.stored(&stored)?;
                    self.used.push(stored.disk);
                    self.totals.extents += 1;
                    self.totals.stored_bytes += stored.disk.bytes;
                    self.totals.ram_bytes += stored.ram_bytes;
                    self.totals.live_bytes += stored.live_bytes;
                }
                ItemKind::Lowest => {
                    return Err(Malformed::new("item of a leaf", "a known kind", "none"));
                }
            }
        }
        Ok(())
    }
}
