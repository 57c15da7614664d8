//! Requests of a file, one after the other, whatever its form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blkparse::Blkparse;
use super::csv::Csv;
use super::lines::{LINE_BYTES_MAX, Lines};
use super::request::{Parsed, Request};
use crate::plan::TraceFormat;
use crate::stream::StreamError;

/// So many malformed lines are shown; the others are counted.
const MALFORMED_SHOWN: usize = 5;

const _: () = assert!(LINE_BYTES_MAX == 64 << 10, "it is said in words below");

/// A line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) number: u64,
    pub(crate) reason: &'static str,
    pub(crate) text: String,
}

enum Form {
    Csv(Csv),
    Blkparse(Blkparse),
}

/// The file being read.
pub(crate) struct TraceReader {
    path: PathBuf,
    lines: Lines,
    form: Form,
    /// The first line was read to tell the form and is itself a request.
    is_first_pending: bool,
    malformed_max: u64,
    pub(crate) malformed: u64,
    pub(crate) malformed_first: Vec<BadLine>,
    pub(crate) lost: BTreeMap<&'static str, u64>,
}

impl TraceReader {
    /// Opens `path`; `format` none tells the form by the first line.
    pub(crate) fn open(
        path: &Path,
        format: Option<TraceFormat>,
        malformed_max: u64,
    ) -> Result<Self, StreamError> {
        let lines = Lines::open(path).map_err(|error| StreamError::Trace {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Self::over(lines, path, format, malformed_max)
    }

    /// The requests of `lines`, which messages call `path`.
    pub(crate) fn over(
        mut lines: Lines,
        path: &Path,
        format: Option<TraceFormat>,
        malformed_max: u64,
    ) -> Result<Self, StreamError> {
        let fail = |reason: String| StreamError::Trace {
            path: path.to_owned(),
            reason,
        };
        if !lines.advance().map_err(|error| fail(error.to_string()))? {
            return Err(fail("it is empty".to_owned()));
        }
        let first = lines.text().unwrap_or_default();
        let format = match format {
            Some(format) => format,
            None if Blkparse::looks_like(first) => TraceFormat::Blkparse,
            None => TraceFormat::DelallocCsv,
        };
        let form = match format {
            TraceFormat::Blkparse => Form::Blkparse(Blkparse::default()),
            TraceFormat::DelallocCsv => Form::Csv(Csv::from_header(first).map_err(fail)?),
        };
        Ok(Self {
            path: path.to_owned(),
            is_first_pending: matches!(form, Form::Blkparse(_)),
            lines,
            form,
            malformed_max,
            malformed: 0,
            malformed_first: Vec::new(),
            lost: BTreeMap::new(),
        })
    }

    /// The form, and its dialect where it has several.
    pub(crate) fn form(&self) -> (TraceFormat, &'static str) {
        match &self.form {
            Form::Csv(csv) => (TraceFormat::DelallocCsv, csv.dialect()),
            Form::Blkparse(_) => (TraceFormat::Blkparse, "devices"),
        }
    }

    /// The next request; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, StreamError> {
        loop {
            if !std::mem::take(&mut self.is_first_pending) && !self.advance()? {
                return Ok(None);
            }
            let parsed = match (self.lines.text(), &mut self.form) {
                _ if self.lines.is_cut() => Parsed::Malformed("it is longer than 64 KiB"),
                (None, _) => Parsed::Malformed("it is no text"),
                (Some(line), Form::Csv(csv)) => csv.parse(line),
                (Some(line), Form::Blkparse(blkparse)) => blkparse.parse(line),
            };
            match parsed {
                Parsed::Request(request) => return Ok(Some(request)),
                Parsed::Skipped => {}
                Parsed::Lost(reason) => self.lose(reason),
                Parsed::Malformed(reason) => self.note_malformed(reason)?,
            }
        }
    }

    /// Counts something that is not replayed.
    pub(crate) fn lose(&mut self, reason: &'static str) {
        *self.lost.entry(reason).or_default() += 1;
    }

    /// The number of the line that was read last.
    pub(crate) fn line_number(&self) -> u64 {
        self.lines.number()
    }

    fn advance(&mut self) -> Result<bool, StreamError> {
        self.lines.advance().map_err(|error| StreamError::Trace {
            path: self.path.clone(),
            reason: format!("after line {}: {error}", self.lines.number()),
        })
    }

    fn note_malformed(&mut self, reason: &'static str) -> Result<(), StreamError> {
        self.malformed += 1;
        if self.malformed_first.len() < MALFORMED_SHOWN {
            self.malformed_first.push(BadLine {
                number: self.lines.number(),
                reason,
                text: self.lines.shown(),
            });
        }
        if self.malformed <= self.malformed_max {
            return Ok(());
        }
        let shown: Vec<String> = self
            .malformed_first
            .iter()
            .map(|bad| format!("\n  line {}: {}: {}", bad.number, bad.reason, bad.text))
            .collect();
        Err(StreamError::Trace {
            path: self.path.clone(),
            reason: format!(
                "more than {} malformed lines; the first:{}\nraise `malformed_max` to go on all the same",
                self.malformed_max,
                shown.concat()
            ),
        })
    }
}
