//! Recordings that a workload names, looked at when it is loaded: can each be read, and what does it hold?
//!
//! A sweep reads the same job once per point; each file is looked at once.
//!
//! Not here: how it is read (`trace`), when its requests are due (`plan/trace`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;

use super::{JobPlan, LoadPlan, TraceFormat, Work};
use crate::decode::Report;
use crate::fault::Fault;
use crate::spec::TraceSpec;
use crate::stream::StreamError;
use crate::trace::{TraceReader, digest};

/// What was seen of each, by file and form: the digest of what it holds, or why it cannot be replayed.
pub(crate) struct Recordings {
    are_read: bool,
    seen: HashMap<(PathBuf, Option<TraceFormat>), Result<String, String>>,
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
            Ok(digest) => Some(digest.clone()),
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
}

impl LoadPlan {
    /// The same without the places of recordings whose content is known: two that are equal do equal work.
    pub fn placeless(&self) -> Cow<'_, Self> {
        let known =
            |job: &JobPlan| matches!(&job.work, Work::Trace(trace) if trace.holds.is_some());
        if !self.phases.iter().flat_map(|phase| &phase.jobs).any(known) {
            return Cow::Borrowed(self);
        }
        let mut placeless = self.clone();
        for job in placeless
            .phases
            .iter_mut()
            .flat_map(|phase| &mut phase.jobs)
        {
            if let Work::Trace(trace) = &mut job.work
                && trace.holds.is_some()
            {
                trace.path = PathBuf::new();
            }
        }
        Cow::Owned(placeless)
    }
}

fn look(spec: &TraceSpec) -> Result<String, String> {
    let path = &spec.path.value;
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file, and a recording is read more than once".to_owned());
    }
    TraceReader::open(path, &spec.reading, 0)
        .map_err(|StreamError::Trace { reason, .. }| reason)?;
    digest(path).map_err(|error| error.to_string())
}
