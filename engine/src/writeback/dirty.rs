//! How much is dirty, in which files since when, and who has to wait for it.
//!
//! A byte is counted once from the write that made it dirty until its writeback has ended:
//!
//! ```text
//!            mark_dirty         begin_writeback          end_writeback
//!   (clean) ------------> dirty ----------------> writeback ----------> (clean)
//!                           '---- drop_dirty (truncated, removed) ----> (clean)
//!
//!   dirty > background              wakes the flusher
//!   dirty + writeback > limit       stops writers (wall); nearing it delays them (curve)
//! ```
//!
//! Both parts count against the limit because both hold frames that cannot go. The background
//! threshold looks at dirty alone: what is on its way needs no flusher.
//!
//! The flusher is sent to files in turn. A file that it was sent to goes to the end of the line,
//! whatever it left behind; taking the file with the oldest byte every time would let one writer
//! that never stops keep it for ever.
//!
//! Invariants
//!   * `dirty` is the sum over all files; a file without dirty bytes is not listed.
//!   * Callers pass the deltas of the state map: nothing is recounted here.
//!   * A writer that waits is released by bytes that end, or by `stop`.
//!
//! Locks: one mutex, held for arithmetic, taken with any file's mutex held. `balance_dirty` waits
//! and is called with no lock at all. Not here: the shapes (`throttle`), writing.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use delalloc_backends::{Clock, Instant};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::throttle::{Pacer, Throttle, curve_delay_ns};
use crate::config::DirtyConfig;
use crate::stats::{HeldUp, Stalls};
use crate::units::FileId;
use crate::waiting::Waiting;

/// Why the flusher is sent to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has been dirty for longer than `dirty.expire`.
    Expired,
    /// More is dirty than `dirty.background`.
    Background,
    /// A writer waits at `dirty.limit`, or the cache asked for clean pages.
    Pressure,
}

/// Why the flusher was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There may be a file to write.
    Work,
    /// Nothing happened; files may have expired.
    Timeout,
    /// The volume closes.
    Stop,
}

/// Counts of dirty data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirtyStats {
    /// Dirty now.
    pub dirty_bytes: u64,
    /// In writeback now.
    pub writeback_bytes: u64,
    /// The most of both at once.
    pub held_bytes_max: u64,
    /// Files with dirty bytes now.
    pub files: u64,
    /// Full stops at the limit.
    pub stops: Stalls,
    /// Delays on the curve.
    pub delays: Stalls,
}

/// Dirty bytes of a volume.
#[derive(Debug)]
pub struct DirtyAccounting {
    limits: DirtyConfig,
    waiting: Waiting,
    /// dirty + writeback, for a look without the lock. Written under the lock.
    held_bytes: AtomicU64,
    state: Mutex<DirtyState>,
    /// For the flusher.
    work: Condvar,
    /// For writers at the limit.
    below_limit: Condvar,
}

#[derive(Debug, Default)]
struct DirtyState {
    /// Without stops and delays, which the next two have.
    stats: DirtyStats,
    stops: HeldUp,
    delays: HeldUp,
    files: HashMap<FileId, DirtyFile>,
    /// Files by the time from which their age counts.
    line: BTreeSet<(Instant, FileId)>,
    writers_waiting: usize,
    pressure: bool,
    /// Something was handed off since the flusher last looked up.
    progressed: bool,
    kicked: bool,
    stopped: bool,
    pacer: Pacer,
}

#[derive(Debug, Clone, Copy)]
struct DirtyFile {
    bytes: u64,
    /// When it became dirty, or when the flusher was last sent to it.
    since: Instant,
}

impl DirtyAccounting {
    /// Nothing dirty.
    pub fn new(limits: DirtyConfig) -> Self {
        Self::waited_for(limits, Waiting::default())
    }

    /// The same, with writers that wait as `waiting` says.
    pub(crate) fn waited_for(limits: DirtyConfig, waiting: Waiting) -> Self {
        assert!(
            limits.background_bytes < limits.limit_bytes,
            "the flusher starts at {} bytes, above the limit of {}",
            limits.background_bytes,
            limits.limit_bytes
        );
        Self {
            limits,
            waiting,
            held_bytes: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            below_limit: Condvar::new(),
        }
    }

    /// `bytes` of `file` that were not dirty are now; wakes the flusher above the background threshold.
    pub fn mark_dirty(&self, file: FileId, bytes: u64, now: Instant) {
        if bytes == 0 {
            return;
        }
        let mut state = self.state.lock();
        state.add_to_file(file, bytes, now);
        state.stats.dirty_bytes += bytes;
        self.note_held(&mut state);
        if state.stats.dirty_bytes > self.limits.background_bytes {
            self.kick(&mut state);
        }
    }

    /// `bytes` dirty bytes of `file` were handed off.
    pub fn begin_writeback(&self, file: FileId, bytes: u64) {
        let mut state = self.state.lock();
        state.take_from_file(file, bytes);
        state.stats.writeback_bytes += bytes;
        state.progressed = true;
    }

    /// Writeback of `bytes` ended, well or not.
    pub fn end_writeback(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.stats.writeback_bytes = state
            .stats
            .writeback_bytes
            .checked_sub(bytes)
            .expect("more writeback ended than began");
        self.note_held(&mut state);
    }

    /// `bytes` dirty bytes of `file` are not to be written any more.
    pub fn drop_dirty(&self, file: FileId, bytes: u64) {
        let mut state = self.state.lock();
        state.take_from_file(file, bytes);
        self.note_held(&mut state);
    }

    /// After a write of `written_bytes`, with no lock held: holds the caller up as the throttle says.
    pub fn balance_dirty(&self, clock: &dyn Clock, written_bytes: u64) {
        if self.over_limit() {
            self.wait_below_limit(clock);
        }
        // After the wall, so that the delay is that of what is left.
        if self.limits.throttle == Throttle::Curve {
            self.delay(clock, written_bytes);
        }
    }

    /// More is held than the limit allows: `balance_dirty` would wait. For a volume without
    /// threads, which has to write instead.
    pub fn over_limit(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) > self.limits.limit_bytes
    }

    /// The next file for the flusher; it goes to the end of the line. `None` where nothing has
    /// expired (`expire` before `now`) and no threshold is passed.
    ///
    /// The caller writes what was dirty when it was sent; what it cannot write counts as dirty since
    /// `now`, so a caller that makes no progress in a whole round should wait for work.
    pub fn next_file(&self, now: Instant, expire: Duration) -> Option<(FileId, Why)> {
        let mut state = self.state.lock();
        let &(since, file) = state.line.first()?;
        let why = if state.pressure || state.writers_waiting > 0 {
            Why::Pressure
        } else if state.stats.dirty_bytes > self.limits.background_bytes {
            Why::Background
        } else if since.after(expire) <= now {
            Why::Expired
        } else {
            return None;
        };
        state.requeue(file, now);
        Some((file, why))
    }

    /// Bytes of `file` that are dirty.
    pub(crate) fn file_bytes(&self, file: FileId) -> u64 {
        let state = self.state.lock();
        state.files.get(&file).map_or(0, |dirty| dirty.bytes)
    }

    /// Dirty bytes that the flusher found in writeback are out of it: it need not wait for its clock.
    pub(crate) fn note_collectable(&self) {
        let mut state = self.state.lock();
        let above = state.stats.dirty_bytes > self.limits.background_bytes;
        if above || state.pressure || state.writers_waiting > 0 {
            self.kick(&mut state);
        }
    }

    /// The cache has no clean pages left: the flusher should write below its threshold, until it
    /// runs out of work.
    pub fn note_pressure(&self) {
        let mut state = self.state.lock();
        state.pressure = state.stats.dirty_bytes > 0;
        self.kick(&mut state);
    }

    /// Sleeps until there may be work, at most for `timeout`. One thread, the flusher, calls this; it ends pressure noted
    /// before it last ran out of work. Where it found nothing that could be handed off, what is dirty is in writeback as well,
    /// and the pressure stands until it is out.
    pub fn wait_for_work(&self, timeout: Duration) -> Wake {
        let mut state = self.state.lock();
        if !state.kicked {
            let progressed = std::mem::take(&mut state.progressed);
            state.pressure &= !progressed && state.stats.dirty_bytes > 0;
        }
        if !state.kicked && !state.stopped {
            self.work.wait_for(&mut state, timeout);
        }
        if state.stopped {
            Wake::Stop
        } else if std::mem::take(&mut state.kicked) {
            Wake::Work
        } else {
            Wake::Timeout
        }
    }

    /// `wait_for_work` would return with work.
    pub(crate) fn is_kicked(&self) -> bool {
        self.state.lock().kicked
    }

    /// Wakes the flusher to end, and releases every writer for good.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        self.work.notify_all();
        self.below_limit.notify_all();
    }

    /// Some file is dirty.
    pub(crate) fn has_files(&self) -> bool {
        !self.state.lock().files.is_empty()
    }

    /// Counts; writers that are held up now count for as long as they are.
    pub fn stats(&self, clock: &dyn Clock) -> DirtyStats {
        let state = self.state.lock();
        let now = clock.now();
        DirtyStats {
            files: state.files.len() as u64,
            stops: state.stops.until(now),
            delays: state.delays.until(now),
            ..state.stats
        }
    }

    fn delay(&self, clock: &dyn Clock, written_bytes: u64) {
        let held_bytes = self.held_bytes.load(Ordering::Relaxed);
        let delay_ns = curve_delay_ns(held_bytes, self.limits.limit_bytes, written_bytes);
        if delay_ns == 0 {
            return;
        }
        let now = clock.now();
        let wake = {
            let mut state = self.state.lock();
            if state.stopped {
                return;
            }
            self.kick(&mut state);
            state.delays.begin(now);
            state.pacer.admit(now, delay_ns)
        };
        let delay = Duration::from_nanos(wake.ns_since(now));
        self.waiting.sleep(clock, delay);
        let mut state = self.state.lock();
        state.delays.end(now, clock.now());
    }

    fn wait_below_limit(&self, clock: &dyn Clock) {
        let since = clock.now();
        let mut state = self.state.lock();
        if state.held_bytes() <= self.limits.limit_bytes || state.stopped {
            return;
        }
        state.writers_waiting += 1;
        state.stops.begin(since);
        self.kick(&mut state);
        while state.held_bytes() > self.limits.limit_bytes && !state.stopped {
            self.waiting
                .wait("less that is dirty", &self.below_limit, &mut state);
        }
        state.writers_waiting -= 1;
        state.stops.end(since, clock.now());
    }

    fn kick(&self, state: &mut MutexGuard<'_, DirtyState>) {
        if !state.kicked {
            state.kicked = true;
            self.work.notify_one();
        }
    }

    /// The sum of dirty and writeback may have changed.
    fn note_held(&self, state: &mut MutexGuard<'_, DirtyState>) {
        let held_bytes = state.held_bytes();
        self.held_bytes.store(held_bytes, Ordering::Relaxed);
        state.stats.held_bytes_max = state.stats.held_bytes_max.max(held_bytes);
        if state.writers_waiting > 0 && held_bytes <= self.limits.limit_bytes {
            self.below_limit.notify_all();
        }
    }
}

impl DirtyState {
    fn held_bytes(&self) -> u64 {
        self.stats.dirty_bytes + self.stats.writeback_bytes
    }

    fn add_to_file(&mut self, file: FileId, bytes: u64, now: Instant) {
        let entry = self.files.entry(file).or_insert_with(|| {
            self.line.insert((now, file));
            DirtyFile {
                bytes: 0,
                since: now,
            }
        });
        entry.bytes += bytes;
    }

    fn take_from_file(&mut self, file: FileId, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let entry = self
            .files
            .get_mut(&file)
            .expect("bytes taken from a file that has dirty ones");
        entry.bytes = entry
            .bytes
            .checked_sub(bytes)
            .expect("no more bytes taken from a file than it has dirty");
        if entry.bytes == 0 {
            self.line.remove(&(entry.since, file));
            self.files.remove(&file);
        }
        self.stats.dirty_bytes -= bytes;
    }

    fn requeue(&mut self, file: FileId, now: Instant) {
        let entry = self
            .files
            .get_mut(&file)
            .expect("a file in line has dirty bytes");
        self.line.remove(&(entry.since, file));
        entry.since = now;
        self.line.insert((now, file));
    }
}

#[cfg(test)]
mod tests {
    use delalloc_backends::OsClock;

    use super::*;

    const A: FileId = FileId(1);
    const B: FileId = FileId(2);
    const EXPIRE: Duration = Duration::from_nanos(100);

    fn accounting(throttle: Throttle) -> DirtyAccounting {
        DirtyAccounting::new(DirtyConfig {
            background_bytes: 100,
            limit_bytes: 1000,
            throttle,
            expire: EXPIRE,
        })
    }

    fn at(ns: u64) -> Instant {
        Instant { ns }
    }

    #[test]
    fn bytes_move_from_dirty_to_writeback_to_nothing() {
        let (dirty, clock) = (accounting(Throttle::Wall), SleptClock::default());
        dirty.mark_dirty(A, 50, at(1));
        dirty.mark_dirty(B, 30, at(2));
        dirty.begin_writeback(A, 20);
        dirty.drop_dirty(B, 30);
        let stats = dirty.stats(&clock);
        assert_eq!((stats.dirty_bytes, stats.writeback_bytes), (30, 20));
        assert_eq!((stats.files, stats.held_bytes_max), (1, 80));
        dirty.begin_writeback(A, 30);
        dirty.end_writeback(50);
        let stats = dirty.stats(&clock);
        assert_eq!(
            (stats.dirty_bytes, stats.writeback_bytes, stats.files),
            (0, 0, 0)
        );
    }

    #[test]
    fn the_oldest_expired_file_is_first_and_then_at_the_end() {
        let dirty = accounting(Throttle::Wall);
        dirty.mark_dirty(B, 10, at(5));
        dirty.mark_dirty(A, 10, at(10));
        dirty.mark_dirty(B, 10, at(50));
        assert_eq!(dirty.next_file(at(104), EXPIRE), None);
        assert_eq!(dirty.next_file(at(110), EXPIRE), Some((B, Why::Expired)));
        assert_eq!(dirty.next_file(at(110), EXPIRE), Some((A, Why::Expired)));
        assert_eq!(dirty.next_file(at(110), EXPIRE), None);
    }

    #[test]
    fn above_background_files_take_turns() {
        let dirty = accounting(Throttle::Wall);
        dirty.mark_dirty(A, 200, at(1));
        dirty.mark_dirty(B, 200, at(2));
        let turns: Vec<_> = (3..7)
            .filter_map(|ns| dirty.next_file(at(ns), EXPIRE))
            .collect();
        let background = |file| (file, Why::Background);
        assert_eq!(turns, [A, B, A, B].map(background));
        dirty.begin_writeback(A, 200);
        dirty.begin_writeback(B, 100);
        assert_eq!(dirty.next_file(at(8), EXPIRE), None);
    }

    #[test]
    fn the_flusher_is_woken_once_per_reason() {
        let dirty = accounting(Throttle::Wall);
        dirty.mark_dirty(A, 100, at(1));
        assert_eq!(dirty.wait_for_work(Duration::ZERO), Wake::Timeout);
        dirty.mark_dirty(A, 1, at(1));
        assert_eq!(dirty.wait_for_work(Duration::MAX), Wake::Work);
        assert_eq!(dirty.wait_for_work(Duration::ZERO), Wake::Timeout);
        dirty.stop();
        assert_eq!(dirty.wait_for_work(Duration::MAX), Wake::Stop);
    }

    #[test]
    fn pressure_lasts_until_the_flusher_ran_out_of_work() {
        let dirty = accounting(Throttle::Wall);
        dirty.mark_dirty(A, 10, at(1));
        dirty.note_pressure();
        assert_eq!(dirty.wait_for_work(Duration::MAX), Wake::Work);
        assert_eq!(dirty.next_file(at(2), EXPIRE), Some((A, Why::Pressure)));
        // All of it was in writeback as well: nothing was handed off.
        assert_eq!(dirty.wait_for_work(Duration::ZERO), Wake::Timeout);
        dirty.note_collectable();
        assert_eq!(dirty.wait_for_work(Duration::MAX), Wake::Work);
        assert_eq!(dirty.next_file(at(2), EXPIRE), Some((A, Why::Pressure)));
        dirty.begin_writeback(A, 4);
        assert_eq!(dirty.wait_for_work(Duration::ZERO), Wake::Timeout);
        assert_eq!(dirty.next_file(at(2), EXPIRE), None);
    }

    #[test]
    fn the_wall_holds_a_writer_until_writeback_ends() {
        let (dirty, clock) = (accounting(Throttle::Wall), OsClock::new());
        dirty.mark_dirty(A, 1000, at(1));
        dirty.balance_dirty(&clock, 1000);
        let stops = dirty.stats(&clock).stops;
        assert_eq!(stops.count, 0, "at the limit is not above it");
        dirty.mark_dirty(A, 500, at(1));
        assert!(dirty.over_limit());
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| dirty.balance_dirty(&clock, 500));
            while dirty.state.lock().writers_waiting == 0 {
                std::thread::yield_now();
            }
            assert_eq!(dirty.next_file(at(2), EXPIRE), Some((A, Why::Pressure)));
            dirty.begin_writeback(A, 600);
            dirty.end_writeback(400);
            assert!(!writer.is_finished(), "1100 are held");
            dirty.end_writeback(200);
            writer.join().expect("released");
        });
        let stops = dirty.stats(&clock).stops;
        assert_eq!(stops.count, 1);
        assert!(stops.ns_max > 0 && stops.ns_max == stops.ns_sum);
    }

    #[test]
    fn a_writer_that_waits_shows_it_in_every_interval_and_the_intervals_are_the_whole() {
        let (dirty, clock) = (accounting(Throttle::Wall), SleptClock::default());
        dirty.mark_dirty(A, 1500, at(1));
        let mut told = vec![0];
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| dirty.balance_dirty(&clock, 500));
            while dirty.state.lock().writers_waiting == 0 {
                std::thread::yield_now();
            }
            for ms in [200, 200, 200, 30] {
                clock.sleep(Duration::from_millis(ms));
                told.push(dirty.stats(&clock).stops.ns_sum);
            }
            dirty.begin_writeback(A, 1500);
            dirty.end_writeback(1500);
            writer.join().expect("released");
        });
        clock.sleep(Duration::from_millis(200));
        let stops = dirty.stats(&clock).stops;
        told.push(stops.ns_sum);
        let intervals: Vec<u64> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let ms = |ms: u64| ms * 1_000_000;
        assert_eq!(intervals, [ms(200), ms(200), ms(200), ms(30), 0]);
        assert_eq!(
            (stops.count, stops.ns_sum, stops.ns_max),
            (1, ms(630), ms(630))
        );
    }

    #[test]
    fn stop_releases_writers_for_good() {
        let (dirty, clock) = (accounting(Throttle::Wall), OsClock::new());
        dirty.mark_dirty(A, 5000, at(1));
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| dirty.balance_dirty(&clock, 5000));
            dirty.stop();
            writer.join().expect("released");
        });
        dirty.balance_dirty(&clock, 5000);
    }

    /// A clock that only sleeping moves.
    #[derive(Debug, Default)]
    struct SleptClock(AtomicU64);

    impl Clock for SleptClock {
        fn now(&self) -> Instant {
            at(self.0.load(Ordering::Relaxed))
        }

        fn sleep(&self, duration: Duration) {
            let ns = u64::try_from(duration.as_nanos()).expect("short");
            self.0.fetch_add(ns, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_curve_delays_below_the_limit_and_counts_apart() {
        let (dirty, clock) = (accounting(Throttle::Curve), SleptClock::default());
        dirty.mark_dirty(A, 600, at(0));
        dirty.balance_dirty(&clock, 600);
        assert_eq!(clock.now(), at(0));
        dirty.mark_dirty(A, 200, at(0));
        dirty.balance_dirty(&clock, 200);
        assert_eq!(clock.now(), at(500_000));
        let stats = dirty.stats(&clock);
        assert_eq!((stats.delays.count, stats.delays.ns_max), (1, 500_000));
        assert_eq!(stats.stops, Stalls::default());
    }

    #[test]
    #[should_panic(expected = "no more bytes taken")]
    fn bytes_that_are_not_dirty_cannot_be_handed_off() {
        let dirty = accounting(Throttle::Wall);
        dirty.mark_dirty(A, 10, at(1));
        dirty.begin_writeback(A, 11);
    }
}
