//! Compressed writeback, as a library.
//!
//! See ARCHITECTURE.md for the life of a write and of a read.

#![forbid(unsafe_code)]

pub mod alloc;
pub mod budget;
pub mod cache;
pub mod compress;
pub mod config;
mod error;
pub mod extent;
pub mod meta;
pub mod pool;
pub mod recover;
pub mod stats;
mod units;
pub mod writeback;

pub use error::{EngineError, Result};
pub use units::{
    DiskExtent, DiskOffset, FileId, FileRange, Generation, PAGE_BYTES, PAGE_LEN, PageIndex,
    SECTOR_BYTES,
};
