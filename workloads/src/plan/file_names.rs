//! What files are called, so that no two are called the same.
//!
//! ```text
//!   `log: {}`             log
//!   `set: { count: 2 }`   set.0  set.1
//!   of recordings         trace.0  trace.1  ...      as they are met, and nobody knows before how many
//! ```
//!
//! Names in a workload have no dot, so instances are called like nothing else but those of recordings.

use std::borrow::Cow;

use super::LoadPlan;
use crate::decode::{At, Report};
use crate::fault::Fault;
use crate::op::FileSlot;
use crate::spec::FileSpec;

/// Files of recordings are instances of this.
const RECORDED: &str = "trace";

impl LoadPlan {
    /// What the file of a slot is called, of the plan's own files and of those that traces bring.
    pub fn file_name(&self, file: FileSlot) -> Cow<'_, str> {
        match self.files.get(file.0 as usize) {
            Some(own) => Cow::Borrowed(&own.name),
            None => Cow::Owned(instance_name(RECORDED, file.0 as usize - self.files.len())),
        }
    }
}

/// What the `nth` instance of `name` is called.
pub(crate) fn instance_name(name: &str, nth: usize) -> String {
    format!("{name}.{nth}")
}

/// Refuses files that are called like those of recordings, for a load that has both.
pub(crate) fn refuse_recorded_names(files: &[(At<String>, FileSpec)], report: &mut Report) {
    let taken = files
        .iter()
        .filter(|(name, file)| file.count.is_some() && name.value == RECORDED);
    for (name, _) in taken {
        report.add(
            Fault::new(
                name.span,
                "the files of recordings are called `trace.0`, `trace.1` and so on, and so would these be",
            )
            .help("call them something else"),
        );
    }
}
