//! A volume against a map of byte arrays: random operations, all codecs, all pools, caches so small
//! that eviction and throttling happen, reopening in between. The seed of a failure is in its message.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_backends::Backend;
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, File, FileRange, Volume};
use support::{Dice, config, formatted, open};

const FILE_BYTES_MAX: u64 = 1 << 20;
const NAMES: [&str; 4] = ["table", "log", "index", "temp/with a \"strange\" name"];
/// Offsets and sizes gather around the edges of pages, extents and items.
const EDGES: [u64; 8] = [0, 4096, 8192, 65_536, 131_072, 262_144, 524_288, 786_432];

/// The volume and what it should hold.
struct Model {
    backend: Arc<dyn Backend>,
    config: EngineConfig,
    volume: Option<Volume>,
    files: BTreeMap<&'static str, (File, Vec<u8>)>,
    dice: Dice,
    seed: u64,
}

impl Model {
    fn new(seed: u64, knobs: &[(&str, &str)]) -> Self {
        let backend = formatted(64 << 20);
        let config = config(knobs);
        let volume = Some(open(&backend, &config));
        Self {
            backend,
            config,
            volume,
            files: BTreeMap::new(),
            dice: Dice::new(seed),
            seed,
        }
    }

    fn run(&mut self, steps: u64) {
        for step in 0..steps {
            self.step(step);
        }
        self.reopen(true);
        self.check_all("at the end");
        let files = std::mem::take(&mut self.files);
        drop(files);
        self.volume().sync().expect("a sync");
        self.check_image();
    }

    fn step(&mut self, step: u64) {
        let name = *self.dice.pick(&NAMES);
        match self.dice.below(100) {
            0..45 => self.write(name),
            45..75 => self.read(name, step),
            75..80 => self.truncate(name),
            80..85 => self.punch(name),
            85..90 => self.sync(name),
            90..92 => self.volume().sync().expect("a volume sync"),
            92..94 => self.rename(name),
            94..96 => self.remove(name),
            96..98 => self.volume().drop_caches().expect("caches drop"),
            98 => self.reopen(true),
            _ => self.reopen(false),
        }
    }

    fn volume(&self) -> &Volume {
        self.volume.as_ref().expect("the volume is open")
    }

    fn file(&mut self, name: &'static str) -> &mut (File, Vec<u8>) {
        let volume = self.volume.as_ref().expect("the volume is open");
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
            (self.offset(), 1 + self.offset() / 2)
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

    fn read(&mut self, name: &'static str, step: u64) {
        let (offset, len) = (self.offset(), 1 + self.offset());
        let seed = self.seed;
        let (file, model) = self.file(name);
        let mut found = vec![0xee; length(len)];
        let count = file.read_at(offset, &mut found).expect("a read");
        let end = model.len().min(length(offset + len));
        let expected = model.get(length(offset)..end).unwrap_or_default();
        compare(
            &found[..count],
            expected,
            &format!("seed {seed} step {step} {name} at {offset}"),
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
        file.punch_hole(FileRange::new(start, start + len))
            .expect("a punch");
        let end = model.len().min(length(start + len));
        if let Some(hole) = model.get_mut(length(start)..end) {
            hole.fill(0);
        }
    }

    fn sync(&mut self, name: &'static str) {
        self.file(name).0.sync().expect("a sync");
    }

    fn rename(&mut self, from: &'static str) {
        let to = *self.dice.pick(&NAMES);
        if from == to {
            return;
        }
        let Some(moved) = self.files.remove(from) else {
            return;
        };
        self.volume().rename(from, to).expect("a rename");
        if let Some((replaced, bytes)) = self.files.insert(to, moved) {
            let mut found = vec![0; bytes.len()];
            replaced
                .read_at(0, &mut found)
                .expect("a replaced file is there while it is open");
            compare(
                &found,
                &bytes,
                &format!("seed {}: replaced {to}", self.seed),
            );
        }
    }

    fn remove(&mut self, name: &'static str) {
        let Some((file, bytes)) = self.files.remove(name) else {
            return;
        };
        if self.dice.once_in(2) {
            self.volume().remove(name).expect("a removal");
            let mut found = vec![0; bytes.len()];
            file.read_at(0, &mut found)
                .expect("a removed file is there while it is open");
            compare(
                &found,
                &bytes,
                &format!("seed {}: removed {name}", self.seed),
            );
        } else {
            drop(file);
            self.volume().remove(name).expect("a removal");
        }
    }

    /// Reopens, by the door or after a volume sync and a fall.
    fn reopen(&mut self, by_the_door: bool) {
        let names: Vec<&'static str> = self.files.keys().copied().collect();
        let mut models: Vec<Vec<u8>> = std::mem::take(&mut self.files)
            .into_values()
            .map(|(_, bytes)| bytes)
            .collect();
        let volume = self.volume.take().expect("the volume is open");
        if by_the_door {
            volume.close().expect("a close");
        } else {
            volume.sync().expect("a volume sync");
            drop(volume);
        }
        self.check_image();
        self.volume = Some(open(&self.backend, &self.config));
        for (name, bytes) in names.into_iter().zip(models.drain(..)) {
            let file = self
                .volume()
                .open_file(name)
                .expect("a synced file is there");
            assert_eq!(
                file.size_bytes(),
                bytes.len() as u64,
                "seed {}: size of {name}",
                self.seed
            );
            self.files.insert(name, (file, bytes));
        }
        self.check_all("after reopening");
    }

    fn check_image(&self) {
        let report = check(self.backend.as_ref());
        assert!(report.is_clean(), "seed {}: {report:?}", self.seed);
    }

    fn check_all(&self, when: &str) {
        for (name, (file, bytes)) in &self.files {
            let mut found = vec![0xee; bytes.len() + 10];
            let count = file.read_at(0, &mut found).expect("a read");
            compare(
                &found[..count],
                bytes,
                &format!("seed {} {when}: {name}", self.seed),
            );
        }
    }
}

fn compare(found: &[u8], expected: &[u8], place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}: length");
    if let Some(at) = found
        .iter()
        .zip(expected)
        .position(|(found, expected)| found != expected)
    {
        panic!(
            "{place}: byte {at} is {} instead of {}",
            found[at], expected[at]
        );
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a model fits memory")
}

fn run(first_seed: u64, seeds: u64, steps: u64, knobs: &[(&str, &str)]) {
    for seed in first_seed..first_seed + seeds {
        Model::new(seed, knobs).run(steps);
    }
}

#[test]
fn every_codec() {
    for (index, (codec, level)) in [
        ("none", "0"),
        ("lz4", "1"),
        ("zstd", "1"),
        ("zstd", "9"),
        ("zlib", "3"),
    ]
    .iter()
    .enumerate()
    {
        let knobs = [("compression.codec", *codec), ("compression.level", *level)];
        run(1000 * index as u64, 3, 400, &knobs);
    }
}

#[test]
fn every_pool_and_order() {
    let mut seed = 10_000;
    for pool in ["seed2008", "threshold2014", "plain"] {
        for scope in ["volume", "file", "none"] {
            run(seed, 1, 400, &[("pool.kind", pool), ("order.scope", scope)]);
            seed += 1;
        }
    }
}

#[test]
fn caches_too_small_for_the_files() {
    let knobs = [
        ("cache.bytes", "1MiB"),
        ("read.ahead_max", "256KiB"),
        ("compression.item_bytes", "128KiB"),
        ("dirty.background", "64KiB"),
        ("dirty.limit", "256KiB"),
        ("budget.bytes", "512KiB"),
    ];
    run(20_000, 6, 400, &knobs);
    let curve = [
        knobs.as_slice(),
        &[("dirty.throttle", "curve"), ("read.populate", "both")],
    ]
    .concat();
    run(21_000, 3, 300, &curve);
}

#[test]
fn small_extents_and_items() {
    let knobs = [
        ("compression.extent_bytes", "16KiB"),
        ("compression.item_bytes", "64KiB"),
        ("thread_pool_size", "3"),
        ("read.populate", "off"),
    ];
    run(30_000, 4, 400, &knobs);
}
