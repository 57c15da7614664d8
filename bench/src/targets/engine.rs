//! The engine as a target: a volume, freshly formatted, on a backend with a meter around it.
//!
//! Bytes and requests at the device are the meter's, so they are whatever really left, log and
//! superblocks included. Everything else is the engine's own rows. `reopen` closes the volume and
//! opens it again on the same device: what is read then went through recovery.
//!
//! Not here: how its times become stages and spans (ways).
//!
//! Locks: `volume` or `clock`, for the moment of taking a handle, never during I/O, except while it closes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use delalloc_backends::Clock;
use delalloc_engine::pool::Series;
use delalloc_engine::stats::EngineStats;
use delalloc_engine::{EngineConfig, EngineError, File, FileRange, FormatOptions, Volume, recover};
use delalloc_results::metric::{Better, Class, Metric, Unit};
use delalloc_results::record::{PoolRecord, SpanRecord, StageRecord};
use parking_lot::Mutex;

use super::device::device_readings;
use super::stand::Stand;
use super::ways::{Passed, Peaks};
use super::{Counted, Levels, Reading, Target, TargetFile, grown};

/// A volume on a device.
#[derive(Debug)]
pub struct EngineTarget {
    stand: Stand,
    config: EngineConfig,
    volume: Mutex<Option<Volume>>,
    clock: Mutex<Option<Arc<dyn Clock>>>,
    seen: Mutex<Seen>,
}

/// The most the sampler saw.
#[derive(Debug, Default)]
struct Seen {
    ever: Peaks,
    /// Since a count was begun.
    counted: Peaks,
}

impl EngineTarget {
    /// Formats the device of `stand`, whose content is lost, and opens a volume on it.
    pub fn open(stand: Stand, config: EngineConfig) -> anyhow::Result<Self> {
        let options = FormatOptions {
            seed: stand.identity(),
            ..FormatOptions::default()
        };
        Volume::format(&stand.device(), &options).context("formatting the volume")?;
        let (volume, clock) = stand.open(config.clone()).context("opening the volume")?;
        Ok(Self {
            stand,
            config,
            volume: Mutex::new(Some(volume)),
            clock: Mutex::new(clock),
            seen: Mutex::default(),
        })
    }

    fn volume(&self) -> anyhow::Result<Volume> {
        self.volume
            .lock()
            .clone()
            .ok_or_else(|| anyhow!("the volume is closed"))
    }

    fn stats(&self) -> Option<EngineStats> {
        self.volume.lock().as_ref().map(Volume::stats)
    }

    fn shut(&self) -> anyhow::Result<()> {
        let volume = self.volume.lock().take();
        volume.map_or(Ok(()), |volume| {
            volume.close().context("closing the volume")
        })
    }
}

impl Target for EngineTarget {
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        let volume = self.volume()?;
        let file = match volume.open_file(name) {
            Err(EngineError::NotFound(_)) => volume.create(name),
            found => found,
        };
        Ok(Arc::new(EngineFile(
            file.with_context(|| format!("opening {name:?}"))?,
        )))
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.volume()?
            .remove(name)
            .with_context(|| format!("removing {name:?}"))
    }

    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        self.volume()?
            .rename(from, to)
            .with_context(|| format!("renaming {from:?} to {to:?}"))
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        self.volume()?.sync().context("syncing the volume")
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        self.volume()?
            .drop_caches()
            .context("dropping the engine's cache")
    }

    fn reopen(&self) -> anyhow::Result<()> {
        self.shut()?;
        let (volume, clock) = self
            .stand
            .open(self.config.clone())
            .context("opening the volume again")?;
        *self.volume.lock() = Some(volume);
        *self.clock.lock() = clock;
        Ok(())
    }

    fn counters(&self) -> Vec<Reading> {
        let mut readings = device_readings(&self.stand.snapshot());
        let rows = self.stats().map(|stats| stats.rows()).unwrap_or_default();
        readings.extend(
            rows.into_iter()
                .filter(|row| is_total(&row.name, row.unit))
                .map(|row| Reading {
                    metric: metric_of(&row.name, row.unit),
                    number: row.value,
                }),
        );
        readings
    }

    fn levels(&self) -> Levels {
        let Some(stats) = self.stats() else {
            return Levels::default();
        };
        let mut seen = self.seen.lock();
        seen.ever.see(&stats);
        seen.counted.see(&stats);
        let mut queues: BTreeMap<String, u64> = stats
            .pools
            .iter()
            .map(|pool| (pool.name.to_owned(), pool.depth_now as u64))
            .collect();
        queues.insert("device".to_owned(), self.stand.snapshot().depth_now);
        let workers = stats
            .pools
            .iter()
            .map(|pool| (pool.name.to_owned(), pool.workers_running as u64))
            .collect();
        let stalled_ns = BTreeMap::from([
            ("dirty limit".to_owned(), stats.dirty.stops.ns_sum),
            ("dirty delay".to_owned(), stats.dirty.delays.ns_sum),
            ("byte budget".to_owned(), stats.budget.wait_ns_sum),
            ("cache room".to_owned(), stats.stalls.cache_room.ns_sum),
            ("space".to_owned(), stats.stalls.space.ns_sum),
            (
                "metadata gate".to_owned(),
                stats.stalls.metadata_gate.ns_sum,
            ),
        ]);
        let dirty_bytes = Some(stats.dirty.dirty_bytes + stats.dirty.writeback_bytes);
        Levels {
            dirty_bytes,
            queues,
            workers,
            stalled_ns,
        }
    }

    fn finals(&self) -> Vec<Reading> {
        let Some(stats) = self.stats() else {
            return Vec::new();
        };
        let mut readings = vec![
            Reading::counted("stored_ratio", Unit::Ratio, stats.stored_ratio())
                .higher()
                .doc("plain bytes written back for each byte of data on the device"),
            Reading::timed("cache_hit_ratio", Unit::Ratio, stats.cache_hit_ratio()).higher(),
            Reading::timed(
                "populated_used_ratio",
                Unit::Ratio,
                stats.populated_used_ratio(),
            )
            .higher()
            .doc("pages that came along with a compressed read and were used"),
        ];
        let rows = stats.rows().into_iter().filter(|row| is_final(&row.name));
        readings.extend(rows.map(|row| Reading {
            metric: metric_of(&row.name, row.unit),
            number: row.value,
        }));
        readings
    }

    fn stages(&self) -> Vec<StageRecord> {
        let passed = self.stats().map(Passed::whole);
        passed.map_or_else(Vec::new, |passed| passed.stages(&self.seen.lock().ever))
    }

    fn spans(&self) -> Vec<SpanRecord> {
        let passed = self.stats().map(Passed::whole);
        passed.map_or_else(Vec::new, |passed| passed.spans())
    }

    fn begin_count(&self) -> Box<dyn FnOnce() -> Counted + '_> {
        self.seen.lock().counted = Peaks::default();
        let (counters, earlier) = (self.counters(), self.stats());
        Box::new(move || {
            let (Some(earlier), Some(now)) = (earlier, self.stats()) else {
                return Counted::default();
            };
            let passed = Passed::between(&earlier, &now);
            let mut stages = passed.stages(&self.seen.lock().counted);
            stages.retain(|stage| !stage.times.is_empty());
            Counted {
                counters: grown(&counters, self.counters()),
                stages,
                spans: passed.spans(),
            }
        })
    }

    fn pools(&self) -> Vec<PoolRecord> {
        let Some(stats) = self.stats() else {
            return Vec::new();
        };
        let count = |workers: usize| u32::try_from(workers).unwrap_or(u32::MAX);
        stats
            .pools
            .iter()
            .map(|pool| PoolRecord {
                name: pool.name.to_owned(),
                kind: pool.kind.to_owned(),
                workers_max: count(self.workers_max(pool.name)),
                workers_peak: count(pool.workers_started),
                items: pool.items_completed,
                wakeups: pool.wake_ups,
                to_busy: pool.turned_busy,
                to_idle: pool.turned_idle,
                depth_max: pool.depth_max as u64,
                running_ns: running_ns(&[&pool.running_ns, &pool.complete_ns]),
            })
            .collect()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.clock.lock().clone()
    }

    fn check(&self) -> anyhow::Result<()> {
        self.shut()?;
        let report = recover::check(&*self.stand.device());
        let worst = report
            .issues
            .iter()
            .find(|issue| Some(issue.severity()) == report.worst());
        match worst.filter(|_| !report.is_clean()) {
            None => Ok(()),
            Some(worst) => Err(anyhow!(
                "{} issues; the worst: {worst}",
                report.issues.len()
            )),
        }
    }

    fn describe(&self) -> String {
        format!("engine on {}", self.stand.describe())
    }

    fn keeps(&self) -> bool {
        true
    }

    fn close(&self) -> anyhow::Result<()> {
        self.shut()?;
        self.stand.close().context("closing the device")
    }
}

impl EngineTarget {
    fn workers_max(&self, pool: &str) -> usize {
        let knobs = match pool {
            "workers" => self.config.workers,
            "delalloc" => self.config.delalloc,
            "submit" => self.config.submit,
            "endio" => self.config.endio,
            "endio_write" => self.config.endio_write,
            _ => self.config.fixup,
        };
        if knobs.threads > 0 {
            knobs.threads
        } else {
            self.config.thread_pool_size
        }
    }
}

struct EngineFile(File);

impl TargetFile for EngineFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        Ok(self.0.read_at(offset, buf)?)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.0.write_at(offset, bytes)?)
    }

    fn sync(&self) -> anyhow::Result<()> {
        Ok(self.0.sync()?)
    }

    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()> {
        Ok(self.0.truncate(file_bytes)?)
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()> {
        Ok(self
            .0
            .punch_hole(FileRange::new(offset, offset.saturating_add(bytes)))?)
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        Ok(Some(self.0.size_bytes()))
    }
}

fn running_ns(series: &[&Series]) -> u64 {
    series.iter().map(|series| series.sum_ns).sum()
}

/// Rows that grow, and are compared as differences. Stages and pools have tables of their own.
fn is_total(name: &str, unit: &str) -> bool {
    let grows = name.starts_with("data.")
        || name.starts_with("reclaim.")
        || [
            "meta.node_",
            "meta.commits",
            "meta.front_gate",
            "dirty.stops",
            "dirty.delays",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || [
            "budget.waits",
            "budget.wait_ns_sum",
            "cache.copies",
            "cache.waits",
        ]
        .contains(&name);
    grows && unit != "ratio" && !name.ends_with("_max") && name != "reclaim.queued"
}

/// Rows that are true at the end.
fn is_final(name: &str) -> bool {
    name.starts_with("meta.extents.")
        || [
            "meta.tree_levels",
            "meta.tree_nodes",
            "dirty.held_bytes_max",
            "budget.held_bytes_max",
        ]
        .contains(&name)
}

/// What a row of the engine means. Bytes of data and extents follow from the workload; how often
/// somebody waited, was woken or came along does not.
fn metric_of(name: &str, unit: &str) -> Metric {
    let counted = (name.starts_with("data.") || name.starts_with("meta.extents."))
        && !name.contains("cache")
        && !name.contains("populated");
    let unit = match unit {
        "bytes" => Unit::Bytes,
        "ns" => Unit::Nanoseconds,
        "count" => Unit::Count,
        "ratio" => Unit::Ratio,
        _ => Unit::Plain,
    };
    let better = match name {
        "data.accepted_bytes" | "data.served_bytes" | "data.zero_bytes" => Better::Neither,
        "data.cache_hits" | "data.populated_used_pages" => Better::Higher,
        _ => Better::Lower,
    };
    Metric {
        name: name.to_owned(),
        unit,
        better,
        class: if counted {
            Class::Counted
        } else {
            Class::Timed
        },
        doc: String::new(),
    }
}
