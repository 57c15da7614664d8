//! The shapes of patterns, for the schema that editors complete from. Bounds are those they are read with.

use schemars::JsonSchema;

/// Where the next operation goes.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Pattern")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum PatternShape {
    Word(PatternWord),
    One(Box<PatternMap>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum PatternWord {
    /// One after the other; each client has a contiguous share.
    Sequential,
    /// The same from the end to the start.
    Backward,
    /// Each place alike, with repetition.
    Random,
    /// Each place once, in random order.
    Shuffle,
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct PatternMap {
    /// One after the other, in several streams that take turns.
    sequential: Option<SequentialMap>,
    /// Each place alike, and from there on for a while one after the other.
    random: Option<RunsMap>,
    /// One after the other, this far apart, such as 1MiB; the next lap fills the gaps.
    stride: Option<StrideShape>,
    /// Few places are wanted often, the k-th most wanted in proportion to 1 / k^theta: the exponent, or { theta, scatter }.
    zipf: Option<ZipfShape>,
    /// This share of the places gets the rest of the accesses, and the same again within it: 20% is "80 % go to 20 %".
    pareto: Option<ParetoShape>,
    /// Around a centre, falling off to both sides.
    normal: Option<NormalMap>,
    /// Hot and cold stretches, from the start of the region: shares of the accesses and of the space.
    #[schemars(length(min = 1, max = 256))]
    zones: Option<Vec<ZoneMap>>,
    /// One hot stretch that moves through the region, from its start.
    hotspot: Option<HotspotMap>,
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "RandomRuns", extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct RunsMap {
    /// So many operations from each place drawn, where the file goes on so far.
    #[schemars(range(min = 1))]
    run: Option<u64>,
    /// The share of the operations that go to a place drawn, such as 20%; the others go on behind the one before.
    jumps: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Hotspot")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct HotspotMap {
    /// Its share of the accesses, such as 90%.
    accesses: String,
    /// Its share of the region, such as 10%.
    space: String,
    /// It moves after so many operations, all clients together, or, with a rate of operations, after so much time, such as 10s.
    every: EveryShape,
    /// How far, as a share of the region (default: as far as it is wide).
    by: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged, rename = "Every")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum EveryShape {
    Operations(u64),
    Time(String),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SequentialStreams")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct SequentialMap {
    /// How many, each in a contiguous part of the client's share (default 1).
    #[schemars(range(min = 1, max = 1024))]
    streams: Option<u32>,
    /// From the end to the start (default false).
    backward: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum StrideShape {
    Bytes(String),
    Map(StrideMap),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Stride")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct StrideMap {
    /// From start to start, such as 1MiB; need not be a multiple of the block.
    every: String,
    /// From the end to the start (default false).
    backward: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum ZipfShape {
    Theta(f64),
    Map(ZipfMap),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Zipf")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct ZipfMap {
    /// The k-th most wanted place is wanted in proportion to 1 / k^theta.
    #[schemars(range(min = 0.0, max = 10.0))]
    theta: f64,
    /// Are the wanted places spread over the region (default true) or all at its start?
    scatter: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum ParetoShape {
    Share(String),
    Map(ParetoMap),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Pareto")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct ParetoMap {
    /// The share of the places, such as 20%, up to 50%.
    share: String,
    /// Are the wanted places spread over the region (default true) or all at its start?
    scatter: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "NormalPlaces")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct NormalMap {
    /// Where in the region, such as 50% (default).
    center: Option<String>,
    /// The standard deviation as a share of the region, such as 10%. What falls outside is drawn again.
    deviation: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Zone")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct ZoneMap {
    /// Its share of the accesses, such as 80%; those of all zones add up to 100%.
    accesses: String,
    /// Its share of the region, such as 20%; those of all zones add up to 100%.
    space: String,
}
