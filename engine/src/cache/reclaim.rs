//! Who has to go when the cache is full: CLOCK, one hand for all files.
//!
//! The queue holds clean pages, oldest first. The hand takes them from the front and asks their
//! file: a page used since the last time goes round once more, one that became dirty leaves the
//! queue (its file announces it again when it is clean), any other is evicted. Strict LRU was
//! refused: it would need this lock at every hit, where CLOCK needs a flag in a page that is
//! locked already. Pages read once in a long sequence never get the flag and go first.
//!
//! ```text
//!   announce --> [ oldest ........ newest ] <-- used since: second round
//!                    | hand
//!                    v ask the file: Evicted | Gone | Busy leave the queue
//! ```
//!
//! A page that leaves the cache by another way (truncated, removed) leaves its entry behind; the
//! hand finds it gone, or finds the page that came to the same place, which has an entry of its own. Where
//! nothing needs room the hand never comes, so a queue that has doubled is tidied: entries of pages that are
//! not there are dropped, and of several for one page all but the oldest.
//!
//! Locks: the queue lock is never held while a file is asked. The hand takes a small batch out,
//! drops the lock, asks, and puts the second rounds back; two hands at once take different pages.
//!
//! Not here: the rules of one page (`PageMap::try_evict`), waiting for room (`FramePool`).

use std::collections::{HashSet, VecDeque};

use parking_lot::Mutex;

use super::{Reclaim, Reclaimed};
use crate::units::{FileId, PageIndex};

/// Pages that the hand takes in one go: enough to make the lock cheap, few enough that a hand
/// which needs one page does not empty the queue under another.
const BATCH_PAGES: usize = 32;

/// What happened to a page under the hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// It was not in the cache any more.
    Gone,
    /// It left the cache now.
    Evicted,
    /// Its range may not go now; its file announces it again (and has cleared `Page::queued`, or
    /// this page would never go).
    Busy,
    /// It was used since the hand last passed; it goes round.
    Referenced,
    /// Its file could not be asked now, its mutex being held; it goes round.
    Unasked,
}

/// The length below which a queue is not worth tidying: 1 MiB of entries.
const TIDY_PAGES_MIN: usize = 64 * 1024;

/// Somebody who knows the files: asks one about one page.
pub trait Evict {
    /// The page is in the cache, or its file cannot say now.
    fn is_cached(&self, file: FileId, page: PageIndex) -> bool;

    /// Applies `PageMap::try_evict` under the file's mutex; `Gone` where the file is.
    fn try_evict(&self, file: FileId, page: PageIndex) -> Eviction;

    /// The same for several pages of one file, with its mutex taken once where that is possible.
    /// Pushes one answer per page.
    fn try_evict_pages(&self, file: FileId, pages: &[PageIndex], answers: &mut Vec<Eviction>) {
        answers.extend(pages.iter().map(|&page| self.try_evict(file, page)));
    }
}

/// The clock of a volume's cache.
#[derive(Debug, Default)]
pub struct Reclaimer {
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    pages: VecDeque<(FileId, PageIndex)>,
    /// Pages taken out and not put back yet.
    in_hands: usize,
    /// Pages ever taken out: the number of the first one here, counted since the start.
    taken: u64,
    /// The length at which the queue is tidied next.
    tidy_at: usize,
    stats: ReclaimerStats,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            pages: VecDeque::new(),
            in_hands: 0,
            taken: 0,
            tidy_at: TIDY_PAGES_MIN,
            stats: ReclaimerStats::default(),
        }
    }
}

/// Counts of a reclaimer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReclaimerStats {
    /// Pages in the queue.
    pub queued: u64,
    /// Pages the hand passed.
    pub scanned: u64,
    /// Pages it evicted.
    pub evicted: u64,
    /// Pages it found used, and sent round again.
    pub referenced: u64,
    /// Pages it found dirty or in writeback.
    pub busy: u64,
}

impl Reclaimer {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the queue of clean pages: those that `PageMap::announce` named. Called with no file's
    /// mutex held, for now and then it asks files.
    pub fn announce(
        &self,
        file: FileId,
        pages: impl IntoIterator<Item = PageIndex>,
        evict: &dyn Evict,
    ) {
        let end = {
            let mut queue = self.queue.lock();
            let pages = pages.into_iter().map(|page| (file, page));
            queue.pages.extend(pages);
            if queue.pages.len() < queue.tidy_at {
                return;
            }
            queue.tidy_at = usize::MAX;
            queue.taken + queue.pages.len() as u64
        };
        self.tidy(end, evict);
    }

    /// Moves the hand until `frames_wanted` pages went or it has passed enough of them.
    pub fn reclaim(&self, frames_wanted: usize, evict: &dyn Evict) -> Reclaimed {
        let mut scans_left = scans_max(frames_wanted);
        let mut frames = 0;
        let mut batch = Batch::default();
        while frames < frames_wanted && scans_left > 0 {
            let pages_max = BATCH_PAGES.min(scans_left).min(frames_wanted - frames);
            {
                let mut queue = self.queue.lock();
                batch.take_from(&mut queue, pages_max);
                if batch.pages.is_empty() {
                    let more = queue.in_hands > 0;
                    return Reclaimed { frames, more };
                }
                queue.stats.scanned += batch.pages.len() as u64;
            }
            scans_left -= batch.pages.len();
            batch.ask(evict);
            frames += batch.put_back(&mut self.queue.lock());
        }
        Reclaimed { frames, more: true }
    }

    /// Passes the pages before number `end` and drops those that are not there, or were passed already. What is put
    /// back comes behind `end`, however many others take meanwhile: it is not passed again.
    fn tidy(&self, end: u64, evict: &dyn Evict) {
        let mut batch = Batch::default();
        let mut seen = HashSet::new();
        loop {
            {
                let mut queue = self.queue.lock();
                let left = usize::try_from(end.saturating_sub(queue.taken)).unwrap_or(usize::MAX);
                batch.take_from(&mut queue, BATCH_PAGES.min(left));
            }
            if batch.pages.is_empty() {
                break;
            }
            batch.answers.clear();
            let answers = batch.pages.iter().map(|&(file, page)| {
                if seen.insert((file, page)) && evict.is_cached(file, page) {
                    Eviction::Unasked
                } else {
                    Eviction::Gone
                }
            });
            batch.answers.extend(answers);
            batch.put_back(&mut self.queue.lock());
        }
        let mut queue = self.queue.lock();
        queue.tidy_at = TIDY_PAGES_MIN.max(2 * queue.pages.len());
    }

    /// This queue and `evict`, as what a frame pool asks for room.
    pub fn with<'a>(&'a self, evict: &'a dyn Evict) -> Evictor<'a> {
        Evictor {
            reclaimer: self,
            evict,
        }
    }

    /// Counts.
    pub fn stats(&self) -> ReclaimerStats {
        let queue = self.queue.lock();
        ReclaimerStats {
            queued: queue.pages.len() as u64,
            ..queue.stats
        }
    }
}

/// A reclaimer with the files it may ask.
pub struct Evictor<'a> {
    reclaimer: &'a Reclaimer,
    evict: &'a dyn Evict,
}

impl Reclaim for Evictor<'_> {
    fn reclaim(&self, frames_wanted: usize) -> Reclaimed {
        self.reclaimer.reclaim(frames_wanted, self.evict)
    }
}

/// How many pages the hand passes at most for so many frames: a bound on how long one caller works
/// for all. Even where every page was just used, two calls in a row find one to evict in a queue
/// of up to this length; in a longer one the caller comes again.
fn scans_max(frames_wanted: usize) -> usize {
    frames_wanted.saturating_mul(4).saturating_add(128)
}

/// Pages between the queue and their files.
#[derive(Default)]
struct Batch {
    /// Neighbours here are often of one file.
    pages: Vec<(FileId, PageIndex)>,
    answers: Vec<Eviction>,
    indices: Vec<PageIndex>,
}

impl Batch {
    /// Takes pages from the front, as many as there are.
    fn take_from(&mut self, queue: &mut Queue, pages_max: usize) {
        let count = pages_max.min(queue.pages.len());
        self.pages.clear();
        self.pages.extend(queue.pages.drain(..count));
        queue.in_hands += count;
        queue.taken += count as u64;
    }

    fn ask(&mut self, evict: &dyn Evict) {
        self.answers.clear();
        for same_file in self.pages.chunk_by(|left, right| left.0 == right.0) {
            self.indices.clear();
            self.indices.extend(same_file.iter().map(|(_, page)| *page));
            evict.try_evict_pages(same_file[0].0, &self.indices, &mut self.answers);
        }
        assert_eq!(self.answers.len(), self.pages.len(), "one answer per page");
    }

    /// Sends the second rounds to the back; answers how many pages went.
    fn put_back(&mut self, queue: &mut Queue) -> usize {
        let mut evicted = 0;
        queue.in_hands -= self.pages.len();
        for (&page, answer) in self.pages.iter().zip(&self.answers) {
            match answer {
                Eviction::Gone => {}
                Eviction::Evicted => evicted += 1,
                Eviction::Busy => queue.stats.busy += 1,
                Eviction::Referenced => {
                    queue.stats.referenced += 1;
                    queue.pages.push_back(page);
                }
                Eviction::Unasked => queue.pages.push_back(page),
            }
        }
        queue.stats.evicted += evicted as u64;
        evicted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Pages with what the file would say, and the order in which they were asked.
    struct Files {
        pages: Mutex<BTreeMap<(FileId, PageIndex), Eviction>>,
        asked: Mutex<Vec<(FileId, PageIndex)>>,
    }

    impl Files {
        fn new(pages: impl IntoIterator<Item = (u64, u64, Eviction)>) -> (Self, Reclaimer) {
            let reclaimer = Reclaimer::new();
            let mut known = BTreeMap::new();
            let files = Self {
                pages: Mutex::default(),
                asked: Mutex::default(),
            };
            for (file, page, answer) in pages {
                reclaimer.announce(FileId(file), [PageIndex(page)], &files);
                known.insert((FileId(file), PageIndex(page)), answer);
            }
            *files.pages.lock() = known;
            (files, reclaimer)
        }

        fn asked_pages(&self) -> Vec<u64> {
            self.asked.lock().iter().map(|(_, page)| page.0).collect()
        }
    }

    impl Evict for Files {
        fn is_cached(&self, file: FileId, page: PageIndex) -> bool {
            self.pages.lock().contains_key(&(file, page))
        }

        fn try_evict(&self, file: FileId, page: PageIndex) -> Eviction {
            self.asked.lock().push((file, page));
            let mut pages = self.pages.lock();
            let Some(answer) = pages.get_mut(&(file, page)) else {
                return Eviction::Gone;
            };
            match *answer {
                Eviction::Evicted => {
                    pages.remove(&(file, page));
                    Eviction::Evicted
                }
                Eviction::Referenced => std::mem::replace(answer, Eviction::Evicted),
                other => other,
            }
        }
    }

    #[test]
    fn the_oldest_go_first_and_no_more_than_wanted() {
        let (files, reclaimer) = Files::new((0..10).map(|page| (1, page, Eviction::Evicted)));
        let reclaimed = reclaimer.reclaim(3, &files);
        assert_eq!(
            reclaimed,
            Reclaimed {
                frames: 3,
                more: true
            }
        );
        assert_eq!(files.asked_pages(), [0, 1, 2]);
        assert_eq!(reclaimer.stats().queued, 7);
    }

    #[test]
    fn a_used_page_goes_round_once_more() {
        let answers = [Eviction::Referenced, Eviction::Evicted, Eviction::Evicted];
        let (files, reclaimer) =
            Files::new((0..).zip(answers).map(|(page, answer)| (1, page, answer)));
        assert_eq!(reclaimer.reclaim(3, &files).frames, 3);
        assert_eq!(files.asked_pages(), [0, 1, 2, 0]);
        assert_eq!(reclaimer.stats().referenced, 1);
    }

    #[test]
    fn busy_and_gone_pages_leave_the_queue() {
        let answers = [Eviction::Busy, Eviction::Gone, Eviction::Busy];
        let (files, reclaimer) =
            Files::new((0..).zip(answers).map(|(page, answer)| (1, page, answer)));
        let reclaimed = reclaimer.reclaim(2, &files);
        assert_eq!(
            reclaimed,
            Reclaimed {
                frames: 0,
                more: false
            }
        );
        assert_eq!(reclaimer.stats().queued, 0);
        assert_eq!(reclaimer.stats().busy, 2);
    }

    #[test]
    fn one_call_passes_a_bounded_number_of_pages() {
        let (files, reclaimer) =
            Files::new((0..10_000).map(|page| (1, page, Eviction::Referenced)));
        let reclaimed = reclaimer.reclaim(1, &files);
        assert_eq!(
            reclaimed,
            Reclaimed {
                frames: 0,
                more: true
            }
        );
        assert_eq!(files.asked.lock().len(), scans_max(1));
        assert_eq!(reclaimer.stats().queued, 10_000);
    }

    #[test]
    fn pages_of_one_file_in_a_row_are_asked_together() {
        struct ByFile(Mutex<Vec<(FileId, usize)>>);
        impl Evict for ByFile {
            fn is_cached(&self, _: FileId, _: PageIndex) -> bool {
                true
            }
            fn try_evict(&self, _: FileId, _: PageIndex) -> Eviction {
                unreachable!("asked together")
            }
            fn try_evict_pages(
                &self,
                file: FileId,
                pages: &[PageIndex],
                answers: &mut Vec<Eviction>,
            ) {
                self.0.lock().push((file, pages.len()));
                answers.extend(pages.iter().map(|_| Eviction::Evicted));
            }
        }
        let reclaimer = Reclaimer::new();
        let files = ByFile(Mutex::default());
        reclaimer.announce(FileId(1), (0..5).map(PageIndex), &files);
        reclaimer.announce(FileId(2), (0..3).map(PageIndex), &files);
        assert_eq!(reclaimer.reclaim(100, &files).frames, 8);
        assert_eq!(*files.0.lock(), [(FileId(1), 5), (FileId(2), 3)]);
    }

    #[test]
    fn a_hand_beside_the_tidying_leaves_every_page_its_entry() {
        /// All pages are there; a hand passes some of them, that stay, while the first is asked about.
        struct Beside<'r>(&'r Reclaimer, Mutex<bool>);
        impl Evict for Beside<'_> {
            fn is_cached(&self, _: FileId, _: PageIndex) -> bool {
                if std::mem::replace(&mut *self.1.lock(), false) {
                    self.0.reclaim(BATCH_PAGES, self);
                }
                true
            }
            fn try_evict(&self, _: FileId, page: PageIndex) -> Eviction {
                if page.0.is_multiple_of(2) {
                    Eviction::Referenced
                } else {
                    Eviction::Evicted
                }
            }
        }
        let reclaimer = Reclaimer::new();
        let beside = Beside(&reclaimer, Mutex::new(true));
        let pages = 2 * TIDY_PAGES_MIN as u64;
        reclaimer.announce(FileId(1), (0..pages).map(PageIndex), &beside);
        let stats = reclaimer.stats();
        assert!(stats.evicted > 0 && stats.referenced > 0);
        assert_eq!(stats.queued, pages - stats.evicted);
    }

    #[test]
    fn entries_of_pages_that_come_back_do_not_pile_up() {
        let page = |page| (1, page, Eviction::Evicted);
        let (files, reclaimer) = Files::new((0..100).map(page));
        // Cut and written again, without any need of room.
        for _ in 0..3000 {
            reclaimer.announce(FileId(1), (0..100).map(PageIndex), &files);
            assert!(reclaimer.stats().queued < TIDY_PAGES_MIN as u64 + 100);
        }
        assert_eq!(reclaimer.reclaim(100, &files).frames, 100);
    }

    #[test]
    fn entries_of_pages_long_gone_do_not_pile_up() {
        let (files, reclaimer) = Files::new((0..100).map(|page| (1, page, Eviction::Evicted)));
        for file in 2..3000 {
            reclaimer.announce(FileId(file), (0..100).map(PageIndex), &files);
            assert!(reclaimer.stats().queued < TIDY_PAGES_MIN as u64 + 100);
        }
        assert_eq!(
            reclaimer.reclaim(200_000, &files).frames,
            100,
            "none was lost"
        );
    }

    #[test]
    fn pages_in_another_hand_may_come_back() {
        let (files, reclaimer) = Files::new([(1, 0, Eviction::Evicted)]);
        let mut hand = Batch::default();
        hand.take_from(&mut reclaimer.queue.lock(), 1);
        let reclaimed = reclaimer.reclaim(1, &files);
        assert!(reclaimed.frames == 0 && reclaimed.more);
    }
}
