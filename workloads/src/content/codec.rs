//! What a ratio is measured with: the engine's codecs as they are called there, apart from the engine.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::plan::RatioCodec;

/// What is compressed as one: the engine's extent.
pub(super) const PIECE_BYTES: usize = 128 << 10;
/// The length that stands before a block of lz4.
const LZ4_HEADER_BYTES: usize = 4;

/// A compressor with its tables.
pub(super) enum Yardstick {
    Zstd(zstd::bulk::Compressor<'static>),
    Lz4(CompressTable),
}

impl Yardstick {
    pub(super) fn new(codec: RatioCodec) -> Self {
        match codec {
            RatioCodec::Zstd(level) => Self::Zstd(
                zstd::bulk::Compressor::new(level).expect("levels are checked when read"),
            ),
            RatioCodec::Lz4 => Self::Lz4(CompressTable::large()),
        }
    }

    /// What `bytes` come to in pieces of 128 KiB. A piece that grows counts as what it is.
    pub(super) fn stored_bytes(&mut self, bytes: &[u8]) -> u64 {
        let stored = bytes.chunks(PIECE_BYTES).map(|piece| {
            let compressed = match self {
                Self::Zstd(context) => context
                    .compress(piece)
                    .expect("the bound is always enough")
                    .len(),
                Self::Lz4(table) => {
                    let mut out = vec![0; get_maximum_output_size(piece.len())];
                    let block = compress_into_with_table(piece, &mut out, table)
                        .expect("the bound is always enough");
                    LZ4_HEADER_BYTES + block
                }
            };
            compressed.min(piece.len()) as u64
        });
        stored.sum()
    }
}
