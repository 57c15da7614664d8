//! Looking at what crashes left: makes the images of a recorded run and holds each against the oracle.
//!
//! Per image: `check` is clean; it opens; it shows what may be; it closes; `check` is clean again; it
//! opens again and shows the same. For one image in `deep_once_in` besides: the opening and closing were
//! recorded, and crashes within them show the same; files grow over their end and read zeros there; and
//! a second life, a few changes and syncs from the image on, is crashed in its turn.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delalloc_backends::{Backend, CrashPlan, Log, MemBackend, Recorder, Sweep};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineConfig, Volume};

use super::load;
use super::oracle::{Found, Oracle};
use super::stage::{Stage, read_whole};
use crate::support::{Dice, open};

/// A number that the environment gives under this name.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => otherwise,
    }
}

/// How a recorded run is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Survey {
    pub(crate) sweep: Sweep,
    /// Of the moments of the sweep so many, chosen by its seed, and the last; `None` is all.
    pub(crate) moments_max: Option<usize>,
    /// One image in so many is looked at more closely; 0 is none.
    pub(crate) deep_once_in: u64,
    /// Images are closed and opened a second time.
    pub(crate) reopen: bool,
    pub(crate) config: EngineConfig,
}

/// Images of this process so far, also where the last one ended it.
static LOOKED: AtomicU64 = AtomicU64::new(0);

/// How many images were looked at so far.
pub(crate) fn looked() -> u64 {
    LOOKED.load(Ordering::Relaxed)
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) images: u64,
    /// Images of crashes while an image was opened and closed.
    pub(crate) recoveries: u64,
    /// Images that a volume went on from.
    pub(crate) lives: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.images += other.images;
        self.recoveries += other.recoveries;
        self.lives += other.lives;
    }
}

/// Crashes of a second life: its moments, and plans at each.
const SECOND_LIFE_MOMENTS: usize = 6;
const SECOND_LIFE_PLANS: usize = 2;
/// Plans at each moment of an opening and closing.
const RECOVERY_PLANS: usize = 2;

impl Survey {
    /// Looks at a run that is over.
    ///
    /// # Panics
    /// At the first image that is not as promised, with `place` and the plan.
    pub(crate) fn of(&self, stage: Stage, place: &str) -> Counts {
        let (recorder, oracle) = (Arc::clone(&stage.recorder), Arc::clone(&stage.oracle));
        let marks = stage.marks.clone();
        // The record ends before handles close, which would bury what they keep.
        let log = recorder.log();
        drop(stage);
        let oracle = oracle.lock();
        self.of_record(&recorder, &log, &oracle, &marks, place)
    }

    fn of_record(
        &self,
        recorder: &Recorder,
        log: &Log,
        oracle: &Oracle,
        marks: &[u64],
        place: &str,
    ) -> Counts {
        let mut dice = Dice::new(self.sweep.seed);
        let mut moments = self.sweep.moments(log, marks);
        while moments.len() > self.moments_max.unwrap_or(usize::MAX) {
            // The last one stays: all that was acknowledged was so by then.
            let gone = dice.below(moments.len() as u64 - 1);
            moments.remove(usize::try_from(gone).expect("an index"));
        }
        let mut counts = Counts::default();
        for at in moments {
            let point = recorder.crash_point(at);
            for plan in self.sweep.plans(log, at) {
                let image = point.image(&plan.survivors, plan.tear);
                let place = format!("{place}, {plan:?}");
                let deep = self.deep_once_in > 0 && dice.once_in(self.deep_once_in);
                counts.images += 1;
                LOOKED.fetch_add(1, Ordering::Relaxed);
                if deep {
                    counts.add(self.look_deep(&image, oracle, &plan, &place));
                } else {
                    self.look(&image, oracle, at, &place);
                }
            }
        }
        counts
    }

    /// Looks at one image; returns what it shows.
    fn look(&self, image: &MemBackend, oracle: &Oracle, at: u64, place: &str) -> Vec<Found> {
        let backend: Arc<dyn Backend> = Arc::new(image.fork());
        let found = self.open_and_judge(&backend, oracle, at, place);
        if self.reopen {
            same(&found, &self.shown(&backend, place), place);
        }
        found
    }

    fn open_and_judge(
        &self,
        backend: &Arc<dyn Backend>,
        oracle: &Oracle,
        at: u64,
        place: &str,
    ) -> Vec<Found> {
        let found = self.shown(backend, place);
        if let Err(fault) = oracle.judge(at, &found) {
            panic!("{place}: {fault}");
        }
        found
    }

    /// What a volume shows; it is checked before it opens and closed afterwards.
    fn shown(&self, backend: &Arc<dyn Backend>, place: &str) -> Vec<Found> {
        let report = check(backend.as_ref());
        assert!(report.is_clean(), "{place}: {report:?}");
        let volume = open(backend, &self.config);
        let found = show(&volume, place);
        if self.reopen {
            volume
                .close()
                .unwrap_or_else(|error| panic!("{place}: closing: {error}"));
        }
        found
    }

    fn look_deep(
        &self,
        image: &MemBackend,
        oracle: &Oracle,
        plan: &CrashPlan,
        place: &str,
    ) -> Counts {
        let recorder = Arc::new(Recorder::new(image.fork()));
        let backend: Arc<dyn Backend> = Arc::clone(&recorder) as Arc<dyn Backend>;
        let found = self.open_and_judge(&backend, oracle, plan.at, place);
        let recoveries = self.crash_recovery(&recorder, &found, place);
        self.grow(image, place);
        let lives = self.live_on(image, &found, plan.at ^ self.sweep.seed, place);
        Counts {
            images: lives,
            recoveries,
            lives: 1,
        }
    }

    /// Crashes within the opening and the closing that `recorder` saw.
    fn crash_recovery(&self, recorder: &Recorder, found: &[Found], place: &str) -> u64 {
        let log = recorder.log();
        let sweep = Sweep::share(RECOVERY_PLANS, self.sweep.seed);
        let mut images = 0;
        for at in sweep.moments(&log, &[]) {
            let point = recorder.crash_point(at);
            for plan in sweep.plans(&log, at) {
                let place = format!("{place}, then in its recovery {plan:?}");
                let image: Arc<dyn Backend> = Arc::new(point.image(&plan.survivors, plan.tear));
                same(found, &self.shown(&image, &place), &place);
                images += 1;
            }
        }
        images
    }

    /// Nothing of an earlier life is past the end of a file.
    fn grow(&self, image: &MemBackend, place: &str) {
        const MORE_BYTES: u64 = 96 << 10;
        let backend: Arc<dyn Backend> = Arc::new(image.fork());
        let volume = open(&backend, &self.config);
        for info in volume.list().expect("names are in memory") {
            let file = volume.open_file(&info.name).expect("it is listed");
            file.truncate(info.size_bytes + MORE_BYTES)
                .unwrap_or_else(|error| panic!("{place}: growing {:?}: {error}", info.name));
            let bytes = read_whole(&file, place);
            let size = usize::try_from(info.size_bytes).expect("small");
            assert!(
                bytes[size..].iter().all(|&byte| byte == 0),
                "{place}: {:?} grew over something at its end, {size}",
                info.name
            );
        }
    }

    /// Goes on from an image and crashes that too.
    fn live_on(&self, image: &MemBackend, found: &[Found], seed: u64, place: &str) -> u64 {
        let mut stage = Stage::going_on(image.fork(), &self.config, found);
        let mut dice = Dice::new(seed);
        for _step in 0..8 {
            stage.apply(&load::op(&mut dice, &stage));
        }
        let survey = Self {
            sweep: Sweep::share(SECOND_LIFE_PLANS, seed),
            moments_max: Some(SECOND_LIFE_MOMENTS),
            deep_once_in: 0,
            reopen: false,
            config: self.config.clone(),
        };
        let place = format!("{place}, then in a second life of seed {seed}");
        survey.of(stage, &place).images
    }
}

/// Everything on a volume.
fn show(volume: &Volume, place: &str) -> Vec<Found> {
    let files = volume
        .list()
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    let mut found = Vec::with_capacity(files.len());
    for info in files {
        let file = volume
            .open_file(&info.name)
            .unwrap_or_else(|error| panic!("{place}: {:?}: {error}", info.name));
        let bytes = read_whole(&file, &format!("{place}: {:?}", info.name));
        assert_eq!(bytes.len() as u64, info.size_bytes, "{place}");
        found.push(Found {
            name: info.name,
            file: info.file,
            bytes,
        });
    }
    found
}

fn same(before: &[Found], after: &[Found], place: &str) {
    let names = |found: &[Found]| -> Vec<(String, usize)> {
        let sizes = found
            .iter()
            .map(|file| (file.name.clone(), file.bytes.len()));
        sizes.collect()
    };
    assert_eq!(
        names(before),
        names(after),
        "{place}: opened once and again"
    );
    assert!(
        before == after,
        "{place}: bytes changed from one opening to the next"
    );
}
