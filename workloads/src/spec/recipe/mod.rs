//! Recipes of content as written: their parameters, within what bounds, and what they are unless given.
//!
//! Not here: which recipes there are and what may stand beside one (content), whether a ratio is in reach of a recipe
//! (found when it is made).

mod shape;

use std::ops::RangeInclusive;

pub(super) use shape::{
    AdversarialMap, BordersMap, BurstsMap, DedupeShape, EntropyMap, MatchesMap, MosaicShape,
    RecordsMap, TextMap,
};

use super::content::read_parts;
use crate::decode::{At, Fields, Report, number, size, text, word};
use crate::fault::Fault;
use crate::plan::{ContentPlan, DedupePlan, Looks, MosaicPlan, RatioCodec, Recipe, RecipePlan};
use crate::units::format_size;
use crate::yaml::{Data, Node};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Below it a row has no room for its columns.
const ROW_BYTES: RangeInclusive<u64> = 48..=4 * KIB;
const EXTENT_BYTES: u64 = 128 * KIB;
const RATIO: RangeInclusive<f64> = 1.0..=15.0;

/// The recipe named `kind`, which is one of content's.
pub(super) fn read_recipe(kind: &str, node: &Node, report: &mut Report) -> Option<RecipePlan> {
    let mut fields = Fields::open(node, "a recipe", report)?;
    let before = report.faults.len();
    let recipe = match kind {
        "entropy" => read_entropy(&mut fields, report),
        "matches" => read_matches(&mut fields, report),
        "text" => whole(
            &mut fields,
            "words",
            "a vocabulary",
            16..=65_536,
            8192,
            report,
        )
        .map(|words| Recipe::Text { words }),
        "records" => bytes(&mut fields, "row", "a row", ROW_BYTES, 128, report).map(|bytes| {
            Recipe::Records {
                row_bytes: small(bytes),
            }
        }),
        "bursts" => read_bursts(&mut fields, report),
        "borders" => read_borders(&mut fields, report),
        "adversarial" => read_adversarial(&mut fields, report),
        other => unreachable!("{other} is no recipe of content"),
    };
    let takes_none = matches!(
        recipe,
        Some(Recipe::Adversarial {
            looks: Looks::Compressible
        })
    );
    let ratio = if takes_none {
        None
    } else {
        let node = fields.require("ratio", report);
        node.and_then(|node| number(node, "a ratio", RATIO, report))
    };
    if let Some((span, _)) = takes_none.then(|| fields.take_keyed("ratio")).flatten() {
        report.add(
            Fault::new(
                span,
                "what looks compressible and is not has no ratio to choose",
            )
            .label("leave it out"),
        );
    }
    fields.finish(report);
    if let (Some(recipe), Some(ratio)) = (&recipe, &ratio) {
        check_reach(recipe, ratio, report);
    }
    (report.faults.len() == before).then_some(RecipePlan {
        recipe: recipe?,
        ratio: ratio.map(|at| at.value),
        codec: RatioCodec::DEFAULT,
    })
}

/// Incompressible bytes alone already take so much that more cannot be had, whatever the others are.
fn check_reach(recipe: &Recipe, ratio: &At<f64>, report: &mut Report) {
    let random_share = match recipe {
        Recipe::Bursts {
            burst_bytes,
            every_bytes,
        } => *burst_bytes as f64 / *every_bytes as f64,
        Recipe::Bimodal {
            share: Some(share), ..
        } => *share,
        _ => return,
    };
    if ratio.value * random_share >= 1.0 {
        let fault = Fault::new(
            ratio.span,
            format!(
                "with {:.0} % of it incompressible, content compresses by less than {:.2}",
                random_share * 100.0,
                1.0 / random_share
            ),
        );
        report.add(fault.help("ask for a lower ratio, or for less that is incompressible"));
    }
}

fn read_entropy(fields: &mut Fields<'_>, report: &mut Report) -> Option<Recipe> {
    whole(fields, "symbols", "an alphabet", 2..=256, 256, report)
        .map(|symbols| Recipe::Entropy { symbols })
}

fn read_matches(fields: &mut Fields<'_>, report: &mut Report) -> Option<Recipe> {
    let length = bytes(fields, "length", "a copy", 8..=16 * KIB, 128, report);
    let distance_node = fields.take("distance");
    let distance = match distance_node {
        None => Some(32 * KIB),
        Some(node) => size(node, "a distance", 64..=MIB, report).map(|at| at.value),
    };
    let (length, distance) = (length?, distance?);
    if distance < 2 * length {
        let fault = "copies come from at least twice their length away";
        let span = distance_node.map_or_else(|| fields.span(), |node| node.span);
        report.add(Fault::new(span, fault).help(format!(
            "distance: {} or more, or a shorter length:",
            format_size(2 * length)
        )));
        return None;
    }
    Some(Recipe::Matches {
        length_bytes: small(length),
        distance_bytes: small(distance),
    })
}

fn read_bursts(fields: &mut Fields<'_>, report: &mut Report) -> Option<Recipe> {
    let burst = bytes(fields, "burst", "a burst", 4 * KIB..=MIB, 32 * KIB, report);
    let range = 8 * KIB..=4 * MIB;
    let every = bytes(fields, "every", "a period", range, 512 * KIB, report);
    Some(Recipe::Bursts {
        burst_bytes: burst?,
        every_bytes: every?,
    })
}

fn read_borders(fields: &mut Fields<'_>, report: &mut Report) -> Option<Recipe> {
    let range = EXTENT_BYTES..=2 * MIB;
    let distance = power(
        fields,
        "distance",
        "a distance",
        range,
        EXTENT_BYTES,
        report,
    );
    let share = fields.take("share").map(|node| percent(node, report));
    Some(Recipe::Borders {
        distance_bytes: distance?,
        share: share.unwrap_or(Some(1.0))?,
    })
}

fn read_adversarial(fields: &mut Fields<'_>, report: &mut Report) -> Option<Recipe> {
    let known = [
        ("compressible", Looks::Compressible),
        ("random", Looks::Random),
    ];
    let node = fields.require("looks", report)?;
    word(node, "look", &known, report).map(|at| Recipe::Adversarial { looks: at.value })
}

/// A mosaic of parts, or the one of two kinds.
pub(super) fn read_mosaic(node: &Node, report: &mut Report) -> Option<ContentPlan> {
    let mut fields = Fields::open(node, "a mosaic", report)?;
    let before = report.faults.len();
    let range = 4 * KIB..=MIB;
    let unit_bytes = power(&mut fields, "by", "a piece", range, EXTENT_BYTES, report);
    if let Some(parts) = fields.take("parts") {
        let parts = read_parts(parts, "a mosaic", report);
        fields.finish(report);
        return Some(ContentPlan::Mosaic(MosaicPlan {
            unit_bytes: unit_bytes?,
            parts: parts?,
        }));
    }
    let share = fields.take("share").map(|node| percent(node, report));
    let ratio = fields.take("ratio");
    if ratio.is_none() {
        report.add(
            Fault::new(fields.span(), "a mosaic needs `ratio:` or `parts:`")
                .help("write it as { ratio: 2 } or { parts: [...] }"),
        );
    }
    let ratio = ratio.and_then(|node| number(node, "a ratio", RATIO, report));
    fields.finish(report);
    let recipe = Recipe::Bimodal {
        unit_bytes: unit_bytes?,
        share: share.map_or(Some(None), |share| share.map(Some))?,
    };
    check_reach(&recipe, ratio.as_ref()?, report);
    (report.faults.len() == before).then_some(ContentPlan::Recipe(RecipePlan {
        recipe,
        ratio: Some(ratio?.value),
        codec: RatioCodec::DEFAULT,
    }))
}

/// The share of `of` that repeats.
pub(super) fn read_dedupe(node: &Node, of: ContentPlan, report: &mut Report) -> Option<DedupePlan> {
    let (share, block_bytes, working_set_bytes) = if let Data::Scalar(_) = node.data {
        (percent(node, report)?, 4 * KIB, 512 * KIB)
    } else {
        let mut fields = Fields::open(node, "a share of duplicates", report)?;
        let share = fields.require("share", report);
        let share = share.and_then(|node| percent(node, report));
        let range = 4 * KIB..=EXTENT_BYTES;
        let block = power(&mut fields, "block", "a block", range, 4 * KIB, report);
        let range = 4 * KIB..=KIB * MIB;
        let set = bytes(
            &mut fields,
            "working_set",
            "a working set",
            range,
            512 * KIB,
            report,
        );
        let span = fields.span();
        fields.finish(report);
        let (share, block, set) = (share?, block?, set?);
        if !set.is_multiple_of(block) {
            report.add(Fault::new(
                span,
                format!("a working set is whole blocks of {}", format_size(block)),
            ));
            return None;
        }
        (share, block, set)
    };
    Some(DedupePlan {
        share,
        block_bytes,
        working_set_bytes,
        of: Box::new(of),
    })
}

/// `lz4`, `zstd` or `zstd:LEVEL`.
pub(super) fn read_codec(node: &Node, report: &mut Report) -> Option<RatioCodec> {
    let written = text(node, "a codec", report)?;
    let level = match &*written.value {
        "lz4" => return Some(RatioCodec::Lz4),
        "zstd" => return Some(RatioCodec::DEFAULT),
        other => other.strip_prefix("zstd:"),
    };
    let level = level.and_then(|level| level.parse().ok());
    match level.filter(|level| (1..=19).contains(level)) {
        Some(level) => Some(RatioCodec::Zstd(level)),
        None => {
            report.add(Fault::new(
                node.span,
                format!(
                    "`{}` is nothing a ratio is measured with; there are lz4, zstd, and zstd:1 to zstd:19",
                    written.value
                ),
            ));
            None
        }
    }
}

/// A share above nothing, to all.
fn percent(node: &Node, report: &mut Report) -> Option<f64> {
    let written = text(node, "a share", report)?;
    let number = written.value.strip_suffix('%').map(str::trim_end);
    let percent = number.and_then(|number| number.parse::<f64>().ok());
    match percent.filter(|percent| (0.1..=100.0).contains(percent)) {
        Some(percent) => Some(percent / 100.0),
        None => {
            report.add(Fault::new(
                node.span,
                format!(
                    "a share is from 0.1% to 100%, such as 25%, not `{}`",
                    written.value
                ),
            ));
            None
        }
    }
}

fn whole<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    what: &str,
    range: RangeInclusive<T>,
    unless_given: T,
    report: &mut Report,
) -> Option<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    match fields.take(key) {
        None => Some(unless_given),
        Some(node) => number(node, what, range, report).map(|at| at.value),
    }
}

fn bytes(
    fields: &mut Fields<'_>,
    key: &'static str,
    what: &str,
    range: RangeInclusive<u64>,
    unless_given: u64,
    report: &mut Report,
) -> Option<u64> {
    match fields.take(key) {
        None => Some(unless_given),
        Some(node) => size(node, what, range, report).map(|at| at.value),
    }
}

fn power(
    fields: &mut Fields<'_>,
    key: &'static str,
    what: &str,
    range: RangeInclusive<u64>,
    unless_given: u64,
    report: &mut Report,
) -> Option<u64> {
    let Some(node) = fields.take(key) else {
        return Some(unless_given);
    };
    let bytes = size(node, what, range, report)?;
    if !bytes.value.is_power_of_two() {
        report.add(Fault::new(
            node.span,
            format!("{what} is a power of two, not {}", format_size(bytes.value)),
        ));
        return None;
    }
    Some(bytes.value)
}

fn small(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("within the bounds it was read with")
}
