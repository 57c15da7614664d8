//! Many threads on many files at once, against exact models.
//!
//! Per seed and set of knobs:
//!   * *owners* write, append, overwrite by the byte, punch, truncate, rename, remove and make anew, sync
//!     and read a file that is theirs, and compare it with their copy of it;
//!   * *stampers* do the same by whole pages, each page stamped with the number of the change; *readers*
//!     read those files all the while: a page is never torn and never goes back, also in a file whose
//!     name is gone;
//!   * *sharers* write disjoint ranges, that meet in the middle of pages, of one file;
//!   * others sync the volume, drop its caches, and make and remove files.
//!
//! A device that is too small is full now and then: what is refused has changed nothing, and a removal
//! or a `sync` is never refused. In the end the volume is closed, or let go of as a crash would, and
//! after opening again every file is what its owner holds, or was since the last `sync`.
//!
//! DELALLOC_CASES seeds per set of knobs (default 2); scripts/faults-long has more.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineError, File, FileRange, FormatOptions, Result, Volume};
use parking_lot::Mutex;
use support::oracle::History;
use support::watchdog::{Place, watched};
use support::{Dice, config, open, times};

const PAGE: usize = 4096;
const OWNERS: u64 = 2;
const STAMPERS: usize = 2;
const READERS: u64 = 2;
const SHARERS: u64 = 3;
const FILE_BYTES_MAX: u64 = 192 << 10;
const STAMPED_PAGES: usize = 48;
/// Of the shared file each sharer has so many bytes: no multiple of a page.
const SHARE_BYTES: u64 = 50_000;
/// A file is asked for so often before its owner gives up.
const CREATE_TRIES: usize = 200;
/// Changes per thread that makes changes.
const CHANGES: u64 = 150;

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Crash,
}

/// Everything the threads of a run share.
struct Shared {
    volume: Volume,
    place: Place,
    over: AtomicBool,
    stamped: [Mutex<Arc<Stamped>>; STAMPERS],
    refused: AtomicU64,
    pages_read: AtomicU64,
}

impl Shared {
    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// False where the device was full; any other error is a failure of the test.
    fn fits(&self, answer: &Result<()>) -> bool {
        match answer {
            Ok(()) => true,
            Err(EngineError::NoSpace { .. }) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                false
            }
            Err(error) => panic!("{}: {error}", self.place),
        }
    }
}

/// A file of a stamper, as its readers know it: what each page may show.
struct Stamped {
    name: Mutex<String>,
    gone: AtomicBool,
    pages: Vec<PageKnown>,
}

/// Numbers of changes of one page.
#[derive(Default)]
struct PageKnown {
    /// The last one that is over.
    published: AtomicU64,
    /// The last one begun that left zeros.
    hole: AtomicU64,
}

impl Stamped {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: Mutex::new(name.to_owned()),
            gone: AtomicBool::new(false),
            pages: (0..STAMPED_PAGES).map(|_| PageKnown::default()).collect(),
        })
    }
}

/// A page stamped with `number`: different in every word from other pages, and compressible or not.
fn stamped_page(number: u64) -> Vec<u8> {
    if number.is_multiple_of(2) {
        return number.to_le_bytes().repeat(PAGE / 8);
    }
    let mut page = number.to_le_bytes().to_vec();
    let mut word = number;
    while page.len() < PAGE {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        page.extend_from_slice(&word.to_le_bytes());
    }
    page
}

fn read_whole(file: &File) -> Vec<u8> {
    let mut bytes = vec![0xee; index(file.size_bytes())];
    let count = file.read_at(0, &mut bytes).expect("a read");
    assert_eq!(count, bytes.len(), "a short read");
    bytes
}

/// A file with one owner, and what it holds.
struct Owned {
    file: File,
    history: History,
}

/// Makes a file; tries again where the device is full. `None` where it stays so.
fn made(shared: &Shared, name: &str) -> Option<Owned> {
    for _try in 0..CREATE_TRIES {
        match shared.volume.create(name) {
            Ok(file) => {
                let history = History::new(name);
                return Some(Owned { file, history });
            }
            Err(error) => assert!(!shared.fits(&Err(error)), "a refusal"),
        }
        thread::yield_now();
    }
    None
}

fn own(shared: &Shared, number: u64, seed: u64) -> Vec<History> {
    let mut dice = Dice::new(seed + number);
    let mut names = 0;
    let mut next_name = || {
        names += 1;
        format!("own-{number}-{names}")
    };
    let mut gone = Vec::new();
    let Some(mut owned) = made(shared, &next_name()) else {
        return gone;
    };
    for step in 0..CHANGES {
        shared.place.at(("owner", number, step));
        match dice.below(20) {
            0..10 => {
                write_some(shared, &mut dice, &mut owned);
            }
            10 => cut_some(shared, &mut dice, &mut owned),
            11 => punch_some(shared, &mut dice, &mut owned),
            12 => rename(shared, &mut owned, &next_name()),
            13 if dice.once_in(2) => {
                let Owned { file, mut history } = owned;
                let name = history.name().expect("it has a name").to_owned();
                shared.volume.remove(&name).expect("a removal always goes");
                assert!(
                    read_whole(&file) == history.now(),
                    "seed {seed}: no name, other bytes"
                );
                history.push_name(None);
                gone.push(history);
                drop(file);
                let Some(next) = made(shared, &next_name()) else {
                    return gone;
                };
                owned = next;
            }
            14..17 => {
                owned.file.sync().expect("what was accepted is kept");
                owned.history.settle();
                owned.history.forget_older();
            }
            _ => assert!(
                read_whole(&owned.file) == owned.history.now(),
                "seed {seed}: {} shows other bytes",
                shared.place
            ),
        }
    }
    gone.push(owned.history);
    gone
}

fn write_some(shared: &Shared, dice: &mut Dice, owned: &mut Owned) {
    let mut now = owned.history.now().to_vec();
    let at = if dice.once_in(3) {
        (now.len() as u64).min(FILE_BYTES_MAX)
    } else {
        dice.below(FILE_BYTES_MAX)
    };
    let bytes_max = 1 << (6 + dice.below(11));
    let len = index(1 + dice.below(bytes_max));
    let bytes = dice.bytes(len);
    if shared.fits(&owned.file.write_at(at, &bytes)) {
        let end = index(at) + bytes.len();
        now.resize(now.len().max(end), 0);
        now[index(at)..end].copy_from_slice(&bytes);
        owned.history.push(now);
    }
}

fn cut_some(shared: &Shared, dice: &mut Dice, owned: &mut Owned) {
    let size_bytes = dice.below(FILE_BYTES_MAX);
    if shared.fits(&owned.file.truncate(size_bytes)) {
        let mut now = owned.history.now().to_vec();
        now.resize(index(size_bytes), 0);
        owned.history.push(now);
    }
}

fn punch_some(shared: &Shared, dice: &mut Dice, owned: &mut Owned) {
    let start = dice.below(FILE_BYTES_MAX);
    let end = start + dice.below(64 << 10);
    let answer = owned.file.punch_hole(FileRange::new(start, end));
    let mut then = owned.history.now().to_vec();
    let end = then.len().min(index(end));
    if let Some(hole) = then.get_mut(index(start)..end) {
        hole.fill(0);
    }
    if shared.fits(&answer) {
        owned.history.push(then);
    }
}

fn rename(shared: &Shared, owned: &mut Owned, to: &str) {
    let from = owned.history.name().expect("it has a name").to_owned();
    if shared.fits(&shared.volume.rename(&from, to)) {
        owned.history.push_name(Some(to));
    }
}

fn stamp(shared: &Shared, slot: usize, seed: u64) -> Vec<History> {
    let mut dice = Dice::new(seed ^ (0x57A3_0000 + slot as u64));
    let mut gone = Vec::new();
    let mut names = 1;
    let mut known = Arc::clone(&shared.stamped[slot].lock());
    let Some(mut owned) = made(shared, &known.name.lock()) else {
        return gone;
    };
    for number in 1..=CHANGES {
        let first = index(dice.below(STAMPED_PAGES as u64));
        let count = 1 + index(dice.below((STAMPED_PAGES - first) as u64));
        match dice.below(16) {
            0 => {
                names += 1;
                let to = format!("stamped-{slot}-{names}");
                // Readers look the name up under the same lock.
                let mut name = known.name.lock();
                rename(shared, &mut owned, &to);
                owned
                    .history
                    .name()
                    .expect("it has a name")
                    .clone_into(&mut name);
            }
            1 => {
                let name = known.name.lock();
                known.gone.store(true, Ordering::SeqCst);
                shared.volume.remove(&name).expect("a removal always goes");
                drop(name);
                owned.history.push_name(None);
                gone.push(owned.history);
                names += 1;
                let name = format!("stamped-{slot}-{names}");
                let Some(next) = made(shared, &name) else {
                    return gone;
                };
                owned = next;
                known = Stamped::new(&name);
                *shared.stamped[slot].lock() = Arc::clone(&known);
            }
            2 => clear(
                shared,
                &known,
                &mut owned,
                number,
                first..STAMPED_PAGES,
                |file| file.truncate((first * PAGE) as u64),
            ),
            3 => clear(
                shared,
                &known,
                &mut owned,
                number,
                first..first + count,
                |file| {
                    let (start, end) = (first * PAGE, (first + count) * PAGE);
                    file.punch_hole(FileRange::new(start as u64, end as u64))
                },
            ),
            4..7 => {
                owned.file.sync().expect("what was accepted is kept");
                owned.history.settle();
                owned.history.forget_older();
            }
            _ => {
                let bytes = stamped_page(number).repeat(count);
                if shared.fits(&owned.file.write_at((first * PAGE) as u64, &bytes)) {
                    publish(&known.pages[first..first + count], number);
                    let mut now = owned.history.now().to_vec();
                    let end = (first + count) * PAGE;
                    now.resize(now.len().max(end), 0);
                    now[first * PAGE..end].copy_from_slice(&bytes);
                    owned.history.push(now);
                }
            }
        }
    }
    gone.push(owned.history);
    gone
}

fn publish(pages: &[PageKnown], number: u64) {
    for page in pages {
        page.published.store(number, Ordering::SeqCst);
    }
}

/// A change that leaves zeros, or no page at all.
fn clear(
    shared: &Shared,
    known: &Stamped,
    owned: &mut Owned,
    number: u64,
    pages: std::ops::Range<usize>,
    change: impl FnOnce(&File) -> Result<()>,
) {
    for page in &known.pages[pages.clone()] {
        page.hole.store(number, Ordering::SeqCst);
    }
    let cuts = pages.end == STAMPED_PAGES;
    if !shared.fits(&change(&owned.file)) {
        return;
    }
    publish(&known.pages[pages.clone()], number);
    owned.history.push(read_whole(&owned.file));
    let now = owned.history.now();
    let zeros = now.iter().skip(pages.start * PAGE).take(pages.len() * PAGE);
    assert!(
        zeros.clone().all(|byte| *byte == 0),
        "{}: cleared, cut {cuts}, and not zeros",
        shared.place
    );
}

fn read_stamped(shared: &Shared, number: u64, seed: u64) {
    let mut dice = Dice::new(seed ^ (0x0EAD_0000 + number));
    while !shared.over() {
        let slot = index(dice.below(STAMPERS as u64));
        let known = Arc::clone(&shared.stamped[slot].lock());
        let opened = {
            let name = known.name.lock();
            shared.volume.open_file(&name)
        };
        let file = match opened {
            Ok(file) => file,
            Err(EngineError::NotFound(_)) => continue,
            Err(error) => panic!("{}: {error}", shared.place),
        };
        for _read in 0..4 {
            read_some(shared, &known, &file, &mut dice);
        }
    }
}

fn read_some(shared: &Shared, known: &Stamped, file: &File, dice: &mut Dice) {
    let first = index(dice.below(STAMPED_PAGES as u64));
    let count = 1 + index(dice.below(8)).min(STAMPED_PAGES - first - 1);
    let pages = &known.pages[first..first + count];
    let floors: Vec<u64> = pages
        .iter()
        .map(|page| page.published.load(Ordering::SeqCst))
        .collect();
    let mut found = vec![0xee; count * PAGE];
    let bytes = file
        .read_at((first * PAGE) as u64, &mut found)
        .expect("a read");
    for ((page, bytes), floor) in pages.iter().zip(found[..bytes].chunks(PAGE)).zip(floors) {
        let number = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
        let place = &shared.place;
        if number == 0 {
            assert!(bytes.iter().all(|byte| *byte == 0), "{place}: a torn hole");
            let hole = page.hole.load(Ordering::SeqCst);
            // A page between two writes was a hole from the start.
            assert!(hole >= floor, "{place}: zeros of {hole} after {floor}");
        } else {
            assert!(number >= floor, "{place}: back to {number} from {floor}");
            assert!(bytes == stamped_page(number), "{place}: a torn page");
        }
        shared.pages_read.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes within its share of the shared file; returns what the share is and was.
fn share(shared: &Shared, file: &File, number: u64, seed: u64) -> History {
    let mut dice = Dice::new(seed ^ (0x54A7_0000 + number));
    let base = number * SHARE_BYTES;
    let mut history = History::of(None, vec![0; index(SHARE_BYTES)]);
    history.settle();
    for _step in 0..CHANGES {
        let at = dice.below(SHARE_BYTES);
        let len = 1 + dice.below((SHARE_BYTES - at).min(20_000));
        match dice.below(10) {
            0..6 => {
                let bytes = dice.bytes(index(len));
                if shared.fits(&file.write_at(base + at, &bytes)) {
                    let mut now = history.now().to_vec();
                    now[index(at)..index(at + len)].copy_from_slice(&bytes);
                    history.push(now);
                }
            }
            6 | 7 => {
                file.sync().expect("what was accepted is kept");
                history.settle();
                history.forget_older();
            }
            _ => {
                let mut found = vec![0xee; index(len)];
                let count = file.read_at(base + at, &mut found).expect("a read");
                assert_eq!(count, found.len(), "{}: a short read", shared.place);
                assert!(
                    found == history.now()[index(at)..index(at + len)],
                    "seed {seed}: share {number} shows other bytes"
                );
            }
        }
    }
    history
}

/// Makes and removes files, syncs the volume, drops caches, until the others are done.
fn disturb(shared: &Shared, seed: u64) {
    let mut dice = Dice::new(seed ^ 0xD157);
    for number in 0.. {
        if shared.over() {
            return;
        }
        match dice.below(6) {
            0 => shared.volume.sync().expect("a sync is never refused"),
            1 | 2 => shared.volume.drop_caches().expect("caches drop"),
            3 => drop(shared.volume.stats()),
            _ => {
                let name = format!("passing-{number}");
                let file = match shared.volume.create(&name) {
                    Ok(file) => file,
                    Err(error) => {
                        assert!(!shared.fits(&Err(error)), "a refusal");
                        continue;
                    }
                };
                let bytes = dice.bytes(20_000);
                shared.fits(&file.write_at(0, &bytes));
                drop(file);
                shared.volume.remove(&name).expect("a removal always goes");
            }
        }
    }
}

/// What all threads of a run leave.
struct Left {
    files: Vec<History>,
    shares: Vec<History>,
    refused: u64,
    pages_read: u64,
}

fn work(volume: Volume, seed: u64, place: &Place) -> (Volume, Left) {
    let file = volume.create("shared").expect("room for the first file");
    file.write_at(0, &vec![0; index(SHARERS * SHARE_BYTES)])
        .expect("room for the first bytes");
    file.sync().expect("a sync");
    let shared = Shared {
        volume,
        place: place.clone(),
        over: AtomicBool::new(false),
        stamped: std::array::from_fn(|slot| Mutex::new(Stamped::new(&format!("stamped-{slot}-1")))),
        refused: AtomicU64::new(0),
        pages_read: AtomicU64::new(0),
    };
    let (mut files, mut shares) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let shared = &shared;
        let owners: Vec<_> = (0..OWNERS)
            .map(|number| scope.spawn(move || own(shared, number, seed)))
            .collect();
        let stampers: Vec<_> = (0..STAMPERS)
            .map(|slot| scope.spawn(move || stamp(shared, slot, seed)))
            .collect();
        let sharers: Vec<_> = (0..SHARERS)
            .map(|number| {
                let file = file.clone();
                scope.spawn(move || share(shared, &file, number, seed))
            })
            .collect();
        for number in 0..READERS {
            scope.spawn(move || read_stamped(shared, number, seed));
        }
        scope.spawn(move || disturb(shared, seed));
        // A panic of one must end the others, so that it is told.
        let results: Vec<_> = owners
            .into_iter()
            .chain(stampers)
            .map(|own| own.join())
            .collect();
        let results_of_shares: Vec<_> = sharers.into_iter().map(|own| own.join()).collect();
        shared.over.store(true, Ordering::SeqCst);
        for result in results {
            files.extend(result.expect("an owner's panic is above"));
        }
        for result in results_of_shares {
            shares.push(result.expect("a sharer's panic is above"));
        }
    });
    let left = Left {
        files,
        shares,
        refused: shared.refused.into_inner(),
        pages_read: shared.pages_read.into_inner(),
    };
    (shared.volume, left)
}

fn run(
    seed: u64,
    device_bytes: u64,
    knobs: &[(&str, &str)],
    ending: Ending,
    place: &Place,
) -> Left {
    let memory = Arc::new(MemBackend::new(device_bytes));
    let backend: Arc<dyn Backend> = Arc::<MemBackend>::clone(&memory);
    let options = FormatOptions {
        node_bytes: 4096,
        ..FormatOptions::default()
    };
    Volume::format(&backend, &options).expect("an empty device can be formatted");
    let (volume, mut left) = work(open(&backend, &config(knobs)), seed, place);
    place.at(ending);
    if ending == Ending::Close {
        volume.close().expect("a close");
        let all = left.files.iter_mut().chain(&mut left.shares);
        all.for_each(History::settle);
    } else {
        drop(volume);
    }
    let report = check(backend.as_ref());
    assert!(report.is_clean(), "{place}: {report:?}");
    place.at("comparing");
    compare(&open(&backend, &config(&[])), &left, place);
    left
}

fn compare(volume: &Volume, left: &Left, place: &Place) {
    let list = volume.list().expect("a list");
    for file in &left.files {
        let named = |own: &Option<String>| own.as_ref().and_then(|own| volume.open_file(own).ok());
        let mut found = file.names().iter().filter_map(named);
        let Some(found) = found.next() else {
            assert!(
                !file.must_exist(),
                "{place}: a synced file named {:?} is gone",
                file.names()
            );
            continue;
        };
        let answer = file.accept(&read_whole(&found));
        answer.unwrap_or_else(|why| panic!("{place}: {:?}: {why}", file.names()));
    }
    for info in list {
        let of_others = info.name == "shared" || info.name.starts_with("passing-");
        let known = left.files.iter().any(|file| {
            let own = |name: &Option<String>| name.as_ref() == Some(&info.name);
            file.names().iter().any(own)
        });
        assert!(of_others || known, "{place}: nobody made {:?}", info.name);
    }
    let whole = read_whole(&volume.open_file("shared").expect("it was synced"));
    for (number, history) in left.shares.iter().enumerate() {
        let start = number * index(SHARE_BYTES);
        let answer = history.accept_part(start, &whole[start..start + index(SHARE_BYTES)]);
        answer.unwrap_or_else(|why| panic!("{place}: share {number}: {why}"));
    }
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}

/// Runs each seed, ended both ways; returns how often the device was full.
fn seeds(name: &str, first: u64, device_bytes: u64, knobs: &'static [(&str, &str)]) -> u64 {
    let (mut refused, mut pages_read) = (0, 0);
    let count = times("DELALLOC_CASES", 2);
    let first = first + times("DELALLOC_SEED", 0);
    for seed in first..first + count {
        let ending = if seed % 2 == 0 {
            Ending::Close
        } else {
            Ending::Crash
        };
        let place = Place::new(format!("{name}, seed {seed}, {ending:?}"));
        let inside = place.clone();
        let left = watched(&place, move || {
            run(seed, device_bytes, knobs, ending, &inside)
        });
        refused += left.refused;
        pages_read += left.pages_read;
    }
    println!("{name}: {count} runs, {pages_read} stamped pages read, {refused} refused for space");
    assert!(pages_read > 0, "the readers met nothing");
    refused
}

#[test]
fn many_files_at_once() {
    seeds("as it comes", 0, 32 << 20, &[("thread_pool_size", "3")]);
    let knobs = &[
        ("thread_pool_size", "2"),
        ("pool.kind", "seed2008"),
        ("order.scope", "volume"),
        ("dirty.throttle", "curve"),
        ("read.populate", "off"),
    ];
    seeds("the pools of 2008, one order", 1000, 32 << 20, knobs);
}

#[test]
fn in_a_cache_too_small_for_them() {
    let knobs = &[
        ("thread_pool_size", "2"),
        ("pool.kind", "plain"),
        ("order.scope", "none"),
        ("cache.bytes", "512KiB"),
        ("read.ahead_max", "128KiB"),
        ("compression.item_bytes", "128KiB"),
        ("dirty.background", "32KiB"),
        ("dirty.limit", "128KiB"),
        ("meta.flush_gate", "16KiB"),
        ("commit.interval", "5ms"),
    ];
    seeds("tight", 2000, 32 << 20, knobs);
}

#[test]
fn on_a_device_too_small_for_them() {
    let knobs = &[
        ("thread_pool_size", "2"),
        ("compression.codec", "none"),
        ("commit.interval", "20ms"),
    ];
    let refused = seeds("full", 3000, 1280 << 10, knobs);
    assert!(refused > 0, "the device was never full");
}
