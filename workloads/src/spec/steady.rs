//! Steady state as written: what has to stay still before a phase counts.

use schemars::JsonSchema;

use crate::decode::{Fields, Report, flag, percent, quantity, word};
use crate::fault::Fault;
use crate::plan::{SteadyMetric, SteadyPlan};
use crate::units;
use crate::yaml::Node;

/// Counting waits until the metric stays within a share of its mean, and does not drift, over a window.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Steady")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct SteadyMap {
    /// What is looked at.
    metric: MetricWord,
    /// The largest deviation and the largest drift, as a share of the mean, such as 5%.
    within: String,
    /// Over so much time, such as 5s; at least 1s.
    window: String,
    /// Waits no longer than this after the warm-up, such as 60s.
    limit: String,
    /// A phase that did not become steady makes the run inconclusive (default false).
    require: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename = "SteadyMetric", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum MetricWord {
    /// Operations in a second.
    Iops,
    /// Bytes in a second.
    Throughput,
    /// The median of the response times.
    P50,
    /// The 99th percentile of the response times.
    P99,
}

/// Shorter windows hold too few intervals to judge by.
const WINDOW_NS_MIN: u64 = 1_000_000_000;

/// Reads a steady state.
pub(crate) fn read_steady(node: &Node, report: &mut Report) -> Option<SteadyPlan> {
    let mut fields = Fields::open(node, "a steady state", report)?;
    let metrics = [
        SteadyMetric::Iops,
        SteadyMetric::Throughput,
        SteadyMetric::P50,
        SteadyMetric::P99,
    ]
    .map(|metric| (metric.word(), metric));
    let metric = fields
        .require("metric", report)
        .and_then(|n| word(n, "metric of a steady state", &metrics, report));
    let within = fields
        .require("within", report)
        .and_then(|n| percent(n, "within", 0.001..=1.0, report));
    let mut time = |key: &'static str, report: &mut Report| {
        let node = fields.require(key, report)?;
        quantity(node, key, units::parse_duration, report)
    };
    let window = time("window", report);
    let limit = time("limit", report);
    let require = fields
        .take("require")
        .and_then(|n| flag(n, "require", report))
        .unwrap_or(false);
    fields.finish(report);
    let (window, limit) = (window?, limit?);
    if window.value < WINDOW_NS_MIN {
        report.add(Fault::new(window.span, "a window is at least 1s"));
        return None;
    }
    if limit.value < window.value {
        report.add(
            Fault::new(limit.span, "the limit is shorter than the window")
                .other(window.span, "the window"),
        );
        return None;
    }
    Some(SteadyPlan {
        metric: metric?.value,
        within: within?.value,
        window_ns: window.value,
        limit_ns: limit.value,
        require,
    })
}
