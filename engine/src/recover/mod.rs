//! Reading a volume's image without trusting it: to open it, and to check it.
//!
//! Not here: reading superblocks and single nodes (meta).

pub(crate) mod open;
pub(crate) mod walk;
