//! Reading a volume's image without trusting it: to open it, and to check it.
//!
//! Not here: reading superblocks and single nodes (meta).

mod check;
mod issue;
pub(crate) mod open;
mod read_many;
pub(crate) mod walk;

pub use check::{CheckReport, check};
pub use issue::{Issue, Severity};
