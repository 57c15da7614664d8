//! All numbers of a volume at one moment, or between two.
//!
//! Put together by the volume from what each room counts. Everything has a row; ratios are rows
//! too, made from the counts beside them, and 0 where there is nothing to divide by.

use super::live::{CounterStats, StageTimes};
use super::stall::StallTimes;
use super::table::{Row, Table, push};
use crate::alloc::SpaceNumbers;
use crate::budget::BudgetStats;
use crate::cache::{FramePoolStats, ReclaimerStats};
use crate::meta::MetaStats;
use crate::pool::PoolStats;
use crate::writeback::dirty::DirtyStats;

/// What a volume shows.
#[derive(Debug, Clone)]
pub struct EngineStats {
    /// Time by stage.
    pub stages: StageTimes,
    /// Bytes and pages.
    pub counters: CounterStats,
    /// Dirty data, and writers held up by it.
    pub dirty: DirtyStats,
    /// Callers held up by other bounds.
    pub stalls: StallTimes,
    /// Bytes under way.
    pub budget: BudgetStats,
    /// Frames of the cache.
    pub frames: FramePoolStats,
    /// The clock of the cache.
    pub reclaim: ReclaimerStats,
    /// The tree.
    pub meta: MetaStats,
    /// Bytes of the device by what they are for.
    pub space: SpaceNumbers,
    /// Bytes of one node of the tree.
    pub node_bytes: u64,
    /// Every pool.
    pub pools: Vec<PoolStats>,
}

impl EngineStats {
    /// What happened since `earlier`, of the same volume: counters are differences, what is true
    /// now stays.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            stages: self.stages.since(&earlier.stages),
            counters: self.counters.since(&earlier.counters),
            dirty: self.dirty.since(&earlier.dirty),
            stalls: self.stalls.since(&earlier.stalls),
            budget: self.budget.since(&earlier.budget),
            frames: self.frames.since(&earlier.frames),
            reclaim: self.reclaim.since(&earlier.reclaim),
            meta: self.meta.since(&earlier.meta),
            space: self.space.since(&earlier.space),
            node_bytes: self.node_bytes,
            pools: self
                .pools
                .iter()
                .map(|pool| {
                    let same = earlier.pools.iter().find(|other| other.name == pool.name);
                    same.map_or_else(|| pool.clone(), |before| pool.since(before))
                })
                .collect(),
        }
    }

    /// Every number with its name and unit.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.stages.push_rows("stage", &mut rows);
        self.counters.push_rows("data", &mut rows);
        self.dirty.push_rows("dirty", &mut rows);
        self.stalls.push_rows("stall", &mut rows);
        self.budget.push_rows("budget", &mut rows);
        self.frames.push_rows("cache", &mut rows);
        self.reclaim.push_rows("reclaim", &mut rows);
        self.meta.push_rows("meta", &mut rows);
        let dead_bytes = self.meta.extents.dead_bytes();
        push(
            &mut rows,
            "meta.extents",
            "dead_bytes",
            dead_bytes as f64,
            "bytes",
        );
        self.space.push_rows("space", &mut rows);
        for pool in &self.pools {
            pool.push_rows(&format!("pool.{}", pool.name), &mut rows);
        }
        let ratios = [
            ("stored", self.stored_ratio()),
            ("write_amplification", self.write_amplification()),
            ("read_amplification", self.read_amplification()),
            ("cache_hit", self.cache_hit_ratio()),
            ("populated_used", self.populated_used_ratio()),
        ];
        for (name, value) in ratios {
            push(&mut rows, "ratio", name, value, "ratio");
        }
        rows
    }

    /// Plain bytes written back per byte of data on the device; holes take none.
    pub fn stored_ratio(&self) -> f64 {
        let counters = &self.counters;
        ratio(
            counters.written_back_bytes(),
            counters.device_written_bytes(),
        )
    }

    /// Bytes written to the device, data, nodes and log, per byte taken from writers. Superblocks are
    /// not in it; a meter on the backend sees them.
    pub fn write_amplification(&self) -> f64 {
        let node_bytes = self.meta.node_writes * self.node_bytes;
        let counters = &self.counters;
        ratio(
            counters.device_written_bytes() + node_bytes + self.meta.log_bytes,
            counters.accepted_bytes,
        )
    }

    /// Bytes of data read from the device per byte given to readers.
    pub fn read_amplification(&self) -> f64 {
        ratio(self.counters.device_read_bytes, self.counters.served_bytes)
    }

    /// Pages found in the cache, as part of those looked for.
    pub fn cache_hit_ratio(&self) -> f64 {
        let counters = &self.counters;
        ratio(
            counters.cache_hits,
            counters.cache_hits + counters.cache_misses,
        )
    }

    /// Pages that came along and were used, as part of those that came along.
    pub fn populated_used_ratio(&self) -> f64 {
        ratio(
            self.counters.populated_used_pages,
            self.counters.populated_pages,
        )
    }
}

fn ratio(of: u64, to: u64) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Stats;
    use super::*;
    use crate::compress::Codec;

    fn snapshot(stats: &Stats) -> EngineStats {
        EngineStats {
            stages: stats.stages(),
            counters: stats.counters(),
            dirty: DirtyStats::default(),
            stalls: StallTimes::default(),
            budget: BudgetStats::default(),
            frames: FramePoolStats {
                frames_used: 0,
                frames_max: 1,
                copies: 0,
                waits: 0,
            },
            reclaim: ReclaimerStats::default(),
            meta: MetaStats::default(),
            space: SpaceNumbers::default(),
            node_bytes: 16384,
            pools: Vec::new(),
        }
    }

    fn value(stats: &EngineStats, name: &str) -> f64 {
        let rows = stats.rows();
        let row = rows.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("no row {name}")).value
    }

    #[test]
    fn ratios_are_made_of_what_was_noted() {
        let stats = Stats::default();
        stats.note_accepted(400);
        stats.note_stored(Codec::Zstd, 200, 50);
        stats.note_stored(Codec::None, 100, 100);
        stats.note_hole(150);
        stats.note_device_read(600);
        stats.note_read(200);
        stats.note_hits(3);
        stats.note_first_uses(1);
        stats.note_misses(1);
        stats.note_populated(4);
        let mut shown = snapshot(&stats);
        assert_eq!(shown.stored_ratio(), 3.0);
        assert_eq!(shown.read_amplification(), 3.0);
        assert_eq!(shown.cache_hit_ratio(), 0.75);
        assert_eq!(shown.populated_used_ratio(), 0.25);
        shown.meta.node_writes = 1;
        shown.node_bytes = 250;
        assert_eq!(value(&shown, "ratio.write_amplification"), 1.0);
    }

    #[test]
    fn bytes_of_stored_extents_that_no_file_shows_are_dead() {
        let mut shown = snapshot(&Stats::default());
        shown.meta.extents.ram_bytes = 131_072;
        shown.meta.extents.live_bytes = 126_976;
        assert_eq!(value(&shown, "meta.extents.dead_bytes"), 4096.0);
    }

    #[test]
    fn an_interval_has_only_what_happened_in_it() {
        let stats = Stats::default();
        stats.note_accepted(400);
        stats.encode.record(1000);
        let earlier = snapshot(&stats);
        stats.note_accepted(30);
        stats.encode.record(100);
        let interval = snapshot(&stats).since(&earlier);
        assert_eq!(value(&interval, "data.accepted_bytes"), 30.0);
        assert_eq!(value(&interval, "stage.encode.time.count"), 1.0);
        assert_eq!(value(&interval, "stage.encode.time.ns_sum"), 100.0);
    }

    #[test]
    fn rows_have_unique_names_and_finite_values() {
        let shown = snapshot(&Stats::default());
        let mut seen = HashSet::new();
        for row in shown.rows() {
            assert!(row.value.is_finite());
            assert!(seen.insert(row.name.clone()), "{} twice", row.name);
        }
    }
}
