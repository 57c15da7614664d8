//! A whole volume, one seed after another, each with an interleaving of its own: random operations
//! against byte arrays, with steps of the background drawn between and within them, and bounds so small
//! that budget, frames, dirty limit, submit limit and both gates are met.
//!
//! Proved per seed: every read is right, nothing waits for ever, what `close` leaves passes `check` and
//! holds every byte. And of the driver: one seed gives the same steps, bytes and counters twice, another
//! seed gives another order of steps and the same files.
//!
//! `DELALLOC_SEEDS` sets how many seeds, `DELALLOC_SEED_FIRST` the first.

mod stepped;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Backend, Clock, HeldBackend, MemBackend, SimModel, VirtualClock};
use delalloc_engine::recover::check;
use delalloc_engine::stats::StageTimes;
use delalloc_engine::{EngineConfig, EngineStats, File, FileRange, Stepper, Volume};
use stepped::{formatted, length, seed_first, seeds, tight_config};
use support::{Dice, config};

const NAMES: [&str; 3] = ["table", "log", "index"];
const FILE_BYTES_MAX: u64 = 160 << 10;
/// Offsets and sizes gather around the edges of pages, extents and items.
const EDGES: [u64; 7] = [0, 4096, 8192, 16_384, 32_768, 65_536, 131_072];

/// The volume and what it should hold.
struct Model {
    device: MemBackend,
    volume: Volume,
    stepper: Stepper,
    files: BTreeMap<&'static str, (File, Vec<u8>)>,
    dice: Dice,
    place: String,
}

/// What a run came to.
struct Outcome {
    steps: u64,
    trace: u64,
    stats: EngineStats,
    device: MemBackend,
    files: BTreeMap<&'static str, Vec<u8>>,
}

impl Outcome {
    fn assert_same(&self, other: &Self, place: &str) {
        assert_eq!(self.trace, other.trace, "{place}: steps");
        let (own, others) = (self.stats.rows(), other.stats.rows());
        for (row, other) in own.iter().zip(&others) {
            assert_eq!(format!("{row:?}"), format!("{other:?}"), "{place}");
        }
        assert!(
            self.device.image() == other.device.image(),
            "{place}: bytes"
        );
    }
}

/// How often callers met each bound.
#[derive(Debug, Default)]
struct Met {
    stops: u64,
    delays: u64,
    budget: u64,
    frames: u64,
    gate: u64,
    /// The device answers in no time, so a stop takes some only where a wake-up was lost.
    stop_ns_max: u64,
}

impl Met {
    fn add(&mut self, stats: &EngineStats) {
        self.stops += stats.dirty.stops.count;
        self.delays += stats.dirty.delays.count;
        self.budget += stats.budget.waits;
        self.frames += stats.frames.waits;
        self.gate += stats.meta.front_gate_stalls;
        self.stop_ns_max = self.stop_ns_max.max(stats.dirty.stops.ns_max);
    }

    fn assert_all(&self) {
        let counts = [self.stops, self.delays, self.budget, self.frames, self.gate];
        assert!(counts.iter().all(|&count| count > 0), "{self:?}");
    }
}

/// Device of a run.
type Device = fn(Arc<dyn Backend>, u64) -> HeldBackend;

fn plain(base: Arc<dyn Backend>, _seed: u64) -> HeldBackend {
    HeldBackend::new(base, Arc::new(VirtualClock::new()))
}

fn modelled(base: Arc<dyn Backend>, seed: u64) -> HeldBackend {
    HeldBackend::modelled(base, Arc::new(VirtualClock::new()), SimModel::NVME, seed)
}

impl Model {
    /// Operations and knobs follow from `operations`, interleaving and latencies from `seed`.
    fn run(operations: u64, seed: u64, device: Device) -> Outcome {
        let mut dice = Dice::new(operations);
        let config = tight_config(&mut dice);
        let memory = formatted();
        let held = device(Arc::new(memory.reopen()), seed);
        let opened = Volume::open_stepped(Arc::new(held), config, seed);
        let (volume, stepper) = opened.expect("a volume opens");
        let mut model = Self {
            device: memory,
            volume,
            stepper,
            files: BTreeMap::new(),
            dice,
            place: format!("operations {operations} seed {seed}"),
        };
        for step in 0..40 {
            model.place = format!("operations {operations} seed {seed} step {step}");
            model.operate();
        }
        model.end()
    }

    fn operate(&mut self) {
        let name = *self.dice.pick(&NAMES);
        match self.dice.below(100) {
            0..45 => self.write(name),
            45..68 => self.read(name),
            68..73 => self.truncate(name),
            73..78 => self.punch(name),
            78..86 => self.file(name).0.sync().expect("a sync"),
            86..88 => {
                self.volume.sync().expect("a volume sync");
                assert_nothing_held(&self.volume, &self.place);
            }
            88..91 => self.rename(name),
            91..94 => self.remove(name),
            94..96 => self.volume.drop_caches().expect("caches drop"),
            _ => {
                let ms = self.dice.below(400);
                self.stepper.pass(Duration::from_millis(ms));
            }
        }
        if self.dice.once_in(2) {
            let steps = self.dice.below(30);
            self.stepper.step(length(steps));
        }
    }

    fn file(&mut self, name: &'static str) -> &mut (File, Vec<u8>) {
        let volume = &self.volume;
        self.files
            .entry(name)
            .or_insert_with(|| (volume.create(name).expect("a new file"), Vec::new()))
    }

    fn offset(&mut self) -> u64 {
        let near = *self.dice.pick(&EDGES);
        let by = self.dice.below(300);
        if self.dice.once_in(2) {
            near + by
        } else {
            near.saturating_sub(by)
        }
    }

    fn write(&mut self, name: &'static str) {
        let (offset, len) = if self.dice.once_in(4) {
            (self.file(name).1.len() as u64, 1 + self.dice.below(9000))
        } else {
            (self.offset(), 1 + self.offset())
        };
        let end = (offset + len).min(FILE_BYTES_MAX);
        if offset >= end {
            return;
        }
        let bytes = self.dice.bytes(length(end - offset));
        let (file, model) = self.file(name);
        file.write_at(offset, &bytes).expect("a write fits");
        if model.len() < length(end) {
            model.resize(length(end), 0);
        }
        model[length(offset)..length(end)].copy_from_slice(&bytes);
    }

    fn read(&mut self, name: &'static str) {
        let (offset, len) = (self.offset(), 1 + self.offset());
        let place = self.place.clone();
        let (file, model) = self.file(name);
        let mut found = vec![0xee; length(len)];
        let count = file.read_at(offset, &mut found).expect("a read");
        let end = model.len().min(length(offset + len));
        let expected = model.get(length(offset)..end).unwrap_or_default();
        compare(
            &found[..count],
            expected,
            &format!("{place}: {name} at {offset}"),
        );
    }

    fn truncate(&mut self, name: &'static str) {
        let size = self.offset().min(FILE_BYTES_MAX);
        let (file, model) = self.file(name);
        file.truncate(size).expect("a truncate");
        model.resize(length(size), 0);
    }

    fn punch(&mut self, name: &'static str) {
        let (start, len) = (self.offset(), self.offset());
        let (file, model) = self.file(name);
        let range = FileRange::new(start, start + len);
        file.punch_hole(range).expect("a punch");
        let end = model.len().min(length(start + len));
        if let Some(hole) = model.get_mut(length(start)..end) {
            hole.fill(0);
        }
    }

    fn rename(&mut self, from: &'static str) {
        let to = *self.dice.pick(&NAMES);
        if from == to {
            return;
        }
        let Some(moved) = self.files.remove(from) else {
            return;
        };
        self.volume.rename(from, to).expect("a rename");
        if let Some((replaced, bytes)) = self.files.insert(to, moved) {
            whole(&replaced, &bytes, &format!("{}: replaced {to}", self.place));
        }
    }

    fn remove(&mut self, name: &'static str) {
        let Some((file, bytes)) = self.files.remove(name) else {
            return;
        };
        if self.dice.once_in(2) {
            self.volume.remove(name).expect("a removal");
            whole(&file, &bytes, &format!("{}: removed {name}", self.place));
        } else {
            drop(file);
            self.volume.remove(name).expect("a removal");
        }
    }

    /// Closes, checks what is on the device and opens it once more.
    fn end(self) -> Outcome {
        let Self {
            device,
            volume,
            stepper,
            files,
            place,
            ..
        } = self;
        for (name, (file, bytes)) in &files {
            whole(file, bytes, &format!("{place}: {name}"));
        }
        let stats = volume.stats();
        let files: BTreeMap<_, _> = files
            .into_iter()
            .map(|(name, (_, bytes))| (name, bytes))
            .collect();
        volume.close().expect("a close");
        let report = check(&device.reopen());
        assert!(report.is_clean(), "{place}: {report:?}");
        let base = Arc::new(device.reopen());
        let (volume, again) = stepped::open(base, &EngineConfig::default(), 0);
        assert_eq!(volume.list().expect("a list").len(), files.len(), "{place}");
        for (name, bytes) in &files {
            let file = volume.open_file(name).expect("a closed file is there");
            whole(&file, bytes, &format!("{place}: {name} after a close"));
        }
        again.power_off();
        Outcome {
            steps: stepper.steps(),
            trace: stepper.trace(),
            stats,
            device,
            files,
        }
    }
}

/// With one caller nothing is dirty or under way when its sync returns.
fn assert_nothing_held(volume: &Volume, place: &str) {
    let dirty = volume.stats().dirty;
    let held_bytes = (dirty.dirty_bytes, dirty.writeback_bytes);
    assert_eq!(held_bytes, (0, 0), "{place}: dirty, in writeback");
}

fn whole(file: &File, bytes: &[u8], place: &str) {
    let mut found = vec![0xee; bytes.len() + 10];
    let count = file.read_at(0, &mut found).expect("a read");
    compare(&found[..count], bytes, place);
}

fn compare(found: &[u8], expected: &[u8], place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}: length");
    if let Some(at) = (0..found.len()).find(|&at| found[at] != expected[at]) {
        let (found, expected) = (found[at], expected[at]);
        panic!("{place}: byte {at} is {found} instead of {expected}");
    }
}

#[test]
fn every_seed_reads_what_was_written() {
    let (first, count) = (seed_first(), seeds(1000));
    let mut steps = 0;
    let mut traces = HashSet::new();
    let mut met = Met::default();
    for seed in first..first + count {
        let outcome = Model::run(seed, seed, plain);
        steps += outcome.steps;
        met.add(&outcome.stats);
        traces.insert(outcome.trace);
    }
    println!("{count} seeds, {steps} steps, {met:?}");
    assert_eq!(
        met.stop_ns_max, 0,
        "a writer waited for the flusher's clock"
    );
    // A few seeds need not meet everything.
    if count >= 1000 {
        met.assert_all();
    }
    assert_eq!(
        traces.len() as u64,
        count,
        "every seed has a trace of its own"
    );
}

#[test]
fn every_seed_reads_what_was_written_on_a_modelled_device() {
    let (first, count) = (seed_first(), seeds(300));
    for seed in first..first + count {
        Model::run(seed, seed, modelled);
    }
}

/// What was written over a writeback is dirty when that ends, and the flusher may take it before the
/// caller of `sync` does.
#[test]
fn a_sync_waits_for_what_the_flusher_took_from_it() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let config = tight_config(&mut dice);
        let (volume, stepper) = stepped::open(Arc::new(formatted()), &config, seed);
        let file = volume.create("file").expect("a new file");
        for round in 0..8 {
            let bytes = dice.bytes(40_000);
            file.write_at(dice.below(20_000), &bytes).expect("a write");
            stepper.step(length(dice.below(20)));
            if round % 3 == 2 {
                file.sync().expect("a sync");
                assert_nothing_held(&volume, &format!("seed {seed} round {round}"));
            }
        }
        volume.close().expect("a close");
    }
}

/// One write of more pages than the cache has: it goes through in parts.
#[test]
fn a_write_larger_than_the_cache_passes_through_it() {
    for seed in 0..5 {
        let config = tight_config(&mut Dice::new(seed));
        let (volume, stepper) = stepped::open(Arc::new(formatted()), &config, seed);
        let file = volume.create("file").expect("a new file");
        let bytes = Dice::new(seed).bytes(700_001);
        file.write_at(4097, &bytes).expect("a write");
        let expected = [vec![0; 4097], bytes].concat();
        whole(&file, &expected, &format!("seed {seed}"));
        stepper.power_off();
    }
}

/// Only the device takes time here, and every item is one extent: what they waited for, stage by stage, is
/// all of their way home. With room in the byte budget and without, through the pools and by the express lane.
#[test]
fn the_stages_of_a_write_add_up_to_its_way_home() {
    let (mut aged_ns, mut budget_ns, mut lanes) = (0, 0, 0);
    for seed in 0..60 {
        let (budget, log) = (["32MiB", "16KiB"], ["false", "true"]);
        let knobs = [
            ("budget.bytes", budget[length(seed % 2)]),
            ("log.enabled", log[length(seed / 2 % 2)]),
        ];
        let times = ways_home(seed, &knobs);
        let (head_wait, home) = (&times.head_wait.time, &times.home.time);
        let everywhere = [
            ("aged", &times.aged),
            ("budget", &times.budget),
            ("queued", &times.queued),
            ("encode", &times.encode),
            ("place", &times.place),
            ("submit", &times.submit),
            ("device", &times.device),
            ("finish", &times.finish),
        ];
        let mut sum_ns = head_wait.sum_ns;
        for (name, stage) in everywhere {
            assert_eq!(stage.time.count, home.count, "seed {seed}: {name}");
            sum_ns += stage.time.sum_ns;
        }
        assert!(times.device.time.sum_ns > 0, "seed {seed}");
        assert_eq!(sum_ns, home.sum_ns, "seed {seed}");
        aged_ns += times.aged.time.sum_ns;
        budget_ns += times.budget.time.sum_ns;
        lanes += home.count - head_wait.count;
    }
    assert!(aged_ns > 0, "nothing aged");
    assert!(budget_ns > 0, "nobody waited for the budget");
    assert!(lanes > 0, "nothing took the express lane");
}

/// Times of random writes, some of them synced, in items of one extent.
fn ways_home(seed: u64, more: &[(&str, &str)]) -> StageTimes {
    const EXTENT_BYTES: u64 = 16 << 10;
    let knobs = [
        ("compression.extent_bytes", "16KiB"),
        ("compression.item_bytes", "16KiB"),
        ("compression.level", "1"),
        ("dirty.background", "64KiB"),
        ("log.inline_max", "0"),
    ];
    let knobs = [&knobs[..], more].concat();
    let device = modelled(Arc::new(formatted()), seed);
    let opened = Volume::open_stepped(Arc::new(device), config(&knobs), seed);
    let (volume, stepper) = opened.expect("a volume opens");
    let file = volume.create("file").expect("a new file");
    let mut dice = Dice::new(seed);
    for _write in 0..40 {
        let bytes = dice.text(length(EXTENT_BYTES));
        let at = dice.below(20) * EXTENT_BYTES;
        file.write_at(at, &bytes).expect("a write");
        stepper.step(length(dice.below(10)));
        if dice.once_in(8) {
            file.sync().expect("a sync");
        }
    }
    volume.sync().expect("a commit");
    volume.stats().stages
}

/// The flusher looks at what is too young for it again and again, which is no deadlock of whoever waits
/// afterwards.
#[test]
fn a_long_rest_beside_dirty_data_is_no_deadlock() {
    let mut config = tight_config(&mut Dice::new(1));
    for knob in ["dirty.expire", "commit.interval"] {
        config.set(knob, "20h").expect("a knob");
    }
    let (volume, stepper) = stepped::open(Arc::new(formatted()), &config, 1);
    let file = volume.create("file").expect("a new file");
    file.write_at(0, &[7; 9000]).expect("a write");
    stepper.pass(Duration::from_secs(3600));
    file.sync().expect("a sync");
    whole(&file, &[7; 9000], "after an hour");
    volume.close().expect("a close");
}

/// Where every page was used lately the clock's hand passes more than once before one goes. Whoever waits
/// for that waits a moment, and not until the flusher has something to do.
#[test]
fn a_second_round_of_the_clock_takes_a_moment() {
    let mut config = tight_config(&mut Dice::new(1));
    for (knob, value) in [
        ("cache.bytes", "1MiB"),
        ("dirty.expire", "20h"),
        ("commit.interval", "20h"),
    ] {
        config.set(knob, value).expect("a knob");
    }
    let (volume, stepper) = stepped::open(Arc::new(formatted()), &config, 1);
    let file = volume.create("file").expect("a new file");
    for page in 0..400 {
        file.write_at(page * 4096, &[7; 4096]).expect("a write");
        stepper.settle();
    }
    assert!(volume.stats().frames.waits > 0, "the cache was never full");
    let took_ns = stepper.now().ns;
    assert!(took_ns < 1_000_000_000, "it took {took_ns} ns");
    volume.close().expect("a close");
}

/// What is too old goes in one go, however much of it there is and wherever the flusher stood in the file.
#[test]
fn what_has_expired_is_written_when_it_has_expired() {
    let knobs = [
        ("dirty.background", "32MiB"),
        ("dirty.limit", "64MiB"),
        ("dirty.expire", "1s"),
        ("commit.interval", "20h"),
        ("cache.bytes", "256MiB"),
    ];
    let device = plain(support::formatted(64 << 20), 1);
    let opened = Volume::open_stepped(Arc::new(device), config(&knobs), 1);
    let (volume, stepper) = opened.expect("a volume opens");
    let file = volume.create("file").expect("a new file");
    let bytes = Dice::new(1).bytes(20 << 20);
    file.write_at(0, &bytes).expect("a write");
    stepper.pass(Duration::from_secs(2));
    assert_eq!(volume.stats().dirty.dirty_bytes, 0, "20 MiB are too old");
    // Above the background threshold the flusher goes from turn to turn, and stops in the middle of the file.
    file.write_at(0, &Dice::new(2).bytes(33 << 20))
        .expect("a write");
    stepper.settle();
    assert!(
        volume.stats().dirty.dirty_bytes > 0,
        "it wrote below its threshold"
    );
    file.write_at(0, &[9; 4096]).expect("a write");
    stepper.pass(Duration::from_secs(2));
    assert_eq!(volume.stats().dirty.dirty_bytes, 0, "the rest is too old");
    volume.close().expect("a close");
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..20 {
        for device in [plain, modelled] {
            let (once, again) = (
                Model::run(seed, seed, device),
                Model::run(seed, seed, device),
            );
            once.assert_same(&again, &format!("seed {seed}"));
        }
    }
}

#[test]
fn other_interleavings_of_the_same_operations_end_in_the_same_files() {
    for operations in 0..10 {
        let runs: Vec<Outcome> = (100..108)
            .map(|seed| Model::run(operations, seed, plain))
            .collect();
        let traces: HashSet<u64> = runs.iter().map(|run| run.trace).collect();
        assert_eq!(traces.len(), runs.len(), "operations {operations}");
        for run in &runs {
            assert_eq!(run.files, runs[0].files, "operations {operations}");
        }
    }
}
