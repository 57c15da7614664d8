//! Times that run across stages: from the acceptance of a write until something is true of its bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One such time, over everything that was written in a cell, preparation and warm-up included.
///
/// These are totals and no stages: they overlap one another and what the stages say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpanRecord {
    /// `accepted`: from the call of a write to its return, being held up included. From acceptance on:
    /// `aged` until its bytes are taken to be written back, `home` until an extent of them is on the device
    /// and mapped, `synced` until a sync answered for them.
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
}

impl SpanRecord {
    /// A percentile as it is read: `4.10 us`, or `<= 2.15 s` where it is an upper edge.
    #[must_use]
    pub fn text(&self, ns: u64) -> String {
        let edge = if self.coarse && ns < self.ns_max {
            "<= "
        } else {
            ""
        };
        format!("{edge}{}", crate::Unit::Nanoseconds.format(ns as f64))
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
    }
}
