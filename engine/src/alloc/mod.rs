//! Where the bytes of the device are: free, promised, allocated, or freed and not yet reusable.
//!
//! ```text
//!         reserve                allocate                     pin(G)
//!   free ---------> (promised) -----------> allocated --------------------> pinned
//!     ^ <-- drop ------'                        |                             |
//!     |                     free_unpublished    |        unpin_through(G)     |
//!     '-----------------------------------------'-----------------------------'
//! ```
//!
//! A promise is a sum, not an address: promised bytes are still free ones. Free space is never
//! stored; it is what the tree does not use, derived when the volume opens. So a commit needs no
//! space of its own, and the two can not disagree. The price is that opening reads the whole tree.
//!
//! Not here: what the bytes hold (meta).

mod free_map;
mod headroom;
mod pinned;
mod replay_room;
mod reservation;
mod space;
mod strategy;

pub use reservation::Reservation;
pub(crate) use space::NodeAllowance;
pub use space::{Reserve, Space, SpaceNumbers};
