//! Where the bytes of the device are: free, promised, allocated, or freed and not yet reusable.
//!
//! ```text
//!            reserve                 allocate                     pin(G)
//!   free ------------> promised ----------------> allocated -------------> pinned
//!     ^ <------------ (drop)                          |                       |
//!     |                          free_unpublished     |     unpin_through(G)  |
//!     '-----------------------------------------------'-----------------------'
//! ```
//!
//! Not here: what the bytes hold (meta).

mod reservation;
mod space;

pub use reservation::Reservation;
pub use space::{Space, SpaceNumbers};
