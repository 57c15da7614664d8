//! Stages and spans out of the engine's numbers, as a record has them: since the volume was opened, or between two moments.
//!
//! Between two moments the counts are differences, and so are the buckets that percentiles come from. The longest is exact
//! where it is the longest so far; else it is the upper edge of the highest bucket that grew, and the record says so. A
//! largest of an interval that the engine resets was refused: it would be one more write for whoever ends a stage.
//!
//! Depths and held bytes of stages are true at one moment only; their largest values here are the largest that the
//! sampler saw.

use std::collections::BTreeMap;

use delalloc_engine::pool::Series;
use delalloc_engine::stats::{EngineStats, StageSnapshot, StageTimes};
use delalloc_results::record::{SpanRecord, StageKind, StageRecord};

type Pick = fn(&StageTimes) -> &StageSnapshot;

/// The stages in the order they pass, under the names the record uses, and on whose way each lies. Times that run across
/// several of them are no stages; they are spans.
const STAGES: [(&str, StageKind, Pick); 12] = {
    use StageKind::{Caller, Device, Read, Write};
    [
        ("dirty", Write, |times| &times.dirty),
        ("collect", Write, |times| &times.collect),
        ("budget", Write, |times| &times.budget),
        ("compress", Write, |times| &times.encode),
        ("place", Write, |times| &times.place),
        ("submit", Write, |times| &times.submit),
        ("device", Device, |times| &times.device),
        ("finish", Write, |times| &times.finish),
        ("sync", Caller, |times| &times.sync),
        ("read device", Read, |times| &times.read_device),
        ("decode", Read, |times| &times.decode),
        ("fill", Read, |times| &times.fill),
    ]
};

const SPANS: [(&str, Pick); 3] = [
    ("aged", |times| &times.aged),
    ("home", |times| &times.home),
    ("synced", |times| &times.synced),
];

/// The most the sampler saw in each stage.
#[derive(Debug, Default, Clone)]
pub(super) struct Peaks(BTreeMap<&'static str, Peak>);

#[derive(Debug, Default, Clone, Copy)]
struct Peak {
    depth: u64,
    held_bytes: u64,
}

impl Peaks {
    /// The sampler looks.
    pub(super) fn see(&mut self, stats: &EngineStats) {
        for (name, _, pick) in STAGES {
            let stage = pick(&stats.stages);
            let peak = self.0.entry(name).or_default();
            peak.depth = peak.depth.max(stage.depth);
            peak.held_bytes = peak.held_bytes.max(stage.held_bytes);
        }
    }
}

/// The engine's numbers between two moments.
#[derive(Debug)]
pub(super) struct Passed {
    stats: EngineStats,
    /// The times until each of the moments; none where the first is the opening of the volume.
    until: Option<[StageTimes; 2]>,
}

impl Passed {
    /// From the opening on.
    pub(super) fn whole(stats: EngineStats) -> Self {
        Self { stats, until: None }
    }

    /// From `earlier` on.
    pub(super) fn between(earlier: &EngineStats, now: &EngineStats) -> Self {
        Self {
            stats: now.since(earlier),
            until: Some([earlier.stages.clone(), now.stages.clone()]),
        }
    }

    /// A row for each stage, passed or not.
    pub(super) fn stages(&self, peaks: &Peaks) -> Vec<StageRecord> {
        let row = |(name, kind, pick): (&str, StageKind, Pick)| {
            let own = pick(&self.stats.stages);
            // Waiting before and after compression belongs to it: one row, three times. Room in the byte
            // budget is waited for, and nothing else.
            let parts: &[(&str, Pick)] = match name {
                "budget" => &[("queued", |times| &times.budget)],
                "compress" => &[
                    ("queued", |times| &times.queued),
                    ("running", |times| &times.encode),
                    ("head_wait", |times| &times.head_wait),
                ],
                _ => &[("running", pick)],
            };
            let sum_ns = |part: &str| {
                let found = parts.iter().find(|(name, _)| *name == part);
                found.map_or(0, |(_, pick)| pick(&self.stats.stages).time.sum_ns)
            };
            let peak = peaks.0.get(name).copied().unwrap_or_default();
            StageRecord {
                name: name.to_owned(),
                kind: Some(kind),
                items: own.time.count,
                bytes: self.bytes(name),
                queued_ns: sum_ns("queued"),
                running_ns: sum_ns("running"),
                head_wait_ns: sum_ns("head_wait"),
                depth_max: peak.depth,
                bytes_held_max: peak.held_bytes,
                times: self.times(parts),
            }
        };
        STAGES.into_iter().map(row).collect()
    }

    /// The whole ways that the engine takes the time of.
    pub(super) fn spans(&self) -> Vec<SpanRecord> {
        self.times(&SPANS)
    }

    fn bytes(&self, stage: &str) -> u64 {
        let counters = &self.stats.counters;
        match stage {
            "dirty" => counters.accepted_bytes,
            "compress" => counters.written_back_bytes(),
            "device" => counters.device_written_bytes(),
            "read device" => counters.device_read_bytes,
            _ => 0,
        }
    }

    /// Those of `parts` that anything passed.
    fn times(&self, parts: &[(&str, Pick)]) -> Vec<SpanRecord> {
        let passed = parts.iter().filter_map(|(name, pick)| {
            let series = &pick(&self.stats.stages).time;
            let grew = |[earlier, now]: &[StageTimes; 2]| {
                pick(now).time.max_ns > pick(earlier).time.max_ns
            };
            let max_is_edge = !self.until.as_ref().is_none_or(grew);
            (series.count > 0).then(|| span(name, series, max_is_edge))
        });
        passed.collect()
    }
}

fn span(name: &str, series: &Series, max_is_edge: bool) -> SpanRecord {
    SpanRecord {
        name: name.to_owned(),
        count: series.count,
        ns_mean: series.sum_ns as f64 / series.count.max(1) as f64,
        ns_p50: series.quantile_ns(0.5),
        ns_p99: series.quantile_ns(0.99),
        ns_max: series.max_ns,
        coarse: true,
        max_is_edge,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use delalloc_backends::{Backend, HeldBackend, MemBackend, VirtualClock};
    use delalloc_engine::{EngineConfig, FormatOptions, Volume};

    use super::*;

    /// Numbers of a volume of which nothing was asked.
    fn numbers() -> EngineStats {
        let memory: Arc<dyn Backend> = Arc::new(MemBackend::new(64 << 20));
        Volume::format(&memory, &FormatOptions::default()).expect("a device can be formatted");
        let device = HeldBackend::new(memory, Arc::new(VirtualClock::new()));
        let opened = Volume::open_stepped(Arc::new(device), EngineConfig::default(), 1);
        opened.expect("a volume opens").0.stats()
    }

    fn add(series: &mut Series, ns: u64) {
        series.count += 1;
        series.sum_ns += ns;
        series.max_ns = series.max_ns.max(ns);
        series.buckets[(u64::BITS - ns.leading_zeros()) as usize] += 1;
    }

    #[test]
    fn between_two_moments_there_is_only_what_ended_there() {
        let mut earlier = numbers();
        add(&mut earlier.stages.home.time, 1_000_000);
        add(&mut earlier.stages.queued.time, 500);
        let mut now = earlier.clone();
        for _ in 0..99 {
            add(&mut now.stages.home.time, 1000);
        }
        add(&mut now.stages.home.time, 5000);
        add(&mut now.stages.queued.time, 700);
        add(&mut now.stages.encode.time, 90);
        now.counters.raw_bytes += 4096;

        let passed = Passed::between(&earlier, &now);
        let spans = passed.spans();
        assert_eq!(
            spans.len(),
            1,
            "nothing was aged, nothing synced: {spans:?}"
        );
        let home = &spans[0];
        assert_eq!((home.name.as_str(), home.count), ("home", 100));
        assert_eq!((home.ns_p50, home.ns_p99), (1023, 1023));
        assert_eq!((home.ns_max, home.max_is_edge), (8191, true));
        assert_eq!(home.ns_mean, 1040.0);

        let stages = passed.stages(&Peaks::default());
        let compress = stages.iter().find(|stage| stage.name == "compress");
        let compress = compress.expect("a row for each stage");
        assert_eq!((compress.items, compress.bytes), (1, 4096));
        assert_eq!((compress.queued_ns, compress.running_ns), (700, 90));
        let parts: Vec<&str> = compress.times.iter().map(|time| &*time.name).collect();
        assert_eq!(parts, ["queued", "running"]);
        // Nothing was longer before, so the longest is known.
        assert_eq!(
            (compress.times[0].ns_max, compress.times[0].max_is_edge),
            (700, false)
        );

        let whole = Passed::whole(now).spans();
        assert_eq!((whole[0].count, whole[0].ns_max), (101, 1_000_000));
        assert!(!whole[0].max_is_edge);
    }

    #[test]
    fn the_deepest_is_the_deepest_that_was_seen() {
        let mut stats = numbers();
        let mut peaks = Peaks::default();
        for (depth, held_bytes) in [(3, 10), (1, 4096), (0, 0)] {
            (stats.stages.encode.depth, stats.stages.encode.held_bytes) = (depth, held_bytes);
            peaks.see(&stats);
        }
        let stages = Passed::whole(stats).stages(&peaks);
        let compress = stages.iter().find(|stage| stage.name == "compress");
        let deepest = compress.map(|stage| (stage.depth_max, stage.bytes_held_max));
        assert_eq!(deepest, Some((3, 4096)));
    }
}
