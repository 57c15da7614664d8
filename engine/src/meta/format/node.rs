//! The bytes of a node around its items: header, slots, pointers to children.
//!
//! Not here: searching and changing a node (meta/node), the items (items).

use super::key::{ItemKind, Key};
use super::{
    Decoded, Malformed, NODE_BYTES_MIN, put_u16, put_u32, put_u64, u16_at, u32_at, u64_at,
};
use crate::mutation::{self, Mutation};
use crate::units::{DiskOffset, Generation, SECTOR_BYTES};

/// `DNOD`.
const NODE_MAGIC: u32 = u32::from_le_bytes(*b"DNOD");
/// Bytes of a node's header.
pub(crate) const NODE_HEADER_BYTES: usize = 48;
/// Bytes of a slot: key, and where the value is.
pub(crate) const SLOT_BYTES: usize = 24;
/// Bytes of a child pointer.
pub(crate) const POINTER_BYTES: usize = 16;

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

/// Bytes a node of `node_bytes` takes on the device.
pub(crate) fn node_slot_bytes(node_bytes: u32) -> u64 {
    u64::from(node_bytes).max(SECTOR_BYTES)
}

/// The longest value of an item: a quarter of a node, so that any node can be split.
pub(crate) fn value_bytes_max(node_bytes: usize) -> usize {
    (node_bytes - NODE_HEADER_BYTES) / 4 - SLOT_BYTES
}

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
