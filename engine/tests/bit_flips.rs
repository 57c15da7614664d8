//! A medium that changes bytes: no wrong byte is read, and the check finds all of it.
//!
//! On a small volume with everything in it (a tree of several levels, compressed and raw extents, holes,
//! bookends) each bit that means something is flipped in turn: of both superblocks, of every node, of
//! every stored sector. Then the volume is opened and read whole: right bytes or an error, no panic in any
//! thread, and `check` has an issue. Further: sectors of garbage, sectors exchanged (a write that
//! went elsewhere) and sectors as they were before (a write that was lost); what tells those is the
//! own address and the generation of a node, and the checksum of data.
//!
//! The log matters only to a volume that was not closed: there each bit of the batches is flipped that hold pages which nothing
//! else has and a superblock names. Zeros behind the records mean nothing, and may be changed.
//!
//! By default a seeded share of the bits is flipped; `DELALLOC_FLIPS` is how many of metadata and
//! how many of data, `DELALLOC_FLIPS=all` is every one.

mod support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{
    AlignedBuf, Backend, BackendExt, Durability, MemBackend, OsClock, Recorder, Survivors, Tear,
};
use delalloc_engine::meta::{MetaConfig, Metadata};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, FileRange, FormatOptions, Volume};
use support::{Dice, config};

const SEED: u64 = 0xF11B;
const CASES: u64 = 2000;
const CAPACITY_BYTES: u64 = 4 << 20;
const NODE_BYTES: usize = 1024;
const SECTOR: usize = 4096;
const SUPERBLOCKS: [usize; 2] = [64 << 10, 128 << 10];
/// Bytes of a read: small enough that most of a file is still looked at beside an error.
const READ_BYTES: usize = 16 << 10;

/// Panics of any thread so far.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}

/// A sound image, what its files hold, and which of its bytes mean something.
struct Sound {
    device: MemBackend,
    files: BTreeMap<String, Vec<u8>>,
    nodes: Vec<Node>,
    data: Vec<Stored>,
    /// The device after each commit, oldest first.
    history: Vec<MemBackend>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    at: usize,
    level: u8,
}

/// A stored extent, padding and all.
#[derive(Debug, Clone)]
struct Stored {
    bytes: Range<usize>,
    file: String,
}

fn knobs() -> EngineConfig {
    config(&[
        ("compression.extent_bytes", "16KiB"),
        ("compression.item_bytes", "16KiB"),
        ("thread_pool_size", "1"),
    ])
}

fn open(device: &MemBackend) -> delalloc_engine::Result<Volume> {
    let backend: Arc<dyn Backend> = Arc::new(device.reopen());
    Volume::open(backend, Arc::new(OsClock::new()), knobs())
}

impl Sound {
    fn new() -> Self {
        let device = MemBackend::new(CAPACITY_BYTES);
        let backend: Arc<dyn Backend> = Arc::new(device.reopen());
        let options = FormatOptions {
            node_bytes: 1024,
            seed: SEED,
            label: "flips".to_owned(),
            ..FormatOptions::default()
        };
        Volume::format(&backend, &options).expect("memory");
        let volume = open(&device).expect("a new volume");
        let mut dice = Dice::new(SEED);
        let mut files = BTreeMap::new();
        let mut history = Vec::new();
        for number in 0..110 {
            let name = format!("{number:0>150}");
            let bytes = write_file(&volume, &name, number, &mut dice);
            files.insert(name, bytes);
            volume.sync().expect("memory");
            history.push(device.fork());
        }
        // Two commits that leave the files alone, so that both superblocks show the same files.
        for name in ["last but one", "last"] {
            volume.create(name).expect("room");
            volume.sync().expect("memory");
            history.push(device.fork());
        }
        volume.close().expect("memory");
        assert!(check(&device).issues.is_empty());
        let image = device.image();
        let (nodes, data) = (nodes(&image), stored(&device));
        let levels = nodes.iter().map(|node| node.level).max();
        assert!(levels >= Some(2), "{levels:?} is the highest level");
        Self {
            device,
            files,
            nodes,
            data,
            history,
        }
    }

    /// Every stored sector: where it is, and whose.
    fn sectors(&self) -> Vec<(usize, &str)> {
        let of = |stored: &Stored| stored.bytes.clone().step_by(SECTOR);
        let sectors = self
            .data
            .iter()
            .flat_map(|stored| of(stored).map(|at| (at, &*stored.file)));
        sectors.collect()
    }

    fn node_sector(&self, node: Node) -> Vec<u8> {
        self.device.image()[node.at..node.at + SECTOR].to_vec()
    }
}

/// One of: compressed, raw, with a hole, overwritten in its middle.
fn write_file(volume: &Volume, name: &str, number: u64, dice: &mut Dice) -> Vec<u8> {
    let file = volume.create(name).expect("room");
    // Most are there for the tree alone.
    let len = if number < 12 {
        5000 + number * 900
    } else {
        100
    };
    let mut bytes = dice.bytes(usize::try_from(len).expect("small"));
    file.write_at(0, &bytes).expect("room");
    file.sync().expect("memory");
    match number % 3 {
        _ if len < 5000 => {}
        0 => {
            file.punch_hole(FileRange::new(4096, 4500)).expect("memory");
            bytes[4096..4500].fill(0);
        }
        1 => {
            let middle = dice.bytes(1500);
            file.write_at(3000, &middle).expect("room");
            bytes[3000..4500].copy_from_slice(&middle);
        }
        _ => {}
    }
    file.sync().expect("memory");
    bytes
}

fn u64_at(bytes: &[u8], at: usize) -> usize {
    let field = bytes[at..at + 8].try_into().expect("eight bytes");
    usize::try_from(u64::from_le_bytes(field)).expect("small")
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn newest(image: &[u8]) -> usize {
    let newest = SUPERBLOCKS
        .into_iter()
        .max_by_key(|at| u64_at(image, at + 48));
    newest.expect("two slots")
}

/// Every node of the tree, by the bytes that docs/format.md pictures.
fn nodes(image: &[u8]) -> Vec<Node> {
    let superblock = newest(image);
    let root = Node {
        at: u64_at(image, superblock + 56),
        level: image[superblock + 80],
    };
    let (mut nodes, mut todo) = (Vec::new(), vec![root]);
    while let Some(node) = todo.pop() {
        nodes.push(node);
        for item in 0..u16_at(image, node.at + 32) {
            let value = node.at + u16_at(image, node.at + 48 + item * 24 + 20);
            if node.level > 0 {
                todo.push(Node {
                    at: u64_at(image, value),
                    level: node.level - 1,
                });
            }
        }
    }
    nodes
}

/// Every stored extent, whole, and the only file that shows it.
fn stored(device: &MemBackend) -> Vec<Stored> {
    let backend: Arc<dyn Backend> = Arc::new(device.fork());
    let meta = Metadata::open(backend, MetaConfig::default()).expect("it is sound");
    let mut found: BTreeMap<usize, Stored> = BTreeMap::new();
    for inode in meta.inodes().expect("in memory") {
        for extent in meta.extents(inode.file).expect("it is sound") {
            let [start, end] = [extent.disk.start.0, extent.disk.end().0]
                .map(|at| usize::try_from(at).expect("small"));
            let file = inode.name.clone();
            found.insert(
                start,
                Stored {
                    bytes: start..end,
                    file,
                },
            );
        }
    }
    found.into_values().collect()
}

/// Puts other bytes for a sector.
fn put(device: &MemBackend, at: usize, sector: &[u8]) {
    assert_eq!((at % SECTOR, sector.len()), (0, SECTOR));
    let buf = AlignedBuf::copy_of(sector);
    let written = device.write_blocking(at as u64, buf, Durability::Cached);
    written.expect("memory");
}

fn flip(device: &MemBackend, bit: u64) {
    let at = usize::try_from(bit / 8).expect("small");
    let start = at / SECTOR * SECTOR;
    let mut sector = device.read_blocking(start as u64, SECTOR).expect("memory");
    sector[at - start] ^= 1 << (bit % 8);
    put(device, start, &sector);
}

/// Reads a file piece by piece: each is right or an error. Returns how many were errors.
fn read_file(volume: &Volume, sound: &Sound, name: &str, what: &str) -> u64 {
    let expected = &sound.files[name];
    let Ok(file) = volume.open_file(name) else {
        panic!("{what}: {name} is gone and nobody says so");
    };
    assert_eq!(file.size_bytes(), expected.len() as u64, "{what}: {name}");
    let mut errors = 0;
    for (nth, piece) in expected.chunks(READ_BYTES).enumerate() {
        let mut found = vec![0; piece.len()];
        match file.read_at((nth * READ_BYTES) as u64, &mut found) {
            Ok(bytes) => assert!(
                bytes == piece.len() && found == piece,
                "{what}: wrong bytes in {name}, piece {nth}"
            ),
            Err(_) => errors += 1,
        }
    }
    errors
}

fn read_all(volume: &Volume, sound: &Sound, what: &str) -> u64 {
    let names = sound.files.keys();
    names.map(|name| read_file(volume, sound, name, what)).sum()
}

/// A volume that stays open while stored sectors are damaged below it and mended again.
struct Damaged<'s> {
    sound: &'s Sound,
    device: MemBackend,
    volume: Volume,
}

impl<'s> Damaged<'s> {
    fn new(sound: &'s Sound) -> Self {
        let device = sound.device.fork();
        let volume = open(&device).expect("it is sound");
        assert_eq!(read_all(&volume, sound, "sound"), 0);
        Self {
            sound,
            device,
            volume,
        }
    }

    /// Puts `sector` at `at` for a while; the check finds it, and a reader of `file` gets no wrong byte.
    /// True if the reader met it.
    fn with(&self, (at, file): (usize, &str), sector: &[u8], what: &str) -> bool {
        let before = self
            .device
            .read_blocking(at as u64, SECTOR)
            .expect("memory");
        put(&self.device, at, sector);
        assert!(!check(&self.device).is_clean(), "{what}: not found");
        self.volume.drop_caches().expect("nothing is dirty");
        let errors = read_file(&self.volume, self.sound, file, what);
        put(&self.device, at, &before);
        errors > 0
    }

    fn end(self) {
        self.volume.drop_caches().expect("nothing is dirty");
        assert_eq!(read_all(&self.volume, self.sound, "mended"), 0);
    }
}

/// Opens and reads a damaged device. True where damage was met.
fn open_and_read(device: &MemBackend, sound: &Sound, what: &str) -> bool {
    // Most damage of metadata is met here, without the threads of a volume.
    let backend: Arc<dyn Backend> = Arc::new(device.fork());
    if Metadata::open(backend, MetaConfig::default()).is_err() {
        return true;
    }
    let Ok(volume) = open(&device.fork()) else {
        return true;
    };
    read_all(&volume, sound, what) > 0
}

/// What of `bits` is flipped: all, or a seeded share.
fn chosen(bits: &[Range<u64>], dice: &mut Dice) -> Vec<u64> {
    let cases = std::env::var("DELALLOC_FLIPS").ok();
    let every = bits.iter().cloned().flatten();
    match cases.as_deref() {
        Some("all") => every.collect(),
        other => {
            let wanted = other.map_or(CASES, |text| text.parse().expect("a number or `all`"));
            let total: u64 = bits.iter().map(|range| range.end - range.start).sum();
            let step = total.div_ceil(wanted.max(1));
            every.filter(|_| dice.below(step) == 0).collect()
        }
    }
}

fn bits(bytes: Range<usize>) -> Range<u64> {
    bytes.start as u64 * 8..bytes.end as u64 * 8
}

#[test]
fn no_flipped_bit_of_metadata_is_believed() {
    count_panics();
    let sound = Sound::new();
    let mut dice = Dice::new(SEED);
    let superblocks = SUPERBLOCKS.map(|at| bits(at..at + SECTOR));
    let nodes = sound
        .nodes
        .iter()
        .map(|node| bits(node.at..node.at + NODE_BYTES));
    let (mut flips, mut met) = (0_u64, 0_u64);
    // A superblock has more bits than the tree and another one stands in: a tenth of its share is read.
    for bit in chosen(&superblocks, &mut dice) {
        let what = format!("superblock bit {bit}, seed {SEED:#x}");
        let device = sound.device.fork();
        flip(&device, bit);
        assert!(!check(&device).issues.is_empty(), "{what}: not found");
        if dice.once_in(10) {
            let damaged = open_and_read(&device, &sound, &what);
            assert!(!damaged, "{what}: the other superblock is whole");
        }
        flips += 1;
    }
    for bit in chosen(&nodes.collect::<Vec<_>>(), &mut dice) {
        let what = format!("node bit {bit}, seed {SEED:#x}");
        let device = sound.device.fork();
        flip(&device, bit);
        assert!(!check(&device).is_clean(), "{what}: not found");
        met += u64::from(open_and_read(&device, &sound, &what));
        flips += 1;
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {SEED:#x}");
    println!("{flips} bits of metadata flipped, {met} refused at open");
}

#[test]
fn no_flipped_bit_of_data_is_read() {
    count_panics();
    let sound = Sound::new();
    let damaged = Damaged::new(&sound);
    let mut dice = Dice::new(SEED);
    let (mut flips, mut met) = (0_u64, 0_u64);
    let sectors = sound.sectors();
    let all: Vec<Range<u64>> = sectors
        .iter()
        .map(|(at, _)| bits(*at..at + SECTOR))
        .collect();
    for bit in chosen(&all, &mut dice) {
        let at = usize::try_from(bit / 8).expect("small") / SECTOR * SECTOR;
        let place = sectors.iter().find(|(start, _)| *start == at);
        let mut sector = sound
            .device
            .read_blocking(at as u64, SECTOR)
            .expect("memory");
        sector[usize::try_from(bit / 8).expect("small") - at] ^= 1 << (bit % 8);
        let what = format!("data bit {bit}, seed {SEED:#x}");
        met += u64::from(damaged.with(*place.expect("chosen of them"), &sector, &what));
        flips += 1;
    }
    damaged.end();
    // What a bookend hides is not read, and found by the check all the same.
    assert!(met > flips / 2, "{met} of {flips} were met by a reader");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {SEED:#x}");
    println!("{flips} bits of data flipped, {met} met by a reader");
}

/// A volume as a crash leaves it: pages of two files that only its log has, and a superblock that says so. Returns the device,
/// the bytes of its log that are in use, and what both files hold.
fn unclosed() -> (MemBackend, Range<usize>, Vec<u8>) {
    let device = MemBackend::new(CAPACITY_BYTES);
    let backend: Arc<dyn Backend> = Arc::new(device.reopen());
    let options = FormatOptions {
        node_bytes: 1024,
        seed: SEED,
        ..FormatOptions::default()
    };
    Volume::format(&backend, &options).expect("memory");
    let volume = Volume::open(
        backend,
        Arc::new(OsClock::new()),
        config(&[("commit.interval", "50ms"), ("dirty.expire", "1h")]),
    )
    .expect("a new volume");
    let files = ["one", "two"].map(|name| volume.create(name).expect("a new file"));
    volume.sync().expect("memory");
    let start = 256 << 10;
    let start = start + usize::try_from(volume.stats().meta.log_bytes).expect("small");
    let bytes = Dice::new(SEED).noise(2 * SECTOR);
    for file in &files {
        file.write_at(0, &bytes).expect("room");
        file.sync().expect("memory");
    }
    let end = (256 << 10) + usize::try_from(volume.stats().meta.log_bytes).expect("small");
    let before = volume.stats().meta.durable_generation;
    volume.create("three").expect("a new file");
    while volume.stats().meta.durable_generation == before {
        support::pause(std::time::Duration::from_millis(1));
    }
    assert_eq!(volume.stats().meta.extents.extents, 0, "nothing went home");
    (device.fork(), start..end, bytes)
}

/// The same as a crash leaves it in the middle of an open, whose superblock says of the log what the old one said.
fn half_opened(device: &MemBackend) -> MemBackend {
    let generation = |image: &[u8]| u64_at(image, newest(image) + 48);
    let before = generation(&device.image());
    let recorder = Arc::new(Recorder::new(device.fork()));
    let backend: Arc<dyn Backend> = Arc::clone(&recorder) as Arc<dyn Backend>;
    let volume = Volume::open(backend, Arc::new(OsClock::new()), knobs()).expect("it is sound");
    drop(volume);
    let images = (0..=recorder.events()).map(|at| {
        let point = recorder.crash_point(at);
        point.image(&Survivors::All, Tear::Whole)
    });
    let mut newer = images.filter(|image| generation(&image.image()) > before);
    newer.next().expect("an open that replays commits")
}

#[test]
fn no_flipped_bit_of_the_log_is_believed() {
    let (device, log, wanted) = unclosed();
    flip_log(&device, log.clone(), &wanted);
    flip_log(&half_opened(&device), log, &wanted);
}

fn flip_log(device: &MemBackend, log: Range<usize>, wanted: &[u8]) {
    count_panics();
    let mut dice = Dice::new(SEED);
    let (mut flips, mut refused, mut harmless) = (0_u64, 0_u64, 0_u64);
    for bit in chosen(&[bits(log)], &mut dice) {
        let what = format!("log bit {bit}, seed {SEED:#x}");
        let damaged = device.fork();
        flip(&damaged, bit);
        let is_found = !check(&damaged).is_clean();
        flips += 1;
        let Ok(volume) = open(&damaged) else {
            assert!(is_found, "{what}: refused, and nothing found");
            refused += 1;
            continue;
        };
        assert!(!is_found, "{what}: found, and opened all the same");
        harmless += 1;
        for name in ["one", "two"] {
            let file = volume.open_file(name).expect("it was there");
            let mut found = vec![0; wanted.len()];
            file.read_at(0, &mut found).expect("a read");
            assert!(found == wanted, "{what}: {name} is not what was synced");
        }
    }
    assert!(refused > flips / 2, "{refused} of {flips} were refused");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {SEED:#x}");
    println!("{flips} bits of a log flipped, {refused} refused, {harmless} without a meaning");
}

/// Zeros, ones, noise.
fn garbage(kind: u64, dice: &mut Dice) -> Vec<u8> {
    match kind {
        0 => vec![0; SECTOR],
        1 => vec![0xff; SECTOR],
        _ => (0..SECTOR)
            .map(|_| u8::try_from(dice.below(256)).expect("a byte"))
            .collect(),
    }
}

#[test]
fn sectors_of_garbage_are_found() {
    let sound = Sound::new();
    let damaged = Damaged::new(&sound);
    let mut dice = Dice::new(SEED);
    for kind in 0..3 {
        let what = format!("garbage {kind}, seed {SEED:#x}");
        for at in sound.nodes.iter().map(|node| node.at).chain(SUPERBLOCKS) {
            let device = sound.device.fork();
            put(&device, at, &garbage(kind, &mut dice));
            assert!(
                !check(&device).issues.is_empty(),
                "{what} at {at}: not found"
            );
            open_and_read(&device, &sound, &what);
        }
        for place in sound.sectors() {
            damaged.with(place, &garbage(kind, &mut dice), &what);
        }
    }
    damaged.end();
}

#[test]
fn misdirected_writes_are_found() {
    let sound = Sound::new();
    for (nth, &node) in sound.nodes.iter().enumerate() {
        // Another node of the same level, which is sound in itself, and one of another level.
        let others = sound.nodes[nth + 1..].iter().chain(&sound.nodes[..nth]);
        let same = others.clone().find(|other| other.level == node.level);
        let unlike = others.clone().find(|other| other.level != node.level);
        for &other in [same, unlike].into_iter().flatten() {
            let what = format!("the node of {} at {}", other.at, node.at);
            let device = sound.device.fork();
            put(&device, node.at, &sound.node_sector(other));
            assert!(!check(&device).is_clean(), "{what}: not found");
            assert!(open_and_read(&device, &sound, &what), "{what}: believed");
        }
    }
    for at in SUPERBLOCKS {
        let other = SUPERBLOCKS[usize::from(at == SUPERBLOCKS[0])];
        let what = format!("the superblock of {other} at {at}");
        let device = sound.device.fork();
        let sector = device.read_blocking(other as u64, SECTOR).expect("memory");
        put(&device, at, &sector);
        assert!(!check(&device).issues.is_empty(), "{what}: not found");
        assert!(
            !open_and_read(&device, &sound, &what),
            "the right one is whole"
        );
    }
    let damaged = Damaged::new(&sound);
    let image = sound.device.image();
    for pair in sound.sectors().windows(2) {
        for (place, (other, _)) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let what = format!("the data of {other} at {}", place.0);
            let sector = &image[other..other + SECTOR];
            if sector != &image[place.0..place.0 + SECTOR] {
                damaged.with(place, sector, &what);
            }
        }
    }
    damaged.end();
}

#[test]
fn lost_writes_are_found() {
    let sound = Sound::new();
    let damaged = Damaged::new(&sound);
    let image = sound.device.image();
    let (mut nodes, mut data) = (0, 0);
    for (nth, older) in sound.history.iter().enumerate().rev().step_by(5) {
        let older_image = older.image();
        let differs = |at: usize| older_image[at..at + SECTOR] != image[at..at + SECTOR];
        for node in sound.nodes.iter().filter(|node| differs(node.at)) {
            let what = format!("the node at {} as of commit {nth}", node.at);
            let before = &older_image[node.at..node.at + SECTOR];
            let device = sound.device.fork();
            put(&device, node.at, before);
            assert!(!check(&device).is_clean(), "{what}: not found");
            assert!(open_and_read(&device, &sound, &what), "{what}: believed");
            nodes += u64::from(before[4..8] == *b"DNOD");
        }
        for place in sound.sectors().into_iter().filter(|place| differs(place.0)) {
            let what = format!("the data at {} as of commit {nth}", place.0);
            damaged.with(place, &older_image[place.0..place.0 + SECTOR], &what);
            data += 1;
        }
    }
    damaged.end();
    assert!(
        nodes > 0 && data > 0,
        "{nodes} older nodes, {data} older sectors"
    );
    // A superblock that was lost is a commit that was not: the files of the one before.
    let device = sound.device.fork();
    put(&device, newest(&image), &vec![0; SECTOR]);
    assert!(!open_and_read(
        &device,
        &sound,
        "the newest superblock is lost"
    ));
}
