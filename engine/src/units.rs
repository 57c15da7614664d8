//! The address spaces of the engine, as types: a byte of a file is never mistaken for one of the device.

use std::fmt;

/// The unit of the cache and of checksums over plain bytes.
pub const PAGE_BYTES: u64 = 4096;
/// `PAGE_BYTES` for indexing.
pub const PAGE_LEN: usize = 4096;
/// The unit of allocation on the device, and of checksums over stored bytes.
pub const SECTOR_BYTES: u64 = 4096;
/// The end of every file is at or below this: offsets stay clear of the arithmetic's ends.
pub const FILE_BYTES_MAX: u64 = 1 << 60;

const _: () = assert!(
    PAGE_BYTES == SECTOR_BYTES,
    "a page is written as whole sectors"
);
const _: () = assert!(PAGE_LEN as u64 == PAGE_BYTES);

/// A file of a volume, for as long as the volume exists: never used again after the file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// A byte address on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskOffset(pub u64);

/// A page of a file, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageIndex(pub u64);

/// One commit of all metadata, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl PageIndex {
    /// The page that holds byte `offset` of its file.
    pub fn of(offset: u64) -> Self {
        Self(offset / PAGE_BYTES)
    }

    /// The page's first byte in its file.
    pub fn start(self) -> u64 {
        self.0 * PAGE_BYTES
    }
}

/// Bytes of a file, from `start` up to and without `end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRange {
    /// First byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

impl FileRange {
    /// All that a file can have.
    pub const WHOLE: Self = Self {
        start: 0,
        end: FILE_BYTES_MAX,
    };

    /// `start..end`.
    ///
    /// # Panics
    /// Where `end` is before `start`.
    pub fn new(start: u64, end: u64) -> Self {
        assert!(
            start <= end,
            "a range of a file ends before it starts: {start}..{end}"
        );
        Self { start, end }
    }

    /// Number of bytes.
    pub fn bytes(self) -> u64 {
        self.end - self.start
    }

    /// No byte at all.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Some byte is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The bytes in both; empty, at the later start, where there are none.
    pub fn intersect(self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self {
            start,
            end: self.end.min(other.end).max(start),
        }
    }

    /// Every byte of `other` is in `self`.
    pub fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The smallest range of whole pages that covers this one.
    pub fn to_pages(self) -> Self {
        Self {
            start: self.start / PAGE_BYTES * PAGE_BYTES,
            end: self.end.next_multiple_of(PAGE_BYTES),
        }
    }

    /// The pages that hold these bytes, in order.
    pub fn pages(self) -> impl Iterator<Item = PageIndex> {
        let pages = self.to_pages();
        (pages.start / PAGE_BYTES..pages.end / PAGE_BYTES).map(PageIndex)
    }
}

impl fmt::Debug for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}..{})", self.start, self.end)
    }
}

/// A contiguous piece of the device, in bytes; both are multiples of `SECTOR_BYTES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskExtent {
    /// First byte.
    pub start: DiskOffset,
    /// How many bytes.
    pub bytes: u64,
}

impl DiskExtent {
    /// The byte after the last.
    pub fn end(self) -> DiskOffset {
        DiskOffset(self.start.0 + self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_round_out_to_pages() {
        assert_eq!(FileRange::new(1, 4097).to_pages(), FileRange::new(0, 8192));
        assert_eq!(FileRange::new(4096, 4096).pages().count(), 0);
        assert_eq!(FileRange::new(4095, 4097).pages().count(), 2);
    }

    #[test]
    fn an_empty_intersection_is_empty() {
        let (left, right) = (FileRange::new(0, 10), FileRange::new(20, 30));
        assert!(!left.overlaps(right));
        assert!(left.intersect(right).is_empty());
    }
}
