//! Failed writes of a file, told once to everyone who has it open.
//!
//! A write fails long after `write_at` returned, so the error waits here for the next `sync`. Each
//! opener holds a cursor; an error that came after the cursor is reported and the cursor moves past
//! it. One failure is so seen by every opener, by each exactly once. An opener that came later does not
//! see what happened before it came, but where nobody has seen it yet: what was written, closed and
//! opened again is answered for by the `sync` of who comes then.
//!
//! Of two `sync`s of one opener that run at a time both are told, whichever asks first: each answers for
//! what was written before it was called.
//!
//! Only the latest failure keeps its text: `sync` answers "something you wrote is not there", and
//! one reason is enough for that.

use crate::error::EngineError;
use crate::mutation::{self, Mutation};

/// What an opener has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct FailureCursor(u64);

impl FailureCursor {
    /// A call was told up to `own`.
    pub(crate) fn told(&mut self, own: Self) {
        *self = own.max(*self);
    }
}

/// The failures of one file.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    count: u64,
    /// Up to here somebody was told.
    seen: u64,
    latest: Option<EngineError>,
}

impl FailureLog {
    /// A write did not reach the device.
    pub(crate) fn record(&mut self, error: EngineError) {
        self.count += 1;
        self.latest = Some(error);
    }

    /// Where a new opener starts.
    pub(crate) fn cursor(&self) -> FailureCursor {
        if mutation::on(Mutation::FailureGoneWithItsOpener) {
            return FailureCursor(self.count);
        }
        FailureCursor(self.seen)
    }

    /// The failure `cursor` has not been told of, if any; told from now on.
    pub(crate) fn take(&mut self, cursor: &mut FailureCursor) -> Option<EngineError> {
        if cursor.0 == self.count || mutation::on(Mutation::FailureUntold) {
            return None;
        }
        self.seen = self.count;
        if !mutation::on(Mutation::FailureToldAgain) {
            cursor.0 = self.count;
        }
        self.latest.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opener_is_told_once_and_newcomers_of_what_nobody_was_told() {
        let mut log = FailureLog::default();
        let (mut first, mut second) = (log.cursor(), log.cursor());
        log.record(EngineError::Removed);
        let mut early = log.cursor();
        assert!(log.take(&mut early).is_some());
        let mut late = log.cursor();
        assert!(log.take(&mut first).is_some());
        assert!(log.take(&mut first).is_none());
        assert!(log.take(&mut second).is_some());
        assert!(log.take(&mut late).is_none());
    }
}
