//! Compressed writeback, as a library.
//!
//! ```text
//!   write_at -> cache, DIRTY|DELALLOC          no address yet
//!        flusher, sync -> run -> items
//!             delalloc pool: compress          in parallel
//!                            place             in order
//!                  submit pool -> Backend
//!                       endio_write pool -> metadata
//!   sync, commit -> nodes, FLUSH, superblock
//! ```
//!
//! [`Volume`] is the door: format a [`delalloc_backends::Backend`], open it, and it holds named
//! files. Everything else that is public is here for tests, benches and tools.
//!
//! ```
//! use std::sync::Arc;
//! use delalloc_backends::{Backend, MemBackend, OsClock};
//! use delalloc_engine::{EngineConfig, FormatOptions, Volume};
//!
//! # fn main() -> delalloc_engine::Result<()> {
//! let device: Arc<dyn Backend> = Arc::new(MemBackend::new(64 << 20));
//! Volume::format(&device, &FormatOptions::default())?;
//! let volume = Volume::open(device, Arc::new(OsClock::new()), EngineConfig::default())?;
//! let file = volume.create("notes")?;
//! file.write_at(0, &[b'x'; 100_000])?;
//! file.sync()?;
//! assert!(volume.stats().counters.device_written_bytes() < 100_000);
//! volume.close()?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod alloc;
mod barrier;
pub mod budget;
pub mod cache;
pub mod compress;
pub mod config;
mod core;
mod error;
pub mod extent;
mod failure;
mod file;
mod file_size;
#[doc(hidden)]
pub mod hostile;
mod in_flight;
mod inode;
mod log;
pub mod meta;
pub mod mutation;
mod namespace;
pub mod pool;
mod pools;
mod read;
pub mod recover;
mod services;
pub mod stats;
mod stepped;
mod units;
mod volume;
mod waiting;
pub mod writeback;

pub use config::EngineConfig;
pub use error::{EngineError, Result};
pub use file::File;
pub use meta::FormatOptions;
pub use stats::EngineStats;
pub use stepped::Stepper;
pub use units::{
    DiskExtent, DiskOffset, FILE_BYTES_MAX, FileId, FileRange, Generation, PAGE_BYTES, PAGE_LEN,
    PageIndex, SECTOR_BYTES,
};
pub use volume::{FileInfo, Volume};
