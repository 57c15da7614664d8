//! What survives: commits, crashes, failing devices; and what the gates cost.

mod image;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{
    Backend, CrashPlan, FaultAction, FaultBackend, FaultOn, FaultRule, MemBackend, Recorder,
};
use delalloc_engine::meta::{FormatOptions, MetaConfig, Metadata, NodeWorkers};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineError, FileId, Generation};
use image::{Oracle, PAGE, Put, check_spotless, format, is_no_space, open, pages, put};
use proptest::prelude::*;

/// More than one step of a truncation has.
const MAPPINGS: u64 = 5000;

fn mem(bytes: u64, node_bytes: u32) -> (MemBackend, Arc<dyn Backend>) {
    let backend = MemBackend::new(bytes);
    format(&backend, node_bytes);
    let same = backend.reopen();
    (backend, Arc::new(same))
}

#[derive(Debug, Clone)]
enum Op {
    Put {
        file: usize,
        page: u64,
        count: u64,
        stored: Option<u64>,
    },
    Punch {
        file: usize,
        page: u64,
        count: u64,
    },
    Truncate {
        file: usize,
        bytes: u64,
    },
    Commit,
    Early,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let file = 0..3_usize;
    prop_oneof![
        30 => (file.clone(), 0..60_u64, 2..17_u64, proptest::option::of(1..16_u64)).prop_map(
            |(file, page, count, stored)| Op::Put {
                file,
                page,
                count,
                stored: stored.map(|stored| stored.min(count - 1)),
            }
        ),
        8 => (file.clone(), 0..60_u64, 1..20_u64)
            .prop_map(|(file, page, count)| Op::Punch { file, page, count }),
        4 => (file, 0..70 * PAGE).prop_map(|(file, bytes)| Op::Truncate { file, bytes }),
        4 => Just(Op::Commit),
        2 => Just(Op::Early),
        1 => Just(Op::Reopen),
    ]
}

/// A volume, what it should show, and how to change both.
#[derive(Debug)]
struct Rig {
    backend: Arc<dyn Backend>,
    meta: Arc<Metadata>,
    files: Vec<FileId>,
    oracle: Oracle,
    tag: u64,
}

impl Rig {
    fn new(backend: Arc<dyn Backend>) -> Self {
        let meta = Self::open(&backend);
        let mut oracle = Oracle::default();
        let files: Vec<FileId> = ["a", "b", "c"]
            .into_iter()
            .map(|name| meta.create(name).expect("room"))
            .collect();
        for &file in &files {
            oracle.truncate(file, 0);
        }
        Self {
            backend,
            meta,
            files,
            oracle,
            tag: 0,
        }
    }

    /// With a flush gate of nothing, so that early writes always have work.
    fn open(backend: &Arc<dyn Backend>) -> Arc<Metadata> {
        let config = MetaConfig {
            flush_gate_bytes: 0,
            node_cache_bytes: 0,
            ..MetaConfig::default()
        };
        Metadata::open(Arc::clone(backend), config).expect("a volume")
    }

    fn apply(&mut self, op: &Op) {
        self.tag += 1;
        match *op {
            Op::Put {
                file,
                page,
                count,
                stored,
            } => {
                let file = self.files[file];
                let range = pages(page, count);
                let what = Put {
                    file,
                    range,
                    stored_sectors: stored,
                    tag: self.tag,
                };
                match put(self.backend.as_ref(), &self.meta, what) {
                    Ok(extents) => self.oracle.put(file, &extents),
                    refused => assert!(is_no_space(&refused), "{refused:?}"),
                }
            }
            Op::Punch { file, page, count } => {
                let file = self.files[file];
                let range = pages(page, count);
                self.meta.punch(file, range, None).expect("a punch goes on");
                self.oracle.punch(file, range);
            }
            Op::Truncate { file, bytes } => {
                let file = self.files[file];
                self.meta
                    .truncate(file, bytes, bytes)
                    .expect("a truncate goes on");
                self.oracle.truncate(file, bytes);
            }
            Op::Commit => {
                self.meta.commit().expect("the device works");
            }
            Op::Early => {
                self.meta
                    .write_some_dirty_nodes()
                    .expect("the device works");
            }
            Op::Reopen => {
                self.meta.commit().expect("the device works");
                self.meta = Self::open(&self.backend);
            }
        }
    }

    fn settle(&mut self) {
        self.oracle.compare(&self.meta);
        self.meta.commit().expect("the device works");
        let report = check_spotless(self.backend.as_ref());
        let numbers = self.meta.space().numbers();
        assert_eq!(numbers.pinned_bytes, 0);
        assert_eq!(numbers.reserved_bytes, 0);
        assert_eq!(report.free_bytes, numbers.free_bytes);
        assert_eq!(
            numbers.allocated_bytes,
            report.stored_bytes + numbers.node_bytes + report.log_bytes
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn mappings_are_a_map_of_pages(
        ops in proptest::collection::vec(op(), 1..200),
        node_bytes in prop_oneof![Just(1024_u32), Just(4096)],
    ) {
        let (_, backend) = mem(4 << 20, node_bytes);
        let mut rig = Rig::new(backend);
        for op in &ops {
            rig.apply(op);
        }
        rig.settle();
        rig.meta = Rig::open(&rig.backend);
        rig.settle();
    }

    #[test]
    fn a_crash_falls_back_on_a_commit(
        ops in proptest::collection::vec(op(), 1..60),
        seed in any::<u64>(),
    ) {
        let base = MemBackend::new(1280 << 10);
        format(&base, 1024);
        let recorder = Arc::new(Recorder::new(base));
        let mut rig = Rig::new(Arc::clone(&recorder) as Arc<dyn Backend>);
        rig.meta.commit().expect("the device works");
        // What each generation holds, and the event of the log after which it is durable.
        let mut commits = vec![(rig.durable(), recorder.log().events(), rig.oracle.clone())];
        for op in &ops {
            rig.apply(op);
            // A full volume commits by itself; a step between two of those has no oracle.
            if rig.durable() != commits[commits.len() - 1].0 {
                let known = matches!(op, Op::Commit | Op::Reopen);
                let oracle = if known { rig.oracle.clone() } else { Oracle::default() };
                commits.push((rig.durable(), recorder.log().events(), oracle));
            }
        }
        let log = recorder.log();
        for epoch in 0..log.epochs() {
            let plan = CrashPlan::in_epoch(&log, epoch, seed.wrapping_add(epoch as u64));
            let crash_event = log.end_of_epoch(epoch);
            let image = recorder.crash_image(&plan);
            let report = check(&image);
            prop_assert!(report.is_clean(), "epoch {}: {:#?}", epoch, report.issues);
            let promised = commits.iter().rev().find(|(_, events, _)| *events <= crash_event);
            if let Some((generation, _, _)) = promised {
                prop_assert!(report.generation >= generation.0);
            }
            let backend: Arc<dyn Backend> = Arc::new(image);
            let meta = open(&backend);
            let found = commits.iter().find(|(generation, _, _)| generation.0 == report.generation);
            if let Some((_, _, oracle)) = found {
                oracle.compare_if_known(&meta);
            }
        }
    }
}

impl Rig {
    fn durable(&self) -> Generation {
        Generation(self.meta.stats().durable_generation)
    }
}

impl Oracle {
    /// A default oracle stands for a commit in the middle of an operation.
    fn compare_if_known(&self, meta: &Metadata) {
        if *self != Self::default() {
            self.compare(meta);
        }
    }
}

#[test]
fn names_survive_and_numbers_are_not_used_again() {
    let (_, backend) = mem(4 << 20, 4096);
    let meta = open(&backend);
    let first = meta.create("first").expect("room");
    let second = meta.create("second").expect("room");
    assert!(matches!(meta.create("first"), Err(EngineError::Exists(_))));
    meta.rename(second, "third", None).expect("a free name");
    assert!(matches!(
        meta.rename(second, "first", None),
        Err(EngineError::Exists(_))
    ));
    meta.commit().expect("the device works");
    let lost = meta.create("lost").expect("room");

    let meta = open(&backend);
    assert_eq!(meta.find("first"), Some(first));
    assert_eq!(meta.find("second"), None);
    assert_eq!(meta.find("third"), Some(second));
    assert_eq!(meta.find("lost"), None);
    assert_eq!(meta.create("new").expect("room"), lost);
    meta.rename(second, "first", Some(first))
        .expect("a held name");
    assert_eq!(meta.find("first"), Some(second));
    meta.commit().expect("the device works");

    let meta = open(&backend);
    let orphans: Vec<FileId> = meta
        .inodes()
        .expect("the device works")
        .into_iter()
        .filter(|inode| inode.orphan)
        .map(|inode| inode.file)
        .collect();
    assert_eq!(orphans, [first]);
    meta.remove_file(first).expect("an orphan goes");
    assert!(matches!(meta.remove_file(first), Err(EngineError::Removed)));
    assert!(matches!(
        meta.rename(first, "x", None),
        Err(EngineError::Removed)
    ));
    meta.remove_file(lost).expect("a file goes");
    meta.commit().expect("the device works");
    let meta = open(&backend);
    let next = meta.create("next").expect("room");
    assert!(next > lost, "a number was used again");
    meta.commit().expect("the device works");
    check_spotless(backend.as_ref());
}

#[test]
fn what_was_freed_is_not_reused_before_its_commit() {
    let (_, backend) = mem(4 << 20, 4096);
    let meta = open(&backend);
    let file = meta.create("a").expect("room");
    let what = |tag| Put {
        file,
        range: pages(0, 8),
        stored_sectors: Some(3),
        tag,
    };
    let old = put(backend.as_ref(), &meta, what(1)).expect("room")[0].disk;
    meta.commit().expect("the device works");
    let mut since = Vec::new();
    for tag in 2..30 {
        since.push(put(backend.as_ref(), &meta, what(tag)).expect("room")[0].disk);
    }
    assert!(
        !since.contains(&old),
        "the committed extent was overwritten"
    );
    let mut apart = since.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), since.len(), "nothing freed is reused");
    meta.commit().expect("the device works");
    let again = put(backend.as_ref(), &meta, what(99)).expect("room")[0].disk;
    assert_eq!(again, old, "after the commit the first place is free");
}

#[test]
fn pins_hold_until_the_superblock_is_durable() {
    let (device, _) = mem(4 << 20, 4096);
    let faulty = FaultBackend::new(Arc::new(device));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = Arc::new(faulty);
    let meta = open(&backend);
    meta.create("a").expect("room");
    let before = meta.commit().expect("the device works");
    meta.create("b").expect("room");
    let slow = FaultAction::Delay(Duration::from_millis(20));
    handle.arm(FaultRule::once(FaultOn::Flush, 1, slow));
    handle.arm(FaultRule::once(FaultOn::FuaWrite, 1, slow));
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| meta.commit().expect("the device works"));
        let mut looks = 0;
        while !commit.is_finished() {
            // In this order: a commit that ends in between makes the pins go and the generation new.
            let pinned_bytes = meta.space().numbers().pinned_bytes;
            let durable = meta.stats().durable_generation;
            assert!(pinned_bytes > 0 || durable > before.0, "unpinned early");
            looks += 1;
        }
        assert!(looks > 0);
    });
    assert_eq!(meta.space().numbers().pinned_bytes, 0);
}

#[test]
fn what_is_freed_while_a_commit_is_written_waits_for_the_next() {
    let (device, _) = mem(4 << 20, 4096);
    let faulty = FaultBackend::new(Arc::new(device));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = Arc::new(faulty);
    let meta = open(&backend);
    let file = meta.create("a").expect("room");
    let what = Put {
        file,
        range: pages(0, 8),
        stored_sectors: Some(3),
        tag: 1,
    };
    let extents = put(backend.as_ref(), &meta, what).expect("room");
    meta.commit().expect("the device works");
    meta.create("b").expect("room");
    let slow = FaultAction::Delay(Duration::from_millis(50));
    handle.arm(FaultRule::once(FaultOn::Flush, 1, slow));
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| meta.commit().expect("the device works"));
        while handle.fired() == 0 {
            std::thread::yield_now();
        }
        meta.punch(file, pages(0, 8), None).expect("room");
        assert!(
            !commit.is_finished(),
            "the flush takes long enough to punch"
        );
    });
    let freed_bytes: u64 = extents.iter().map(|extent| extent.disk.bytes).sum();
    let pinned_bytes = meta.space().numbers().pinned_bytes;
    assert!(
        pinned_bytes >= freed_bytes,
        "the durable tree still shows what was freed"
    );
    meta.commit().expect("the device works");
    assert_eq!(meta.space().numbers().pinned_bytes, 0);
}

#[test]
fn mappings_past_the_size_are_dropped_when_the_volume_opens() {
    let (_, backend) = mem(4 << 20, 4096);
    let meta = open(&backend);
    let file = meta.create("a").expect("room");
    let what = Put {
        file,
        range: pages(10, 4),
        stored_sectors: None,
        tag: 5,
    };
    put(backend.as_ref(), &meta, what).expect("room");
    // The prefix of the file is still being written: the size on disk has not caught up.
    let (size_bytes, extents) = (11 * PAGE + 1, meta.extents(file).expect("the device works"));
    let mut half = extents[0];
    half.length = 2 * PAGE;
    meta.truncate(file, 14 * PAGE, size_bytes)
        .expect("nothing to cut");
    meta.commit().expect("the device works");
    let report = check(backend.as_ref());
    assert!(report.is_clean() && report.issues.len() == 1, "{report:?}");

    let meta = open(&backend);
    assert_eq!(meta.extents(file).expect("the device works"), [half]);
    meta.commit().expect("the device works");
    check_spotless(backend.as_ref());
}

#[test]
fn a_failing_device_makes_the_volume_read_only_and_the_last_commit_stays() {
    for (on, nth) in [
        (FaultOn::Write, 1),
        (FaultOn::Write, 2),
        (FaultOn::Flush, 1),
        (FaultOn::FuaWrite, 1),
    ] {
        let (device, _) = mem(4 << 20, 1024);
        let faulty = FaultBackend::new(Arc::new(device.reopen()));
        let handle = faulty.handle();
        let backend: Arc<dyn Backend> = Arc::new(faulty);
        let meta = open(&backend);
        let file = meta.create("kept").expect("room");
        for n in 0..40 {
            meta.create(&format!("file {n}")).expect("room");
        }
        meta.commit().expect("the device works");
        meta.rename(file, "changed", None).expect("room");
        handle.arm(FaultRule::once(on, nth, FaultAction::Error));
        let failed = meta.commit();
        if failed.is_ok() {
            assert_eq!(
                (on, nth),
                (FaultOn::Write, 2),
                "one node was all there was to write"
            );
            continue;
        }
        assert!(matches!(failed, Err(EngineError::Device(_))), "{failed:?}");
        for refused in [
            meta.commit().map(|_| ()),
            meta.create("more").map(|_| ()),
            meta.truncate(file, 0, 0).map_err(EngineError::from),
            meta.balance_metadata(),
            meta.write_some_dirty_nodes().map(|_| ()),
            meta.reserve(PAGE).map(|_| ()),
        ] {
            let stays = matches!(refused, Err(EngineError::ReadOnly(_))) || refused.is_ok();
            assert!(stays, "{refused:?}");
        }
        assert!(meta.commit().is_err() && meta.create("more").is_err());
        assert_eq!(meta.find("changed"), Some(file), "reads go on");
        let backend: Arc<dyn Backend> = Arc::new(device.reopen());
        assert_eq!(open(&backend).find("kept"), Some(file));
    }
}

/// Threads on which every node is lost.
#[derive(Debug)]
struct Panicking;

impl NodeWorkers for Panicking {
    fn run(&self, _job: Box<dyn FnOnce() + Send>) {
        panic!("planted");
    }
}

#[test]
fn a_commit_that_panics_leaves_no_superblock_without_its_tree() {
    let (device, backend) = mem(4 << 20, 4096);
    let meta = open(&backend);
    meta.create("kept").expect("room");
    meta.commit().expect("the device works");
    meta.encode_on(Arc::new(Panicking));
    meta.create("lost").expect("room");
    let commit = || meta.commit();
    catch_unwind(AssertUnwindSafe(commit)).expect_err("its nodes are lost");
    for again in [meta.commit(), meta.commit()] {
        let said = again.expect_err("what was lost is not built upon");
        assert!(matches!(said, EngineError::ReadOnly(_)), "{said}");
    }
    let backend: Arc<dyn Backend> = Arc::new(device.reopen());
    assert!(open(&backend).find("kept").is_some());
    check_spotless(backend.as_ref());
}

/// A node cannot be read in the middle of a truncation of many steps: what `CutShort` calls gone is gone, and
/// what is before that is there.
#[test]
fn a_truncation_that_is_cut_short_says_how_far_it_came() {
    let (device, backend) = mem(64 << 20, 4096);
    {
        let meta = open(&backend);
        let file = meta.create("file").expect("room");
        for n in 0..MAPPINGS {
            let page = Put {
                file,
                range: pages(2 * n, 1),
                stored_sectors: None,
                tag: n,
            };
            put(backend.as_ref(), &meta, page).expect("room");
        }
        meta.commit().expect("the device works");
    }
    let whole = 2 * MAPPINGS * PAGE;
    let (mut nth, mut in_part) = (1, 0);
    loop {
        let faulty = FaultBackend::new(Arc::new(device.fork()));
        let handle = faulty.handle();
        let config = MetaConfig {
            node_cache_bytes: 0,
            ..MetaConfig::default()
        };
        let meta = Metadata::open(Arc::new(faulty), config).expect("a volume");
        let file = meta.find("file").expect("it is there");
        handle.arm(FaultRule::once(FaultOn::Read, nth, FaultAction::Error));
        let Err(short) = meta.truncate(file, 0, 0) else {
            break;
        };
        let left = meta.extents(file).expect("nodes can be read again");
        if meta.read_only().is_none() {
            in_part += u32::from(short.gone_from < whole);
            let end = left.last().map_or(0, |extent| extent.range().end);
            assert_eq!(end, short.gone_from.min(whole) - PAGE, "at read {nth}");
            assert_eq!(left.len() as u64, end.div_ceil(2 * PAGE), "at read {nth}");
        }
        nth += 23;
    }
    assert!(nth > 1 && in_part > 0, "{nth} reads, {in_part} steps");
}

#[test]
fn concurrent_callers_share_commits() {
    let (_, backend) = mem(16 << 20, 4096);
    let meta = open(&backend);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let meta = &meta;
            scope.spawn(move || {
                for n in 0..50 {
                    let name = format!("{thread} {n}");
                    meta.create(&name).expect("room");
                    let durable = meta.commit().expect("the device works");
                    assert!(durable < meta.generation());
                }
            });
        }
    });
    let stats = meta.stats();
    assert_eq!(stats.commits + stats.commits_shared, 200);
    let idle = meta.commit().expect("the device works");
    assert_eq!(meta.commit().expect("the device works"), idle);
    assert_eq!(meta.stats().commits, stats.commits);
    assert_eq!(
        open(&backend).inodes().expect("the device works").len(),
        200
    );
    check_spotless(backend.as_ref());
}

#[test]
fn a_written_node_is_copied_again_and_the_front_gate_stalls() {
    let (_, backend) = mem(16 << 20, 4096);
    let config = MetaConfig {
        front_gate_bytes: 64 << 10,
        flush_gate_bytes: 32 << 10,
        ..MetaConfig::default()
    };
    let meta = Metadata::open(Arc::clone(&backend), config).expect("a volume");
    for n in 0..2000 {
        meta.create(&format!("a file with a name to fill nodes, {n}"))
            .expect("room");
        meta.balance_metadata().expect("the device works");
        assert!(meta.dirty_node_bytes() <= (64 << 10) + 4 * 4096);
    }
    let stats = meta.stats();
    assert!(stats.front_gate_stalls > 0 && stats.node_writes_early > 0);
    assert!(stats.node_recopies > 0, "{stats:?}");
    while meta.write_some_dirty_nodes().expect("the device works") > 0 {}
    assert!(meta.dirty_node_bytes() <= 32 << 10);
    meta.commit().expect("the device works");
    assert_eq!(meta.dirty_node_bytes(), 0);
    check_spotless(backend.as_ref());
    assert_eq!(
        open(&backend).inodes().expect("the device works").len(),
        2000
    );
}

#[test]
fn formats_and_opens_what_it_should_and_nothing_else() {
    let small = MemBackend::new(512 << 10);
    let options = FormatOptions::default();
    assert!(matches!(
        Metadata::format(&small, &options),
        Err(EngineError::Invalid(_))
    ));
    let odd = FormatOptions {
        node_bytes: 5000,
        ..options.clone()
    };
    let device = MemBackend::new(4 << 20);
    assert!(matches!(
        Metadata::format(&device, &odd),
        Err(EngineError::Invalid(_))
    ));
    let open =
        |device: &MemBackend| Metadata::open(Arc::new(device.reopen()), MetaConfig::default());
    assert!(matches!(open(&device), Err(EngineError::NotAVolume(_))));
    Metadata::format(&device, &options).expect("the device works");
    let meta = open(&device).expect("a volume");
    meta.create("a").expect("room");
    meta.commit().expect("the device works");
    Metadata::format(&device, &options).expect("the device works");
    assert_eq!(open(&device).expect("a volume").find("a"), None);
    let image = device.image();
    let cut = MemBackend::from_image(&image[..3 << 20], 4096);
    assert!(matches!(open(&cut), Err(EngineError::NotAVolume(_))));
}

/// A replay asks for room for it as well; a commit ends that, though the tree is the same.
#[test]
fn a_change_of_nothing_is_something_to_commit() {
    let (_device, backend) = mem(8 << 20, 4096);
    let meta = open(&backend);
    let file = meta.create("a").expect("room");
    let commits = |wanted| {
        meta.commit().expect("the device works");
        assert_eq!(meta.stats().commits, wanted);
    };
    commits(1);
    commits(1);
    meta.punch(file, pages(0, 4), None).expect("room");
    commits(2);
    commits(2);
}

/// Of one seed, so that nothing else tells the old log from the new one.
#[test]
fn a_volume_that_is_formatted_again_has_nothing_in_its_log() {
    let (device, backend) = mem(8 << 20, 4096);
    let meta = open(&backend);
    let file = meta.create("a").expect("room");
    meta.sync_file(file).expect("the log takes it");
    drop(meta);
    let crashed: Arc<dyn Backend> = Arc::new(device.fork());
    assert_eq!(open(&crashed).find("a"), Some(file), "it was in the log");
    format(&device, 4096);
    assert_eq!(open(&backend).find("a"), None);
}

#[test]
fn formatting_wipes_the_marks_of_others() {
    let image = vec![0xaa; 16 << 20];
    let backend = MemBackend::from_image(&image, 512);
    Metadata::format(&backend, &FormatOptions::default()).expect("a device can be formatted");
    let formatted = backend.image();
    let marks = |part: &[u8]| part.windows(8).filter(|bytes| bytes == &[0xaa; 8]).count();
    assert_eq!(marks(&formatted[..256 << 10]), 0, "at the front");
    assert_eq!(
        marks(&formatted[formatted.len() - (256 << 10)..]),
        0,
        "at the end"
    );
    Metadata::open(Arc::new(backend), MetaConfig::default()).expect("it is a volume");
}
