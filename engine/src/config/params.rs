//! One row per knob. A knob that is not a row does not exist.
//!
//! The rows feed the workload file, `--set`, sweeps, the table of knobs and the dump in every record;
//! none of them knows the structs.
//!
//! How to add a knob: a field in `engine`, its default there, a row here. A relation to other knobs
//! goes to `relations`.

use std::sync::LazyLock;

use super::engine::{EngineConfig, Preset};
use super::field::{CODECS, Field, ORDER_SCOPES, POOL_KINDS, POPULATES, PRESETS, THROTTLES};
use super::row::{Domain, Param, Scale};
use super::text::Unit;
use crate::units::PAGE_LEN;

/// All knobs, grouped by room.
pub fn params() -> &'static [Param] {
    static ROWS: LazyLock<Vec<Param>> = LazyLock::new(rows);
    &ROWS
}

const fn linear(min: i64, max: i64) -> Domain {
    Domain::Range {
        min,
        max,
        step: 1,
        scale: Scale::Linear,
    }
}

const fn log(min: i64, max: i64) -> Domain {
    Domain::Range {
        min,
        max,
        step: 1,
        scale: Scale::Log,
    }
}

/// Whole pages, `min` to `max` bytes.
const fn pages(min: i64, max: i64) -> Domain {
    Domain::Range {
        min,
        max,
        step: PAGE_LEN as i64,
        scale: Scale::Log,
    }
}

const KIB: i64 = 1 << 10;
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;
/// More threads than any pool has a use for, and few enough to start.
const THREADS_MAX: i64 = 1024;
/// A threshold that nothing reaches.
const ITEMS_MAX: i64 = 1 << 20;
const DAY_MS: i64 = 24 * 3600 * 1000;

macro_rules! row {
    ($name:expr, $unit:ident, $domain:expr, $($field:ident).+, $doc:expr) => {
        Param {
            name: $name,
            unit: Unit::$unit,
            domain: $domain,
            doc: $doc,
            get: |config| Field::to_number(config.$($field).+),
            set: |config, number| config.$($field).+ = Field::from_number(number),
        }
    };
}

macro_rules! pool_rows {
    ($rows:ident, $pool:ident, $name:literal, $what:literal) => {
        $rows.extend([
            row!(concat!($name, ".threads"), Count, log(0, THREADS_MAX), $pool.threads,
                concat!("threads of the pool for ", $what, "; 0 follows thread_pool_size")),
            row!(concat!($name, ".idle_thresh"), Count, log(1, ITEMS_MAX), $pool.idle_thresh,
                "backlog at which one of its workers counts as busy and the next is started"),
            row!(concat!($name, ".grow_at"), Count, log(0, ITEMS_MAX), $pool.grow_at,
                "idle_thresh's first part apart, the backlog that makes a worker busy; 0 follows"),
            row!(concat!($name, ".batch"), Count, log(0, ITEMS_MAX), $pool.batch,
                "idle_thresh's second part apart, items in a row for one busy worker; 0 follows"),
            row!(concat!($name, ".idle_below"), Count, log(0, ITEMS_MAX), $pool.idle_below,
                "idle_thresh's third part apart, the backlog below which it is idle again; 0 follows"),
        ])
    };
}

fn rows() -> Vec<Param> {
    let mut rows = vec![Param {
        name: "preset",
        unit: Unit::Choice,
        domain: Domain::Choices(PRESETS),
        doc: "where all other knobs start from; seed2008 has the numbers of btrfs in 2008",
        get: |config| config.preset.to_number(),
        set: |config, number| *config = EngineConfig::preset(Preset::from_number(number)),
    }];
    rows.extend(compression_rows());
    rows.extend([
        row!("thread_pool_size", Count, log(1, THREADS_MAX), thread_pool_size,
            "threads of every pool that has no number of its own; by default 2 more than CPUs, at most 8"),
        row!("pool.kind", Choice, Domain::Choices(POOL_KINDS), pool_kind,
            "how all pools hand items to workers"),
    ]);
    pool_rows!(rows, workers, "workers", "checksums of raw data");
    pool_rows!(rows, delalloc, "delalloc", "compression");
    pool_rows!(rows, submit, "submit", "sending to the device");
    rows.push(row!(
        "submit.async_limit",
        Count,
        log(1, ITEMS_MAX),
        submit_async_limit,
        "device writes under way before submitters wait"
    ));
    pool_rows!(rows, endio, "endio", "completion of reads and decoding");
    pool_rows!(rows, endio_write, "endio_write", "completion of writes");
    pool_rows!(rows, fixup, "fixup", "ranges that are written again");
    rows.extend(bound_rows());
    rows.extend(read_rows());
    rows
}

fn compression_rows() -> [Param; 7] {
    [
        row!(
            "compression.codec",
            Choice,
            Domain::Choices(CODECS),
            compression.how.codec,
            "how extents are compressed"
        ),
        row!(
            "compression.level",
            Count,
            linear(-7, 22),
            compression.how.level,
            "the codec's level; zstd -7 to 22, zlib 1 to 9, lz4 has none"
        ),
        row!(
            "compression.heuristic",
            Bool,
            Domain::Bool,
            compression.how.heuristic,
            "look at a sample first and store raw what will not shrink"
        ),
        row!(
            "compression.zero_detect",
            Bool,
            Domain::Bool,
            compression.how.zero_detect,
            "store an extent of zeros as a hole"
        ),
        row!(
            "compression.backoff_extents_max",
            Count,
            log(0, 1 << 16),
            compression.how.backoff_extents_max,
            "most extents of a file stored raw untried after one that did not shrink; 0 tries every one"
        ),
        row!(
            "compression.extent_bytes",
            Bytes,
            pages(4 * KIB, 4 * MIB),
            compression.extent_bytes,
            "plain bytes compressed as one; a read of any page decodes all of them"
        ),
        row!(
            "compression.item_bytes",
            Bytes,
            pages(4 * KIB, 128 * MIB),
            compression.item_bytes,
            "plain bytes of one work item for the delalloc pool"
        ),
    ]
}

fn bound_rows() -> [Param; 16] {
    [
        row!(
            "order.scope",
            Choice,
            Domain::Choices(ORDER_SCOPES),
            order.scope,
            "which items are placed on the device in the order of their hand-off"
        ),
        row!(
            "budget.bytes",
            Bytes,
            log(0, TIB),
            budget.bytes,
            "bytes in compression or waiting behind it, plain and stored; 0 is no limit"
        ),
        row!(
            "budget.wake_percent",
            Percent,
            linear(0, 100),
            budget.wake_percent,
            "part of the budget at which those who wait for it go on"
        ),
        row!(
            "dirty.background",
            Bytes,
            log(0, TIB),
            dirty.background_bytes,
            "dirty bytes above which the flusher works"
        ),
        row!(
            "dirty.limit",
            Bytes,
            log(64 * KIB, TIB),
            dirty.limit_bytes,
            "bytes dirty or in writeback above which writers wait"
        ),
        row!(
            "dirty.throttle",
            Choice,
            Domain::Choices(THROTTLES),
            dirty.throttle,
            "stop writers at the limit, or slow them down from 60 % of it on"
        ),
        row!(
            "dirty.expire",
            Ms,
            log(0, DAY_MS),
            dirty.expire,
            "age at which the flusher writes dirty data whatever there is of it"
        ),
        row!(
            "meta.front_gate",
            Bytes,
            log(0, TIB),
            meta.front_gate_bytes,
            "dirty metadata above which writers are slowed"
        ),
        row!(
            "meta.flush_gate",
            Bytes,
            log(0, TIB),
            meta.flush_gate_bytes,
            "dirty metadata above which it is written in the background"
        ),
        row!(
            "meta.node_cache",
            Bytes,
            log(MIB, TIB),
            meta.node_cache_bytes,
            "clean metadata kept in memory"
        ),
        row!(
            "commit.interval",
            Ms,
            log(1, DAY_MS),
            commit.interval,
            "longest time between two commits where there is something to commit"
        ),
        row!(
            "log.enabled",
            Bool,
            Domain::Bool,
            meta.log.enabled,
            "sync of a file writes to the log; else it commits"
        ),
        row!(
            "log.express_max",
            Bytes,
            log(0, 128 * MIB),
            log.express_bytes_max,
            "dirty bytes up to which sync writes a file itself, past the queues of the pools"
        ),
        row!(
            "log.inline_max",
            Bytes,
            log(0, MIB),
            log.inline_bytes_max,
            "bytes of pages up to which sync puts them into the log, to be written home later"
        ),
        row!(
            "log.commit_at",
            Percent,
            linear(1, 100),
            meta.log.commit_at_percent,
            "part of the log in use above which a commit in the background frees it"
        ),
        row!(
            "cache.bytes",
            Bytes,
            pages(128 * KIB, TIB),
            cache.bytes,
            "size of the page cache"
        ),
    ]
}

fn read_rows() -> [Param; 4] {
    [
        row!(
            "read.ahead_max",
            Bytes,
            pages(0, 128 * MIB),
            read.ahead_bytes_max,
            "most bytes read ahead of a sequential reader; 0 reads nothing ahead"
        ),
        row!(
            "read.populate",
            Choice,
            Domain::Choices(POPULATES),
            read.populate,
            "pages of a decoded extent that are kept beside those asked for"
        ),
        row!(
            "read.miss_limit",
            Count,
            log(1, 1024),
            read.miss_limit,
            "pages found in the cache already at which populating stops"
        ),
        row!(
            "read.inline_decode_max",
            Bytes,
            log(0, 128 * MIB),
            read.inline_decode_bytes_max,
            "reads up to this size decode in the caller's thread"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_docs_are_one_line() {
        let mut seen = HashSet::new();
        for row in params() {
            assert!(seen.insert(row.name), "{} twice", row.name);
            assert!(!row.doc.is_empty() && !row.doc.contains('\n') && row.doc.is_ascii());
        }
    }

    #[test]
    fn every_row_moves_its_own_field() {
        for row in params().iter().filter(|row| row.name != "preset") {
            let other = match row.domain {
                Domain::Range { min, max, .. } => {
                    if row.default_text() == row.text_of(max) {
                        min
                    } else {
                        max
                    }
                }
                Domain::Choices(_) | Domain::Bool => {
                    i64::from((row.get)(&EngineConfig::default()) == 0)
                }
            };
            let mut config = EngineConfig::default();
            row.set(&mut config, &row.text_of(other))
                .unwrap_or_else(|fault| panic!("{fault}"));
            let changed: Vec<_> = config
                .dump()
                .into_iter()
                .filter(|setting| !setting.is_default)
                .map(|setting| setting.name)
                .collect();
            assert_eq!(changed, [row.name]);
        }
    }
}
