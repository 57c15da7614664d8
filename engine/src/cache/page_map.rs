//! The cached pages of one file, by index.
//!
//! Pages lie in chunks of 64 (256 KiB of file), found by hashing the chunk's number. A hit costs
//! one probe; a run of pages costs one probe per chunk and then walks an array. A tree over pages
//! was refused for its depth at every hit, a flat table for files that are sparse and long.
//!
//! Each chunk has a word with one bit per page that is there: gaps are skipped, and the first page
//! missing from a range is found, without looking at pages.
//!
//! A page is *queued* while the reclaim queue knows it. Only clean pages are: a page that was
//! found busy leaves the queue, and who makes it clean again announces it (`announce`). The queue
//! is then as long as what can go, not as what is there.
//!
//! Invariants
//!   * A chunk has a page, or is not there.
//!   * `len` is the number of pages.
//!   * A page in the reclaim queue has `queued`; there is no second entry for it.
//!
//! No lock: the map lives under its file's mutex. Not here: frames and their count (`frame`),
//! the order in which pages go (`reclaim`), clean or dirty (extent).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use super::{Eviction, Frame};
use crate::units::PageIndex;

/// Pages of a chunk: the bits of one word.
const CHUNK_PAGES: u64 = CHUNK_LEN as u64;
/// `CHUNK_PAGES` for indexing.
const CHUNK_LEN: usize = 64;

/// One cached page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its bytes.
    pub frame: Frame,
    /// Used since the clock hand last passed.
    pub referenced: bool,
    /// Came along with a compressed read and nobody has asked for it yet.
    pub populated: bool,
    /// The reclaim queue has it.
    pub queued: bool,
}

impl Page {
    /// A page that was asked for.
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            referenced: false,
            populated: false,
            queued: false,
        }
    }

    /// A page that came along with a compressed read.
    pub fn populated(frame: Frame) -> Self {
        Self {
            populated: true,
            ..Self::new(frame)
        }
    }

    /// Marks a use. True where this is the first use of a page that came along: the read that
    /// brought it has paid off.
    pub fn touch(&mut self) -> bool {
        self.referenced = true;
        std::mem::take(&mut self.populated)
    }
}

#[derive(Debug)]
struct Chunk {
    /// Bit i: `pages[i]` is there.
    present: u64,
    pages: [Option<Page>; CHUNK_LEN],
}

/// Cached pages of a file.
#[derive(Debug, Default)]
pub struct PageMap {
    chunks: HashMap<u64, Box<Chunk>, BuildHasherDefault<ChunkHasher>>,
    len: usize,
}

impl PageMap {
    /// No pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The page, as it is; a use is marked by `Page::touch`.
    pub fn get(&self, index: PageIndex) -> Option<&Page> {
        let (number, slot) = split(index);
        self.chunks.get(&number)?.pages[slot].as_ref()
    }

    /// The page, to be marked or changed.
    pub fn get_mut(&mut self, index: PageIndex) -> Option<&mut Page> {
        let (number, slot) = split(index);
        self.chunks.get_mut(&number)?.pages[slot].as_mut()
    }

    /// The page is there.
    pub fn contains(&self, index: PageIndex) -> bool {
        self.get(index).is_some()
    }

    /// Puts a page in, and gives back the one that was there.
    pub fn insert(&mut self, index: PageIndex, page: Page) -> Option<Page> {
        let (number, slot) = split(index);
        let chunk = self.chunks.entry(number).or_insert_with(|| {
            Box::new(Chunk {
                present: 0,
                pages: [const { None }; CHUNK_LEN],
            })
        });
        chunk.present |= 1 << slot;
        let was = chunk.pages[slot].replace(page);
        self.len += usize::from(was.is_none());
        was
    }

    /// Takes a page out. The reclaim queue finds it gone.
    pub fn remove(&mut self, index: PageIndex) -> Option<Page> {
        let (number, slot) = split(index);
        let chunk = self.chunks.get_mut(&number)?;
        let was = chunk.pages[slot].take()?;
        chunk.present &= !(1 << slot);
        if chunk.present == 0 {
            self.chunks.remove(&number);
        }
        self.len -= 1;
        Some(was)
    }

    /// Takes all pages of the range out, in ascending order.
    pub fn remove_range(&mut self, range: Range<PageIndex>) -> Vec<(PageIndex, Page)> {
        let indices: Vec<_> = self.range(range).map(|(index, _)| index).collect();
        indices
            .into_iter()
            .filter_map(|index| Some((index, self.remove(index)?)))
            .collect()
    }

    /// The pages of the range that are there, in ascending order.
    pub fn range(&self, range: Range<PageIndex>) -> impl Iterator<Item = (PageIndex, &Page)> {
        let (start, end) = (range.start.0, range.end.0);
        self.chunks_of(start, end)
            .filter_map(move |number| Some((number, self.chunks.get(&number)?)))
            .flat_map(move |(number, chunk)| {
                let first = number * CHUNK_PAGES;
                bits_of(chunk.present & mask_of(first, start, end)).filter_map(move |slot| {
                    let page = chunk.pages[slot].as_ref()?;
                    Some((PageIndex(first + slot as u64), page))
                })
            })
    }

    /// Marks a use of the pages of the range from its start up to the first that is missing, and
    /// gives their frames to `each`. Answers how many there were, and how many of them came along
    /// with a compressed read and are used now for the first time.
    pub fn touch_run(
        &mut self,
        range: Range<PageIndex>,
        mut each: impl FnMut(&Frame),
    ) -> (u64, u64) {
        let (mut at, mut first_uses) = (range.start.0, 0);
        while at < range.end.0 {
            let (number, from) = split(PageIndex(at));
            let Some(chunk) = self.chunks.get_mut(&number) else {
                break;
            };
            let to = (range.end.0 - number * CHUNK_PAGES).min(CHUNK_PAGES);
            let here = chunk.pages[from..]
                .iter_mut()
                .zip(from as u64..to)
                .map_while(|(page, _)| page.as_mut());
            let mut count = 0;
            for page in here {
                first_uses += u64::from(page.touch());
                each(&page.frame);
                count += 1;
            }
            at += count;
            if (from as u64) + count < to {
                break;
            }
        }
        (at - range.start.0, first_uses)
    }

    /// How many pages of the range are there.
    pub fn count(&self, range: Range<PageIndex>) -> u64 {
        let (start, end) = (range.start.0, range.end.0);
        self.chunks_of(start, end)
            .filter_map(|number| Some((number, self.chunks.get(&number)?)))
            .map(|(number, chunk)| chunk.present & mask_of(number * CHUNK_PAGES, start, end))
            .map(|present| u64::from(present.count_ones()))
            .sum()
    }

    /// The first stretch of the range with no page in it.
    pub fn first_missing(&self, range: Range<PageIndex>) -> Option<Range<PageIndex>> {
        let end = range.end.0;
        let start = self.next_where(range.start.0, end, false);
        (start < end).then(|| PageIndex(start)..PageIndex(self.next_where(start, end, true)))
    }

    /// Marks the clean pages of the range that the reclaim queue does not have, and names them;
    /// the caller tells the queue.
    pub fn announce(&mut self, range: Range<PageIndex>, mut each: impl FnMut(PageIndex)) {
        let (start, end) = (range.start.0, range.end.0);
        let numbers: Vec<_> = self.chunks_of(start, end).collect();
        for number in numbers {
            let Some(chunk) = self.chunks.get_mut(&number) else {
                continue;
            };
            let first = number * CHUNK_PAGES;
            for slot in bits_of(chunk.present & mask_of(first, start, end)) {
                if let Some(page) = &mut chunk.pages[slot]
                    && !std::mem::replace(&mut page.queued, true)
                {
                    each(PageIndex(first + slot as u64));
                }
            }
        }
    }

    /// The clock hand at this page: it goes, or it has a reason to stay. `busy` says that its range
    /// has a state (dirty, writeback) that forbids it.
    pub fn try_evict(&mut self, index: PageIndex, busy: bool) -> Eviction {
        let Some(page) = self.get_mut(index) else {
            return Eviction::Gone;
        };
        if busy {
            page.queued = false;
            return Eviction::Busy;
        }
        if std::mem::take(&mut page.referenced) {
            return Eviction::Referenced;
        }
        self.remove(index);
        Eviction::Evicted
    }

    /// Number of pages.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No pages.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers of chunks that may have pages of `start..end`, ascending: by counting where the
    /// range is short, by looking at all that are there where it is not.
    fn chunks_of(&self, start: u64, end: u64) -> impl Iterator<Item = u64> + use<> {
        let numbers = start / CHUNK_PAGES..end.div_ceil(CHUNK_PAGES);
        let (counted, listed) =
            if numbers.end.saturating_sub(numbers.start) <= self.chunks.len() as u64 {
                (numbers, Vec::new())
            } else {
                let mut there: Vec<_> = self.chunks.keys().copied().collect();
                there.retain(|number| numbers.contains(number));
                there.sort_unstable();
                (0..0, there)
            };
        counted.chain(listed)
    }

    /// The first page at or after `at` that is there (or is not), at most `end`.
    fn next_where(&self, mut at: u64, end: u64, there: bool) -> u64 {
        while at < end {
            let (number, from) = split(PageIndex(at));
            let present = self.chunks.get(&number).map_or(0, |chunk| chunk.present);
            let wanted = if there { present } else { !present };
            let ahead = wanted >> from;
            if ahead != 0 {
                return end.min(at + u64::from(ahead.trailing_zeros()));
            }
            at = (number + 1) * CHUNK_PAGES;
        }
        end
    }
}

/// The chunk of a page and its place there.
fn split(index: PageIndex) -> (u64, usize) {
    let slot = usize::try_from(index.0 % CHUNK_PAGES).expect("below 64");
    (index.0 / CHUNK_PAGES, slot)
}

/// The bits, in a chunk that begins at page `first`, of pages in `start..end`.
fn mask_of(first: u64, start: u64, end: u64) -> u64 {
    let below = |page: u64| {
        let bits = page.saturating_sub(first).min(CHUNK_PAGES);
        if bits == CHUNK_PAGES {
            u64::MAX
        } else {
            (1 << bits) - 1
        }
    };
    below(end) & !below(start)
}

/// Positions of the bits set, ascending.
fn bits_of(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(slot)
    })
}

/// Spreads chunk numbers over the table by one multiplication. They are the volume's own and small;
/// nobody can choose them to collide in bulk without owning the file.
#[derive(Debug, Default)]
struct ChunkHasher(u64);

impl Hasher for ChunkHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 / golden ratio; the table takes its index from the low and its tag from the high
        // bits, so the product's halves are mixed.
        let product = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FramePool, Reclaim, Reclaimed};
    use super::*;

    struct Never;

    impl Reclaim for Never {
        fn reclaim(&self, _: usize) -> Reclaimed {
            Reclaimed {
                frames: 0,
                more: false,
            }
        }
    }

    /// A map with these pages; the first byte of each is its index.
    fn map_of(indices: impl IntoIterator<Item = u64>) -> (PageMap, FramePool) {
        let pool = FramePool::new(1000);
        let mut map = PageMap::new();
        for index in indices {
            let byte = u8::try_from(index % 256).expect("below 256");
            let frame = pool.charge(1, &Never).frame_from(&[byte]);
            map.insert(PageIndex(index), Page::new(frame));
        }
        (map, pool)
    }

    fn pages(start: u64, end: u64) -> Range<PageIndex> {
        PageIndex(start)..PageIndex(end)
    }

    fn indices(map: &PageMap, start: u64, end: u64) -> Vec<u64> {
        map.range(pages(start, end))
            .map(|(index, _)| index.0)
            .collect()
    }

    #[test]
    fn ranges_come_in_order_over_chunks_and_gaps() {
        let far = 1 << 50;
        let (map, _pool) = map_of([far, 130, 3, 64, 63, 0]);
        assert_eq!(indices(&map, 0, u64::MAX), [0, 3, 63, 64, 130, far]);
        assert_eq!(indices(&map, 3, 64), [3, 63]);
        assert_eq!(indices(&map, 64, 64), [0; 0]);
        assert_eq!(indices(&map, 131, far), [0; 0]);
        for (start, end) in [(0, u64::MAX), (3, 131), (4, 63), (64, 64), (131, far)] {
            let there = indices(&map, start, end).len() as u64;
            assert_eq!(map.count(pages(start, end)), there, "{start}..{end}");
        }
    }

    #[test]
    fn removing_gives_frames_back_to_the_pool() {
        let (mut map, pool) = map_of(0..200);
        assert_eq!(map.remove_range(pages(10, 190)).len(), 180);
        assert_eq!(map.len(), 20);
        assert_eq!(pool.stats().frames_used, 20);
        assert!(map.remove(PageIndex(100)).is_none());
        assert_eq!(
            indices(&map, 5, 195),
            [5, 6, 7, 8, 9, 190, 191, 192, 193, 194]
        );
    }

    #[test]
    fn a_run_ends_at_the_first_page_missing() {
        let (mut map, _pool) = map_of((60..70).chain(71..80));
        let mut seen = Vec::new();
        let (count, _) = map.touch_run(pages(62, 75), |frame| seen.push(frame.bytes()[0]));
        assert_eq!(count, 8);
        assert_eq!(seen, (62..70).collect::<Vec<u8>>());
        assert_eq!(map.touch_run(pages(62, 64), |_| ()).0, 2);
        assert_eq!(map.touch_run(pages(0, 64), |_| ()).0, 0);
        assert_eq!(map.touch_run(pages(71, 200), |_| ()).0, 9);
    }

    #[test]
    fn missing_stretches_are_found_over_chunks() {
        let (map, _pool) = map_of((0..60).chain(140..150));
        assert_eq!(map.first_missing(pages(0, 60)), None);
        assert_eq!(map.first_missing(pages(0, 200)), Some(pages(60, 140)));
        assert_eq!(map.first_missing(pages(10, 100)), Some(pages(60, 100)));
        assert_eq!(map.first_missing(pages(145, 400)), Some(pages(150, 400)));
    }

    #[test]
    fn the_first_use_of_a_page_that_came_along_is_told_once() {
        let (mut map, pool) = map_of([]);
        let frame = pool.charge(1, &Never).frame();
        map.insert(PageIndex(5), Page::populated(frame));
        assert_eq!(map.touch_run(pages(5, 6), |_| ()), (1, 1));
        assert_eq!(map.touch_run(pages(5, 6), |_| ()), (1, 0));
    }

    #[test]
    fn a_referenced_page_has_a_second_chance_and_a_busy_one_leaves_the_queue() {
        let (mut map, pool) = map_of([7]);
        let mut announced = Vec::new();
        map.announce(pages(0, 100), |index| announced.push(index.0));
        map.announce(pages(0, 100), |index| announced.push(index.0));
        assert_eq!(announced, [7], "announced once");

        let seven = PageIndex(7);
        assert!(map.get_mut(seven).is_some_and(|page| !page.touch()));
        assert_eq!(map.try_evict(seven, true), Eviction::Busy);
        map.announce(pages(7, 8), |index| announced.push(index.0));
        assert_eq!(announced, [7, 7], "again after it was busy");
        assert_eq!(map.try_evict(seven, false), Eviction::Referenced);
        assert_eq!(map.try_evict(seven, false), Eviction::Evicted);
        assert_eq!(map.try_evict(seven, false), Eviction::Gone);
        assert_eq!(pool.stats().frames_used, 0);
    }
}
