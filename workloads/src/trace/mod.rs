//! Recordings as workloads: read line by line, never held whole.
//!
//! ```text
//!   file[.zst] --lines--> text --csv | blkparse--> Request --slots--> Op        (stream: replayed)
//!                                                     |
//!                                                     +--> counts, footprint    (summary: looked at first)
//! ```
//!
//! Forms: the comma-separated one with a header, in three dialects that its columns tell apart, and the default text of blkparse. Requests
//! keep their offsets and lengths to the byte, aligned or not. Offsets on a device are kept as offsets in a sparse file: compacting
//! them would invent neighbours that never were.
//!
//! What a replay cannot keep (a close, a delete of a file never seen) is counted by reason and shown; nothing is dropped in silence.
//! Memory is constant but for two tables: the files that exist at a time, and in the summary a bit per 4 KiB touched.

mod blkparse;
mod csv;
mod footprint;
mod lines;
mod reader;
mod request;
mod slots;
mod stream;
mod summary;

pub(crate) use lines::Lines;
pub(crate) use reader::TraceReader;
pub(crate) use stream::TraceStream;
pub(crate) use summary::summary_of;
pub use summary::{KindCount, Malformed, TraceSummary, summarize};
