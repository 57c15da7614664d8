//! A record from the events of a run that did not live to write one.
//!
//! Whole cells are taken as they are. Of the cell that was open, finished phases are taken, and of
//! the phase that was open, its intervals; such a cell says so in its `fault`. The last line may be
//! torn and is then dropped; a damaged line before it means the file was altered, and is an error.

use super::event::{CellKey, Event};
use crate::record::{Cell, PhaseRecord, RecordError, RunRecord, RunStatus, check_version};
use crate::stats::sum;
use std::fs;
use std::path::Path;

/// What could be saved.
#[derive(Clone, Debug, PartialEq)]
pub struct Salvaged {
    /// The record.
    pub record: RunRecord,
    /// How many cells the run had planned.
    pub cells_planned: u64,
    /// Whether the last line was torn.
    pub torn: bool,
}

/// Reads an event log and makes of it the record the run would have written at that moment.
pub fn salvage(path: &Path) -> Result<Salvaged, RecordError> {
    let bytes = fs::read(path).map_err(|source| RecordError::io(path, source))?;
    salvage_bytes(&bytes, path)
}

/// The same of a log that was read from `path`.
pub(crate) fn salvage_bytes(bytes: &[u8], path: &Path) -> Result<Salvaged, RecordError> {
    let text = String::from_utf8_lossy(bytes);
    let mut assembly = Assembly::default();
    let mut torn = false;
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(event) => assembly.take(event),
            Err(_) if index + 1 == lines.len() => torn = true,
            Err(error) => {
                return Err(RecordError::Malformed {
                    path: path.to_owned(),
                    line: index + 1,
                    column: error.column(),
                    message: error.to_string(),
                });
            }
        }
    }
    let cells_planned = assembly.cells_planned;
    let record = assembly.finish().ok_or_else(|| RecordError::Malformed {
        path: path.to_owned(),
        line: 1,
        column: 0,
        message: "the log does not begin with run-started, so there is nothing to salvage"
            .to_owned(),
    })?;
    check_version(u64::from(record.schema_version), path)?;
    Ok(Salvaged {
        record,
        cells_planned,
        torn,
    })
}

/// The record being put together, and the cell that is open.
#[derive(Default)]
struct Assembly {
    record: Option<RunRecord>,
    cells_planned: u64,
    open: Option<(CellKey, Cell)>,
    open_phase: Option<PhaseRecord>,
}

impl Assembly {
    fn take(&mut self, event: Event) {
        match event {
            Event::RunStarted {
                record,
                cells_planned,
            } => {
                self.record = Some(*record);
                self.cells_planned = cells_planned;
            }
            Event::HarnessMeasured { cost } => {
                if let Some(record) = &mut self.record {
                    record.harness = Some(cost);
                }
            }
            Event::CellStarted { cell } => {
                self.close_cell();
                self.open_cell(cell);
            }
            Event::PhaseStarted { cell, phase, role } => {
                self.open_cell(cell);
                self.open_phase = Some(PhaseRecord {
                    name: phase,
                    role,
                    ..PhaseRecord::default()
                });
            }
            Event::Interval {
                cell,
                phase,
                sample,
            } => {
                self.open_cell(cell);
                let open = self.open_phase.get_or_insert_with(|| PhaseRecord {
                    name: phase,
                    ..PhaseRecord::default()
                });
                open.wall_ns = open.wall_ns.max(sample.t_ns);
                open.series.push(sample);
            }
            Event::PhaseFinished { cell, phase } => {
                self.open_cell(cell);
                self.open_phase = None;
                if let Some((_, open)) = &mut self.open {
                    open.phases.push(*phase);
                }
            }
            Event::CellFinished { cell } => {
                self.open = None;
                self.open_phase = None;
                if let Some(record) = &mut self.record {
                    record.cells.push(*cell);
                }
            }
            Event::RunFinished { status, wall_ns } => {
                if let Some(record) = &mut self.record {
                    record.status = status;
                    record.wall_ns = wall_ns;
                }
            }
            Event::Unknown => {}
        }
    }

    fn open_cell(&mut self, key: CellKey) {
        if self.open.as_ref().is_some_and(|(open, _)| *open == key) {
            return;
        }
        self.close_cell();
        let cell = Cell {
            target: key.target.clone(),
            point: key.point.clone(),
            round: key.round,
            ..Cell::default()
        };
        self.open = Some((key, cell));
    }

    /// Keeps what the open cell has. Without a phase it has nothing worth a row.
    fn close_cell(&mut self) {
        let Some((_, mut cell)) = self.open.take() else {
            return;
        };
        cell.phases.extend(self.open_phase.take());
        if let Some(record) = &mut self.record
            && !cell.phases.is_empty()
        {
            cell.fault = Some("the run ended inside this cell".to_owned());
            record.cells.push(cell);
        }
    }

    fn finish(mut self) -> Option<RunRecord> {
        self.close_cell();
        let mut record = self.record?;
        if record.wall_ns == 0 {
            let phases = record.cells.iter().flat_map(|cell| &cell.phases);
            record.wall_ns = sum(phases.map(|phase| phase.wall_ns));
        }
        if record.status == RunStatus::Complete {
            return Some(record);
        }
        if let RunStatus::Interrupted { reason } = &mut record.status {
            reason.push_str("; salvaged from its events");
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::EventLog;
    use crate::record::{PhaseRole, Sample, Tool, Workload};
    use std::io::Write;

    fn key() -> CellKey {
        CellKey {
            target: "engine".to_owned(),
            ..CellKey::default()
        }
    }

    fn started() -> Event {
        let record = RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        Event::RunStarted {
            record: Box::new(record),
            cells_planned: 2,
        }
    }

    #[test]
    fn a_killed_run_keeps_its_whole_cells_and_its_open_phase() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("events.ndjson");
        let mut log = EventLog::create(&path).expect("created");
        let whole = Cell {
            target: "engine".to_owned(),
            ..Cell::default()
        };
        let open = CellKey { round: 1, ..key() };
        let sample = Sample {
            t_ns: 1000,
            ops: 5,
            ..Sample::default()
        };
        for event in [
            started(),
            Event::CellStarted { cell: key() },
            Event::CellFinished {
                cell: Box::new(whole.clone()),
            },
            Event::CellStarted { cell: open.clone() },
            Event::PhaseStarted {
                cell: open.clone(),
                phase: "load".to_owned(),
                role: PhaseRole::WarmUp,
            },
            Event::Interval {
                cell: open,
                phase: "load".to_owned(),
                sample: sample.clone(),
            },
        ] {
            log.append(&event).expect("appended");
        }
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("open");
        file.write_all(b"{\"reason\":\"interv").expect("torn line");

        let found = salvage(&path).expect("salvaged");
        assert!(found.torn);
        assert_eq!(found.cells_planned, 2);
        assert_eq!(found.record.cells.len(), 2);
        assert_eq!(found.record.cells[0], whole);
        assert_eq!(found.record.cells[1].round, 1);
        assert_eq!(found.record.cells[1].phases[0].series, [sample]);
        let role = found.record.cells[1].phases[0].role;
        assert_eq!(role, PhaseRole::WarmUp, "it does not pass for measured");
        assert!(found.record.cells[1].fault.is_some());
        assert_eq!(found.record.status.word(), "interrupted");
        assert!(found.record.status.reason().contains("salvaged"));
    }

    #[test]
    fn damage_before_the_last_line_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("events.ndjson");
        let mut lines = serde_json::to_string(&started()).expect("plain");
        lines.push_str("\nbroken\n{\"reason\":\"later-thing\"}\n");
        fs::write(&path, lines).expect("written");
        let error = salvage(&path).expect_err("altered").to_string();
        assert!(error.contains("events.ndjson:2:"), "{error}");
    }

    #[test]
    fn a_log_without_a_beginning_and_a_later_event_are_told_apart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("events.ndjson");
        fs::write(&path, "{\"reason\":\"later-thing\",\"x\":1}\n").expect("written");
        let error = salvage(&path).expect_err("nothing there").to_string();
        assert!(error.contains("run-started"), "{error}");
    }
}
