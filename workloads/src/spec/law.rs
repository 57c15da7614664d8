//! Distributions as written: of think times and of file sizes.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::block::WEIGHT_COUNT_MAX;
use crate::decode::{At, Fields, Report, named, number};
use crate::fault::Fault;
use crate::plan::{Distribution, WeightedValue};
use crate::yaml::{Data, Node};

/// The laws there are.
const LAWS: [&str; 5] = ["uniform", "exponential", "normal", "lognormal", "weighted"];

/// A single value with its unit, or a law that values are drawn from.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Distribution")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum DistributionShape {
    Fixed(String),
    Law(Box<LawMap>),
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Law", extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct LawMap {
    /// Each value of a range alike.
    uniform: Option<UniformMap>,
    /// Many small, few large, without memory.
    exponential: Option<ExponentialMap>,
    /// Around a mean.
    normal: Option<NormalMap>,
    /// The logarithm is normal: file sizes and service times often are.
    lognormal: Option<LogNormalMap>,
    /// Values and their weights, such as { 4KiB: 70, 1MiB: 30 }.
    weighted: Option<BTreeMap<String, f64>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Uniform")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct UniformMap {
    /// The smallest.
    from: String,
    /// The largest.
    to: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Exponential")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct ExponentialMap {
    /// The mean.
    mean: String,
    /// What is larger is drawn again (default: a hundred times the mean).
    max: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Normal")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct NormalMap {
    /// The mean; values below nothing and above twice the mean are drawn again.
    mean: String,
    /// The standard deviation, at most the mean.
    deviation: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "LogNormal")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct LogNormalMap {
    /// Half of the values are below it.
    median: String,
    /// The standard deviation of the natural logarithm.
    #[schemars(range(min = 0.001, max = 4.0))]
    sigma: f64,
    /// What is larger is drawn again (default: a thousand times the median).
    max: Option<String>,
}

/// Reads a value: its unit, its least and its greatest.
pub(crate) type ReadValue<'r> = &'r dyn Fn(&Node, &mut Report) -> Option<At<u64>>;

/// Reads a single value or a law over values that `value` reads.
pub(crate) fn read_distribution(
    node: &Node,
    what: &'static str,
    value: ReadValue<'_>,
    report: &mut Report,
) -> Option<At<Distribution>> {
    if !matches!(node.data, Data::Map(_)) {
        let fixed = value(node, report)?.value;
        return Some(At::new(Distribution::Fixed(fixed), node.span));
    }
    let mut fields = Fields::open(node, what, report)?;
    let found: Vec<(&str, &Node)> = LAWS
        .iter()
        .filter_map(|&law| Some((law, fields.take(law)?)))
        .collect();
    let before = report.faults.len();
    fields.finish(report);
    let [(law, inner)] = found[..] else {
        if report.faults.len() == before {
            report.add(Fault::new(
                node.span,
                format!("{what} is one value or exactly one of {}", LAWS.join(", ")),
            ));
        }
        return None;
    };
    let law = match law {
        "uniform" => read_uniform(inner, value, report),
        "exponential" => read_exponential(inner, value, report),
        "normal" => read_normal(inner, value, report),
        "lognormal" => read_lognormal(inner, value, report),
        _ => read_weighted(inner, value, report),
    };
    Some(At::new(law?, node.span))
}

fn read_uniform(node: &Node, value: ReadValue<'_>, report: &mut Report) -> Option<Distribution> {
    let mut fields = Fields::open(node, "uniform", report)?;
    let from = fields.require("from", report).map(|n| value(n, report));
    let to = fields.require("to", report).map(|n| value(n, report));
    fields.finish(report);
    let (from, to) = (from??, to??);
    if from.value > to.value {
        report.add(Fault::new(to.span, "`to` is below `from`").other(from.span, "`from`"));
        return None;
    }
    Some(Distribution::Uniform {
        from: from.value,
        to: to.value,
    })
}

fn read_exponential(
    node: &Node,
    value: ReadValue<'_>,
    report: &mut Report,
) -> Option<Distribution> {
    let mut fields = Fields::open(node, "exponential", report)?;
    let mean = fields.require("mean", report).map(|n| value(n, report));
    let max = fields.take("max").map(|n| value(n, report));
    fields.finish(report);
    let mean = mean??;
    let max = at_least(max, &mean, 100, report)?;
    Some(Distribution::Exponential {
        mean: mean.value,
        max,
    })
}

fn read_normal(node: &Node, value: ReadValue<'_>, report: &mut Report) -> Option<Distribution> {
    let mut fields = Fields::open(node, "normal", report)?;
    let mean = fields.require("mean", report).map(|n| value(n, report));
    let deviation = fields
        .require("deviation", report)
        .map(|n| value(n, report));
    fields.finish(report);
    let (mean, deviation) = (mean??, deviation??);
    if deviation.value > mean.value {
        report.add(
            Fault::new(deviation.span, "a deviation above the mean leaves no bell")
                .other(mean.span, "the mean")
                .help("use lognormal, whose values are above nothing by themselves"),
        );
        return None;
    }
    Some(Distribution::Normal {
        mean: mean.value,
        deviation: deviation.value,
    })
}

fn read_lognormal(node: &Node, value: ReadValue<'_>, report: &mut Report) -> Option<Distribution> {
    let mut fields = Fields::open(node, "lognormal", report)?;
    let median = fields.require("median", report).map(|n| value(n, report));
    let sigma = fields
        .require("sigma", report)
        .and_then(|n| number(n, "sigma", 0.001..=4.0, report));
    let max = fields.take("max").map(|n| value(n, report));
    fields.finish(report);
    let median = median??;
    let max = at_least(max, &median, 1000, report)?;
    Some(Distribution::LogNormal {
        median: median.value,
        sigma: sigma?.value,
        max,
    })
}

fn read_weighted(node: &Node, value: ReadValue<'_>, report: &mut Report) -> Option<Distribution> {
    let before = report.faults.len();
    let mut values = Vec::new();
    for entry in named(node, "weighted", report) {
        let key = Node {
            span: entry.key_span,
            data: Data::Scalar(entry.key.clone()),
        };
        let read = value(&key, report);
        let weight = number(&entry.value, "a weight", 0.000_001..=1_000_000.0, report);
        if let (Some(read), Some(weight)) = (read, weight) {
            values.push(WeightedValue {
                value: read.value,
                weight: weight.value,
            });
        }
    }
    if values.len() > WEIGHT_COUNT_MAX {
        report.add(Fault::new(
            node.span,
            format!("{} values; {WEIGHT_COUNT_MAX} are enough", values.len()),
        ));
    }
    if values.is_empty() && report.faults.len() == before {
        report.add(Fault::new(node.span, "weights of nothing"));
    }
    (report.faults.len() == before).then_some(Distribution::Weighted(values))
}

/// The greatest value: as written, or so many times the middle.
#[expect(
    clippy::option_option,
    reason = "whether it is there, and whether it could be read"
)]
fn at_least(
    max: Option<Option<At<u64>>>,
    middle: &At<u64>,
    times: u64,
    report: &mut Report,
) -> Option<u64> {
    let Some(max) = max else {
        return Some(middle.value.saturating_mul(times));
    };
    let max = max?;
    if max.value < middle.value {
        report.add(
            Fault::new(max.span, "the greatest value is below the middle")
                .other(middle.span, "here"),
        );
        return None;
    }
    Some(max.value)
}
