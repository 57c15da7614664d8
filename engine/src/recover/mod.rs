//! Reading a volume's image without trusting it: to open it, and to check it.
//!
//! Not here: reading superblocks and single nodes (meta).

mod check;
mod check_log;
mod inventory;
mod issue;
mod log_repeats;
pub(crate) mod log_scan;
mod log_sums;
mod names;
pub(crate) mod open;
mod read_many;
pub(crate) mod replay;
mod shown;
mod slots;
mod stored_data;
pub(crate) mod walk;

pub use check::{CheckReport, check, check_with};
pub use inventory::{Entry, ExtentEntry, FileEntry};
pub use issue::{Issue, Severity};
