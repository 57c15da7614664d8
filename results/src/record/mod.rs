//! One run, whole: who ran what where, and every raw number.
//!
//! ```text
//!   RunRecord
//!     identity   tool, start, status, command line        run.rs
//!     machine    fingerprint, doubts                      machine.rs
//!     targets    name, kind, all knobs                    run.rs
//!     contents   ratio asked for and achieved            content.rs
//!     cells      sweep point x round x target             cell.rs
//!       phases   operations with histograms, series       cell.rs
//!       (phases of one name, as one)                      named.rs
//!       jobs     the same rows, job by job                 job.rs
//!       schedule how it was kept, and by whose fault not  schedule.rs
//!       stages, pools, counters, verification             cell.rs
//!       spans    until accepted, at home, synced          span.rs
//!                (stages, spans, counters: of the cell, and of each phase)
//!       traces   what of a recording was not replayed      trace.rs
//! ```
//!
//! Invariants
//!   * Raw per-round numbers stay; medians and ratios are taken by the reader.
//!   * A field that a later version adds is ignored by this one; a field this version adds has a
//!     default, so an old record loads. Anything else raises `SCHEMA_VERSION`.
//!   * Every duration is in nanoseconds and every size in bytes, and says so in its name.

mod cell;
mod content;
mod job;
mod machine;
mod named;
mod run;
mod schedule;
mod span;
mod store;
mod trace;

pub use crate::hist::Latency;
pub use cell::{
    Cell, OpRecord, PhaseRecord, PhaseRole, PoolRecord, Sample, Setting, StageKind, StageRecord,
    Stall, SteadyRecord, Verification, point_label,
};
pub use content::{ContentRecord, WrittenRecord};
pub use job::{JobRecord, JobRows};
pub use machine::{Doubt, Machine};
pub use named::{NamedJob, NamedPhase};
pub use run::{
    HarnessCost, Knob, KnobValue, ObjectiveRecord, RunRecord, RunStatus, SCHEMA_VERSION, SweepAxis,
    Target, Tool, Workload,
};
pub use schedule::ScheduleRecord;
pub use span::SpanRecord;
pub use store::{RecordError, load, parse, result_schema, save};
pub(crate) use store::{check_version, write_whole};
pub use trace::{MalformedLine, TraceLoss, TraceRecord};
