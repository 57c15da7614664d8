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

/// Decides about one extent, and compresses it into the front of `out`. What takes more than `out` or
/// [`stored_bytes_max`] holds is no gain.
///
/// # Errors
/// On a level the codec does not have, and where the codec itself fails.
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
    let limit = stored_bytes_max(plain.len()).min(out.len());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::sample::TryReason;

    const EXTENT: usize = 128 << 10;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 9u64;
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                state.to_le_bytes()[6]
            })
            .collect()
    }

    fn text(len: usize) -> Vec<u8> {
        let words = [
            "extent ",
            "sector ",
            "page ",
            "writeback ",
            "the ",
            "of ",
            "a ",
        ];
        let picks = noise(len);
        let mut text: Vec<u8> = picks
            .iter()
            .flat_map(|&pick| words[usize::from(pick) % 7].bytes())
            .take(len)
            .collect();
        text.truncate(len);
        text
    }

    fn verdict(compression: Compression, plain: &[u8]) -> Encoded {
        let mut out = vec![0; EXTENT];
        encode(&compression, Attempt::Try, plain, &mut out).expect("knobs are valid")
    }

    #[test]
    fn a_sector_is_to_be_saved() {
        assert_eq!(stored_bytes_max(0), 0);
        assert_eq!(stored_bytes_max(4096), 0);
        assert_eq!(stored_bytes_max(4097), 4096);
        assert_eq!(stored_bytes_max(EXTENT), EXTENT - 4096);
        let one = verdict(Compression::default(), &text(4096));
        assert_eq!(one, Encoded::Raw(WhyRaw::OneSector));
    }

    #[test]
    fn what_does_not_fit_is_no_gain() {
        let forced = Compression {
            heuristic: false,
            ..Compression::default()
        };
        // A volume whose items hold checksums for no more.
        let mut out = [0; 2 * 4096];
        let verdict = encode(&forced, Attempt::Try, &text(EXTENT), &mut out).expect("a level");
        assert_eq!(verdict, Encoded::Raw(WhyRaw::NoGain));
        assert_eq!(verdict.lesson(), Some(false));
    }

    #[test]
    fn each_check_has_its_verdict() {
        let on = Compression::default();
        assert_eq!(verdict(on, &[0; EXTENT]), Encoded::Hole);
        assert!(matches!(
            verdict(on, &text(EXTENT)),
            Encoded::Stored(1..60_000)
        ));
        assert!(matches!(
            verdict(on, &noise(EXTENT)),
            Encoded::Raw(WhyRaw::Sampled(_))
        ));
        let none = Compression {
            codec: Codec::None,
            ..on
        };
        assert_eq!(verdict(none, &[0; EXTENT]), Encoded::Hole);
        assert_eq!(verdict(none, &text(EXTENT)), Encoded::Raw(WhyRaw::NoCodec));
        let mut out = [0; EXTENT];
        let skipped = encode(&on, Attempt::Skip, &text(EXTENT), &mut out);
        assert_eq!(skipped, Ok(Encoded::Raw(WhyRaw::BackedOff)));
    }

    #[test]
    fn forced_attempts_go_to_the_codec() {
        let forced = Compression {
            heuristic: false,
            zero_detect: false,
            ..Compression::default()
        };
        let zeros = verdict(forced, &[0; EXTENT]);
        assert!(matches!(zeros, Encoded::Stored(1..100)), "{zeros:?}");
        let failed = verdict(forced, &noise(EXTENT));
        assert_eq!(failed, Encoded::Raw(WhyRaw::NoGain));
        assert_eq!((zeros.lesson(), failed.lesson()), (Some(true), Some(false)));
        assert_eq!(Encoded::Hole.lesson(), None);
    }

    #[test]
    fn a_dear_codec_is_not_asked_where_cheap_ones_fail() {
        // Noise, but of 32 values wherever the sample looks: it says try, and is wrong.
        let mut plain = noise(EXTENT);
        for stride in plain.chunks_mut(256) {
            for byte in &mut stride[..16] {
                *byte &= 31;
            }
        }
        assert_eq!(worth(&plain), Worth::Try(TryReason::ByteSet(32)));
        let dear = Compression {
            level: 12,
            ..Compression::default()
        };
        assert_eq!(verdict(dear, &plain), Encoded::Raw(WhyRaw::Probed));
        assert_eq!(
            verdict(Compression::default(), &plain),
            Encoded::Raw(WhyRaw::NoGain)
        );
        assert!(matches!(verdict(dear, &text(EXTENT)), Encoded::Stored(_)));
    }
}
