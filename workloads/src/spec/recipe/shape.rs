//! The shapes of recipes, for the schema that editors complete from. Bounds are those they are read with.

use schemars::JsonSchema;

use crate::spec::content::MixMap;

/// Letters drawn one by one: an entropy coder's work, nothing for a match finder.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct EntropyMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// How many letters there are; 256 unless given.
    #[schemars(range(min = 2, max = 256))]
    symbols: Option<u16>,
}

/// Copies between random bytes: a match finder's work, nothing for an entropy coder.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct MatchesMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// Mean length of a copy, 8B to 16KiB; 128B unless given.
    length: Option<String>,
    /// The farthest a copy comes from, to 1MiB; 32KiB unless given.
    distance: Option<String>,
}

/// Words by Zipf's law.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct TextMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// Size of the vocabulary; 8192 unless given.
    #[schemars(range(min = 16, max = 65536))]
    words: Option<u32>,
}

/// Rows of a fixed layout.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct RecordsMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// Of one row, 48B to 4KiB; 128B unless given.
    row: Option<String>,
}

/// Kinds that alternate by pieces.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) enum MosaicShape {
    Bimodal(BimodalMap),
    Parts(PartsMap),
}

/// Incompressible pieces among compressible ones.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct BimodalMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// The share of incompressible pieces, such as `25%`; by the ratio unless given.
    share: Option<String>,
    /// Of a piece, a power of two from 4KiB to 1MiB; 128KiB unless given.
    by: Option<String>,
}

/// Any kinds, by weight.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct PartsMap {
    #[schemars(length(min = 1))]
    parts: Vec<MixMap>,
    /// Of a piece, a power of two from 4KiB to 1MiB; 128KiB unless given.
    by: Option<String>,
}

/// Incompressible bursts in compressible bytes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct BurstsMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// Mean length of a burst, 4KiB to 1MiB; 32KiB unless given.
    burst: Option<String>,
    /// From one burst to the next on average, to 4MiB; 512KiB unless given.
    every: Option<String>,
}

/// What repeats lies beyond an extent of 128 KiB.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct BordersMap {
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: f64,
    /// How far back, a power of two from 128KiB to 2MiB; 128KiB unless given.
    distance: Option<String>,
    /// Of pages that repeat; 100% unless given.
    share: Option<String>,
}

/// Not what it looks like in 16 bytes of every 256.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct AdversarialMap {
    looks: LooksWord,
    /// With `looks: random`: how far it compresses in truth.
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: Option<f64>,
}

/// What it looks like.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum LooksWord {
    Compressible,
    Random,
}

/// Blocks that repeat.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) enum DedupeShape {
    /// Such as `25%`.
    Share(String),
    Map(DedupeMap),
}

/// Blocks that repeat, and what they repeat.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(in crate::spec) struct DedupeMap {
    /// Such as `25%`.
    share: String,
    /// A power of two from 4KiB to 128KiB; 4KiB unless given.
    block: Option<String>,
    /// What blocks repeat, to 1GiB; 512KiB unless given.
    working_set: Option<String>,
}
