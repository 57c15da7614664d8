//! Frames: 4 KiB of file bytes each, counted from the moment they are promised to their last drop.
//!
//! A frame is shared by cloning its handle and does not change while it is shared. Writeback
//! therefore takes handles and no lock: a writer that comes meanwhile gets a copy of its own
//! (`bytes_mut`), and what the codec reads cannot move under it. Waiting for writeback to end, as
//! the seed does, was refused: it makes the writer pay for the device.
//!
//! Frames are promised before they are needed. `charge` takes the places of a whole write or read
//! first, where it may wait and reclaim; filling them later, under a file's mutex, allocates
//! nothing new and waits for nobody.
//!
//! ```text
//!   charge(n) --> Charge --frame()--> Frame --clone--> Frame ...
//!       used += n   | drop: the rest goes back            | last drop: used -= 1, page recycled
//! ```
//!
//! Invariants
//!   * `used` = pages in frames + places in charges, exactly.
//!   * `used <= frames_max`, but for copies made under writeback: they wait for nobody, because
//!     the file's mutex is held, and are at most the frames that writeback and the next batch of the
//!     log hold. The next charge waits for them as for any other.
//!   * Charges that wait are served in the order in which they came, and nobody overtakes them: a large
//!     one would else wait as long as small ones come.
//!   * Pages go round and are not given back to the allocator before the pool goes.
//!
//! Locks: one short mutex, taken with any other lock held and holding none itself.
//!
//! Not here: which page belongs to which file (`page_map`), which goes first (`reclaim`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::stats::Stall;
use crate::units::PAGE_LEN;
use crate::waiting::Waiting;

/// Bytes of one page.
///
/// Aligned to a cache line and not to a page: frames are copied to and from device buffers and
/// never handed to a device, and an allocator spends a second page on each aligned one (128 MiB of
/// pages took 256 with glibc, 130 like this).
#[repr(align(64))]
struct PageBytes([u8; PAGE_LEN]);

impl PageBytes {
    fn boxed() -> Box<Self> {
        Box::new(Self([0; PAGE_LEN]))
    }
}

/// How soon a charge asks again where pages could go but their files were busy. Short against one
/// device write, long against holding a file's mutex.
const RETRY: Duration = Duration::from_millis(1);

/// One page with a place in the pool. The box outlives it, in the pool.
struct Slot {
    page: Option<Box<PageBytes>>,
    pool: Arc<Shared>,
}

impl Slot {
    fn page(&self) -> &PageBytes {
        self.page.as_ref().expect("taken only by drop")
    }

    fn page_mut(&mut self) -> &mut PageBytes {
        self.page.as_mut().expect("taken only by drop")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.give_back(1, self.page.take());
    }
}

/// A handle to 4 KiB of bytes. Clones share them; shared bytes do not change.
#[derive(Clone)]
pub struct Frame(Arc<Slot>);

impl Frame {
    /// The bytes.
    pub fn bytes(&self) -> &[u8; PAGE_LEN] {
        &self.0.page().0
    }

    /// The bytes, to be changed: in place where this is the only handle, else in a copy that this
    /// handle has from here on. The copy is counted against `pool` at once and waits for nothing.
    pub fn bytes_mut(&mut self, pool: &FramePool) -> &mut [u8; PAGE_LEN] {
        assert!(
            Arc::ptr_eq(&self.0.pool, &pool.0),
            "a frame changes under the pool it came from"
        );
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::new(pool.0.copy_of(self.0.page()));
        }
        let slot = Arc::get_mut(&mut self.0).expect("the only handle, or a copy made just now");
        &mut slot.page_mut().0
    }

    /// Both handles see the same bytes.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} handles)", Arc::strong_count(&self.0))
    }
}

/// What an attempt to free frames came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclaimed {
    /// Pages that left the cache. Their frames are free once nobody else holds them.
    pub frames: usize,
    /// Asking again may free more without anything else happening.
    pub more: bool,
}

/// Somebody who can make room in the cache.
pub trait Reclaim {
    /// Tries to let `frames_wanted` pages go. Does not wait for I/O, but may start some.
    fn reclaim(&self, frames_wanted: usize) -> Reclaimed;

    /// Notes that a caller waits for room until it drops what this returns; none where nobody wants to know.
    fn hold_up(&self) -> Option<Stall<'_>> {
        None
    }
}

/// All frames of a cache. Clones are the same pool.
#[derive(Clone)]
pub struct FramePool(Arc<Shared>);

struct Shared {
    frames_max: usize,
    waiting: Waiting,
    state: Mutex<PoolState>,
    room: Condvar,
}

struct PoolState {
    used: usize,
    /// Pages without a frame; with `used` never more than the most frames there were at once.
    spare: Vec<Box<PageBytes>>,
    /// Charges that could not be served when they came; the first is next.
    line: VecDeque<u64>,
    line_next: u64,
    /// Threads that sleep.
    waiting: usize,
    /// Counts news that may let a reclaim succeed where the last one did not.
    progress: u64,
    copies: u64,
    waits: u64,
}

/// Counts of a frame pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePoolStats {
    /// Frames and promised places.
    pub frames_used: usize,
    /// The size of the cache.
    pub frames_max: usize,
    /// Frames copied because somebody changed one that was shared.
    pub copies: u64,
    /// Times a charge slept because nothing could go.
    pub waits: u64,
}

impl FramePool {
    /// A pool of at most `frames_max` frames; memory is taken as it is first used.
    pub fn new(frames_max: usize) -> Self {
        Self::waited_for(frames_max, Waiting::default())
    }

    /// The same, with callers that wait as `waiting` says.
    pub(crate) fn waited_for(frames_max: usize, waiting: Waiting) -> Self {
        assert!(frames_max > 0, "a cache without frames holds nothing");
        Self(Arc::new(Shared {
            frames_max,
            waiting,
            state: Mutex::new(PoolState {
                used: 0,
                spare: Vec::new(),
                line: VecDeque::new(),
                line_next: 0,
                waiting: 0,
                progress: 0,
                copies: 0,
                waits: 0,
            }),
            room: Condvar::new(),
        }))
    }

    /// Takes `frames` places, after everybody who waits for some; where the cache is full lets `reclaim` make room,
    /// and waits where it cannot. Call without locks that `reclaim` or writeback need.
    ///
    /// # Panics
    /// Where `frames` is more than the whole cache.
    pub fn charge(&self, frames: usize, reclaim: &dyn Reclaim) -> Charge {
        let mut place: Option<Place<'_>> = None;
        let (mut held_up, mut reclaims) = (None, 0);
        loop {
            let (seen, more) = match self.take(frames, place.as_ref().map(|own| own.number)) {
                Ok(charge) => return charge,
                Err(Refused::Others) => (None, false),
                Err(Refused::Full { short_by, progress }) => {
                    let reclaimed = reclaim.reclaim(short_by);
                    reclaims += 1;
                    if reclaimed.frames > 0 {
                        // Others may take what this frees; once that may happen.
                        if reclaims > 1 {
                            place.get_or_insert_with(|| Place::last(self));
                        }
                        continue;
                    }
                    (Some(progress), reclaimed.more)
                }
            };
            let place = place.get_or_insert_with(|| Place::last(self));
            held_up = held_up.or_else(|| reclaim.hold_up());
            self.wait_for_room(frames, place, seen, more.then_some(RETRY));
        }
    }

    /// Takes `frames` places if they are free and nobody waits for them, or come free by one reclaim. Never waits.
    pub fn try_charge(&self, frames: usize, reclaim: &dyn Reclaim) -> Option<Charge> {
        match self.take(frames, None) {
            Ok(charge) => Some(charge),
            Err(Refused::Others) => None,
            Err(Refused::Full { short_by, .. }) => {
                reclaim.reclaim(short_by);
                self.take(frames, None).ok()
            }
        }
    }

    /// Says that pages which could not go may be able to now: writeback ended, pages were announced
    /// to the reclaim queue.
    pub fn note_progress(&self) {
        let mut state = self.0.state.lock();
        state.progress += 1;
        if state.waiting > 0 {
            self.0.room.notify_all();
        }
    }

    /// The size of the cache.
    pub fn frames_max(&self) -> usize {
        self.0.frames_max
    }

    /// Counts.
    pub fn stats(&self) -> FramePoolStats {
        let state = self.0.state.lock();
        FramePoolStats {
            frames_used: state.used,
            frames_max: self.0.frames_max,
            copies: state.copies,
            waits: state.waits,
        }
    }

    /// Sleeps until it is the turn of `place`, and then until `frames` places are free, or there is news that a reclaim at
    /// progress `seen` did not know, or `timeout`.
    fn wait_for_room(
        &self,
        frames: usize,
        place: &Place<'_>,
        seen: Option<u64>,
        timeout: Option<Duration>,
    ) {
        let Shared { waiting, room, .. } = &*self.0;
        let mut state = self.0.state.lock();
        let full = |state: &PoolState| {
            let is_next = state.line.front() == Some(&place.number);
            !is_next
                || state.used + frames > self.0.frames_max
                    && seen.is_some_and(|seen| seen == state.progress)
        };
        if !full(&state) {
            return;
        }
        state.waits += 1;
        state.waiting += 1;
        let mut over = false;
        while !over && full(&state) {
            match timeout {
                Some(timeout) => over = waiting.doze(room, &mut state, timeout),
                None => waiting.wait("room in the cache", room, &mut state),
            }
        }
        state.waiting -= 1;
    }

    /// The places, for who is in line as `place` or not at all.
    fn take(&self, frames: usize, place: Option<u64>) -> Result<Charge, Refused> {
        assert!(
            frames <= self.0.frames_max,
            "{frames} frames at once from a cache of {}: ask in parts",
            self.0.frames_max
        );
        let mut state = self.0.state.lock();
        if state.line.front().copied() != place {
            return Err(Refused::Others);
        }
        let wanted = state.used + frames;
        if wanted > self.0.frames_max {
            return Err(Refused::Full {
                short_by: wanted - self.0.frames_max,
                progress: state.progress,
            });
        }
        state.used = wanted;
        let kept = state.spare.len().saturating_sub(frames);
        Ok(Charge {
            pages: state.spare.split_off(kept),
            frames,
            pool: Arc::clone(&self.0),
        })
    }
}

impl fmt::Debug for FramePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// Why there are no places.
enum Refused {
    /// Others wait for some.
    Others,
    /// So many are missing, and this was the news when that was found out.
    Full { short_by: usize, progress: u64 },
}

/// A place in line, until it is dropped.
struct Place<'p> {
    pool: &'p FramePool,
    number: u64,
}

impl<'p> Place<'p> {
    /// Behind everybody else.
    fn last(pool: &'p FramePool) -> Self {
        let mut state = pool.0.state.lock();
        let number = state.line_next;
        state.line_next += 1;
        state.line.push_back(number);
        Self { pool, number }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.0.state.lock();
        state.line.retain(|&number| number != self.number);
        if state.waiting > 0 {
            self.pool.0.room.notify_all();
        }
    }
}

impl Shared {
    fn give_back(&self, frames: usize, pages: impl IntoIterator<Item = Box<PageBytes>>) {
        let mut state = self.state.lock();
        state.used = state
            .used
            .checked_sub(frames)
            .expect("more frames given back than taken");
        state.spare.extend(pages);
        if state.waiting > 0 {
            self.room.notify_all();
        }
    }

    /// A new slot with the same bytes, beyond the maximum if need be.
    fn copy_of(self: &Arc<Self>, page: &PageBytes) -> Slot {
        let spare = {
            let mut state = self.state.lock();
            state.used += 1;
            state.copies += 1;
            state.spare.pop()
        };
        let mut copy = spare.unwrap_or_else(PageBytes::boxed);
        copy.0.copy_from_slice(&page.0);
        Slot {
            page: Some(copy),
            pool: Arc::clone(self),
        }
    }
}

/// Places for frames, taken and not yet used. Dropping gives the rest back.
pub struct Charge {
    /// Recycled pages, at most `frames` of them.
    pages: Vec<Box<PageBytes>>,
    frames: usize,
    pool: Arc<Shared>,
}

impl Charge {
    /// A frame of zeros, for one place.
    ///
    /// # Panics
    /// Where no place is left; as `frame_from`.
    pub fn frame(&mut self) -> Frame {
        let page = match self.pages.pop() {
            Some(mut page) => {
                page.0.fill(0);
                page
            }
            None => PageBytes::boxed(),
        };
        self.place(page)
    }

    /// A frame that begins with `bytes` and ends in zeros, for one place.
    pub fn frame_from(&mut self, bytes: &[u8]) -> Frame {
        assert!(
            bytes.len() <= PAGE_LEN,
            "{} bytes do not fit a page",
            bytes.len()
        );
        let mut page = self.pages.pop().unwrap_or_else(PageBytes::boxed);
        let (head, tail) = page.0.split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        tail.fill(0);
        self.place(page)
    }

    /// Places left.
    pub fn frames(&self) -> usize {
        self.frames
    }

    fn place(&mut self, page: Box<PageBytes>) -> Frame {
        self.frames = self
            .frames
            .checked_sub(1)
            .expect("more frames made than were charged");
        Frame(Arc::new(Slot {
            page: Some(page),
            pool: Arc::clone(&self.pool),
        }))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.frames > 0 || !self.pages.is_empty() {
            self.pool.give_back(self.frames, self.pages.drain(..));
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({} frames)", self.frames)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use delalloc_backends::VirtualClock;

    use super::*;
    use crate::stats::{StallTimers, Stalls};

    /// Frees nothing, and counts how often it was asked.
    #[derive(Default)]
    struct Never(AtomicUsize);

    impl Reclaim for Never {
        fn reclaim(&self, _: usize) -> Reclaimed {
            self.0.fetch_add(1, Ordering::Relaxed);
            Reclaimed {
                frames: 0,
                more: false,
            }
        }
    }

    /// Frees what it holds, one frame at a time.
    struct Holder(Mutex<Vec<Frame>>);

    impl Reclaim for Holder {
        fn reclaim(&self, _: usize) -> Reclaimed {
            let gone = self.0.lock().pop();
            Reclaimed {
                frames: usize::from(gone.is_some()),
                more: false,
            }
        }
    }

    #[test]
    fn places_are_counted_from_charge_to_last_drop() {
        let pool = FramePool::new(4);
        let mut charge = pool.charge(3, &Never::default());
        let frame = charge.frame();
        let twin = frame.clone();
        assert_eq!(pool.stats().frames_used, 3);
        drop(charge);
        assert_eq!(pool.stats().frames_used, 1);
        drop(frame);
        assert_eq!(pool.stats().frames_used, 1);
        drop(twin);
        assert_eq!(pool.stats().frames_used, 0);
    }

    #[test]
    fn a_recycled_page_shows_nothing_of_its_past() {
        let pool = FramePool::new(1);
        drop(pool.charge(1, &Never::default()).frame_from(&[7; PAGE_LEN]));
        let short = pool.charge(1, &Never::default()).frame_from(&[9; 10]);
        assert_eq!(short.bytes()[..10], [9; 10]);
        assert!(short.bytes()[10..].iter().all(|&byte| byte == 0));
        drop(short);
        let zeros = pool.charge(1, &Never::default()).frame();
        assert_eq!(zeros.bytes(), &[0; PAGE_LEN]);
    }

    #[test]
    fn a_large_charge_is_not_overtaken_by_small_ones() {
        let pool = FramePool::new(4);
        let held = pool.charge(1, &Never::default());
        std::thread::scope(|scope| {
            let large = scope.spawn(|| pool.charge(4, &Never::default()).frames());
            while pool.stats().waits == 0 {
                std::thread::yield_now();
            }
            assert!(
                pool.try_charge(1, &Never::default()).is_none(),
                "somebody waits for them"
            );
            let small = scope.spawn(|| pool.charge(1, &Never::default()).frames());
            while pool.stats().waits < 2 {
                std::thread::yield_now();
            }
            drop(held);
            let served = [large, small].map(|one| one.join().expect("no panic"));
            assert_eq!(served, [4, 1]);
        });
        assert_eq!(pool.stats().frames_used, 0);
    }

    #[test]
    fn shared_bytes_do_not_change() {
        let pool = FramePool::new(1);
        let mut frame = pool.charge(1, &Never::default()).frame_from(&[1; PAGE_LEN]);
        frame.bytes_mut(&pool)[0] = 2;
        assert_eq!(pool.stats().copies, 0);
        let in_writeback = frame.clone();
        frame.bytes_mut(&pool)[0] = 3;
        assert_eq!(in_writeback.bytes()[0], 2);
        assert_eq!(frame.bytes()[..2], [3, 1]);
        assert!(!frame.same(&in_writeback));
        let stats = pool.stats();
        assert_eq!((stats.copies, stats.frames_used), (1, 2));
        assert!(pool.try_charge(1, &Never::default()).is_none());
        drop((frame, in_writeback));
        assert_eq!(pool.stats().frames_used, 0);
    }

    #[test]
    fn a_full_pool_asks_until_there_is_room() {
        let pool = FramePool::new(4);
        let mut charge = pool.charge(4, &Never::default());
        let holder = Holder(Mutex::new((0..4).map(|_| charge.frame()).collect()));
        drop(charge);
        assert!(pool.try_charge(2, &holder).is_none());
        let charge = pool.charge(3, &holder);
        assert_eq!(charge.frames(), 3);
        assert_eq!(pool.stats().waits, 0);
    }

    #[test]
    fn a_charge_sleeps_until_a_frame_drops_or_progress_is_noted() {
        let pool = FramePool::new(1);
        let frame = pool.charge(1, &Never::default()).frame();
        let asked = Never::default();
        std::thread::scope(|threads| {
            let waiter = threads.spawn(|| pool.charge(1, &asked).frame());
            let until = |waits: u64| {
                while pool.stats().waits < waits {
                    std::thread::yield_now();
                }
            };
            until(1);
            pool.note_progress();
            until(2);
            assert_eq!(asked.0.load(Ordering::Relaxed), 2);
            drop(frame);
            waiter.join().expect("the waiter got its frame");
        });
        assert_eq!(pool.stats().frames_used, 0);
    }

    /// Frees nothing, and takes the time of whoever waits.
    #[derive(Default)]
    struct Timed {
        timers: StallTimers,
        clock: VirtualClock,
    }

    impl Reclaim for Timed {
        fn reclaim(&self, _: usize) -> Reclaimed {
            Reclaimed {
                frames: 0,
                more: false,
            }
        }

        fn hold_up(&self) -> Option<Stall<'_>> {
            Some(self.timers.cache_room.begin(&self.clock))
        }
    }

    #[test]
    fn a_charge_that_waits_is_one_stall_however_often_it_sleeps() {
        let (pool, timed) = (FramePool::new(1), Timed::default());
        let told = || timed.timers.stats(&timed.clock).cache_room;
        let frame = pool.charge(1, &timed).frame();
        assert_eq!(told(), Stalls::default(), "there was room");
        std::thread::scope(|threads| {
            let waiter = threads.spawn(|| pool.charge(1, &timed).frame());
            for sleeps in 1..3 {
                while pool.stats().waits < sleeps {
                    std::thread::yield_now();
                }
                timed.clock.advance(Duration::from_nanos(300));
                assert_eq!((told().count, told().ns_sum), (0, 300 * sleeps));
                pool.note_progress();
            }
            drop(frame);
            waiter.join().expect("the waiter got its frame");
        });
        assert_eq!((told().count, told().ns_sum), (1, 600));
    }

    #[test]
    #[should_panic(expected = "ask in parts")]
    fn more_than_the_cache_is_refused() {
        FramePool::new(2).charge(3, &Never::default());
    }
}
