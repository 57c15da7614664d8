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
    Bound, LoadPlan, Pace, TraceFormat, TracePlan, TraceTiming, Work, WorkloadPlan, dry_run_text,
};
use crate::stream::{Cursors, Pacer, Parts, Share, Versions};
use crate::trace::{Lines, TraceReader, TraceStream, summary_of};
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
    assert!(!dry_run_text(plan).is_empty());
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

/// A recording: its first byte chooses form, packing and how many malformed lines are borne.
pub fn trace(bytes: &[u8]) {
    let [choice, recording @ ..] = bytes else {
        return;
    };
    let format = match choice & 3 {
        0 => Some(TraceFormat::DelallocCsv),
        1 => Some(TraceFormat::Blkparse),
        _ => None,
    };
    let is_packed = choice & 4 != 0;
    let malformed_max = u64::from(choice >> 3);
    let read = || -> Result<TraceReader, StreamError> {
        let path = Path::new(ORIGIN);
        let lines = Lines::over(Cursor::new(recording.to_vec()), is_packed).map_err(|error| {
            StreamError::Trace {
                path: path.to_owned(),
                reason: error.to_string(),
            }
        })?;
        TraceReader::over(lines, path, format, malformed_max)
    };
    if let Ok(summary) = read().and_then(|reader| summary_of(reader, Path::new(ORIGIN))) {
        assert!(summary.malformed <= malformed_max);
        assert!(summary.written_footprint_bytes <= summary.footprint_bytes);
        assert!(!summary.text().is_empty());
    }
    let scale = f64::from(choice >> 3) / 8.0;
    for timing in [
        TraceTiming::Recorded { time_scale: scale },
        TraceTiming::ClosedLoop { time_scale: scale },
    ] {
        let Ok(reader) = read() else {
            return;
        };
        for timed in stream(reader, format, timing) {
            match timed {
                Ok(timed) => use_op(&timed.op),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

fn stream(reader: TraceReader, format: Option<TraceFormat>, timing: TraceTiming) -> TraceStream {
    let plan = TracePlan {
        path: ORIGIN.into(),
        format,
        timing,
        limit_ops: None,
        limit_time_ns: None,
        limit_bytes: Some(u64::MAX),
        malformed_max: 0,
        first_slot: FileSlot(1),
        slot_step: 1,
    };
    let share = Share {
        client: 0,
        clients: 1,
    };
    let parts = Parts {
        share,
        bound: Bound::Once,
        pacer: Pacer::new(Pace::Recorded, (0, 1), None, &[]),
        versions: Versions::new(0),
        seed: 0,
        until_ns: u64::MAX,
    };
    TraceStream::over(reader, &plan, parts)
}
