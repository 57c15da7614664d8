//! Failed writes, flipped bits, a full device.

use std::sync::Arc;

use delalloc_backends::{AlignedBuf, Durability};
use delalloc_backends::{
    Backend, BackendExt, FaultAction, FaultBackend, FaultOn, FaultRule, MemBackend,
};
use delalloc_engine::meta::{CODEC_RAW, MetaConfig, Metadata, NewExtent};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineError, FileId, FileRange, FormatOptions, Volume};

use super::case;
use crate::support::{Dice, config, formatted, open};

/// A write fails: the next sync of each opener says so, once, and what was not written is not shown.
pub(crate) fn failed_writes_are_told_once() {
    for nth in 1..4 {
        case();
        let base = formatted(16 << 20);
        let faulty = Arc::new(FaultBackend::new(Arc::clone(&base)));
        let handle = faulty.handle();
        let backend: Arc<dyn Backend> = faulty;
        let volume = open(&backend, &config(&[("compression.codec", "none")]));
        let first = volume.create("file").expect("a new file");
        let second = volume.open_file("file").expect("it is there");
        let bytes = Dice::new(nth).noise(64 << 10);
        first.write_at(0, &bytes).expect("a write fits");
        first.sync().expect("nothing has failed");
        handle.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Error));
        first
            .write_at(0, &Dice::new(nth + 100).noise(64 << 10))
            .expect("a write fits");
        for file in [&first, &second] {
            assert!(file.sync().is_err(), "a failed write was not told");
        }
        for file in [&first, &second] {
            file.sync().expect("a failed write was told twice");
        }
        assert!(volume.sync().is_err(), "the volume was not told");
        volume.sync().expect("the volume was told twice");
        let mut found = vec![0; bytes.len()];
        first
            .read_at(0, &mut found)
            .expect("the old bytes are there");
        assert!(found == bytes, "a failed write is shown");
    }
}

/// Bits of stored data flip under way: an error, never other bytes.
pub(crate) fn flipped_bits_of_data_are_seen() {
    for (seed, codec) in [(1, "none"), (2, "zstd"), (3, "lz4")] {
        case();
        let faulty = Arc::new(FaultBackend::new(formatted(16 << 20)));
        let handle = faulty.handle();
        let backend: Arc<dyn Backend> = faulty;
        let knobs = [("compression.codec", codec), ("read.ahead_max", "0")];
        let volume = open(&backend, &config(&knobs));
        let file = volume.create("file").expect("a new file");
        let bytes = Dice::new(seed).text(64 << 10);
        file.write_at(0, &bytes).expect("a write fits");
        volume.drop_caches().expect("caches drop");
        // The first read is of the tree.
        handle.arm(FaultRule::once(FaultOn::Read, 2, FaultAction::FlipBit));
        let mut found = vec![0; 4096];
        let read = file.read_at(4096, &mut found);
        assert_eq!(handle.fired(), 1, "{codec}: nothing was flipped");
        assert!(
            matches!(read, Err(EngineError::Corrupt { .. })),
            "{codec}: a flipped bit was taken for data"
        );
    }
}

/// A byte changes where a node holds nothing: its checksum alone tells.
pub(crate) fn a_changed_node_is_seen() {
    const NODE_MAGIC_AT: usize = 4;
    let base = formatted(4 << 20);
    let volume = open(&base, &config(&[]));
    volume.create("file").expect("a new file");
    volume.close().expect("a close");
    assert!(check(base.as_ref()).is_clean());
    let mut seen = 0;
    for at in (0..base.geometry().capacity_bytes).step_by(4096) {
        let mut sector = base.read_blocking(at, 4096).expect("memory");
        if &sector[NODE_MAGIC_AT..NODE_MAGIC_AT + 4] != b"DNOD" {
            continue;
        }
        case();
        let before = AlignedBuf::copy_of(&sector);
        assert_eq!(sector[2048], 0, "a small tree leaves its nodes empty");
        sector[2048] = 1;
        base.write_blocking(at, sector, Durability::Cached)
            .expect("memory");
        seen += u32::from(!check(base.as_ref()).is_clean());
        base.write_blocking(at, before, Durability::Cached)
            .expect("memory");
    }
    assert!(seen > 0, "a changed node was not seen");
}

/// Writes are refused at the door or carried out; what was accepted is never refused later.
pub(crate) fn accepted_writes_find_room() {
    for seed in 0..3 {
        case();
        let base = formatted(6 << 20);
        let volume = open(&base, &config(&[("compression.codec", "none")]));
        let mut dice = Dice::new(seed);
        let mut refused = 0;
        let files = ["a", "b", "c"].map(|name| volume.create(name).expect("a new file"));
        for _write in 0..200 {
            let at = dice.below(16) << 18;
            let bytes = dice.noise(200 << 10);
            match dice.pick(&files).write_at(at, &bytes) {
                Ok(()) => {}
                Err(EngineError::NoSpace { .. }) => refused += 1,
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if dice.once_in(8) {
                volume.sync().expect("what was accepted has room");
            }
        }
        close(volume, &base);
        assert!(refused > 0, "seed {seed}: the volume was never full");
    }
}

/// Pages of a file that lies behind a full leaf, finished from the last to the first.
pub(crate) fn promises_are_kept_downward() {
    const PAGES: u64 = 600;
    case();
    let base: Arc<dyn Backend> = Arc::new(MemBackend::new(4 << 20));
    let options = FormatOptions {
        node_bytes: 4096,
        ..FormatOptions::default()
    };
    Metadata::format(base.as_ref(), &options).expect("memory");
    let meta = Metadata::open(Arc::clone(&base), MetaConfig::default()).expect("a volume");
    let mut files = Vec::new();
    while meta.stats().tree_nodes == 1 {
        let name = format!("{:0>60}", files.len());
        files.push(meta.create(&name).expect("room"));
    }
    let file = files[files.len() - 2];
    let mut promise = meta.reserve(PAGES * 4096).expect("room");
    for page in (0..PAGES).rev() {
        let disks = meta.allocate_pieces(&mut promise, 4096, 4096, None);
        let start = 2 * page * 4096;
        let extent = NewExtent {
            range: FileRange::new(start, start + 4096),
            disk: disks.expect("a promise is kept")[0],
            ram_bytes: 4096,
            codec: CODEC_RAW,
            checksums: vec![0],
        };
        let finished = meta.finish_extent(file, &extent, None);
        finished.expect("a promise is kept");
    }
}

fn close(volume: Volume, base: &Arc<dyn Backend>) {
    volume.close().expect("what was accepted has room");
    let report = check(base.as_ref());
    assert!(report.is_clean(), "{report:?}");
}

/// A fragmented file is removed from a nearly full volume, and a new one written into what is left until a commit would
/// have to make room. A crash then: the removal is made again, and takes for a while what it took the first time.
pub(crate) fn a_replay_has_the_room_of_its_changes() {
    const PAGES: u64 = 4000;
    const PIECE_BYTES: u64 = 64 << 10;
    case();
    let device = MemBackend::new(32 << 20);
    let options = FormatOptions {
        node_bytes: 4096,
        log_bytes: Some(2 << 20),
        ..FormatOptions::default()
    };
    Metadata::format(&device, &options).expect("memory");
    let backend: Arc<dyn Backend> = Arc::new(device.reopen());
    let meta = Metadata::open(backend, MetaConfig::default()).expect("a volume");
    let [old, rest, new] = ["old", "rest", "new"].map(|name| meta.create(name).expect("room"));
    let put = |file: FileId, start: u64, bytes: u64| {
        let mut promise = meta.space().reserve(bytes)?;
        let disks = meta.allocate_pieces(&mut promise, bytes, bytes, None)?;
        let (sum, mut at) = (crc32c::crc32c(&[7; 4096]), start);
        for disk in disks {
            let len = usize::try_from(disk.bytes).expect("small");
            let data = AlignedBuf::copy_of(&vec![7; len]);
            device.write_blocking(disk.start.0, data, Durability::Cached)?;
            let range = FileRange::new(at, at + disk.bytes);
            let extent = NewExtent {
                range,
                disk,
                ram_bytes: disk.bytes,
                codec: CODEC_RAW,
                checksums: vec![sum; range.pages().count()],
            };
            meta.finish_extent(file, &extent, Some(range.end))?;
            at = range.end;
        }
        Ok::<(), EngineError>(())
    };
    for count in 0..PAGES {
        // Neighbours in the file are far apart on the device.
        let page = count * 1607 % PAGES;
        put(old, 2 * page * 4096, 4096).expect("room");
        if count % 500 == 0 {
            meta.commit().expect("memory");
        }
    }
    let mut end = 0;
    while meta.space().numbers().available_bytes > 4 << 20 {
        put(rest, end, 256 << 10).expect("room");
        end += 256 << 10;
    }
    meta.commit().expect("memory");
    let before = meta.stats().durable_generation;
    meta.set_orphan(old).expect("room");
    meta.remove_file(old).expect("room");
    let mut written = 0;
    while put(new, written, PIECE_BYTES).is_ok() {
        meta.sync_file(new).expect("the log takes it");
        written += PIECE_BYTES;
    }
    assert!(written > 0, "nothing was written");
    assert_eq!(meta.stats().durable_generation, before, "and no commit");
    let opened = Metadata::open(Arc::new(device.fork()), MetaConfig::default());
    let opened = opened.expect("what was done once is done again");
    assert_eq!(
        opened
            .inode(new)
            .expect("memory")
            .map(|inode| inode.size_bytes),
        Some(written)
    );
}
