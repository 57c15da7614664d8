//! Hostile bytes: whatever a superblock, a node, an item, a stored extent or the metadata of a whole image
//! says, it is refused or survived.
//!
//! Proved by `delalloc_engine::hostile`, which decodes what it is given, as it is and with the
//! checksum made right, and uses it up. The inputs are of three sorts: what coverage-guided fuzzing
//! kept (`tests/corpus`, the same that the fuzz targets start from), random bytes, and sound pieces
//! of a volume with some bytes changed. `DELALLOC_CASES` sets how many random inputs each kind gets.

mod support;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::{FormatOptions, Volume, hostile};
use proptest::prelude::*;
use support::{Dice, config, open};

/// Random inputs of each kind.
const CASES: u32 = 800;

/// A name of a corpus, and what takes its bytes.
type Taker = (&'static str, fn(&[u8]));

const TARGETS: [Taker; 6] = [
    ("superblock", hostile::superblock),
    ("node", hostile::node),
    ("item", hostile::item),
    ("stored", hostile::stored),
    ("log", hostile::log),
    ("image", hostile::image),
];

#[test]
fn what_fuzzing_kept_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for (target, try_bytes) in TARGETS {
        let folder = corpus.join(target);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).expect("the corpus is there") {
            let path = entry.expect("the corpus is there").path();
            let bytes = fs::read(&path).expect("the corpus is there");
            let tried = catch_unwind(|| try_bytes(&bytes));
            assert!(tried.is_ok(), "{}", path.display());
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no input", folder.display());
    }
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("DELALLOC_CASES").ok();
    let cases = cases.map_or(CASES, |text| text.parse().expect("a number of cases"));
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

/// Sound superblocks, nodes and items, as the targets take them.
struct Sound {
    superblocks: Vec<Vec<u8>>,
    nodes: Vec<Vec<u8>>,
    items: Vec<Vec<u8>>,
}

impl Sound {
    /// Cut out of two volumes, with nodes of 1 KiB and of 4 KiB.
    fn new() -> Self {
        let mut sound = Self {
            superblocks: Vec::new(),
            nodes: Vec::new(),
            items: Vec::new(),
        };
        for (size, node_bytes) in [(0, 1024), (1, 4096)] {
            let image = volume(node_bytes);
            for at in [64 << 10, 128 << 10] {
                sound.superblocks.push(image[at..at + 4096].to_vec());
            }
            for node in image[256 << 10..].chunks(4096) {
                if node[4..8] == *b"DNOD" {
                    sound.add_node(size, &node[..node_bytes as usize]);
                }
            }
        }
        sound
    }

    fn add_node(&mut self, size: u8, node: &[u8]) {
        let level = node[34];
        self.nodes.push([&[size, level], node].concat());
        let items = usize::from(u16::from_le_bytes([node[32], node[33]]));
        for slot in node[48..]
            .chunks(24)
            .take(if level == 0 { items } else { 0 })
        {
            let field = |at: usize| usize::from(u16::from_le_bytes([slot[at], slot[at + 1]]));
            let (kind, bytes, at) = (slot[16] - 1, field(18), field(20));
            let item = [&[kind], &slot[8..16], &node[at..at + bytes]].concat();
            self.items.push(item);
        }
    }
}

fn volume(node_bytes: u32) -> Vec<u8> {
    let device = MemBackend::new(2 << 20);
    let backend: Arc<dyn Backend> = Arc::new(device.reopen());
    let options = FormatOptions {
        node_bytes,
        ..FormatOptions::default()
    };
    Volume::format(&backend, &options).expect("memory");
    let volume = open(&backend, &config(&[("compression.extent_bytes", "16KiB")]));
    let mut dice = Dice::new(1);
    for number in 0..20 {
        let file = volume.create(&format!("file {number}")).expect("room");
        file.write_at(0, &dice.bytes(9000)).expect("room");
        file.sync().expect("room");
    }
    volume.close().expect("memory");
    device.image()
}

/// One of `sound` with some bytes changed, perhaps cut short.
fn damaged(sound: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let cut = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (prop::sample::select(sound), changes, cut).prop_map(|(mut bytes, changes, cut)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(len) = cut {
            bytes.truncate(len.index(bytes.len()));
        }
        bytes
    })
}

/// Gives `try_bytes` so many of `inputs`; a failure shows the smallest that fails.
fn every(inputs: impl Strategy<Value = Vec<u8>>, try_bytes: fn(&[u8])) {
    let mut runner = proptest::test_runner::TestRunner::new(cases());
    let result = runner.run(&inputs, |bytes| {
        try_bytes(&bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn any_bytes(len_max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..len_max)
}

#[test]
fn any_superblock_is_refused_or_survived() {
    every(damaged(Sound::new().superblocks), hostile::superblock);
    every(any_bytes(200), hostile::superblock);
}

#[test]
fn any_node_is_refused_or_survived() {
    every(damaged(Sound::new().nodes), hostile::node);
    every(any_bytes(600), hostile::node);
}

#[test]
fn any_item_is_refused_or_survived() {
    every(damaged(Sound::new().items), hostile::item);
    every(any_bytes(120), hostile::item);
}

#[test]
fn any_stored_bytes_are_refused_or_decoded_in_bounds() {
    every(any_bytes(3000), hostile::stored);
}

/// Records as docs/format.md pictures them, of files and places that are there and that are not.
fn any_records() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![0..16_u64, Just(1 << 60), Just(u64::MAX), any::<u64>()];
    let place = prop_oneof![(0..256_u64).prop_map(|sector| sector * 4096), any::<u64>()];
    let lengths = (0..12_u32, 0..200_u32).prop_map(|(ram, disk)| (ram * 4096, disk % 16 * 4096));
    let record = (
        0..8_u8,
        0..4_u8,
        small.clone(),
        small,
        place.clone(),
        place,
        lengths,
    );
    prop::collection::vec(record, 1..6).prop_map(|records| {
        let mut payload = vec![0];
        for (kind, size_kind, file, size, start, disk, (ram_bytes, disk_bytes)) in records {
            let mut body = Vec::new();
            match kind {
                1 | 2 => {
                    let name = [b'a' + u8::try_from(start % 3).expect("below 3")];
                    body.extend_from_slice(&1_u64.to_le_bytes());
                    body.extend_from_slice(&name);
                    body.extend_from_slice(&[0; 7]);
                }
                5 => {
                    let disk_bytes = if ram_bytes % 8192 == 0 {
                        ram_bytes
                    } else {
                        disk_bytes
                    };
                    body.extend_from_slice(&start.to_le_bytes());
                    body.extend_from_slice(&disk.to_le_bytes());
                    body.extend_from_slice(&ram_bytes.to_le_bytes());
                    body.extend_from_slice(&disk_bytes.to_le_bytes());
                    body.extend_from_slice(&u64::from(disk_bytes != ram_bytes).to_le_bytes());
                    let zeros = crc32c::crc32c(&[0; 4096]);
                    for _ in 0..(disk_bytes / 4096).next_multiple_of(2) {
                        body.extend_from_slice(&zeros.to_le_bytes());
                    }
                }
                6 => {
                    body.extend_from_slice(&start.min(disk).to_le_bytes());
                    body.extend_from_slice(&start.max(disk).to_le_bytes());
                }
                _ => {}
            }
            let len = u32::try_from(32 + body.len()).expect("short");
            payload.extend_from_slice(&len.to_le_bytes());
            payload.extend_from_slice(&[kind, size_kind, 0, 0]);
            payload.extend_from_slice(&0_u64.to_le_bytes());
            payload.extend_from_slice(&file.to_le_bytes());
            payload.extend_from_slice(&size.to_le_bytes());
            payload.extend_from_slice(&body);
        }
        payload
    })
}

#[test]
fn any_log_is_refused_or_survived() {
    every(any_records(), hostile::log);
    every(any_bytes(300), hostile::log);
}

#[test]
fn any_image_is_refused_or_survived() {
    every(any_bytes(100), hostile::image);
    // Near the headers and slots, with small and with huge numbers, is where edits hurt.
    let edit = (
        any::<u8>(),
        any::<u8>(),
        0..300_u16,
        any::<u64>(),
        0..64_u32,
    );
    let edits = prop::collection::vec(edit, 1..6).prop_map(|edits| {
        edits
            .into_iter()
            .flat_map(|(place, width, at, value, shift)| {
                let (at, value) = (at.to_le_bytes(), (value >> shift).to_le_bytes());
                [&[place, width], &at[..], &value[..]].concat()
            })
            .collect()
    });
    every(edits, hostile::image);
}
