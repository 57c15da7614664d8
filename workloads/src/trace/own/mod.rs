//! Our own form of recordings: packed, checksummed, with an index. All of its bytes are laid out in docs/trace-format.md.
//!
//! ```text
//!   preamble | header (JSON) | block, block, ... | index block | trailer
//!                               '- names or operations -'
//! ```
//!
//! It keeps a request to the bit: time, kind, place, range, flags, thread and how long it took, in the order of the source. Blocks
//! do not depend on each other, so a replay may begin at any of them. Every length is checked against a bound before memory is
//! taken for it, every byte against a checksum before it is believed, and every number again when it is decoded, so that a file that
//! was made to be hostile is refused as well as one that was damaged.
//!
//! Not here: requests from foreign forms (`form`), operations of a run (`record`).

mod block;
mod file;
mod forge;
mod layout;
mod reader;
mod writer;

pub(crate) use file::OwnFile;
pub(crate) use forge::forge;
pub use layout::{TraceHeader, Units};
pub(crate) use reader::OwnReader;

/// Could a file that begins with `head` be of this form?
pub(crate) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(&layout::MAGIC)
}

#[cfg(test)]
mod tests;
