//! What the bytes are: a pure function of file, offset and version.
//!
//! Whatever is read back can be made again and compared, without keeping a copy and without a header in the data that would change how it
//! compresses. Every byte has its value by itself: a write cut in two, or read back in pieces, gives the same bytes.
//!
//! ```text
//!   (file, version) --> where in a pool the file's byte 0 would lie      (golden-ratio steps: each version elsewhere, all of the
//!   byte at offset p = pool[(p + that) mod len]                           pool used evenly however writes are cut)
//!   and, for made-up content, 8 bytes in each 4 KiB that no other (file, offset, version) has
//! ```
//!
//! Pools are made once; filling is copying, so that making content is never what limits a run. Four kinds: zeros, random, a stated ratio
//! (`ratio`: made up, calibrated against the codec), a corpus (real files); and a mix of these by 128 KiB of file.
//!
//! Threads: everything is immutable once built.

mod corpus;
mod pool;
mod ratio;

use std::sync::Arc;

use pool::Pool;

use crate::op::FileSlot;
use crate::plan::{ContentPlan, LoadPlan, MixPart};
use crate::random::{Weights, mix_all};

/// Parts of a mix alternate by so many bytes of the file: the largest extent that is compressed as one.
const MIX_BYTES: u64 = 128 << 10;

/// Generates and recognises the bytes of a load.
#[derive(Debug)]
pub struct Content {
    seed: u64,
    /// Of files that say nothing themselves.
    default: Model,
    /// By slot, of the plan's own files.
    own: Vec<Option<Model>>,
}

/// Where bytes come from.
#[derive(Debug, Clone)]
enum Model {
    Zeros,
    Pool(Arc<Pool>),
    Mix(Arc<Mix>),
}

#[derive(Debug)]
struct Mix {
    weights: Weights,
    models: Vec<Model>,
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
    #[error("content cannot be made to compress by a factor of {asked}; from 1 to {max:.0} it can")]
    Ratio {
        /// What was asked for.
        asked: f64,
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

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "byte {} is {:#04x} and was written as {:#04x}; {} bytes of the range differ",
            self.offset, self.found, self.expected, self.bytes_wrong
        )
    }
}

impl Content {
    /// The content of `load`. Reads a corpus, makes and calibrates the pools: takes up to a second and
    /// is done once per load.
    ///
    /// # Errors
    /// Where a corpus is missing or a ratio is out of reach.
    pub fn build(load: &LoadPlan) -> Result<Self, ContentError> {
        let mut made: Vec<(ContentPlan, Model)> = Vec::new();
        let mut own = Vec::with_capacity(load.files.len());
        for file in &load.files {
            own.push(match &file.content {
                Some(plan) => Some(model(plan, load.seed, &mut made)?),
                None => None,
            });
        }
        Ok(Self {
            seed: load.seed,
            default: model(&load.content, load.seed, &mut made)?,
            own,
        })
    }

    /// The bytes of `file` from `offset` that a write of `version` puts there. Any part of a write gives the
    /// same bytes as the whole, however it is split.
    pub fn fill(&self, file: FileSlot, offset: u64, version: u64, out: &mut [u8]) {
        let key = Key::new(self.seed, file, version);
        let mut done = 0;
        while done < out.len() {
            let (pool, bytes) = self.piece(file, offset + done as u64, out.len() - done);
            let part = &mut out[done..done + bytes];
            match pool {
                None => part.fill(0),
                Some(pool) => pool.fill(&key, offset + done as u64, part),
            }
            done += bytes;
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
        let key = Key::new(self.seed, file, version);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (pool, piece_bytes) = self.piece(file, at, bytes.len() - done);
            let part = &bytes[done..done + piece_bytes];
            let is_right = match pool {
                None => is_zero(part),
                Some(pool) => pool.verify(&key, at, part),
            };
            if !is_right {
                return Err(self.mismatch(file, offset, version, bytes));
            }
            done += piece_bytes;
        }
        Ok(())
    }

    /// The pool that makes the byte at `offset` (none: zeros), and for how many of the next `bytes_max` bytes.
    fn piece(&self, file: FileSlot, offset: u64, bytes_max: usize) -> (Option<&Pool>, usize) {
        let model = self.own.get(file.0 as usize).and_then(Option::as_ref);
        match model.unwrap_or(&self.default) {
            Model::Zeros => (None, bytes_max),
            Model::Pool(pool) => (Some(pool), bytes_max),
            Model::Mix(mix) => {
                let chunk = offset / MIX_BYTES;
                let bits = mix_all(&[self.seed, u64::from(file.0), chunk]);
                let left = usize::try_from((chunk + 1) * MIX_BYTES - offset)
                    .expect("less than a chunk is left of it");
                let pool = match &mix.models[mix.weights.pick(bits)] {
                    Model::Pool(pool) => Some(&**pool),
                    Model::Zeros | Model::Mix(_) => None,
                };
                (pool, bytes_max.min(left))
            }
        }
    }

    /// The slow look at bytes that are known to be wrong.
    #[cold]
    fn mismatch(&self, file: FileSlot, offset: u64, version: u64, bytes: &[u8]) -> Mismatch {
        let mut expected = vec![0; bytes.len()];
        self.fill(file, offset, version, &mut expected);
        let mut wrong = (0..bytes.len()).filter(|&at| expected[at] != bytes[at]);
        let first = wrong.next().expect("a piece of the range was found wrong");
        Mismatch {
            offset: offset + first as u64,
            expected: expected[first],
            found: bytes[first],
            bytes_wrong: 1 + wrong.count() as u64,
        }
    }
}

/// What of (seed, file, version) the pools use.
#[derive(Debug, Clone, Copy)]
struct Key {
    /// Where in a pool the file's byte 0 lies, as a fraction of 2^64.
    turn: u64,
    /// What stamps are made from.
    stamp: u64,
}

impl Key {
    fn new(seed: u64, file: FileSlot, version: u64) -> Self {
        let file = u64::from(file.0);
        // Steps of the golden ratio: versions one after the other lie as far apart as they can, and a
        // sequential load uses all of a pool evenly, so that it compresses like the pool.
        let step = version.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            turn: mix_all(&[seed, file]).wrapping_add(step),
            stamp: mix_all(&[seed, file, version]),
        }
    }
}

/// Made once per different content, however many files have it.
fn model(
    plan: &ContentPlan,
    seed: u64,
    made: &mut Vec<(ContentPlan, Model)>,
) -> Result<Model, ContentError> {
    if let Some((_, model)) = made.iter().find(|(known, _)| known == plan) {
        return Ok(model.clone());
    }
    let made_now = match plan {
        ContentPlan::Zeros => Model::Zeros,
        ContentPlan::Random => Model::Pool(Arc::new(Pool::random(seed))),
        ContentPlan::Ratio(ratio) => Model::Pool(Arc::new(ratio::pool(*ratio, seed)?)),
        ContentPlan::Corpus(path) => Model::Pool(Arc::new(corpus::pool(path)?)),
        ContentPlan::Mix(parts) => mix(parts, seed, made)?,
    };
    made.push((plan.clone(), made_now.clone()));
    Ok(made_now)
}

fn mix(
    parts: &[MixPart],
    seed: u64,
    made: &mut Vec<(ContentPlan, Model)>,
) -> Result<Model, ContentError> {
    let models: Vec<Model> = parts
        .iter()
        .map(|part| model(&part.content, seed, made))
        .collect::<Result<_, _>>()?;
    assert!(
        !models.iter().any(|model| matches!(model, Model::Mix(_))),
        "a mix within a mix is refused when the plan is read"
    );
    Ok(Model::Mix(Arc::new(Mix {
        weights: Weights::new(parts.iter().map(|part| part.weight)),
        models,
    })))
}

fn is_zero(bytes: &[u8]) -> bool {
    // In strides that the compiler turns into vector code.
    bytes
        .chunks(256)
        .all(|chunk| chunk.iter().fold(0, |sum, byte| sum | byte) == 0)
}

#[cfg(test)]
mod tests;
