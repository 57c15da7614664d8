//! Recordings that a workload names, looked at when it is loaded: can each be read, and what does it hold?
//!
//! A sweep reads the same job once per point; each file is looked at once. For an estimate it is read through as well.
//!
//! Not here: how it is read (`trace`), when its requests are due (`plan/trace`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::streams::until_ns;
use super::{
    Bound, Corpora, LoadPlan, Pace, TraceFormat, TraceMeasure, TracePlan, Work, WorkloadPlan,
};
use crate::decode::Report;
use crate::fault::Fault;
use crate::op::{FileSlot, Op};
use crate::spec::TraceSpec;
use crate::stream::{Pacer, Parts, Share, StreamError, Versions};
use crate::trace::{FillStream, Footprint, TraceEar, TraceReader, TraceStream, digest};

/// Places that a recording of a device has.
const PAGE_BYTES: u64 = 4096;

/// What was seen of each, by file and the form that was named: what it holds, or why it cannot be replayed.
pub(crate) struct Recordings {
    are_read: bool,
    seen: HashMap<(PathBuf, Option<TraceFormat>), Result<Seen, String>>,
}

/// A recording that was looked at.
struct Seen {
    format: TraceFormat,
    /// Of what it holds.
    digest: String,
}

impl Recordings {
    /// None has been looked at. Where recordings are not to be read, nothing is known of any.
    pub(crate) fn new(are_read: bool) -> Self {
        Self {
            are_read,
            seen: HashMap::new(),
        }
    }

    /// The digest of what the recording holds; none where that is not known. One that cannot be replayed is a fault.
    pub(crate) fn digest(&mut self, spec: &TraceSpec, report: &mut Report) -> Option<String> {
        if !self.are_read {
            return None;
        }
        let key = (spec.path.value.clone(), spec.reading.format);
        match self.seen.entry(key).or_insert_with(|| look(spec)) {
            Ok(seen) => Some(seen.digest.clone()),
            Err(reason) => {
                let path = spec.path.value.display();
                report.add(
                    Fault::new(
                        spec.path.span,
                        format!("`{path}` cannot be replayed: {reason}"),
                    )
                    .help("a path counts from where delalloc is started; `delalloc import FILE` tells what a recording holds"),
                );
                None
            }
        }
    }

    /// Its form: the one that is named, or the one that was seen.
    pub(crate) fn format(&self, spec: &TraceSpec) -> Option<TraceFormat> {
        let key = (spec.path.value.clone(), spec.reading.format);
        let seen = self.seen.get(&key).and_then(|seen| seen.as_ref().ok());
        spec.reading.format.or_else(|| seen.map(|seen| seen.format))
    }
}

impl WorkloadPlan {
    /// The same with what its recordings come to, for an estimate: each is read once, from end to end.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn with_recordings_measured(mut self) -> Result<Self, StreamError> {
        let mut known: Vec<(TracePlan, (u64, bool), TraceMeasure)> = Vec::new();
        for load in &mut self.loads {
            let load = Arc::make_mut(load);
            for phase in &mut load.phases {
                let ends: Vec<Option<u64>> =
                    phase.jobs.iter().map(|job| until_ns(job, phase)).collect();
                for (job, until_ns) in phase.jobs.iter_mut().zip(ends) {
                    let (trace, until_ns, is_fill) = match &mut job.work {
                        Work::Trace(trace) => (trace, until_ns, false),
                        Work::Fill { trace, until_ns } => (trace, *until_ns, true),
                        _ => continue,
                    };
                    let until_ns = until_ns.unwrap_or(u64::MAX);
                    let how = (until_ns, is_fill);
                    let alike = TracePlan {
                        measured: None,
                        first_slot: FileSlot(0),
                        slot_step: 1,
                        ..trace.clone()
                    };
                    let found = known
                        .iter()
                        .find(|(plan, known, _)| (plan, *known) == (&alike, how));
                    let measure = match found {
                        Some((.., measure)) => *measure,
                        None => {
                            let measure = measured(&alike, how)?;
                            known.push((alike, how, measure));
                            measure
                        }
                    };
                    trace.measured = Some(measure);
                }
            }
        }
        Ok(self)
    }
}

/// What a recording comes to up to `until_ns`, or filling what it reads first.
fn measured(
    plan: &TracePlan,
    (until_ns, is_fill): (u64, bool),
) -> Result<TraceMeasure, StreamError> {
    let parts = Parts {
        share: Share {
            client: 0,
            clients: 1,
        },
        bound: Bound::Once,
        pacer: Pacer::new(&Pace::Recorded, (0, 1), None, &[]),
        versions: Versions::new(0),
        seed: 0,
        until_ns,
    };
    let mut measure = TraceMeasure::default();
    let mut changes = Changes::default();
    let mut rests_ns: u64 = 0;
    let ops: Box<dyn Iterator<Item = _>> = if is_fill {
        Box::new(FillStream::open(plan, parts)?)
    } else {
        Box::new(TraceStream::open(plan, parts, TraceEar::default())?)
    };
    for timed in ops {
        let timed = timed?;
        let bytes = timed.op.payload_bytes();
        measure.bytes = measure.bytes.saturating_add(bytes);
        measure.op_bytes_max = measure.op_bytes_max.max(bytes);
        rests_ns = rests_ns.saturating_add(timed.think_ns);
        measure.duration_ns = measure.duration_ns.max(timed.due_ns.unwrap_or(rests_ns));
        changes.note(&timed.op);
    }
    measure.entries = changes.entries();
    measure.files = changes.files;
    Ok(measure)
}

/// What of a recording verification has to remember.
#[derive(Default)]
struct Changes {
    written: Footprint,
    /// Writes and the like: each makes two edges.
    all: u64,
    /// Those with an edge inside of a page.
    unaligned: u64,
    files: u64,
}

impl Changes {
    fn note(&mut self, op: &Op) {
        if let Some(file) = op.file() {
            self.files = self.files.max(u64::from(file.0) + 1);
        }
        let (file, offset, end) = match (*op, op.place()) {
            (Op::Read { .. }, _) => return,
            (_, Some((file, offset, bytes))) => (file, offset, offset.saturating_add(bytes)),
            // Nothing is made behind the last that was written.
            (Op::Truncate { file, bytes }, None) => (file, bytes, bytes),
            (_, None) => return,
        };
        self.all += 1;
        self.unaligned += u64::from(offset % PAGE_BYTES > 0 || end % PAGE_BYTES > 0);
        self.written.touch(file, offset, end - offset);
    }

    fn entries(&self) -> u64 {
        let pages = self.written.bytes() / PAGE_BYTES;
        let of_places = pages.saturating_add(self.unaligned.saturating_mul(2));
        self.all.saturating_mul(2).min(of_places)
    }
}

impl LoadPlan {
    /// The same without the places of recordings and corpora whose content is known: two that are equal do equal work.
    pub fn placeless(&self, corpora: &mut Corpora) -> Self {
        let mut placeless = self.clone();
        let phases = placeless.phases.iter_mut();
        for job in phases.flat_map(|phase| &mut phase.jobs) {
            if let Work::Trace(trace) | Work::Fill { trace, .. } = &mut job.work
                && trace.holds.is_some()
            {
                trace.path = PathBuf::new();
            }
        }
        placeless.without_places_of_corpora(corpora);
        placeless
    }
}

fn look(spec: &TraceSpec) -> Result<Seen, String> {
    let path = &spec.path.value;
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file, and a recording is read more than once".to_owned());
    }
    let reader = TraceReader::open(path, &spec.reading, 0)
        .map_err(|StreamError::Trace { reason, .. }| reason)?;
    Ok(Seen {
        format: reader.form().0,
        digest: digest(path).map_err(|error| error.to_string())?,
    })
}
