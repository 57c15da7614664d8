//! SIGINT and SIGTERM: the first one ends a run with what it has, the second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};

use delalloc_results::ExitCode;

/// Whether somebody asked the run to end.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Catches SIGINT and SIGTERM from here on.
    pub fn catch() -> anyhow::Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: at the second signal the flag is already up and the process ends.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                i32::from(ExitCode::Interrupted.code()),
                Arc::clone(&seen),
            )
            .context("catching signals")?;
            signal_hook::flag::register(signal, Arc::clone(&seen)).context("catching signals")?;
        }
        Ok(Self(seen))
    }

    /// A signal came.
    pub fn interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// As if a signal came.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
