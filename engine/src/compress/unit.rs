//! One extent: plain bytes in, a verdict and perhaps stored bytes out.
//!
//! The checks come in the order of their cost, so that what cannot be gained costs little: zeros at the
//! speed of memory, a sample in microseconds, a cheap codec before a dear one, and the codec itself
//! within a limit that saves a sector or gives up.

use super::backoff::Attempt;
use super::codec::{Codec, CodecError};
use super::sample::{SkipReason, Worth, worth};
use super::scratch::compress;
use super::zero::is_zero;
use crate::units::PAGE_LEN;

/// Plain bytes from which a dear codec is preceded by cheap ones. Below, those see too little to judge.
const PROBE_LEN_MIN: usize = 64 << 10;
/// The second judge, who sees what the first one (lz4) does not.
const PROBE_ZSTD_LEVEL: i32 = 1;

/// The knobs of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// The codec.
    pub codec: Codec,
    /// Its level.
    pub level: i32,
    /// Look at a sample first, and ask a cheap codec before a dear one. Off, every extent is tried.
    pub heuristic: bool,
    /// An extent of zeros becomes a hole.
    pub zero_detect: bool,
    /// The most extents a file skips after one that did not shrink; 0 never skips.
    pub backoff_extents_max: u32,
}

impl Default for Compression {
    /// Zstd 1: within a few points of level 3's ratio at half the cost.
    fn default() -> Self {
        Self {
            codec: Codec::Zstd,
            level: 1,
            heuristic: true,
            zero_detect: true,
            backoff_extents_max: 64,
        }
    }
}

impl Compression {
    /// What is wrong with these knobs, if anything.
    ///
    /// # Errors
    /// On a level the codec does not have.
    pub fn validate(&self) -> Result<(), CodecError> {
        if self.codec.levels().contains(&self.level) {
            return Ok(());
        }
        Err(CodecError::Level {
            codec: self.codec,
            level: self.level,
        })
    }
}

/// What became of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// It is all zeros.
    Hole,
    /// It is to be stored as it is.
    Raw(WhyRaw),
    /// So many bytes at the front of the output are to be stored.
    Stored(usize),
}

/// Why an extent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyRaw {
    /// No codec is set.
    NoCodec,
    /// Of a single sector none can be saved.
    OneSector,
    /// Its file backs off.
    BackedOff,
    /// The sample speaks against it.
    Sampled(SkipReason),
    /// The cheap codecs saved no sector, so the dear one was not asked.
    Probed,
    /// The codec saved no sector. This alone teaches the file's [`super::Backoff`].
    NoGain,
}

impl Encoded {
    /// What a file's [`super::Backoff`] learns: whether an attempt of the codec gained, or nothing where
    /// there was no attempt.
    pub fn lesson(self) -> Option<bool> {
        match self {
            Self::Stored(_) => Some(true),
            Self::Raw(WhyRaw::NoGain) => Some(false),
            Self::Hole | Self::Raw(_) => None,
        }
    }
}

/// The most bytes that may be stored for `plain_len` plain ones: a sector less than raw; 0 where no
/// sector can be saved.
pub fn stored_bytes_max(plain_len: usize) -> usize {
    // A page is a sector (units.rs).
    plain_len
        .next_multiple_of(PAGE_LEN)
        .saturating_sub(PAGE_LEN)
}

/// Decides about one extent, and compresses it into the front of `out`, which holds at least
/// [`stored_bytes_max`] bytes.
///
/// # Errors
/// On a level the codec does not have, and where the codec itself fails.
///
/// # Panics
/// Where `out` is too short.
pub fn encode(
    compression: &Compression,
    attempt: Attempt,
    plain: &[u8],
    out: &mut [u8],
) -> Result<Encoded, CodecError> {
    let Compression { codec, level, .. } = *compression;
    if compression.zero_detect && is_zero(plain) {
        return Ok(Encoded::Hole);
    }
    if codec == Codec::None {
        return Ok(Encoded::Raw(WhyRaw::NoCodec));
    }
    let limit = stored_bytes_max(plain.len());
    if limit == 0 {
        return Ok(Encoded::Raw(WhyRaw::OneSector));
    }
    if attempt == Attempt::Skip {
        return Ok(Encoded::Raw(WhyRaw::BackedOff));
    }
    let out = &mut out[..limit];
    if compression.heuristic {
        if let Worth::Skip(reason) = worth(plain) {
            return Ok(Encoded::Raw(WhyRaw::Sampled(reason)));
        }
        if codec.is_dear(level) && plain.len() >= PROBE_LEN_MIN && !cheap_gains(plain, out)? {
            return Ok(Encoded::Raw(WhyRaw::Probed));
        }
    }
    Ok(match compress(codec, level, plain, out)? {
        Some(stored) => Encoded::Stored(stored),
        None => Encoded::Raw(WhyRaw::NoGain),
    })
}

/// Either of two cheap codecs saves a sector.
fn cheap_gains(plain: &[u8], out: &mut [u8]) -> Result<bool, CodecError> {
    Ok(compress(Codec::Lz4, 0, plain, out)?.is_some()
        || compress(Codec::Zstd, PROBE_ZSTD_LEVEL, plain, out)?.is_some())
}
