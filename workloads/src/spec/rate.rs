//! Rates as written: when operations of an open loop are due.

use schemars::JsonSchema;

use crate::decode::{At, Fields, Report, quantity, text, word};
use crate::fault::Fault;
use crate::plan::{Arrivals, Pace, RateShape};
use crate::units;
use crate::yaml::{Data, Node};

#[derive(JsonSchema)]
#[schemars(untagged, rename = "Rate")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum RateSchema {
    Fixed(String),
    Map(Box<RateMap>),
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct RateMap {
    /// Evenly, such as 5000/s, or 200MiB/s.
    fixed: Option<String>,
    /// With exponential gaps, such as 5000/s.
    poisson: Option<String>,
    /// On and off.
    bursts: Option<BurstsMap>,
    /// From one rate to another.
    ramp: Option<RampMap>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Bursts")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct BurstsMap {
    /// During a burst, such as 5000/s.
    rate: String,
    /// How long a burst lasts, such as 200ms.
    r#for: String,
    /// From the start of one to the start of the next, such as 1s.
    every: String,
    /// Between bursts, such as 100/s (default: nothing).
    between: Option<String>,
    /// `even` (default) or `poisson`.
    arrivals: Option<ArrivalsWord>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Ramp")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct RampMap {
    /// At the start, such as 100/s.
    from: String,
    /// At the end, and from then on.
    to: String,
    /// How long it takes, such as 30s.
    over: String,
    /// `even` (default) or `poisson`.
    arrivals: Option<ArrivalsWord>,
}

#[derive(JsonSchema)]
#[schemars(rename = "Arrivals", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum ArrivalsWord {
    Even,
    Poisson,
}

/// A rate as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RateSpec {
    pub(crate) pace: Pace,
    /// What the pace counts are bytes and not operations.
    pub(crate) is_bytes: bool,
}

impl RateSpec {
    /// Operations in a second, where they are as many in each.
    pub(crate) fn even_ops_per_s(&self) -> Option<f64> {
        match self.pace {
            Pace::Fixed { ops_per_s } | Pace::Poisson { ops_per_s } if !self.is_bytes => {
                Some(ops_per_s)
            }
            _ => None,
        }
    }
}

/// So much in a second, and of what.
struct PerSecond {
    amount: f64,
    is_bytes: bool,
}

/// Reads a rate.
pub(crate) fn read_rate(node: &Node, report: &mut Report) -> Option<At<RateSpec>> {
    let at = |pace, is_bytes| Some(At::new(RateSpec { pace, is_bytes }, node.span));
    let even = |PerSecond { amount, is_bytes }| {
        let pace = Pace::Fixed { ops_per_s: amount };
        at(pace, is_bytes)
    };
    if let Data::Scalar(_) = node.data {
        return even(per_s(node, report)?.value);
    }
    let mut fields = Fields::open(node, "a rate", report)?;
    let names = ["fixed", "poisson", "bursts", "ramp"];
    let found: Vec<(&str, &Node)> = names
        .iter()
        .filter_map(|&name| Some((name, fields.take(name)?)))
        .collect();
    let before = report.faults.len();
    fields.finish(report);
    let [(name, inner)] = found[..] else {
        if report.faults.len() == before {
            report.add(Fault::new(
                node.span,
                format!("a rate is exactly one of {}", names.join(", ")),
            ));
        }
        return None;
    };
    match name {
        "fixed" => even(per_s(inner, report)?.value),
        "poisson" => {
            let PerSecond { amount, is_bytes } = per_s(inner, report)?.value;
            let pace = Pace::Poisson { ops_per_s: amount };
            at(pace, is_bytes)
        }
        "bursts" => read_bursts(inner, report).and_then(|(pace, is_bytes)| at(pace, is_bytes)),
        _ => read_ramp(inner, report).and_then(|(pace, is_bytes)| at(pace, is_bytes)),
    }
}

fn per_s(node: &Node, report: &mut Report) -> Option<At<PerSecond>> {
    let is_bytes = text(node, "a rate", report)?.value.trim().ends_with("B/s");
    let amount = if is_bytes {
        quantity(node, "a rate", units::parse_byte_rate, report)?.value as f64
    } else {
        quantity(node, "a rate", units::parse_rate, report)?.value
    };
    Some(At::new(PerSecond { amount, is_bytes }, node.span))
}

/// Two rates of one job count the same.
fn check_alike(first: &At<PerSecond>, second: &At<PerSecond>, report: &mut Report) -> Option<()> {
    if first.value.is_bytes == second.value.is_bytes {
        return Some(());
    }
    report.add(
        Fault::new(
            second.span,
            "one rate counts operations and the other bytes",
        )
        .other(first.span, "the other"),
    );
    None
}

/// A time above nothing.
fn time(node: &Node, what: &str, report: &mut Report) -> Option<At<u64>> {
    let time = quantity(node, what, units::parse_duration, report)?;
    if time.value == 0 {
        report.add(Fault::new(time.span, format!("{what} of no time at all")));
        return None;
    }
    Some(time)
}

fn read_arrivals(fields: &mut Fields<'_>, report: &mut Report) -> Arrivals {
    let known = [("even", Arrivals::Even), ("poisson", Arrivals::Poisson)];
    fields
        .take("arrivals")
        .and_then(|n| word(n, "arrivals", &known, report))
        .map_or(Arrivals::Even, |at| at.value)
}

fn read_bursts(node: &Node, report: &mut Report) -> Option<(Pace, bool)> {
    let mut fields = Fields::open(node, "bursts", report)?;
    let rate = fields.require("rate", report).map(|n| per_s(n, report));
    let lasts = fields
        .require("for", report)
        .map(|n| time(n, "a burst", report));
    let every = fields
        .require("every", report)
        .map(|n| time(n, "bursts", report));
    let between = fields.take("between").map(|n| per_s(n, report));
    let arrivals = read_arrivals(&mut fields, report);
    fields.finish(report);
    let (lasts, every) = (lasts??, every??);
    if lasts.value >= every.value {
        report.add(
            Fault::new(
                lasts.span,
                "a burst that lasts until the next one is no burst",
            )
            .other(every.span, "the next one"),
        );
        return None;
    }
    let rate = rate??;
    let between = match between {
        Some(read) => {
            let between = read?;
            check_alike(&rate, &between, report)?;
            between.value.amount
        }
        None => 0.0,
    };
    let pace = Pace::Shaped {
        shape: RateShape::Bursts {
            ops_per_s: rate.value.amount,
            on_ns: lasts.value,
            every_ns: every.value,
            between_ops_per_s: between,
        },
        arrivals,
    };
    Some((pace, rate.value.is_bytes))
}

fn read_ramp(node: &Node, report: &mut Report) -> Option<(Pace, bool)> {
    let mut fields = Fields::open(node, "a ramp", report)?;
    let from = fields.require("from", report).map(|n| per_s(n, report));
    let to = fields.require("to", report).map(|n| per_s(n, report));
    let over = fields
        .require("over", report)
        .map(|n| time(n, "a ramp", report));
    let arrivals = read_arrivals(&mut fields, report);
    fields.finish(report);
    let (from, to, over) = (from??, to??, over??);
    check_alike(&from, &to, report)?;
    let pace = Pace::Shaped {
        shape: RateShape::Ramp {
            from_ops_per_s: from.value.amount,
            to_ops_per_s: to.value.amount,
            over_ns: over.value,
        },
        arrivals,
    };
    Some((pace, from.value.is_bytes))
}
