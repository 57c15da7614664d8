//! A run of ours as a recording: operations in the order in which they began.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::own::{OwnFile, TraceHeader, Units};
use super::request::{Place, Request, RequestKind};
use crate::op::{FileSlot, Op};
use crate::stream::StreamError;

/// A recording that is being made. It is there when it is finished.
pub struct TraceRecording {
    file: OwnFile,
    path: PathBuf,
    named: HashSet<FileSlot>,
}

/// An operation that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// When, from the start of the run.
    pub at_ns: u64,
    /// From then until its client went on; 0 where that is not known.
    pub took_ns: u64,
    /// Which client began it, from 0.
    pub client: u32,
    /// What.
    pub op: Op,
}

impl TraceRecording {
    /// Begins a file at `path`; `source` says what is run, `made_by` who records it.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(path: &Path, source: &str, made_by: &str) -> Result<Self, StreamError> {
        let header = TraceHeader {
            source: source.to_owned(),
            made_by: made_by.to_owned(),
            units: Units::default(),
            has_opens: true,
            ..TraceHeader::default()
        };
        let file = OwnFile::create(path, &header).map_err(|error| fault(path, &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            named: HashSet::new(),
        })
    }

    /// The next operation, whose file is called `name`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn push<'a>(
        &mut self,
        began: &Began,
        name: impl FnOnce(FileSlot) -> std::borrow::Cow<'a, str>,
    ) -> Result<(), StreamError> {
        let writer = self.file.writer();
        if let Some(file) = began.op.file()
            && self.named.insert(file)
        {
            writer
                .name(Place::File(u64::from(file.0)), &name(file))
                .map_err(|error| fault(&self.path, &error))?;
        }
        if let Op::Remove { file } = began.op {
            // What is in its slot next is another file.
            self.named.remove(&file);
        }
        writer
            .push(&request(began))
            .map_err(|error| fault(&self.path, &error))
    }

    /// Ends the file; how many operations it holds.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> Result<u64, StreamError> {
        let (ops, _) = self
            .file
            .finish()
            .map_err(|error| fault(&self.path, &error))?;
        Ok(ops)
    }
}

fn fault(path: &Path, error: &std::io::Error) -> StreamError {
    StreamError::Trace {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Versions are not kept: a replay writes its own bytes.
fn request(began: &Began) -> Request {
    let (kind, offset, bytes) = match began.op {
        Op::Read { offset, bytes, .. } => (RequestKind::Read, offset, bytes),
        Op::Write { offset, bytes, .. } => (RequestKind::Write, offset, bytes),
        Op::PunchHole { offset, bytes, .. } => (RequestKind::Discard, offset, bytes),
        Op::Truncate { bytes, .. } => (RequestKind::Truncate, 0, bytes),
        Op::Sync { .. } => (RequestKind::Sync, 0, 0),
        Op::DataSync { .. } => (RequestKind::DataSync, 0, 0),
        Op::VolumeSync => (RequestKind::Flush, 0, 0),
        Op::Create { .. } => (RequestKind::Create, 0, 0),
        Op::Open { .. } => (RequestKind::Open, 0, 0),
        Op::Remove { .. } => (RequestKind::Remove, 0, 0),
        Op::Rename { .. } => (RequestKind::Rename, 0, 0),
    };
    let place = Place::File(began.op.file().map_or(0, |file| u64::from(file.0)));
    Request {
        offset,
        bytes,
        // 0 is for recordings that do not tell.
        thread: began.client + 1,
        took_ns: began.took_ns,
        ..Request::new(began.at_ns, kind, place)
    }
}
