//! Workloads: YAML to a plan, a plan to streams of operations, and the bytes that they write.
//!
//! ```text
//!   text + --set  --load-->  WorkloadPlan  --streams-->  OpStream (one per client)  -->  TimedOp
//!                                 |
//!                                 +--Content::build-->  fill / verify: (file, offset, version) -> bytes
//! ```
//!
//! Pure, but for reading the files it is told to read (workload, corpus, recording): no threads, no clock, no
//! engine. The same text, seed and `--set` give the same operations and the same bytes on every machine.
#![forbid(unsafe_code)]

pub mod content;
mod decode;
pub mod fault;
#[doc(hidden)]
pub mod hostile;
mod include;
pub mod knob;
pub mod library;
pub mod load;
pub mod op;
mod overrides;
pub mod plan;
mod random;
pub mod reference;
pub mod schema;
mod spec;
pub mod stream;
pub mod trace;
pub mod units;
mod yaml;

pub use content::{Content, ContentError, Mismatch};
pub use knob::{AssertCheck, AssertFault, Checks, KnobCheck, KnobFault, Knobs};
pub use library::library;
pub use load::{LoadError, load, load_str};
pub use op::{FileSlot, Op, OpKind, TimedOp, renamed};
pub use plan::{Estimate, LoadPlan, PointPlan, WorkloadPlan, dry_run_text};
pub use reference::workload_reference;
pub use schema::workload_schema;
pub use stream::{Cursors, OpStream, StreamError};
