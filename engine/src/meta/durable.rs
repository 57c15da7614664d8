//! Durable without a commit: what `sync` asks of the log, and the commit it falls back to.
//!
//! Not here: the log, commits.

use delalloc_backends::Request;

use super::metadata::Metadata;
use crate::error::Result;
use crate::log::{Lsn, Outcome, Prepared, Ticket};
use crate::units::FileId;

impl Metadata {
    /// Makes every change of `file` durable, and with it every change before that one. Costs nothing
    /// where that was done before.
    pub fn sync_file(&self, file: FileId) -> Result<()> {
        self.check_writable()?;
        let Some(wanted) = self.log.wanted(file) else {
            return Ok(());
        };
        let ticket = Ticket {
            wanted,
            express: None,
        };
        match self.ask_log(ticket) {
            Outcome::Durable(_) => Ok(()),
            Outcome::Failed(error) => Err(error),
            Outcome::DataFailed(_) | Outcome::NeedsCommit => self.commit().map(|_generation| ()),
        }
    }

    /// Writes data, and logs beside it the changes that will be made once both are durable.
    pub(crate) fn log_express(&self, prepared: Prepared, data: Vec<Request>) -> Outcome {
        if let Err(error) = self.check_writable() {
            return Outcome::Failed(error);
        }
        self.ask_log(Ticket {
            wanted: Lsn::default(),
            express: Some((prepared, data)),
        })
    }

    /// The log is so full that a commit should free it, and there is something to commit.
    pub(crate) fn log_wants_commit(&self) -> bool {
        self.log.wants_commit() && self.state.read().tree.is_changed()
    }

    fn ask_log(&self, ticket: Ticket) -> Outcome {
        let outcome = self.log.make_durable(self.backend.as_ref(), ticket);
        if let Outcome::Failed(error) = &outcome {
            self.fail(error);
        }
        outcome
    }
}
