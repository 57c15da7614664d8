//! The bytes of a superblock, which names the tree, the log and what of the log counts.
//!
//! Not here: which of the two slots is written and believed (meta/superblock).

use super::node::NodePointer;
use super::{
    AREA_START, Decoded, LEVELS_MAX, Malformed, extent_valid, node_address_valid, node_bytes_valid,
    put_u32, put_u64, u32_at, u64_at,
};
use crate::log::{DataNumber, HeldSet};
use crate::units::{DiskExtent, DiskOffset, Generation, SECTOR_BYTES};

/// The version this engine writes and reads.
pub(crate) const VERSION: u32 = 4;
/// First bytes of a superblock; tools find a volume by them.
pub(crate) const SUPERBLOCK_MAGIC: [u8; 8] = *b"DELALLOC";
/// Bytes of a superblock.
pub(crate) const SUPERBLOCK_BYTES: usize = 4096;
/// Where the two superblocks are; generation modulo 2 chooses.
pub(crate) const SUPERBLOCK_AT: [DiskOffset; 2] = [DiskOffset(64 * 1024), DiskOffset(128 * 1024)];
/// Longest log: a whole one is read when a volume opens.
pub(crate) const LOG_BYTES_MAX: u64 = 1 << 30;
/// Generations, file numbers and numbers of batches are at or below this: out of reach, and clear of `STORED_OBJECT` and of
/// the end of arithmetic.
pub(crate) const COUNT_MAX: u64 = 1 << 62;
/// Where in a superblock the bits of `HeldSet` are.
const HELD_AT: usize = 160;
/// Where the number of the last batch that they are in is.
const HELD_THROUGH_AT: usize = HELD_AT + HeldSet::BYTES;
const _: () = assert!(HELD_THROUGH_AT + 8 <= SUPERBLOCK_BYTES - 4);
/// Bytes of a label.
pub(crate) const LABEL_BYTES: usize = 32;
const _: () = assert!(SUPERBLOCK_AT[1].0 + SUPERBLOCK_BYTES as u64 <= AREA_START.0);

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
    /// The last batch that had one of them when this was written, durable: the log reaches at least as far. 0 where there was
    /// none, and in superblocks of before it was said.
    pub(crate) held_through: u64,
    /// The tree has everything else that is behind the tail, of whatever generation: an open was making the changes of
    /// the log again.
    pub(crate) replayed: bool,
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
    /// From 1 on.
    pub(crate) sequence: u64,
}

impl Superblock {
    /// Part of every node's header, so that a node of an earlier volume is not taken for one of this, where they were
    /// formatted with different seeds.
    pub(crate) fn volume(&self) -> u64 {
        u64_at(&self.uuid, 0)
    }
}

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
    bytes[81] = u8::from(superblock.replayed);
    let label = superblock.label.as_bytes();
    assert!(label.len() <= LABEL_BYTES);
    bytes[88..88 + label.len()].copy_from_slice(label);
    put_u64(&mut bytes, 120, superblock.log.extent.start.0);
    put_u64(&mut bytes, 128, superblock.log.extent.bytes);
    put_u64(&mut bytes, 136, superblock.log.tail.offset);
    put_u64(&mut bytes, 144, superblock.log.tail.sequence);
    put_u64(&mut bytes, 152, superblock.held.first.0);
    bytes[HELD_AT..HELD_AT + HeldSet::BYTES].copy_from_slice(&superblock.held.bits[..]);
    put_u64(&mut bytes, HELD_THROUGH_AT, superblock.held_through);
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
    if !capacity_bytes.is_multiple_of(SECTOR_BYTES) {
        return Err(Malformed::new(
            WHAT,
            "a capacity of whole sectors",
            capacity_bytes,
        ));
    }
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
    if generation.0.max(file_next) > COUNT_MAX || file_next == 0 {
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
    let replayed = match bytes[81] {
        0 => false,
        1 => true,
        other => return Err(Malformed::new(WHAT, "a log that is replayed or not", other)),
    };
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
    let sequence = log.tail.sequence;
    if !(1..=COUNT_MAX).contains(&sequence) {
        return Err(Malformed::new(
            WHAT,
            "a number of a batch in reach",
            sequence,
        ));
    }
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
        held_through: u64_at(bytes, HELD_THROUGH_AT),
        replayed,
    })
}

/// Can a log be there, with its tail at a sector of it? A volume without a log has one of no bytes.
fn log_valid(log: &LogRegion, capacity_bytes: u64) -> bool {
    let LogRegion { extent, tail } = log;
    let inside = extent.bytes <= LOG_BYTES_MAX && extent_valid(*extent, capacity_bytes);
    let none = extent.bytes == 0 && extent.start == AREA_START && tail.offset == 0;
    none || (inside && tail.offset < extent.bytes && tail.offset.is_multiple_of(SECTOR_BYTES))
}
