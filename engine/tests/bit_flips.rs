//! A medium that changes bytes: no wrong byte is read, and the check finds all of it.
//!
//! On a small volume with everything in it (a tree of several levels, compressed and raw extents, holes,
//! bookends) each bit that means something is flipped in turn: of both superblocks, of every node, of
//! every stored sector. Then the volume is opened and read whole: right bytes or an error, no panic in any
//! thread, and `check` has an issue. Further: sectors of garbage, sectors exchanged (a write that
//! went elsewhere) and sectors as they were before (a write that was lost); what tells those is the
//! own address and the generation of a node, and the checksum of data.
//!
//! By default a seeded share of the bits is flipped; `DELALLOC_FLIPS` is how many of metadata and
//! how many of data, `DELALLOC_FLIPS=all` is every one.

mod support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability, MemBackend, OsClock};
use delalloc_engine::meta::{MetaConfig, Metadata};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, FileRange, FormatOptions, Volume};
use support::{Dice, config};

const SEED: u64 = 0xF11B;
const CASES: u64 = 4000;
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
    /// Stored extents, padding and all.
    data: Vec<Range<usize>>,
    /// The device after each commit, oldest first.
    history: Vec<MemBackend>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    at: usize,
    level: u8,
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
        };
        Volume::format(&backend, &options).expect("memory");
        let volume = open(&device).expect("a new volume");
        let mut dice = Dice::new(SEED);
        let mut files = BTreeMap::new();
        let mut history = Vec::new();
        for number in 0..30 {
            let name = format!("file {number}");
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
        let (nodes, data) = places(&image);
        let levels = nodes.iter().map(|node| node.level).max();
        assert!(
            levels >= Some(2) && nodes.len() > 20,
            "a tree to be damaged"
        );
        Self {
            device,
            files,
            nodes,
            data,
            history,
        }
    }

    fn node_sector(&self, node: Node) -> Vec<u8> {
        self.device.image()[node.at..node.at + SECTOR].to_vec()
    }
}

/// One of: compressed, raw, with a hole, overwritten in its middle.
fn write_file(volume: &Volume, name: &str, number: u64, dice: &mut Dice) -> Vec<u8> {
    let file = volume.create(name).expect("room");
    let len = 5000 + number * 700;
    let mut bytes = dice.bytes(usize::try_from(len).expect("small"));
    file.write_at(0, &bytes).expect("room");
    file.sync().expect("memory");
    match number % 3 {
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

/// Nodes and stored extents, by the bytes that docs/format.md pictures.
fn places(image: &[u8]) -> (Vec<Node>, Vec<Range<usize>>) {
    let superblock = newest(image);
    let root = Node {
        at: u64_at(image, superblock + 56),
        level: image[superblock + 80],
    };
    let (mut nodes, mut data, mut todo) = (Vec::new(), Vec::new(), vec![root]);
    while let Some(node) = todo.pop() {
        nodes.push(node);
        for item in 0..u16_at(image, node.at + 32) {
            let slot = node.at + 48 + item * 24;
            let value = node.at + u16_at(image, slot + 20);
            if node.level > 0 {
                todo.push(Node {
                    at: u64_at(image, value),
                    level: node.level - 1,
                });
            } else if image[slot + 16] == 3 {
                let start = u64_at(image, slot + 8);
                let stored_bytes = u64_at(image, value) & 0xffff_ffff;
                data.push(start..start + stored_bytes);
            }
        }
    }
    (nodes, data)
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

/// Reads every file piece by piece: each is right or an error. Returns how many were errors.
fn read_all(volume: &Volume, files: &BTreeMap<String, Vec<u8>>, what: &str) -> u64 {
    let mut errors = 0;
    for (name, expected) in files {
        let Ok(file) = volume.open_file(name) else {
            panic!("{what}: {name} is gone and nobody says so");
        };
        assert_eq!(file.size_bytes(), expected.len() as u64, "{what}: {name}");
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
    }
    errors
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
    read_all(&volume, &sound.files, what) > 0
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
    let device = sound.device.fork();
    let volume = open(&device).expect("it is sound");
    assert_eq!(read_all(&volume, &sound.files, "sound"), 0);
    let data: Vec<Range<u64>> = sound.data.iter().cloned().map(bits).collect();
    let (mut flips, mut met) = (0_u64, 0_u64);
    for bit in chosen(&data, &mut Dice::new(SEED)) {
        let what = format!("data bit {bit}, seed {SEED:#x}");
        flip(&device, bit);
        assert!(!check(&device).is_clean(), "{what}: not found");
        volume.drop_caches().expect("nothing is dirty");
        met += u64::from(read_all(&volume, &sound.files, &what) > 0);
        flip(&device, bit);
        flips += 1;
    }
    volume.drop_caches().expect("nothing is dirty");
    assert_eq!(read_all(&volume, &sound.files, "mended"), 0);
    // What a bookend hides is not read, and found by the check all the same.
    assert!(met > flips / 2, "{met} of {flips} were met by a reader");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {SEED:#x}");
    println!("{flips} bits of data flipped, {met} met by a reader");
}

#[test]
fn sectors_of_garbage_are_found() {
    let sound = Sound::new();
    let mut dice = Dice::new(SEED);
    let places = sound.nodes.iter().map(|node| node.at);
    let data = sound
        .data
        .iter()
        .flat_map(|extent| extent.clone().step_by(SECTOR));
    for at in places.chain(data).chain(SUPERBLOCKS) {
        let before = sound
            .device
            .read_blocking(at as u64, SECTOR)
            .expect("memory");
        for kind in 0..3 {
            let sector = match kind {
                0 => vec![0; SECTOR],
                1 => vec![0xff; SECTOR],
                _ => (0..SECTOR)
                    .map(|_| u8::try_from(dice.below(256)).expect("a byte"))
                    .collect(),
            };
            if sector[..] == before[..] {
                continue;
            }
            let what = format!("garbage {kind} at {at}, seed {SEED:#x}");
            let device = sound.device.fork();
            put(&device, at, &sector);
            assert!(!check(&device).issues.is_empty(), "{what}: not found");
            open_and_read(&device, &sound, &what);
        }
    }
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
    let sectors: Vec<usize> = sound
        .data
        .iter()
        .flat_map(|extent| extent.clone().step_by(SECTOR))
        .collect();
    let image = sound.device.image();
    for pair in sectors.windows(2) {
        let [first, second] = [pair[0], pair[1]].map(|at| &image[at..at + SECTOR]);
        if first == second {
            continue;
        }
        let what = format!("the data of {} and {} exchanged", pair[0], pair[1]);
        let device = sound.device.fork();
        put(&device, pair[0], second);
        put(&device, pair[1], first);
        assert!(!check(&device).is_clean(), "{what}: not found");
        open_and_read(&device, &sound, &what);
    }
}

#[test]
fn lost_writes_are_found() {
    let sound = Sound::new();
    let image = sound.device.image();
    let (mut nodes, mut data) = (0, 0);
    for (nth, older) in sound.history.iter().enumerate() {
        let older_image = older.image();
        for node in &sound.nodes {
            let before = &older_image[node.at..node.at + SECTOR];
            if before == &image[node.at..node.at + SECTOR] {
                continue;
            }
            let what = format!("the node at {} as of commit {nth}", node.at);
            let device = sound.device.fork();
            put(&device, node.at, before);
            assert!(!check(&device).is_clean(), "{what}: not found");
            assert!(open_and_read(&device, &sound, &what), "{what}: believed");
            nodes += u64::from(before[4..8] == *b"DNOD");
        }
        // Data is checked against what its extent holds now.
        let extents = sound
            .data
            .iter()
            .flat_map(|extent| extent.clone().step_by(SECTOR));
        for at in extents.filter(|_| nth % 8 == 0) {
            let before = &older_image[at..at + SECTOR];
            if before == &image[at..at + SECTOR] {
                continue;
            }
            let what = format!("the data at {at} as of commit {nth}");
            let device = sound.device.fork();
            put(&device, at, before);
            assert!(!check(&device).is_clean(), "{what}: not found");
            open_and_read(&device, &sound, &what);
            data += 1;
        }
    }
    assert!(
        nodes > 0 && data > 0,
        "{nodes} older nodes, {data} older sectors"
    );
    // A superblock that was lost is a commit that was not: the files of the one before.
    let superblock = newest(&image);
    let device = sound.device.fork();
    put(&device, superblock, &vec![0; SECTOR]);
    assert!(!open_and_read(
        &device,
        &sound,
        "the newest superblock is lost"
    ));
}
