//! The bytes of the items of the tree: inodes, mappings, stored extents.
//!
//! Not here: their keys (key), what they mean together (meta/extents, meta/files).

use super::node::value_bytes_max;
use super::{Decoded, Malformed, extent_valid, put_u16, put_u32, put_u64, u16_at, u32_at, u64_at};
use crate::meta::types::{
    EXTENT_PLAIN_BYTES_MAX, EXTENT_STORED_BYTES_MAX, FileExtent, Inode, NAME_BYTES_MAX,
    StoredExtent,
};
use crate::units::{DiskExtent, DiskOffset, FILE_BYTES_MAX, FileId, Generation, SECTOR_BYTES};

const FILE_EXTENT_BYTES: usize = 40;
const STORED_HEADER_BYTES: usize = 16;
const INODE_HEADER_BYTES: usize = 24;
const INODE_ORPHAN: u32 = 1;

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
