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
//! Pools are made once; filling is copying, so that making content is never what limits a run. What a pool holds is zeros, random
//! bytes, real files (corpus) or bytes of a recipe turned until the codec gives the ratio (recipe, calibrate). Over pools lie
//! mixes, by pieces of file, and duplicate blocks (model, dedupe). What came of it can be measured (measure).
//!
//! Threads: everything is immutable once built.

mod calibrate;
mod codec;
mod corpus;
mod dedupe;
mod measure;
mod model;
mod pool;
mod ratio;
mod recipe;
mod written;

pub(crate) use corpus::digest as corpus_digest;

use std::sync::Arc;

pub use measure::{Achieved, AsWritten};

use calibrate::{Dials, Miss};
use dedupe::{Dedupe, Shown};
use model::{MIX_BYTES, Mix, Model, Source};
use pool::Pool;

use crate::op::FileSlot;
use crate::plan::{ContentPlan, DedupePlan, LoadPlan, MixPart, RatioCodec, Recipe, RecipePlan};
use crate::random::{Weights, mix_all};

/// A content can have a million files; so many of them are named.
const FILES_NAMED: usize = 8;

/// Dials found so far: a pure function of what was asked for, so that one list serves all loads.
static DIALS: Dials = Dials::new();

/// Generates and recognises the bytes of a load.
#[derive(Debug)]
pub struct Content {
    seed: u64,
    /// Of files that say nothing themselves.
    default: Model,
    /// By slot, of the plan's own files.
    own: Vec<Option<Model>>,
    /// Of each content that differs from the others.
    made: Vec<(ContentPlan, Model)>,
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
        "content ({of}): it compresses by a factor from {min:.2} to {max:.1}; ask for one of these, or for another kind"
    )]
    Ratio {
        /// What was asked for, in words.
        of: String,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// The ratio jumps past what was asked for.
    #[error(
        "content ({of}): what comes nearest compresses by a factor of {nearest:.2}; ask for that"
    )]
    Unsteady {
        /// What was asked for, in words.
        of: String,
        /// What comes nearest.
        nearest: f64,
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
            made,
        })
    }

    /// What the contents of `loads` turned out to be, each once. All of these loads have the seed, the contents and the files that
    /// this was built of, and may differ in what they do. Measures: takes a tenth of a second for each, and for each size it is
    /// written in.
    ///
    /// # Panics
    /// Where it was built of another load.
    pub fn achieved(&self, loads: &[&LoadPlan]) -> Vec<Achieved> {
        let load = loads.first().expect("one load at least");
        let mut wanted = vec![(load.content.clone(), Vec::new(), 0)];
        for file in &load.files {
            let Some(plan) = file.content.clone() else {
                continue;
            };
            let known = wanted.iter().position(|(known, ..)| *known == plan);
            let nth = known.unwrap_or_else(|| {
                wanted.push((plan, Vec::new(), 0));
                wanted.len() - 1
            });
            let (_, files, file_count) = &mut wanted[nth];
            *file_count += 1;
            if files.len() < FILES_NAMED {
                files.push(file.name.clone());
            }
        }
        let mut all = Vec::new();
        for (plan, files, file_count) in wanted {
            let model = self.made.iter().find(|(known, _)| *known == plan);
            let (_, model) = model.expect("the content was built of this load");
            all.push(Achieved {
                files,
                file_count,
                ..Achieved::of(model, &plan, self.seed, &written::shapes(loads, &plan))
            });
        }
        all
    }

    /// The bytes of `file` from `offset` that a write of `version` puts there. Any part of a write gives the
    /// same bytes as the whole, however it is split.
    pub fn fill(&self, file: FileSlot, offset: u64, version: u64, out: &mut [u8]) {
        let at = Shown {
            file,
            offset,
            version,
        };
        self.model(file).fill(self.seed, at, out);
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
        let at = Shown {
            file,
            offset,
            version,
        };
        if self.model(file).verify(self.seed, at, bytes) {
            return Ok(());
        }
        Err(self.mismatch(file, offset, version, bytes))
    }

    fn model(&self, file: FileSlot) -> &Model {
        let own = self.own.get(file.0 as usize).and_then(Option::as_ref);
        own.unwrap_or(&self.default)
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
    /// Of (seed, file) alone.
    file: u64,
    /// Where in a pool the file's byte 0 lies, as a fraction of 2^64.
    turn: u64,
    /// What stamps are made from.
    stamp: u64,
}

impl Key {
    fn new(seed: u64, file: FileSlot, version: u64) -> Self {
        let slot = u64::from(file.0);
        let file = mix_all(&[seed, slot]);
        // Steps of the golden ratio: versions one after the other lie as far apart as they can, and a
        // sequential load uses all of a pool evenly, so that it compresses like the pool.
        let step = version.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            file,
            turn: file.wrapping_add(step),
            stamp: mix_all(&[seed, slot, version]),
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
    let pool = |pool| Source::Pool(Arc::new(pool)).into();
    let made_now = match plan {
        ContentPlan::Zeros => Source::Zeros.into(),
        ContentPlan::Random => pool(Pool::random(seed)),
        ContentPlan::Ratio(ratio) => pool(ratio::pool(*ratio, seed)?),
        ContentPlan::Corpus(path) => pool(corpus::pool(path)?),
        ContentPlan::Recipe(plan) => made_up(plan, None, seed)?,
        ContentPlan::Mix(parts) => mix(MIX_BYTES, parts, seed, made)?,
        ContentPlan::Mosaic(plan) => mix(plan.unit_bytes, &plan.parts, seed, made)?,
        ContentPlan::Dedupe(plan) => repeating(plan, seed, made)?,
    };
    made.push((plan.clone(), made_now.clone()));
    Ok(made_now)
}

/// A recipe, turned until it has its ratio with its duplicates in it.
fn made_up(
    plan: &RecipePlan,
    dedupe: Option<&DedupePlan>,
    seed: u64,
) -> Result<Model, ContentError> {
    let at = |dial: f64| {
        let ratio = plan.ratio.unwrap_or(1.0);
        let pool = recipe::pool(&plan.recipe, ratio, dial, seed);
        Model {
            source: Source::Pool(Arc::new(pool)),
            dedupe: dedupe.map(Dedupe::new),
        }
    };
    let Some(asked) = plan.ratio else {
        return Ok(at(0.0));
    };
    let key = format!(
        "{seed} {plan:?} {:?}",
        dedupe.map(|plan| (plan.share, plan.block_bytes, plan.working_set_bytes))
    );
    let dial = DIALS
        .find(key, asked, |dial| {
            measure::ratio(&at(dial), plan.codec, seed)
        })
        .map_err(|miss| {
            let of = ContentPlan::Recipe(plan.clone()).to_string();
            match miss {
                Miss::OutOfReach { min, max } => ContentError::Ratio { of, min, max },
                Miss::Jump { nearest } => ContentError::Unsteady { of, nearest },
            }
        })?;
    Ok(at(dial))
}

fn repeating(
    plan: &DedupePlan,
    seed: u64,
    made: &mut Vec<(ContentPlan, Model)>,
) -> Result<Model, ContentError> {
    let recipe = match &*plan.of {
        ContentPlan::Recipe(recipe) => recipe.clone(),
        ContentPlan::Ratio(ratio) => RecipePlan {
            recipe: Recipe::Words,
            ratio: Some(*ratio),
            codec: RatioCodec::DEFAULT,
        },
        other => {
            let dedupe = Some(Dedupe::new(plan));
            return Ok(Model {
                dedupe,
                ..model(other, seed, made)?
            });
        }
    };
    made_up(&recipe, Some(plan), seed)
}

fn mix(
    unit_bytes: u64,
    parts: &[MixPart],
    seed: u64,
    made: &mut Vec<(ContentPlan, Model)>,
) -> Result<Model, ContentError> {
    let mut pools = Vec::with_capacity(parts.len());
    for part in parts {
        pools.push(match model(&part.content, seed, made)?.source {
            Source::Zeros => None,
            Source::Pool(pool) => Some(pool),
            Source::Mix(_) => panic!("a mix within a mix is refused when the plan is read"),
        });
    }
    let mix = Mix {
        unit_bytes,
        weights: Weights::new(parts.iter().map(|part| part.weight)),
        parts: pools,
    };
    Ok(Source::Mix(Arc::new(mix)).into())
}

#[cfg(test)]
mod tests;
