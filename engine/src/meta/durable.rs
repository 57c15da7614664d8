//! Durable without a commit: what `sync` asks of the log, and the commit it falls back to.
//!
//! Not here: the log, commits, which pages are logged (writeback/logged).

use delalloc_backends::Request;

use super::metadata::Metadata;
use crate::error::Result;
use crate::log::{DataNumber, LoggedBytes, Lsn, Outcome, Prepared, Ticket};
use crate::units::{FileId, FileRange, Generation, PageIndex};

/// Whether the log could do what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogAnswer {
    /// All of it is durable.
    Durable,
    /// Only a commit makes it so, and only with the data at home.
    NeedsCommit,
}

impl Metadata {
    /// Makes every change of `file` durable, and with it every change before that one. Costs nothing
    /// where that was done before. Pages that only the log should have are not its concern.
    pub fn sync_file(&self, file: FileId) -> Result<()> {
        match self.log_file(file, DataNumber(0))? {
            LogAnswer::Durable => Ok(()),
            LogAnswer::NeedsCommit => self.commit().map(|_generation| ()),
        }
    }

    /// Makes the changes of `file` durable in the log, and its pages with numbers before `before`.
    pub(crate) fn log_file(&self, file: FileId, before: DataNumber) -> Result<LogAnswer> {
        self.check_writable()?;
        let mut wanted = self.log.wanted(file);
        // A page whose batch failed is under way again, whatever a commit made of the records beside it.
        while wanted.is_some() || self.log.is_under_way(file, before) {
            let ticket = Ticket {
                wanted: wanted.take().unwrap_or_default(),
                express: None,
            };
            match self.ask_log(ticket) {
                Outcome::Durable(_) => {}
                Outcome::Failed(error) => return Err(error),
                Outcome::DataFailed(_) | Outcome::NeedsCommit => return Ok(LogAnswer::NeedsCommit),
            }
        }
        Ok(LogAnswer::Durable)
    }

    /// Pages of a file that has `size_bytes` are wanted in the log. Returns a number above theirs, or
    /// nothing where the log does not take them. The caller holds the file's state.
    pub(crate) fn log_pages(
        &self,
        file: FileId,
        size_bytes: u64,
        pages: Vec<(PageIndex, LoggedBytes)>,
    ) -> Option<DataNumber> {
        self.log.push_pages(file, size_bytes, pages)
    }

    /// Is a page of `file` with a number before `before` still on its way into the log?
    pub(crate) fn is_under_way(&self, file: FileId, before: DataNumber) -> bool {
        self.log.is_under_way(file, before)
    }

    /// Is some copy of these pages in the log, or on its way there, that the tree has nothing newer than?
    pub(crate) fn is_in_log(&self, file: FileId, range: FileRange) -> bool {
        self.log.holds(file, range, self.log.data_next())
    }

    /// Above the number of every page that was logged.
    pub(crate) fn data_next(&self) -> DataNumber {
        self.log.data_next()
    }

    /// The generation in which a page was made durable, while only the log has it.
    pub(crate) fn logged_in(&self, number: DataNumber) -> Option<Generation> {
        self.log.durable_in(number)
    }

    /// What the log has yet to make durable of `file`.
    pub(crate) fn log_wanted(&self, file: FileId) -> Option<Lsn> {
        self.log.wanted(file)
    }

    /// Is this durable by now?
    pub(crate) fn is_logged(&self, wanted: Lsn) -> bool {
        self.log.is_durable(wanted)
    }

    /// `range` of `file` is in the tree as the log has it, or newer. The caller holds the file's state.
    pub(crate) fn pages_came_home(&self, file: FileId, range: FileRange) {
        self.log.came_home(file, range);
    }

    /// Files with pages that only the log has.
    pub(crate) fn files_in_log(&self) -> Vec<FileId> {
        self.log.files_held()
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
        let has_some = || self.state.read().tree.is_changed() || self.log.holds_any();
        self.log.wants_commit() && has_some()
    }

    fn ask_log(&self, ticket: Ticket) -> Outcome {
        self.log.make_durable(self.backend.as_ref(), ticket)
    }
}
