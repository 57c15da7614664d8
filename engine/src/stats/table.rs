//! Numbers with names: how a struct of counts becomes rows, and the difference of two moments.
//!
//! One line per number says what it is: a *counter* grows from the start of the volume, and its
//! difference is what happened in between; a *gauge* is true now, and has no difference; a *table*
//! holds more numbers. A number without a line is not shown.

use std::fmt;

use super::stall::Stalls;
use crate::alloc::SpaceNumbers;
use crate::budget::BudgetStats;
use crate::cache::{FramePoolStats, ReclaimerStats};
use crate::meta::{ExtentTotals, MetaStats};
use crate::pool::{PoolStats, Series};
use crate::writeback::dirty::DirtyStats;

/// A number with its name and unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Dotted, most general first.
    pub name: String,
    /// The number.
    pub value: f64,
    /// `bytes`, `ns`, `count`, `ratio`.
    pub unit: &'static str,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.value, self.unit)
    }
}

/// Numbers of one room.
pub(super) trait Table {
    /// What happened since `earlier`.
    fn since(&self, earlier: &Self) -> Self;
    /// Appends every number, named behind `prefix`.
    fn push_rows(&self, prefix: &str, rows: &mut Vec<Row>);
}

/// Appends one number.
pub(super) fn push(rows: &mut Vec<Row>, prefix: &str, name: &str, value: f64, unit: &'static str) {
    rows.push(Row {
        name: format!("{prefix}.{name}"),
        value,
        unit,
    });
}

/// Of a gauge, what it says at the later moment.
pub(super) fn later<T>(now: T, _earlier: T) -> T {
    now
}

macro_rules! table {
    ($type:ty { $($kind:ident $field:ident $($unit:literal)?),* $(,)? }) => {
        impl $crate::stats::table::Table for $type {
            fn since(&self, earlier: &Self) -> Self {
                let mut since = self.clone();
                $($crate::stats::table::table!(@since $kind since.$field, earlier.$field);)*
                since
            }

            fn push_rows(&self, prefix: &str, rows: &mut Vec<$crate::stats::table::Row>) {
                $($crate::stats::table::table!(@row $kind self.$field, prefix, stringify!($field), rows $(, $unit)?);)*
            }
        }
    };
    (@since counter $since:expr, $earlier:expr) => {
        $since = $since.saturating_sub($earlier)
    };
    (@since gauge $since:expr, $earlier:expr) => {
        $since = $crate::stats::table::later($since, $earlier)
    };
    (@since table $since:expr, $earlier:expr) => {
        $since = $crate::stats::table::Table::since(&$since, &$earlier)
    };
    (@row counter $value:expr, $prefix:expr, $name:expr, $rows:expr, $unit:literal) => {
        $crate::stats::table::push($rows, $prefix, $name, $value as f64, $unit)
    };
    (@row gauge $value:expr, $prefix:expr, $name:expr, $rows:expr, $unit:literal) => {
        $crate::stats::table::push($rows, $prefix, $name, $value as f64, $unit)
    };
    (@row table $value:expr, $prefix:expr, $name:expr, $rows:expr) => {
        $crate::stats::table::Table::push_rows(&$value, &format!("{}.{}", $prefix, $name), $rows)
    };
}
pub(super) use table;

table!(Stalls {
    counter count "count",
    counter ns_sum "ns",
    gauge ns_max "ns",
});

table!(DirtyStats {
    gauge dirty_bytes "bytes",
    gauge writeback_bytes "bytes",
    gauge held_bytes_max "bytes",
    gauge files "count",
    table stops,
    table delays,
});

table!(BudgetStats {
    gauge held_bytes "bytes",
    gauge held_bytes_max "bytes",
    counter waits "count",
    counter wait_ns_sum "ns",
    gauge wait_ns_max "ns",
});

table!(FramePoolStats {
    gauge frames_used "count",
    gauge frames_max "count",
    counter copies "count",
    counter waits "count",
});

table!(ReclaimerStats {
    gauge queued "count",
    counter scanned "count",
    counter evicted "count",
    counter referenced "count",
    counter busy "count",
});

table!(ExtentTotals {
    gauge file_extents "count",
    gauge extents "count",
    gauge stored_bytes "bytes",
    gauge ram_bytes "bytes",
    gauge live_bytes "bytes",
});

table!(MetaStats {
    gauge generation "count",
    gauge durable_generation "count",
    gauge tree_levels "count",
    gauge tree_nodes "count",
    gauge dirty_node_bytes "bytes",
    gauge cached_node_bytes "bytes",
    counter node_hits "count",
    counter node_reads "count",
    counter node_copies "count",
    counter node_recopies "count",
    counter node_writes "count",
    counter node_writes_early "count",
    counter commits "count",
    counter commits_shared "count",
    counter front_gate_stalls "count",
    counter log_batches "count",
    counter log_bytes "bytes",
    counter log_records "count",
    counter log_pages "count",
    counter log_tickets "count",
    counter log_needless "count",
    counter log_fallbacks "count",
    table extents,
});

table!(SpaceNumbers {
    gauge capacity_bytes "bytes",
    gauge allocated_bytes "bytes",
    gauge node_bytes "bytes",
    gauge pinned_bytes "bytes",
    gauge free_bytes "bytes",
    gauge reserved_bytes "bytes",
    gauge metadata_reserve_bytes "bytes",
    gauge available_bytes "bytes",
    gauge full_bytes_max "bytes",
});

table!(PoolStats {
    gauge workers_started "count",
    gauge workers_now "count",
    gauge workers_running "count",
    counter wake_ups "count",
    counter turned_idle "count",
    counter turned_busy "count",
    counter items_submitted "count",
    counter items_completed "count",
    counter items_panicked "count",
    gauge depth_now "count",
    gauge depth_max "count",
    gauge backlog "count",
    gauge waiting_now "count",
    table queued_ns,
    table running_ns,
    table head_wait_ns,
    table complete_ns,
});

impl Table for Series {
    /// The longest of an interval is not known exactly: it is the upper edge of the highest bucket
    /// that grew, and no more than the longest ever.
    fn since(&self, earlier: &Self) -> Self {
        let mut since = Self {
            count: self.count.saturating_sub(earlier.count),
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
            max_ns: 0,
            buckets: self.buckets,
        };
        for (bits, (bucket, before)) in since.buckets.iter_mut().zip(&earlier.buckets).enumerate() {
            *bucket = bucket.saturating_sub(*before);
            if *bucket > 0 {
                let edge = 1_u128 << bits;
                since.max_ns =
                    u64::try_from(edge - 1).map_or(self.max_ns, |edge| edge.min(self.max_ns));
            }
        }
        since
    }

    fn push_rows(&self, prefix: &str, rows: &mut Vec<Row>) {
        let numbers = [
            ("count", self.count, "count"),
            ("ns_sum", self.sum_ns, "ns"),
            ("ns_mean", self.mean_ns(), "ns"),
            ("ns_p50", self.quantile_ns(0.5), "ns"),
            ("ns_p99", self.quantile_ns(0.99), "ns"),
            ("ns_max", self.max_ns, "ns"),
        ];
        for (name, value, unit) in numbers {
            push(rows, prefix, name, value as f64, unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_subtract_and_gauges_do_not() {
        let earlier = BudgetStats {
            held_bytes: 7,
            waits: 3,
            ..BudgetStats::default()
        };
        let later = BudgetStats {
            held_bytes: 5,
            waits: 10,
            ..BudgetStats::default()
        };
        let since = later.since(&earlier);
        assert_eq!((since.held_bytes, since.waits), (5, 7));
    }

    #[test]
    fn names_lead_from_the_room_to_the_number() {
        let mut rows = Vec::new();
        let stats = DirtyStats {
            stops: Stalls {
                count: 2,
                ..Stalls::default()
            },
            ..DirtyStats::default()
        };
        stats.push_rows("dirty", &mut rows);
        let row = rows.iter().find(|row| row.name == "dirty.stops.count");
        assert_eq!(row.map(|row| row.value), Some(2.0));
    }

    #[test]
    fn the_longest_of_an_interval_is_bounded_by_its_buckets() {
        let mut earlier = Series::default();
        (earlier.count, earlier.max_ns, earlier.sum_ns) = (1, 1000, 1000);
        earlier.buckets[10] = 1;
        let mut later = earlier.clone();
        (later.count, later.sum_ns) = (2, 1005);
        later.buckets[3] = 1;
        let since = later.since(&earlier);
        assert_eq!((since.count, since.sum_ns, since.max_ns), (1, 5, 7));
        assert_eq!(later.since(&later).max_ns, 0);
    }
}
