//! Compressed writeback, as a library.
//!
//! See ARCHITECTURE.md for the life of a write and of a read.

#![forbid(unsafe_code)]

pub mod alloc;
mod error;
pub mod meta;
pub mod recover;
mod units;

pub use error::{EngineError, Result};
pub use units::{
    DiskExtent, DiskOffset, FileId, FileRange, Generation, PAGE_BYTES, PageIndex, SECTOR_BYTES,
};
