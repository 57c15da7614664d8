//! Where bytes live and how they move.
//!
//! One trait, `Backend`, and behind it three kinds of room:
//!   * targets say where bytes live: a file opened with `O_DIRECT`, a raw block device, memory, a
//!     modelled device;
//!   * movers say how they get there: io_uring where the kernel has it, positioned reads and
//!     writes on threads everywhere;
//!   * wrappers change one thing about another backend: count, slow, fail, record.
//!
//! This crate alone holds `unsafe` code and operating-system calls. It knows no files of its users,
//! no extents, no compression: see `delalloc-engine`.

mod backend;
mod buf;
mod clock;
mod error;

pub use backend::{Backend, Completion, Done, Durability, Geometry, Request, RequestKind};
pub use buf::{AlignedBuf, BUFFER_ALIGN_BYTES, BufPool};
pub use clock::{Clock, Instant, OsClock};
pub use error::BackendError;
