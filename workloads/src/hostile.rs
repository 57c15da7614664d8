//! Hostile input, for tests and fuzzers: a workload and a recording, of any bytes.
//!
//! Each function reads what it is given and uses up what was read: the plan is described and its
//! streams are begun, faults are shown, a recording is summed up and replayed. They return where the
//! input is refused or survived, and panic where an invariant breaks.
//!
//! Nothing is read but the input: a stream of a recording that a workload names is not begun.
//!
//! Not here: the inputs (tests/corpus), who calls (tests/hostile, the fuzz targets).

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use crate::load::{LoadError, load_str};
use crate::op::{FileSlot, Op};
use crate::plan::{
    Bound, Estimate, FioWait, LoadPlan, Pace, TraceDeal, TraceEvents, TraceFormat, TracePlan,
    TraceReading, TraceTiming, Work, WorkloadPlan, dry_run_text,
};
use crate::stream::{Cursors, Pacer, Parts, Share, Versions};
use crate::trace::{Input, TraceReader, TraceStream, forge, summary_of};
use crate::{Checks, StreamError};

/// Operations taken of each stream.
const OPS_MAX: usize = 32;
/// Streams begun of a phase; one of more clients is not begun.
const STREAMS_MAX: u64 = 64;
/// What messages call the input.
const ORIGIN: &str = "hostile";

/// A workload.
pub fn workload(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match load_str(&text, ORIGIN, &[], Checks::none()) {
        Ok(plan) => use_plan(&plan),
        Err(LoadError::Faults(faults)) => {
            assert!(!faults.faults.is_empty());
            for fault in faults.faults.iter().take(OPS_MAX) {
                let (line, column) = faults.line_column(fault);
                assert!(line > 0 && column > 0);
            }
            assert!(!faults.to_string().is_empty());
        }
        Err(error) => panic!("a text is not a file: {error}"),
    }
}

fn use_plan(plan: &WorkloadPlan) {
    let estimate = Estimate::of(plan, &|_, _| 0);
    assert!(!dry_run_text(plan, &estimate).is_empty());
    for load in plan.loads.iter().take(2) {
        let cursors = Arc::new(Cursors::new(load));
        for phase in 0..load.phases.len().min(4) {
            if can_begin(load, phase) {
                use_streams(load, phase, &cursors);
            }
        }
    }
}

/// Does a phase read nothing from outside, with few enough clients?
fn can_begin(load: &LoadPlan, phase: usize) -> bool {
    let jobs = &load.phases[phase].jobs;
    let streams: u64 = jobs.iter().map(|job| u64::from(job.clients)).sum();
    let is_trace = |work: &Work| matches!(work, Work::Trace(_));
    streams <= STREAMS_MAX && !jobs.iter().any(|job| is_trace(&job.work))
}

fn use_streams(load: &LoadPlan, phase: usize, cursors: &Arc<Cursors>) {
    let streams = load.streams(phase, cursors).expect("no recording is read");
    for stream in streams {
        for timed in stream.take(OPS_MAX) {
            use_op(&timed.expect("no recording is read").op);
        }
    }
}

/// Where an operation ends is a place in a file.
fn use_op(op: &Op) {
    if let Op::Read { offset, bytes, .. }
    | Op::Write { offset, bytes, .. }
    | Op::PunchHole { offset, bytes, .. } = *op
    {
        assert!(bytes > 0 && offset.checked_add(bytes).is_some(), "{op:?}");
    }
}

/// A recording: its first byte chooses the form, how it comes and how many malformed lines are borne; where the form is none of
/// the oldest two and is not to be told, the second byte chooses it.
pub fn trace(bytes: &[u8]) {
    let [choice, rest @ ..] = bytes else {
        return;
    };
    let (format, recording) = match (choice & 3, rest) {
        (0, _) => (Some(TraceFormat::DelallocCsv), rest),
        (1, _) => (Some(TraceFormat::Blkparse), rest),
        (2, _) => (None, rest),
        (_, [nth, recording @ ..]) => {
            let (_, format) = TraceFormat::ALL[usize::from(*nth) % TraceFormat::ALL.len()];
            (Some(format), recording)
        }
        (_, []) => return,
    };
    // Of our own form what a checksum guards is tried as well: any bytes inside of sound blocks.
    let forged = match format {
        Some(TraceFormat::Delalloc) if !recording.starts_with(b"DELAL") => forge(recording),
        _ => None,
    };
    let recording = forged.as_deref().unwrap_or(recording);
    let is_read_once = choice & 4 != 0;
    let malformed_max = u64::from(choice >> 3);
    let is_odd = choice & 8 != 0;
    let reading = TraceReading {
        format,
        events: if is_odd {
            TraceEvents::Issue
        } else {
            TraceEvents::Queue
        },
        fio_wait: if is_odd {
            FioWait::RelativeUs
        } else {
            FioWait::AbsoluteMs
        },
        malformed_max,
    };
    let read = || -> Result<TraceReader, StreamError> {
        let path = Path::new(ORIGIN);
        let source = Cursor::new(recording.to_vec());
        let input = if is_read_once {
            Input::over(source)
        } else {
            Input::seekable(source)
        };
        let input = input.map_err(|error| StreamError::Trace {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        TraceReader::over(input, path, &reading, 1)
    };
    if let Ok(summary) = read().and_then(|reader| summary_of(reader, Path::new(ORIGIN))) {
        assert!(summary.malformed <= malformed_max);
        assert!(summary.written_footprint_bytes <= summary.footprint_bytes);
        assert!(!summary.text().is_empty());
    }
    let scale = f64::from(choice >> 3) / 8.0;
    for (nth, timing) in [
        TraceTiming::Recorded { time_scale: scale },
        TraceTiming::ClosedLoop { time_scale: scale },
    ]
    .into_iter()
    .enumerate()
    {
        let Ok(reader) = read() else {
            return;
        };
        let skipped = u64::from(choice >> 3) * nth as u64;
        for timed in stream(reader, &reading, timing, skipped) {
            match timed {
                Ok(timed) => use_op(&timed.op),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

fn stream(
    reader: TraceReader,
    reading: &TraceReading,
    timing: TraceTiming,
    skipped: u64,
) -> TraceStream {
    let plan = TracePlan {
        timing,
        deal: TraceDeal::Thread,
        skip_ops: skipped,
        skip_time_ns: skipped * 1000,
        gap_max_ns: (skipped % 2 == 1).then_some(skipped * 10),
        fold_bytes: (skipped % 3 == 1).then_some(12_288),
        limit_bytes: Some(u64::MAX),
        first_slot: FileSlot(1),
        ..TracePlan::whole(ORIGIN.into(), reading.clone())
    };
    let share = Share {
        client: 0,
        clients: 1,
    };
    let parts = Parts {
        share,
        bound: Bound::Once,
        pacer: Pacer::new(&Pace::Recorded, (0, 1), None, &[]),
        versions: Versions::new(0),
        seed: 0,
        until_ns: u64::MAX,
    };
    TraceStream::over(reader, &plan, parts)
}
