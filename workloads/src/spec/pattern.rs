//! Patterns as written: where the next operation goes.

use schemars::JsonSchema;

use crate::decode::{At, Fields, Report, flag, list, nearest, number, percent, size};
use crate::fault::Fault;
use crate::plan::{PatternPlan, ZonePlan};
use crate::yaml::{Data, Node};

/// More sequential streams of one client than this are random.
const STREAM_COUNT_MAX: u32 = 1024;
/// More zones than this are no picture of a workload but a recording of one.
const ZONE_COUNT_MAX: usize = 256;
/// The patterns that are a word, and those that are a map, as examples of how to write them.
const WORDS: [&str; 4] = ["sequential", "backward", "random", "shuffle"];
const MAPS: [(&str, &str); 6] = [
    ("sequential", "{ sequential: { streams: 4 } }"),
    ("stride", "{ stride: 1MiB }"),
    ("zipf", "{ zipf: 1.1 }"),
    ("pareto", "{ pareto: 20% }"),
    ("normal", "{ normal: { center: 50%, deviation: 10% } }"),
    (
        "zones",
        "{ zones: [{ accesses: 80%, space: 20% }, { accesses: 20%, space: 80% }] }",
    ),
];

/// Where the next operation goes.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Pattern")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum PatternShape {
    Word(PatternWord),
    One(PatternMap),
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

/// Reads a pattern.
pub(crate) fn read_pattern(node: &Node, report: &mut Report) -> Option<At<PatternPlan>> {
    let at = |pattern| Some(At::new(pattern, node.span));
    if let Data::Scalar(written) = &node.data {
        return match &**written {
            "sequential" => at(PatternPlan::Sequential),
            "backward" => at(PatternPlan::Backward),
            "random" => at(PatternPlan::Random),
            "shuffle" => at(PatternPlan::Shuffle),
            _ => {
                report.add(no_pattern(written, node));
                None
            }
        };
    }
    let mut fields = Fields::open(node, "a pattern", report)?;
    let found: Vec<(&str, &Node)> = MAPS
        .iter()
        .filter_map(|(name, _)| Some((*name, fields.take(name)?)))
        .collect();
    let before = report.faults.len();
    fields.finish(report);
    let [(name, value)] = found[..] else {
        if report.faults.len() == before {
            let names: Vec<&str> = MAPS.iter().map(|(name, _)| *name).collect();
            report.add(Fault::new(
                node.span,
                format!("a pattern is exactly one of {}", names.join(", ")),
            ));
        }
        return None;
    };
    at(match name {
        "sequential" => read_streams(value, report)?,
        "stride" => read_stride(value, report)?,
        "zipf" => read_zipf(value, report)?,
        "pareto" => read_pareto(value, report)?,
        "normal" => read_normal(value, report)?,
        _ => read_zones(value, report)?,
    })
}

/// A word that names no pattern, or one that takes a map.
fn no_pattern(written: &str, node: &Node) -> Fault {
    let maps = MAPS.iter().map(|(name, _)| *name).skip(1);
    let known = WORDS.into_iter().chain(maps.clone());
    // Elsewhere a pattern has something behind it, as in `random:4k`.
    let word = written.split(|c: char| !c.is_ascii_alphabetic()).next();
    let guess = nearest(word.unwrap_or(written), known);
    let guess = guess.map(|near| {
        let as_map = MAPS.iter().find(|(name, _)| *name == near);
        match as_map {
            Some((_, example)) if !WORDS.contains(&near) => example,
            _ => near,
        }
    });
    let maps: Vec<String> = maps.map(|name| format!("{{ {name}: }}")).collect();
    Fault::new(
        node.span,
        format!(
            "`{written}` is no pattern; there are {}, {}",
            WORDS.join(", "),
            maps.join(", ")
        ),
    )
    .did_you_mean(guess)
}

fn read_streams(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let mut fields = Fields::open(node, "sequential", report)?;
    let streams = fields
        .take("streams")
        .map(|n| number(n, "streams", 1..=STREAM_COUNT_MAX, report));
    let backward = is_set(&mut fields, "backward", false, report);
    fields.finish(report);
    let streams = match streams {
        Some(read) => read?.value,
        None => 1,
    };
    Some(match (streams, backward) {
        (1, false) => PatternPlan::Sequential,
        (1, true) => PatternPlan::Backward,
        _ => PatternPlan::Interleaved { streams, backward },
    })
}

fn read_stride(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let range = 1..=super::file::FILE_BYTES_MAX;
    let (every, backward) = if let Data::Scalar(_) = node.data {
        (size(node, "a stride", range, report), false)
    } else {
        let mut fields = Fields::open(node, "a stride", report)?;
        let every = fields
            .require("every", report)
            .and_then(|n| size(n, "a stride", range, report));
        let backward = is_set(&mut fields, "backward", false, report);
        fields.finish(report);
        (every, backward)
    };
    Some(PatternPlan::Stride {
        stride_bytes: every?.value,
        backward,
    })
}

fn read_zipf(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let theta_range = 0.0..=10.0;
    if let Data::Scalar(_) = node.data {
        let theta = number(node, "the exponent of zipf", theta_range, report)?.value;
        return Some(PatternPlan::Zipf {
            theta,
            scatter: true,
        });
    }
    let mut fields = Fields::open(node, "zipf", report)?;
    let theta = fields
        .require("theta", report)
        .and_then(|n| number(n, "the exponent of zipf", theta_range, report));
    let scatter = is_set(&mut fields, "scatter", true, report);
    fields.finish(report);
    Some(PatternPlan::Zipf {
        theta: theta?.value,
        scatter,
    })
}

fn read_pareto(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let range = 0.001..=0.5;
    let (share, scatter) = if let Data::Scalar(_) = node.data {
        (percent(node, "the share of pareto", range, report), true)
    } else {
        let mut fields = Fields::open(node, "pareto", report)?;
        let share = fields
            .require("share", report)
            .and_then(|n| percent(n, "the share of pareto", range, report));
        let scatter = is_set(&mut fields, "scatter", true, report);
        fields.finish(report);
        (share, scatter)
    };
    Some(PatternPlan::Pareto {
        share: share?.value,
        scatter,
    })
}

fn read_normal(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let mut fields = Fields::open(node, "normal", report)?;
    let center = fields
        .take("center")
        .map(|n| percent(n, "center", 0.0..=1.0, report));
    let deviation = fields
        .require("deviation", report)
        .and_then(|n| percent(n, "deviation", 0.0001..=1.0, report));
    fields.finish(report);
    Some(PatternPlan::Normal {
        center: match center {
            Some(read) => read?.value,
            None => 0.5,
        },
        deviation: deviation?.value,
    })
}

fn read_zones(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let before = report.faults.len();
    let mut zones = Vec::new();
    for item in list(node, "zones", report) {
        let Some(mut fields) = Fields::open(item, "a zone", report) else {
            continue;
        };
        let mut share = |key: &'static str, min: f64, report: &mut Report| {
            let node = fields.require(key, report)?;
            percent(node, key, min..=1.0, report)
        };
        let accesses = share("accesses", 0.0, report);
        let space = share("space", 0.0001, report);
        fields.finish(report);
        if let (Some(accesses), Some(space)) = (accesses, space) {
            zones.push(ZonePlan {
                accesses: accesses.value,
                space: space.value,
            });
        }
    }
    if report.faults.len() > before {
        return None;
    }
    if zones.is_empty() || zones.len() > ZONE_COUNT_MAX {
        report.add(Fault::new(
            node.span,
            format!("zones are from 1 to {ZONE_COUNT_MAX}, not {}", zones.len()),
        ));
        return None;
    }
    let sum = |of: fn(&ZonePlan) -> f64| zones.iter().map(of).sum::<f64>();
    for (what, sum) in [
        ("accesses", sum(|zone| zone.accesses)),
        ("space", sum(|zone| zone.space)),
    ] {
        if (sum - 1.0).abs() > 1e-6 {
            let percents = (sum * 1e6).round() / 1e4;
            report.add(Fault::new(
                node.span,
                format!("the `{what}` of zones add up to 100%, not {percents}%"),
            ));
        }
    }
    (report.faults.len() == before).then_some(PatternPlan::Zones(zones))
}

fn is_set(fields: &mut Fields<'_>, key: &'static str, default: bool, report: &mut Report) -> bool {
    fields
        .take(key)
        .and_then(|n| flag(n, key, report))
        .unwrap_or(default)
}
