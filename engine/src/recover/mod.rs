//! Reading a volume's image without trusting it: to open it, and to check it.
//!
//! Not here: reading superblocks and single nodes (meta).

mod check;
mod check_log;
mod issue;
pub(crate) mod log_scan;
pub(crate) mod open;
mod read_many;
mod replay;
pub(crate) mod walk;

pub use check::{CheckReport, check};
pub use issue::{Issue, Severity};
