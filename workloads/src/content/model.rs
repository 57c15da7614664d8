//! Where bytes come from: a source, and over it the share that repeats.
//!
//! Everything above a pool is a question of *which* bytes of it: a mix says which pool a piece of the file is copied from, a
//! share of duplicates says that a block shows another one. So filling stays copying, whatever was asked for.

use std::sync::Arc;

use super::Key;
use super::dedupe::{Dedupe, Shown};
use super::pool::Pool;
use crate::op::FileSlot;
use crate::random::{Weights, mix_all};

/// Parts of a mix alternate by so many bytes of the file: the largest extent that is compressed as one.
pub(super) const MIX_BYTES: u64 = 128 << 10;

/// Where the bytes of a file come from.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) source: Source,
    pub(super) dedupe: Option<Dedupe>,
}

/// Where bytes come from if none repeat.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Zeros,
    Pool(Arc<Pool>),
    Mix(Arc<Mix>),
}

/// Pieces of several sources.
#[derive(Debug)]
pub(super) struct Mix {
    pub(super) unit_bytes: u64,
    pub(super) weights: Weights,
    /// None: zeros.
    pub(super) parts: Vec<Option<Arc<Pool>>>,
}

/// Bytes that one pool makes in one go.
struct Piece<'m> {
    /// None: zeros.
    pool: Option<&'m Pool>,
    key: Key,
    offset: u64,
    bytes: usize,
}

impl From<Source> for Model {
    fn from(source: Source) -> Self {
        Self {
            source,
            dedupe: None,
        }
    }
}

impl Model {
    pub(super) fn fill(&self, seed: u64, at: Shown, out: &mut [u8]) {
        let key = Key::new(seed, at.file, at.version);
        let mut done = 0;
        while done < out.len() {
            let piece = self.piece(seed, &key, at.forward(done), out.len() - done);
            let part = &mut out[done..done + piece.bytes];
            match piece.pool {
                None => part.fill(0),
                Some(pool) => pool.fill(&piece.key, piece.offset, part),
            }
            done += piece.bytes;
        }
    }

    pub(super) fn verify(&self, seed: u64, at: Shown, bytes: &[u8]) -> bool {
        let key = Key::new(seed, at.file, at.version);
        let mut done = 0;
        while done < bytes.len() {
            let piece = self.piece(seed, &key, at.forward(done), bytes.len() - done);
            let part = &bytes[done..done + piece.bytes];
            let is_right = match piece.pool {
                None => is_zero(part),
                Some(pool) => pool.verify(&piece.key, piece.offset, part),
            };
            if !is_right {
                return false;
            }
            done += piece.bytes;
        }
        true
    }

    /// What makes the byte at `at`, whose key is `key`, and for how many of the next `bytes_max` bytes.
    fn piece(&self, seed: u64, key: &Key, at: Shown, bytes_max: usize) -> Piece<'_> {
        let (shown, key, bytes_max) = match &self.dedupe {
            None => (at, *key, bytes_max),
            Some(dedupe) => {
                let (shown, left) = dedupe.shown(key, at);
                let key = Key::new(seed, shown.file, shown.version);
                (shown, key, shorter(bytes_max, left))
            }
        };
        let (pool, bytes) = self.source.pool(seed, shown.file, shown.offset, bytes_max);
        Piece {
            pool,
            key,
            offset: shown.offset,
            bytes,
        }
    }
}

impl Source {
    /// The pool that makes the byte at `offset` (none: zeros), and for how many of the next `bytes_max` bytes.
    fn pool(
        &self,
        seed: u64,
        file: FileSlot,
        offset: u64,
        bytes_max: usize,
    ) -> (Option<&Pool>, usize) {
        match self {
            Self::Zeros => (None, bytes_max),
            Self::Pool(pool) => (Some(pool), bytes_max),
            Self::Mix(mix) => {
                let unit = offset / mix.unit_bytes;
                let bits = mix_all(&[seed, u64::from(file.0), unit]);
                let left = (unit + 1) * mix.unit_bytes - offset;
                let part = &mix.parts[mix.weights.pick(bits)];
                (part.as_deref(), shorter(bytes_max, left))
            }
        }
    }
}

impl Shown {
    fn forward(self, bytes: usize) -> Self {
        Self {
            offset: self.offset + bytes as u64,
            ..self
        }
    }
}

fn shorter(bytes: usize, left: u64) -> usize {
    usize::try_from(left).map_or(bytes, |left| bytes.min(left))
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    // In strides that the compiler turns into vector code.
    bytes
        .chunks(256)
        .all(|chunk| chunk.iter().fold(0, |sum, byte| sum | byte) == 0)
}
