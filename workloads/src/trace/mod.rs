//! Recordings as workloads: read bit by bit, never held whole.
//!
//! ```text
//!   file[.zst|.gz] --input--> line or record --form--> Request --slots--> Op    (stream: replayed)
//!                                                         |
//!                                                         +--> counts, footprint  (summary: looked at first)
//!                                                         +--> our own form       (convert: kept)
//!                                                    Op --> what is read before it is written  (fill: written beforehand)
//!   Op of a run ----------------------------------------------> our own form      (record)
//! ```
//!
//! One file per form, in `form`; our own in `own`. Requests keep their offsets and lengths to the byte, aligned or not. Offsets on
//! a device are kept as offsets in a sparse file: compacting them would invent neighbours that never were.
//!
//! What a form cannot keep, and what a replay cannot (a close, a delete of a file never seen), is counted by reason with its first
//! line and shown, by an import (`summary`) as by a replay (`told`); nothing is dropped in silence. Memory is constant but for
//! the files that exist at a time, once for each client (who used each last is among it where several share them, `order`), and in
//! the summary and in an estimate a bit per 4 KiB touched, two where what is read first is filled.

mod convert;
mod digest;
mod fill;
mod footprint;
mod form;
mod input;
mod notes;
mod order;
mod own;
mod reader;
mod record;
mod reorder;
mod request;
mod slots;
mod stream;
mod summary;
mod told;

pub use convert::{Converted, convert};
pub(crate) use digest::digest;
pub(crate) use fill::FillStream;
pub(crate) use footprint::Footprint;
pub(crate) use input::Input;
pub use notes::Tally;
pub use order::Precedes;
pub(crate) use own::forge;
pub use own::{TraceHeader, Units};
pub(crate) use reader::TraceReader;
pub use record::{Began, TraceRecording};
pub(crate) use request::MOVED_BYTES_MAX;
pub use stream::TraceStep;
pub(crate) use stream::TraceStream;
pub(crate) use summary::summary_of;
pub use summary::{KindCount, Malformed, TraceSummary, summarize};
pub use told::{TraceEar, TraceTold};
