//! Hostile bytes, for tests and fuzzers: each function takes any bytes for something stored, decodes
//! them and uses whatever decoded.
//!
//! They return where the bytes are refused or survived, and panic where an invariant breaks: a value
//! that does not come back from its own bytes, an item lost by an edit, plain bytes outside the
//! extent. A checksum stops most damage before a decoder sees it, so each input is tried twice: as it
//! is, and *sealed*, its checksum and identity made right, so that only the decoder is left to refuse.
//!
//! Nothing here allocates by a length out of the input: what is used is as large as the input, a node or
//! `STORED_PLAIN_BYTES_MAX`.
//!
//! Not here: whole images (image), records of the log (records), the inputs (tests/corpus), who calls (tests/hostile, the fuzz targets).

mod image;
mod records;

pub use image::{image, log};
pub use records::{AnyRecord, encode_records, kinds_of_records};

use crate::compress::{self, Codec};
use crate::meta::format::{
    self, ItemKind, Key, NODE_HEADER_BYTES, NodeHeader, NodePointer, SUPERBLOCK_AT,
    SUPERBLOCK_BYTES,
};
use crate::meta::node::Node;
use crate::meta::node_store::NodeShape;
use crate::meta::{self, FileExtent, StoredExtent};
use crate::units::{DiskOffset, FileId, Generation, PAGE_BYTES};
use crate::writeback::checksums;

/// Sizes of node that are tried; the first byte of an input chooses.
const NODE_SIZES_BYTES: [u32; 4] = [1024, 4096, 16 * 1024, 64 * 1024];
/// Levels that are tried.
const LEVELS: u8 = 3;
/// Longest plain extent that stored bytes are decoded to.
const STORED_PLAIN_BYTES_MAX: usize = 128 * 1024;
/// Where a tried node says it is.
const NODE_AT: NodePointer = NodePointer {
    address: DiskOffset(1 << 20),
    generation: Generation(7),
};
/// The volume of a tried node.
const VOLUME: u64 = 0x0123_4567_89ab_cdef;

/// A superblock: what decodes comes back from its own encoding and has a tree inside the volume.
pub fn superblock(bytes: &[u8]) {
    let mut sealed = vec![0; SUPERBLOCK_BYTES];
    let len = bytes.len().min(SUPERBLOCK_BYTES);
    sealed[..len].copy_from_slice(&bytes[..len]);
    for at in SUPERBLOCK_AT {
        use_superblock(bytes, at);
        seal_superblock(&mut sealed, at);
        use_superblock(&sealed, at);
    }
}

fn use_superblock(bytes: &[u8], at: DiskOffset) {
    let Ok(superblock) = format::decode_superblock(bytes, at) else {
        return;
    };
    let shape = NodeShape::of(&superblock);
    assert!(shape.check_pointer(superblock.root).is_ok());
    assert!(shape.slot_len() >= shape.node_bytes as usize);
    assert!(superblock.generation.0 < superblock.generation.0 + 1);
    let again = format::encode_superblock(&superblock, at);
    assert_eq!(format::decode_superblock(&again, at), Ok(superblock));
}

/// Everything but what a superblock says.
fn seal_superblock(bytes: &mut [u8], at: DiskOffset) {
    bytes[..8].copy_from_slice(&format::SUPERBLOCK_MAGIC);
    bytes[8..12].copy_from_slice(&format::VERSION.to_le_bytes());
    bytes[32..40].copy_from_slice(&at.0.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..SUPERBLOCK_BYTES - 4]);
    bytes[SUPERBLOCK_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
}

/// A tree node. The first byte chooses its size, the second its level, the rest is the node.
pub fn node(bytes: &[u8]) {
    let [size, level, body @ ..] = bytes else {
        return;
    };
    let node_bytes = NODE_SIZES_BYTES[usize::from(*size) % NODE_SIZES_BYTES.len()];
    let level = level % LEVELS;
    let mut image = vec![0; node_bytes as usize];
    let len = body.len().min(image.len());
    image[..len].copy_from_slice(&body[..len]);
    use_node(&image, level);
    seal_node(&mut image, level);
    use_node(&image, level);
}

/// Everything but the number of items, the slots and the values.
fn seal_node(image: &mut [u8], level: u8) {
    let header = NodeHeader {
        address: NODE_AT.address,
        generation: NODE_AT.generation,
        volume: VOLUME,
        level,
        items: u16::from_le_bytes([image[32], image[33]]),
    };
    format::seal_node(image, &header);
}

fn use_node(image: &[u8], level: u8) {
    let Ok(node) = Node::from_device(image.into(), NODE_AT, level, VOLUME) else {
        return;
    };
    let items = items_of(&node);
    for (at, (key, value)) in items.iter().enumerate() {
        assert_eq!(node.search(key), Ok(at));
        assert_eq!(node.child_of(key), at);
        if level > 0 {
            assert_eq!(format::encode_pointer(node.child(at)), value[..]);
        } else {
            use_item(*key, value);
        }
    }
    let mut again = vec![0; image.len()];
    node.image(VOLUME, &mut again);
    let back = Node::from_device(again.into(), NODE_AT, level, VOLUME);
    assert_eq!(items_of(&back.expect("it was just sealed")), items);
    edit_node(node, &items);
}

fn items_of(node: &Node) -> Vec<(Key, Vec<u8>)> {
    (0..node.items())
        .map(|at| (node.key(at), node.value(at).to_vec()))
        .collect()
}

/// Each kind of edit; none of them changes another item.
fn edit_node(mut node: Node, items: &[(Key, Vec<u8>)]) {
    let value = [0xA5; format::POINTER_BYTES];
    let new_key = items.first().and_then(|(key, _)| key_after(*key));
    if let Some(key) = new_key
        && let Err(at) = node.search(&key)
    {
        if node.insert(at, &key, &value) {
            assert_eq!(node.value(at), value);
            node.remove(at);
        } else {
            assert!(node.split_point(at, value.len(), false).stay <= node.items());
        }
        assert_eq!(items_of(&node), items, "what was inserted and removed");
    }
    let half = items.len() / 2;
    if half > 0 {
        let node_bytes = node.capacity_bytes() + NODE_HEADER_BYTES;
        let (address, generation) = (NODE_AT.address, NODE_AT.generation);
        let mut right = Node::empty(node_bytes, node.level(), address, generation);
        node.move_tail(half, &mut right);
        assert_eq!(items_of(&node), items[..half], "the left part of a split");
        assert_eq!(items_of(&right), items[half..], "the right part of a split");
        let all = right.items();
        node.take_head(&mut right, all);
        assert_eq!(items_of(&node), items, "a merge");
    }
    for _ in items {
        node.remove(0);
    }
    assert_eq!(node.used_bytes(), 0, "an empty node has all its room");
}

/// A key right behind `key`.
fn key_after(key: Key) -> Option<Key> {
    let offset = key.offset.checked_add(1)?;
    Some(Key { offset, ..key })
}

/// The item of a leaf: a byte for its kind, eight for the offset of its key, the value.
pub fn item(bytes: &[u8]) {
    let [kind, rest @ ..] = bytes else {
        return;
    };
    let Some((offset, value)) = rest.split_first_chunk() else {
        return;
    };
    let kind = match kind % 3 {
        0 => ItemKind::Inode,
        1 => ItemKind::FileExtent,
        _ => ItemKind::Stored,
    };
    let offset = u64::from_le_bytes(*offset);
    for offset in [offset, offset / PAGE_BYTES * PAGE_BYTES] {
        let key = Key {
            object: 5,
            kind,
            offset,
        };
        use_item(key, value);
    }
}

fn use_item(key: Key, value: &[u8]) {
    match key.kind {
        ItemKind::Lowest => {}
        ItemKind::Inode => {
            let file = FileId(key.object);
            let Ok(inode) = format::decode_inode(file, value) else {
                return;
            };
            // Whoever reads an inode rounds its size up.
            assert!(inode.size_bytes.next_multiple_of(PAGE_BYTES) >= inode.size_bytes);
            let again = format::encode_inode(&inode);
            assert_eq!(format::decode_inode(file, &again), Ok(inode));
        }
        ItemKind::FileExtent => {
            let Ok(extent) = format::decode_file_extent(key.offset, value) else {
                return;
            };
            use_extent(&extent);
            let again = format::encode_file_extent(&extent);
            assert_eq!(format::decode_file_extent(key.offset, &again), Ok(extent));
        }
        ItemKind::Stored => {
            let start = DiskOffset(key.offset);
            let Ok(stored) = format::decode_stored(start, value) else {
                return;
            };
            use_stored(&stored, &format::stored_checksums(value));
            let again = format::encode_stored(&stored, &format::stored_checksums(value));
            assert_eq!(again, value, "an item of a stored extent has no spare byte");
        }
    }
}

/// What reading a mapping does with it.
fn use_extent(extent: &FileExtent) {
    let range = extent.range();
    assert!(range.bytes() > 0 && range.to_pages() == range);
    assert!(extent.offset_in_extent + extent.length <= extent.ram_bytes);
    assert!(extent.disk.end() > extent.disk.start);
    assert!(extent.disk.bytes <= meta::EXTENT_STORED_BYTES_MAX);
    assert!(
        extent.ram_bytes <= meta::EXTENT_PLAIN_BYTES_MAX,
        "a reader takes memory for the whole extent"
    );
}

fn use_stored(stored: &StoredExtent, checksums: &[u32]) {
    assert_eq!(
        checksums.len() as u64 * PAGE_BYTES,
        stored.disk.bytes,
        "a checksum for each sector"
    );
    assert!(stored.disk.end() > stored.disk.start);
    assert!(stored.live_bytes <= stored.ram_bytes && stored.refs > 0);
    assert!(stored.ram_bytes <= meta::EXTENT_PLAIN_BYTES_MAX);
}

/// Stored bytes of an extent: a byte for the codec, one for the pages it holds, two for a place. The
/// rest is decoded as it is; then it is taken for plain bytes, encoded, and the encoding damaged at
/// that place.
pub fn stored(bytes: &[u8]) {
    let [codec, pages, at_low, at_high, stored @ ..] = bytes else {
        return;
    };
    let codec = match codec % 3 {
        0 => Codec::Zlib,
        1 => Codec::Lz4,
        _ => Codec::Zstd,
    };
    let pages_max = STORED_PLAIN_BYTES_MAX / format::SECTOR_LEN;
    let plain_len = (1 + usize::from(*pages) % pages_max) * format::SECTOR_LEN;
    use_stored_bytes(codec, stored, plain_len);

    let mut plain = vec![0; plain_len];
    let len = stored.len().min(plain_len);
    plain[..len].copy_from_slice(&stored[..len]);
    let mut encoded = vec![0; plain_len];
    let level = if codec == Codec::Lz4 { 0 } else { 1 };
    let compressed = compress::compress(codec, level, &plain, &mut encoded);
    let Ok(Some(encoded_len)) = compressed else {
        assert_eq!(compressed, Ok(None), "any bytes can be tried");
        return;
    };
    let whole = encoded_len.next_multiple_of(format::SECTOR_LEN);
    encoded[encoded_len..whole].fill(0);
    let encoded = &mut encoded[..whole];
    let back = use_stored_bytes(codec, encoded, plain_len);
    assert!(back.as_deref() == Some(&plain[..]), "{codec} loses bytes");
    let expected = checksums(encoded);
    let bit = usize::from(u16::from_le_bytes([*at_low, *at_high])) % (whole * 8);
    encoded[bit / 8] ^= 1 << (bit % 8);
    assert!(
        checksums(encoded) != expected,
        "a checksum misses bit {bit}"
    );
    use_stored_bytes(codec, encoded, plain_len);
}

/// Decodes into exactly the extent's length, twice, with the same answer. A guard page behind it stays.
fn use_stored_bytes(codec: Codec, stored: &[u8], plain_len: usize) -> Option<Vec<u8>> {
    const GUARD: [u8; 64] = [0x5A; 64];
    let mut out = vec![0; plain_len];
    out.extend_from_slice(&GUARD);
    let first = compress::decompress(codec, stored, &mut out[..plain_len]);
    assert_eq!(out[plain_len..], GUARD, "{codec} writes past the extent");
    out.truncate(plain_len);
    let mut again = vec![0; plain_len];
    let second = compress::decompress(codec, stored, &mut again);
    assert_eq!(first, second, "{codec} answers differently");
    first.ok()?;
    assert!(again == out, "{codec} decodes differently");
    Some(out)
}
