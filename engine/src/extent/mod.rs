//! What is true of ranges of a file: a map of intervals, and the extent-state map made of it.
//!
//! Not here: where a range is on the device (meta), bytes of pages (cache).

mod age;
mod interval;
mod ordered;
mod state_map;

pub(crate) use age::Ages;
pub use interval::IntervalMap;
pub(crate) use ordered::OrderedExtents;
pub use state_map::{State, StateBytes, StateMap};
