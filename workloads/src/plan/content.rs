//! Content as it will be made: kinds, parameters, and what a ratio is measured with.
//!
//! A ratio alone says nothing about what it costs to get there: the recipes are the other axis. Not here: how
//! bytes are made of it (content), how it is written (spec/content).

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::units::format_size;

/// What bytes are made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentPlan {
    /// Nothing but zeros.
    Zeros,
    /// Incompressible.
    Random,
    /// Compressible by this factor, under zstd 1 in pieces of 128 KiB.
    Ratio(f64),
    /// The bytes of real files.
    Corpus(PathBuf),
    /// Of several, by weight, in pieces of 128 KiB.
    Mix(Vec<MixPart>),
    /// Made up in a stated way, compressible by a stated factor under a stated codec.
    Recipe(RecipePlan),
    /// Of several, by weight, in pieces of a stated size.
    Mosaic(MosaicPlan),
    /// Of which a share repeats.
    Dedupe(DedupePlan),
}

/// One part of a mix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixPart {
    /// Its share is its weight over the sum of the weights.
    pub weight: f64,
    /// What it is.
    pub content: ContentPlan,
}

/// A recipe and how far it is turned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipePlan {
    /// How bytes come about.
    pub recipe: Recipe,
    /// The factor it compresses by in pieces of 128 KiB; none where the recipe leaves no choice.
    pub ratio: Option<f64>,
    /// What compresses it.
    pub codec: RatioCodec,
}

/// How bytes come about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Literals of uneven frequency between copies near and far: what `ratio` makes.
    Words,
    /// Letters drawn one by one, unevenly: no matches but those of chance.
    Entropy {
        /// How many different ones.
        symbols: u16,
    },
    /// Copies of what came before, between random bytes.
    Matches {
        /// Mean length of a copy.
        length_bytes: u32,
        /// The farthest a copy comes from.
        distance_bytes: u32,
    },
    /// Words of a vocabulary, by Zipf's law, with opaque tokens where the ratio is low.
    Text {
        /// Size of the vocabulary.
        words: u32,
    },
    /// Rows of a fixed layout: counter, time, enums, floats, a name, opaque bytes.
    Records {
        /// Of one row.
        row_bytes: u32,
    },
    /// Pieces that do not compress among pieces that compress well.
    Bimodal {
        /// Of a piece.
        unit_bytes: u64,
        /// Which share does not compress; none: as many as leave the others at twice the ratio, at least 4.
        share: Option<f64>,
    },
    /// Incompressible bursts, begun anywhere, in what compresses.
    Bursts {
        /// Mean length of a burst.
        burst_bytes: u64,
        /// From one to the next, on average.
        every_bytes: u64,
    },
    /// What repeats lies farther back than an extent reaches.
    Borders {
        /// How far; a multiple of 128 KiB.
        distance_bytes: u64,
        /// The share of pages that do repeat there.
        share: f64,
    },
    /// Built to mislead whoever looks at the first 16 bytes of every 256.
    Adversarial {
        /// What it looks like.
        looks: Looks,
    },
}

/// What adversarial content looks like and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Looks {
    /// The bytes looked at are few, the others are random.
    Compressible,
    /// The bytes looked at are random, the others compress.
    Random,
}

/// What a ratio is measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioCodec {
    /// At a level.
    Zstd(i32),
    /// It has no levels.
    Lz4,
}

/// Pieces of several kinds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MosaicPlan {
    /// Of a piece.
    pub unit_bytes: u64,
    /// What the pieces are.
    pub parts: Vec<MixPart>,
}

/// Blocks of which a share are duplicates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DedupePlan {
    /// The share of blocks that repeat one of the working set.
    pub share: f64,
    /// Of a block.
    pub block_bytes: u64,
    /// What they repeat: this much, the same in all files of this content.
    pub working_set_bytes: u64,
    /// What the blocks are made of.
    pub of: Box<ContentPlan>,
}

impl RatioCodec {
    /// The engine's own default. Whatever its knobs say: points of a sweep over codecs replay the same bytes.
    pub const DEFAULT: Self = Self::Zstd(1);
}

impl ContentPlan {
    /// The ratio that was asked for and what it is to be measured with.
    pub fn asked(&self) -> (Option<f64>, RatioCodec) {
        match self {
            Self::Ratio(ratio) => (Some(*ratio), RatioCodec::DEFAULT),
            Self::Recipe(plan) => (plan.ratio, plan.codec),
            Self::Dedupe(plan) => plan.of.asked(),
            Self::Zeros | Self::Random | Self::Corpus(_) | Self::Mix(_) | Self::Mosaic(_) => {
                (None, RatioCodec::DEFAULT)
            }
        }
    }

    /// The share of duplicates that was asked for, and of what size.
    pub fn asked_dedupe(&self) -> Option<&DedupePlan> {
        match self {
            Self::Dedupe(plan) => Some(plan),
            _ => None,
        }
    }
}

impl fmt::Display for RatioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd {level}"),
            Self::Lz4 => f.write_str("lz4"),
        }
    }
}

impl fmt::Display for ContentPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => f.write_str("zeros"),
            Self::Random => f.write_str("random"),
            Self::Ratio(ratio) => write!(f, "compressible {ratio} times"),
            Self::Corpus(path) => write!(f, "of {}", path.display()),
            Self::Mix(parts) => {
                f.write_str("mixed of ")?;
                parts_text(parts, f)
            }
            Self::Recipe(plan) => {
                plan.recipe.fmt(f)?;
                match plan.ratio {
                    Some(ratio) => write!(f, ", compressible {ratio} times by {}", plan.codec),
                    None => Ok(()),
                }
            }
            Self::Mosaic(plan) => {
                write!(f, "by {} of ", format_size(plan.unit_bytes))?;
                parts_text(&plan.parts, f)
            }
            Self::Dedupe(plan) => write!(
                f,
                "{}, {} % of blocks of {} repeat one of {}",
                plan.of,
                plan.share * 100.0,
                format_size(plan.block_bytes),
                format_size(plan.working_set_bytes)
            ),
        }
    }
}

fn parts_text(parts: &[MixPart], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (nth, part) in parts.iter().enumerate() {
        let comma = if nth == 0 { "" } else { ", " };
        write!(f, "{comma}{} x {}", part.weight, part.content)?;
    }
    Ok(())
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Words => f.write_str("literals and copies"),
            Self::Entropy { symbols } => write!(f, "{symbols} letters, no copies"),
            Self::Matches {
                length_bytes,
                distance_bytes,
            } => write!(
                f,
                "random with copies of {length_bytes} bytes from within {}",
                format_size(u64::from(distance_bytes))
            ),
            Self::Text { words } => write!(f, "text of {words} words"),
            Self::Records { row_bytes } => write!(f, "rows of {row_bytes} bytes"),
            Self::Bimodal { unit_bytes, share } => {
                write!(f, "bimodal by {}", format_size(unit_bytes))?;
                share.map_or(Ok(()), |share| write!(f, " ({} % random)", share * 100.0))
            }
            Self::Bursts {
                burst_bytes,
                every_bytes,
            } => write!(
                f,
                "random bursts of {} every {}",
                format_size(burst_bytes),
                format_size(every_bytes)
            ),
            Self::Borders {
                distance_bytes,
                share,
            } => write!(
                f,
                "{} % of pages repeat after {}",
                share * 100.0,
                format_size(distance_bytes)
            ),
            Self::Adversarial { looks } => match looks {
                Looks::Compressible => f.write_str("random that looks compressible"),
                Looks::Random => f.write_str("compressible that looks random"),
            },
        }
    }
}
