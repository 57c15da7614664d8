//! Where bytes live and how they move.
//!
//! One trait, `Backend`, and behind it three kinds of room:
//!   * targets say where bytes live: a file opened with `O_DIRECT`, a raw block device, memory, a
//!     modelled device;
//!   * movers say how they get there: io_uring where the kernel has it, positioned reads and
//!     writes on threads everywhere;
//!   * wrappers change one thing about another backend: count, slow, fail, record.
//!
//! ```
//! use std::sync::Arc;
//! use delalloc_backends::{AlignedBuf, Backend, BackendExt, Durability, FileOptions};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("device.img");
//! let device: Arc<dyn Backend> = Arc::new(FileOptions::create_new(path, 16 << 20).open()?);
//! let bytes = AlignedBuf::copy_of(&[7; 4096]);
//! device.write_blocking(8192, bytes, Durability::Cached)?;
//! device.flush_blocking()?;
//! assert_eq!(device.read_blocking(8192, 4096)?[0], 7);
//! device.close()?;
//! # Ok::<(), delalloc_backends::BackendError>(())
//! ```
//!
//! This crate alone holds `unsafe` code and operating-system calls. It knows no files of its users,
//! no extents, no compression: see `delalloc-engine`.

mod backend;
mod block;
mod bounds;
mod buf;
mod clock;
mod delay;
mod device;
mod error;
mod ext;
mod fault;
mod file;
mod held;
mod mem;
mod meter;
mod mover;
mod overlay;
mod psync;
mod record;
mod signature;
mod sim;
mod sys;
mod target;
mod throttle;
mod together;
mod uring;

pub use backend::{Backend, Completion, Done, Durability, Geometry, Request, RequestKind};
pub use block::BlockOptions;
pub use buf::{AlignedBuf, BUFFER_ALIGN_BYTES, BufPool};
pub use clock::{Clock, Instant, OsClock, VirtualClock};
pub use device::Device;
pub use error::BackendError;
pub use ext::BackendExt;
pub use fault::{FaultAction, FaultBackend, FaultHandle, FaultOn, FaultRule, FaultSpan, Struck};
pub use file::{FileCaching, FileDiscard, FileOpening, FileOptions, Preallocation};
pub use held::{HeldBackend, HeldStep};
pub use mem::MemBackend;
pub use meter::{KindSnapshot, MeterBackend, MeterSnapshot, SERVICE_SLOTS};
pub use mover::{MoverKind, MoverOptions};
pub use overlay::OverlayBackend;
pub use record::{
    CrashPlan, CrashPoint, Fate, Log, LogEntry, Logged, Outcome, Recorder, Survivors, Sweep, Tear,
};
pub use signature::Signature;
pub use sim::{Allowance, Cap, Latency, Seek, SimBackend, SimModel};
pub use throttle::{ThrottleBackend, ThrottleLimits};
