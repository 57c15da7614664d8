//! The stages and counters of a volume, added to while it works.
//!
//! One line per stage and per counter: it makes the live atomic, the plain number of a snapshot and
//! the row. Counts of other rooms (pools, cache, dirty data, metadata) are kept there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stage::{StageSnapshot, StageStats};
use super::table::table;
use crate::compress::Codec;

macro_rules! stages {
    ($($(#[doc = $doc:literal])+ $stage:ident),* $(,)?) => {
        /// Live counts of a volume.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[doc = $doc])+ pub $stage: Arc<StageStats>,)*
            counters: Counters,
        }

        /// Every stage at one moment.
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct StageTimes {
            $($(#[doc = $doc])+ pub $stage: StageSnapshot,)*
        }

        table!(StageTimes { $(table $stage),* });

        impl Stats {
            /// The stages now.
            pub fn stages(&self) -> StageTimes {
                StageTimes { $($stage: self.$stage.snapshot()),* }
            }
        }
    };
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $counter:ident $unit:literal),* $(,)?) => {
        #[derive(Debug, Default)]
        struct Counters {
            $($counter: AtomicU64,)*
        }

        /// Every counter at one moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct CounterStats {
            $($(#[doc = $doc])+ pub $counter: u64,)*
        }

        table!(CounterStats { $(counter $counter $unit),* });

        impl Stats {
            /// The counters now.
            pub fn counters(&self) -> CounterStats {
                CounterStats { $($counter: self.counters.$counter.load(Ordering::Relaxed)),* }
            }
        }
    };
}

stages! {
    /// Write: reserving, copying into the cache, marking; not being held up afterwards.
    dirty,
    /// Write: the flusher finding and locking a range, to its hand-off.
    collect,
    /// Write: from the acceptance of the oldest byte of an item to its hand-off.
    aged,
    /// Write: from hand-off until the byte budget has room for the item and those before it.
    budget,
    /// Write: from then until a worker takes the item.
    queued,
    /// Write, phase one: zero test, verdict, codec, checksums.
    encode,
    /// Write: encoded, and waiting for the items before it.
    head_wait,
    /// Write, phase two: allocation and registration, in order.
    place,
    /// Write: placed, until it is with the device.
    submit,
    /// Write: with the device.
    device,
    /// Write: completed, until its metadata is made and its writeback over.
    finish,
    /// Write: from the acceptance of the oldest byte of an item until an extent of it is at home.
    home,
    /// Read: with the device.
    read_device,
    /// Read: checksums and codec, where the device gave the bytes.
    decode,
    /// Read: decoded pages into the cache, as far as there is room.
    fill,
    /// `sync` with little to write: from its data's way to the device until data and log are durable.
    log,
    /// `sync` of a file, as its caller sees it.
    sync,
    /// From the acceptance of the oldest byte that a `sync` answers for to its answer.
    synced,
}

counters! {
    /// Plain bytes taken from writers.
    accepted_bytes "bytes",
    /// Plain bytes given to readers.
    served_bytes "bytes",
    /// Plain bytes that became holes because they were zeros.
    zero_bytes "bytes",
    /// Plain bytes stored as they are.
    raw_bytes "bytes",
    /// Plain bytes stored compressed.
    compressed_plain_bytes "bytes",
    /// What those take on the device.
    compressed_stored_bytes "bytes",
    /// Bytes of failed writes that stay, to be written again, because the log has them.
    kept_bytes "bytes",
    /// Extents stored as they are.
    raw_extents "count",
    /// Extents stored compressed.
    compressed_extents "count",
    /// Bytes of file data read from the device.
    device_read_bytes "bytes",
    /// Pages that were in the cache when a read came for them.
    cache_hits "count",
    /// Pages that were not; holes are never there.
    cache_misses "count",
    /// Pages put into the cache because the extent they are in was decoded for others.
    populated_pages "count",
    /// Of those, pages that somebody asked for later.
    populated_used_pages "count",
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Stats {
    /// Plain bytes were taken from a writer.
    pub fn note_accepted(&self, bytes: u64) {
        add(&self.counters.accepted_bytes, bytes);
    }

    /// Plain bytes were given to a reader.
    pub fn note_read(&self, bytes: u64) {
        add(&self.counters.served_bytes, bytes);
    }

    /// A write failed, and its bytes stay because the log has them.
    pub fn note_kept(&self, bytes: u64) {
        add(&self.counters.kept_bytes, bytes);
    }

    /// An extent of zeros became a hole.
    pub fn note_hole(&self, plain_bytes: u64) {
        add(&self.counters.zero_bytes, plain_bytes);
    }

    /// An extent was stored.
    pub fn note_stored(&self, codec: Codec, plain_bytes: u64, stored_bytes: u64) {
        let counters = &self.counters;
        if codec == Codec::None {
            add(&counters.raw_bytes, plain_bytes);
            add(&counters.raw_extents, 1);
        } else {
            add(&counters.compressed_plain_bytes, plain_bytes);
            add(&counters.compressed_stored_bytes, stored_bytes);
            add(&counters.compressed_extents, 1);
        }
    }

    /// File data was read from the device.
    pub fn note_device_read(&self, bytes: u64) {
        add(&self.counters.device_read_bytes, bytes);
    }

    /// A read came for pages that are in the cache.
    pub fn note_hits(&self, pages: u64) {
        add(&self.counters.cache_hits, pages);
    }

    /// A read came for pages that are not.
    pub fn note_misses(&self, pages: u64) {
        add(&self.counters.cache_misses, pages);
    }

    /// Pages that had come along with an earlier read were asked for.
    pub fn note_first_uses(&self, pages: u64) {
        if pages > 0 {
            add(&self.counters.populated_used_pages, pages);
        }
    }

    /// Pages came along with a read of others in their extent.
    pub fn note_populated(&self, pages: u64) {
        add(&self.counters.populated_pages, pages);
    }
}

impl CounterStats {
    /// Bytes of file data written to the device.
    pub fn device_written_bytes(&self) -> u64 {
        self.raw_bytes + self.compressed_stored_bytes
    }

    /// Plain bytes that reached the device or became holes.
    pub fn written_back_bytes(&self) -> u64 {
        self.zero_bytes + self.raw_bytes + self.compressed_plain_bytes
    }
}
