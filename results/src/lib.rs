//! What a run leaves behind, and what may be said about it.
//!
//! A record is self-describing: code revision, resolved workload with its hash, every knob, the
//! machine and its doubts, and the raw numbers of every round. So a record of last year still
//! loads, and everything below is a pure function of a record:
//!
//! ```text
//!   events (while running) --salvage--.
//!                                     v
//!   recorder ------------------->  RunRecord  --> assertion   does it keep its promises?
//!                                     |       --> gate        is it worse than the baseline?
//!                                     |       --> compare     two of them side by side
//!                                     |       --> report      one offline page
//!                                     '------>  export      CSV, HDR log
//! ```
//!
//! This crate does not know what was measured: it holds named numbers with units. It knows no
//! engine, no workload schema and no terminal.
#![forbid(unsafe_code)]

pub mod assertion;
mod bare_name;
pub mod compare;
pub mod exit;
pub mod export;
pub mod gate;
pub mod hist;
#[doc(hidden)]
pub mod hostile;
mod markdown;
pub mod metric;
mod path;
pub mod printable;
mod query;
pub mod recommend;
pub mod record;
pub mod report;
pub mod stats;
pub mod tally;
pub mod verdict;

pub use assertion::{Assertion, AssertionFault};
pub use compare::Comparison;
pub use exit::{ExitCode, Outcome};
pub use export::{Event, EventLog, salvage};
pub use gate::{Baseline, GateError, GateReport, gate};
pub use hist::LatencyHist;
pub use metric::{Better, Class, Metric, Unit};
pub use path::OPERATIONS;
pub use recommend::{Goal, Objective};
pub use record::{RecordError, RunRecord, load, result_schema, save};
pub use report::{recommendations, render, render_comparison, render_for, render_markdown};
pub use tally::LatencyTally;
pub use verdict::RunVerdict;
