//! All short sequences of operations on one file, each ended by a sync and crashed.
//!
//! Every sequence begins with the same volume: `a`, one and a half extents, and `b`, less than one; both
//! synced. Operations are on *the file*, which is `a` until it is renamed; another rename takes it back.
//! A rename replaces what has the name; a write to a removed file makes it anew.

use std::sync::{Arc, OnceLock};

use delalloc_backends::MemBackend;
use delalloc_engine::{EngineConfig, FileRange};

use super::oracle::Found;
use super::stage::{Op, SMALL, Stage, blank};
use super::survey::{Counts, Survey};
use crate::support::{Dice, config, open};

/// Plain bytes of an extent under `SMALL`.
const EXTENT_BYTES: u64 = 16 << 10;

/// Where a write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Whole pages.
    Aligned,
    /// Parts of pages.
    Partial,
    /// A little, within what is there.
    Middle,
    /// At the end.
    Append,
}

/// What a write brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compressible,
    Incompressible,
    Mixed,
}

/// One operation of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Write {
        at: Where,
        kind: Kind,
        across: bool,
    },
    Truncate,
    Punch,
    Rename,
    Remove,
    Sync,
    /// Commits metadata without this file's data.
    SyncOther,
    SyncAll,
}

impl Step {
    fn persists(self) -> bool {
        matches!(self, Self::Sync | Self::SyncOther | Self::SyncAll)
    }
}

/// Most operations of a sequence, the sync at its end not counted.
const STEPS_MAX: u32 = 3;

fn steps() -> &'static [Step] {
    static STEPS: OnceLock<Vec<Step>> = OnceLock::new();
    STEPS.get_or_init(|| {
        let mut steps = vec![
            Step::Truncate,
            Step::Punch,
            Step::Rename,
            Step::Remove,
            Step::Sync,
            Step::SyncOther,
            Step::SyncAll,
        ];
        for at in [Where::Aligned, Where::Partial, Where::Middle, Where::Append] {
            for kind in [Kind::Compressible, Kind::Incompressible, Kind::Mixed] {
                for across in [false, true] {
                    steps.push(Step::Write { at, kind, across });
                }
            }
        }
        steps
    })
}

/// How many sequences there are.
pub(crate) fn sequences() -> u64 {
    let kinds = steps().len() as u64;
    (1..=STEPS_MAX).map(|length| kinds.pow(length)).sum()
}

/// The sequence of this number.
fn sequence(number: u64) -> Vec<Step> {
    let kinds = steps().len() as u64;
    let mut rest = number;
    for length in 1..=STEPS_MAX {
        if rest < kinds.pow(length) {
            return (0..length)
                .map(|place| rest / kinds.pow(place) % kinds)
                .map(|index| steps()[usize::try_from(index).expect("an index")])
                .collect();
        }
        rest -= kinds.pow(length);
    }
    panic!("there is no sequence {number}");
}

/// The knobs a sequence runs under: synced pages go into the log, or past it.
pub(crate) fn knobs(number: u64) -> EngineConfig {
    let mut knobs = SMALL.to_vec();
    if number.is_multiple_of(3) {
        knobs.push(("log.inline_max", "0"));
    }
    config(&knobs)
}

/// Runs one sequence and looks at its crashes.
///
/// # Panics
/// At the first image that is not as promised.
pub(crate) fn crash(number: u64, survey: &Survey) -> Counts {
    let mut sequence = sequence(number);
    if !sequence.last().is_some_and(|step| step.persists()) {
        let ends = [Step::Sync, Step::SyncAll];
        sequence.push(ends[usize::from(number.is_multiple_of(3))]);
    }
    let place = format!("sequence {number} {sequence:?}");
    let mut run = Run {
        stage: begin(&survey.config),
        dice: Dice::new(number),
        name: "a",
        other: "b",
    };
    for step in sequence {
        run.step(step);
    }
    run.stage.compare(&place);
    survey.of(run.stage, &place)
}

struct Run {
    stage: Stage,
    dice: Dice,
    name: &'static str,
    other: &'static str,
}

impl Run {
    fn step(&mut self, step: Step) {
        let name = self.name;
        let size_bytes = self.stage.size_bytes(name).unwrap_or(0);
        let op = match step {
            Step::Write { at, kind, across } => {
                let range = range_of(at, across, size_bytes);
                let bytes = self.bytes(kind, usize::try_from(range.bytes()).expect("small"));
                Op::Write {
                    name,
                    at: range.start,
                    bytes,
                }
            }
            Step::Truncate => Op::Truncate {
                name,
                size_bytes: if size_bytes > 5001 { 5001 } else { 20_001 },
            },
            Step::Punch => Op::Punch {
                name,
                range: FileRange::new(4000, 13_000),
            },
            Step::Rename => {
                std::mem::swap(&mut self.name, &mut self.other);
                Op::Rename {
                    from: name,
                    to: self.name,
                }
            }
            Step::Remove => Op::Remove { name },
            Step::Sync => Op::Sync { name },
            Step::SyncOther => Op::Sync { name: self.other },
            Step::SyncAll => Op::SyncAll,
        };
        self.stage.apply(&op);
    }

    fn bytes(&mut self, kind: Kind, len: usize) -> Vec<u8> {
        match kind {
            Kind::Compressible => self.dice.text(len),
            Kind::Incompressible => self.dice.noise(len),
            Kind::Mixed => {
                let mut bytes = self.dice.noise(len / 2);
                bytes.extend(self.dice.text(len - len / 2));
                bytes
            }
        }
    }
}

fn range_of(at: Where, across: bool, size_bytes: u64) -> FileRange {
    match (at, across) {
        (Where::Aligned, false) => FileRange::new(4096, 12_288),
        (Where::Aligned, true) => FileRange::new(12_288, 20_480),
        (Where::Partial, false) => FileRange::new(5000, 9000),
        (Where::Partial, true) => FileRange::new(15_000, 18_000),
        (Where::Middle, false) => FileRange::new(8000, 8300),
        (Where::Middle, true) => FileRange::new(EXTENT_BYTES - 50, EXTENT_BYTES + 50),
        (Where::Append, false) => FileRange::new(size_bytes, size_bytes + 3000),
        (Where::Append, true) => {
            let boundary = (size_bytes / EXTENT_BYTES + 1) * EXTENT_BYTES;
            FileRange::new(size_bytes, boundary + 3000)
        }
    }
}

/// A stage on the volume that every sequence begins with.
fn begin(config: &EngineConfig) -> Stage {
    static BEGINNING: OnceLock<(MemBackend, Vec<Found>)> = OnceLock::new();
    let (base, found) = BEGINNING.get_or_init(|| make_beginning(config));
    Stage::going_on(base.fork(), config, found)
}

fn make_beginning(config: &EngineConfig) -> (MemBackend, Vec<Found>) {
    let base = Arc::new(blank(2 << 20, 4096));
    let backend: Arc<dyn delalloc_backends::Backend> = Arc::clone(&base) as Arc<_>;
    let volume = open(&backend, config);
    let mut dice = Dice::new(0);
    let mut found = Vec::new();
    for (name, len) in [("a", 24 << 10), ("b", 6000)] {
        let file = volume.create(name).expect("a new file");
        let mut bytes = dice.text(len / 2);
        bytes.extend(dice.noise(len - len / 2));
        file.write_at(0, &bytes).expect("a write fits");
        let files = volume.list().expect("names are in memory");
        let info = files.iter().find(|info| info.name == name);
        found.push(Found {
            name: name.to_owned(),
            file: info.expect("it was made").file,
            bytes,
        });
    }
    volume.sync().expect("a sync");
    drop(volume);
    (base.fork(), found)
}
