//! Files whose checksums are right and whose blocks hold any bytes: what a checksum keeps from a fuzzer.
//!
//! For `hostile` alone.

use super::layout::{BlockHeader, BlockKind, TraceHeader, Trailer, encode_header};

/// A file of one block of `bytes`: the first says its kind, the two behind it how many items it has. None where there are not so many.
pub(crate) fn forge(bytes: &[u8]) -> Option<Vec<u8>> {
    let [kind, low, high, plain @ ..] = bytes else {
        return None;
    };
    let kind = match kind % 3 {
        0 => BlockKind::Index,
        1 => BlockKind::Names,
        _ => BlockKind::Operations,
    };
    let items = u32::from(u16::from_le_bytes([*low, *high]));
    let mut file = encode_header(&TraceHeader::default());
    if kind != BlockKind::Index {
        file.extend(block(kind, items, 0, plain)?);
    }
    let ops = if kind == BlockKind::Operations {
        items
    } else {
        0
    };
    let index_offset = file.len() as u64;
    let (entries, index) = match kind {
        BlockKind::Index => (items, plain),
        BlockKind::Names | BlockKind::Operations => (0, &plain[..0]),
    };
    file.extend(block(BlockKind::Index, entries, u64::from(ops), index)?);
    let trailer = Trailer {
        index_offset,
        ops: u64::from(ops),
        clock_ns: 0,
    };
    file.extend(trailer.encode());
    Some(file)
}

fn block(kind: BlockKind, items: u32, first_op: u64, plain: &[u8]) -> Option<Vec<u8>> {
    let packed = zstd::bulk::compress(plain, 1).ok()?;
    let header = BlockHeader {
        kind,
        items,
        plain_bytes: u32::try_from(plain.len()).ok()?,
        packed_bytes: u32::try_from(packed.len()).ok()?,
        first_op,
        clock_ns: 0,
    };
    Some([&header.encode(&packed)[..], &packed].concat())
}
