//! Lz4: a block behind its length, which the block itself does not tell.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use super::codec::{Codec, CodecError};

const HEADER_LEN: usize = 4;

/// The hash table.
pub(super) struct Writer {
    table: CompressTable,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            table: CompressTable::large(),
        }
    }

    /// What `compress` needs as output: the compressor asks for the worst case before it begins.
    pub(super) fn room(plain_len: usize) -> usize {
        HEADER_LEN + get_maximum_output_size(plain_len)
    }

    pub(super) fn compress(&mut self, plain: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        let (header, body) = out.split_at_mut(HEADER_LEN);
        let block_len = compress_into_with_table(plain, body, &mut self.table)
            .map_err(|error| Codec::Lz4.failed(error))?;
        let length = u32::try_from(block_len)
            .map_err(|_| Codec::Lz4.failed("4 GiB and more at once; give it less"))?;
        header.copy_from_slice(&length.to_le_bytes());
        Ok(HEADER_LEN + block_len)
    }
}

/// Needs no memory of its own.
pub(super) fn decompress(stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
    let Some((header, body)) = stored.split_first_chunk::<HEADER_LEN>() else {
        return Err(Codec::Lz4.corrupt("shorter than its header"));
    };
    let block_len = u32::from_le_bytes(*header) as usize;
    let Some(block) = body.get(..block_len) else {
        let there = body.len();
        return Err(Codec::Lz4.corrupt(format_args!("{block_len} bytes announced, {there} there")));
    };
    let found = decompress_into(block, out).map_err(|error| Codec::Lz4.corrupt(error))?;
    Codec::Lz4.expect_length(out.len(), found as u64)
}
