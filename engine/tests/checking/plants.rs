//! One inconsistency each: how it is planted, what a check has to say, and what follows from it.

use delalloc_engine::FILE_BYTES_MAX;
use delalloc_engine::recover::Severity;

use super::damage::{Image, Kind, SUPERBLOCKS};

pub(crate) struct Plant {
    pub(crate) what: &'static str,
    pub(crate) files: usize,
    pub(crate) damage: fn(&mut Image),
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    /// What follows from it.
    pub(crate) also: &'static [&'static str],
}

/// Enough files for a root with leaves below it.
pub(crate) const TWO_LEVELS: usize = 100;

pub(crate) const PLANTS: &[Plant] = &[
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
        severity: Severity::Fatal,
        also: &[],
    },
    Plant {
        what: "a mapping lies inside another",
        files: 0,
        damage: |image| {
            image.patch_key(Kind::Mapping, 1, |image, slot| {
                image.set_u64(slot + 8, 4096)
            });
            image.patch(Kind::Mapping, 1, |image, at| image.set_u32(at + 24, 4096));
            image.patch(Kind::Stored, 1, |image, at| image.set_u32(at + 8, 4096));
        },
        kind: "mappings_overlap",
        severity: Severity::Fatal,
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
        severity: Severity::Fatal,
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
        severity: Severity::Fatal,
        also: &["refs_differ", "live_bytes_differ", "stored_unused"],
    },
    Plant {
        what: "more references are counted than there are",
        files: 0,
        damage: |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 12, 2)),
        kind: "refs_differ",
        severity: Severity::Error,
        also: &[],
    },
    Plant {
        what: "fewer live bytes are counted than there are",
        files: 0,
        damage: |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 8, 4096)),
        kind: "live_bytes_differ",
        severity: Severity::Fatal,
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
