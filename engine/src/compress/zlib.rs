//! Zlib: a raw deflate stream, which tells its own end.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::codec::{Codec, CodecError};

/// A deflate state of one level; another level takes a new state.
pub(super) struct Writer {
    state: Option<(u32, Compress)>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { state: None }
    }

    /// What `compress` needs as output: 9 bits for a byte at worst, and block headers. With less the
    /// deflate of zlib-rs 0.6 panics at level 1 (in `deflate_quick`) when the room runs out.
    pub(super) fn room(plain_len: usize) -> usize {
        plain_len + plain_len / 8 + plain_len / 64 + 64
    }

    pub(super) fn compress(
        &mut self,
        level: u32,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CodecError> {
        self.state.take_if(|(of, _)| *of != level);
        let (_, deflate) = self
            .state
            .get_or_insert_with(|| (level, Compress::new(Compression::new(level), false)));
        deflate.reset();
        match deflate.compress(plain, out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => {
                Ok(usize::try_from(deflate.total_out()).expect("it was written to memory"))
            }
            Ok(Status::Ok | Status::BufError) => {
                Err(Codec::Zlib.failed("the worst case was not the worst"))
            }
            Err(error) => Err(Codec::Zlib.failed(error)),
        }
    }
}

/// An inflate state with its window.
pub(super) struct Reader {
    inflate: Decompress,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
        }
    }

    pub(super) fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        self.inflate.reset(false);
        match self
            .inflate
            .decompress(stored, out, FlushDecompress::Finish)
        {
            Ok(Status::StreamEnd) => Codec::Zlib.expect_length(out.len(), self.inflate.total_out()),
            Ok(Status::Ok | Status::BufError) => {
                Err(Codec::Zlib.corrupt("the stream does not end with the extent"))
            }
            Err(error) => Err(Codec::Zlib.corrupt(error)),
        }
    }
}
