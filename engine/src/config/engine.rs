//! The configuration of a volume, as data. Defaults are here and nowhere else.
//!
//! Not here: names, ranges and text (`params`), what does not go together (`relations`).

use std::time::Duration;

use crate::compress::{Codec, Compression};
use crate::meta::MetaConfig;
use crate::pool::PoolKind;
use crate::writeback::throttle::Throttle;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A set of values to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// What this engine does best.
    Default,
    /// The numbers of btrfs at "Optimize compressed writeback and reads", 2008.
    Seed2008,
}

/// Which items wait for each other in phase two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderScope {
    /// All of the volume, as in the seed.
    Volume,
    /// Those of one file.
    File,
    /// None: first come, first placed.
    None,
}

/// Which pages of a compressed extent, once decoded, are put into the cache beside those asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Populate {
    /// No others.
    Off,
    /// Those behind, as in the seed.
    Forward,
    /// Those behind and those before.
    Both,
}

/// Every knob of a volume. See `params` for one line on each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// What the rest started from.
    pub preset: Preset,
    /// How extents are compressed.
    pub compression: CompressionConfig,
    /// Threads of a pool that has no number of its own.
    pub thread_pool_size: usize,
    /// The discipline of all pools.
    pub pool_kind: PoolKind,
    /// Checksums of raw data; ordered.
    pub workers: PoolKnobs,
    /// Compression; ordered.
    pub delalloc: PoolKnobs,
    /// Sending to the device.
    pub submit: PoolKnobs,
    /// Completion of reads: checksums, decoding.
    pub endio: PoolKnobs,
    /// Completion of writes: file extents into the tree.
    pub endio_write: PoolKnobs,
    /// Ranges that have to be written again.
    pub fixup: PoolKnobs,
    /// Device writes under way before submitters wait.
    pub submit_async_limit: usize,
    /// The ordered phase.
    pub order: OrderConfig,
    /// Bytes under way in the pipeline.
    pub budget: BudgetConfig,
    /// Dirty data.
    pub dirty: DirtyConfig,
    /// Dirty and cached metadata.
    pub meta: MetaConfig,
    /// Commits.
    pub commit: CommitConfig,
    /// `sync` without a commit.
    pub log: LogConfig,
    /// The page cache.
    pub cache: CacheConfig,
    /// Reads.
    pub read: ReadConfig,
}

/// How extents are cut and compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressionConfig {
    /// Codec, level and verdicts.
    pub how: Compression,
    /// Plain bytes compressed as one, at most. Larger compresses better; a read of any page of it
    /// decodes all of it.
    pub extent_bytes: u64,
    /// Plain bytes of one work item, at most. Smaller spreads one writer over more workers.
    pub item_bytes: u64,
}

/// One pool's own knobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolKnobs {
    /// Workers at most; 0 follows `thread_pool_size`.
    pub threads: usize,
    /// The backlog that makes a worker busy: growth, batch and stickiness in one.
    pub idle_thresh: usize,
    /// Its first part apart.
    pub grow_at: Option<usize>,
    /// Its second part apart.
    pub batch: Option<usize>,
    /// Its third part apart.
    pub idle_below: Option<usize>,
}

impl PoolKnobs {
    /// Follows `thread_pool_size`, with the parts of the threshold together.
    pub fn new(idle_thresh: usize) -> Self {
        Self {
            threads: 0,
            idle_thresh,
            grow_at: None,
            batch: None,
            idle_below: None,
        }
    }
}

/// The ordered phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderConfig {
    /// Which items wait for each other.
    pub scope: OrderScope,
}

/// Bytes under way in the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetConfig {
    /// At most; 0 is no limit.
    pub bytes: u64,
    /// Who waits is woken at this part of it.
    pub wake_percent: u64,
}

/// Dirty data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirtyConfig {
    /// The flusher works while more than this is dirty.
    pub background_bytes: u64,
    /// Writers wait while more than this is dirty or in writeback.
    pub limit_bytes: u64,
    /// How writers are held up on the way there.
    pub throttle: Throttle,
    /// The flusher writes a file that has been dirty for longer than this.
    pub expire: Duration,
}

/// Commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitConfig {
    /// At most this long between two, where there is something to commit.
    pub interval: Duration,
}

/// `sync` without a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// A `sync` with at most so many dirty bytes writes them itself, past the queues of the pools.
    pub express_bytes_max: u64,
    /// Bytes of pages up to which `sync` puts them into the log and leaves them dirty.
    pub inline_bytes_max: u64,
}

/// The page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    /// Its size.
    pub bytes: u64,
}

/// Reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadConfig {
    /// The most that is read ahead of a sequential reader; 0 reads nothing ahead.
    pub ahead_bytes_max: u64,
    /// What else of a compressed extent is kept.
    pub populate: Populate,
    /// Populating stops at this many pages that are there already, in a row or not.
    pub miss_limit: usize,
    /// Reads up to this size decode in the caller's thread.
    pub inline_decode_bytes_max: u64,
}

impl EngineConfig {
    /// The default preset on a machine of `cpus` processors.
    pub fn for_cpus(cpus: usize) -> Self {
        Self {
            preset: Preset::Default,
            compression: CompressionConfig {
                how: Compression::default(),
                extent_bytes: 128 * KIB,
                item_bytes: 512 * KIB,
            },
            // Two more than there are, because some wait for a turn; more than 8 only contend for
            // what comes after compression.
            thread_pool_size: cpus.saturating_add(2).min(8),
            pool_kind: PoolKind::Seed2008,
            workers: PoolKnobs::new(16),
            delalloc: PoolKnobs::new(2),
            submit: PoolKnobs::new(64),
            endio: PoolKnobs::new(4),
            // 64 in the seed, which left a whole burst of completions to one thread; a completion
            // is heavy, as compression is, and spreading beats batching.
            endio_write: PoolKnobs::new(2),
            fixup: PoolKnobs {
                threads: 1,
                ..PoolKnobs::new(32)
            },
            submit_async_limit: 256,
            order: OrderConfig {
                scope: OrderScope::Volume,
            },
            budget: BudgetConfig {
                // 8 workers at 512 KiB in and as much out are 8 MiB; as much again queued behind
                // them; twice that for what waits behind a slow head of the line. More adds memory
                // and fsync latency, not throughput.
                bytes: 32 * MIB,
                wake_percent: 50,
            },
            dirty: DirtyConfig {
                background_bytes: 32 * MIB,
                limit_bytes: 128 * MIB,
                throttle: Throttle::Wall,
                expire: Duration::from_secs(30),
            },
            meta: MetaConfig::default(),
            commit: CommitConfig {
                interval: Duration::from_secs(30),
            },
            log: LogConfig {
                // One extent: its compression takes a fraction of what a FLUSH takes. More would keep
                // one caller busy with what the pool does on all processors.
                express_bytes_max: 128 * KIB,
                // Written twice, so only while the request saved is dearer than the bytes.
                inline_bytes_max: 32 * KIB,
            },
            cache: CacheConfig { bytes: 256 * MIB },
            read: ReadConfig {
                ahead_bytes_max: MIB,
                populate: Populate::Forward,
                miss_limit: 4,
                // A few pages: decoding them costs less than waking another thread for it.
                inline_decode_bytes_max: 16 * KIB,
            },
        }
    }

    /// A preset on this machine.
    pub fn preset(preset: Preset) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let base = Self::for_cpus(cpus);
        match preset {
            Preset::Default => base,
            Preset::Seed2008 => base.into_seed2008(),
        }
    }

    /// The seed's own numbers, where they differ from the defaults. Its data budget compared pages
    /// with a number of bytes and never waited; here it means what it says. Its verdict on
    /// incompressible data stuck to the file for good; here every extent is tried.
    fn into_seed2008(self) -> Self {
        Self {
            preset: Preset::Seed2008,
            compression: CompressionConfig {
                how: Compression {
                    codec: Codec::Zlib,
                    level: 3,
                    heuristic: false,
                    zero_detect: false,
                    backoff_extents_max: 0,
                },
                ..self.compression
            },
            endio_write: PoolKnobs::new(64),
            budget: BudgetConfig {
                bytes: 10 * MIB,
                wake_percent: 50,
            },
            log: LogConfig {
                express_bytes_max: 0,
                inline_bytes_max: 0,
            },
            read: ReadConfig {
                inline_decode_bytes_max: 0,
                ..self.read
            },
            ..self
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self::preset(Preset::Default)
    }
}
