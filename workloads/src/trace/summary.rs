//! What a recording holds, before it is replayed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::footprint::Footprint;
use super::notes::{Tallies, Tally, note};
use super::own::TraceHeader;
use super::reader::TraceReader;
use super::request::{Place, Request, RequestKind};
use super::slots::Slots;
use crate::op::FileSlot;
use crate::plan::{TraceFormat, TraceReading};
use crate::stream::StreamError;

/// Requests of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// How many.
    pub requests: u64,
    /// Bytes in all.
    pub bytes: u64,
}

/// A line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Malformed {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its beginning.
    pub text: String,
}

/// What a recording holds, and what of it a replay cannot keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceSummary {
    /// The file.
    pub path: PathBuf,
    /// Its form.
    pub format: TraceFormat,
    /// What its requests address.
    pub dialect: String,
    /// The header of a recording of our own.
    pub header: Option<TraceHeader>,
    /// Lines (records, operations) read.
    pub lines: u64,
    /// Lines that are no requests and are not meant to be: other events, calls that touch no file, sums for people.
    pub skipped: u64,
    /// By kind: read, write, flush, fsync, discard, and so on.
    pub by_kind: BTreeMap<String, KindCount>,
    /// Devices and files addressed.
    pub files: u64,
    /// How many of them are devices.
    pub devices: u64,
    /// From the first request to the last.
    pub duration_ns: u64,
    /// Distinct bytes read, written or discarded, in whole pages of 4 KiB.
    pub footprint_bytes: u64,
    /// Distinct bytes written, in whole pages of 4 KiB.
    pub written_footprint_bytes: u64,
    /// Where the highest request ends.
    pub offset_max: u64,
    /// Requests earlier than the one before them.
    pub out_of_order: u64,
    /// Lines that were not understood.
    pub malformed: u64,
    /// The first few of them.
    pub malformed_first: Vec<Malformed>,
    /// What was understood and cannot be kept, neither by a replay nor by a conversion.
    pub lost: BTreeMap<String, Tally>,
    /// What was kept by a guess.
    pub mended: BTreeMap<String, Tally>,
    /// What a conversion keeps and a replay does not carry out.
    pub not_replayed: BTreeMap<String, Tally>,
}

impl TraceSummary {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.by_kind.values().map(|count| count.requests).sum()
    }

    /// Lines that a conversion does not keep, by reason.
    pub fn lost_counts(&self) -> BTreeMap<String, u64> {
        let lost = self.lost.iter();
        let malformed = ("malformed".to_owned(), self.malformed);
        lost.map(|(reason, tally)| (reason.clone(), tally.count))
            .chain([malformed])
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{}: {} requests in {:.2} s, {} addressed by {}\n",
            self.path.display(),
            self.requests(),
            self.duration_ns as f64 / 1e9,
            self.files,
            self.dialect,
        );
        for (kind, count) in &self.by_kind {
            out += &format!(
                "  {kind:<10} {:>12}  {:>10.2} MiB\n",
                count.requests,
                mebibytes(count.bytes)
            );
        }
        out += &format!(
            "  footprint {:.2} MiB ({:.2} MiB written), highest offset {}\n",
            mebibytes(self.footprint_bytes),
            mebibytes(self.written_footprint_bytes),
            self.offset_max
        );
        if self.out_of_order > 0 {
            out += &format!(
                "  {} requests are earlier than the one before them; they are due with it\n",
                self.out_of_order
            );
        }
        let unit = self.format.unit();
        let mut tell = |word: &str, tallies: &BTreeMap<String, Tally>| {
            for (reason, tally) in tallies {
                let (count, first) = (tally.count, tally.first_line);
                out += &format!("  {word}: {count} x {reason} (first: {unit} {first})\n");
            }
        };
        tell("lost", &self.lost);
        tell("guessed", &self.mended);
        tell("not replayed", &self.not_replayed);
        if self.skipped > 0 {
            out += &format!("  {} {unit}s are no requests\n", self.skipped);
        }
        if self.malformed > 0 {
            out += &format!("  {} malformed {unit}s; the first:\n", self.malformed);
        }
        for bad in &self.malformed_first {
            out += &format!("    {unit} {}: {}: {}\n", bad.line, bad.reason, bad.text);
        }
        out
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Reads `path` once from end to end.
///
/// # Errors
/// Where it cannot be read, or has more malformed lines than it may have.
pub fn summarize(path: &Path, reading: &TraceReading) -> Result<TraceSummary, StreamError> {
    summary_of(TraceReader::open(path, reading, 0)?, path)
}

/// The summary of what `reader` reads, which it calls `path`.
pub(crate) fn summary_of(
    mut reader: TraceReader,
    path: &Path,
) -> Result<TraceSummary, StreamError> {
    let mut counts = Counts::default();
    while let Some(request) = reader.next()? {
        if let Some(reason) = counts.add(&request) {
            note(&mut counts.not_replayed, reason, reader.line_number());
        }
    }
    let (format, dialect) = reader.form();
    Ok(TraceSummary {
        path: path.to_owned(),
        format,
        dialect: dialect.to_owned(),
        header: reader.header().cloned(),
        lines: reader.line_number(),
        skipped: reader.notes.skipped,
        by_kind: counts
            .by_kind
            .iter()
            .map(|(kind, count)| (kind.name().to_owned(), *count))
            .collect(),
        files: counts.seen,
        devices: counts.devices,
        duration_ns: counts
            .last_ns
            .saturating_sub(counts.first_ns.unwrap_or_default()),
        footprint_bytes: counts.touched.bytes(),
        written_footprint_bytes: counts.written.bytes(),
        offset_max: counts.offset_max,
        out_of_order: counts.out_of_order,
        malformed: reader.malformed,
        malformed_first: reader.malformed_shown(),
        lost: owned(&reader.notes.lost),
        mended: owned(&reader.notes.mended),
        not_replayed: owned(&counts.not_replayed),
    })
}

/// The tallies with reasons of their own.
pub(super) fn owned(tallies: &Tallies) -> BTreeMap<String, Tally> {
    tallies
        .iter()
        .map(|(reason, tally)| ((*reason).to_owned(), *tally))
        .collect()
}

/// What is counted on the way.
struct Counts {
    by_kind: BTreeMap<RequestKind, KindCount>,
    slots: Slots,
    seen: u64,
    devices: u64,
    first_ns: Option<u64>,
    last_ns: u64,
    out_of_order: u64,
    touched: Footprint,
    written: Footprint,
    offset_max: u64,
    not_replayed: Tallies,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            by_kind: BTreeMap::new(),
            slots: Slots::new(FileSlot(0), 1),
            seen: 0,
            devices: 0,
            first_ns: None,
            last_ns: 0,
            out_of_order: 0,
            touched: Footprint::default(),
            written: Footprint::default(),
            offset_max: 0,
            not_replayed: Tallies::new(),
        }
    }
}

impl Counts {
    /// Counts a request; says why it would not be replayed, if so.
    fn add(&mut self, request: &Request) -> Option<&'static str> {
        let count = self.by_kind.entry(request.kind).or_default();
        count.requests += 1;
        if request.kind.has_range() {
            count.bytes = count.bytes.saturating_add(request.bytes);
        }
        self.first_ns.get_or_insert(request.at_ns);
        self.out_of_order += u64::from(request.at_ns < self.last_ns);
        self.last_ns = self.last_ns.max(request.at_ns);
        if request.kind == RequestKind::Flush {
            return None;
        }
        if request.kind == RequestKind::Close {
            return Some(super::stream::CLOSE);
        }
        if request.kind == RequestKind::Remove {
            return match self.slots.remove(request.place) {
                Some(_) => None,
                None => Some(super::stream::REMOVE_UNSEEN),
            };
        }
        let Some(slot) = self.slots.of(request.place) else {
            return Some(super::stream::TOO_MANY_FILES);
        };
        let file = slot.file;
        if u64::from(self.slots.count()) > self.seen {
            self.seen += 1;
            self.devices += u64::from(matches!(request.place, Place::Device(_)));
        }
        if !request.kind.has_range() {
            return None;
        }
        if request.bytes == 0 {
            return Some(super::stream::NO_BYTES);
        }
        self.offset_max = self.offset_max.max(request.offset + request.bytes);
        self.touched.touch(file, request.offset, request.bytes);
        if request.kind == RequestKind::Write {
            self.written.touch(file, request.offset, request.bytes);
        }
        None
    }
}
