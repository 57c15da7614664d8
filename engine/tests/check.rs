//! The check finds what it says it finds: each inconsistency is planted in an image by its documented
//! bytes (docs/format.md), sealed again where a checksum would give it away, and looked for. What is
//! found is exactly that, and what follows from it. A match over all variants keeps a new one from
//! going without a plant.

mod image;

use std::collections::BTreeSet;
use std::sync::Arc;

use delalloc_backends::{
    Backend, BackendExt, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend,
};
use delalloc_engine::meta::{CODEC_RAW, MetaConfig, Metadata, NewExtent};
use delalloc_engine::recover::{CheckReport, Entry, Issue, Severity, check, check_with};
use delalloc_engine::{DiskExtent, DiskOffset, FILE_BYTES_MAX, FileRange};
use image::{PAGE, Put, check_spotless, fill, format, open, pages, put};
use proptest::prelude::*;

const NODE_BYTES: usize = 4096;
const SUPERBLOCKS: [usize; 2] = [65_536, 131_072];

/// The bytes of a volume, with what is needed to damage them.
#[derive(Clone)]
struct Image(Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inode = 1,
    Mapping = 2,
    Stored = 3,
}

impl Image {
    /// Two files, three stored extents (4 sectors raw, 2 sectors compressed, 3 sectors raw), and
    /// `more_files` empty files.
    fn new(more_files: usize) -> Self {
        let device = MemBackend::new(4 << 20);
        format(&device, u32::try_from(NODE_BYTES).expect("small"));
        let backend: Arc<dyn Backend> = Arc::new(device.reopen());
        let meta = open(&backend);
        let (first, second) = (
            meta.create("aa").expect("room"),
            meta.create("bb").expect("room"),
        );
        for (file, page, count, stored_sectors) in [
            (first, 0, 4, None),
            (first, 8, 4, Some(2)),
            (second, 0, 3, None),
        ] {
            let what = Put {
                file,
                range: pages(page, count),
                stored_sectors,
                tag: 7 + page + count,
            };
            put(backend.as_ref(), &meta, what).expect("room");
        }
        for n in 0..more_files {
            meta.create(&format!("{n:0>100}")).expect("room");
        }
        meta.commit().expect("the device works");
        check_spotless(&device);
        Self(device.image())
    }

    fn device(&self) -> MemBackend {
        MemBackend::from_image(&self.0, 4096)
    }

    fn u16(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }

    fn set_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn set_u64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn superblock(&self) -> usize {
        let newest = SUPERBLOCKS.into_iter().max_by_key(|&at| self.u64(at + 48));
        newest.expect("two slots")
    }

    fn root(&self) -> usize {
        usize::try_from(self.u64(self.superblock() + 56)).expect("small")
    }

    /// Where the slot `n` of a node is.
    fn slot(node: usize, n: usize) -> usize {
        node + 48 + n * 24
    }

    fn value(&self, node: usize, n: usize) -> usize {
        node + self.u16(Self::slot(node, n) + 20)
    }

    /// The slots of the `n`-th item of a kind in a leaf.
    fn nth(&self, leaf: usize, kind: Kind, nth: usize) -> usize {
        (0..self.u16(leaf + 32))
            .filter(|&n| self.0[Self::slot(leaf, n) + 16] == kind as u8)
            .nth(nth)
            .expect("there are as many")
    }

    /// Changes the value of the `nth` item of a kind; the tree is one leaf.
    fn patch(&mut self, kind: Kind, nth: usize, change: impl FnOnce(&mut Self, usize)) {
        let root = self.root();
        let value = self.value(root, self.nth(root, kind, nth));
        change(self, value);
        self.seal_node(root);
    }

    /// Changes the slot of the `nth` item of a kind; the tree is one leaf.
    fn patch_key(&mut self, kind: Kind, nth: usize, change: impl FnOnce(&mut Self, usize)) {
        let root = self.root();
        let slot = Self::slot(root, self.nth(root, kind, nth));
        change(self, slot);
        self.seal_node(root);
    }

    /// Takes the `nth` item of a kind out; the tree is one leaf.
    fn drop_item(&mut self, kind: Kind, nth: usize) {
        let root = self.root();
        let items = self.u16(root + 32);
        let n = self.nth(root, kind, nth);
        self.0.copy_within(
            Self::slot(root, n + 1)..Self::slot(root, items),
            Self::slot(root, n),
        );
        let left = u16::try_from(items - 1).expect("a node has below 65536 items");
        self.0[root + 32..root + 34].copy_from_slice(&left.to_le_bytes());
        self.seal_node(root);
    }

    /// Where the `nth` stored extent is; the tree is one leaf.
    fn stored_at(&self, nth: usize) -> usize {
        let root = self.root();
        let slot = Self::slot(root, self.nth(root, Kind::Stored, nth));
        usize::try_from(self.u64(slot + 8)).expect("small")
    }

    fn older_superblock(&self) -> usize {
        let older = SUPERBLOCKS.into_iter().find(|&at| at != self.superblock());
        older.expect("two slots")
    }

    fn seal_node(&mut self, node: usize) {
        let crc = crc32c::crc32c(&self.0[node + 4..node + NODE_BYTES]);
        self.set_u32(node, crc);
    }

    fn seal_superblock(&mut self, at: usize) {
        let crc = crc32c::crc32c(&self.0[at..at + 4092]);
        self.set_u32(at + 4092, crc);
    }
}

struct Plant {
    what: &'static str,
    files: usize,
    damage: fn(&mut Image),
    kind: &'static str,
    severity: Severity,
    /// What follows from it.
    also: &'static [&'static str],
}

/// Enough files for a root with leaves below it.
const TWO_LEVELS: usize = 100;

const PLANTS: &[Plant] = &[
    Plant {
        what: "the older superblock is torn",
        files: 0,
        damage: |image| {
            let older = image.older_superblock();
            image.0[older + 100] ^= 1;
        },
        kind: "superblock_unusable",
        severity: Severity::Warning,
        also: &[],
    },
    Plant {
        what: "the older superblock is of another volume",
        files: 0,
        damage: |image| {
            let older = image.older_superblock();
            image.0[older + 16] ^= 1;
            image.seal_superblock(older);
        },
        kind: "superblocks_differ",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "the newest superblock is in the slot of the next",
        files: 0,
        damage: |image| {
            let at = image.superblock();
            let generation = image.u64(at + 48);
            image.set_u64(at + 48, generation + 1);
            image.seal_superblock(at);
        },
        kind: "superblock_misplaced",
        severity: Severity::Fatal,
        also: &["superblock_stale"],
    },
    Plant {
        what: "a write of the older superblock was lost",
        files: 0,
        damage: |image| {
            let at = image.superblock();
            let generation = image.u64(at + 48);
            image.set_u64(at + 48, generation + 2);
            image.seal_superblock(at);
        },
        kind: "superblock_stale",
        severity: Severity::Warning,
        also: &[],
    },
    Plant {
        what: "both superblocks are torn",
        files: 0,
        damage: |image| SUPERBLOCKS.into_iter().for_each(|at| image.0[at + 9] ^= 1),
        kind: "no_superblock",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a node's bytes changed",
        files: 0,
        damage: |image| {
            let root = image.root();
            image.0[root + 1000] ^= 1;
        },
        kind: "node_unusable",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a node has another address",
        files: 0,
        damage: |image| {
            let root = image.root();
            image.set_u64(root + 8, 4096);
            image.seal_node(root);
        },
        kind: "node_unusable",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a node is of another level",
        files: 0,
        damage: |image| {
            let root = image.root();
            image.0[root + 34] = 1;
            image.seal_node(root);
        },
        kind: "node_unusable",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a child is newer than its parent",
        files: TWO_LEVELS,
        damage: |image| {
            let root = image.root();
            let pointer = image.value(root, 0);
            let child = usize::try_from(image.u64(pointer)).expect("small");
            image.set_u64(pointer + 8, 1000);
            image.set_u64(child + 16, 1000);
            image.seal_node(child);
            image.seal_node(root);
        },
        kind: "node_from_future",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a parent points to one child twice",
        files: TWO_LEVELS,
        damage: |image| {
            let root = image.root();
            let (first, second) = (image.value(root, 0), image.value(root, 1));
            image.0.copy_within(first..first + 16, second);
            image.seal_node(root);
        },
        kind: "node_twice",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a parent gives its child another range",
        files: TWO_LEVELS,
        damage: |image| {
            let root = image.root();
            let slot = Image::slot(root, 1);
            let object = image.u64(slot);
            image.set_u64(slot, object + 1);
            image.seal_node(root);
        },
        kind: "keys_out_of_range",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "two items share a value",
        files: 0,
        damage: |image| {
            let root = image.root();
            let (first, second) = (
                Image::slot(root, image.nth(root, Kind::Inode, 0)),
                Image::slot(root, image.nth(root, Kind::Inode, 1)),
            );
            image.0.copy_within(first + 20..first + 22, second + 20);
            image.seal_node(root);
        },
        kind: "node_unusable",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a mapping shows nothing",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u32(at + 24, 0)),
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &["stored_unused"],
    },
    Plant {
        what: "a mapping shows more than its extent has",
        files: 0,
        damage: |image| {
            image.patch(Kind::Mapping, 0, |image, at| {
                image.set_u32(at + 24, 5 * 4096)
            })
        },
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &["stored_unused"],
    },
    Plant {
        what: "a mapping is of an extent that fits no memory",
        files: 0,
        damage: |image| {
            image.patch(Kind::Mapping, 1, |image, at| {
                image.set_u32(at + 28, 0xFFFF_F000)
            })
        },
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &["stored_unused"],
    },
    Plant {
        what: "an inode's name is longer than its item",
        files: 0,
        damage: |image| image.patch(Kind::Inode, 0, |image, at| image.0[at + 20] = 200),
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &["mapping_without_file", "stored_unused"],
    },
    Plant {
        what: "an inode's name is no text",
        files: 1,
        damage: |image| image.patch(Kind::Inode, 2, |image, at| image.0[at + 24] = 0xFF),
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a size is one that no file can have",
        files: 1,
        damage: |image| {
            image.patch(Kind::Inode, 2, |image, at| {
                image.set_u64(at + 8, FILE_BYTES_MAX + 1)
            })
        },
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "an inode is not at the beginning of its file",
        files: 1,
        damage: |image| image.patch_key(Kind::Inode, 2, |image, slot| image.set_u64(slot + 8, 1)),
        kind: "item_malformed",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a stored extent lies in another",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Stored, 1, |image, slot| {
                let start = image.u64(slot + 8);
                image.set_u64(slot + 8, start - 4096);
            })
        },
        kind: "space_owned_twice",
        severity: Severity::Fatal,
        also: &["stored_missing", "stored_unused", "data_checksum"],
    },
    Plant {
        what: "a stored extent lies out of the volume",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Stored, 2, |image, slot| {
                image.set_u64(slot + 8, 1 << 40)
            })
        },
        kind: "space_outside",
        severity: Severity::Fatal,
        also: &["stored_missing", "stored_unused"],
    },
    Plant {
        what: "a file's number was not given out yet",
        files: 0,
        damage: |image| {
            let at = image.superblock();
            image.set_u64(at + 72, 2);
            image.seal_superblock(at);
        },
        kind: "file_from_future",
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a file is newer than its commit",
        files: 1,
        damage: |image| image.patch(Kind::Inode, 2, |image, at| image.set_u64(at, 1000)),
        kind: "inode_from_future",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "two files have one name",
        files: 0,
        damage: |image| {
            image.patch(Kind::Inode, 1, |image, at| {
                image.0[at + 24..at + 26].copy_from_slice(b"aa")
            })
        },
        kind: "name_twice",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a mapping belongs to no file",
        files: 0,
        damage: |image| image.patch_key(Kind::Mapping, 2, |image, slot| image.set_u64(slot, 9)),
        kind: "mapping_without_file",
        severity: Severity::Fatal,
        also: &["stored_unused"],
    },
    Plant {
        what: "two mappings show the same pages",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Mapping, 1, |image, slot| {
                image.set_u64(slot + 8, 4096)
            })
        },
        kind: "mappings_overlap",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a mapping is newer than its commit",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u64(at, 1000)),
        kind: "mapping_from_future",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a mapping is older than its file",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u64(at, 1)),
        kind: "mapping_before_file",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a file is shorter than its mappings",
        files: 0,
        damage: |image| image.patch(Kind::Inode, 1, |image, at| image.set_u64(at + 8, 1)),
        kind: "mapping_past_size",
        severity: Severity::Warning,
        also: &[],
    },
    Plant {
        what: "a codec is unknown",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 1, |image, at| image.0[at + 32] = 9),
        kind: "codec_unknown",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a mapping points elsewhere",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u64(at + 8, 2 << 20)),
        kind: "stored_missing",
        severity: Severity::Error,
        also: &["stored_unused"],
    },
    Plant {
        what: "a stored extent's item is gone",
        files: 0,
        damage: |image| image.drop_item(Kind::Stored, 1),
        kind: "stored_missing",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a mapping is gone",
        files: 0,
        damage: |image| image.drop_item(Kind::Mapping, 1),
        kind: "stored_unused",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a mapping and its extent disagree",
        files: 0,
        damage: |image| {
            image.patch(Kind::Mapping, 1, |image, at| {
                image.set_u32(at + 28, 1 << 20)
            })
        },
        kind: "stored_disputed",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a file shows an extent of another",
        files: 0,
        damage: |image| {
            let start = image.stored_at(0) as u64;
            image.patch(Kind::Mapping, 2, |image, at| {
                image.set_u64(at + 8, start);
                image.set_u32(at + 16, 4 * 4096);
                image.set_u32(at + 28, 4 * 4096);
            });
        },
        kind: "stored_disputed",
        severity: Severity::Error,
        also: &["refs_differ", "live_bytes_differ", "stored_unused"],
    },
    Plant {
        what: "references are counted wrongly",
        files: 0,
        damage: |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 12, 2)),
        kind: "refs_differ",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "live bytes are counted wrongly",
        files: 0,
        damage: |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 8, 4096)),
        kind: "live_bytes_differ",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a stored sector changed",
        files: 0,
        damage: |image| {
            let start = image.stored_at(1);
            image.0[start + 5000] ^= 4;
        },
        kind: "data_checksum",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "a stored extent has its checksums and is nothing its codec wrote",
        files: 0,
        damage: |image| {
            let start = image.stored_at(1);
            image.0[start] = 0x07;
            let crc = crc32c::crc32c(&image.0[start..start + 4096]);
            image.patch(Kind::Stored, 1, |image, at| image.set_u32(at + 16, crc));
        },
        kind: "data_undecodable",
        severity: Severity::Error,
        also: &[],
    },
];

/// One number for each variant. A variant that is not here does not compile, and one that is here
/// and that nothing plants fails.
fn number(issue: &Issue) -> usize {
    match issue {
        Issue::SuperblockUnusable { .. } => 0,
        Issue::SuperblocksDiffer { .. } => 1,
        Issue::SuperblockMisplaced { .. } => 2,
        Issue::SuperblockStale { .. } => 3,
        Issue::NoSuperblock { .. } => 4,
        Issue::NodeUnusable { .. } => 5,
        Issue::NodeFromFuture { .. } => 6,
        Issue::NodeTwice { .. } => 7,
        Issue::KeysOutOfRange { .. } => 8,
        Issue::ItemMalformed { .. } => 10,
        Issue::SpaceOwnedTwice { .. } => 11,
        Issue::SpaceOutside { .. } => 12,
        Issue::FileFromFuture { .. } => 13,
        Issue::InodeFromFuture { .. } => 14,
        Issue::NameTwice { .. } => 15,
        Issue::MappingWithoutFile { .. } => 16,
        Issue::MappingsOverlap { .. } => 17,
        Issue::MappingFromFuture { .. } => 18,
        Issue::MappingBeforeFile { .. } => 19,
        Issue::MappingPastSize { .. } => 20,
        Issue::CodecUnknown { .. } => 21,
        Issue::StoredMissing { .. } => 22,
        Issue::StoredDisputed { .. } => 23,
        Issue::StoredUnused { .. } => 24,
        Issue::RefsDiffer { .. } => 25,
        Issue::LiveBytesDiffer { .. } => 26,
        Issue::DataUnreadable { .. } => 27,
        Issue::DataChecksum { .. } => 28,
        Issue::DataUndecodable { .. } => 29,
        Issue::LogUnusable { .. } => 30,
        Issue::LogEndDropped { .. } => 31,
        Issue::LogRecordUnfit { .. } => 9,
    }
}
const VARIANTS: usize = 32;

/// Where the log is, and its first sectors: a batch each.
const LOG: usize = 256 << 10;
/// Bytes of a batch's header, and where in a record its file is.
const BATCH_HEADER: usize = 48;
const RECORD_FILE: usize = 16;

/// The image of before, with three batches in its log: a new file and three sectors of it; another new
/// file; two sectors of that.
fn logged() -> (Image, [DiskExtent; 2]) {
    let backend: Arc<dyn Backend> = Arc::new(Image::new(0).device());
    let meta = open(&backend);
    let extent = |name: &str, pages, tag| {
        let file = meta.find(name).expect("it was made");
        let what = Put {
            file,
            range: pages,
            stored_sectors: None,
            tag,
        };
        let made = put(backend.as_ref(), &meta, what).expect("room");
        meta.sync_file(file).expect("the device works");
        made[0].disk
    };
    meta.create("cc").expect("room");
    let first = extent("cc", pages(0, 3), 50);
    let last = meta.create("dd").expect("room");
    meta.sync_file(last).expect("the device works");
    let second = extent("dd", pages(2, 2), 60);
    let mut bytes = Vec::new();
    while bytes.len() < 4 << 20 {
        let part = backend.read_blocking(bytes.len() as u64, 1 << 20);
        bytes.extend_from_slice(&part.expect("memory"));
    }
    (Image(bytes), [first, second])
}

impl Image {
    fn seal_batch(&mut self, at: usize) {
        let end = at + BATCH_HEADER + self.u16(at + 32);
        let crc = crc32c::crc32c(&self.0[at + 4..end]);
        self.set_u32(at, crc);
    }

    fn change_data(&mut self, disk: DiskExtent) {
        self.0[usize::try_from(disk.start.0).expect("small") + 9] ^= 1;
    }
}

/// Damages a log; returns what is found, after a look at whether the volume opens.
fn damaged_log(what: &str, opens: bool, damage: impl Fn(&mut Image, [DiskExtent; 2])) -> Issue {
    let (mut image, disks) = logged();
    damage(&mut image, disks);
    let report = check(&image.device());
    assert_eq!(report.issues.len(), 1, "{what}: {:#?}", report.issues);
    let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
    assert_eq!(opened.is_ok(), opens, "{what}: {opened:?}");
    report.issues[0].clone()
}

fn damages_of_the_log() -> [(Issue, Severity); 4] {
    [
        (
            damaged_log("a batch before others", false, |image, _| {
                image.0[LOG + BATCH_HEADER + 3] ^= 1;
            }),
            Severity::Fatal,
        ),
        (
            damaged_log("data of the last batch", true, |image, [_, last]| {
                image.change_data(last);
            }),
            Severity::Warning,
        ),
        (
            damaged_log(
                "data of a batch before others",
                true,
                |image, [first, _]| {
                    image.change_data(first);
                },
            ),
            Severity::Error,
        ),
        (
            damaged_log("a record of a file that is not there", false, |image, _| {
                let batch = LOG + 2 * 4096;
                image.set_u64(batch + BATCH_HEADER + RECORD_FILE, 77);
                image.seal_batch(batch);
            }),
            Severity::Fatal,
        ),
    ]
}

#[test]
fn a_log_is_checked_as_an_open_would_take_it() {
    let (image, _) = logged();
    let report = check_spotless(&image.device());
    assert_eq!((report.log_batches, report.log_records), (3, 4));
    assert_eq!(report.sectors_verified, 4 + 2 + 3 + 3 + 2);
    let device: Arc<dyn Backend> = Arc::new(image.device());
    let meta = open(&device);
    let found = meta.find("dd").and_then(|file| meta.extents(file).ok());
    assert_eq!(found.map(|extents| extents.len()), Some(1));
    let report = check_spotless(device.as_ref());
    assert_eq!((report.log_batches, report.files), (0, 4), "replayed");

    let kinds = damages_of_the_log().map(|(issue, severity)| {
        assert_eq!(issue.severity(), severity, "{issue}");
        issue.kind()
    });
    let wanted = [
        "log_unusable",
        "log_end_dropped",
        "data_checksum",
        "log_record_unfit",
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn each_planted_inconsistency_is_found_and_ranked_and_nothing_else_is() {
    let mut seen = BTreeSet::new();
    for plant in PLANTS {
        let mut image = Image::new(plant.files);
        (plant.damage)(&mut image);
        let report = check(&image.device());
        let found: BTreeSet<&str> = report.issues.iter().map(Issue::kind).collect();
        let mut wanted: BTreeSet<&str> = plant.also.iter().copied().collect();
        wanted.insert(plant.kind);
        assert_eq!(found, wanted, "{}: {:#?}", plant.what, report.issues);
        for issue in &report.issues {
            if issue.kind() == plant.kind {
                assert_eq!(issue.severity(), plant.severity, "{}", plant.what);
                seen.insert(number(issue));
            }
        }
        let ranks: Vec<Severity> = report.issues.iter().map(Issue::severity).collect();
        assert!(ranks.is_sorted_by(|one, next| one >= next), "{ranks:?}");
        assert_eq!(report.is_clean(), report.worst() == Some(Severity::Warning));
        let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
        if report.worst() < Some(Severity::Fatal) {
            assert!(opened.is_ok(), "{}: {opened:?}", plant.what);
        }
    }
    seen.extend(unreadable().1.issues.iter().map(number));
    seen.extend(damages_of_the_log().iter().map(|(issue, _)| number(issue)));
    let all: BTreeSet<usize> = (0..VARIANTS).collect();
    assert_eq!(
        seen, all,
        "variants that nothing plants, or too few of them"
    );
}

#[test]
fn without_decoding_only_what_decoding_shows_is_missed() {
    for plant in PLANTS {
        let mut image = Image::new(plant.files);
        (plant.damage)(&mut image);
        let report = check_with(&image.device(), false, &mut |_| ());
        let missed = plant.kind == "data_undecodable";
        assert_eq!(report.issues.is_empty(), missed, "{}", plant.what);
        assert_eq!(report.extents_decoded, 0);
    }
}

#[test]
fn what_is_stored_is_listed_and_adds_up() {
    let image = Image::new(3);
    let backend: Arc<dyn Backend> = Arc::new(image.device());
    let meta = open(&backend);
    let first = meta.find("aa").expect("it was made");
    // The middle of the raw extent goes: a bookend on each side.
    meta.punch(first, pages(1, 2), None).expect("room");
    meta.commit().expect("the device works");
    let (mut files, mut extents) = (Vec::new(), Vec::new());
    let report = check_with(backend.as_ref(), true, &mut |entry| match entry {
        Entry::File(file) => {
            assert!(extents.is_empty(), "files come first");
            files.push(file.clone());
        }
        Entry::Extent(extent) => extents.push(extent.clone()),
    });
    assert!(report.issues.is_empty(), "{:#?}", report.issues);
    assert_eq!(report.extents_decoded, 1);
    let area_bytes = report.node_bytes + report.stored_bytes + report.log_bytes + report.free_bytes;
    assert_eq!(report.area_bytes, area_bytes);
    assert_eq!((report.bookends, report.dead_bytes()), (1, 2 * PAGE));
    assert_eq!(meta.stats().extents.dead_bytes(), 2 * PAGE);

    assert_eq!(files.len(), 5);
    let aa = &files[0];
    assert_eq!((aa.inode.name.as_str(), aa.mappings), ("aa", 3));
    assert_eq!(
        (aa.inode.size_bytes, aa.mapped_bytes),
        (12 * PAGE, 6 * PAGE)
    );
    // Two of four raw sectors, and two sectors of a compressed extent.
    assert_eq!(aa.stored_bytes, 4 * PAGE);
    assert_eq!((files[2].mappings, files[2].stored_bytes), (0, 0));

    let numbers: Vec<_> = extents
        .iter()
        .map(|extent| {
            (
                extent.plain_bytes,
                extent.live_bytes,
                extent.refs,
                extent.codec,
            )
        })
        .collect();
    assert_eq!(
        numbers,
        [
            (4 * PAGE, 2 * PAGE, 2, 0),
            (4 * PAGE, 4 * PAGE, 1, 1),
            (3 * PAGE, 3 * PAGE, 1, 0)
        ]
    );
    assert_eq!(extents[0].file, first);
    let stored_bytes: u64 = extents.iter().map(|extent| extent.disk.bytes).sum();
    assert_eq!(stored_bytes, report.stored_bytes);
}

#[test]
fn the_worst_issue_is_kept_however_many_come_before_it() {
    let device = MemBackend::new(16 << 20);
    format(&device, 4096);
    let backend: Arc<dyn Backend> = Arc::new(device);
    let meta = open(&backend);
    let file = meta.create("short").expect("room");
    let mut last = None;
    for page in 0..1100 {
        let mut reservation = meta.reserve(PAGE).expect("room");
        let disk = meta
            .space()
            .allocate_contiguous(&mut reservation, PAGE, None)
            .expect("room");
        let extent = NewExtent {
            // Apart from each other and past the size, which stays 0.
            range: FileRange::new(2 * page * PAGE, (2 * page + 1) * PAGE),
            disk,
            ram_bytes: PAGE,
            codec: CODEC_RAW,
            checksums: fill(backend.as_ref(), disk, page),
        };
        meta.finish_extent(file, &extent, None).expect("room");
        last = Some(disk);
    }
    meta.commit().expect("the device works");
    let report = check(backend.as_ref());
    assert_eq!((report.issues.len(), report.issues_more), (1000, 100));
    assert!(report.is_clean(), "warnings alone");
    let disk: DiskExtent = last.expect("many");
    fill(backend.as_ref(), disk, 5_000_000);
    let report = check(backend.as_ref());
    assert_eq!((report.issues.len(), report.issues_more), (1000, 101));
    assert_eq!(report.issues[0].kind(), "data_checksum");
    assert!(!report.is_clean());
}

/// A check of an image one sector of which cannot be read, and where that is.
fn unreadable() -> (u64, CheckReport) {
    let image = Image::new(0);
    let start = image.stored_at(0) as u64;
    let faulty = FaultBackend::new(Arc::new(image.device()));
    faulty.handle().arm(FaultRule {
        on: FaultOn::Read,
        within: Some(start..start + 1),
        nth: 1,
        span: FaultSpan::Persistent,
        action: FaultAction::Error,
    });
    (start, check(&faulty))
}

#[test]
fn unreadable_data_is_an_issue_and_not_the_end() {
    let (start, report) = unreadable();
    assert_eq!(report.worst(), Some(Severity::Error));
    assert_eq!(report.sectors_verified, 5);
    let Issue::DataUnreadable { extent, .. } = &report.issues[0] else {
        panic!("{:?}", report.issues);
    };
    assert_eq!(extent.start, DiskOffset(start));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a node's bytes are, sealed so that they are believed: no panic, from the check, from
    /// opening, from using what opened.
    #[test]
    fn hostile_nodes_are_refused_or_survived(
        changes in proptest::collection::vec((4..NODE_BYTES, any::<u8>()), 1..12),
        near_slots in any::<bool>(),
        two_levels in any::<bool>(),
    ) {
        let mut image = Image::new(if two_levels { TWO_LEVELS } else { 0 });
        let root = image.root();
        for (at, byte) in changes {
            let at = if near_slots { 32 + at % 400 } else { at };
            image.0[root + at] = byte;
        }
        image.seal_node(root);
        let report = check(&image.device());
        if let Ok(meta) = Metadata::open(Arc::new(image.device()), MetaConfig::default())
            && report.worst() < Some(Severity::Fatal)
        {
            for inode in meta.inodes().expect("in memory") {
                // Any answer but a panic.
                let _ = meta.extents(inode.file);
                let _ = meta.lookup(inode.file, 5000);
                let _ = meta.remove_file(inode.file);
            }
            let _ = meta.commit();
        }
    }
}
