//! Zstd: one frame, without a checksum (the engine has its own), with its content size, which costs a
//! byte or two and refuses a wrong extent before anything is decoded.

use std::ops::RangeInclusive;

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, ErrorCode, ResetDirective, find_frame_compressed_size, get_error_name,
    get_frame_content_size, is_error_kind, max_c_level, min_c_level,
};

use super::codec::{Codec, CodecError};

pub(super) fn levels() -> RangeInclusive<i32> {
    min_c_level()..=max_c_level()
}

/// A compression context; its tables stay for the next extent.
pub(super) struct Writer {
    context: CCtx<'static>,
    level: Option<i32>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            context: CCtx::create(),
            level: None,
        }
    }

    /// Stops as soon as `out` is full.
    pub(super) fn compress(
        &mut self,
        level: i32,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<Option<usize>, CodecError> {
        if self.level != Some(level) {
            self.context
                .set_parameter(CParameter::CompressionLevel(level))
                .map_err(failed)?;
            self.level = Some(level);
        }
        match self.context.compress2(out, plain) {
            Ok(stored) => Ok(Some(stored)),
            Err(code) => {
                // Ends the frame that was begun; the parameters stay.
                self.context
                    .reset(ResetDirective::SessionOnly)
                    .map_err(failed)?;
                if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) {
                    Ok(None)
                } else {
                    Err(failed(code))
                }
            }
        }
    }
}

/// A decompression context.
pub(super) struct Reader {
    context: DCtx<'static>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            context: DCtx::create(),
        }
    }

    pub(super) fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let announced = get_frame_content_size(stored)
            .map_err(|_| Codec::Zstd.corrupt("no frame header"))?
            .ok_or_else(|| Codec::Zstd.corrupt("a frame without its content size"))?;
        Codec::Zstd.expect_length(out.len(), announced)?;
        let frame_len = find_frame_compressed_size(stored).map_err(corrupt)?;
        let frame = stored
            .get(..frame_len)
            .ok_or_else(|| Codec::Zstd.corrupt("a frame longer than the extent"))?;
        let found = self.context.decompress(out, frame).map_err(corrupt)?;
        Codec::Zstd.expect_length(out.len(), found as u64)
    }
}

fn failed(code: ErrorCode) -> CodecError {
    Codec::Zstd.failed(get_error_name(code))
}

fn corrupt(code: ErrorCode) -> CodecError {
    Codec::Zstd.corrupt(get_error_name(code))
}
