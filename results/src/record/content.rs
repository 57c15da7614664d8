//! What was written, as far as it compresses: asked for and turned out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One content, measured before the run on bytes as they are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ContentRecord {
    /// What it is, in words.
    pub describe: String,
    /// The first files that have it as their own; empty for that of all others.
    pub files: Vec<String>,
    /// How many these are in all.
    pub file_count: u64,
    /// What the ratio was measured with, in extents of 128 KiB.
    pub codec: String,
    /// The ratio asked for; none where none was.
    pub ratio_asked: Option<f64>,
    /// Bytes over compressed bytes; a volume stores whole sectors, and `stored_ratio` counts those.
    pub ratio: f64,
    /// The same in the pieces that the workload's own writes give a codec, each size of them once.
    pub written: Vec<WrittenRecord>,
    /// The share of duplicate blocks asked for; none where none was.
    pub dedupe_asked: Option<f64>,
    /// The share of blocks that repeat an earlier one; none where none was asked for.
    pub dedupe: Option<f64>,
}

/// What a content comes to in the pieces that writes of one size give a codec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WrittenRecord {
    /// Of one write.
    pub block_bytes: u64,
    /// Of what a codec gets at once: writes side by side up to 128 KiB, or whole pages around one that lies by itself.
    pub extent_bytes: u64,
    /// Bytes over compressed bytes.
    pub ratio: f64,
}
