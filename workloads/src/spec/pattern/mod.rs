//! Patterns as written: where the next operation goes.

mod shape;

pub(crate) use shape::PatternShape;

use crate::decode::{
    At, Fields, Report, flag, list, nearest, number, percent, quantity, size, text,
};
use crate::fault::Fault;
use crate::plan::{HotspotPlan, PatternPlan, RunLength, ZonePlan};
use crate::units::parse_duration;
use crate::yaml::{Data, Node};

/// More sequential streams of one client than this are random.
const STREAM_COUNT_MAX: u32 = 1024;
/// More zones than this are no picture of a workload but a recording of one.
const ZONE_COUNT_MAX: usize = 256;
/// The patterns that are a word, and those that are a map, as examples of how to write them.
const WORDS: [&str; 4] = ["sequential", "backward", "random", "shuffle"];
const MAPS: [(&str, &str); 8] = [
    ("sequential", "{ sequential: { streams: 4 } }"),
    ("random", "{ random: { run: 8 } }"),
    ("stride", "{ stride: 1MiB }"),
    ("zipf", "{ zipf: 1.1 }"),
    ("pareto", "{ pareto: 20% }"),
    ("normal", "{ normal: { center: 50%, deviation: 10% } }"),
    (
        "zones",
        "{ zones: [{ accesses: 80%, space: 20% }, { accesses: 20%, space: 80% }] }",
    ),
    (
        "hotspot",
        "{ hotspot: { accesses: 90%, space: 10%, every: 100000 } }",
    ),
];

/// A pattern as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PatternSpec {
    pub(crate) plan: PatternPlan,
    /// Of a hot spot that moves by time: how often. The rate of the job turns it into operations.
    pub(crate) every_ns: Option<At<u64>>,
}

/// Reads a pattern.
pub(crate) fn read_pattern(node: &Node, report: &mut Report) -> Option<At<PatternSpec>> {
    let spec = |plan, every_ns| Some(At::new(PatternSpec { plan, every_ns }, node.span));
    let at = |plan| spec(plan, None);
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
        "random" => read_runs(value, report)?,
        "hotspot" => {
            let (plan, every_ns) = read_hotspot(value, report)?;
            return spec(plan, every_ns);
        }
        "stride" => read_stride(value, report)?,
        "zipf" => read_zipf(value, report)?,
        "pareto" => read_pareto(value, report)?,
        "normal" => read_normal(value, report)?,
        _ => read_zones(value, report)?,
    })
}

/// A word that names no pattern, or one that takes a map.
fn no_pattern(written: &str, node: &Node) -> Fault {
    let maps = MAPS.iter().map(|(name, _)| *name);
    let maps = maps.filter(|name| !WORDS.contains(name));
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

fn read_runs(node: &Node, report: &mut Report) -> Option<PatternPlan> {
    let mut fields = Fields::open(node, "random", report)?;
    let run = fields
        .take("run")
        .map(|n| number(n, "run", 1..=u64::MAX / 2, report));
    let jumps = fields
        .take("jumps")
        .map(|n| percent(n, "jumps", 0.000_001..=1.0, report));
    fields.finish(report);
    Some(PatternPlan::Runs(match (run, jumps) {
        (Some(run), None) => RunLength::Fixed(run?.value),
        (None, Some(jumps)) => RunLength::Jumps(jumps?.value),
        _ => {
            report.add(Fault::new(
                node.span,
                "a random pattern has either `run` or `jumps`",
            ));
            return None;
        }
    }))
}

/// The hot spot and, where it moves by time and not by operations, how often.
fn read_hotspot(node: &Node, report: &mut Report) -> Option<(PatternPlan, Option<At<u64>>)> {
    let mut fields = Fields::open(node, "hotspot", report)?;
    let mut share = |key: &'static str, max: f64, report: &mut Report| {
        let node = fields.require(key, report)?;
        percent(node, key, 0.0001..=max, report)
    };
    let (accesses, space) = (
        share("accesses", 1.0, report),
        share("space", 0.9999, report),
    );
    let every = fields
        .require("every", report)
        .and_then(|n| read_every(n, report));
    let by = fields
        .take("by")
        .map(|n| percent(n, "by", 0.0001..=0.9999, report));
    fields.finish(report);
    let space = space?.value;
    let (every_ops, every_ns) = every?;
    let plan = PatternPlan::Hotspot(HotspotPlan {
        accesses: accesses?.value,
        space,
        every_ops,
        by: match by {
            Some(read) => read?.value,
            None => space,
        },
    });
    Some((plan, every_ns))
}

/// So many operations, or a time.
fn read_every(node: &Node, report: &mut Report) -> Option<(u64, Option<At<u64>>)> {
    let written = text(node, "every", report)?.value;
    if written.ends_with(|c: char| c.is_ascii_digit()) {
        return Some((number(node, "every", 1..=u64::MAX / 2, report)?.value, None));
    }
    let time = quantity(node, "every", parse_duration, report)?;
    if time.value == 0 {
        report.add(Fault::new(time.span, "a hot spot that moves all the time"));
        return None;
    }
    Some((1, Some(time)))
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
