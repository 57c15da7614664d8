//! Compares what is read back with what was written, while others write.
//!
//! Every operation that changes bytes takes a ticket of one logical clock when it begins and
//! another when it ends; `versions` turns the tickets into the set of versions a byte may have.
//! A read announces its first ticket in its client's slot before it starts, so that versions it
//! may still see are kept until it is over.
//!
//! Why that is sound: a write's end-ticket is taken after its I/O, a read's announcement is made
//! before its I/O, both sequentially consistent. A writer that does not see a reader's
//! announcement therefore finished before that reader's I/O began, and the reader must see it.
//!
//! Locks: one per file, held for the map alone, never during I/O or content generation. The queue of files that were emptied
//! comes before them.
//!
//! What is remembered is counted where it grows or shrinks by more than what is in flight, so that overwriting counts nothing.
//! Whether it is more than it may be is asked by whoever looks at the phase from time to time, and not by clients.
//!
//! Not here: which bytes a version stands for (`delalloc-workloads`), which size is certain (size), the final pass (cell).

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::anyhow;
use delalloc_results::record::Verification;
use delalloc_workloads::plan::VERIFY_FILE_BYTES;
use delalloc_workloads::units::format_size;
use delalloc_workloads::{Content, FileSlot};
use parking_lot::{Mutex, RwLock};

use super::segment::{Ticket, Version};
use super::size::SettledSize;
use super::versions::{Acceptable, VersionMap};

const NO_READ: Ticket = Ticket::MAX;
/// Emptied files that are looked at again with each that is emptied; more than one, so that they come to an end.
const EMPTIED_AGAIN: usize = 2;

/// What every byte of every file of one cell should be.
#[derive(Debug)]
pub struct Expected {
    content: Arc<Content>,
    clock: AtomicU64,
    /// First ticket of each client's read in flight; `NO_READ` where there is none.
    readers: Box<[AtomicU64]>,
    files: RwLock<HashMap<FileSlot, Arc<Mutex<Remembered>>>>,
    /// Files that were emptied while a read was in flight that may still see what they had.
    emptied: Mutex<VecDeque<Arc<Mutex<Remembered>>>>,
    /// Memory of all maps, and its largest.
    held_bytes: AtomicU64,
    held_bytes_max: AtomicU64,
    /// It should be no more than this.
    held_bytes_limit: u64,
    bytes_verified: AtomicU64,
    mismatches: AtomicU64,
    first_mismatch: Mutex<Option<String>>,
}

/// What is known of one file.
#[derive(Debug, Default)]
struct Remembered {
    versions: VersionMap,
    size: SettledSize,
}

/// A change in flight. Ends with `Expected::end` or `Expected::fail`.
#[derive(Debug)]
#[must_use = "a change that never ends leaves old and new bytes both acceptable"]
pub struct Change {
    file: FileSlot,
    range: Range<u64>,
    began: Ticket,
    kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangeKind {
    /// Bytes; the file grows where it ends before them.
    Write,
    /// Zeros; the size stays.
    Punch,
    /// The file ends where the range starts.
    Resize,
}

impl Expected {
    /// Nothing written yet; at most `clients` at once, and no more than `held_bytes_limit` of memory.
    pub fn new(content: Arc<Content>, clients: usize, held_bytes_limit: u64) -> Self {
        Self {
            content,
            clock: AtomicU64::new(1),
            readers: (0..clients).map(|_| AtomicU64::new(NO_READ)).collect(),
            files: RwLock::default(),
            emptied: Mutex::default(),
            held_bytes: AtomicU64::new(0),
            held_bytes_max: AtomicU64::new(0),
            held_bytes_limit,
            bytes_verified: AtomicU64::new(0),
            mismatches: AtomicU64::new(0),
            first_mismatch: Mutex::default(),
        }
    }

    /// A write is about to start.
    pub fn begin_write(&self, file: FileSlot, range: Range<u64>, version: Version) -> Change {
        let began = self.ticket();
        self.change(&self.file(file), |known| {
            known.size.begin_write();
            known.versions.begin_write(range.clone(), version, began);
        });
        Change {
            file,
            range,
            began,
            kind: ChangeKind::Write,
        }
    }

    /// A range is about to read as zeros; the file keeps its length.
    pub fn begin_punch(&self, file: FileSlot, range: Range<u64>) -> Change {
        self.begin_zeros(file, range, ChangeKind::Punch)
    }

    /// The file is about to end after `file_bytes`, whatever it has; with none it may also be made, or go away.
    pub fn begin_resize(&self, file: FileSlot, file_bytes: u64) -> Change {
        self.begin_zeros(file, file_bytes..u64::MAX, ChangeKind::Resize)
    }

    fn begin_zeros(&self, file: FileSlot, range: Range<u64>, kind: ChangeKind) -> Change {
        let began = self.ticket();
        self.change(&self.file(file), |known| {
            if kind == ChangeKind::Resize {
                known.size.begin_resize();
            }
            known.versions.begin_zeros(range.clone(), began);
        });
        Change {
            file,
            range,
            began,
            kind,
        }
    }

    /// The change succeeded.
    pub fn end(&self, change: Change) {
        let ended = self.ticket();
        let oldest_reader = self
            .readers
            .iter()
            .map(|slot| slot.load(Ordering::SeqCst))
            .min()
            .unwrap_or(NO_READ);
        let Change {
            file,
            range,
            began,
            kind,
        } = change;
        let file = self.file(file);
        let lingers = self.change(&file, |known| {
            match kind {
                ChangeKind::Write => known.size.end_write(range.end),
                ChangeKind::Resize => known.size.end_resize(range.start),
                ChangeKind::Punch => {}
            }
            known.versions.end(range, began, ended, oldest_reader);
            known.versions.lingers()
        });
        if kind != ChangeKind::Write {
            self.forget_emptied(lingers.then_some(file), oldest_reader);
        }
    }

    /// The change failed: from here its bytes may be old or new, and the size is anybody's guess if it was to change that.
    pub fn fail(&self, change: Change) {
        let ended = self.ticket();
        self.change(&self.file(change.file), |known| {
            if change.kind != ChangeKind::Punch {
                known.size.fail();
            }
            known.versions.fail(change.range, change.began, ended);
        });
    }

    /// A read of client `client` is about to start.
    pub fn begin_read(&self, client: usize) {
        // The ticket after the last one taken: whatever ended until now has a lower one.
        let began = self.clock.load(Ordering::SeqCst) + 1;
        self.readers[client].store(began, Ordering::SeqCst);
    }

    /// The read that client began has returned `bytes` of the `wanted_bytes` at `offset`; fewer mean the file ended.
    pub fn end_read(
        &self,
        client: usize,
        file: FileSlot,
        offset: u64,
        bytes: &[u8],
        wanted_bytes: u64,
    ) {
        let began = self.readers[client].load(Ordering::SeqCst);
        assert!(began != NO_READ, "a read ends that never began");
        let range = offset..offset + wanted_bytes;
        let known = self.file(file);
        let single = known.lock().versions.single(&range);
        let parts = match single {
            Some(version) => vec![Acceptable {
                range,
                versions: vec![version],
            }],
            None => known.lock().versions.acceptable(range, began),
        };
        self.readers[client].store(NO_READ, Ordering::SeqCst);
        for part in &parts {
            self.compare(file, offset, bytes, part);
        }
        self.bytes_verified
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    /// A read that client began has failed: there is nothing to compare.
    pub fn abandon_read(&self, client: usize) {
        self.readers[client].store(NO_READ, Ordering::SeqCst);
    }

    /// What is worth reading back of every file that ever held bytes, in order of slot.
    pub fn read_back(&self, range_bytes_max: u64) -> Vec<(FileSlot, Vec<Range<u64>>)> {
        let mut files: Vec<_> = self
            .files
            .read()
            .iter()
            .map(|(slot, known)| (*slot, known.lock().versions.read_back(range_bytes_max)))
            .collect();
        files.sort_unstable_by_key(|(slot, _)| *slot);
        files
    }

    /// The file has `found_bytes` now that all changes are over: as many as it has to have, where that is certain.
    pub fn check_size(&self, file: FileSlot, found_bytes: u64) {
        let settled = self.file(file).lock().size.settled();
        if let Some(expected_bytes) = settled
            && found_bytes != expected_bytes
        {
            self.mismatch(
                file,
                found_bytes.min(expected_bytes),
                format!("size {found_bytes}, expected {expected_bytes}"),
            );
        }
    }

    /// What was compared so far and how it went.
    pub fn verdict(&self) -> Verification {
        Verification {
            bytes_verified: self.bytes_verified.load(Ordering::Relaxed),
            mismatches: self.mismatches.load(Ordering::Relaxed),
            first_mismatch: self.first_mismatch.lock().clone().unwrap_or_default(),
            tracking_bytes_max: self.held_bytes_max.load(Ordering::Relaxed),
        }
    }

    /// Why the run has to end, where what is remembered has become more than it may be.
    pub fn excess(&self) -> Option<anyhow::Error> {
        let held_bytes = self.held_bytes_max.load(Ordering::Relaxed);
        (held_bytes > self.held_bytes_limit).then(|| {
            anyhow!(
                "verification remembers what was written in {} MiB, more than the {} that it may take: say \
                 `verify_memory_max:` with more, or `verify: false`, or write less (`--dry-run` tells what a load needs)",
                held_bytes >> 20,
                format_size(self.held_bytes_limit),
            )
        })
    }

    /// Changes what is known of a file, and counts what that does to memory.
    fn change<R>(&self, file: &Mutex<Remembered>, change: impl FnOnce(&mut Remembered) -> R) -> R {
        let mut known = file.lock();
        let before = known.versions.held_bytes();
        let result = change(&mut known);
        let after = known.versions.held_bytes();
        drop(known);
        if after > before {
            self.hold(after - before);
        } else if after < before {
            self.held_bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
        result
    }

    fn hold(&self, more: u64) {
        let held_bytes = self.held_bytes.fetch_add(more, Ordering::Relaxed) + more;
        if held_bytes > self.held_bytes_max.load(Ordering::Relaxed) {
            self.held_bytes_max.fetch_max(held_bytes, Ordering::Relaxed);
        }
    }

    /// Forgets what emptied files kept for reads that are over by now: nobody may ever change them again.
    fn forget_emptied(&self, lingering: Option<Arc<Mutex<Remembered>>>, oldest_reader: Ticket) {
        let mut emptied = self.emptied.lock();
        emptied.extend(lingering);
        for _ in 0..EMPTIED_AGAIN {
            let Some(file) = emptied.front() else {
                return;
            };
            let lingers = self.change(file, |known| {
                known.versions.forget(oldest_reader);
                known.versions.lingers()
            });
            if lingers {
                return;
            }
            emptied.pop_front();
        }
    }

    /// Compares the part of `bytes` (which start at `offset` of the file) that `part` is about.
    fn compare(&self, file: FileSlot, offset: u64, bytes: &[u8], part: &Acceptable) {
        let start = index(part.range.start - offset);
        let end = index(part.range.end - offset).min(bytes.len());
        if start >= end || end < index(part.range.end - offset) {
            // Past the end of the file: right only where nothing was ever written.
            if !part.versions.contains(&0) {
                let missing_from = offset + bytes.len().max(start) as u64;
                self.mismatch(
                    file,
                    missing_from,
                    format!(
                        "the file ends at {missing_from} before bytes of version {}",
                        part.versions[0]
                    ),
                );
                return;
            }
            if start >= end {
                return;
            }
        }
        let found = &bytes[start..end];
        let at = part.range.start;
        if part
            .versions
            .iter()
            .any(|&version| self.is_version(file, at, version, found))
        {
            return;
        }
        if let Some((wrong, what)) = self.first_impossible(file, at, &part.versions, found) {
            self.mismatch(file, wrong, what);
        }
    }

    fn is_version(&self, file: FileSlot, offset: u64, version: Version, found: &[u8]) -> bool {
        if version == 0 {
            return is_zero(found);
        }
        self.content.verify(file, offset, version, found).is_ok()
    }

    /// The first byte that no acceptable version has: pieces of several may be mixed.
    fn first_impossible(
        &self,
        file: FileSlot,
        offset: u64,
        versions: &[Version],
        found: &[u8],
    ) -> Option<(u64, String)> {
        let mut possible = vec![false; found.len()];
        let mut expected = vec![0; found.len()];
        for &version in versions {
            expected.fill(0);
            if version != 0 {
                self.content.fill(file, offset, version, &mut expected);
            }
            for ((possible, expected), found) in possible.iter_mut().zip(&expected).zip(found) {
                *possible |= expected == found;
            }
        }
        let at = possible.iter().position(|possible| !possible)?;
        let wrong = possible.iter().filter(|possible| !**possible).count();
        let what = format!(
            "{wrong} wrong bytes in {} at {}: found 0x{:02x}, expected 0x{:02x} of version {}{}",
            found.len(),
            offset + at as u64,
            found[at],
            expected[at],
            versions[versions.len() - 1],
            if versions.len() > 1 {
                " or of another write in flight"
            } else {
                ""
            },
        );
        Some((offset + at as u64, what))
    }

    fn mismatch(&self, file: FileSlot, offset: u64, what: String) {
        self.mismatches.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_mismatch.lock();
        if first.is_none() {
            *first = Some(format!("file slot {} at {offset}: {what}", file.0));
        }
    }

    fn ticket(&self) -> Ticket {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn file(&self, file: FileSlot) -> Arc<Mutex<Remembered>> {
        if let Some(known) = self.files.read().get(&file) {
            return Arc::clone(known);
        }
        let mut files = self.files.write();
        Arc::clone(files.entry(file).or_insert_with(|| {
            self.hold(VERIFY_FILE_BYTES);
            Arc::default()
        }))
    }
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a read fits memory")
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use delalloc_workloads::LoadPlan;
    use delalloc_workloads::plan::ContentPlan;

    const FILE: FileSlot = FileSlot(0);

    fn expected() -> (Expected, Arc<Content>) {
        let load = LoadPlan {
            seed: 7,
            content: ContentPlan::Random,
            files: Vec::new(),
            phases: Vec::new(),
        };
        let content = Arc::new(Content::build(&load).unwrap());
        (Expected::new(Arc::clone(&content), 2, 1 << 20), content)
    }

    fn bytes_of(content: &Content, offset: u64, version: Version, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        content.fill(FILE, offset, version, &mut bytes);
        bytes
    }

    fn write(expected: &Expected, range: Range<u64>, version: Version) {
        let change = expected.begin_write(FILE, range, version);
        expected.end(change);
    }

    fn read(expected: &Expected, offset: u64, bytes: &[u8], wanted_bytes: u64) -> u64 {
        let before = expected.verdict().mismatches;
        expected.begin_read(0);
        expected.end_read(0, FILE, offset, bytes, wanted_bytes);
        expected.verdict().mismatches - before
    }

    #[test]
    fn the_latest_bytes_are_right_and_older_ones_are_not() {
        let (expected, content) = expected();
        write(&expected, 0..8192, 1);
        write(&expected, 4096..8192, 2);
        let mut bytes = bytes_of(&content, 0, 1, 4096);
        bytes.extend(bytes_of(&content, 4096, 2, 4096));
        assert_eq!(read(&expected, 0, &bytes, 8192), 0);
        let stale = bytes_of(&content, 0, 1, 8192);
        assert_eq!(read(&expected, 0, &stale, 8192), 1);
        assert!(expected.verdict().first_mismatch.contains("4096"));
        assert_eq!(expected.verdict().bytes_verified, 16384);
    }

    #[test]
    fn memory_grows_with_what_is_apart_and_goes_back_with_what_is_removed() {
        let (expected, _) = expected();
        let held = || expected.held_bytes.load(Ordering::Relaxed);
        for lap in 0..3 {
            for nth in 0..1000 {
                write(
                    &expected,
                    nth * 8192..nth * 8192 + 4096,
                    lap * 1000 + nth + 1,
                );
            }
        }
        let full = held();
        assert!(full > 1000 * 160, "{full}");
        assert_eq!(expected.verdict().tracking_bytes_max, full);
        // Another client reads all the time, here and elsewhere.
        expected.begin_read(1);
        let removed = expected.begin_resize(FILE, 0);
        expected.end(removed);
        assert!(held() >= full, "the read may still see it");
        expected.abandon_read(1);
        let other = expected.begin_resize(FileSlot(1), 0);
        expected.end(other);
        assert_eq!(held(), 2 * VERIFY_FILE_BYTES);
        assert!(expected.excess().is_none());
    }

    #[test]
    fn more_than_it_may_remember_is_told_with_what_to_do() {
        let (expected, _) = expected();
        for nth in 0..10_000 {
            write(&expected, nth * 8192..nth * 8192 + 4096, nth + 1);
        }
        let said = expected.excess().unwrap().to_string();
        for part in ["more than the 1MiB", "verify_memory_max:", "verify: false"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn one_flipped_bit_is_found() {
        let (expected, content) = expected();
        write(&expected, 0..4096, 1);
        let mut bytes = bytes_of(&content, 0, 1, 4096);
        bytes[4000] ^= 1;
        assert_eq!(read(&expected, 0, &bytes, 4096), 1);
    }

    #[test]
    fn a_file_that_ends_before_what_was_written_is_wrong() {
        let (expected, content) = expected();
        write(&expected, 0..4096, 1);
        let bytes = bytes_of(&content, 0, 1, 4000);
        assert_eq!(read(&expected, 0, &bytes, 4096), 1);
        assert_eq!(read(&expected, 0, &[], 4096), 1);
        assert_eq!(
            read(&expected, 4096, &[], 4096),
            0,
            "nothing was ever written there"
        );
    }

    #[test]
    fn while_a_write_is_in_flight_old_new_and_a_mix_are_right_and_anything_else_is_not() {
        let (expected, content) = expected();
        write(&expected, 0..8192, 1);
        let change = expected.begin_write(FILE, 0..8192, 2);
        let old = bytes_of(&content, 0, 1, 8192);
        let new = bytes_of(&content, 0, 2, 8192);
        let mut mixed = old.clone();
        mixed[4096..].copy_from_slice(&new[4096..]);
        assert_eq!(read(&expected, 0, &old, 8192), 0);
        assert_eq!(read(&expected, 0, &new, 8192), 0);
        assert_eq!(read(&expected, 0, &mixed, 8192), 0);
        assert_eq!(read(&expected, 0, &bytes_of(&content, 0, 3, 8192), 8192), 1);
        expected.end(change);
        assert_eq!(read(&expected, 0, &old, 8192), 1);
    }

    #[test]
    fn a_read_that_overlaps_a_whole_write_may_see_the_old_bytes() {
        let (expected, content) = expected();
        write(&expected, 0..4096, 1);
        expected.begin_read(1);
        write(&expected, 0..4096, 2);
        expected.end_read(1, FILE, 0, &bytes_of(&content, 0, 1, 4096), 4096);
        assert_eq!(expected.verdict().mismatches, 0);
        assert_eq!(read(&expected, 0, &bytes_of(&content, 0, 1, 4096), 4096), 1);
    }

    #[test]
    fn a_punched_range_reads_as_zeros() {
        let (expected, content) = expected();
        write(&expected, 0..8192, 1);
        let change = expected.begin_punch(FILE, 0..4096);
        expected.end(change);
        let mut bytes = vec![0; 4096];
        bytes.extend(bytes_of(&content, 4096, 1, 4096));
        assert_eq!(read(&expected, 0, &bytes, 8192), 0);
        assert_eq!(read(&expected, 0, &bytes_of(&content, 0, 1, 8192), 8192), 1);
    }

    #[test]
    fn a_write_beside_a_truncation_may_be_cut_off_and_one_without_may_not() {
        let (expected, content) = expected();
        write(&expected, 0..4096, 1);
        let cut = expected.begin_resize(FILE, 0);
        write(&expected, 8192..12288, 2);
        expected.end(cut);
        assert_eq!(read(&expected, 8192, &[], 4096), 0);
        assert_eq!(
            read(&expected, 8192, &bytes_of(&content, 8192, 2, 4096), 4096),
            0
        );
        assert_eq!(
            read(&expected, 8192, &bytes_of(&content, 8192, 1, 4096), 4096),
            1
        );
        write(&expected, 8192..12288, 3);
        write(&expected, 16384..20480, 4);
        assert_eq!(
            read(&expected, 8192, &[], 4096),
            1,
            "lost after the cut was over"
        );
        assert_eq!(read(&expected, 16384, &[], 4096), 1, "never beside a cut");
    }

    #[test]
    fn a_size_that_is_certain_is_compared_and_any_other_is_not() {
        let (expected, _) = expected();
        let said = |found_bytes| {
            let before = expected.verdict().mismatches;
            expected.check_size(FILE, found_bytes);
            expected.verdict().mismatches - before
        };
        write(&expected, 0..4096, 1);
        assert_eq!((said(4096), said(4097)), (0, 1));
        let grown = expected.begin_resize(FILE, 1 << 20);
        expected.end(grown);
        let punched = expected.begin_punch(FILE, 0..1 << 20);
        expected.end(punched);
        assert_eq!((said(1 << 20), said(4096), said(2 << 20)), (0, 1, 1));
        let cut = expected.begin_resize(FILE, 100);
        write(&expected, 0..200, 2);
        expected.end(cut);
        assert_eq!((said(100), said(200)), (0, 0), "either was the last");
        let removed = expected.begin_resize(FILE, 0);
        expected.end(removed);
        assert_eq!((said(0), said(1)), (0, 1));
        let failed = expected.begin_write(FILE, 0..10, 3);
        expected.fail(failed);
        assert_eq!((said(0), said(10)), (0, 0));
        assert_eq!(
            expected.verdict().first_mismatch,
            "file slot 0 at 4096: size 4097, expected 4096"
        );
    }
}
