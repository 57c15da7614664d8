//! A full volume, through the door: `write_at` is where space runs out and nowhere else.
//!
//! Every test keeps a model of what was accepted (a version for each page) and holds the volume to it:
//!   * a refused write changes nothing, an accepted one survives `sync` and opening again;
//!   * `sync`, truncate, punch and remove go through on a volume that refuses a single page;
//!   * what is given back can be filled again, round after round, to the same level;
//!   * the engine's sums, and those of a check of the image, agree;
//!   * at most the bound written in `alloc/space.rs` is left when a page is refused.
//!
//! `DELALLOC_CASES` multiplies the churn; `--nocapture` shows how full each volume was.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultOn, FaultRule, MemBackend, Recorder, Survivors, Tear,
};
use delalloc_engine::alloc::SpaceNumbers;
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, EngineError, File, FileRange, FormatOptions, Volume};
use support::{Dice, config, open};

const PAGE: u64 = 4096;
const PAGE_LEN: usize = 4096;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

type Knobs = &'static [(&'static str, &'static str)];

/// How well a page compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Random,
    Half,
}

/// The bytes of a page, from who wrote it when.
fn page_bytes(content: Content, tag: u64, out: &mut [u8]) {
    let mut dice = Dice::new(tag);
    let random_len = match content {
        Content::Random => out.len(),
        Content::Half => out.len() / 2,
    };
    for word in out[..random_len].chunks_exact_mut(8) {
        word.copy_from_slice(&dice.below(u64::MAX).to_le_bytes());
    }
    for word in out[random_len..].chunks_exact_mut(8) {
        word.copy_from_slice(&tag.to_le_bytes());
    }
}

/// A file's pages, by the tag of what was written there; absent pages are zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Pages {
    tags: BTreeMap<u64, u64>,
    size_bytes: u64,
}

/// A volume on memory and the model of it.
struct Filled {
    backend: Arc<dyn Backend>,
    config: EngineConfig,
    open: Option<Volume>,
    content: Content,
    model: BTreeMap<String, Pages>,
    tag: u64,
    what: String,
}

impl Filled {
    fn new(capacity_bytes: u64, node_bytes: u32, content: Content, knobs: &[(&str, &str)]) -> Self {
        let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(capacity_bytes));
        let options = FormatOptions {
            node_bytes,
            ..FormatOptions::default()
        };
        Volume::format(&backend, &options).expect("an empty device can be formatted");
        let config = config(knobs);
        Self {
            open: Some(open(&backend, &config)),
            backend,
            config,
            content,
            model: BTreeMap::new(),
            tag: 0,
            what: format!("{capacity_bytes} bytes, nodes of {node_bytes}, {content:?}"),
        }
    }

    fn volume(&self) -> &Volume {
        self.open.as_ref().expect("it is open")
    }

    fn create(&mut self, name: &str) -> Option<File> {
        match self.volume().create(name) {
            Ok(file) => {
                self.model.insert(name.to_owned(), Pages::default());
                Some(file)
            }
            Err(EngineError::NoSpace { .. }) => None,
            Err(error) => panic!("{}: create {name}: {error}", self.what),
        }
    }

    fn file(&self, name: &str) -> File {
        self.volume().open_file(name).expect("it was made")
    }

    /// Writes whole pages; false where there is no space, and then nothing has changed.
    fn write(&mut self, file: &File, name: &str, page: u64, count: u64) -> bool {
        let mut bytes = vec![0; usize::try_from(count * PAGE).expect("small")];
        let first_tag = self.tag + 1;
        for (n, out) in bytes.chunks_exact_mut(4096).enumerate() {
            page_bytes(self.content, first_tag + n as u64, out);
        }
        self.tag += count;
        match file.write_at(page * PAGE, &bytes) {
            Ok(()) => {}
            Err(EngineError::NoSpace { .. }) => return false,
            Err(error) => panic!("{}: write {name} at page {page}: {error}", self.what),
        }
        let pages = self.model.get_mut(name).expect("it was made");
        for n in 0..count {
            pages.tags.insert(page + n, first_tag + n);
        }
        pages.size_bytes = pages.size_bytes.max((page + count) * PAGE);
        true
    }

    /// Appends from `page` on until a single page is refused; returns the page refused.
    fn fill(&mut self, name: &str, mut page: u64, mut count: u64) -> u64 {
        let file = self.file(name);
        while count > 0 {
            if self.write(&file, name, page, count) {
                page += count;
            } else {
                count /= 2;
            }
        }
        page
    }

    fn sync(&self) -> SpaceNumbers {
        if let Err(error) = self.volume().sync() {
            panic!("{}: sync of accepted writes: {error}", self.what);
        }
        let numbers = self.volume().stats().space;
        assert_eq!(
            (numbers.pinned_bytes, numbers.reserved_bytes),
            (0, 0),
            "{}: {numbers:?}",
            self.what
        );
        numbers
    }

    fn truncate(&mut self, name: &str, pages: u64) {
        let file = self.file(name);
        if let Err(error) = file.truncate(pages * PAGE) {
            panic!("{}: truncate {name} to page {pages}: {error}", self.what);
        }
        let model = self.model.get_mut(name).expect("it was made");
        model.tags.retain(|&page, _| page < pages);
        model.size_bytes = pages * PAGE;
    }

    /// Punches whole pages; false where the cut mappings have no room, and then nothing has changed.
    fn punch(&mut self, name: &str, first: u64, end: u64) -> bool {
        let file = self.file(name);
        match file.punch_hole(FileRange::new(first * PAGE, end * PAGE)) {
            Ok(()) => {}
            Err(EngineError::NoSpace { .. }) => return false,
            Err(error) => panic!("{}: punch {name}: {error}", self.what),
        }
        let model = self.model.get_mut(name).expect("it was made");
        model.tags.retain(|page, _| !(first..end).contains(page));
        true
    }

    fn remove(&mut self, name: &str) {
        if let Err(error) = self.volume().remove(name) {
            panic!("{}: remove {name}: {error}", self.what);
        }
        self.model.remove(name);
    }

    /// Reads everything and compares it with the model.
    fn compare(&self) {
        let listed: Vec<String> = self
            .volume()
            .list()
            .expect("the device works")
            .into_iter()
            .map(|info| info.name)
            .collect();
        let known: Vec<String> = self.model.keys().cloned().collect();
        assert_eq!(listed, known, "{}", self.what);
        let (mut found, mut wanted) = (vec![0; 64 * 4096], vec![0; 4096]);
        for (name, pages) in &self.model {
            let file = self.file(name);
            assert_eq!(file.size_bytes(), pages.size_bytes, "{}: {name}", self.what);
            for start in (0..pages.size_bytes).step_by(found.len()) {
                let len = file.read_at(start, &mut found).expect("the device works");
                for (n, page) in found[..len].chunks(4096).enumerate() {
                    let index = start / PAGE + n as u64;
                    match pages.tags.get(&index) {
                        Some(&tag) => page_bytes(self.content, tag, &mut wanted),
                        None => wanted.fill(0),
                    }
                    assert!(page == wanted, "{}: {name} page {index}", self.what);
                }
            }
        }
    }

    /// Closes, checks the image, opens again; sums and bytes are what they were.
    fn reopen(&mut self) -> SpaceNumbers {
        let before = self.sync();
        let volume = self.open.take().expect("it is open");
        volume.close().expect("the device works");
        let report = check(self.backend.as_ref());
        assert!(report.issues.is_empty(), "{}: {report:#?}", self.what);
        assert_eq!(report.free_bytes, before.free_bytes, "{}", self.what);
        self.open = Some(open(&self.backend, &self.config));
        assert_eq!(self.volume().stats().space, before, "{}", self.what);
        self.compare();
        before
    }
}

/// Extents of one page, so that a small volume has a large tree.
const SINGLE_PAGES: [(&str, &str); 3] = [
    ("compression.extent_bytes", "4KiB"),
    ("compression.item_bytes", "4KiB"),
    ("read.ahead_max", "4KiB"),
];

fn show(what: &str, filled: &Filled, pages: u64, numbers: &SpaceNumbers) {
    println!(
        "{what}: {}: plain data {:.2} % of the area, free {} KiB of at most {}, nodes {} KiB",
        filled.what,
        (pages * PAGE) as f64 * 100.0 / numbers.capacity_bytes as f64,
        numbers.free_bytes / KIB,
        numbers.full_bytes_max / KIB,
        numbers.node_bytes / KIB,
    );
}

fn assert_full(filled: &Filled, numbers: &SpaceNumbers) {
    assert!(
        numbers.free_bytes <= numbers.full_bytes_max,
        "{}: a page was refused with {numbers:?}",
        filled.what
    );
}

/// Times the churn is repeated.
fn cases() -> u64 {
    let asked = std::env::var("DELALLOC_CASES").ok();
    asked.map_or(1, |count| count.parse().expect("DELALLOC_CASES is a count"))
}

#[test]
fn a_volume_fills_to_the_documented_bound_and_takes_or_refuses_overwrites() {
    for (capacity_bytes, node_bytes, chunk_pages, content) in [
        (2 * MIB, 1024, 16, Content::Random),
        (2 * MIB, 4096, 16, Content::Half),
        (8 * MIB, 16384, 1, Content::Random),
        (8 * MIB, 65536, 16, Content::Half),
        (32 * MIB, 4096, 1, Content::Random),
        (32 * MIB, 16384, 64, Content::Half),
        (64 * MIB, 16384, 256, Content::Random),
    ] {
        let mut filled = Filled::new(capacity_bytes, node_bytes, content, &[]);
        filled.create("full").expect("room");
        let pages = filled.fill("full", 0, chunk_pages);
        let numbers = filled.sync();
        show("filled", &filled, pages, &numbers);
        assert_full(&filled, &numbers);
        filled.reopen();
        let (file, mut dice) = (filled.file("full"), Dice::new(capacity_bytes));
        let accepted = (0..200)
            .filter(|_| filled.write(&file, "full", dice.below(pages), 1))
            .count();
        drop(file);
        println!("{accepted} of 200 pages overwritten");
        filled.reopen();
    }
}

#[test]
fn twenty_rounds_of_filling_and_emptying_leave_nothing_behind() {
    for (node_bytes, knobs) in [(4096, &[][..]), (16384, &[][..]), (4096, &SINGLE_PAGES[..])] {
        let mut filled = Filled::new(8 * MIB, node_bytes, Content::Random, knobs);
        let empty = filled.sync();
        let mut levels = Vec::new();
        for round in 0..20 {
            filled.create("full").expect("room");
            let end = filled.fill("full", 0, 8);
            let numbers = filled.sync();
            assert_full(&filled, &numbers);
            levels.push(numbers.free_bytes);
            if round % 8 == 0 {
                filled.reopen();
            }
            match round % 4 {
                0 => filled.truncate("full", 0),
                1 => assert!(filled.punch("full", 0, end), "a hole over all of a file"),
                2 => {
                    filled.truncate("full", end / 3);
                    assert!(
                        filled.punch("full", 0, end / 3),
                        "a hole over all of a file"
                    );
                }
                _ => {}
            }
            let given_back = filled.sync();
            assert!(
                round % 4 == 3 || given_back.free_bytes > 7 * MIB,
                "{}: round {round}: {given_back:?}",
                filled.what
            );
            filled.remove("full");
            assert_eq!(filled.sync(), empty, "{}: round {round}", filled.what);
        }
        let (least, most) = (levels.iter().min(), levels.iter().max());
        assert!(
            most.expect("rounds") - least.expect("rounds") < 64 * KIB,
            "{}: free bytes when full: {levels:?}",
            filled.what
        );
        filled.reopen();
    }
}

#[test]
fn small_files_fill_a_volume_and_their_names_stay_changeable() {
    for node_bytes in [4096, 16384] {
        let mut filled = Filled::new(8 * MIB, node_bytes, Content::Random, &[]);
        let empty = filled.sync();
        let mut count = 0;
        loop {
            let name = format!("file {count}");
            let Some(file) = filled.create(&name) else {
                break;
            };
            count += 1;
            if !filled.write(&file, &name, 0, 1) {
                break;
            }
        }
        // What writing refuses, names may still take; after some of them they are refused too.
        let mut names = 0;
        while filled.create(&format!("empty {names}")).is_some() {
            names += 1;
        }
        let numbers = filled.sync();
        show("small files", &filled, count, &numbers);
        assert_full(&filled, &numbers);
        println!("{count} files, then {names} names");
        filled.reopen();
        // A refused name is nowhere; a name can be changed, and replace another.
        for n in 0..20 {
            let (from, to) = (format!("file {n}"), format!("renamed {n}"));
            filled.volume().rename(&from, &to).expect("room for a name");
            let pages = filled.model.remove(&from).expect("it was made");
            filled.model.insert(to, pages);
        }
        let (from, to) = ("renamed 3", "renamed 4");
        filled.volume().rename(from, to).expect("room for a name");
        let pages = filled.model.remove(from).expect("it was made");
        filled.model.insert(to.to_owned(), pages);
        filled.reopen();
        for name in filled.model.keys().cloned().collect::<Vec<_>>() {
            filled.remove(&name);
        }
        assert_eq!(filled.sync(), empty);
        filled.reopen();
    }
}

#[test]
fn what_was_accepted_is_written_though_every_full_node_splits() {
    for (node_bytes, capacity_bytes) in [
        (1024, 4 * MIB),
        (1024, 2 * MIB),
        (4096, 2 * MIB),
        (16384, 8 * MIB),
    ] {
        for part in [16, 8, 4, 2] {
            let mut filled =
                Filled::new(capacity_bytes, node_bytes, Content::Random, &SINGLE_PAGES);
            // Ascending items leave full leaves; each overwrite cuts one.
            filled.create("a").expect("room");
            let end = filled.fill("a", 0, 1);
            let kept = end - end / part;
            filled.truncate("a", kept);
            filled.sync();
            let (file, mut dice) = (filled.file("a"), Dice::new(part));
            for _ in 0..end {
                filled.write(&file, "a", dice.below(kept), 1);
            }
            drop(file);
            filled.reopen();
        }
    }
}

#[test]
fn holes_between_single_sectors_are_filled_again() {
    for node_bytes in [4096, 16384, 65536] {
        let mut filled = Filled::new(16 * MIB, node_bytes, Content::Random, &SINGLE_PAGES);
        filled.create("odd").expect("room");
        filled.create("even").expect("room");
        let (odd, even) = (filled.file("odd"), filled.file("even"));
        let mut page = 0;
        while filled.write(&odd, "odd", page, 1) && filled.write(&even, "even", page, 1) {
            page += 1;
            if page % 64 == 0 {
                odd.sync().expect("the device works");
            }
        }
        drop((odd, even));
        let first = filled.sync();
        show("single sectors", &filled, 2 * page, &first);
        filled.truncate("odd", 0);
        filled.create("long").expect("room");
        let pages = filled.fill("long", 0, 64);
        let again = filled.sync();
        show("holes filled", &filled, page + pages, &again);
        assert!(
            again.free_bytes <= first.free_bytes.max(again.full_bytes_max) + 128 * KIB,
            "{}: {first:?}, then {again:?}",
            filled.what
        );
        filled.reopen();
    }
}

/// One random step on a volume that is mostly full.
fn churn(filled: &mut Filled, dice: &mut Dice) {
    let names: Vec<String> = filled.model.keys().cloned().collect();
    let name = dice.pick(&names).clone();
    let pages = filled.model[&name].size_bytes / PAGE;
    match dice.below(20) {
        0 => {
            filled.tag += 1;
            let new = format!("file {}", filled.tag);
            filled.create(&new);
        }
        1 if names.len() > 3 => filled.remove(&name),
        2 => filled.truncate(&name, dice.below(pages + 1)),
        3 if pages > 0 => {
            let first = dice.below(pages);
            let end = first + 1 + dice.below(pages - first);
            filled.punch(&name, first, end);
        }
        4 => {
            filled.sync();
        }
        5..12 => {
            let file = filled.file(&name);
            filled.write(&file, &name, dice.below(pages + 1), 1);
        }
        _ => {
            let file = filled.file(&name);
            let count = 1 + dice.below(64);
            filled.write(&file, &name, pages, count);
        }
    }
}

#[test]
fn a_full_volume_under_churn_loses_nothing() {
    let shapes: [(u64, u32, Content, Knobs); 4] = [
        (2 * MIB, 1024, Content::Random, &[]),
        (3 * MIB, 4096, Content::Half, &SINGLE_PAGES),
        (6 * MIB, 16384, Content::Half, &[]),
        (8 * MIB, 65536, Content::Random, &[]),
    ];
    let mut steps = 0;
    for seed in 0..cases() {
        for (capacity_bytes, node_bytes, content, knobs) in shapes {
            let mut filled = Filled::new(capacity_bytes, node_bytes, content, knobs);
            filled.what = format!("seed {seed}: {}", filled.what);
            let mut dice = Dice::new(seed);
            filled.create("first").expect("room");
            for _ in 0..4 {
                for _ in 0..250 {
                    churn(&mut filled, &mut dice);
                }
                steps += 250;
                filled.reopen();
            }
        }
    }
    println!("{} cases, {steps} steps", cases());
}

/// Of data that fails on the device nothing stays allocated.
#[test]
fn a_failed_write_gives_its_space_back() {
    let faulty = FaultBackend::new(Arc::new(MemBackend::new(8 * MIB)));
    let faults = faulty.handle();
    let backend: Arc<dyn Backend> = Arc::new(faulty);
    Volume::format(&backend, &FormatOptions::default()).expect("an empty device");
    let volume = open(&backend, &config(&[("log.enabled", "false")]));
    let file = volume.create("a").expect("room");
    volume.sync().expect("the device works");
    let before = volume.stats().space;
    let data = Dice::new(1).noise(64 << 10);
    for round in 0..4 {
        faults.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Error));
        file.write_at(0, &data).expect("room");
        assert!(file.sync().is_err(), "round {round}: its data failed");
        // Once more for whoever syncs the volume.
        let _told = volume.sync();
        volume.sync().expect("the device works");
    }
    let after = volume.stats().space;
    assert_eq!(
        (
            after.allocated_bytes,
            after.free_bytes,
            after.reserved_bytes
        ),
        (before.allocated_bytes, before.free_bytes, 0)
    );
}

/// After each sync on a volume that fills up, and then is overwritten, the device as it is then opens, with all that
/// was synced: what a replay of the log needs was kept for it.
#[test]
fn a_full_volume_opens_after_a_crash_at_any_sync() {
    for (node_bytes, seed) in [(16384, 1), (4096, 2), (1024, 3)] {
        let device = Arc::new(MemBackend::new(2 * MIB));
        let backend = Arc::clone(&device) as Arc<dyn Backend>;
        let options = FormatOptions {
            node_bytes,
            ..FormatOptions::default()
        };
        Volume::format(&backend, &options).expect("a device can be formatted");
        let knobs = config(&[("log.commit_at", "100")]);
        let volume = open(&backend, &knobs);
        let file = volume.create("full").expect("a new file");
        let mut pages: Vec<u64> = Vec::new();
        let mut dice = Dice::new(seed);
        let (mut opened, mut overwrites) = (0, 0);
        let mut commits_max = 0;
        let mut bytes = [0; PAGE_LEN];
        while overwrites < 40 {
            let tag = dice.below(u64::MAX);
            page_bytes(Content::Random, tag, &mut bytes);
            let at = if overwrites == 0 {
                pages.len()
            } else {
                usize::try_from(dice.below(pages.len() as u64)).expect("a page of a small file")
            };
            let accepted = file.write_at(at as u64 * PAGE, &bytes);
            match accepted {
                Ok(()) if at == pages.len() => pages.push(tag),
                Ok(()) => pages[at] = tag,
                Err(EngineError::NoSpace { .. }) => overwrites += 1,
                Err(error) => panic!("{error}"),
            }
            if overwrites > 0 {
                overwrites += 1;
            }
            file.sync().expect("what was accepted is made durable");
            let is_near_the_end =
                overwrites > 0 || volume.stats().space.available_bytes < 128 * KIB;
            if is_near_the_end || dice.once_in(20) {
                commits_max = opens(&device, &pages, node_bytes).max(commits_max);
                opened += 1;
            }
        }
        assert!(opened > 40, "only {opened} crashes");
        println!("nodes of {node_bytes}: {opened} crashes, up to {commits_max} commits of an open");
    }
}

/// A copy of the device opens and has these pages, also where it crashes again behind a FLUSH of that open. Returns with
/// how many commits it did.
fn opens(device: &MemBackend, pages: &[u64], node_bytes: u32) -> u64 {
    let recorder = Arc::new(Recorder::new(device.fork()));
    let crashed: Arc<dyn Backend> = Arc::clone(&recorder) as Arc<dyn Backend>;
    let volume = open(&crashed, &config(&[]));
    let (commits, log) = (volume.stats().meta.commits, recorder.log());
    assert_has(&volume, pages, node_bytes);
    for epoch in 0..log.epochs() {
        let point = recorder.crash_point(log.end_of_epoch(epoch));
        let again: Arc<dyn Backend> = Arc::new(point.image(&Survivors::All, Tear::Whole));
        assert_has(&open(&again, &config(&[])), pages, node_bytes);
    }
    commits
}

fn assert_has(volume: &Volume, pages: &[u64], node_bytes: u32) {
    let file = volume.open_file("full").expect("it was synced");
    let mut wanted = [0; PAGE_LEN];
    let mut found = [0; PAGE_LEN];
    for (at, &tag) in (0..).zip(pages) {
        page_bytes(Content::Random, tag, &mut wanted);
        let read = file.read_at(at * PAGE, &mut found).expect("a read");
        assert!(
            read == found.len() && found == wanted,
            "page {at} of {} was synced, nodes of {node_bytes}",
            pages.len()
        );
    }
}
