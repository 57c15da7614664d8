//! A device that acknowledges a FLUSH and does not do it, and then loses power.
//!
//! What is promised then: nothing that needs the flush. Files that were synced may be old or gone, and
//! the volume may not open, because the device broke the one assumption of docs/format.md. What is still
//! held: nothing hangs or panics; a volume that does not open says why; and no wrong byte is shown, a
//! page being one that its file has had, a hole, or an error. Checksums and generations see to that.

mod faults;
mod support;

use std::sync::Arc;

use delalloc_backends::{
    Backend, CrashPlan, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend,
    Recorder,
};
use delalloc_engine::{EngineError, File};
use faults::script;
use faults::session::Session;
use faults::{device, session::Ended};
use support::oracle::History;
use support::watchdog::{Place, watched};
use support::{config, times};

const PAGE: usize = 4096;
const KNOBS: [(&str, &str); 3] = [
    ("thread_pool_size", "2"),
    ("dirty.background", "64KiB"),
    ("commit.interval", "10ms"),
];

/// What the crashes of a run left.
#[derive(Debug, Default)]
struct Seen {
    images: u64,
    whole: u64,
    refused: u64,
    pages: u64,
    pages_lost: u64,
}

/// Runs the workload with lost flushes, and crashes in every epoch that is left.
fn run(nth: u64, span: FaultSpan, seen: &mut Seen) -> bool {
    let place = Place::new(format!("lost flush {nth}, {span:?}"));
    let recorder = Arc::new(Recorder::new(device::formatted().fork()));
    let faulty = FaultBackend::new(Arc::<Recorder>::clone(&recorder) as Arc<dyn Backend>);
    let faults = faulty.handle();
    let inside = place.clone();
    let fired_by = faults.clone();
    let files = watched(&place, move || {
        let mut session = Session::new(Arc::new(faulty), &config(&KNOBS), faults.clone(), inside);
        faults.arm(FaultRule {
            span,
            ..FaultRule::once(FaultOn::Flush, nth, FaultAction::Lose)
        });
        session.remember();
        session.run(&script::by_hand());
        let Ended { files, .. } = session.abandon();
        files
    });
    if fired_by.fired() == 0 {
        return false;
    }
    let log = recorder.log();
    for epoch in 0..log.epochs() {
        let plan = CrashPlan::in_epoch(&log, epoch, nth * 1000 + epoch as u64);
        let image = Arc::new(recorder.crash_image(&plan));
        let place = Place::new(format!("lost flush {nth}, {span:?}, {plan:?}"));
        let (inside, files) = (place.clone(), files.clone());
        let one = watched(&place, move || look(&image, &files, &inside));
        seen.images += 1;
        seen.whole += one.whole;
        seen.refused += one.refused;
        seen.pages += one.pages;
        seen.pages_lost += one.pages_lost;
    }
    true
}

fn look(image: &Arc<MemBackend>, files: &[History], place: &Place) -> Seen {
    let mut seen = Seen::default();
    let backend: Arc<dyn Backend> = Arc::<MemBackend>::clone(image);
    let volume = match device::try_open(&backend, &config(&KNOBS)) {
        Ok(volume) => volume,
        Err(EngineError::Corrupt { .. } | EngineError::NotAVolume(_)) => {
            seen.refused = 1;
            return seen;
        }
        Err(error) => panic!("{place}: {error}"),
    };
    for info in volume.list().unwrap_or_default() {
        place.at(&info);
        let Ok(file) = volume.open_file(&info.name) else {
            continue;
        };
        let pages = usize::try_from(info.size_bytes)
            .expect("small")
            .div_ceil(PAGE);
        for page in 0..pages {
            seen.pages += 1;
            seen.pages_lost += u64::from(!page_is_known(&file, page, files, place));
        }
    }
    seen.whole = u64::from(seen.pages_lost == 0);
    seen
}

/// False for an error; a page that no file has ever had is a failure.
fn page_is_known(file: &File, page: usize, files: &[History], place: &Place) -> bool {
    let mut found = vec![0xee; PAGE];
    let start = page * PAGE;
    match file.read_at(start as u64, &mut found) {
        Ok(bytes) => {
            found.truncate(bytes);
            let range = start..start + bytes;
            let hole = found.iter().all(|byte| *byte == 0);
            let known = hole || files.iter().any(|own| own.ever_had(range.clone(), &found));
            assert!(
                known,
                "{place}: page {page} is nothing that was ever written"
            );
            true
        }
        Err(EngineError::Corrupt { .. }) => false,
        Err(error) => panic!("{place}: {error}"),
    }
}

#[test]
fn no_wrong_byte_is_shown_after_a_lost_flush() {
    let mut seen = Seen::default();
    let step = usize::try_from(times("DELALLOC_FAULT_STRIDE", 4)).expect("small");
    for span in [FaultSpan::Once, FaultSpan::Persistent] {
        for nth in (1..).step_by(step) {
            if !run(nth, span, &mut seen) {
                break;
            }
        }
    }
    println!("lying device: {seen:?}");
    assert!(
        seen.images > 0 && seen.whole > 0,
        "nothing was tried: {seen:?}"
    );
    assert!(
        seen.refused + seen.pages_lost > 0,
        "no lost flush ever mattered, so none was lost: {seen:?}"
    );
}
