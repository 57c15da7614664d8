//! Crashes of a stepped volume: the power goes at a random event of a run whose interleaving follows
//! from a seed, so that commits, flushes and syncs meet writes in every state: asked of the device and
//! not moved, moved and not answered, answered and not published.
//!
//! Each image must pass `check` and open. A file that was synced before is there; its size and each of
//! its pages show what it held at that sync or at some change begun since, never anything else. What the
//! device had not flushed survives in part, torn at 512 bytes.
//!
//! `DELALLOC_SEEDS` sets how many seeds, `DELALLOC_SEED_FIRST` the first.

mod stepped;
mod support;

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Backend, CrashPlan, Recorder, Survivors, Tear};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, File, FileRange, Stepper, Volume};
use stepped::{formatted, length, seed_first, seeds, tight_config};
use support::Dice;

const NAMES: [&str; 2] = ["first", "second"];
const FILE_BYTES_MAX: u64 = 100 << 10;
const PAGE: usize = 4096;
/// Crashes of one run.
const CRASHES: u64 = 4;

/// A file after each of its changes.
struct History {
    states: Vec<State>,
    synced: Vec<Synced>,
}

struct State {
    /// Events of the device when the change began.
    begun_at: u64,
    bytes: Vec<u8>,
}

struct Synced {
    /// Events of the device when the sync returned.
    at: u64,
    /// The state it was of.
    state: usize,
}

impl History {
    fn new() -> Self {
        let states = vec![State {
            begun_at: 0,
            bytes: Vec::new(),
        }];
        Self {
            states,
            synced: Vec::new(),
        }
    }

    /// What a crash at event `at` may show; `None` where nothing is promised.
    fn acceptable(&self, at: u64) -> Option<Vec<&[u8]>> {
        let synced = self.synced.iter().rev().find(|synced| synced.at <= at)?;
        let later = self.states[synced.state..].iter();
        let begun = later.take_while(|state| state.begun_at <= at);
        Some(begun.map(|state| &state.bytes[..]).collect())
    }
}

struct Run {
    recorder: Arc<Recorder>,
    volume: Volume,
    stepper: Stepper,
    files: [File; 2],
    histories: [History; 2],
    dice: Dice,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let config = tight_config(&mut dice);
        let recorder = Arc::new(Recorder::new(formatted()));
        let base = Arc::<Recorder>::clone(&recorder);
        let (volume, stepper) = stepped::open(base, &config, seed);
        let files = NAMES.map(|name| volume.create(name).expect("a new file"));
        Self {
            recorder,
            volume,
            stepper,
            files,
            histories: [History::new(), History::new()],
            dice,
        }
    }

    fn events(&self) -> u64 {
        self.recorder.log().events()
    }

    fn operate(&mut self) {
        let which = length(self.dice.below(2));
        match self.dice.below(10) {
            0 | 1 => {
                self.files[which].sync().expect("a sync");
                self.note_synced(which);
            }
            2 => {
                if self.dice.once_in(2) {
                    self.volume.sync().expect("a volume sync");
                } else {
                    self.volume.drop_caches().expect("caches drop");
                }
                (0..2).for_each(|which| self.note_synced(which));
            }
            3 => {
                let ms = self.dice.below(400);
                self.stepper.pass(Duration::from_millis(ms));
            }
            _ => self.change(which),
        }
        let steps = self.dice.below(25);
        self.stepper.step(length(steps));
    }

    fn note_synced(&mut self, which: usize) {
        let at = self.events();
        let history = &mut self.histories[which];
        let state = history.states.len() - 1;
        history.synced.push(Synced { at, state });
    }

    fn change(&mut self, which: usize) {
        let begun_at = self.events();
        let (file, dice) = (&self.files[which], &mut self.dice);
        let history = &mut self.histories[which];
        let last = history.states.last().expect("there is a first state");
        let mut bytes = last.bytes.clone();
        change(dice, file, &mut bytes);
        history.states.push(State { begun_at, bytes });
    }

    fn crash(&mut self, seed: u64) {
        let at = self.dice.below(self.events() + 1);
        let survivors = match self.dice.below(4) {
            0 => Survivors::None,
            1 => Survivors::All,
            _ => Survivors::Random { seed, percent: 50 },
        };
        let tear = Tear::Pieces { bytes: 512, seed };
        let plan = CrashPlan {
            at,
            survivors,
            tear,
        };
        let place = format!("seed {seed}: {plan:?}");
        let image: Arc<dyn Backend> = Arc::new(self.recorder.crash_image(&plan));
        let report = check(image.as_ref());
        assert!(report.is_clean(), "{place}: {report:?}");
        let (volume, stepper) = stepped::open(image, &EngineConfig::default(), seed);
        for (name, history) in NAMES.into_iter().zip(&self.histories) {
            let Some(acceptable) = history.acceptable(at) else {
                continue;
            };
            let file = volume
                .open_file(name)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            compare(&file, &acceptable, &format!("{place}: {name}"));
        }
        stepper.power_off();
    }
}

/// One change of a file, and of what it should hold.
fn change(dice: &mut Dice, file: &File, now: &mut Vec<u8>) {
    let at = dice.below(FILE_BYTES_MAX);
    match dice.below(10) {
        0 => {
            file.truncate(at).expect("a truncate");
            now.resize(length(at), 0);
        }
        1 => {
            let end = at + dice.below(50 << 10);
            file.punch_hole(FileRange::new(at, end)).expect("a punch");
            let end = now.len().min(length(end));
            if let Some(hole) = now.get_mut(length(at)..end) {
                hole.fill(0);
            }
        }
        kind => {
            let at = if kind < 5 { now.len() as u64 } else { at };
            let bytes_max = FILE_BYTES_MAX.saturating_sub(at).min(40 << 10);
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
}

fn compare(file: &File, acceptable: &[&[u8]], place: &str) {
    let size = length(file.size_bytes());
    let sizes = || acceptable.iter().map(|state| state.len());
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
        // A state shorter than what was found of this page is not what is shown here: the size on disk
        // moves over completed bytes alone.
        let matches = |state: &&[u8]| state.get(start..start + page.len()) == Some(page);
        assert!(
            acceptable.iter().any(matches),
            "{place}: page {number} was never like this"
        );
    }
}

#[test]
fn a_crash_at_any_step_leaves_what_was_synced() {
    let (first, count) = (seed_first(), seeds(1000));
    let mut events = 0;
    for seed in first..first + count {
        let mut run = Run::new(seed);
        let operations = 3 + run.dice.below(30);
        (0..operations).for_each(|_| run.operate());
        run.stepper.power_off();
        events += run.events();
        for crash in 0..CRASHES {
            run.crash(seed * CRASHES + crash);
        }
    }
    println!(
        "{count} seeds, {} crashes in {events} events",
        count * CRASHES
    );
}
