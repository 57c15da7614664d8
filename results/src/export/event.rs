//! What happened while a run ran: one JSON object per line, told apart by `reason`.
//!
//! The log is append-only and flushed per line, so a killed run has lost at most the line it was
//! writing. It carries whole phases and whole cells, not only their names: that is what makes a
//! record out of it afterwards possible.

use crate::record::{
    Cell, HarnessCost, PhaseRecord, PhaseRole, RecordError, RunRecord, RunStatus, Sample, Setting,
};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which cell an event is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellKey {
    /// The target's name.
    pub target: String,
    /// The swept knobs' values.
    #[serde(default)]
    pub point: Vec<Setting>,
    /// Which round, from 0.
    #[serde(default)]
    pub round: u32,
}

/// One line of `events.ndjson`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Event {
    /// The run began. The record has everything but cells and an end.
    RunStarted {
        /// The record so far.
        record: Box<RunRecord>,
        /// How many cells are planned.
        cells_planned: u64,
    },
    /// The harness measured itself.
    HarnessMeasured {
        /// What it found.
        cost: HarnessCost,
    },
    /// A cell began.
    CellStarted {
        /// Which.
        cell: CellKey,
    },
    /// A phase of the open cell began.
    PhaseStarted {
        /// Which cell.
        cell: CellKey,
        /// The phase's name.
        phase: String,
        /// What it is for.
        #[serde(default)]
        role: PhaseRole,
    },
    /// An interval of the open phase ended.
    Interval {
        /// Which cell.
        cell: CellKey,
        /// The phase's name.
        phase: String,
        /// Its numbers.
        sample: Sample,
    },
    /// A phase of the open cell ended.
    PhaseFinished {
        /// Which cell.
        cell: CellKey,
        /// All of it.
        phase: Box<PhaseRecord>,
    },
    /// A cell ended, well or not.
    CellFinished {
        /// All of it.
        cell: Box<Cell>,
    },
    /// The run ended.
    RunFinished {
        /// How.
        status: RunStatus,
        /// How long the run took.
        wall_ns: u64,
    },
    /// An event of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// The file events are appended to.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
}

impl EventLog {
    /// Starts a log. One that is there is what is left of a run: it is refused.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|source| RecordError::io(path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Appends one line. It has reached the kernel when this returns, so it outlives the process.
    pub fn append(&mut self, event: &Event) -> Result<(), RecordError> {
        let mut line = serde_json::to_vec(event).expect("an event has only string keys");
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|source| RecordError::io(&self.path, source))
    }
}
