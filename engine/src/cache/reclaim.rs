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
//! Locks: the queue lock is never held while a file is asked. The hand takes a small batch out,
//! drops the lock, asks, and puts the second rounds back; two hands at once take different pages.
//!
//! Not here: the rules of one page (`PageMap::try_evict`), waiting for room (`FramePool`).

use std::collections::VecDeque;

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

/// Somebody who knows the files: asks one about one page.
pub trait Evict {
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

#[derive(Debug, Default)]
struct Queue {
    pages: VecDeque<(FileId, PageIndex)>,
    stats: ReclaimerStats,
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
    /// Pages it found dirty, in writeback or locked.
    pub busy: u64,
}

impl Reclaimer {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the queue of clean pages: those that `PageMap::announce` named.
    pub fn announce(&self, file: FileId, pages: impl IntoIterator<Item = PageIndex>) {
        let mut queue = self.queue.lock();
        queue
            .pages
            .extend(pages.into_iter().map(|page| (file, page)));
    }

    /// Moves the hand until `frames_wanted` pages went or it has passed enough of them.
    pub fn reclaim(&self, frames_wanted: usize, evict: &dyn Evict) -> Reclaimed {
        let mut scans_left = scans_max(frames_wanted);
        let mut frames = 0;
        let mut batch = Batch::default();
        while frames < frames_wanted && scans_left > 0 {
            let pages_max = BATCH_PAGES.min(scans_left).min(frames_wanted - frames);
            if !batch.take_from(&mut self.queue.lock(), pages_max) {
                return Reclaimed {
                    frames,
                    more: false,
                };
            }
            scans_left -= batch.pages.len();
            batch.ask(evict);
            frames += batch.put_back(&mut self.queue.lock());
        }
        Reclaimed { frames, more: true }
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
    /// Takes pages from the front; false where there are none.
    fn take_from(&mut self, queue: &mut Queue, pages_max: usize) -> bool {
        let count = pages_max.min(queue.pages.len());
        self.pages.clear();
        self.pages.extend(queue.pages.drain(..count));
        queue.stats.scanned += count as u64;
        count > 0
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
            for (file, page, answer) in pages {
                reclaimer.announce(FileId(file), [PageIndex(page)]);
                known.insert((FileId(file), PageIndex(page)), answer);
            }
            let files = Self {
                pages: Mutex::new(known),
                asked: Mutex::default(),
            };
            (files, reclaimer)
        }

        fn asked_pages(&self) -> Vec<u64> {
            self.asked.lock().iter().map(|(_, page)| page.0).collect()
        }
    }

    impl Evict for Files {
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
        reclaimer.announce(FileId(1), (0..5).map(PageIndex));
        reclaimer.announce(FileId(2), (0..3).map(PageIndex));
        let files = ByFile(Mutex::default());
        assert_eq!(reclaimer.reclaim(100, &files).frames, 8);
        assert_eq!(*files.0.lock(), [(FileId(1), 5), (FileId(2), 3)]);
    }
}
