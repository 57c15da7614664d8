//! What can go wrong, in three classes that are never mixed: operating errors are values of this
//! type; programmer's errors are assertions; bad input is refused with a remedy.

use std::sync::Arc;

use delalloc_backends::BackendError;

use crate::units::DiskOffset;

/// An operation on a volume that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The device refused or failed. Shared: one failed write is told to every opener of the file.
    #[error("device: {0}")]
    Device(Arc<BackendError>),
    /// The volume has no room for this; nothing of the operation was done.
    #[error("no space: {wanted_bytes} bytes wanted, {free_bytes} free")]
    NoSpace {
        /// Asked for, worst case.
        wanted_bytes: u64,
        /// Neither allocated, reserved nor pinned.
        free_bytes: u64,
    },
    /// No file of this name.
    #[error("no file named {0:?}")]
    NotFound(String),
    /// A file of this name is there already.
    #[error("a file named {0:?} exists already")]
    Exists(String),
    /// The file was removed while this handle was open and its bytes are gone.
    #[error("the file was removed")]
    Removed,
    /// Bytes on the device are not what was written.
    #[error("{what} at {at:?}: expected {expected}, found {found}")]
    Corrupt {
        /// Which structure.
        what: &'static str,
        /// Where it is on the device.
        at: DiskOffset,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The device holds no volume of a version this engine reads.
    #[error("not a delalloc volume: {0}")]
    NotAVolume(String),
    /// A metadata write failed earlier; the volume only reads until it is opened again.
    #[error("the volume is read-only since an earlier failure: {0}")]
    ReadOnly(Arc<str>),
    /// The volume was closed; a handle outlived it.
    #[error("the volume is closed")]
    Closed,
    /// An argument or a combination of knobs that cannot be; the text says what would do.
    #[error("{0}")]
    Invalid(String),
}

impl From<BackendError> for EngineError {
    fn from(error: BackendError) -> Self {
        Self::Device(Arc::new(error))
    }
}

/// Result of an operation on a volume.
pub type Result<T> = std::result::Result<T, EngineError>;
