//! The bytes of a volume, and how to damage them by what docs/format.md says.

use std::sync::Arc;

use delalloc_backends::{Backend, BackendExt, MemBackend};

use crate::image::{Put, check_spotless, format, open, pages, put};

pub(crate) const NODE_BYTES: usize = 4096;
pub(crate) const SUPERBLOCKS: [usize; 2] = [65_536, 131_072];

/// The bytes of a volume, with what is needed to damage them.
#[derive(Clone)]
pub(crate) struct Image(pub(crate) Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inode = 1,
    Mapping = 2,
    Stored = 3,
}

impl Image {
    /// Two files, three stored extents (4 sectors raw, 2 sectors compressed, 3 sectors raw), and
    /// `more_files` empty files.
    pub(crate) fn new(more_files: usize) -> Self {
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

    /// The bytes of a device as large as that of `new`.
    pub(crate) fn of(backend: &dyn Backend) -> Self {
        let mut bytes = Vec::new();
        while bytes.len() < 4 << 20 {
            let part = backend.read_blocking(bytes.len() as u64, 1 << 20);
            bytes.extend_from_slice(&part.expect("memory"));
        }
        Self(bytes)
    }

    /// The image of `new` without the second and third page of the first extent, which two mappings show
    /// then.
    pub(crate) fn punched() -> Self {
        let backend: Arc<dyn Backend> = Arc::new(Self::new(0).device());
        let meta = open(&backend);
        let first = meta.find("aa").expect("it was made");
        meta.punch(first, pages(1, 2), None).expect("room");
        meta.commit().expect("the device works");
        Self::of(backend.as_ref())
    }

    pub(crate) fn device(&self) -> MemBackend {
        MemBackend::from_image(&self.0, 4096)
    }

    pub(crate) fn u16(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }

    pub(crate) fn set_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn set_u64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn superblock(&self) -> usize {
        let newest = SUPERBLOCKS.into_iter().max_by_key(|&at| self.u64(at + 48));
        newest.expect("two slots")
    }

    pub(crate) fn root(&self) -> usize {
        usize::try_from(self.u64(self.superblock() + 56)).expect("small")
    }

    /// Where the slot `n` of a node is.
    pub(crate) fn slot(node: usize, n: usize) -> usize {
        node + 48 + n * 24
    }

    pub(crate) fn value(&self, node: usize, n: usize) -> usize {
        node + self.u16(Self::slot(node, n) + 20)
    }

    /// The slots of the `n`-th item of a kind in a leaf.
    pub(crate) fn nth(&self, leaf: usize, kind: Kind, nth: usize) -> usize {
        (0..self.u16(leaf + 32))
            .filter(|&n| self.0[Self::slot(leaf, n) + 16] == kind as u8)
            .nth(nth)
            .expect("there are as many")
    }

    /// Changes the value of the `nth` item of a kind; the tree is one leaf.
    pub(crate) fn patch(&mut self, kind: Kind, nth: usize, change: impl FnOnce(&mut Self, usize)) {
        let root = self.root();
        let value = self.value(root, self.nth(root, kind, nth));
        change(self, value);
        self.seal_node(root);
    }

    /// Changes the slot of the `nth` item of a kind; the tree is one leaf.
    pub(crate) fn patch_key(
        &mut self,
        kind: Kind,
        nth: usize,
        change: impl FnOnce(&mut Self, usize),
    ) {
        let root = self.root();
        let slot = Self::slot(root, self.nth(root, kind, nth));
        change(self, slot);
        self.seal_node(root);
    }

    /// Takes the `nth` item of a kind out; the tree is one leaf.
    pub(crate) fn drop_item(&mut self, kind: Kind, nth: usize) {
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
    pub(crate) fn stored_at(&self, nth: usize) -> usize {
        let root = self.root();
        let slot = Self::slot(root, self.nth(root, Kind::Stored, nth));
        usize::try_from(self.u64(slot + 8)).expect("small")
    }

    pub(crate) fn older_superblock(&self) -> usize {
        let older = SUPERBLOCKS.into_iter().find(|&at| at != self.superblock());
        older.expect("two slots")
    }

    pub(crate) fn seal_node(&mut self, node: usize) {
        let crc = crc32c::crc32c(&self.0[node + 4..node + NODE_BYTES]);
        self.set_u32(node, crc);
    }

    pub(crate) fn seal_superblock(&mut self, at: usize) {
        let crc = crc32c::crc32c(&self.0[at..at + 4092]);
        self.set_u32(at + 4092, crc);
    }
}
