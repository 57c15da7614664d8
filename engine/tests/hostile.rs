//! Hostile bytes: whatever a superblock, a node, an item, a stored extent or the metadata of a whole image
//! says, it is refused or survived.
//!
//! Proved by `delalloc_engine::hostile`, which decodes what it is given, as it is and with the
//! checksum made right, and uses it up. The inputs are of three sorts: what coverage-guided fuzzing
//! kept (`tests/corpus`, the same that the fuzz targets start from), random bytes, and sound pieces
//! of a volume with some bytes changed. `DELALLOC_CASES` sets how many random inputs each kind gets.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::hostile::{AnyRecord, encode_records, kinds_of_records};
use delalloc_engine::{FormatOptions, Volume, hostile};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
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

/// What goes before records (see `hostile::log`), and records of files and places that are there, that are
/// not, and that nothing can have.
fn any_records() -> impl Strategy<Value = Vec<u8>> {
    let small = || {
        prop_oneof![
            30 => 0..16_u64,
            1 => Just(1 << 60),
            1 => Just(u64::MAX),
            1 => any::<u64>()
        ]
    };
    let place = || {
        prop_oneof![
            30 => (0..16_u64).prop_map(|page| page * 4096),
            1 => any::<u64>()
        ]
    };
    let disk = prop_oneof![
        // Seldom the place of another extent, often the same as of the record before.
        30 => (400..416_u64).prop_map(|sector| sector * 4096),
        10 => (0..512_u64).prop_map(|sector| sector * 4096),
        1 => any::<u64>()
    ];
    let kinds = (any::<u8>(), 0..3_u8, any::<u8>());
    let numbers = (small(), 0..8_u64, small(), small());
    let record = (kinds, numbers, place(), 0..5_u8, any::<bool>(), disk);
    let record = record.prop_map(|(kinds, numbers, start, pages, is_raw, disk_start)| {
        let (kind, size_kind, name) = kinds;
        let (file, generation, size_bytes, number) = numbers;
        AnyRecord {
            kind,
            size_kind,
            file,
            generation,
            size_bytes: if size_bytes < 16 {
                size_bytes * 2000
            } else {
                size_bytes
            },
            start,
            ram_bytes: u32::from(pages) * 4096,
            disk_start,
            disk_sectors: if is_raw { pages } else { pages / 2 },
            number,
            name,
        }
    });
    let records = prop::collection::vec(record, 1..8);
    (any::<u8>(), records).prop_map(|(choice, records)| {
        let mut bytes = vec![choice];
        bytes.extend(encode_records(&records));
        bytes
    })
}

#[test]
fn any_log_is_refused_or_survived() {
    every(any_records(), hostile::log);
    every(any_bytes(300), hostile::log);
}

/// The same inputs are worth something: most are decoded, with every kind among them.
#[test]
fn records_of_every_kind_are_tried() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut kinds, mut decoded) = (BTreeMap::new(), 0);
    for _ in 0..CASES {
        let bytes = any_records().new_tree(&mut runner).expect("no filter");
        let found = kinds_of_records(&bytes.current()[1..]);
        decoded += u32::from(!found.is_empty());
        for kind in found {
            *kinds.entry(kind).or_insert(0) += 1;
        }
    }
    for kind in [1, 2, 3, 4, 5, 6, 7, 9] {
        let count = kinds.get(&kind).copied().unwrap_or(0);
        assert!(count > CASES / 10, "kind {kind}: {count} of {kinds:?}");
    }
    assert!(decoded > CASES / 4, "{decoded} inputs decode");
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
