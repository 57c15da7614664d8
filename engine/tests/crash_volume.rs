//! What a crash leaves: at the end of every flush epoch, with random survivors among the writes that
//! no flush covers, torn at 512 bytes.
//!
//! Each image must open and pass `check`. A file that was synced is there; each of its pages shows
//! what it held at the last completed sync or at some moment later, never anything else; its size is
//! one it had since then, or between two of those.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use delalloc_backends::{Backend, CrashPlan, MemBackend, Recorder};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, File, FileRange, FormatOptions, Volume};
use support::{Dice, config, open};

const FILE_BYTES_MAX: u64 = 600 << 10;
const PAGE: usize = 4096;

/// A file after each of its changes, and when it was synced.
#[derive(Default)]
struct History {
    states: Vec<Vec<u8>>,
    /// Events in the log when a sync returned, and the state it was of.
    synced: Vec<(u64, usize)>,
}

impl History {
    /// What a crash at event `at` may show: states from the last sync before it on.
    fn acceptable(&self, at: u64) -> Option<&[Vec<u8>]> {
        let (_, state) = self
            .synced
            .iter()
            .rev()
            .find(|(synced_at, _)| *synced_at <= at)?;
        Some(&self.states[*state..])
    }
}

struct Run {
    recorder: Arc<Recorder>,
    histories: [History; 2],
    seed: u64,
}

const NAMES: [&str; 2] = ["first", "second"];

fn record(seed: u64, device_bytes: u64, knobs: &[(&str, &str)], beside: bool) -> Run {
    let device = MemBackend::new(device_bytes);
    let formatted: Arc<dyn Backend> = Arc::new(device.fork());
    Volume::format(&formatted, &FormatOptions::default()).expect("a device can be formatted");
    drop(device);
    let base = MemBackend::from_image(&image_of(&formatted), 512);
    let recorder = Arc::new(Recorder::new(base));
    let backend: Arc<dyn Backend> = Arc::clone(&recorder) as Arc<dyn Backend>;
    let volume = open(&backend, &config(knobs));
    let files = NAMES.map(|name| volume.create(name).expect("a new file"));
    let mut histories = [History::default(), History::default()];
    for history in &mut histories {
        history.states.push(Vec::new());
    }
    let over = Arc::new(AtomicBool::new(false));
    let committer = beside.then(|| commit_all_the_time(&volume, &over));
    let mut dice = Dice::new(seed);
    for _step in 0..60 {
        let which = usize::try_from(dice.below(2)).expect("an index");
        change(&mut dice, &files[which], &mut histories[which]);
        match dice.below(8) {
            0 | 1 => {
                files[which].sync().expect("a sync");
                let history = &mut histories[which];
                history
                    .synced
                    .push((recorder.log().events(), history.states.len() - 1));
            }
            2 => {
                volume.sync().expect("a volume sync");
                let events = recorder.log().events();
                for history in &mut histories {
                    history.synced.push((events, history.states.len() - 1));
                }
            }
            _ => {}
        }
    }
    over.store(true, Ordering::SeqCst);
    if let Some(committer) = committer {
        committer.join().expect("the committer ends");
    }
    Run {
        recorder,
        histories,
        seed,
    }
}

/// Syncs a file of its own over and over, so that commits fall between the writes of others.
fn commit_all_the_time(volume: &Volume, over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (volume, over) = (volume.clone(), Arc::clone(over));
    let body = move || {
        let file = volume.create("beside").expect("a new file");
        for number in 0_u64.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            file.write_at(0, &number.to_le_bytes())
                .expect("a write fits");
            file.sync().expect("a sync");
        }
    };
    Builder::new().spawn(body).expect("a thread starts")
}

fn image_of(backend: &Arc<dyn Backend>) -> Vec<u8> {
    use delalloc_backends::BackendExt;
    let bytes = usize::try_from(backend.geometry().capacity_bytes).expect("a small device");
    let mut image = Vec::with_capacity(bytes);
    while image.len() < bytes {
        let part = backend
            .read_blocking(image.len() as u64, 1 << 20)
            .expect("a read");
        image.extend_from_slice(&part);
    }
    image
}

fn change(dice: &mut Dice, file: &File, history: &mut History) {
    let mut now = history
        .states
        .last()
        .expect("there is a first state")
        .clone();
    let at = dice.below(FILE_BYTES_MAX);
    match dice.below(10) {
        0 => {
            file.truncate(at).expect("a truncate");
            now.resize(length(at), 0);
        }
        1 => {
            let end = at + dice.below(200 << 10);
            file.punch_hole(FileRange::new(at, end)).expect("a punch");
            let end = now.len().min(length(end));
            if let Some(hole) = now.get_mut(length(at)..end) {
                hole.fill(0);
            }
        }
        kind => {
            let at = if kind < 5 { now.len() as u64 } else { at };
            let bytes_max = FILE_BYTES_MAX.saturating_sub(at).min(150 << 10);
            let bytes = dice.below(bytes_max + 1);
            let bytes = dice.bytes(length(bytes));
            file.write_at(at, &bytes).expect("a write fits");
            let end = length(at) + bytes.len();
            if !bytes.is_empty() {
                now.resize(now.len().max(end), 0);
                now[length(at)..end].copy_from_slice(&bytes);
            }
        }
    }
    history.states.push(now);
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a test fits memory")
}

/// Crashes at the end of each epoch; returns how many images were tried.
fn crash_everywhere(run: &Run) -> usize {
    let log = run.recorder.log();
    // Every one of a short log, and as many of a long one.
    let step = log.epochs().div_ceil(200);
    for epoch in (0..log.epochs()).step_by(step) {
        let plan = CrashPlan::in_epoch(&log, epoch, run.seed + epoch as u64);
        let place = format!("seed {} epoch {epoch}: {plan:?}", run.seed);
        let image: Arc<dyn Backend> = Arc::new(run.recorder.crash_image(&plan));
        let report = check(image.as_ref());
        assert!(report.is_clean(), "{place}: {report:?}");
        let volume = open(&image, &EngineConfig::default());
        for (name, history) in NAMES.into_iter().zip(&run.histories) {
            let Some(acceptable) = history.acceptable(plan.at) else {
                continue;
            };
            let file = volume
                .open_file(name)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            compare(&file, acceptable, &format!("{place}: {name}"));
        }
    }
    log.epochs() / step
}

fn compare(file: &File, acceptable: &[Vec<u8>], place: &str) {
    let size = length(file.size_bytes());
    let sizes = || acceptable.iter().map(Vec::len);
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    assert!(
        (least..=most).contains(&size),
        "{place}: {size} bytes, not {least} to {most}"
    );
    let mut found = vec![0xee; size];
    let count = file
        .read_at(0, &mut found)
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(count, size, "{place}: short read");
    for (number, page) in found.chunks(PAGE).enumerate() {
        let start = number * PAGE;
        // A state that is shorter than what was found of this page is not what is shown here: the
        // size on disk moves over completed bytes alone.
        let matches = |state: &Vec<u8>| {
            state
                .get(start..start + page.len())
                .is_some_and(|own| own == page)
        };
        assert!(
            acceptable.iter().any(matches),
            "{place}: page {number} was never like this"
        );
    }
}

#[test]
fn a_crash_leaves_what_was_synced() {
    let quiet = [("compression.level", "1")];
    let busy = [
        ("dirty.background", "64KiB"),
        ("dirty.limit", "512KiB"),
        ("cache.bytes", "4MiB"),
    ];
    let mut images = 0;
    for seed in 0..6 {
        images += crash_everywhere(&record(seed * 1000, 32 << 20, &quiet, false));
        images += crash_everywhere(&record(seed * 1000 + 500, 6 << 20, &busy, true));
    }
    assert!(images > 100, "only {images} images were tried");
}
