//! What a replay of a recording left out, or kept by a guess.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::RunRecord;

/// One job that replayed a recording, in one phase of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TraceRecord {
    /// The phase.
    pub phase: String,
    /// The job.
    pub job: String,
    /// The recording.
    pub path: String,
    /// Its form.
    pub form: String,
    /// What numbers of lines below count: `line`, `record` or `operation`.
    pub unit: String,
    /// Requests read, those that the job leaves out included.
    pub requests: u64,
    /// Lines that were not understood, and passed over.
    pub malformed: u64,
    /// The first few of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub malformed_first: Vec<MalformedLine>,
    /// What was understood and has no counterpart in a replay, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<String, TraceLoss>,
    /// What was kept by a guess, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub guessed: BTreeMap<String, TraceLoss>,
    /// Requests that could not be carried out, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_replayed: BTreeMap<String, TraceLoss>,
    /// Closes, which a replay has no use for: files stay open.
    pub closes: u64,
}

/// A line that was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MalformedLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// How often something happened, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TraceLoss {
    /// How often.
    pub count: u64,
    /// The line where it happened first, from 1.
    pub first_line: u64,
}

impl TraceRecord {
    /// Lines and requests that are in the recording and not in the replay; closes do not count.
    pub fn missing(&self) -> u64 {
        let counts = self.lost.values().chain(self.not_replayed.values());
        counts.fold(self.malformed, |sum, loss| sum.saturating_add(loss.count))
    }

    /// Their share of all that was read.
    pub fn missing_share(&self) -> f64 {
        let unread = self
            .lost
            .values()
            .fold(self.malformed, |sum, loss| sum.saturating_add(loss.count));
        self.missing() as f64 / (self.requests.saturating_add(unread)).max(1) as f64
    }

    /// Requests that rest on a guess.
    pub fn guesses(&self) -> u64 {
        let counts = self.guessed.values();
        counts.fold(0, |sum, loss| sum.saturating_add(loss.count))
    }

    /// What is missing or guessed, in one line; none where nothing is.
    pub fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.malformed > 0 {
            let first: Vec<String> = self
                .malformed_first
                .iter()
                .map(|bad| format!("{} {}: {}", self.unit, bad.line, bad.reason))
                .collect();
            let (count, unit) = (self.malformed, &self.unit);
            let plural = if count == 1 { "" } else { "s" };
            let first = first.join(", ");
            parts.push(format!("{count} malformed {unit}{plural} ({first})"));
        }
        for (word, tallies) in [
            ("lost", &self.lost),
            ("not replayed", &self.not_replayed),
            ("guessed", &self.guessed),
        ] {
            for (reason, loss) in tallies {
                let (count, first) = (loss.count, loss.first_line);
                parts.push(format!(
                    "{word} {count} x {reason} (first: {} {first})",
                    self.unit
                ));
            }
        }
        (!parts.is_empty()).then(|| {
            format!(
                "trace {} in {}: of {} requests read: {}",
                self.path,
                self.phase,
                self.requests,
                parts.join("; ")
            )
        })
    }
}

impl RunRecord {
    /// Each recording of each phase and job once: as the cell tells it that read furthest.
    pub fn traces(&self) -> Vec<&TraceRecord> {
        let mut rows: Vec<&TraceRecord> = Vec::new();
        for trace in self.cells.iter().flat_map(|cell| &cell.traces) {
            let key = |row: &TraceRecord| (row.phase.clone(), row.job.clone(), row.path.clone());
            match rows.iter_mut().find(|row| key(row) == key(trace)) {
                Some(row) if row.requests < trace.requests => *row = trace,
                Some(_) => {}
                None => rows.push(trace),
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cell, Tool, Workload};

    fn loss(count: u64, first_line: u64) -> TraceLoss {
        TraceLoss { count, first_line }
    }

    #[test]
    fn what_is_missing_is_counted_and_said_in_one_line() {
        let mut trace = TraceRecord {
            phase: "serve".to_owned(),
            path: "run.strace".to_owned(),
            unit: "line".to_owned(),
            requests: 95,
            ..TraceRecord::default()
        };
        assert_eq!((trace.text(), trace.missing()), (None, 0));
        trace.closes = 9;
        assert_eq!(trace.text(), None, "a close is no loss");
        trace.malformed = 1;
        trace.malformed_first = vec![MalformedLine {
            line: 3,
            reason: "no time".to_owned(),
        }];
        trace.lost.insert("a copy".to_owned(), loss(4, 7));
        trace.not_replayed.insert("no bytes".to_owned(), loss(5, 8));
        trace.guessed.insert("an end".to_owned(), loss(6, 9));
        assert_eq!((trace.missing(), trace.guesses()), (10, 6));
        assert!((trace.missing_share() - 0.1).abs() < 1e-12);
        assert_eq!(
            trace.text().unwrap(),
            "trace run.strace in serve: of 95 requests read: 1 malformed line (line 3: no time); lost 4 x a copy (first: line 7); \
             not replayed 5 x no bytes (first: line 8); guessed 6 x an end (first: line 9)"
        );
    }

    #[test]
    fn the_cell_that_read_furthest_speaks_for_its_job() {
        let mut record = RunRecord::begin(Tool::default(), String::new(), Workload::default());
        for requests in [5, 9, 7] {
            let trace = TraceRecord {
                requests,
                ..TraceRecord::default()
            };
            record.cells.push(Cell {
                traces: vec![trace],
                ..Cell::default()
            });
        }
        let requests: Vec<u64> = record.traces().iter().map(|row| row.requests).collect();
        assert_eq!(requests, [9]);
    }
}
