//! What forces the device: FLUSH, and a superblock that is written through.
//!
//! ```text
//!   sound --a FLUSH, a superblock, a node fails--> failed, for good: nothing is acknowledged any more
//! ```
//!
//! A device or a host tells of lost writes once, to whoever asks first. Two FLUSHes side by side could share one loss so
//! that one of them fails and the other is believed, by a log batch or by a superblock that is written then. So one
//! is under way at a time, and whether the last one failed is known before the next begins.
//!
//! Locks: the line is held while the device works, and is the innermost. Not here: what has to be written before
//! (meta/commit, log/write).

use std::fmt;
use std::sync::{Arc, OnceLock};

use delalloc_backends::{Backend, BackendExt};
use parking_lot::Mutex;

use crate::error::{EngineError, Result};
use crate::mutation::{self, Mutation};

/// The only way to FLUSH the device of an open volume.
pub(crate) struct Barrier {
    backend: Arc<dyn Backend>,
    line: Mutex<()>,
    failure: OnceLock<Arc<str>>,
}

impl Barrier {
    /// Nothing has failed yet.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            line: Mutex::new(()),
            failure: OnceLock::new(),
        }
    }

    /// Everything that was answered before is durable when this returns.
    ///
    /// # Errors
    /// That of the device, which is the last one; `ReadOnly` where something had failed before.
    pub(crate) fn flush(&self) -> Result<()> {
        self.forced(|| Ok(self.backend.flush_blocking()?))
    }

    /// Does what forces the device, alone.
    ///
    /// # Errors
    /// As of `flush`.
    pub(crate) fn forced(&self, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let _line = self.line.lock();
        if mutation::on(Mutation::FlushFailureForgotten) {
            return act();
        }
        self.check()?;
        act().inspect_err(|error| self.fail(error))
    }

    /// Refuses everything after a failure.
    pub(crate) fn check(&self) -> Result<()> {
        match self.failure.get() {
            Some(reason) => Err(EngineError::ReadOnly(Arc::clone(reason))),
            None => Ok(()),
        }
    }

    /// Nothing is acknowledged from now on; the first reason stays.
    pub(crate) fn fail(&self, error: &EngineError) {
        self.give_up(&error.to_string());
    }

    /// As `fail`, for a reason that is no error of the device by itself.
    pub(crate) fn give_up(&self, why: &str) -> EngineError {
        let reason = self.failure.get_or_init(|| why.into());
        EngineError::ReadOnly(Arc::clone(reason))
    }

    /// Why, if something has failed.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.failure.get().cloned()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
