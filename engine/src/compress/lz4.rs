//! Lz4: a block behind its length, which the block itself does not tell.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use super::codec::{Codec, CodecError};

const HEADER_LEN: usize = 4;

/// The hash table, and a buffer for the worst case: the compressor asks for that much room before it
/// begins, whatever comes out.
pub(super) struct Writer {
    table: CompressTable,
    spill: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            table: CompressTable::large(),
            spill: Vec::new(),
        }
    }

    pub(super) fn compress(
        &mut self,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<Option<usize>, CodecError> {
        let worst = get_maximum_output_size(plain.len());
        if out.len() <= HEADER_LEN {
            return Ok(None);
        }
        let (header, body) = out.split_at_mut(HEADER_LEN);
        let stored = if body.len() >= worst {
            self.block(plain, Target::Out(body))?
        } else {
            let stored = self.block(plain, Target::Spill(worst))?;
            let Some(body) = body.get_mut(..stored) else {
                return Ok(None);
            };
            body.copy_from_slice(&self.spill[..stored]);
            stored
        };
        let length =
            u32::try_from(stored).map_err(|_| Codec::Lz4.failed("more than 4 GiB at once"))?;
        header.copy_from_slice(&length.to_le_bytes());
        Ok(Some(HEADER_LEN + stored))
    }

    fn block(&mut self, plain: &[u8], target: Target<'_>) -> Result<usize, CodecError> {
        let out = match target {
            Target::Out(out) => out,
            Target::Spill(len) => {
                if self.spill.len() < len {
                    self.spill.resize(len, 0);
                }
                &mut self.spill[..]
            }
        };
        compress_into_with_table(plain, out, &mut self.table)
            .map_err(|error| Codec::Lz4.failed(error))
    }
}

enum Target<'a> {
    Out(&'a mut [u8]),
    /// The writer's own buffer, at least this long.
    Spill(usize),
}

/// Needs no memory of its own.
pub(super) fn decompress(stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
    let Some((header, body)) = stored.split_first_chunk::<HEADER_LEN>() else {
        return Err(Codec::Lz4.corrupt("shorter than its header"));
    };
    let length = u32::from_le_bytes(*header) as usize;
    let Some(block) = body.get(..length) else {
        return Err(Codec::Lz4.corrupt(format_args!(
            "{length} bytes announced, {} there",
            body.len()
        )));
    };
    let found = decompress_into(block, out).map_err(|error| Codec::Lz4.corrupt(error))?;
    Codec::Lz4.expect_length(out.len(), found as u64)
}
