//! Many times of one kind in a few numbers: those that run across stages, from the acceptance of a write until something is true
//! of its bytes, and those of single items in a stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One such time: over everything that was written in a cell, preparation and warm-up included, or over what ended in one phase
/// while it counted.
///
/// Whole ways are totals and no stages: they overlap one another and what the stages say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpanRecord {
    /// `accepted`: from the call of a write to its return, being held up included. From acceptance on:
    /// `aged` until its bytes are taken to be written back, `home` until an extent of them is on the device
    /// and mapped, `synced` until a sync answered for them. Of a stage: `queued`, `running`, `head_wait`.
    pub name: String,
    /// How many writes, items, extents or syncs.
    pub count: u64,
    /// Mean.
    pub ns_mean: f64,
    /// Median.
    pub ns_p50: u64,
    /// 99th percentile.
    pub ns_p99: u64,
    /// Longest.
    pub ns_max: u64,
    /// The percentiles are upper edges of powers of two: at most twice too high, and never too low.
    pub coarse: bool,
    /// So is the longest: of a phase, unless none in the cell was longer before it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub max_is_edge: bool,
}

impl SpanRecord {
    /// Several of one name as one, as those of the repetitions of a phase: counts add, the mean is of all. Percentiles of all
    /// are not known from those of each, but are at most the largest of them; none where there are none.
    #[must_use]
    pub fn merged<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut all = parts.next()?.clone();
        for part in parts {
            let count = all.count.saturating_add(part.count);
            let ns_sum = all.ns_mean * all.count as f64 + part.ns_mean * part.count as f64;
            let longer = if part.ns_max > all.ns_max { part } else { &all };
            all = Self {
                name: all.name.clone(),
                count,
                ns_mean: ns_sum / count.max(1) as f64,
                ns_p50: all.ns_p50.max(part.ns_p50),
                ns_p99: all.ns_p99.max(part.ns_p99),
                ns_max: longer.ns_max,
                coarse: true,
                max_is_edge: longer.max_is_edge,
            };
        }
        Some(all)
    }

    /// A percentile as it is read: `4.10 us`, or `<= 2.15 s` where it is an upper edge.
    #[must_use]
    pub fn text(&self, ns: u64) -> String {
        let is_edge = self.max_is_edge || self.coarse && ns < self.ns_max;
        let edge = if is_edge { "<= " } else { "" };
        format!("{edge}{}", crate::Unit::Nanoseconds.format(ns as f64))
    }

    /// One for tests: `ns` at the mean and the median, twice that at the 99th percentile, three times at the longest.
    #[cfg(test)]
    pub(crate) fn spread(name: &str, count: u64, ns: u64) -> Self {
        Self {
            name: name.to_owned(),
            count,
            ns_mean: ns as f64,
            ns_p50: ns,
            ns_p99: 2 * ns,
            ns_max: 3 * ns,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upper_edge_says_so_and_the_longest_is_exact() {
        let span = SpanRecord {
            ns_p50: 4_000,
            ns_max: 7_000,
            coarse: true,
            ..SpanRecord::default()
        };
        assert_eq!(span.text(span.ns_p50), "<= 4 us");
        assert_eq!(span.text(span.ns_max), "7 us");
        let of_phase = SpanRecord {
            max_is_edge: true,
            ..span
        };
        assert_eq!(of_phase.text(of_phase.ns_max), "<= 7 us");
    }

    #[test]
    fn repetitions_are_one_and_their_percentiles_bounds() {
        let part = |count: u64, ns: u64, max_is_edge: bool| SpanRecord {
            max_is_edge,
            ..SpanRecord::spread("home", count, ns)
        };
        let (few, many) = (part(1, 4000, false), part(3, 1000, true));
        let all = SpanRecord::merged([&many, &few]).expect("two are one");
        assert_eq!((all.count, all.ns_mean), (4, 1750.0));
        assert_eq!((all.ns_p50, all.ns_p99, all.ns_max), (4000, 8000, 12_000));
        assert_eq!(all.text(all.ns_p99), "<= 8 us");
        assert_eq!(all.text(all.ns_max), "12 us");
        assert_eq!(SpanRecord::merged([&few]), Some(few));
        assert_eq!(SpanRecord::merged([]), None);
    }
}
