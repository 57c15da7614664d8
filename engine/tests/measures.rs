//! Counters and stages against what was done: pages that were looked for, bytes that were given to
//! readers, what a stage is named for, what a sync answers for and what it costs. On a volume without threads, so
//! that each number is known beforehand, but where syncs share.

mod stepped;
mod support;

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{
    Backend, Clock, FaultAction, FaultBackend, FaultHandle, FaultOn, FaultRule, HeldBackend,
    MemBackend, OsClock, VirtualClock,
};
use delalloc_engine::{EngineStats, File, FileRange, FormatOptions, Stepper, Volume};
use stepped::length;
use support::{Dice, config, formatted, open, pause};

const PAGE_BYTES: u64 = 4096;
const EXTENT_BYTES: u64 = 128 << 10;

/// A volume on memory that fails where a test wants it to.
struct Bed {
    faults: FaultHandle,
    volume: Volume,
    stepper: Stepper,
    file: File,
}

impl Bed {
    fn new(knobs: &[(&str, &str)]) -> Self {
        let memory: Arc<dyn Backend> = Arc::new(MemBackend::new(64 << 20));
        Volume::format(&memory, &FormatOptions::default()).expect("a device can be formatted");
        let faulty = FaultBackend::new(memory);
        let faults = faulty.handle();
        let device = HeldBackend::new(Arc::new(faulty), Arc::new(VirtualClock::new()));
        let opened = Volume::open_stepped(Arc::new(device), config(knobs), 1);
        let (volume, stepper) = opened.expect("a volume opens");
        let file = volume.create("file").expect("a new file");
        Self {
            faults,
            volume,
            stepper,
            file,
        }
    }

    /// The same, with a file that is stored in extents of 128 KiB and not in the cache.
    fn stored(bytes: u64, knobs: &[(&str, &str)]) -> Self {
        let bed = Self::new(knobs);
        let text = Dice::new(1).text(length(bytes));
        bed.file.write_at(0, &text).expect("a write fits");
        bed.volume.drop_caches().expect("caches drop");
        bed
    }

    fn read(&self, offset: u64, bytes: u64) {
        let mut found = vec![0; length(bytes)];
        let count = self.file.read_at(offset, &mut found).expect("a read");
        assert_eq!(count, found.len());
    }

    /// What `act` adds to the numbers.
    fn numbers_of(&self, act: impl FnOnce(&Self)) -> EngineStats {
        let before = self.volume.stats();
        act(self);
        self.volume.stats().since(&before)
    }
}

fn looked_for(stats: &EngineStats) -> (u64, u64) {
    (stats.counters.cache_hits, stats.counters.cache_misses)
}

#[test]
fn half_of_the_pages_in_the_cache_is_a_hit_ratio_of_a_half() {
    let knobs = [("read.populate", "off"), ("read.ahead_max", "0")];
    for cached in [0, EXTENT_BYTES / 2] {
        let bed = Bed::stored(EXTENT_BYTES, &knobs);
        bed.read(cached, EXTENT_BYTES / 2);
        let stats = bed.numbers_of(|bed| bed.read(0, EXTENT_BYTES));
        assert_eq!(looked_for(&stats), (16, 16), "{cached}");
        assert_eq!(stats.cache_hit_ratio(), 0.5);
    }
}

/// Its later extents are read while the first is copied, and none was there before.
#[test]
fn a_long_read_does_not_hit_what_it_brought_itself() {
    let bytes = 16 * EXTENT_BYTES;
    let bed = Bed::stored(bytes, &[]);
    let cold = bed.numbers_of(|bed| bed.read(0, bytes));
    assert_eq!(looked_for(&cold), (0, bytes / PAGE_BYTES));
    let warm = bed.numbers_of(|bed| bed.read(100, bytes - 200));
    assert_eq!(looked_for(&warm), (bytes / PAGE_BYTES, 0));
}

#[test]
fn pages_of_a_hole_are_looked_for_one_by_one() {
    let bed = Bed::new(&[]);
    bed.file.truncate(1 << 20).expect("a truncate");
    let stats = bed.numbers_of(|bed| bed.read(4096, 16 * PAGE_BYTES));
    assert_eq!(looked_for(&stats), (0, 16));
}

/// The page around a small write is read for the writer's sake.
#[test]
fn edges_of_writes_are_no_reads() {
    for cached in [false, true] {
        let bed = Bed::stored(EXTENT_BYTES, &[]);
        if cached {
            bed.read(0, EXTENT_BYTES);
        }
        let stats = bed.numbers_of(|bed| {
            for page in 0..8 {
                let at = page * PAGE_BYTES + 700;
                bed.file.write_at(at, &[7; 512]).expect("a write fits");
            }
        });
        assert_eq!(stats.counters.served_bytes, 0);
        assert_eq!(looked_for(&stats), (0, 0), "cached: {cached}");
        let read_bytes = stats.counters.device_read_bytes;
        assert_eq!(read_bytes == 0, cached, "the device was read");
    }
}

/// The zeros between them are the engine's own.
#[test]
fn two_bytes_are_two_accepted_bytes() {
    let bed = Bed::new(&[]);
    let stats = bed.numbers_of(|bed| {
        for at in [0, 5000] {
            bed.file.write_at(at, &[7]).expect("a write fits");
        }
        bed.file.truncate(5001 + 4096).expect("a truncate");
        let hole = FileRange::new(100, 200);
        bed.file.punch_hole(hole).expect("a punch");
    });
    assert_eq!(stats.counters.accepted_bytes, 2);
}

#[test]
fn dropped_caches_are_cold_for_tree_nodes_and_for_what_is_being_read() {
    let bytes = 64 * EXTENT_BYTES;
    let bed = Bed::stored(bytes, &[]);
    let warm = |bed: &Bed| {
        bed.read(0, PAGE_BYTES);
        bed.read(PAGE_BYTES, PAGE_BYTES);
    };
    let cold = bed.numbers_of(|bed| bed.read(40 * EXTENT_BYTES, PAGE_BYTES));
    assert!(cold.meta.node_reads > 0, "{:?}", cold.meta);

    // A stream has the next extents on their way.
    let settled = |bed: &Bed, drops: bool| {
        bed.volume.drop_caches().expect("caches drop");
        warm(bed);
        if drops {
            bed.volume.drop_caches().expect("caches drop");
        }
        bed.stepper.settle();
        looked_for(&bed.numbers_of(|bed| bed.read(EXTENT_BYTES, PAGE_BYTES)))
    };
    assert_eq!(settled(&bed, false), (1, 0), "read ahead");
    assert_eq!(settled(&bed, true), (0, 1), "dropped on its way");
}

#[test]
fn decode_counts_what_was_decoded() {
    // Read by its own thread, and on the pool.
    for inline_max in ["128KiB", "0"] {
        let knobs = [
            ("read.inline_decode_max", inline_max),
            ("read.ahead_max", "0"),
        ];
        let bed = Bed::stored(EXTENT_BYTES, &knobs);
        let failed = bed.numbers_of(|bed| {
            let rule = FaultRule::persistent(FaultOn::Read, 1, FaultAction::Error);
            bed.faults.arm(rule);
            for _again in 0..3 {
                let read = bed.file.read_at(4096, &mut [0; 4096]);
                assert!(read.is_err(), "the device fails");
            }
            bed.faults.disarm();
        });
        assert_eq!(failed.stages.decode.time.count, 0, "{inline_max}");
        let sound = bed.numbers_of(|bed| bed.read(4096, 4096));
        assert_eq!(sound.stages.decode.time.count, 1, "{inline_max}");
    }
}

/// Each read under way holds buffers: a long request has a bounded number of them, however long it is.
#[test]
fn a_long_read_has_few_reads_under_way() {
    let bytes = 256 * EXTENT_BYTES;
    let bed = Bed::stored(bytes, &[("compression.codec", "lz4")]);
    let depth_max = |bed: &Bed| {
        let pools = bed.volume.stats().pools;
        let endio = pools.iter().find(|pool| pool.name == "endio");
        endio.map(|pool| pool.depth_max).expect("a pool")
    };
    let read = bed.numbers_of(|bed| bed.read(0, bytes));
    assert_eq!(read.stages.decode.time.count, 256, "each extent once");
    let depth = depth_max(&bed);
    assert!((8..=64).contains(&depth), "{depth} answers were waiting");
}

/// Many small files, each of a page, a hole, an extent and a hole, on a device that answers when it is told to.
struct Heads {
    faults: FaultHandle,
    device: Arc<HeldBackend>,
    volume: Volume,
    stepper: Stepper,
    text: Vec<u8>,
}

impl Heads {
    const FILES: u64 = 500;
    const EXTENT: u64 = 32 << 10;
    const FILE: u64 = 3 * Self::EXTENT;
    /// A quarter of the cache.
    const AHEAD_MAX: u64 = 1 << 20;

    fn new() -> Self {
        let faulty = FaultBackend::new(formatted(64 << 20));
        let faults = faulty.handle();
        let clock = Arc::new(VirtualClock::new());
        let device = Arc::new(HeldBackend::new(Arc::new(faulty), clock));
        let knobs = [
            ("cache.bytes", "4MiB"),
            ("dirty.background", "1MiB"),
            ("dirty.limit", "2MiB"),
            ("compression.extent_bytes", "32KiB"),
            ("read.ahead_max", "128KiB"),
        ];
        let opened = Volume::open_stepped(Arc::clone(&device), config(&knobs), 1);
        let (volume, stepper) = opened.expect("a volume opens");
        let heads = Self {
            faults,
            device,
            volume,
            stepper,
            text: Dice::new(1).text(length(Self::FILE)),
        };
        for number in 0..Self::FILES {
            let file = heads.volume.create(&number.to_string());
            let file = file.expect("a new file");
            let bytes = heads.bytes(number);
            for (from, to) in [(0, PAGE_BYTES), (Self::EXTENT, 2 * Self::EXTENT)] {
                let part = &bytes[length(from)..length(to)];
                file.write_at(from, part).expect("a write fits");
            }
            file.truncate(Self::FILE).expect("a truncate");
        }
        heads.volume.drop_caches().expect("caches drop");
        heads.stepper.settle();
        heads
    }

    /// What is in a file.
    fn bytes(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.text.clone();
        bytes[length(PAGE_BYTES)..length(Self::EXTENT)].fill(0);
        bytes[length(2 * Self::EXTENT)..].fill(0);
        for at in [0, length(Self::EXTENT)] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn open(&self, number: u64) -> File {
        let file = self.volume.open_file(&number.to_string());
        file.expect("it is there")
    }

    fn read(&self, number: u64, file: &File, range: FileRange) {
        let mut found = vec![0; length(range.bytes())];
        let count = file.read_at(range.start, &mut found).expect("a read");
        assert_eq!(count, found.len());
        let bytes = self.bytes(number);
        let expected = &bytes[length(range.start)..length(range.end)];
        assert!(found == expected, "file {number}, {range:?}");
    }

    /// Brings the first page of each file into the cache, and nothing else.
    fn warm(&self) {
        for number in 0..Self::FILES {
            let file = self.open(number);
            let hole = 2 * Self::EXTENT;
            for at in [hole, 0] {
                self.read(number, &file, FileRange::new(at, at + PAGE_BYTES));
            }
        }
        assert_eq!(self.under_way(), 0, "no stream has begun");
    }

    /// Begins a stream in each file, all of them hits. The handle of the last.
    fn begin_streams(&self) -> File {
        let mut last = None;
        for number in 0..Self::FILES {
            let file = self.open(number);
            self.read(number, &file, FileRange::new(0, PAGE_BYTES));
            last = Some(file);
        }
        last.expect("some files")
    }

    fn under_way(&self) -> u64 {
        self.device.held().len() as u64
    }
}

/// Who hits waits for nothing, so only the volume can say how much is read ahead of so many streams.
#[test]
fn streams_that_only_hit_have_few_reads_ahead_of_them() {
    let heads = Heads::new();
    let few = Heads::AHEAD_MAX / Heads::EXTENT;
    let settled = |heads: &Heads| {
        heads.stepper.settle();
        assert_eq!(heads.under_way(), 0);
    };

    heads.warm();
    heads.begin_streams();
    assert_eq!(heads.under_way(), few);
    let rule = FaultRule::persistent(FaultOn::Read, 1, FaultAction::Error);
    heads.faults.arm(rule);
    settled(&heads);
    assert_eq!(heads.faults.fired(), few);
    heads.faults.disarm();

    heads.begin_streams();
    assert_eq!(heads.under_way(), few, "those that failed have ended");
    heads.volume.drop_caches().expect("caches drop");
    settled(&heads);

    heads.warm();
    let refused = heads.begin_streams();
    assert_eq!(heads.under_way(), few, "those nobody wanted have ended");
    settled(&heads);
    let second = FileRange::new(PAGE_BYTES, 2 * PAGE_BYTES);
    heads.read(Heads::FILES - 1, &refused, second);
    assert_eq!(heads.under_way(), 1, "it tries again");
    settled(&heads);

    for number in 0..Heads::FILES {
        let whole = FileRange::new(0, Heads::FILE);
        heads.read(number, &heads.open(number), whole);
    }
}

/// Each sync answers for what no other has answered for, of a file or of the volume.
#[test]
fn a_sync_answers_for_nothing_twice() {
    let minute = Duration::from_secs(60);
    let bed = Bed::new(&[]);
    let write = |at: u64| bed.file.write_at(at, &[7; 4096]).expect("a write fits");
    let second = Duration::from_secs(1).as_nanos();
    write(0);
    bed.volume.sync().expect("a volume sync");
    bed.stepper.pass(minute);
    write(4096);
    bed.file.sync().expect("a sync");
    let synced = bed.volume.stats().stages.synced.time;
    assert_eq!(synced.count, 2, "both answered");
    assert!(u128::from(synced.max_ns) < second, "{synced:?}");

    write(0);
    bed.file.sync().expect("a sync");
    bed.stepper.pass(minute);
    let idle = bed.numbers_of(|bed| bed.volume.sync().expect("a volume sync"));
    assert_eq!(idle.stages.synced.time.count, 0, "nothing to answer for");
}

/// What a sync of the volume could not make durable is still to be answered for.
#[test]
fn a_failed_sync_of_the_volume_answers_for_nothing() {
    let bed = Bed::new(&[("log.enabled", "false"), ("dirty.expire", "20h")]);
    bed.file.write_at(0, &[7; 4096]).expect("a write fits");
    let rule = FaultRule::once(FaultOn::Write, 1, FaultAction::Error);
    bed.faults.arm(rule);
    bed.stepper.pass(Duration::from_secs(2));
    bed.volume.sync().expect_err("the device fails");
    bed.faults.disarm();
    assert_eq!(bed.volume.stats().stages.synced.time.count, 0);
    bed.stepper.pass(Duration::from_secs(3));
    bed.volume.sync().expect("a volume sync");
    let synced = bed.volume.stats().stages.synced.time;
    let waited = Duration::from_secs(5).as_nanos();
    assert_eq!(synced.count, 1);
    assert!(u128::from(synced.max_ns) >= waited, "{synced:?}");
}

/// Writes and FLUSHes that `act` costs, and commits.
fn costs(faults: &FaultHandle, volume: &Volume, act: impl FnOnce()) -> (u64, u64, u64) {
    let counts = || {
        (
            faults.requests(FaultOn::Write),
            faults.requests(FaultOn::Flush),
            volume.stats().meta.commits,
        )
    };
    let before = counts();
    act();
    let after = counts();
    (after.0 - before.0, after.1 - before.1, after.2 - before.2)
}

#[test]
fn a_sync_is_its_data_one_write_to_the_log_and_one_flush() {
    let bed = Bed::new(&[("compression.codec", "none")]);
    bed.volume.sync().expect("a commit");
    let costs = |act: &dyn Fn(&Bed)| costs(&bed.faults, &bed.volume, || act(&bed));
    let write = |bed: &Bed, at: u64, bytes: u64| {
        bed.file
            .write_at(at, &vec![7; length(bytes)])
            .expect("a write fits");
    };
    let sync = |bed: &Bed| bed.file.sync().expect("a sync");
    let page = costs(&|bed| {
        write(bed, 0, 4096);
        sync(bed);
    });
    assert_eq!(page, (1, 1, 0), "a page in the log");
    let extents = costs(&|bed| {
        write(bed, EXTENT_BYTES, 2 * EXTENT_BYTES);
        sync(bed);
    });
    assert_eq!(extents, (3, 1, 0), "two extents beside the log");
    let names = costs(&|bed| {
        let other = bed.volume.create("other").expect("a new file");
        bed.volume.rename("other", "another").expect("it is there");
        bed.file.truncate(100).expect("a truncate");
        other.sync().expect("a sync");
    });
    assert_eq!(names, (1, 1, 0), "changes of names and sizes");
    // The truncation was before that sync, and what it left of a page is not in the log yet.
    sync(&bed);
    assert_eq!(costs(&|bed| sync(bed)), (0, 0, 0), "nothing to do");
}

/// The first one's FLUSH takes long; those that come meanwhile share the next.
#[test]
fn syncs_at_the_same_time_share_a_flush() {
    const LATER: usize = 5;
    let faulty = FaultBackend::new(formatted(16 << 20));
    let faults = faulty.handle();
    let volume = open(&(Arc::new(faulty) as Arc<dyn Backend>), &config(&[]));
    let files: Vec<File> = (0..=LATER)
        .map(|number| volume.create(&number.to_string()).expect("a new file"))
        .collect();
    volume.sync().expect("a commit");
    for file in &files {
        file.write_at(0, &[7; 4096]).expect("a write fits");
    }
    faults.arm(FaultRule::once(
        FaultOn::Flush,
        1,
        FaultAction::Delay(Duration::from_millis(500)),
    ));
    let costs = costs(&faults, &volume, || {
        let before = faults.requests(FaultOn::Flush);
        std::thread::scope(|scope| {
            let (first, later) = files.split_first().expect("some files");
            scope.spawn(|| first.sync().expect("a sync"));
            while faults.requests(FaultOn::Flush) == before {
                pause(Duration::from_millis(1));
            }
            for file in later {
                scope.spawn(|| file.sync().expect("a sync"));
            }
        });
    });
    assert_eq!(costs, (2, 2, 0), "of one sync, and of {LATER} more");
}

/// What a truncation gave back is there after a commit alone.
#[test]
fn a_writer_that_waits_for_space_is_counted_and_one_that_has_it_is_not() {
    const MIB: u64 = 1 << 20;
    let bed = Bed::new(&[]);
    let noise = Dice::new(1).noise(length(MIB));
    let fill = |bed: &Bed| {
        for piece in 0..40 {
            bed.file.write_at(piece * MIB, &noise).expect("it fits");
        }
    };
    let roomy = bed.numbers_of(fill);
    assert_eq!(roomy.stalls.space.count, 0);
    bed.volume.sync().expect("a commit");
    bed.file.truncate(0).expect("a truncate");
    assert!(bed.volume.stats().space.pinned_bytes >= 40 * MIB);
    let full = bed.numbers_of(fill);
    assert!(full.stalls.space.count > 0 && full.meta.commits > 0);
}

#[test]
fn a_writer_that_has_to_write_nodes_is_counted() {
    let bed = Bed::new(&[("meta.front_gate", "3KiB")]);
    bed.volume.create("another").expect("a new file");
    let write = |bed: &Bed| bed.file.write_at(0, &[7; 4096]).expect("a write fits");
    let gated = bed.numbers_of(write);
    assert_eq!(gated.stalls.metadata_gate.count, 1);
    assert_eq!(gated.meta.front_gate_stalls, 1);
    let free = bed.numbers_of(write);
    assert_eq!(free.stalls.metadata_gate.count, 0);
}

#[test]
fn a_log_that_is_full_falls_back_to_a_commit() {
    let memory: Arc<dyn Backend> = Arc::new(MemBackend::new(16 << 20));
    let options = FormatOptions {
        log_bytes: Some(4 * 4096),
        ..FormatOptions::default()
    };
    Volume::format(&memory, &options).expect("a device can be formatted");
    let volume = open(&memory, &config(&[("log.commit_at", "100")]));
    let add = |number: u64| {
        let file = volume.create(&number.to_string()).expect("a new file");
        file.sync().expect("a sync");
    };
    (0..4).for_each(add);
    let before = volume.stats().meta;
    assert_eq!((before.log_batches, before.log_fallbacks), (4, 0));
    add(4);
    let full = volume.stats().meta;
    assert_eq!(full.log_fallbacks, 1, "it had no room");
    assert_eq!(full.commits, before.commits + 1);
    add(5);
    let after = volume.stats().meta;
    assert_eq!(
        (after.log_batches, after.commits),
        (5, full.commits),
        "it has room again"
    );
}

/// Names dirty nodes, and nobody but their makers can keep them from growing over all memory.
#[test]
fn who_changes_names_stops_at_the_metadata_gate() {
    const GATE_BYTES: u64 = 64 << 10;
    /// What a gate writes at once.
    const BATCH_BYTES: u64 = 2 << 20;
    let knobs = [
        ("meta.front_gate", "64KiB"),
        ("meta.flush_gate", "1TiB"),
        ("commit.interval", "1h"),
    ];
    let volume = open(&formatted(64 << 20), &config(&knobs));
    for number in 0..20_000 {
        drop(volume.create(&format!("{number:0>200}")).expect("room"));
    }
    let stats = volume.stats();
    assert!(stats.stalls.metadata_gate.count > 0, "nobody was stopped");
    let dirty_bytes = stats.meta.dirty_node_bytes;
    assert!(
        dirty_bytes <= GATE_BYTES + BATCH_BYTES,
        "{dirty_bytes} bytes"
    );
}

/// Somebody changes nodes as fast as they are written.
#[test]
fn the_committer_commits_however_many_nodes_there_are_to_write() {
    let knobs = [
        ("meta.flush_gate", "0"),
        ("meta.front_gate", "1TiB"),
        ("commit.interval", "300ms"),
    ];
    let faulty = FaultBackend::new(formatted(64 << 20));
    // Longer than a change.
    faulty.handle().arm(FaultRule::persistent(
        FaultOn::Write,
        1,
        FaultAction::Delay(Duration::from_millis(20)),
    ));
    let backend: Arc<dyn Backend> = Arc::new(faulty);
    let volume = open(&backend, &config(&knobs));
    let clock = OsClock::new();
    let late = clock.now().after(Duration::from_secs(30));
    drop(volume.create("a").expect("room"));
    while volume.stats().meta.commits < 3 && clock.now() < late {
        volume.rename("a", "b").expect("it is there");
        volume.rename("b", "a").expect("it is there");
    }
    let commits = volume.stats().meta.commits;
    assert!(commits >= 3, "{commits} commits in 30 s");
}
