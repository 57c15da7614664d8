//! Faults put into a target on purpose, to prove that a gate sees them: a regression that is not one of the code.
//!
//! ```text
//!   slow-writes=PERCENT   a write, and a sync, takes this much longer, spent on the processor
//!   extra-writes=N        each N-th write is brought to the device, and then once more
//!   lost-writes=N         each N-th write is accepted and thrown away
//!   summed-writes=N       the bytes of each write are summed N times more than is of any use
//!   order-stalls=N        each N-th write to an engine's device, in real time, holds up whoever sends and all that wait
//!                         behind it for 20 ms; of other targets, each N-th write of a client, and what that does after
//! ```
//!
//! Planted by the environment variable `DELALLOC_PLANT` and by nothing else: no workload can ask for it. The
//! record says so in the target's description.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use delalloc_backends::{Backend, Clock};
use delalloc_results::record::{PoolRecord, StageRecord};
use xxhash_rust::xxh3::xxh3_64;

use super::held_up::HeldUpBackend;
use super::{Counted, Levels, Reading, Target, TargetFile};

/// The environment variable.
pub const PLANT_VARIABLE: &str = "DELALLOC_PLANT";

const STALL: Duration = Duration::from_millis(20);

/// A fault to plant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plant {
    /// Writes and syncs take this part longer.
    SlowWrites(f64),
    /// Each of so many writes goes to the device twice.
    ExtraWrites(u64),
    /// Each of so many writes is lost.
    LostWrites(u64),
    /// The bytes of each write are summed so many times.
    SummedWrites(u64),
    /// Each of so many writes holds everything up.
    OrderStalls(u64),
}

impl Plant {
    /// What the environment asks for.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        match std::env::var(PLANT_VARIABLE) {
            Ok(text) => Self::parse(&text).context(PLANT_VARIABLE).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(error).context(PLANT_VARIABLE),
        }
    }

    /// One line of the table above.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, number) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("{text:?}: write NAME=NUMBER"))?;
        let every = || -> anyhow::Result<u64> {
            let every = number
                .parse()
                .with_context(|| format!("{number:?} is no number of writes"))?;
            ensure!(every > 0, "each 0-th write makes no sense");
            Ok(every)
        };
        Ok(match name {
            "slow-writes" => {
                let percent: f64 = number
                    .parse()
                    .with_context(|| format!("{number:?} is no percentage"))?;
                ensure!(
                    (0.0..=10_000.0).contains(&percent),
                    "slow-writes is 0 to 10000 per cent"
                );
                Self::SlowWrites(percent / 100.0)
            }
            "extra-writes" => Self::ExtraWrites(every()?),
            "lost-writes" => Self::LostWrites(every()?),
            "summed-writes" => Self::SummedWrites(every()?),
            "order-stalls" => Self::OrderStalls(every()?),
            other => anyhow::bail!(
                "{other:?} is no plant; there are slow-writes, extra-writes, lost-writes, summed-writes and order-stalls"
            ),
        })
    }

    /// Plants it into a target. `has_device` where `into_device` has had its turn.
    pub(super) fn into_target(self, base: Box<dyn Target>, has_device: bool) -> Box<dyn Target> {
        Box::new(PlantedTarget {
            base,
            plant: self,
            stalls_here: !has_device,
            writes: Arc::default(),
        })
    }

    /// Plants what belongs there into the device of an engine.
    pub(super) fn into_device(self, base: Arc<dyn Backend>) -> Arc<dyn Backend> {
        match self {
            Self::OrderStalls(every) => Arc::new(HeldUpBackend::new(base, every, STALL)),
            _ => base,
        }
    }
}

/// A target with a fault in it.
struct PlantedTarget {
    base: Box<dyn Target>,
    plant: Plant,
    stalls_here: bool,
    writes: Arc<AtomicU64>,
}

impl Target for PlantedTarget {
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        Ok(Arc::new(PlantedFile {
            base: self.base.open_file(name)?,
            plant: self.plant,
            stalls_here: self.stalls_here,
            writes: Arc::clone(&self.writes),
        }))
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.base.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        self.base.rename(from, to)
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        match self.plant {
            Plant::SlowWrites(part) => slowed(part, || self.base.sync_all()),
            _ => self.base.sync_all(),
        }
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        self.base.drop_caches()
    }

    fn reopen(&self) -> anyhow::Result<()> {
        self.base.reopen()
    }

    fn counters(&self) -> Vec<Reading> {
        self.base.counters()
    }

    fn levels(&self) -> Levels {
        self.base.levels()
    }

    fn finals(&self) -> Vec<Reading> {
        self.base.finals()
    }

    fn stages(&self) -> Vec<StageRecord> {
        self.base.stages()
    }

    fn begin_count(&self) -> Box<dyn FnOnce() -> Counted + '_> {
        self.base.begin_count()
    }

    fn pools(&self) -> Vec<PoolRecord> {
        self.base.pools()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.base.clock()
    }

    fn check(&self) -> anyhow::Result<()> {
        self.base.check()
    }

    fn describe(&self) -> String {
        format!("{}, planted {:?}", self.base.describe(), self.plant)
    }

    fn keeps(&self) -> bool {
        self.base.keeps()
    }

    fn close(&self) -> anyhow::Result<()> {
        self.base.close()
    }
}

struct PlantedFile {
    base: Arc<dyn TargetFile>,
    plant: Plant,
    stalls_here: bool,
    writes: Arc<AtomicU64>,
}

impl TargetFile for PlantedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        self.base.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        match self.plant {
            Plant::SlowWrites(part) => slowed(part, || self.base.write_at(offset, bytes)),
            Plant::ExtraWrites(every) if number.is_multiple_of(every) => {
                self.base.write_at(offset, bytes)?;
                self.base.sync()?;
                self.base.write_at(offset, bytes)
            }
            Plant::LostWrites(every) if number.is_multiple_of(every) => Ok(()),
            Plant::OrderStalls(every) if self.stalls_here && number.is_multiple_of(every) => {
                std::thread::sleep(STALL);
                self.base.write_at(offset, bytes)
            }
            Plant::SummedWrites(times) => {
                summed(times, bytes);
                self.base.write_at(offset, bytes)
            }
            Plant::ExtraWrites(_) | Plant::LostWrites(_) | Plant::OrderStalls(_) => {
                self.base.write_at(offset, bytes)
            }
        }
    }

    fn sync(&self) -> anyhow::Result<()> {
        match self.plant {
            Plant::SlowWrites(part) => slowed(part, || self.base.sync()),
            _ => self.base.sync(),
        }
    }

    fn sync_data(&self) -> anyhow::Result<()> {
        match self.plant {
            Plant::SlowWrites(part) => slowed(part, || self.base.sync_data()),
            _ => self.base.sync_data(),
        }
    }

    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()> {
        self.base.truncate(file_bytes)
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()> {
        self.base.punch_hole(offset, bytes)
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        self.base.size_bytes()
    }
}

/// Does `work`, and keeps the processor busy for `part` of the time it took.
fn slowed(part: f64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let begun = Instant::now();
    work()?;
    let until = begun + begun.elapsed().mul_f64(1.0 + part);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    Ok(())
}

/// Work that leaves nothing.
fn summed(times: u64, bytes: &[u8]) {
    for _ in 0..times {
        std::hint::black_box(xxh3_64(std::hint::black_box(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plants_are_read_and_refused_with_what_there_is() {
        assert_eq!(
            Plant::parse("slow-writes=10").unwrap(),
            Plant::SlowWrites(0.1)
        );
        assert_eq!(Plant::parse("lost-writes=7").unwrap(), Plant::LostWrites(7));
        for bad in [
            "slow-writes",
            "slow-writes=x",
            "slow-writes=-1",
            "lost-writes=0",
            "rain=1",
        ] {
            assert!(Plant::parse(bad).is_err(), "{bad}");
        }
        let said = format!("{:#}", Plant::parse("rain=1").unwrap_err());
        assert!(said.contains("order-stalls"), "{said}");
    }
}
