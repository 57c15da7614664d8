//! Requests of a file, one after the other, whatever its form.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::form::{self, Form};
use super::input::{Input, LINE_BYTES_MAX};
use super::notes::Notes;
use super::own::TraceHeader;
use super::request::{Parsed, Place, Request};
use super::summary::Malformed;
use crate::plan::{TraceFormat, TraceReading};
use crate::stream::StreamError;

/// So many malformed lines are shown; the others are counted.
const MALFORMED_SHOWN: usize = 5;

const _: () = assert!(LINE_BYTES_MAX == 64 << 10, "it is said in words below");

/// A line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BadLine {
    number: u64,
    reason: &'static str,
    text: String,
}

/// The file being read.
pub(crate) struct TraceReader {
    path: PathBuf,
    input: Input,
    format: TraceFormat,
    form: Form,
    /// The first line was read to begin the form and is itself a request.
    is_first_pending: bool,
    /// What a line came to beyond its first request.
    ready: VecDeque<Request>,
    malformed_max: u64,
    pub(crate) malformed: u64,
    malformed_first: Vec<BadLine>,
    pub(crate) notes: Notes,
}

impl TraceReader {
    /// Opens `path`. `seed` is for what a form has to invent.
    pub(crate) fn open(
        path: &Path,
        reading: &TraceReading,
        seed: u64,
    ) -> Result<Self, StreamError> {
        let input = Input::open(path).map_err(|error| fault(path, error.to_string()))?;
        Self::over(input, path, reading, seed)
    }

    /// The requests of `input`, which messages call `path`.
    pub(crate) fn over(
        mut input: Input,
        path: &Path,
        reading: &TraceReading,
        seed: u64,
    ) -> Result<Self, StreamError> {
        let fail = |reason: String| fault(path, reason);
        if input.head().is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        let format = reading.format.unwrap_or_else(|| form::tell(input.head()));
        if format.unit() == "line" {
            input.advance().map_err(|error| fail(error.to_string()))?;
        }
        let first = input.text().unwrap_or_default().to_owned();
        let opened = form::open(format, reading, seed, &first, &mut input).map_err(fail)?;
        Ok(Self {
            path: path.to_owned(),
            input,
            format,
            form: opened.form,
            is_first_pending: opened.takes_first_line,
            ready: VecDeque::new(),
            malformed_max: reading.malformed_max,
            malformed: 0,
            malformed_first: Vec::new(),
            notes: Notes::default(),
        })
    }

    /// The form, and what its requests address.
    pub(crate) fn form(&self) -> (TraceFormat, &'static str) {
        let dialect = match &self.form {
            Form::Lines(form) => form.dialect(),
            Form::Records(form) => form.dialect(),
            Form::Own(own) => own.dialect(),
        };
        (self.format, dialect)
    }

    /// The header of a recording of our own.
    pub(crate) fn header(&self) -> Option<&TraceHeader> {
        match &self.form {
            Form::Own(own) => Some(own.header()),
            Form::Lines(_) | Form::Records(_) => None,
        }
    }

    /// Does the recording say of every file when it was opened?
    pub(crate) fn has_opens(&self) -> bool {
        match &self.form {
            Form::Own(own) => own.header().has_opens,
            Form::Lines(form) => form.has_opens(),
            Form::Records(_) => false,
        }
    }

    /// The next request; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, StreamError> {
        loop {
            if let Some(request) = self.ready.pop_front() {
                return Ok(Some(request));
            }
            let Some(parsed) = self.parsed()? else {
                return Ok(None);
            };
            match parsed {
                Parsed::Request(request) => return Ok(Some(request)),
                Parsed::Several(requests) => self.ready.extend(requests),
                Parsed::Skipped => self.notes.skipped += 1,
                Parsed::Lost(reason) => self.notes.lose(reason),
                Parsed::Malformed(reason) => self.note_malformed(reason)?,
            }
        }
    }

    /// What became of the next line or record; none when they are over.
    fn parsed(&mut self) -> Result<Option<Parsed>, StreamError> {
        let parsed = match &mut self.form {
            Form::Own(own) => own
                .next(&mut self.input, &mut self.notes)
                .map(|request| request.map(Parsed::Request)),
            Form::Records(form) => {
                self.notes.line = self.input.number() + 1;
                form.next(&mut self.input, &mut self.notes)
            }
            Form::Lines(form) => {
                let has_line = if std::mem::take(&mut self.is_first_pending) {
                    Ok(true)
                } else {
                    self.input.advance()
                };
                self.notes.line = self.input.number();
                let notes = &mut self.notes;
                has_line.map(|has_line| match (has_line, self.input.text()) {
                    (false, _) => form.end(notes),
                    _ if self.input.is_cut() => Some(Parsed::Malformed("it is longer than 64 KiB")),
                    (true, None) => Some(Parsed::Malformed("it is no text")),
                    (true, Some(line)) => Some(form.parse(line, notes)),
                })
            }
        };
        parsed.map_err(|error| self.broken(&error))
    }

    /// The number of the line, record or operation that was read last.
    pub(crate) fn line_number(&self) -> u64 {
        match &self.form {
            Form::Own(own) => own.next_op(),
            Form::Lines(_) | Form::Records(_) => self.input.number(),
        }
    }

    /// Where the file can be sought in, goes from its beginning to a place before request `op` and time `at_ns`: how many
    /// requests that leaves out, and the latest time of them.
    pub(crate) fn seek(&mut self, op: u64, at_ns: u64) -> Result<(u64, u64), StreamError> {
        let Form::Own(own) = &mut self.form else {
            return Ok((0, 0));
        };
        match own.seek(&mut self.input, op, at_ns) {
            Ok(clock_ns) => Ok((own.next_op(), clock_ns)),
            Err(error) => Err(fault(&self.path, error.to_string())),
        }
    }

    /// Keeps names from now on.
    pub(crate) fn keep_names(&mut self) {
        self.notes.keep_names();
    }

    /// The names met since they were taken last.
    pub(crate) fn take_names(&mut self) -> Vec<(Place, String)> {
        self.notes.take_names()
    }

    /// `place` is no more.
    pub(crate) fn forget(&mut self, place: Place) {
        self.notes.forget(place);
    }

    /// The first malformed lines, for people.
    pub(crate) fn malformed_shown(&self) -> Vec<Malformed> {
        let shown = self.malformed_first.iter();
        shown
            .map(|bad| Malformed {
                line: bad.number,
                reason: bad.reason.to_owned(),
                text: bad.text.clone(),
            })
            .collect()
    }

    fn broken(&self, error: &io::Error) -> StreamError {
        let (unit, number) = (self.format.unit(), self.line_number());
        fault(&self.path, format!("after {unit} {number}: {error}"))
    }

    fn note_malformed(&mut self, reason: &'static str) -> Result<(), StreamError> {
        self.malformed += 1;
        let unit = self.format.unit();
        if self.malformed_first.len() < MALFORMED_SHOWN {
            self.malformed_first.push(BadLine {
                number: self.line_number(),
                reason,
                text: self.input.shown(unit == "line"),
            });
        }
        if self.malformed <= self.malformed_max {
            return Ok(());
        }
        let shown: Vec<String> = self
            .malformed_first
            .iter()
            .map(|bad| format!("\n  {unit} {}: {}: {}", bad.number, bad.reason, bad.text))
            .collect();
        let reason = format!(
            "more than {} malformed {unit}s; the first:{}\nraise `malformed_max` to go on all the same",
            self.malformed_max,
            shown.concat()
        );
        Err(fault(&self.path, reason))
    }
}

fn fault(path: &Path, reason: String) -> StreamError {
    StreamError::Trace {
        path: path.to_owned(),
        reason,
    }
}
