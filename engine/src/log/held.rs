//! Data that the log holds and the tree has not: pages that a `sync` made durable by putting their bytes
//! into a batch, long before anybody gave them an address.
//!
//! ```text
//!   push --> Pending --take--> Writing --flushed--> Durable --supersede--> (gone)
//!               ^                 |
//!               '---returned------'                supersede: its range has entered the tree, or was cut
//! ```
//!
//! Each page that is pushed has a number, counted over the volume since it was opened. A change of the
//! tree says which numbers it is newer than, so its record and those of the data may stand in the log
//! in any order. Several copies of a page may be held at a time: an older one counts until a younger one
//! is durable.
//!
//! A commit does not wait for this data to find its way home. Its superblock names the copies that are
//! held ([`HeldSet`]), and the tail of the log stays at the oldest batch that has one; what forces the
//! data home is only that the log fills up.
//!
//! Invariants
//!   * Copies that have a place in the log have lower numbers than those that have none, and places
//!     ascend with numbers: a batch takes all that is pending, and one batch is written at a time.
//!   * All numbers held lie within `WINDOW` of each other.
//!
//! Pure; the owner holds the log's lock. Not here: how the bytes look (format), who pushes and who forces
//! home (writeback/logged, services).

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::ring::Place;
use crate::cache::Frame;
use crate::mutation::{self, Mutation};
use crate::units::{FileId, FileRange, Generation, PAGE_BYTES, PageIndex};

/// Numbers a superblock can name: 32 MiB of pages.
pub(crate) const WINDOW: u64 = 8 * HeldSet::BYTES as u64;

/// The number of a copy; as a bound, the copies before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct DataNumber(pub(crate) u64);

/// A page in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedPage {
    pub(crate) file: FileId,
    pub(crate) page: PageIndex,
    pub(crate) number: DataNumber,
    /// The size of the file when this was pushed.
    pub(crate) size_bytes: u64,
    /// The whole page.
    pub(crate) bytes: LoggedBytes,
}

/// The bytes of a page in the log. None of them is copied until they go into a batch.
#[derive(Debug, Clone)]
pub(crate) enum LoggedBytes {
    /// As the cache has them. Whoever writes to the page before its batch is through gets a frame of its own.
    Cached(Frame),
    /// As the log on the device has them.
    Read(Arc<[u8]>),
}

impl Deref for LoggedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Cached(frame) => frame.bytes(),
            Self::Read(bytes) => bytes,
        }
    }
}

impl PartialEq for LoggedBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for LoggedBytes {}

/// Numbers, as a superblock names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldSet {
    pub(crate) first: DataNumber,
    /// Bit n stands for `first` + n.
    pub(crate) bits: Box<[u8; Self::BYTES]>,
}

impl HeldSet {
    /// Bytes of the bits.
    pub(crate) const BYTES: usize = 1024;

    /// No numbers.
    pub(crate) fn empty() -> Self {
        Self {
            first: DataNumber(0),
            bits: Box::new([0; Self::BYTES]),
        }
    }

    /// Numbers that lie within `WINDOW` of the first, ascending.
    pub(crate) fn of(numbers: impl Iterator<Item = u64>) -> Self {
        let mut set = Self::empty();
        for (count, number) in numbers.enumerate() {
            if count == 0 {
                set.first = DataNumber(number);
            }
            let bit = usize::try_from(number - set.first.0).expect("numbers lie in the window");
            set.bits[bit / 8] |= 1 << (bit % 8);
        }
        set
    }

    /// Is this number in it?
    pub(crate) fn contains(&self, number: DataNumber) -> bool {
        let bit = number.0.checked_sub(self.first.0);
        bit.and_then(|bit| usize::try_from(bit).ok())
            .and_then(|bit| Some(self.bits.get(bit / 8)? & (1 << (bit % 8)) != 0))
            .unwrap_or(false)
    }
}

#[derive(Debug)]
enum Stage {
    Pending,
    Writing(Place),
    Durable(Place, Generation),
}

#[derive(Debug)]
struct Copy {
    file: FileId,
    stage: Stage,
    /// The bytes and the size, until they are durable.
    content: Option<LoggedPage>,
}

impl Copy {
    fn is_durable(&self) -> bool {
        matches!(self.stage, Stage::Durable(..))
    }
}

/// The copies that are held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    next: u64,
    copies: BTreeMap<u64, Copy>,
    /// Numbers of the copies of each page, ascending.
    of_page: BTreeMap<(FileId, PageIndex), Vec<u64>>,
    pending: usize,
}

impl Held {
    /// Above every number so far.
    pub(crate) fn next(&self) -> DataNumber {
        DataNumber(self.next)
    }

    /// May so many more pages be named?
    pub(crate) fn has_room(&self, pages: usize) -> bool {
        let oldest = self.copies.first_key_value().map_or(self.next, |(n, _)| *n);
        self.next + pages as u64 - oldest <= WINDOW
    }

    /// Pages that are in no batch.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// One more page; its number is chosen here.
    pub(crate) fn push(
        &mut self,
        file: FileId,
        page: PageIndex,
        size_bytes: u64,
        bytes: LoggedBytes,
    ) -> DataNumber {
        let number = DataNumber(self.next);
        self.next += 1;
        let content = LoggedPage {
            file,
            page,
            number,
            size_bytes,
            bytes,
        };
        self.copies.insert(
            number.0,
            Copy {
                file,
                stage: Stage::Pending,
                content: Some(content),
            },
        );
        self.of_page.entry((file, page)).or_default().push(number.0);
        self.pending += 1;
        number
    }

    /// All that is pending, for the batch at `place`.
    pub(crate) fn take(&mut self, place: Place) -> Vec<LoggedPage> {
        let mut taken = Vec::with_capacity(self.pending);
        for copy in self
            .copies
            .values_mut()
            .rev()
            .take_while(|copy| matches!(copy.stage, Stage::Pending))
        {
            copy.stage = Stage::Writing(place);
            taken.extend(copy.content.clone());
        }
        taken.reverse();
        self.pending = 0;
        taken
    }

    /// Their batch is on the device, as changes of `generation`: older copies of the same pages go.
    pub(crate) fn flushed(&mut self, pages: &[LoggedPage], generation: Generation) {
        for LoggedPage {
            file, page, number, ..
        } in pages
        {
            let Some(copy) = self.copies.get_mut(&number.0) else {
                continue;
            };
            if let Stage::Writing(place) = copy.stage {
                copy.stage = Stage::Durable(place, generation);
                copy.content = None;
            }
            self.drop_copies(*file, *page, *number);
        }
    }

    /// Their batch failed: they wait for the next one.
    pub(crate) fn returned(&mut self, pages: &[LoggedPage]) {
        for LoggedPage { number, .. } in pages {
            if let Some(copy) = self.copies.get_mut(&number.0) {
                copy.stage = Stage::Pending;
                self.pending += 1;
            }
        }
    }

    /// `range` of `file` has changed in the tree: copies with numbers before `before` are not needed.
    pub(crate) fn supersede(&mut self, file: FileId, range: FileRange, before: DataNumber) {
        let pages: Vec<PageIndex> = self.pages_in(file, range).map(|(page, _)| page).collect();
        for page in pages {
            self.drop_copies(file, page, before);
        }
    }

    /// A file was made this long: copies that are not durable do not say that it is longer. Those that are belong to a
    /// generation that the change closes or follows.
    pub(crate) fn cap(&mut self, file: FileId, size_bytes: u64) {
        if mutation::on(Mutation::LogSizeUncapped) {
            return;
        }
        let pages = self.pages_in(file, FileRange::WHOLE);
        let numbers: Vec<u64> = pages.flat_map(|(_, numbers)| numbers).copied().collect();
        for number in numbers {
            let copy = self.copies.get_mut(&number);
            if let Some(content) = copy.and_then(|copy| copy.content.as_mut()) {
                content.size_bytes = content.size_bytes.min(size_bytes);
            }
        }
    }

    /// Is there a copy that `supersede` would drop?
    pub(crate) fn holds(&self, file: FileId, range: FileRange, before: DataNumber) -> bool {
        self.pages_in(file, range)
            .any(|(_, numbers)| numbers.first().is_some_and(|&first| first < before.0))
    }

    /// The generation of this very copy, if it is held and durable.
    pub(crate) fn durable_in(&self, number: DataNumber) -> Option<Generation> {
        match self.copies.get(&number.0)?.stage {
            Stage::Durable(_, generation) => Some(generation),
            Stage::Pending | Stage::Writing(_) => None,
        }
    }

    /// Is a copy of `file` before `before` still on its way into the log?
    pub(crate) fn is_under_way(&self, file: FileId, before: DataNumber) -> bool {
        self.copies
            .range(..before.0)
            .rev()
            .take_while(|(_, copy)| !copy.is_durable())
            .any(|(_, copy)| copy.file == file)
    }

    /// Where the oldest copy with a place lies.
    pub(crate) fn oldest(&self) -> Option<Place> {
        match self.copies.first_key_value()?.1.stage {
            Stage::Pending => None,
            Stage::Writing(place) | Stage::Durable(place, _) => Some(place),
        }
    }

    /// The number of the last batch that has a durable copy; 0 where none has.
    pub(crate) fn durable_through(&self) -> u64 {
        let mut latest = self.copies.values().rev();
        latest
            .find_map(|copy| match copy.stage {
                Stage::Durable(place, _) => Some(place.tail.sequence),
                Stage::Pending | Stage::Writing(_) => None,
            })
            .unwrap_or(0)
    }

    /// The numbers that are held.
    pub(crate) fn set(&self) -> HeldSet {
        HeldSet::of(self.copies.keys().copied())
    }

    /// The files that have copies.
    pub(crate) fn files(&self) -> Vec<FileId> {
        let mut files: Vec<FileId> = self.of_page.keys().map(|(file, _)| *file).collect();
        files.dedup();
        files
    }

    /// Nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    fn pages_in(
        &self,
        file: FileId,
        range: FileRange,
    ) -> impl Iterator<Item = (PageIndex, &Vec<u64>)> {
        let first = PageIndex::of(range.start);
        let end = PageIndex(range.end.div_ceil(PAGE_BYTES).max(first.0));
        self.of_page
            .range((file, first)..(file, end))
            .map(|((_, page), numbers)| (*page, numbers))
    }

    fn drop_copies(&mut self, file: FileId, page: PageIndex, before: DataNumber) {
        let Some(numbers) = self.of_page.get_mut(&(file, page)) else {
            return;
        };
        let kept = numbers.partition_point(|&number| number < before.0);
        for number in numbers.drain(..kept) {
            let copy = self
                .copies
                .remove(&number)
                .expect("a page's copies are held");
            self.pending -= usize::from(matches!(copy.stage, Stage::Pending));
        }
        if numbers.is_empty() {
            self.of_page.remove(&(file, page));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::ring::Ring;
    use crate::meta::format::LogTail;

    const FILE: FileId = FileId(7);
    const PAGE: PageIndex = PageIndex(3);
    const OWN: FileRange = FileRange {
        start: 3 * 4096,
        end: 4 * 4096,
    };

    fn place() -> Place {
        let tail = LogTail {
            offset: 0,
            sequence: 1,
        };
        Ring::new(1 << 20, tail).place(4096).expect("room").place
    }

    fn push(held: &mut Held, page: PageIndex) -> DataNumber {
        held.push(FILE, page, 0, LoggedBytes::Read(vec![0; 4096].into()))
    }

    #[test]
    fn an_older_copy_counts_until_a_younger_one_is_durable() {
        let mut held = Held::default();
        let first = push(&mut held, PAGE);
        let taken = held.take(place());
        held.flushed(&taken, Generation(2));
        let second = push(&mut held, PAGE);
        assert!(held.set().contains(first) && held.set().contains(second));
        assert!(held.is_under_way(FILE, held.next()));
        assert!(!held.is_under_way(FILE, second), "the first is durable");
        let taken = held.take(place());
        assert_eq!(taken.len(), 1);
        held.flushed(&taken, Generation(3));
        assert!(!held.set().contains(first) && held.set().contains(second));
        assert_eq!(held.durable_in(second), Some(Generation(3)));
    }

    #[test]
    fn a_change_of_the_tree_supersedes_what_it_is_newer_than_and_no_more() {
        let mut held = Held::default();
        let first = push(&mut held, PAGE);
        let before = held.next();
        let second = push(&mut held, PAGE);
        let other = push(&mut held, PageIndex(4));
        assert!(held.holds(FILE, OWN, before));
        held.supersede(FILE, OWN, before);
        assert!(!held.set().contains(first) && held.set().contains(second));
        held.supersede(FILE, OWN, held.next());
        assert!(!held.set().contains(second) && held.set().contains(other));
        assert_eq!(held.pending(), 1);
        held.supersede(FILE, FileRange::WHOLE, held.next());
        assert!(held.is_empty() && held.pending() == 0);
    }

    #[test]
    fn a_failed_batch_gives_its_pages_back() {
        let mut held = Held::default();
        let number = push(&mut held, PAGE);
        let taken = held.take(place());
        assert_eq!(held.take(place()), [], "it is in a batch");
        held.returned(&taken);
        assert_eq!(held.durable_in(number), None);
        assert_eq!(held.oldest(), None);
        let again = held.take(place());
        assert_eq!(again, taken);
        assert!(held.oldest().is_some());
    }

    #[test]
    fn no_more_is_held_than_a_superblock_can_name() {
        let mut held = Held::default();
        for page in 0..WINDOW {
            assert!(held.has_room(1));
            push(&mut held, PageIndex(page));
        }
        assert!(!held.has_room(1));
        assert!(held.set().contains(DataNumber(WINDOW - 1)));
        assert!(!held.set().contains(DataNumber(WINDOW)));
        held.supersede(FILE, FileRange::new(0, 4096), held.next());
        assert!(held.has_room(1) && !held.has_room(2));
        assert_eq!(held.set().first, DataNumber(1));
    }
}
