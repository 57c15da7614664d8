//! What forces the device: FLUSH, and a superblock that is written through.
//!
//! ```text
//!   sound --a FLUSH, a superblock, a node fails--> failed, for good: nothing is acknowledged any more
//! ```
//!
//! A device or a host tells of lost writes once, to whoever asks first. So a FLUSH that went well counts only if none beside
//! it has failed: what it was not told of, another was. Who is told says so before anything else; what is left is the moment
//! between the device's answer and that.
//!
//! Refused: one FLUSH at a time. It leaves not even that moment, and makes each `sync` wait for the FLUSH of a commit beside it.
//!
//! Not here: what has to be written before (meta/commit, log/write).

use std::fmt;
use std::sync::{Arc, OnceLock};

use delalloc_backends::{Backend, BackendExt};

use crate::error::{EngineError, Result};
use crate::mutation::{self, Mutation};

/// The only way to FLUSH the device of an open volume.
pub(crate) struct Barrier {
    backend: Arc<dyn Backend>,
    failure: OnceLock<Arc<str>>,
}

impl Barrier {
    /// Nothing has failed yet.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
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

    /// Does what forces the device.
    ///
    /// # Errors
    /// As of `flush`; `ReadOnly` also where something failed meanwhile.
    pub(crate) fn forced(&self, act: impl FnOnce() -> Result<()>) -> Result<()> {
        if mutation::on(Mutation::FlushFailureForgotten) {
            return act();
        }
        self.check()?;
        act().inspect_err(|error| self.fail(error))?;
        if mutation::on(Mutation::FlushBesideBelieved) {
            return Ok(());
        }
        self.check()
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
