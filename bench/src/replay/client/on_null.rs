//! What the clients of a test share, on the target that does nothing.

use delalloc_workloads::LoadPlan;

use super::{Halt, Pacing, Shared};
use crate::replay::files::FileTable;
use crate::signals::Signals;
use crate::targets::NullTarget;

/// What a [`Shared`] refers to.
pub(in crate::replay) struct OnNull<'a> {
    files: FileTable<'a>,
    signals: Signals,
    pub(in crate::replay) halt: Halt,
}

impl<'a> OnNull<'a> {
    /// Files of `load`; nothing is open, interrupted or halted.
    pub(in crate::replay) fn of(load: &'a LoadPlan) -> Self {
        Self {
            files: FileTable::new(&NullTarget, load),
            signals: Signals::default(),
            halt: Halt::default(),
        }
    }

    /// Of a phase without an end of its own that follows its schedule; nothing is made, checked or written down.
    pub(in crate::replay) fn shared(&self) -> Shared<'_> {
        Shared {
            files: &self.files,
            content: None,
            expected: None,
            signals: &self.signals,
            pacing: Pacing {
                end_ns: None,
                follow_schedule: true,
            },
            halt: &self.halt,
            tape: None,
        }
    }
}
