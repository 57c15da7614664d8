//! Threads that all want more of a small cache than there is of it.
//!
//! Each writes pages of a few files, shares some with a slow "writeback" as the engine does, and
//! reads what is there. What is checked: nobody waits for ever (the test ends), no byte is lost or
//! mixed up, and every frame is given back in the end, whatever the interleaving was.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use delalloc_engine::cache::{
    Evict, Eviction, Frame, FramePool, Page, PageMap, Reclaim, Reclaimed, Reclaimer,
};
use delalloc_engine::extent::{State, StateMap};
use delalloc_engine::{FileId, FileRange, PAGE_BYTES, PageIndex};
use parking_lot::Mutex;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const FILES: u64 = 3;
const FILE_PAGES: u64 = 64;
/// Far fewer than `FILES * FILE_PAGES`.
const FRAMES: usize = 24;
const RUN_PAGES: u64 = 6;
const THREADS: u64 = 3;
const STEPS: u64 = 3000;

#[derive(Default)]
struct File {
    pages: PageMap,
    states: StateMap,
}

struct Cache {
    files: Vec<Mutex<File>>,
    pool: FramePool,
    reclaimer: Reclaimer,
    /// Frames on their way to the device.
    device: mpsc::Sender<(FileId, FileRange, Vec<Frame>)>,
    evicted: AtomicU64,
}

impl Reclaim for Cache {
    fn reclaim(&self, frames_wanted: usize) -> Reclaimed {
        self.reclaimer.reclaim(frames_wanted, self)
    }
}

impl Evict for Cache {
    fn is_cached(&self, file: FileId, page: PageIndex) -> bool {
        self.file(file).lock().pages.contains(page)
    }

    fn try_evict(&self, file: FileId, page: PageIndex) -> Eviction {
        let Some(mut file) = self.file(file).try_lock() else {
            return Eviction::Unasked;
        };
        let own = FileRange::new(page.start(), page.start() + PAGE_BYTES);
        let busy = file.states.any(own, State::all());
        let answer = file.pages.try_evict(page, busy);
        self.evicted
            .fetch_add(u64::from(answer == Eviction::Evicted), Ordering::Relaxed);
        answer
    }
}

/// The first byte of every page says whose it is.
fn mark(file: FileId, page: PageIndex) -> u8 {
    u8::try_from(1 + file.0 * FILE_PAGES + page.0).expect("few pages")
}

fn pages_of(range: FileRange) -> std::ops::Range<PageIndex> {
    PageIndex::of(range.start)..PageIndex::of(range.end)
}

impl Cache {
    fn file(&self, file: FileId) -> &Mutex<File> {
        &self.files[usize::try_from(file.0).expect("few files")]
    }

    fn announce(&self, id: FileId, range: FileRange) {
        let mut clean = Vec::new();
        let pages = pages_of(range);
        self.file(id)
            .lock()
            .pages
            .announce(pages, |page| clean.push(page));
        self.reclaimer.announce(id, clean, self);
        self.pool.note_progress();
    }

    /// Writes a run, and hands it to the device where nobody else has.
    fn write(&self, id: FileId, range: FileRange) {
        let mut charge = self.pool.charge(range.pages().count(), self);
        let mut file = self.file(id).lock();
        let File { pages, states } = &mut *file;
        for index in range.pages() {
            let byte = mark(id, index);
            match pages.get_mut(index) {
                Some(page) => page.frame.bytes_mut(&self.pool)[0] = byte,
                None => {
                    pages.insert(index, Page::new(charge.frame_from(&[byte])));
                }
            }
        }
        if states.any(range, State::WRITEBACK) {
            drop(file);
            self.announce(id, range);
            return;
        }
        states.set(range, State::WRITEBACK);
        let mut frames = Vec::new();
        pages.touch_run(pages_of(range), |frame| frames.push(frame.clone()));
        self.device
            .send((id, range, frames))
            .expect("the device is there");
    }

    fn read(&self, id: FileId, range: FileRange) {
        let mut frames = Vec::new();
        self.file(id)
            .lock()
            .pages
            .touch_run(pages_of(range), |frame| frames.push(frame.clone()));
        for (index, frame) in range.pages().zip(&frames) {
            assert_eq!(frame.bytes()[0], mark(id, index));
        }
    }

    /// What a completion does.
    fn finish(&self, id: FileId, range: FileRange, frames: &[Frame]) {
        for (index, frame) in range.pages().zip(frames) {
            assert_eq!(
                frame.bytes()[0],
                mark(id, index),
                "it moved under writeback"
            );
        }
        let cleared = self.file(id).lock().states.clear(range, State::WRITEBACK);
        assert_eq!(cleared.writeback, range.bytes());
        self.announce(id, range);
    }
}

fn work(cache: &Cache, seed: u64) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut below = |limit: u64| random.next_u64() % limit;
    for _ in 0..STEPS {
        let id = FileId(below(FILES));
        let start = below(FILE_PAGES - RUN_PAGES);
        let end = start + 1 + below(RUN_PAGES);
        let range = FileRange::new(start * PAGE_BYTES, end * PAGE_BYTES);
        match below(10) {
            0 => {
                let mut file = cache.file(id).lock();
                if !file.states.any(range, State::all()) {
                    file.pages.remove_range(pages_of(range));
                }
            }
            1..5 => cache.read(id, range),
            _ => cache.write(id, range),
        }
    }
}

#[test]
fn a_cache_smaller_than_its_files_serves_all_and_loses_nothing() {
    let (device, completions) = mpsc::channel();
    let cache = Cache {
        files: (0..FILES).map(|_| Mutex::default()).collect(),
        pool: FramePool::new(FRAMES),
        reclaimer: Reclaimer::new(),
        device,
        evicted: AtomicU64::new(0),
    };
    std::thread::scope(|threads| {
        let workers: Vec<_> = (0..THREADS)
            .map(|seed| {
                let cache = &cache;
                threads.spawn(move || work(cache, seed))
            })
            .collect();
        while !workers.iter().all(|worker| worker.is_finished()) {
            if let Ok((id, range, frames)) = completions.try_recv() {
                cache.finish(id, range, &frames);
                drop(frames);
                cache.pool.note_progress();
            } else {
                std::thread::yield_now();
            }
        }
    });
    while let Ok((id, range, frames)) = completions.try_recv() {
        cache.finish(id, range, &frames);
    }
    assert!(
        cache.evicted.load(Ordering::Relaxed) > 0,
        "there was pressure"
    );
    assert!(cache.pool.stats().frames_used <= FRAMES);
    drop(cache.files);
    assert_eq!(cache.pool.stats().frames_used, 0);
}
