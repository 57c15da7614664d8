//! What a volume should hold: arrays of bytes, and which pages of them may take space.

use super::ops::{NAMES, SLOTS};

const PAGE: usize = 4096;

/// Why a page may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Use {
    /// Nothing was ever written to it, or it was punched: it takes no space.
    #[default]
    Hole,
    /// The engine may have written to it: zeros, at the edge of a hole or the old end of the file, or
    /// what was there already.
    Edge,
    /// It was written.
    Written,
}

/// A file.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelFile {
    /// Tells files apart whatever they are called.
    pub(crate) id: u64,
    pub(crate) bytes: Vec<u8>,
    uses: Vec<Use>,
}

/// Pages that have to be stored at least, and may be at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    pub(crate) min_bytes: u64,
    pub(crate) max_bytes: u64,
}

impl ModelFile {
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if offset > self.bytes.len() {
            self.settle_tail();
        }
        if end > self.bytes.len() {
            self.resize(end);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self.uses[offset / PAGE..end.div_ceil(PAGE)].fill(Use::Written);
    }

    pub(crate) fn truncate(&mut self, size: usize) {
        if size > self.bytes.len() {
            self.settle_tail();
        }
        self.resize(size);
    }

    pub(crate) fn punch(&mut self, start: usize, end: usize) {
        let size = self.bytes.len();
        let end = end.min(size);
        if start >= end {
            return;
        }
        self.bytes[start..end].fill(0);
        let whole_end = if end == size {
            end.div_ceil(PAGE)
        } else {
            end / PAGE
        };
        self.touch(start, end);
        let first = start.div_ceil(PAGE);
        if first < whole_end {
            self.uses[first..whole_end].fill(Use::Hole);
        }
    }

    /// The bytes are as they were; they may have been written again.
    pub(crate) fn touch(&mut self, start: usize, end: usize) {
        for page in &mut self.uses[start / PAGE..end.div_ceil(PAGE)] {
            if *page == Use::Hole {
                *page = Use::Edge;
            }
        }
    }

    /// A file that grows over a gap has zeros written behind its old end.
    fn settle_tail(&mut self) {
        if !self.bytes.len().is_multiple_of(PAGE)
            && let Some(last) = self.uses.last_mut()
            && *last == Use::Hole
        {
            *last = Use::Edge;
        }
    }

    fn resize(&mut self, size: usize) {
        self.bytes.resize(size, 0);
        self.uses.resize(size.div_ceil(PAGE), Use::Hole);
    }

    /// With `zero_detect`, written zeros may be a hole.
    fn bounds(&self, zero_detect: bool) -> Bounds {
        let mut bounds = Bounds::default();
        for (page, bytes) in self.uses.iter().zip(self.bytes.chunks(PAGE)) {
            let may = *page != Use::Hole;
            let zeros = bytes == &[0; PAGE][..bytes.len()];
            let must = *page == Use::Written && !zero_detect || !zeros;
            bounds.max_bytes += u64::from(may) * PAGE as u64;
            bounds.min_bytes += u64::from(must) * PAGE as u64;
        }
        bounds
    }
}

/// All files: those with a name first.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) files: [Option<ModelFile>; SLOTS],
    next_id: u64,
}

impl Model {
    pub(crate) fn create(&mut self, slot: usize) {
        self.next_id += 1;
        self.files[slot] = Some(ModelFile {
            id: self.next_id,
            ..ModelFile::default()
        });
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&ModelFile> {
        self.files[slot].as_ref()
    }

    pub(crate) fn id(&self, slot: usize) -> Option<u64> {
        self.get(slot).map(|file| file.id)
    }

    /// Name and size of each file that has a name, by name.
    pub(crate) fn listing(&self) -> Vec<(&'static str, u64)> {
        let mut listing: Vec<_> = NAMES
            .iter()
            .zip(&self.files)
            .filter_map(|(name, file)| Some((*name, file.as_ref()?.size())))
            .collect();
        listing.sort_unstable();
        listing
    }

    /// How many files have no name.
    pub(crate) fn orphans(&self) -> u64 {
        self.files[NAMES.len()..].iter().flatten().count() as u64
    }

    /// Bounds of what the files show of stored extents. What files without a name show may be less.
    pub(crate) fn bounds(&self, zero_detect: bool) -> Bounds {
        let mut sum = Bounds::default();
        for (slot, file) in self.files.iter().enumerate() {
            let Some(file) = file else { continue };
            let bounds = file.bounds(zero_detect);
            sum.max_bytes += bounds.max_bytes;
            if slot < NAMES.len() {
                sum.min_bytes += bounds.min_bytes;
            }
        }
        sum
    }
}
