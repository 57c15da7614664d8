//! What a workload is replayed against, behind one trait.
//!
//! A target is a flat set of named files that can be written, read, synced and forgotten. The
//! engine is one, any mounted filesystem is one, a bare device is one (the limit of both), and so is a
//! target that does nothing: what the harness measures there is its own cost. Numbers a target alone can know (bytes that reached the
//! device, how full the cache is) leave it by name, so the recorder and the record need no
//! knowledge of any of them.
//!
//! Not here: which target a workload names (`open.rs` reads the plan), timing (replay), checking
//! what is read back (replay/verify.rs).

mod blocks;
mod device;
mod directory;
mod engine;
mod held_up;
mod knobs;
mod layout;
mod null;
mod open;
mod planted;
mod raw;
mod stand;
mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_backends::Clock;
use delalloc_results::metric::{Better, Metric, Unit};
use delalloc_results::record::{PoolRecord, SpanRecord, StageRecord};

pub use directory::DirectoryTarget;
pub use engine::EngineTarget;
pub use knobs::EngineKnobs;
pub use layout::{Place, lay_out};
pub use null::NullTarget;
pub use open::{Opening, open};
pub use planted::{PLANT_VARIABLE, Plant};
pub use raw::RawTarget;
pub use stand::Stand;

/// A named number of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it means.
    pub metric: Metric,
    /// The number.
    pub number: f64,
}

impl Reading {
    /// A number that follows from the workload and the code; less of it is better.
    pub fn counted(name: &str, unit: Unit, number: f64) -> Self {
        Self {
            metric: Metric::counted(name, unit, Better::Lower),
            number,
        }
    }

    /// A number the clock had a say in; less of it is better.
    pub fn timed(name: &str, unit: Unit, number: f64) -> Self {
        Self {
            metric: Metric::timed(name, unit, Better::Lower),
            number,
        }
    }

    /// The same with a line for people.
    #[must_use]
    pub fn doc(mut self, doc: &str) -> Self {
        self.metric.doc = doc.to_owned();
        self
    }

    /// The same where more is better.
    #[must_use]
    pub fn higher(mut self) -> Self {
        self.metric.better = Better::Higher;
        self
    }

    /// The same where neither way is better.
    #[must_use]
    pub fn neither(mut self) -> Self {
        self.metric.better = Better::Neither;
        self
    }
}

/// What rises and falls while a target works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    /// Bytes accepted and not yet durable, where the target knows.
    pub dirty_bytes: Option<u64>,
    /// Depth of each queue.
    pub queues: BTreeMap<String, u64>,
    /// Workers of each pool that have an item in hand.
    pub workers: BTreeMap<String, u64>,
    /// How long callers were held up so far, by cause. Only grows.
    pub stalled_ns: BTreeMap<String, u64>,
}

/// What was counted from one moment to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// By how much counters grew.
    pub counters: Vec<Reading>,
    /// Where writes and reads spent their time, those that nothing passed left out.
    pub stages: Vec<StageRecord>,
    /// How long written bytes took from their acceptance on.
    pub spans: Vec<SpanRecord>,
}

/// By how much counters grew since they were `before`; one that is new grew from 0.
pub fn grown(before: &[Reading], mut now: Vec<Reading>) -> Vec<Reading> {
    for reading in &mut now {
        let earlier = before
            .iter()
            .find(|earlier| earlier.metric == reading.metric);
        reading.number -= earlier.map_or(0.0, |earlier| earlier.number);
    }
    now
}

/// One thing to replay against.
pub trait Target: Send + Sync {
    /// The file of this name; made when it is not there.
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>>;
    /// Removes a file.
    fn remove(&self, name: &str) -> anyhow::Result<()>;
    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()>;
    /// Everything written so far is durable.
    fn sync_all(&self) -> anyhow::Result<()>;
    /// Forgets clean cached data, so that reads go to the device. `sync_all` comes first.
    fn drop_caches(&self) -> anyhow::Result<()>;
    /// Closes and opens again, so that what is read next is what survived. Handles of before are dead.
    fn reopen(&self) -> anyhow::Result<()>;
    /// Counters that only grow, since the target was opened.
    fn counters(&self) -> Vec<Reading>;
    /// Dirty bytes and queue depths, now.
    fn levels(&self) -> Levels;
    /// Numbers that belong to the end of a run: ratios, extents, space used. Called after `sync_all`.
    fn finals(&self) -> Vec<Reading>;
    /// Where writes and reads spent their time so far, in the order they pass.
    fn stages(&self) -> Vec<StageRecord> {
        Vec::new()
    }
    /// How long written bytes took so far from their acceptance on, where the target knows.
    fn spans(&self) -> Vec<SpanRecord> {
        Vec::new()
    }
    /// Begins to count anew, beside what is counted anyway: what it returns is asked once and says what passed since. The
    /// next one ends it. What ends while it counts is counted, whenever it began.
    fn begin_count(&self) -> Box<dyn FnOnce() -> Counted + '_> {
        let before = self.counters();
        Box::new(move || Counted {
            counters: grown(&before, self.counters()),
            ..Counted::default()
        })
    }
    /// The worker pools so far.
    fn pools(&self) -> Vec<PoolRecord> {
        Vec::new()
    }
    /// The time it lives in, where that is not the system's: then one thread at a time calls it, and a
    /// sleep of this clock lets its background work happen. Another one after `reopen`.
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }
    /// Proves what is stored, where the target can; an inconsistency is an error. Handles are closed by now.
    fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }
    /// What it is, in a line, for records and reports.
    fn describe(&self) -> String;
    /// Keeps what is written, so that reading it back means something.
    fn keeps(&self) -> bool;
    /// Ends it; what can be released is.
    fn close(&self) -> anyhow::Result<()>;
}

/// One open file of a target. Shared by every client that uses the file.
pub trait TargetFile: Send + Sync {
    /// Reads into `buf`; fewer bytes than asked only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()>;
    /// What was written to this file is durable.
    fn sync(&self) -> anyhow::Result<()>;
    /// The same of what reading the file back needs; no more than `sync` promises, and where the target knows no difference, that.
    fn sync_data(&self) -> anyhow::Result<()> {
        self.sync()
    }
    /// Cuts or extends the file.
    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()>;
    /// Makes a range read as zeros and gives its space back; the file keeps its length.
    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()>;
    /// How long the file is. None where no size is stored, so that there is none to prove: `raw` has them in memory alone, and
    /// `null` not at all.
    fn size_bytes(&self) -> anyhow::Result<Option<u64>>;
}
