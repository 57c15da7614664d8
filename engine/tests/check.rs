//! The check finds what it says it finds: each inconsistency is planted in an image by its documented
//! bytes (docs/format.md), sealed again where a checksum would give it away, and looked for.

mod image;

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend,
};
use delalloc_engine::DiskOffset;
use delalloc_engine::meta::{MetaConfig, Metadata};
use delalloc_engine::recover::{Issue, Severity, check};
use image::{Put, check_spotless, format, open, pages, put};
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
    found: fn(&Issue) -> bool,
}

/// Enough files for a root with leaves below it.
const TWO_LEVELS: usize = 100;

const PLANTS: &[Plant] = &[
    Plant {
        what: "the older superblock is torn",
        files: 0,
        damage: |image| {
            let older = SUPERBLOCKS.into_iter().find(|&at| at != image.superblock());
            image.0[older.expect("two slots") + 100] ^= 1;
        },
        found: |issue| matches!(issue, Issue::SuperblockUnusable { .. }),
    },
    Plant {
        what: "both superblocks are torn",
        files: 0,
        damage: |image| SUPERBLOCKS.into_iter().for_each(|at| image.0[at + 9] ^= 1),
        found: |issue| matches!(issue, Issue::NoSuperblock { .. }),
    },
    Plant {
        what: "a node's bytes changed",
        files: 0,
        damage: |image| {
            let root = image.root();
            image.0[root + 1000] ^= 1;
        },
        found: |issue| matches!(issue, Issue::NodeUnusable { .. }),
    },
    Plant {
        what: "a node has another address",
        files: 0,
        damage: |image| {
            let root = image.root();
            image.set_u64(root + 8, 4096);
            image.seal_node(root);
        },
        found: |issue| matches!(issue, Issue::NodeUnusable { .. }),
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
        found: |issue| matches!(issue, Issue::NodeFromFuture { .. }),
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
        found: |issue| matches!(issue, Issue::NodeTwice { .. }),
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
        found: |issue| matches!(issue, Issue::KeysOutOfRange { .. }),
    },
    Plant {
        what: "a mapping shows nothing",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u32(at + 24, 0)),
        found: |issue| matches!(issue, Issue::ItemMalformed { .. }),
    },
    Plant {
        what: "an inode's name is longer than its item",
        files: 0,
        damage: |image| image.patch(Kind::Inode, 0, |image, at| image.0[at + 20] = 200),
        found: |issue| matches!(issue, Issue::ItemMalformed { .. }),
    },
    Plant {
        what: "a stored extent lies in another",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Stored, 1, |image, slot| {
                let start = image.u64(slot + 8);
                image.set_u64(slot + 8, start - 4096);
            });
        },
        found: |issue| matches!(issue, Issue::SpaceOwnedTwice { .. }),
    },
    Plant {
        what: "a stored extent lies out of the volume",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Stored, 2, |image, slot| {
                image.set_u64(slot + 8, 1 << 40)
            });
        },
        found: |issue| matches!(issue, Issue::SpaceOutside { .. }),
    },
    Plant {
        what: "a file's number was not given out yet",
        files: 0,
        damage: |image| {
            let at = image.superblock();
            image.set_u64(at + 72, 2);
            image.seal_superblock(at);
        },
        found: |issue| matches!(issue, Issue::FileFromFuture { .. }),
    },
    Plant {
        what: "two files have one name",
        files: 0,
        damage: |image| {
            image.patch(Kind::Inode, 1, |image, at| {
                image.0[at + 24..at + 26].copy_from_slice(b"aa");
            });
        },
        found: |issue| matches!(issue, Issue::NameTwice { .. }),
    },
    Plant {
        what: "a mapping belongs to no file",
        files: 0,
        damage: |image| image.patch_key(Kind::Mapping, 2, |image, slot| image.set_u64(slot, 9)),
        found: |issue| matches!(issue, Issue::MappingWithoutFile { .. }),
    },
    Plant {
        what: "two mappings show the same pages",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Mapping, 1, |image, slot| {
                image.set_u64(slot + 8, 4096)
            });
        },
        found: |issue| matches!(issue, Issue::MappingsOverlap { .. }),
    },
    Plant {
        what: "a mapping is newer than its commit",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u64(at, 1000)),
        found: |issue| matches!(issue, Issue::MappingFromFuture { .. }),
    },
    Plant {
        what: "a file is shorter than its mappings",
        files: 0,
        damage: |image| image.patch(Kind::Inode, 1, |image, at| image.set_u64(at + 8, 1)),
        found: |issue| matches!(issue, Issue::MappingPastSize { .. }),
    },
    Plant {
        what: "a mapping points elsewhere: its extent is missing",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u64(at + 8, 2 << 20)),
        found: |issue| matches!(issue, Issue::StoredMissing { .. }),
    },
    Plant {
        what: "a mapping points elsewhere: its old extent is unused",
        files: 0,
        damage: |image| image.patch(Kind::Mapping, 0, |image, at| image.set_u64(at + 8, 2 << 20)),
        found: |issue| matches!(issue, Issue::StoredUnused { .. }),
    },
    Plant {
        what: "a mapping and its extent disagree",
        files: 0,
        damage: |image| {
            image.patch(Kind::Mapping, 1, |image, at| {
                image.set_u32(at + 28, 1 << 20)
            })
        },
        found: |issue| matches!(issue, Issue::StoredDisputed { .. }),
    },
    Plant {
        what: "references are counted wrongly",
        files: 0,
        damage: |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 12, 2)),
        found: |issue| {
            matches!(
                issue,
                Issue::RefsDiffer {
                    counted: 2,
                    found: 1,
                    ..
                }
            )
        },
    },
    Plant {
        what: "live bytes are counted wrongly",
        files: 0,
        damage: |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 8, 4096)),
        found: |issue| matches!(issue, Issue::LiveBytesDiffer { .. }),
    },
    Plant {
        what: "a stored sector changed",
        files: 0,
        damage: |image| {
            let root = image.root();
            let slot = Image::slot(root, image.nth(root, Kind::Stored, 1));
            let start = usize::try_from(image.u64(slot + 8)).expect("small");
            image.0[start + 5000] ^= 4;
        },
        found: |issue| matches!(issue, Issue::DataChecksum { .. }),
    },
];

#[test]
fn each_planted_inconsistency_is_found_and_ranked() {
    let mut kinds: HashSet<Discriminant<Issue>> = HashSet::new();
    for plant in PLANTS {
        let mut image = Image::new(plant.files);
        (plant.damage)(&mut image);
        let report = check(&image.device());
        let issue = report.issues.iter().find(|issue| (plant.found)(issue));
        let Some(issue) = issue else {
            panic!("{}: found {:#?}", plant.what, report.issues);
        };
        kinds.insert(discriminant(issue));
        assert_eq!(report.is_clean(), report.worst() == Some(Severity::Warning));
        let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
        if report.worst() < Some(Severity::Fatal) {
            assert!(opened.is_ok(), "{}: {opened:?}", plant.what);
        }
    }
    // All of them but `DataUnreadable`, which has its own test.
    assert_eq!(kinds.len(), 21);
}

#[test]
fn unreadable_data_is_an_issue_and_not_the_end() {
    let image = Image::new(0);
    let root = image.root();
    let slot = Image::slot(root, image.nth(root, Kind::Stored, 0));
    let start = image.u64(slot + 8);
    let faulty = FaultBackend::new(Arc::new(image.device()));
    faulty.handle().arm(FaultRule {
        on: FaultOn::Read,
        within: Some(start..start + 1),
        nth: 1,
        span: FaultSpan::Persistent,
        action: FaultAction::Error,
    });
    let report = check(&faulty);
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
