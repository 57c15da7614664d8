//! The codecs by name and number.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How the bytes of an extent are stored. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    None = 0,
    /// Deflate, without zlib's header and checksum: the engine has its own.
    Zlib = 1,
    /// An LZ4 block behind its length, 4 bytes little-endian.
    Lz4 = 2,
    /// One zstd frame with its content size.
    Zstd = 3,
}

impl Codec {
    /// All codecs, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::None, Self::Zlib, Self::Lz4, Self::Zstd];

    /// The number on disk.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The codec of a number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.number() == number)
    }

    /// As written in a workload.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels it takes. Lz4 has but one way to go and takes no notice of the level; of zstd 0 is 3.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Self::None | Self::Lz4 => i32::MIN..=i32::MAX,
            Self::Zlib => 1..=9,
            Self::Zstd => super::zstd::levels(),
        }
    }

    /// Costs so much that a cheap look at the bytes first is a gain.
    pub(super) fn is_dear(self, level: i32) -> bool {
        match self {
            Self::None | Self::Lz4 => false,
            Self::Zlib => true,
            Self::Zstd => level > 3,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == text)
            .ok_or_else(|| format!("no codec is named {text:?}; none, zlib, lz4 and zstd are"))
    }
}

/// What a codec cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The level is not one of the codec's.
    #[error("{codec} has no level {level}; it has {} to {}", codec.levels().start(), codec.levels().end())]
    Level {
        /// The codec.
        codec: Codec,
        /// What was asked for.
        level: i32,
    },
    /// The codec refused, for a reason that is not in the bytes.
    #[error("{codec} failed: {what}")]
    Failed {
        /// The codec.
        codec: Codec,
        /// Its own words.
        what: String,
    },
    /// Stored bytes that the codec never wrote.
    #[error("stored bytes are not {codec}: {what}")]
    Corrupt {
        /// The codec.
        codec: Codec,
        /// What does not fit.
        what: String,
    },
    /// Stored bytes that decode to another length than the extent's.
    #[error("stored {codec} bytes hold {found_bytes} plain ones, expected {expected_bytes}")]
    Length {
        /// The codec.
        codec: Codec,
        /// The extent's length.
        expected_bytes: usize,
        /// What came out, or was announced.
        found_bytes: u64,
    },
}

impl Codec {
    pub(super) fn corrupt(self, what: impl fmt::Display) -> CodecError {
        CodecError::Corrupt {
            codec: self,
            what: what.to_string(),
        }
    }

    pub(super) fn failed(self, what: impl fmt::Display) -> CodecError {
        CodecError::Failed {
            codec: self,
            what: what.to_string(),
        }
    }

    pub(super) fn expect_length(self, expected: usize, found: u64) -> Result<(), CodecError> {
        if found == expected as u64 {
            return Ok(());
        }
        Err(CodecError::Length {
            codec: self,
            expected_bytes: expected,
            found_bytes: found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read_back() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_number(codec.number()), Some(codec));
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert_eq!(Codec::from_number(4), None);
        assert!("gzip".parse::<Codec>().is_err());
    }

    #[test]
    fn numbers_on_disk_stay() {
        assert_eq!(Codec::ALL.map(Codec::number), [0, 1, 2, 3]);
    }

    #[test]
    fn the_format_tells_every_codec_and_its_number() {
        let format = include_str!("../../../docs/format.md");
        for codec in Codec::ALL {
            let row = format!("\n| {} | {codec} | ", codec.number());
            assert!(format.contains(&row), "{codec}");
        }
    }
}
