//! What a device can answer besides success.

use std::io;

use crate::RequestKind;

/// A request that did not succeed, or a device that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The device or the kernel refused or failed.
    #[error("{kind:?} of {bytes} bytes at {offset}: {source}")]
    Io {
        /// What was asked.
        kind: RequestKind,
        /// First byte.
        offset: u64,
        /// How many.
        bytes: u64,
        /// The kernel's word.
        source: io::Error,
    },
    /// Offset, length or buffer address do not fit the geometry. A programmer's error, refused before I/O.
    #[error("{kind:?} of {bytes} bytes at {offset}: {reason}")]
    Misaligned {
        /// What was asked.
        kind: RequestKind,
        /// First byte.
        offset: u64,
        /// How many.
        bytes: u64,
        /// Which rule.
        reason: &'static str,
    },
    /// The backend was closed.
    #[error("the device is closed")]
    Closed,
    /// The device could not be opened; `remedy` says what would help.
    #[error("{path}: {reason}; {remedy}")]
    Open {
        /// What was to be opened.
        path: String,
        /// Why not.
        reason: String,
        /// What to do.
        remedy: String,
    },
}
