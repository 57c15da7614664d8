//! A device that fails: each request in turn, once or for good, in whatever is going on.
//!
//! A workload of many files (`faults/script`) runs against a device whose n-th request of a kind goes
//! wrong, for n = 1, 2, 3 and so on until a run meets no fault. Whatever fails, nothing hangs; what an
//! answered `sync` promised is there after opening again on a device that works; the image checks,
//! so no metadata is of bytes that were not written; every failure is told, to every opener, once; a
//! failed FLUSH or superblock is final. `faults/session` says what is held against each answer.
//!
//! DELALLOC_CASES random workloads with several faults each (default 60) and DELALLOC_FAULT_STRIDE
//! (default 4, each fourth request; 1 is every one) set how long that takes; scripts/faults-long has
//! the long ones.

mod faults;
mod support;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend, Struck,
};
use delalloc_engine::{EngineConfig, EngineError, FileRange, FormatOptions, Volume};
use faults::device::{self, Region};
use faults::scattered::Scattered;
use faults::script::{self, Step};
use faults::session::{Ended, Session};
use faults::verify;
use support::oracle::History;
use support::watchdog::{Place, watched};
use support::{Dice, config, formatted, open, times};

const BYTES: usize = 300 << 10;
const DELAY: FaultAction = FaultAction::Delay(Duration::from_millis(2));

/// Little of everything, so that writeback, eviction and reads happen all the time.
const TIGHT: [(&str, &str); 8] = [
    ("thread_pool_size", "2"),
    ("cache.bytes", "512KiB"),
    ("read.ahead_max", "128KiB"),
    ("compression.item_bytes", "128KiB"),
    ("dirty.background", "64KiB"),
    ("dirty.limit", "128KiB"),
    ("order.scope", "none"),
    ("meta.flush_gate", "16KiB"),
];
const WIDE: [(&str, &str); 1] = [("thread_pool_size", "2")];

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Crash,
}

/// What goes wrong, in words of a test.
#[derive(Debug, Clone)]
struct Fault {
    on: FaultOn,
    action: FaultAction,
    span: FaultSpan,
    region: Region,
}

impl Fault {
    fn rule(&self, nth: u64, within: Option<Range<u64>>) -> FaultRule {
        FaultRule {
            on: self.on,
            within,
            nth,
            span: self.span,
            action: self.action,
        }
    }

    /// A call somewhere has to say so: what was to be written is not.
    fn must_be_told(&self) -> bool {
        self.action != DELAY && self.on != FaultOn::Read
    }
}

fn kinds(actions: &[(FaultOn, FaultAction)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for &(on, action) in actions {
        for span in [FaultSpan::Once, FaultSpan::Persistent] {
            for region in Region::ALL {
                if !(action == DELAY && span == FaultSpan::Persistent) {
                    faults.push(Fault {
                        on,
                        action,
                        span,
                        region,
                    });
                }
            }
        }
    }
    faults
}

/// Runs the workload by hand with `fault` at each request in turn. Returns how many struck.
fn each_in_turn(fault: &Fault, knobs: &[(&str, &str)], steps: &[Step], stride: u64) -> u64 {
    // Another first request in each row of the table, so that a stride leaves none out for good.
    let first = 1 + (fault.region as u64 + fault.on as u64) % stride;
    for points in 0.. {
        let nth = first + points * stride;
        let ending = if points.is_multiple_of(2) {
            Ending::Close
        } else {
            Ending::Crash
        };
        let place = Place::new(format!("{fault:?} nth {nth}, {ending:?}, knobs {knobs:?}"));
        let memory = device::formatted();
        let within = fault.region.bytes(&memory);
        if !device::strikes(fault.on, &within) {
            return 0;
        }
        let rules = vec![fault.rule(nth, within)];
        let (steps, config) = (steps.to_vec(), config(knobs));
        let told = fault.must_be_told();
        let run = Run {
            memory,
            rules,
            config,
            steps,
            ending,
            told,
            place: place.clone(),
        };
        let fired = watched(&place, move || run.go());
        if fired == 0 {
            return points;
        }
    }
    unreachable!("a workload ends")
}

/// One workload on one device.
struct Run {
    memory: Arc<MemBackend>,
    rules: Vec<FaultRule>,
    config: EngineConfig,
    steps: Vec<Step>,
    ending: Ending,
    told: bool,
    place: Place,
}

impl Run {
    /// Returns how often a fault struck.
    fn go(self) -> u64 {
        let (backend, faults) = device::faulty(&self.memory);
        let mut session = Session::new(backend, &self.config, faults.clone(), self.place.clone());
        let delays = self.rules.iter().all(|rule| rule.action == DELAY);
        for rule in self.rules {
            faults.arm(rule);
        }
        session.run(&self.steps);
        let ended = match self.ending {
            Ending::Close => session.close(),
            Ending::Crash => session.abandon(),
        };
        let fired = faults.fired();
        faults.disarm();
        let Ended {
            files,
            told,
            kept,
            failed,
        } = ended;
        let place = &self.place;
        assert!(!delays || failed == 0, "{place}: a delay is no failure");
        if self.told && self.ending == Ending::Close && fired > 0 {
            let log = device::log_region(&self.memory);
            let silent = |struck: &Struck| {
                // What the log does not take goes the long way, which is nobody's failure.
                log.contains(&struck.offset)
            };
            let silent = faults.struck().iter().all(silent);
            assert!(
                told || kept || silent,
                "{place}: a failure was told to nobody"
            );
        }
        verify::verify(&self.memory, &files, place);
        fired
    }
}

fn stride() -> u64 {
    times("DELALLOC_FAULT_STRIDE", 4)
}

fn every_request(name: &str, knobs: &[(&str, &str)], actions: &[(FaultOn, FaultAction)]) {
    let steps = script::by_hand();
    let mut points = 0;
    for fault in kinds(actions) {
        let struck = each_in_turn(&fault, knobs, &steps, stride());
        println!("{name}: {fault:?}: {struck} fault points");
        points += struck;
    }
    println!("{name}: {points} fault points in all");
    assert!(points > 0, "nothing ever struck");
}

#[test]
fn every_failed_write_is_told_and_loses_nothing_else() {
    let actions = [
        (FaultOn::Write, FaultAction::Error),
        (FaultOn::Write, FaultAction::NoSpace),
        (FaultOn::Write, FaultAction::Short),
    ];
    every_request("writes, wide", &WIDE, &actions);
    every_request("writes, tight", &TIGHT, &actions);
}

#[test]
fn every_failed_flush_and_superblock_is_final() {
    let actions = [
        (FaultOn::Flush, FaultAction::Error),
        (FaultOn::FuaWrite, FaultAction::Error),
        (FaultOn::FuaWrite, FaultAction::Short),
    ];
    every_request("flushes, wide", &WIDE, &actions);
    every_request("flushes, tight", &TIGHT, &actions);
}

#[test]
fn every_failed_read_is_an_error_of_that_read() {
    let actions = [
        (FaultOn::Read, FaultAction::Error),
        (FaultOn::Read, FaultAction::Short),
    ];
    every_request("reads, wide", &WIDE, &actions);
    every_request("reads, tight", &TIGHT, &actions);
}

#[test]
fn a_late_answer_is_no_failure() {
    let actions = [
        (FaultOn::Write, DELAY),
        (FaultOn::Flush, DELAY),
        (FaultOn::Read, DELAY),
    ];
    every_request("delays", &TIGHT, &actions);
}

#[test]
fn several_faults_at_once() {
    let (first, count) = (times("DELALLOC_SEED", 0), times("DELALLOC_CASES", 60));
    let (mut struck, mut spared) = (0, 0);
    for seed in first..first + count {
        let mut dice = Dice::new(seed);
        let steps = script::by_seed(seed, 60);
        let memory = device::formatted();
        let rules = (0..=dice.below(4))
            .map(|_| any_rule(&mut dice, &memory))
            .collect();
        let knobs: &[(&str, &str)] = if dice.once_in(2) { &TIGHT } else { &WIDE };
        let ending = *dice.pick(&[Ending::Close, Ending::Crash]);
        let place = Place::new(format!(
            "seed {seed}: {rules:?}, {ending:?}, knobs {knobs:?}"
        ));
        let run = Run {
            memory,
            rules,
            config: config(knobs),
            steps,
            ending,
            told: false,
            place: place.clone(),
        };
        let fired = watched(&place, move || run.go());
        struck += fired;
        spared += u64::from(fired == 0);
    }
    println!("several: {count} workloads from seed {first}, {struck} faults, {spared} met none");
    assert!(spared < count, "nothing ever struck");
}

fn any_rule(dice: &mut Dice, memory: &MemBackend) -> FaultRule {
    let actions = [
        FaultAction::Error,
        FaultAction::NoSpace,
        FaultAction::Short,
        DELAY,
    ];
    let kinds = [
        FaultOn::Any,
        FaultOn::Read,
        FaultOn::Write,
        FaultOn::Write,
        FaultOn::FuaWrite,
        FaultOn::Flush,
    ];
    let action = *dice.pick(&actions);
    let lasting = action != DELAY && dice.once_in(4);
    FaultRule {
        on: *dice.pick(&kinds),
        within: dice.pick(&Region::ALL).bytes(memory),
        nth: 1 + dice.below(25),
        span: if lasting {
            FaultSpan::Persistent
        } else {
            FaultSpan::Once
        },
        action,
    }
}

/// A volume that was let go of in the middle, and what its files may be.
fn crashed(place: &Place) -> (Arc<MemBackend>, Vec<History>) {
    let memory = device::formatted();
    let (backend, faults) = device::faulty(&memory);
    let mut session = Session::new(backend, &config(&TIGHT), faults, place.clone());
    session.run(&script::by_hand());
    session.run(&script::logged());
    let ended = session.abandon();
    (memory, ended.files)
}

#[test]
fn a_fault_while_opening_is_an_error_and_loses_nothing() {
    let (whole, files) = crashed(&Place::new("making the image"));
    let kinds = [
        (FaultOn::Read, FaultAction::Error),
        (FaultOn::Read, FaultAction::Short),
        (FaultOn::Read, DELAY),
        (FaultOn::Write, FaultAction::Error),
        (FaultOn::Write, FaultAction::NoSpace),
        (FaultOn::Write, FaultAction::Short),
        (FaultOn::Write, DELAY),
        (FaultOn::Flush, FaultAction::Error),
        (FaultOn::Flush, DELAY),
        (FaultOn::FuaWrite, FaultAction::Error),
        (FaultOn::FuaWrite, FaultAction::NoSpace),
        (FaultOn::FuaWrite, FaultAction::Short),
    ];
    let mut points = [
        (FaultOn::Read, 0),
        (FaultOn::Write, 0),
        (FaultOn::Flush, 0),
        (FaultOn::FuaWrite, 0),
    ];
    for fault in kinds_everywhere(&kinds) {
        let on = fault.on;
        for nth in 1.. {
            let place = Place::new(format!("opening, {fault:?} nth {nth}"));
            let memory = Arc::new(whole.fork());
            let fault = fault.clone();
            let (place_inside, files) = (place.clone(), files.clone());
            let fired = watched(&place, move || {
                open_with(&fault, nth, &memory, &files, &place_inside)
            });
            if !fired {
                break;
            }
            for (of, points) in &mut points {
                *points += u64::from(*of == on);
            }
        }
    }
    println!("opening: fault points {points:?}");
    let all_struck = points.iter().all(|(_, points)| *points > 0);
    assert!(
        all_struck,
        "an open that replays does all of these: {points:?}"
    );
}

fn kinds_everywhere(actions: &[(FaultOn, FaultAction)]) -> Vec<Fault> {
    let mut faults = kinds(actions);
    faults.retain(|fault| fault.region == Region::Everywhere);
    faults
}

/// True if the fault struck.
fn open_with(
    fault: &Fault,
    nth: u64,
    memory: &Arc<MemBackend>,
    files: &[History],
    place: &Place,
) -> bool {
    let (backend, faults) = device::faulty(memory);
    faults.arm(fault.rule(nth, None));
    let opened = device::try_open(&backend, &config(&WIDE));
    let fired = faults.fired() > 0;
    match opened {
        Ok(volume) => {
            assert!(
                !fired || fault.action == DELAY,
                "{place}: opened in spite of that"
            );
            drop(volume);
        }
        Err(EngineError::Device(_)) if fired && fault.action != DELAY => {}
        Err(error) => panic!("{place}: {error}"),
    }
    verify::verify(memory, files, place);
    fired
}

#[test]
fn a_failed_write_is_told_to_every_opener_once() {
    let base = formatted(32 << 20);
    let faulty = Arc::new(FaultBackend::new(Arc::clone(&base)));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = faulty;
    let volume = open(&backend, &config(&[]));
    let first = volume.create("file").expect("a new file");
    let second = volume.open_file("file").expect("it is there");
    handle.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Error));
    first
        .write_at(0, &Dice::new(1).bytes(BYTES))
        .expect("a write into the cache");
    assert!(matches!(first.sync(), Err(EngineError::Device(_))));
    let late = volume.open_file("file").expect("it is there");
    assert!(matches!(second.sync(), Err(EngineError::Device(_))));
    for file in [&first, &second, &late] {
        file.sync()
            .expect("nobody is told twice, and nobody of what was before");
    }
    assert!(volume.sync().is_err(), "the volume is told as well");
    volume.sync().expect("once");
}

#[test]
fn a_size_that_readers_see_after_a_failure_is_the_one_that_is_synced() {
    let memory = device::formatted();
    let (backend, faults) = device::faulty(&memory);
    let volume = open(&backend, &config(&WIDE));
    let file = volume.create("file").expect("a new file");
    faults.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Error));
    file.write_at(20_000, &[7; 30_000]).expect("into the cache");
    file.sync().expect_err("the data is lost");
    file.sync().expect("and that was told");
    let seen_bytes = file.size_bytes();
    drop((file, volume));
    let volume = open(&backend, &config(&WIDE));
    let found = volume.open_file("file").expect("it was synced");
    assert_eq!(found.size_bytes(), seen_bytes);
}

#[test]
fn a_volume_that_only_reads_changes_nothing_and_is_read() {
    let memory = device::formatted();
    let (backend, faults) = device::faulty(&memory);
    let volume = open(&backend, &config(&WIDE));
    let bytes = Dice::new(3).bytes(BYTES);
    for name in ["first", "second", "third"] {
        let file = volume.create(name).expect("a new file");
        file.write_at(0, &bytes).expect("a write");
    }
    volume.close().expect("a close");
    let volume = open(&backend, &config(&WIDE));
    let file = volume.open_file("first").expect("it is there");
    faults.arm(FaultRule::once(FaultOn::Flush, 1, FaultAction::Error));
    file.write_at(0, b"new").expect("into the cache");
    file.sync().expect_err("the flush fails");
    assert!(volume.read_only().is_some(), "a failed flush is final");
    let refused = [
        volume.create("fourth").map(drop),
        volume.remove("second"),
        volume.rename("second", "fifth"),
        volume.rename("second", "third"),
        file.write_at(0, b"newer"),
        file.truncate(1000),
        file.truncate(1 << 20),
        file.punch_hole(FileRange::new(4096, 100_000)),
        file.sync(),
        volume.sync(),
    ];
    for (number, answer) in refused.into_iter().enumerate() {
        assert!(
            matches!(answer, Err(EngineError::ReadOnly(_))),
            "change {number}: {answer:?}"
        );
    }
    let mut names: Vec<String> = Vec::new();
    for (name, found) in verify::read_all(&volume).expect("it is read") {
        let same_tail = found[3..] == bytes[3..];
        assert!(found.len() == BYTES && same_tail, "{name} has changed");
        names.push(name);
    }
    assert_eq!(names, ["first", "second", "third"]);
}

/// Read-ahead that nobody waits for, and writes that nobody waits for, when the volume goes.
/// The file is as long as what is left of it.
#[test]
fn a_truncation_cut_short_leaves_a_shorter_file() {
    let whole = (Scattered::PAGES - 1) * Scattered::STEP + 4096;
    let looks = |size: u64, left: &[bool]| {
        assert!(left.iter().all(|there| *there), "what is not cut is there");
        size < whole
    };
    let in_part = Scattered::new().cut_short(|file| file.truncate(0), looks);
    assert!(in_part > 0, "no fault was between two steps");
}

/// The file has its holes in front, and everything else behind them.
#[test]
fn a_punch_cut_short_shows_what_is_there() {
    let end = Scattered::PAGES * Scattered::STEP;
    let looks = |size: u64, left: &[bool]| {
        assert_eq!(size, end - 4096, "a punch does not change the size");
        // The first page was written again.
        let gone = left[1..].iter().filter(|there| !**there).count();
        assert!(left[1 + gone..].iter().all(|there| *there));
        gone > 0
    };
    let in_part = Scattered::new().cut_short(|file| file.punch_hole(FileRange::new(0, end)), looks);
    assert!(in_part > 0, "no fault was between two steps");
}

#[test]
fn answers_that_come_after_everybody_left_are_taken() {
    let late = FaultAction::Delay(Duration::from_millis(30));
    for closes in [true, false] {
        let place = Place::new(format!("closes: {closes}"));
        watched(&place, move || {
            let memory = device::formatted();
            let (backend, faults) = device::faulty(&memory);
            let volume = open(&backend, &config(&WIDE));
            let file = volume.create("file").expect("a new file");
            let bytes = Dice::new(1).bytes(4 << 20);
            file.write_at(0, &bytes).expect("a write");
            volume.drop_caches().expect("caches drop");
            faults.arm(FaultRule::persistent(FaultOn::Any, 1, late));
            let mut found = vec![0; 64 << 10];
            for at in [0, 64 << 10, 128 << 10] {
                file.read_at(at, &mut found).expect("a read");
            }
            if closes {
                volume.close().expect("a close");
            } else {
                let other = volume.create("other").expect("a new file");
                other.write_at(0, &bytes).expect("a write");
                drop((other, file, volume));
            }
            assert!(faults.fired() > 3, "read-ahead was under way");
        });
    }
}

#[test]
fn flipped_bits_are_errors_and_not_bytes() {
    let base = formatted(32 << 20);
    let faulty = Arc::new(FaultBackend::new(Arc::clone(&base)));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = faulty;
    // What is ahead is nobody's error.
    let volume = open(&backend, &config(&[("read.ahead_max", "0")]));
    let file = volume.create("file").expect("a new file");
    let bytes = Dice::new(7).bytes(BYTES);
    file.write_at(0, &bytes).expect("a write");
    // Of the tree's node, then of the extent.
    for nth in [1, 2] {
        volume.drop_caches().expect("caches drop");
        handle.arm(FaultRule::once(FaultOn::Read, nth, FaultAction::FlipBit));
        let mut found = vec![0; 4096];
        let read = file.read_at(0, &mut found);
        assert!(
            matches!(read, Err(EngineError::Corrupt { .. })),
            "{nth}: {read:?}"
        );
        file.read_at(0, &mut found)
            .expect("the device was right the second time");
        assert!(found == bytes[..4096]);
        handle.disarm();
    }
}

/// Address of the second leaf that has mappings of the first file, and where in the file they begin.
fn second_leaf(memory: &MemBackend) -> (u64, u64) {
    let image = memory.image();
    let u64_at = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().expect("eight bytes"));
    let newest = [65_536, 131_072]
        .into_iter()
        .max_by_key(|&at| u64_at(at + 48));
    let root = usize::try_from(u64_at(newest.expect("two") + 56)).expect("small");
    assert_eq!(image[root + 34], 1, "leaves below the root");
    let items = usize::from(u16::from_le_bytes([image[root + 32], image[root + 33]]));
    let mut slots = (0..items).map(|n| root + 48 + n * 24);
    let slot = slots.find(|&slot| (u64_at(slot), image[slot + 16]) == (1, 2));
    let slot = slot.expect("mappings in two leaves");
    let value = usize::from(u16::from_le_bytes([image[slot + 20], image[slot + 21]]));
    (u64_at(root + value), u64_at(slot + 8))
}

/// Nobody has asked for what a stream reads ahead.
#[test]
fn a_reader_is_not_told_what_is_wrong_ahead_of_it() {
    let memory = Arc::new(MemBackend::new(16 << 20));
    let options = FormatOptions {
        node_bytes: 4096,
        ..FormatOptions::default()
    };
    let plain: Arc<dyn Backend> = Arc::<MemBackend>::clone(&memory);
    Volume::format(&plain, &options).expect("a device can be formatted");
    let (backend, faults) = device::faulty(&memory);
    let volume = open(&backend, &config(&WIDE));
    let file = volume.create("file").expect("a new file");
    let noise = Dice::new(5).noise(4096);
    for page in 0..200 {
        file.write_at(2 * page * 4096, &noise)
            .expect("a write fits");
    }
    volume.drop_caches().expect("caches drop");
    let (leaf, begins) = second_leaf(&memory);
    faults.arm(FaultRule {
        on: FaultOn::Read,
        within: Some(leaf..leaf + 4096),
        nth: 1,
        span: FaultSpan::Persistent,
        action: FaultAction::Error,
    });
    let mut out = vec![0; 4096];
    for page in 0..begins / 4096 - 4 {
        let read = file.read_at(page * 4096, &mut out);
        read.unwrap_or_else(|error| panic!("page {page} of {begins}: {error}"));
        assert_eq!(out == noise, page % 2 == 0);
    }
    assert!(faults.fired() > 0, "it came to the second leaf");
    let asked = file.read_at(begins, &mut out);
    assert!(asked.is_err(), "who asks for it is told");
}
