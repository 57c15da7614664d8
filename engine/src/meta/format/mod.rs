//! Every byte of metadata on the device: where it is, how it is written and read back.
//!
//! Little-endian, fixed width, pictured in docs/format.md. Nothing else in the engine knows an
//! offset. Decoding takes bytes from anywhere: each length and sum is checked before it is used, and
//! what does not fit is `Malformed`, never a panic.
//!
//! Here is what the kinds share: places and sizes, the error, fields. Each kind has its file.
//!
//! Not here: searching and changing a node (node), choosing a superblock (superblock).

mod items;
mod key;
mod node;
mod superblock;

use crate::error::EngineError;
use crate::units::{DiskExtent, DiskOffset, SECTOR_BYTES};

pub(crate) use items::{
    decode_file_extent, decode_inode, decode_stored, encode_file_extent, encode_inode,
    encode_stored, name_bytes_max, patch_inode_orphan, patch_inode_size, patch_stored,
    stored_bytes_max, stored_checksums,
};
pub(crate) use key::STORED_OBJECT;
pub use key::{ItemKind, Key};
pub(crate) use node::{
    NODE_HEADER_BYTES, NodeHeader, NodePointer, POINTER_BYTES, SLOT_BYTES, Slot, decode_pointer,
    decode_slot, encode_pointer, encode_slot, node_slot_bytes, open_node, seal_node, slot_key,
    slot_value, value_bytes_max,
};
pub(crate) use superblock::{
    COUNT_MAX, LABEL_BYTES, LOG_BYTES_MAX, LogRegion, LogTail, SUPERBLOCK_AT, SUPERBLOCK_BYTES,
    SUPERBLOCK_MAGIC, Superblock, VERSION, decode_superblock, encode_superblock,
};

/// Everything before this belongs to the system; nodes and data come after.
pub(crate) const AREA_START: DiskOffset = DiskOffset(256 * 1024);
/// Sizes a node may have.
pub(crate) const NODE_BYTES_MIN: u32 = 1024;
/// See `NODE_BYTES_MIN`.
pub(crate) const NODE_BYTES_MAX: u32 = 65536;
/// Levels a tree may have; a 1 KiB node holds at least 6 children, so this is out of reach.
pub(crate) const LEVELS_MAX: u8 = 24;

/// `SECTOR_BYTES` for indexing.
pub(crate) const SECTOR_LEN: usize = 4096;
const _: () = assert!(SECTOR_LEN as u64 == SECTOR_BYTES);

const _: () = assert!(AREA_START.0.is_multiple_of(NODE_BYTES_MAX as u64));

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
