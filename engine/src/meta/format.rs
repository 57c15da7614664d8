//! Every byte of metadata on the device: where it is, how it is written and read back.
//!
//! Little-endian, fixed width, pictured in docs/format.md. Nothing else in the engine knows an
//! offset. Decoding takes bytes from anywhere: each length and sum is checked before it is used, and
//! what does not fit is `Malformed`, never a panic.
//!
//! Not here: searching and changing a node (node), choosing a superblock (superblock).

use crate::error::EngineError;
use crate::log::{DataNumber, HeldSet};
use crate::mutation::{self, Mutation};
use crate::units::{DiskExtent, DiskOffset, FILE_BYTES_MAX, FileId, Generation, SECTOR_BYTES};

use super::types::{
    EXTENT_PLAIN_BYTES_MAX, EXTENT_STORED_BYTES_MAX, FileExtent, Inode, NAME_BYTES_MAX,
    StoredExtent,
};

/// The version this engine writes and reads.
pub(crate) const VERSION: u32 = 3;
/// First bytes of a superblock; tools find a volume by them.
pub(crate) const SUPERBLOCK_MAGIC: [u8; 8] = *b"DELALLOC";
/// Bytes of a superblock.
pub(crate) const SUPERBLOCK_BYTES: usize = 4096;
/// Where the two superblocks are; generation modulo 2 chooses.
pub(crate) const SUPERBLOCK_AT: [DiskOffset; 2] = [DiskOffset(64 * 1024), DiskOffset(128 * 1024)];
/// Everything before this belongs to the system; nodes and data come after.
pub(crate) const AREA_START: DiskOffset = DiskOffset(256 * 1024);
/// Longest log: a whole one is read when a volume opens.
pub(crate) const LOG_BYTES_MAX: u64 = 1 << 30;
/// Generations and file numbers are at or below this: out of reach, and clear of `STORED_OBJECT` and of
/// the end of arithmetic.
pub(crate) const COUNT_MAX: u64 = 1 << 62;
/// Where in a superblock the bits of `HeldSet` are.
const HELD_AT: usize = 160;
const _: () = assert!(HELD_AT + HeldSet::BYTES <= SUPERBLOCK_BYTES - 4);
/// Bytes of a label.
pub(crate) const LABEL_BYTES: usize = 32;
/// Sizes a node may have.
pub(crate) const NODE_BYTES_MIN: u32 = 1024;
/// See `NODE_BYTES_MIN`.
pub(crate) const NODE_BYTES_MAX: u32 = 65536;
/// Levels a tree may have; a 1 KiB node holds at least 6 children, so this is out of reach.
pub(crate) const LEVELS_MAX: u8 = 24;

/// `SECTOR_BYTES` for indexing.
pub(crate) const SECTOR_LEN: usize = 4096;
const _: () = assert!(SECTOR_LEN as u64 == SECTOR_BYTES);

/// `DNOD`.
const NODE_MAGIC: u32 = u32::from_le_bytes(*b"DNOD");
/// Bytes of a node's header.
pub(crate) const NODE_HEADER_BYTES: usize = 48;
/// Bytes of a slot: key, and where the value is.
pub(crate) const SLOT_BYTES: usize = 24;
/// Bytes of a child pointer.
pub(crate) const POINTER_BYTES: usize = 16;
const FILE_EXTENT_BYTES: usize = 40;
const STORED_HEADER_BYTES: usize = 16;
const INODE_HEADER_BYTES: usize = 24;
const INODE_ORPHAN: u32 = 1;

const _: () = assert!(AREA_START.0.is_multiple_of(NODE_BYTES_MAX as u64));
const _: () = assert!(SUPERBLOCK_AT[1].0 + SUPERBLOCK_BYTES as u64 <= AREA_START.0);

/// What an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ItemKind {
    /// The lowest key of any object; no item has it.
    Lowest = 0,
    /// A file: (file, Inode, 0).
    Inode = 1,
    /// A mapping: (file, FileExtent, offset in the file).
    FileExtent = 2,
    /// A stored extent, its references and checksums: (`STORED_OBJECT`, Stored, disk address).
    Stored = 3,
}

/// The object of all stored extents. Highest, so that ascending addresses append to the tree.
pub(crate) const STORED_OBJECT: u64 = u64::MAX;

/// The address of an item in the tree, ordered by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// A file's number, or the object of all stored extents.
    pub object: u64,
    /// What the item is about.
    pub kind: ItemKind,
    /// Within object and kind.
    pub offset: u64,
}

impl Key {
    /// Not above any key.
    pub const LOWEST: Self = Self {
        object: 0,
        kind: ItemKind::Lowest,
        offset: 0,
    };

    /// The key of a file's inode.
    pub(crate) fn inode(file: FileId) -> Self {
        Self {
            object: file.0,
            kind: ItemKind::Inode,
            offset: 0,
        }
    }

    /// The key of the mapping that starts at `offset`.
    pub(crate) fn file_extent(file: FileId, offset: u64) -> Self {
        Self {
            object: file.0,
            kind: ItemKind::FileExtent,
            offset,
        }
    }

    /// The key of the extent stored at `at`.
    pub(crate) fn stored(at: DiskOffset) -> Self {
        Self {
            object: STORED_OBJECT,
            kind: ItemKind::Stored,
            offset: at.0,
        }
    }
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Malformed {
    pub(crate) fn new(
        what: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self {
            what,
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    /// The error, once it is known where the bytes came from.
    pub(crate) fn at(self, at: DiskOffset) -> EngineError {
        EngineError::Corrupt {
            what: self.what,
            at,
            expected: self.expected,
            found: self.found,
        }
    }
}

pub(crate) type Decoded<T> = Result<T, Malformed>;

/// The root of a tree, or a child in its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodePointer {
    pub(crate) address: DiskOffset,
    pub(crate) generation: Generation,
}

/// The header of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeHeader {
    pub(crate) address: DiskOffset,
    pub(crate) generation: Generation,
    pub(crate) volume: u64,
    pub(crate) level: u8,
    pub(crate) items: u16,
}

/// One slot of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) value_at: u16,
    pub(crate) value_bytes: u16,
}

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) node_bytes: u32,
    pub(crate) uuid: [u8; 16],
    pub(crate) capacity_bytes: u64,
    pub(crate) generation: Generation,
    pub(crate) root: NodePointer,
    pub(crate) root_level: u8,
    pub(crate) file_next: u64,
    pub(crate) label: String,
    pub(crate) log: LogRegion,
    /// Pages behind the tail that the tree does not have.
    pub(crate) held: HeldSet,
}

/// Where the log is, and where in it the records begin that this superblock does not include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogRegion {
    /// The whole log; no bytes where the volume has none.
    pub(crate) extent: DiskExtent,
    pub(crate) tail: LogTail,
}

/// A place in the log, and the number of the batch that is there or comes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogTail {
    /// Bytes from the start of the log; a multiple of the sector.
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
}

impl Superblock {
    /// Part of every node's header, so that a node of an earlier volume is never taken for one of this.
    pub(crate) fn volume(&self) -> u64 {
        u64_at(&self.uuid, 0)
    }
}

/// Bytes a node of `node_bytes` takes on the device.
pub(crate) fn node_slot_bytes(node_bytes: u32) -> u64 {
    u64::from(node_bytes).max(SECTOR_BYTES)
}

/// The longest value of an item: a quarter of a node, so that any node can be split.
pub(crate) fn value_bytes_max(node_bytes: usize) -> usize {
    (node_bytes - NODE_HEADER_BYTES) / 4 - SLOT_BYTES
}

// ---- superblock ----

/// The bytes of a superblock for the slot at `at`.
pub(crate) fn encode_superblock(superblock: &Superblock, at: DiskOffset) -> [u8; SUPERBLOCK_BYTES] {
    let mut bytes = [0; SUPERBLOCK_BYTES];
    bytes[..8].copy_from_slice(&SUPERBLOCK_MAGIC);
    put_u32(&mut bytes, 8, VERSION);
    put_u32(&mut bytes, 12, superblock.node_bytes);
    bytes[16..32].copy_from_slice(&superblock.uuid);
    put_u64(&mut bytes, 32, at.0);
    put_u64(&mut bytes, 40, superblock.capacity_bytes);
    put_u64(&mut bytes, 48, superblock.generation.0);
    put_u64(&mut bytes, 56, superblock.root.address.0);
    put_u64(&mut bytes, 64, superblock.root.generation.0);
    put_u64(&mut bytes, 72, superblock.file_next);
    bytes[80] = superblock.root_level;
    let label = superblock.label.as_bytes();
    assert!(label.len() <= LABEL_BYTES);
    bytes[88..88 + label.len()].copy_from_slice(label);
    put_u64(&mut bytes, 120, superblock.log.extent.start.0);
    put_u64(&mut bytes, 128, superblock.log.extent.bytes);
    put_u64(&mut bytes, 136, superblock.log.tail.offset);
    put_u64(&mut bytes, 144, superblock.log.tail.sequence);
    put_u64(&mut bytes, 152, superblock.held.first.0);
    bytes[HELD_AT..HELD_AT + HeldSet::BYTES].copy_from_slice(&superblock.held.bits[..]);
    let crc = crc32c::crc32c(&bytes[..SUPERBLOCK_BYTES - 4]);
    put_u32(&mut bytes, SUPERBLOCK_BYTES - 4, crc);
    bytes
}

/// Reads the superblock that was found at `at`.
pub(crate) fn decode_superblock(bytes: &[u8], at: DiskOffset) -> Decoded<Superblock> {
    const WHAT: &str = "superblock";
    if bytes.len() != SUPERBLOCK_BYTES || bytes[..8] != SUPERBLOCK_MAGIC {
        return Err(Malformed::new(WHAT, "magic DELALLOC", "other bytes"));
    }
    let crc = crc32c::crc32c(&bytes[..SUPERBLOCK_BYTES - 4]);
    let stored_crc = u32_at(bytes, SUPERBLOCK_BYTES - 4);
    if crc != stored_crc {
        return Err(Malformed::new(
            WHAT,
            format!("crc32c {stored_crc:08x}"),
            format!("{crc:08x}"),
        ));
    }
    let version = u32_at(bytes, 8);
    if version != VERSION {
        return Err(Malformed::new(
            WHAT,
            format!("version {VERSION}"),
            format!("version {version}"),
        ));
    }
    if u64_at(bytes, 32) != at.0 {
        return Err(Malformed::new(
            WHAT,
            format!("own address {}", at.0),
            u64_at(bytes, 32),
        ));
    }
    let node_bytes = u32_at(bytes, 12);
    if !node_bytes_valid(node_bytes) {
        return Err(Malformed::new(
            WHAT,
            "a power of two as node size",
            node_bytes,
        ));
    }
    let capacity_bytes = u64_at(bytes, 40);
    let root = NodePointer {
        address: DiskOffset(u64_at(bytes, 56)),
        generation: Generation(u64_at(bytes, 64)),
    };
    let generation = Generation(u64_at(bytes, 48));
    if !node_address_valid(root.address, node_bytes, capacity_bytes) || root.generation > generation
    {
        return Err(Malformed::new(
            WHAT,
            "a root inside the volume",
            format!("{root:?}"),
        ));
    }
    let file_next = u64_at(bytes, 72);
    if generation.0.max(file_next) > COUNT_MAX {
        let found = format!("{} and {file_next}", generation.0);
        return Err(Malformed::new(
            WHAT,
            "a generation and a file number in reach",
            found,
        ));
    }
    let root_level = bytes[80];
    if root_level >= LEVELS_MAX {
        return Err(Malformed::new(WHAT, "a sane root level", root_level));
    }
    let label = bytes[88..88 + LABEL_BYTES].split(|&byte| byte == 0).next();
    let label = std::str::from_utf8(label.unwrap_or_default())
        .map_err(|_| Malformed::new(WHAT, "a label in UTF-8", "other bytes"))?;
    let log = LogRegion {
        extent: DiskExtent {
            start: DiskOffset(u64_at(bytes, 120)),
            bytes: u64_at(bytes, 128),
        },
        tail: LogTail {
            offset: u64_at(bytes, 136),
            sequence: u64_at(bytes, 144),
        },
    };
    if !log_valid(&log, capacity_bytes) {
        let found = format!("{log:?}");
        return Err(Malformed::new(WHAT, "a log inside the volume", found));
    }
    let mut held = HeldSet::empty();
    held.first = DataNumber(u64_at(bytes, 152));
    held.bits
        .copy_from_slice(&bytes[HELD_AT..HELD_AT + HeldSet::BYTES]);
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&bytes[16..32]);
    Ok(Superblock {
        node_bytes,
        uuid,
        capacity_bytes,
        generation,
        root,
        root_level,
        file_next,
        label: label.to_owned(),
        log,
        held,
    })
}

/// Can a log be there, with its tail at a sector of it? A volume without a log has one of no bytes.
fn log_valid(log: &LogRegion, capacity_bytes: u64) -> bool {
    let LogRegion { extent, tail } = log;
    let inside = extent.bytes <= LOG_BYTES_MAX && extent_valid(*extent, capacity_bytes);
    let none = extent.bytes == 0 && extent.start == AREA_START && tail.offset == 0;
    none || (inside && tail.offset < extent.bytes && tail.offset.is_multiple_of(SECTOR_BYTES))
}

/// Is this a node size a volume may have?
pub(crate) fn node_bytes_valid(node_bytes: u32) -> bool {
    node_bytes.is_power_of_two() && (NODE_BYTES_MIN..=NODE_BYTES_MAX).contains(&node_bytes)
}

/// Can a node be there?
pub(crate) fn node_address_valid(at: DiskOffset, node_bytes: u32, capacity_bytes: u64) -> bool {
    let slot_bytes = node_slot_bytes(node_bytes);
    at.0.is_multiple_of(slot_bytes)
        && extent_valid(
            DiskExtent {
                start: at,
                bytes: slot_bytes,
            },
            capacity_bytes,
        )
}

/// Is this whole sectors inside the area for nodes and data?
pub(crate) fn extent_valid(extent: DiskExtent, capacity_bytes: u64) -> bool {
    extent.bytes > 0
        && extent.bytes.is_multiple_of(SECTOR_BYTES)
        && extent.start.0.is_multiple_of(SECTOR_BYTES)
        && extent.start >= AREA_START
        && extent
            .start
            .0
            .checked_add(extent.bytes)
            .is_some_and(|end| end <= capacity_bytes)
}

// ---- node ----

/// Writes a header and seals the node with the checksum of everything after it.
pub(crate) fn seal_node(bytes: &mut [u8], header: &NodeHeader) {
    put_u32(bytes, 4, NODE_MAGIC);
    put_u64(bytes, 8, header.address.0);
    put_u64(bytes, 16, header.generation.0);
    put_u64(bytes, 24, header.volume);
    put_u16(bytes, 32, header.items);
    bytes[34] = header.level;
    bytes[35..NODE_HEADER_BYTES].fill(0);
    let crc = crc32c::crc32c(&bytes[4..]);
    put_u32(bytes, 0, crc);
}

/// Reads a sealed node's header; the checksum covers all of `bytes`.
pub(crate) fn open_node(bytes: &[u8]) -> Decoded<NodeHeader> {
    const WHAT: &str = "tree node";
    assert!(
        bytes.len() >= NODE_BYTES_MIN as usize / 2,
        "a node is read whole"
    );
    let (crc, stored_crc) = (crc32c::crc32c(&bytes[4..]), u32_at(bytes, 0));
    if crc != stored_crc && !mutation::on(Mutation::NodeChecksumIgnored) {
        return Err(Malformed::new(
            WHAT,
            format!("crc32c {stored_crc:08x}"),
            format!("{crc:08x}"),
        ));
    }
    if u32_at(bytes, 4) != NODE_MAGIC {
        return Err(Malformed::new(
            WHAT,
            "magic DNOD",
            format!("{:08x}", u32_at(bytes, 4)),
        ));
    }
    Ok(NodeHeader {
        address: DiskOffset(u64_at(bytes, 8)),
        generation: Generation(u64_at(bytes, 16)),
        volume: u64_at(bytes, 24),
        level: bytes[34],
        items: u16_at(bytes, 32),
    })
}

/// Reads the slot at `at`; the kind must be one that items have.
pub(crate) fn decode_slot(bytes: &[u8], at: usize) -> Decoded<Slot> {
    let slot = &bytes[at..at + SLOT_BYTES];
    let kind = kind_of(slot[16])
        .ok_or_else(|| Malformed::new("key of an item", "a known kind", slot[16]))?;
    Ok(Slot {
        key: Key {
            object: u64_at(slot, 0),
            kind,
            offset: u64_at(slot, 8),
        },
        value_bytes: u16_at(slot, 18),
        value_at: u16_at(slot, 20),
    })
}

/// The key of a slot that was checked when its node was read or made.
pub(crate) fn slot_key(slot: &[u8; SLOT_BYTES]) -> Key {
    Key {
        object: u64_at(slot, 0),
        kind: kind_of(slot[16]).expect("slots are checked when a node is read"),
        offset: u64_at(slot, 8),
    }
}

/// Where the value of a slot is: first byte and length.
pub(crate) fn slot_value(slot: &[u8; SLOT_BYTES]) -> (usize, usize) {
    (usize::from(u16_at(slot, 20)), usize::from(u16_at(slot, 18)))
}

/// The bytes of a slot.
pub(crate) fn encode_slot(slot: &Slot) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    put_u64(&mut bytes, 0, slot.key.object);
    put_u64(&mut bytes, 8, slot.key.offset);
    bytes[16] = slot.key.kind as u8;
    put_u16(&mut bytes, 18, slot.value_bytes);
    put_u16(&mut bytes, 20, slot.value_at);
    bytes
}

/// The bytes of a child pointer.
pub(crate) fn encode_pointer(pointer: NodePointer) -> [u8; POINTER_BYTES] {
    let mut bytes = [0; POINTER_BYTES];
    put_u64(&mut bytes, 0, pointer.address.0);
    put_u64(&mut bytes, 8, pointer.generation.0);
    bytes
}

/// A child pointer of a node whose values were checked to have the right length.
pub(crate) fn decode_pointer(bytes: &[u8]) -> NodePointer {
    NodePointer {
        address: DiskOffset(u64_at(bytes, 0)),
        generation: Generation(u64_at(bytes, 8)),
    }
}

fn kind_of(byte: u8) -> Option<ItemKind> {
    match byte {
        0 => Some(ItemKind::Lowest),
        1 => Some(ItemKind::Inode),
        2 => Some(ItemKind::FileExtent),
        3 => Some(ItemKind::Stored),
        _ => None,
    }
}

// ---- items ----

/// The bytes of an inode item.
pub(crate) fn encode_inode(inode: &Inode) -> Vec<u8> {
    let name = inode.name.as_bytes();
    let mut bytes = vec![0; INODE_HEADER_BYTES + name.len()];
    put_u64(&mut bytes, 0, inode.generation.0);
    put_u64(&mut bytes, 8, inode.size_bytes);
    put_u32(&mut bytes, 16, if inode.orphan { INODE_ORPHAN } else { 0 });
    let name_bytes = u16::try_from(name.len()).expect("names are short");
    put_u16(&mut bytes, 20, name_bytes);
    bytes[INODE_HEADER_BYTES..].copy_from_slice(name);
    bytes
}

/// Writes another size over an inode item.
pub(crate) fn patch_inode_size(bytes: &mut [u8], size_bytes: u64) {
    put_u64(bytes, 8, size_bytes);
}

/// Marks an inode item as one of a file without a name.
pub(crate) fn patch_inode_orphan(bytes: &mut [u8]) {
    put_u32(bytes, 16, INODE_ORPHAN);
}

/// Reads an inode item.
pub(crate) fn decode_inode(file: FileId, bytes: &[u8]) -> Decoded<Inode> {
    const WHAT: &str = "inode item";
    if bytes.len() < INODE_HEADER_BYTES {
        return Err(Malformed::new(WHAT, "at least 24 bytes", bytes.len()));
    }
    let name = &bytes[INODE_HEADER_BYTES..];
    if name.len() != usize::from(u16_at(bytes, 20)) || !(1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Err(Malformed::new(WHAT, "a name of its length", name.len()));
    }
    let name = std::str::from_utf8(name)
        .map_err(|_| Malformed::new(WHAT, "a name in UTF-8", "other bytes"))?;
    let size_bytes = u64_at(bytes, 8);
    if size_bytes > FILE_BYTES_MAX {
        return Err(Malformed::new(WHAT, "a size of a file", size_bytes));
    }
    let flags = u32_at(bytes, 16);
    if flags & !INODE_ORPHAN != 0 {
        return Err(Malformed::new(WHAT, "known flags", format!("{flags:#x}")));
    }
    let size_bytes = u64_at(bytes, 8);
    if size_bytes > FILE_BYTES_MAX {
        return Err(Malformed::new(WHAT, "a size a file can have", size_bytes));
    }
    Ok(Inode {
        file,
        size_bytes,
        name: name.to_owned(),
        orphan: flags & INODE_ORPHAN != 0,
        generation: Generation(u64_at(bytes, 0)),
    })
}

/// The bytes of a mapping.
pub(crate) fn encode_file_extent(extent: &FileExtent) -> [u8; FILE_EXTENT_BYTES] {
    let mut bytes = [0; FILE_EXTENT_BYTES];
    put_u64(&mut bytes, 0, extent.generation.0);
    put_u64(&mut bytes, 8, extent.disk.start.0);
    put_u32(&mut bytes, 16, u32_of(extent.disk.bytes));
    put_u32(&mut bytes, 20, u32_of(extent.offset_in_extent));
    put_u32(&mut bytes, 24, u32_of(extent.length));
    put_u32(&mut bytes, 28, u32_of(extent.ram_bytes));
    bytes[32] = extent.codec;
    bytes
}

/// Reads a mapping that starts at `file_start`.
pub(crate) fn decode_file_extent(file_start: u64, bytes: &[u8]) -> Decoded<FileExtent> {
    const WHAT: &str = "file extent item";
    if bytes.len() != FILE_EXTENT_BYTES {
        return Err(Malformed::new(WHAT, "40 bytes", bytes.len()));
    }
    let extent = FileExtent {
        file_start,
        length: u64::from(u32_at(bytes, 24)),
        disk: DiskExtent {
            start: DiskOffset(u64_at(bytes, 8)),
            bytes: u64::from(u32_at(bytes, 16)),
        },
        offset_in_extent: u64::from(u32_at(bytes, 20)),
        ram_bytes: u64::from(u32_at(bytes, 28)),
        codec: bytes[32],
        generation: Generation(u64_at(bytes, 0)),
    };
    let whole = extent.disk.bytes;
    let sane = extent.length > 0
        && extent.offset_in_extent + extent.length <= extent.ram_bytes
        && file_start
            .checked_add(extent.length)
            .is_some_and(|end| end <= FILE_BYTES_MAX)
        && [
            file_start,
            extent.length,
            extent.offset_in_extent,
            extent.ram_bytes,
            whole,
        ]
        .iter()
        .all(|bytes| bytes.is_multiple_of(SECTOR_BYTES))
        && extent_valid(extent.disk, u64::MAX)
        && whole <= EXTENT_STORED_BYTES_MAX
        && extent.ram_bytes <= EXTENT_PLAIN_BYTES_MAX
        && (!extent.is_raw() || whole == extent.ram_bytes);
    if !sane {
        return Err(Malformed::new(
            WHAT,
            "whole sectors inside one extent",
            format!("{extent:?}"),
        ));
    }
    Ok(extent)
}

/// The bytes of a stored extent's item.
pub(crate) fn encode_stored(stored: &StoredExtent, checksums: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; STORED_HEADER_BYTES + checksums.len() * 4];
    patch_stored(&mut bytes, stored);
    for (at, &checksum) in checksums.iter().enumerate() {
        put_u32(&mut bytes, STORED_HEADER_BYTES + at * 4, checksum);
    }
    bytes
}

/// Writes everything but the checksums over an item of the same extent.
pub(crate) fn patch_stored(bytes: &mut [u8], stored: &StoredExtent) {
    put_u32(bytes, 0, u32_of(stored.disk.bytes));
    put_u32(bytes, 4, u32_of(stored.ram_bytes));
    put_u32(bytes, 8, u32_of(stored.live_bytes));
    put_u32(bytes, 12, stored.refs);
}

/// Reads a stored extent's item without its checksums, whose number is checked.
pub(crate) fn decode_stored(start: DiskOffset, bytes: &[u8]) -> Decoded<StoredExtent> {
    const WHAT: &str = "stored extent item";
    if bytes.len() < STORED_HEADER_BYTES {
        return Err(Malformed::new(WHAT, "at least 16 bytes", bytes.len()));
    }
    let stored = StoredExtent {
        disk: DiskExtent {
            start,
            bytes: u64::from(u32_at(bytes, 0)),
        },
        refs: u32_at(bytes, 12),
        live_bytes: u64::from(u32_at(bytes, 8)),
        ram_bytes: u64::from(u32_at(bytes, 4)),
    };
    let checksums = (bytes.len() - STORED_HEADER_BYTES) as u64 / 4;
    let sane = extent_valid(stored.disk, u64::MAX)
        && stored.disk.bytes <= EXTENT_STORED_BYTES_MAX
        && (bytes.len() - STORED_HEADER_BYTES).is_multiple_of(4)
        && checksums * SECTOR_BYTES == stored.disk.bytes
        && stored.refs > 0
        && stored.live_bytes > 0
        && stored.live_bytes <= stored.ram_bytes
        && stored.ram_bytes <= EXTENT_PLAIN_BYTES_MAX
        && stored.ram_bytes.is_multiple_of(SECTOR_BYTES)
        && stored.live_bytes.is_multiple_of(SECTOR_BYTES);
    if !sane {
        return Err(Malformed::new(
            WHAT,
            "a used extent with its checksums",
            format!("{stored:?}"),
        ));
    }
    Ok(stored)
}

/// The checksums of a stored extent's item that was decoded before.
pub(crate) fn stored_checksums(bytes: &[u8]) -> Vec<u32> {
    bytes[STORED_HEADER_BYTES..]
        .chunks_exact(4)
        .map(|crc| u32_at(crc, 0))
        .collect()
}

/// The longest name whose inode fits a node of `node_bytes`.
pub(crate) fn name_bytes_max(node_bytes: usize) -> usize {
    (value_bytes_max(node_bytes) - INODE_HEADER_BYTES).min(NAME_BYTES_MAX)
}

/// The most stored bytes of an extent whose item fits a node of `node_bytes`.
pub(crate) fn stored_bytes_max(node_bytes: usize) -> u64 {
    let checksums = (value_bytes_max(node_bytes) - STORED_HEADER_BYTES) / 4;
    (checksums as u64 * SECTOR_BYTES).min(EXTENT_STORED_BYTES_MAX)
}

fn u32_of(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("an extent is far below 4 GiB")
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
